//! A theme's file: `role = "#rrggbb"`, or `["#rrggbb", "light-red"]` with the stand-in among the 16 colours; `base` names
//! the theme that the rest is taken from.

use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ANSI, Colours, Ink, Rgb, Role, Theme};
use crate::domain::foreign::sanitise;
use crate::domain::spelling::did_you_mean;

/// What is wrong with a theme's file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("theme {file}.toml, line {line}: {message}")]
pub struct ThemeError {
    /// The theme.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What is wrong and what to write instead.
    pub message: String,
}

struct Reader<'t> {
    name: &'t str,
    text: &'t str,
}

/// A theme of one's own.
pub(super) fn read(name: &str, text: &str) -> Result<Theme, ThemeError> {
    let reader = Reader { name, text };
    let table = reader.table()?;
    let base = match table.iter().find(|(key, _)| key.get_ref() == "base") {
        Some((_, value)) => reader.base(value)?,
        None => Theme::default().colours,
    };
    // What has no colours of its own to fall back on is dark.
    let Some(base) = base.or_else(|| Theme::default().colours) else {
        return Err(reader.error(0..0, "no theme to start from"));
    };
    let mut inks = base.0;
    for (key, value) in &table {
        let key_name: &str = key.get_ref();
        if key_name == "base" {
            continue;
        }
        let Some(role) = Role::ALL.into_iter().find(|role| role.name() == key_name) else {
            let known = || Role::ALL.into_iter().map(Role::name).chain(["base"]);
            let hint = match did_you_mean(key_name, known()) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
            };
            return Err(reader.error(key.span(), &format!("no colour {key_name:?}: {hint}")));
        };
        inks[role as usize] = reader.ink(value)?;
    }
    Ok(Theme { name: Arc::from(sanitise(name)), colours: Some(Colours(inks)) })
}

/// A theme that says everything itself.
pub(super) fn whole(name: &str, text: &str) -> Result<Theme, ThemeError> {
    let reader = Reader { name, text };
    let table = reader.table()?;
    let mut inks = [Ink { rgb: None, ansi: None }; Role::ALL.len()];
    for role in Role::ALL {
        let Some((_, value)) = table.iter().find(|(key, _)| key.get_ref() == role.name()) else {
            return Err(reader.error(0..0, &format!("{} is missing", role.name())));
        };
        inks[role as usize] = reader.ink(value)?;
    }
    Ok(Theme { name: Arc::from(name), colours: Some(Colours(inks)) })
}

impl<'t> Reader<'t> {
    fn error(&self, place: Range<usize>, message: &str) -> ThemeError {
        let before = self.text.get(..place.start).unwrap_or_default();
        ThemeError {
            file: sanitise(self.name).into_owned(),
            line: before.matches('\n').count() + 1,
            message: sanitise(message).into_owned(),
        }
    }

