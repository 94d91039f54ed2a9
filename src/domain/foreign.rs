//! The one place that makes foreign text safe to print.
//!
//! A tenant chooses its own names, queries and `application_name`; all of it is hostile until shown otherwise. Such text
//! travels as [`Foreign`]: the raw text can be read for matching, but everything that prints it — `Display`, serde, the
//! screens — gets the sanitised form: one line, no control or format characters, no invisible or direction-changing marks.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most bytes of one foreign text that are kept; what is longer is cut at a character and marked with `…`.
pub const LONGEST: usize = 8 * 1024;

/// The most combining marks that one base character keeps: more is a way to paint over neighbouring lines.
const MARKS: usize = 3;

/// Text that somebody else wrote. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Foreign(Arc<str>);

impl Foreign {
    /// Takes the text as it came, cut at [`LONGEST`].
    pub fn new(text: &str) -> Self {
        if text.len() <= LONGEST {
            return Self(Arc::from(text));
        }
        let mut end = LONGEST;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Self(Arc::from(format!("{}…", &text[..end])))
    }

    /// The text as it came: for matching and for quoting into SQL, never for printing.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text as it may be printed.
    pub fn shown(&self) -> Cow<'_, str> {
        sanitise(&self.0)
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.shown())
    }
}

impl fmt::Debug for Foreign {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.shown())
    }
}

impl Serialize for Foreign {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.shown())
    }
}

impl<'de> Deserialize<'de> for Foreign {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self::from(String::deserialize(from)?))
    }
}

impl Default for Foreign {
    fn default() -> Self {
        Self::new("")
    }
}

impl From<&str> for Foreign {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<Arc<str>> for Foreign {
    fn from(text: Arc<str>) -> Self {
        if text.len() <= LONGEST { Self(text) } else { Self::new(&text) }
    }
}

impl From<String> for Foreign {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}

/// Makes any text printable on one line of a terminal.
///
/// White space of every kind becomes a space (runs collapse), other control characters become their visible pictures
/// (`ESC` is `␛`), invisible and direction-changing characters become `�`, and stacks of combining marks are cut.
pub fn sanitise(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && !text.contains("  ") {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    let mut marks = 0;
    for char in text.chars() {
        let shown = match char {
            char if char.is_whitespace() => ' ',
            '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + char as u32).unwrap_or('�'),
            '\u{7f}' => '␡',
            '\u{80}'..='\u{9f}' => '�',
            char if is_invisible(char) => '�',
            char => char,
        };
        if is_combining(shown) {
            marks += 1;
            if marks > MARKS {
                continue;
            }
        } else {
            marks = 0;
        }
        if !(shown == ' ' && safe.ends_with(' ')) {
            safe.push(shown);
        }
    }
    Cow::Owned(safe)
}

/// Zero-width, direction-changing, tag and other format characters: what a reader cannot see but a terminal obeys.
fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' | '\u{fdd0}'..='\u{fdef}')
        || (char as u32) & 0xfffe == 0xfffe
}

fn is_combining(char: char) -> bool {
    matches!(char,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{591}'..='\u{5bd}' | '\u{610}'..='\u{61a}'
        | '\u{64b}'..='\u{65f}' | '\u{e31}' | '\u{e34}'..='\u{e3a}' | '\u{e47}'..='\u{e4e}'
        | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_become_visible_and_inert() {
        let evil = Foreign::from("a\u{1b}]0;pwned\u{7}b\u{9b}31mc\u{7f}\u{0}");
        assert_eq!(evil.to_string(), "a␛]0;pwned␇b�31mc␡␀");
        assert_eq!(serde_json::to_string(&evil).unwrap(), "\"a␛]0;pwned␇b�31mc␡␀\"");
        assert_eq!(format!("{evil:?}"), "\"a␛]0;pwned␇b�31mc␡␀\"");
    }

    #[test]
    fn white_space_is_one_line_and_direction_marks_are_shown() {
        assert_eq!(sanitise("select\n\t 1\r\n\u{2028}x\u{a0}y"), "select 1 x y");
        assert_eq!(sanitise("abc\u{202e}fed\u{200b}g"), "abc�fed�g");
        assert_eq!(sanitise("ok  ok"), "ok ok");
    }

    #[test]
    fn stacks_of_marks_are_cut_and_wide_text_stays() {
        let zalgo: String = std::iter::once('e').chain(std::iter::repeat_n('\u{301}', 50)).collect();
        assert_eq!(sanitise(&zalgo).chars().count(), 1 + MARKS);
        assert_eq!(sanitise("顧客 é"), "顧客 é");
    }

    #[test]
    fn a_megabyte_is_cut_at_a_character() {
        let long = Foreign::new(&"é".repeat(1_000_000));
        assert!(long.raw().len() <= LONGEST + '…'.len_utf8());
        assert!(long.raw().ends_with('…'));
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_a_terminal_obeys_survives(text in "\\PC*|(?s).*") {
            let safe = sanitise(&text);
            proptest::prop_assert!(!safe.chars().any(|c| c.is_control() || is_invisible(c)), "{safe:?}");
            let again = sanitise(&safe);
            proptest::prop_assert_eq!(again.as_ref(), safe.as_ref());
        }
    }
}
