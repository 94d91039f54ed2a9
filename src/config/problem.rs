//! What is wrong with a file, where, in words that an editor can jump to.

use std::fmt;
use std::ops::Range;

use crate::domain::foreign::sanitise;

/// One thing that is wrong with a file, or that will not do what its author may think.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, as messages name it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key, such as `thresholds.role_limit`; empty for the file as a whole.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
    /// The line of the file, where it helps and cannot hold a secret.
    pub source: Option<String>,
}

impl Problem {
    /// A problem at a place of a text.
    pub(super) fn at(file: &str, text: &str, place: Range<usize>, key: &str, message: &str) -> Self {
        let before = text.get(..place.start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            key: key.to_owned(),
            message: sanitise(message).into_owned(),
            source: None,
        }
    }

    /// Adds the line itself, unless it may hold a secret that somebody wrote there by mistake.
    pub(super) fn quoting(mut self, text: &str) -> Self {
        let line = text.lines().nth(self.line - 1).unwrap_or_default();
        let lower = line.to_lowercase();
        let secret = ["password", "secret", "token", "://", "passwd"].iter().any(|word| lower.contains(word));
        self.source = (!secret && !line.trim().is_empty() && line.len() <= 200).then(|| line.to_owned());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}: ", sanitise(&self.file), self.line, self.column)?;
        if !self.key.is_empty() {
            write!(out, "{}: ", sanitise(&self.key))?;
        }
        write!(out, "{}", self.message)?;
        if let Some(source) = &self.source {
            let number = self.line.to_string();
            let cut: String = source.chars().take(self.column - 1).collect();
            // The caret counts what is printed: sanitising changes the number of characters.
            let indent = sanitise(&cut).chars().count();
            write!(out, "\n  {number} | {}", sanitise(source))?;
            write!(out, "\n  {:1$} | {2:3$}^", "", number.len(), "", indent)?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a file, in its order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", lines(.0))]
pub struct ConfigErrors(pub Vec<Problem>);

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_in_characters_and_the_caret_stands_below() {
        let text = "a = 1\n\u{1b}é = [\n";
        let problem = Problem::at("x.toml", text, 10..11, "", "wrong").quoting(text);
        assert_eq!((problem.line, problem.column), (2, 4));
        assert_eq!(problem.to_string(), "x.toml:2:4: wrong\n  2 | ␛é = [\n    |    ^");
    }

    #[test]
    fn a_line_that_may_hold_a_secret_is_not_quoted() {
        let text = "password = \"hunter2\nurl = postgresql://u:hunter2@h\n";
        for start in [0, 20] {
            let problem = Problem::at("x.toml", text, start..start + 1, "", "wrong").quoting(text);
            assert!(!problem.to_string().contains("hunter2"));
        }
    }
}
