//! Colours by meaning, and what becomes of them on terminals with fewer.

use ratatui::style::{Color, Modifier, Style};

use crate::app::theme::{ANSI, Ink, Role, Theme, contrast};
use crate::domain::Severity;
use crate::domain::policy::Ladder;

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
    /// Reads it off the environment: `TIERDECK_COLOR` says it outright (`none`, `16`, `256`, `true`), else `NO_COLOR`,
    /// `COLORTERM` and `TERM` do.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        let said = set("TIERDECK_COLOR").map(|value| value.to_lowercase());
        let colours = set("COLORTERM").map(|value| value.to_lowercase()).unwrap_or_default();
        match said.as_deref() {
            Some("none" | "never" | "no" | "0") => return Self::None,
            Some("16") => return Self::Sixteen,
            Some("256") => return Self::Indexed,
            Some("true" | "truecolor" | "24bit" | "always") => return Self::True,
            _ => {}
        }
        if set("NO_COLOR").is_some() || term == "dumb" {
            Self::None
        } else if colours == "truecolor" || colours == "24bit" || term.contains("direct") {
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
    /// What lies under everything.
    pub base: Style,
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

impl Look {
    /// The look of a theme on a terminal with so many colours.
    pub fn new(theme: &Theme, depth: Depth) -> Self {
        let Some(colours) = theme.colours.filter(|_| depth != Depth::None) else { return Self::plain() };
        let colour = |role| shade(colours.of(role), depth);
        let fg = |role| Style::new().fg(colour(role));
        // Words on a ground that is not the usual one: black or white, whichever can be read.
        let on = |role| {
            let ink = colours.of(role);
            let ground = match depth {
                Depth::Sixteen => ink.ansi.and_then(|at| ANSI.get(usize::from(at))).map(|(_, rgb)| *rgb),
                _ => ink.rgb,
            };
            let light = ground.is_none_or(|ground| contrast(ground, (255, 255, 255)) >= contrast(ground, (0, 0, 0)));
            let ink = if light { Ink { rgb: Some((255, 255, 255)), ansi: Some(15) } } else { BLACK };
            Style::new().fg(shade(ink, depth)).bg(colour(role))
        };
        Self {
            base: Style::new().fg(colour(Role::Text)).bg(colour(Role::Background)),
            text: fg(Role::Text),
            strong: fg(Role::Strong).add_modifier(Modifier::BOLD),
            dim: fg(Role::Dim),
            faint: fg(Role::Faint),
            rule: fg(Role::Rule),
            accent: fg(Role::Accent),
            second: fg(Role::Second),
            critical: fg(Role::Critical).add_modifier(Modifier::BOLD),
            warning: fg(Role::Warning).add_modifier(Modifier::BOLD),
            info: fg(Role::Info),
            good: fg(Role::Good),
            production: on(Role::Production).add_modifier(Modifier::BOLD),
            badge: fg(Role::Accent).add_modifier(Modifier::BOLD),
            key: fg(Role::Accent),
            // Of 16 colours few can be read on another: there the row under the cursor has one colour, and its signs.
            selected: match depth {
                Depth::Sixteen => on(Role::Selected),
                _ => Style::new().bg(colour(Role::Selected)),
            },
            track: fg(Role::Track),
        }
    }

    fn plain() -> Self {
        let none = Style::new();
        let bold = none.add_modifier(Modifier::BOLD);
        let dim = none.add_modifier(Modifier::DIM);
        Self {
            base: none,
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

    /// The style of a severity where figures stand beside each other; `None`: there is none.
    pub fn graded(&self, severity: Option<Severity>) -> Option<Style> {
        severity.map(|severity| self.severity(severity).remove_modifier(Modifier::BOLD))
    }

    /// The style of a value that a threshold is configured for; `None` below the first.
    pub fn rung(&self, ladder: Ladder, value: f64) -> Option<Style> {
        self.graded(ladder.rung(value).map(|(severity, _)| severity))
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

/// What is left of a colour.
fn shade(ink: Ink, depth: Depth) -> Color {
    match depth {
        Depth::True => ink.rgb.map_or(Color::Reset, |(red, green, blue)| Color::Rgb(red, green, blue)),
        Depth::Indexed => ink.rgb.map_or(Color::Reset, |rgb| Color::Indexed(indexed(rgb))),
        Depth::Sixteen => ink.ansi.and_then(|at| NAMED.get(usize::from(at)).copied()).unwrap_or(Color::Reset),
        Depth::None => Color::Reset,
    }
}

const BLACK: Ink = Ink { rgb: Some((0, 0, 0)), ansi: Some(0) };

/// The 16 colours by their numbers.
const NAMED: [Color; 16] = [
    Color::Black,
    Color::Red,
    Color::Green,
    Color::Yellow,
    Color::Blue,
    Color::Magenta,
    Color::Cyan,
    Color::Gray,
    Color::DarkGray,
    Color::LightRed,
    Color::LightGreen,
    Color::LightYellow,
    Color::LightBlue,
    Color::LightMagenta,
    Color::LightCyan,
    Color::White,
];

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::theme::Rgb;

    /// What a terminal shows; `None`: its own colour, which nobody knows.
    fn seen(colour: Option<Color>) -> Option<Rgb> {
        match colour? {
            Color::Rgb(red, green, blue) => Some((red, green, blue)),
            Color::Indexed(at @ 16..=231) => {
                let step = |part: u8| [0, 95, 135, 175, 215, 255][usize::from(part % 6)];
                Some((step((at - 16) / 36), step((at - 16) / 6), step(at - 16)))
            }
            Color::Indexed(at @ 232..) => Some((8 + 10 * (at - 232), 8 + 10 * (at - 232), 8 + 10 * (at - 232))),
            named => NAMED.iter().position(|known| *known == named).map(|at| ANSI[at].1),
        }
    }

    /// Every pair of words and ground that is drawn: name, style, ground, the least contrast.
    fn pairs(look: &Look) -> Vec<(&'static str, Style, Style, f64)> {
        let mut pairs = Vec::new();
        for (name, style, least) in [
            ("text", look.text, 4.5),
            ("strong", look.strong, 4.5),
            ("accent", look.accent, 4.5),
            ("second", look.second, 4.5),
            ("critical", look.critical, 4.5),
            ("warning", look.warning, 4.5),
            ("info", look.info, 4.5),
            ("good", look.good, 4.5),
            ("key", look.key, 4.5),
            ("badge", look.badge, 4.5),
            ("dim", look.dim, 3.0),
            ("faint", look.faint, 3.0),
        ] {
            pairs.push((name, look.base.patch(style), look.base, least));
            let selected = look.base.patch(style).patch(look.selected);
            pairs.push((name, selected, selected, least));
        }
        pairs.push(("production", look.production, look.production, 4.5));
        pairs
    }

    #[test]
    fn every_word_of_every_theme_can_be_read() {
        let mut seen_pairs = 0;
        let mut poor = Vec::new();
        for theme in Theme::built_in().iter().filter(|theme| theme.colours.is_some()) {
            for depth in [Depth::True, Depth::Indexed, Depth::Sixteen] {
                // Where a theme leaves the ground to the terminal it is made for a black one.
                let black = Some((0, 0, 0));
                for (name, style, ground, least) in pairs(&Look::new(theme, depth)) {
                    let under = seen(ground.bg).or(black).unwrap_or_default();
                    let words = seen(style.fg).unwrap_or((229, 229, 229));
                    let found = contrast(words, under);
                    seen_pairs += 1;
                    if found < least {
                        poor.push(format!("{} {depth:?}: {name} {words:?} on {under:?}: {found:.2}", theme.name));
                    }
                }
            }
        }
        assert_eq!(seen_pairs, 4 * 3 * 25);
        assert!(poor.is_empty(), "{}", poor.join("\n"));
    }

    #[test]
    fn severities_differ_without_red_and_green() {
        // What is left for somebody who sees no difference between red and green: blue against the rest, and brightness.
        let theme = Theme::named("colour-blind").unwrap();
        let look = Look::new(&theme, Depth::True);
        let told = |style: Style| {
            let (red, green, blue) = seen(style.fg).unwrap();
            (f64::midpoint(f64::from(red), f64::from(green)), f64::from(blue))
        };
        let all = [look.critical, look.warning, look.good].map(told);
        for (one, other) in [(0, 1), (0, 2), (1, 2)] {
            let far = (all[one].0 - all[other].0).hypot(all[one].1 - all[other].1);
            assert!(far > 40.0, "{one} and {other}: {all:?}");
        }
        let signs = [Severity::Critical, Severity::Warning, Severity::Info].map(glyph);
        assert!(signs[0] != signs[1] && signs[1] != signs[2] && signs[0] != signs[2]);
    }

    #[test]
    fn each_depth_uses_only_what_it_has() {
        for theme in Theme::built_in() {
            for depth in [Depth::True, Depth::Indexed, Depth::Sixteen, Depth::None] {
                let look = Look::new(theme, depth);
                for (name, style, ..) in pairs(&look) {
                    for colour in [style.fg, style.bg].into_iter().flatten() {
                        let fits = match depth {
                            Depth::True => true,
                            Depth::Indexed => !matches!(colour, Color::Rgb(..)),
                            Depth::Sixteen => !matches!(colour, Color::Rgb(..) | Color::Indexed(_)),
                            Depth::None => false,
                        };
                        assert!(fits, "{} {depth:?} {name}: {colour:?}", theme.name);
                    }
                }
            }
        }
        // Without colours, what matters still stands out.
        let look = Look::new(&Theme::default(), Depth::None);
        assert!(look.critical.add_modifier.contains(Modifier::BOLD));
        assert!(look.selected.add_modifier.contains(Modifier::REVERSED));
    }
}
