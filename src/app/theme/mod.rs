//! Colours by meaning, as data: the themes that come along and those of the operator's own have the same form.

use std::sync::{Arc, LazyLock};

mod file;

pub use file::ThemeError;

/// What a colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Role {
    Background,
    Text,
    Strong,
    Dim,
    Faint,
    Rule,
    Track,
    Accent,
    Second,
    Critical,
    Warning,
    Info,
    Good,
    Selected,
    Production,
}

impl Role {
    /// All of them, in the order of their places in [`Colours`].
    pub const ALL: [Self; 15] = [
        Self::Background,
        Self::Text,
        Self::Strong,
        Self::Dim,
        Self::Faint,
        Self::Rule,
        Self::Track,
        Self::Accent,
        Self::Second,
        Self::Critical,
        Self::Warning,
        Self::Info,
        Self::Good,
        Self::Selected,
        Self::Production,
    ];

    /// Its key in a theme's file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Text => "text",
            Self::Strong => "strong",
            Self::Dim => "dim",
            Self::Faint => "faint",
            Self::Rule => "rule",
            Self::Track => "track",
            Self::Accent => "accent",
            Self::Second => "second",
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Good => "good",
            Self::Selected => "selected",
            Self::Production => "production",
        }
    }
}

/// Red, green, blue.
pub type Rgb = (u8, u8, u8);

/// A colour, and which of the 16 stands in for it on a terminal that has no more; `None` is the terminal's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ink {
    /// With millions of colours, or 256.
    pub rgb: Option<Rgb>,
    /// With 16: 0 to 15.
    pub ansi: Option<u8>,
}

/// A colour for each role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colours([Ink; Role::ALL.len()]);

impl Colours {
    /// The colour of a role.
    pub fn of(&self, role: Role) -> Ink {
        self.0[role as usize]
    }
}

/// A named set of colours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Theme {
    /// What it is called.
    pub name: Arc<str>,
    /// Its colours; `None`: no colour at all, only bold, reverse and signs.
    pub colours: Option<Colours>,
}

/// The theme without colours.
const PLAIN: &str = "plain";

static BUILT_IN: LazyLock<Vec<Theme>> = LazyLock::new(|| {
    let texts = [
        ("dark", include_str!("../../../assets/themes/dark.toml")),
        ("light", include_str!("../../../assets/themes/light.toml")),
        ("colour-blind", include_str!("../../../assets/themes/colour-blind.toml")),
        ("high-contrast", include_str!("../../../assets/themes/high-contrast.toml")),
    ];
    let mut themes: Vec<Theme> = texts.into_iter().filter_map(|(name, text)| file::whole(name, text).ok()).collect();
    themes.push(Theme { name: Arc::from(PLAIN), colours: None });
    themes
});

impl Theme {
    /// The themes that come along.
    pub fn built_in() -> &'static [Self] {
        &BUILT_IN
    }

    /// The theme that comes along under that name.
    pub fn named(name: &str) -> Option<Self> {
        BUILT_IN.iter().find(|theme| &*theme.name == name).cloned()
    }

    /// Reads one's own theme; `name` is its file's, without `.toml`.
    pub fn parse(name: &str, text: &str) -> Result<Self, ThemeError> {
        file::read(name, text)
    }
}

impl Default for Theme {
    fn default() -> Self {
        // The first is there: a test reads every theme that comes along.
        BUILT_IN.first().cloned().unwrap_or(Self { name: Arc::from(PLAIN), colours: None })
    }
}

/// The 16 colours as most terminals show them (xterm's), and what a theme's file calls them.
pub const ANSI: [(&str, Rgb); 16] = [
    ("black", (0, 0, 0)),
    ("red", (205, 0, 0)),
    ("dark-green", (0, 205, 0)),
    ("dark-yellow", (205, 205, 0)),
    ("blue", (0, 0, 238)),
    ("magenta", (205, 0, 205)),
    ("dark-cyan", (0, 205, 205)),
    ("grey", (229, 229, 229)),
    ("dark-grey", (127, 127, 127)),
    ("light-red", (255, 0, 0)),
    ("light-green", (0, 255, 0)),
    ("light-yellow", (255, 255, 0)),
    ("light-blue", (92, 92, 255)),
    ("light-magenta", (255, 0, 255)),
    ("light-cyan", (0, 255, 255)),
    ("white", (255, 255, 255)),
];

/// How well two colours can be told apart as text and ground: 1 (not at all) to 21, by WCAG's formula.
pub fn contrast(one: Rgb, other: Rgb) -> f64 {
    let luminance = |(red, green, blue): Rgb| {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_theme_that_comes_along_is_whole() {
        let names: Vec<&str> = Theme::built_in().iter().map(|theme| &*theme.name).collect();
        assert_eq!(names, ["dark", "light", "colour-blind", "high-contrast", "plain"]);
        assert_eq!(&*Theme::default().name, "dark");
        for (place, role) in Role::ALL.into_iter().enumerate() {
            assert_eq!(place, role as usize, "{role:?}");
        }
    }

    #[test]
    fn contrast_is_wcags() {
        assert!((contrast((0, 0, 0), (255, 255, 255)) - 21.0).abs() < 1e-9);
        assert!((contrast((119, 119, 119), (255, 255, 255)) - 4.48).abs() < 0.01);
    }
}
