//! The little language behind `/`: plain words, `!word`, `tier:dedicated`, `noise>50`, `oldest>=5m`, `"two words"`.

use super::table::{Column, Value};
use crate::domain::quantity;

/// A filter that was understood. The default admits everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter<C> {
    text: String,
    terms: Vec<Term<C>>,
}

impl<C> Default for Filter<C> {
    fn default() -> Self {
        Self { text: String::new(), terms: Vec::new() }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Term<C> {
    excludes: bool,
    test: Test<C>,
}

#[derive(Debug, Clone, PartialEq)]
enum Test<C> {
    Anywhere(String),
    Contains(C, String),
    Compares(C, Comparison, f64),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Less,
    AtMost,
    Equal,
    AtLeast,
    More,
}

/// Why a filter was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No such column.
    #[error("no column {word}; {}", suggestion.as_ref().map_or_else(|| format!("there are {known}"), |near| format!("did you mean {near}?")))]
    Column {
        /// What was written.
        word: String,
        /// What was perhaps meant.
        suggestion: Option<String>,
        /// What there is.
        known: String,
    },
    /// Words cannot be compared.
    #[error("{0} holds words: write {0}:word")]
    Words(&'static str),
    /// Not a number.
    #[error("{text:?} is not a number that {column} can be compared with: write 50, 4.1M, 2GiB, 30s or 5m")]
    Number {
        /// The column.
        column: &'static str,
        /// What was written.
        text: String,
    },
    /// Nothing after `!`.
    #[error("nothing after !: write !word to exclude it")]
    Nothing,
}

impl<C: Column> Filter<C> {
    /// Reads a filter.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let terms = words(text).iter().map(|word| term(word)).collect::<Result<_, _>>()?;
        Ok(Self { text: text.trim().to_owned(), terms })
    }

    /// What was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it admits everything.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether a row passes every term. What is not known passes no comparison, excluded or not.
    pub fn admits(&self, row: &C::Row, context: &C::Context) -> bool {
        self.terms.iter().all(|term| match &term.test {
            Test::Anywhere(word) => C::ALL.iter().any(|column| says(*column, row, context, word)) != term.excludes,
            Test::Contains(column, word) => says(*column, row, context, word) != term.excludes,
            Test::Compares(column, comparison, than) => match column.value(row, context) {
                Value::Number(value) => compares(value, *comparison, *than) != term.excludes,
                Value::Text(_) | Value::Missing => false,
            },
        })
    }
}

fn says<C: Column>(column: C, row: &C::Row, context: &C::Context, word: &str) -> bool {
    contains(&column.value(row, context), word)
        || column.also(row).is_some_and(|also| contains(&Value::Text(also), word))
}

fn contains(value: &Value<'_>, word: &str) -> bool {
    match value {
        Value::Text(text) if text.is_ascii() && word.is_ascii() => {
            let (text, word) = (text.as_bytes(), word.as_bytes());
            word.is_empty() || text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
        }
        Value::Text(text) => text.to_lowercase().contains(word),
        // As it is shown, or as it is.
        Value::Number(number) => {
            word.starts_with(|first: char| first.is_ascii_digit())
                && (word.parse() == Ok(number.round()) || quantity::count(*number).eq_ignore_ascii_case(word))
        }
        Value::Missing => false,
    }
}

fn compares(value: f64, comparison: Comparison, than: f64) -> bool {
    match comparison {
        Comparison::Less => value < than,
        Comparison::AtMost => value <= than,
        Comparison::Equal => (value - than).abs() < 1e-9,
        Comparison::AtLeast => value >= than,
        Comparison::More => value > than,
    }
}

/// Splits at white space outside double quotes; the quotes themselves go.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quoted = false;
    for char in text.chars() {
        match char {
            '"' => quoted = !quoted,
            char if char.is_whitespace() && !quoted => {
                words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()));
            }
            char => word.push(char),
        }
    }
    words.extend(Some(word).filter(|word| !word.is_empty()));
    words
}

fn term<C: Column>(word: &str) -> Result<Term<C>, FilterError> {
    let (excludes, word) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
    if word.is_empty() {
        return Err(FilterError::Nothing);
    }
    let Some(at) = word.find(['>', '<', '=', ':']) else {
        return Ok(Term { excludes, test: Test::Anywhere(word.to_lowercase()) });
    };
    let (name, rest) = word.split_at(at);
    let (comparison, wanted) = [
        (">=", Comparison::AtLeast),
        ("<=", Comparison::AtMost),
        (">", Comparison::More),
        ("<", Comparison::Less),
        ("=", Comparison::Equal),
    ]
    .into_iter()
    .find_map(|(sign, comparison)| rest.strip_prefix(sign).map(|wanted| (Some(comparison), wanted)))
    .unwrap_or((None, rest.get(1..).unwrap_or_default()));
    let column = column::<C>(name, comparison.is_some())?;
    let test = match (column.is_number(), comparison) {
        (true, comparison) => {
            let number =
                number(wanted).ok_or_else(|| FilterError::Number { column: column.key(), text: wanted.to_owned() })?;
            Test::Compares(column, comparison.unwrap_or(Comparison::Equal), number)
        }
        (false, None | Some(Comparison::Equal)) => Test::Contains(column, wanted.to_lowercase()),
        (false, Some(_)) => return Err(FilterError::Words(column.key())),
    };
    Ok(Term { excludes, test })
}

/// The column of that name or title; of two that share one, that which can be compared so.
fn column<C: Column>(name: &str, compared: bool) -> Result<C, FilterError> {
    // A title of two words is written as one.
    let name = name.to_lowercase().replace(' ', "-");
    let named = |column: &C| column.key() == name || column.aliases().contains(&name.as_str());
    let all = || C::ALL.iter().copied().filter(named);
    all().find(|column| column.is_number() == compared).or_else(|| all().next()).ok_or_else(|| {
        // What begins alike is nearer than what only looks alike.
        let near = |known: &str| {
            let alike = !name.is_empty() && (known.starts_with(&name) || name.starts_with(known));
            if alike { 1.0 } else { strsim::jaro_winkler(known, &name) }
        };
        let candidates =
            C::ALL.iter().flat_map(|column| std::iter::once(column.key()).chain(column.aliases().iter().copied()));
        let suggestion = candidates
            .map(|known| (near(known), known))
            .filter(|(near, _)| *near > 0.75)
            .max_by(|left, right| left.0.total_cmp(&right.0))
            .map(|(_, known)| known.to_owned());
        let known = C::ALL.iter().map(|column| column.key()).collect::<Vec<_>>().join(" ");
        FilterError::Column { word: crate::domain::foreign::sanitise(&name).into_owned(), suggestion, known }
    })
}

/// `50`, `50%`, `4.1M`, `2GB`, `2GiB`, `30s`, `5m`, `2h`, `1d`.
fn number(text: &str) -> Option<f64> {
    let split = text.find(|char: char| !(char.is_ascii_digit() || char == '.' || char == '-')).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let times = match unit {
        "" | "s" | "%" | "B" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        "k" | "K" | "kB" | "KB" => 1e3,
        "M" | "MB" => 1e6,
        "G" | "GB" => 1e9,
        "T" | "TB" => 1e12,
        "KiB" => 1_024.0,
        "MiB" => quantity::MIB,
        "GiB" => quantity::GIB,
        "TiB" => 1_099_511_627_776.0,
        _ => return None,
    };
    digits.parse::<f64>().ok().map(|value| value * times)
}
