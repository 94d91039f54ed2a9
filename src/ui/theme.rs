//! Colours by meaning, and what becomes of them on terminals with fewer.

use ratatui::style::{Color, Modifier, Style};

use crate::app::Theme;
use crate::domain::Severity;

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// 16 million.
    #[default]
    True,
    /// 256.
    Indexed,
    /// 16.
    Sixteen,
    /// None: `NO_COLOR`, or a terminal that says it has none.
    None,
}

impl Depth {
    /// Reads it off the environment (`NO_COLOR`, `COLORTERM`, `TERM`).
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        if set("NO_COLOR").is_some() || term == "dumb" {
            Self::None
        } else if set("COLORTERM").is_some_and(|value| value == "truecolor" || value == "24bit")
            || term.contains("direct")
        {
            Self::True
        } else if term.contains("256") || set("TMUX").is_some() {
            Self::Indexed
        } else {
            Self::Sixteen
        }
    }
}

/// The styles to draw with, by meaning.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Look {
    pub text: Style,
    pub strong: Style,
    pub dim: Style,
    pub faint: Style,
    pub rule: Style,
    pub accent: Style,
    pub critical: Style,
    pub warning: Style,
    pub info: Style,
    pub good: Style,
    pub second: Style,
    pub production: Style,
    pub badge: Style,
    pub key: Style,
    pub selected: Style,
    pub track: Style,
}

/// A colour for rich terminals and its stand-in for poor ones.
type Ink = ((u8, u8, u8), Color);

struct Inks {
    strong: Ink,
    dim: Ink,
    faint: Ink,
    rule: Ink,
    accent: Ink,
    second: Ink,
    critical: Ink,
    warning: Ink,
    info: Ink,
    good: Ink,
    selected: Ink,
    track: Ink,
    text: Ink,
}

const DARK: Inks = Inks {
    text: ((200, 206, 219), Color::Reset),
    strong: ((240, 243, 250), Color::White),
    dim: ((126, 135, 155), Color::Gray),
    faint: ((82, 90, 110), Color::DarkGray),
    rule: ((58, 66, 86), Color::DarkGray),
    accent: ((90, 200, 250), Color::Cyan),
    second: ((166, 148, 255), Color::Magenta),
    critical: ((255, 98, 108), Color::LightRed),
    warning: ((255, 189, 84), Color::LightYellow),
    info: ((132, 166, 224), Color::LightBlue),
    good: ((106, 212, 138), Color::LightGreen),
    selected: ((36, 46, 70), Color::Blue),
    track: ((40, 46, 60), Color::Reset),
};

const LIGHT: Inks = Inks {
    text: ((42, 47, 58), Color::Reset),
    strong: ((10, 12, 18), Color::Black),
    dim: ((98, 106, 122), Color::DarkGray),
    faint: ((150, 157, 171), Color::Gray),
    rule: ((190, 196, 207), Color::Gray),
    accent: ((0, 112, 173), Color::Blue),
    second: ((112, 72, 200), Color::Magenta),
    critical: ((200, 20, 40), Color::Red),
    warning: ((168, 98, 0), Color::Yellow),
    info: ((60, 100, 170), Color::Blue),
    good: ((18, 128, 60), Color::Green),
    selected: ((214, 228, 245), Color::Gray),
    track: ((224, 227, 233), Color::Reset),
};

impl Look {
    /// The look of a theme on a terminal with so many colours.
    pub fn new(theme: Theme, depth: Depth) -> Self {
        let inks = match (theme, depth) {
            (Theme::Plain, _) | (_, Depth::None) => return Self::plain(),
            (Theme::Dark, _) => DARK,
            (Theme::Light, _) => LIGHT,
        };
        let colour = |ink: Ink| match depth {
            Depth::True => Color::Rgb(ink.0.0, ink.0.1, ink.0.2),
            Depth::Indexed => Color::Indexed(indexed(ink.0)),
            Depth::Sixteen | Depth::None => ink.1,
        };
        let fg = |ink: Ink| Style::new().fg(colour(ink));
        let production: Ink = ((168, 24, 44), Color::Red);
        Self {
            text: fg(inks.text),
            strong: fg(inks.strong).add_modifier(Modifier::BOLD),
            dim: fg(inks.dim),
            faint: fg(inks.faint),
            rule: fg(inks.rule),
            accent: fg(inks.accent),
            second: fg(inks.second),
            critical: fg(inks.critical).add_modifier(Modifier::BOLD),
            warning: fg(inks.warning).add_modifier(Modifier::BOLD),
            info: fg(inks.info),
            good: fg(inks.good),
            production: Style::new().fg(Color::White).bg(colour(production)).add_modifier(Modifier::BOLD),
            badge: fg(inks.accent).add_modifier(Modifier::BOLD),
            key: fg(inks.accent),
            selected: Style::new().bg(colour(inks.selected)),
            track: fg(inks.track),
        }
    }

    fn plain() -> Self {
        let none = Style::new();
        let bold = none.add_modifier(Modifier::BOLD);
        let dim = none.add_modifier(Modifier::DIM);
        Self {
            text: none,
            strong: bold,
            dim,
            faint: dim,
            rule: dim,
            accent: bold,
            critical: bold,
            warning: bold,
            info: none,
            good: none,
            second: none,
            production: none.add_modifier(Modifier::REVERSED | Modifier::BOLD),
            badge: bold,
            key: bold,
            selected: none.add_modifier(Modifier::REVERSED),
            track: dim,
        }
    }

    /// The style of a severity.
    pub fn severity(&self, severity: Severity) -> Style {
        match severity {
            Severity::Critical => self.critical,
            Severity::Warning => self.warning,
            Severity::Info => self.info,
        }
    }

    /// The style of a share of something limited: calm, then warning, then alarm.
    pub fn share(&self, share: f64) -> Style {
        if share >= 0.95 {
            self.critical.remove_modifier(Modifier::BOLD)
        } else if share >= 0.8 {
            self.warning.remove_modifier(Modifier::BOLD)
        } else {
            self.accent
        }
    }
}

/// The sign of a severity: differs in shape, so that colour is not needed.
pub fn glyph(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "✖",
        Severity::Warning => "▲",
        Severity::Info => "●",
    }
}

/// The nearest of the 256 colours: the 6×6×6 cube or the ramp of greys.
fn indexed((red, green, blue): (u8, u8, u8)) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let far = |left: (u8, u8, u8)| {
        let part = |left: u8, right: u8| (i32::from(left) - i32::from(right)).pow(2);
        part(left.0, red) + part(left.1, green) + part(left.2, blue)
    };
    let near = |value: u8| (0..6u8).min_by_key(|&at| STEPS[usize::from(at)].abs_diff(value)).unwrap_or(0);
    let (r, g, b) = (near(red), near(green), near(blue));
    let cube = (16 + 36 * r + 6 * g + b, (STEPS[usize::from(r)], STEPS[usize::from(g)], STEPS[usize::from(b)]));
    let step = (0..24u8).min_by_key(|&at| far((8 + 10 * at, 8 + 10 * at, 8 + 10 * at))).unwrap_or(0);
    let level = 8 + 10 * step;
    if far((level, level, level)) < far(cube.1) { 232 + step } else { cube.0 }
}