    fn table(&self) -> Result<DeTable<'t>, ThemeError> {
        DeTable::parse(self.text)
            .map(Spanned::into_inner)
            .map_err(|fault| self.error(fault.span().unwrap_or_default(), fault.message()))
    }

    fn base(&self, value: &Spanned<DeValue<'_>>) -> Result<Option<Colours>, ThemeError> {
        let names = || Theme::built_in().iter().map(|theme| &*theme.name);
        let all = || names().collect::<Vec<_>>().join(", ");
        let DeValue::String(name) = value.get_ref() else {
            return Err(self.error(value.span(), &format!("base is the name of a theme: {}", all())));
        };
        Theme::named(name).map(|theme| theme.colours).ok_or_else(|| {
            let hint = did_you_mean(name, names()).map_or_else(all, |near| format!("did you mean {near}?"));
            self.error(value.span(), &format!("no theme {name:?} to start from: {hint}"))
        })
    }

    fn ink(&self, value: &Spanned<DeValue<'_>>) -> Result<Ink, ThemeError> {
        match value.get_ref() {
            DeValue::String(colour) => {
                let rgb = self.rgb(colour, value.span())?;
                Ok(Ink { rgb, ansi: rgb.map(nearest) })
            }
            DeValue::Array(pair) => match pair.iter().collect::<Vec<_>>()[..] {
                [colour, stand_in] => {
                    let (DeValue::String(rgb), DeValue::String(ansi)) = (colour.get_ref(), stand_in.get_ref()) else {
                        return Err(self.shape(value.span()));
                    };
                    Ok(Ink { rgb: self.rgb(rgb, colour.span())?, ansi: self.ansi(ansi, stand_in.span())? })
                }
                _ => Err(self.shape(value.span())),
            },
            _ => Err(self.shape(value.span())),
        }
    }

    fn shape(&self, place: Range<usize>) -> ThemeError {
        self.error(place, "a colour is \"#rrggbb\", \"default\", or [\"#rrggbb\", \"light-red\"]")
    }

    fn rgb(&self, text: &str, place: Range<usize>) -> Result<Option<Rgb>, ThemeError> {
        if text == "default" {
            return Ok(None);
        }
        let part = |from: usize| text.get(from..from + 2).and_then(|part| u8::from_str_radix(part, 16).ok());
        match (text.strip_prefix('#').map(str::len), part(1), part(3), part(5)) {
            (Some(6), Some(red), Some(green), Some(blue)) => Ok(Some((red, green, blue))),
            _ => Err(self.error(place, &format!("{text:?} is no colour: write \"#rrggbb\" or \"default\""))),
        }
    }

    fn ansi(&self, text: &str, place: Range<usize>) -> Result<Option<u8>, ThemeError> {
        if text == "default" {
            return Ok(None);
        }
        let names = || ANSI.iter().map(|(name, _)| *name);
        let found = names().position(|name| name == text).and_then(|at| u8::try_from(at).ok());
        found.map(Some).ok_or_else(|| {
            let all = || format!("there are default, {}", names().collect::<Vec<_>>().join(", "));
            let hint = did_you_mean(text, names()).map_or_else(all, |near| format!("did you mean {near}?"));
            self.error(place, &format!("{text:?} is none of the 16 colours: {hint}"))
        })
    }
}

/// The nearest of the 16.
fn nearest((red, green, blue): Rgb) -> u8 {
    let part = |one: u8, other: u8| (i32::from(one) - i32::from(other)).pow(2);
    let far = |&(_, (r, g, b)): &(&str, Rgb)| part(r, red) + part(g, green) + part(b, blue);
    let found = ANSI.iter().enumerate().min_by_key(|(_, colour)| far(colour)).map_or(7, |(at, _)| at);
    u8::try_from(found).unwrap_or(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_s_own_theme_is_its_base_and_what_it_changes() {
        let own = Theme::parse(
            "mine",
            "base = \"light\"\n# mine\ncritical = \"#ff0010\"\naccent = [\"#010203\", \"blue\"]\n",
        );
        let own = own.unwrap();
        let light = Theme::named("light").unwrap().colours.unwrap();
        let colours = own.colours.unwrap();
        assert_eq!(&*own.name, "mine");
        assert_eq!(colours.of(Role::Critical), Ink { rgb: Some((255, 0, 16)), ansi: Some(9) });
        assert_eq!(colours.of(Role::Accent), Ink { rgb: Some((1, 2, 3)), ansi: Some(4) });
        assert_eq!(colours.of(Role::Good), light.of(Role::Good));
        let clear = Theme::parse("clear", "background = \"default\"").unwrap();
        assert_eq!(clear.colours.unwrap().of(Role::Background), Ink { rgb: None, ansi: None });
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_what_was_meant() {
        let error = |text: &str| Theme::parse("mine", text).unwrap_err().to_string();
        for (text, line, words) in [
            ("text = \"#ffffff\"\ncritcal = \"#ff0000\"", 2, "did you mean critical?"),
            ("text = \"red\"", 1, "write \"#rrggbb\""),
            ("text = \"#ff00\"", 1, "is no colour"),
            ("text = \"#éé0\"", 1, "is no colour"),
            ("\n\ntext = [\"#ffffff\", \"light-rad\"]", 3, "did you mean light-red?"),
            ("base = \"drak\"", 1, "did you mean dark?"),
            ("base = 3", 1, "the name of a theme"),
            ("text = 3", 1, "a colour is"),
            ("text = [\"#ffffff\"]", 1, "a colour is"),
            ("text = \n", 1, "theme mine.toml"),
        ] {
            let said = error(text);
            assert!(said.contains(&format!("line {line}: ")) && said.contains(words), "{text:?}: {said}");
        }
    }
}
