//! What all services' answers and questions are made of, whatever protocol carries them: an answer is a tree of [`Shape`]s,
//! a question an [`Input`], a refusal a [`Refusal`].

pub mod cbor;
pub mod json;
pub mod query;

use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::Value;

/// A value in an answer. Protocols differ in how they write times, and in whether a list's entries have a name.
#[derive(Debug, Clone)]
pub enum Shape {
    /// A string.
    Text(String),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// A moment.
    Time(Timestamp),
    /// A list, and what XML calls its entries.
    List(&'static str, Vec<Shape>),
    /// A structure, or a map.
    Map(Fields),
}

/// The members of a structure, in order.
#[derive(Debug, Clone, Default)]
pub struct Fields(pub Vec<(String, Shape)>);

impl Fields {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// One more.
    pub fn with(mut self, name: &str, value: impl Into<Shape>) -> Self {
        self.0.push((name.to_owned(), value.into()));
        self
    }

    /// One more, if it is there: what is not known is left out.
    pub fn maybe(self, name: &str, value: Option<impl Into<Shape>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// A list, with the name of its entries.
    pub fn list<T: Into<Shape>>(self, name: &str, entry: &'static str, values: impl IntoIterator<Item = T>) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        self.with(name, Shape::List(entry, values))
    }
}

impl<T: Into<Shape>> FromIterator<(String, T)> for Fields {
    fn from_iter<I: IntoIterator<Item = (String, T)>>(entries: I) -> Self {
        Self(entries.into_iter().map(|(name, value)| (name, value.into())).collect())
    }
}

macro_rules! shape_from {
    ($($from:ty => |$value:ident| $made:expr;)*) => {
        $(impl From<$from> for Shape {
            fn from($value: $from) -> Self {
                $made
            }
        })*
    };
}

shape_from! {
    String => |value| Self::Text(value);
    &String => |value| Self::Text(value.clone());
    &str => |value| Self::Text(value.to_owned());
    i64 => |value| Self::Int(value);
    u16 => |value| Self::Int(i64::from(value));
    u32 => |value| Self::Int(i64::from(value));
    u64 => |value| Self::Int(i64::try_from(value).unwrap_or(i64::MAX));
    usize => |value| Self::Int(i64::try_from(value).unwrap_or(i64::MAX));
    f64 => |value| Self::Float(value);
    bool => |value| Self::Bool(value);
    Timestamp => |value| Self::Time(value);
    Fields => |value| Self::Map(value);
}

/// Something foreign that was kept as it came (a backup plan), told again.
impl From<&Value> for Shape {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Map(Fields::new()),
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Self::Int(whole),
                None => Self::Float(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(values) => Self::List("member", values.iter().map(Into::into).collect()),
            Value::Object(entries) => {
                Self::Map(entries.iter().map(|(name, value)| (name.clone(), Self::from(value))).collect())
            }
        }
    }
}

/// An error as the service tells it; each protocol has its own way to write it.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// The service's own name for it.
    pub code: String,
    /// For people.
    pub message: String,
}

impl Refusal {
    /// The caller's mistake.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code: code.to_owned(), message: message.into() }
    }

    /// With a status other than 400.
    pub fn with(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, ..Self::new(code, message) }
    }

    /// Something is not there.
    pub fn missing(code: &str, message: impl Into<String>) -> Self {
        Self::with(StatusCode::NOT_FOUND, code, message)
    }
}

/// What comes of a call.
pub type Answer = Result<Fields, Refusal>;

/// The parameters of a call. Query's are all strings, JSON's and CBOR's are typed: both are read.
#[derive(Debug, Clone, Default)]
pub struct Input(pub Value);

impl Input {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_str()
    }

    /// A string, or nothing where it is empty.
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|text| !text.is_empty())
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Option<i64> {
        let value = self.get(name)?;
        value.as_i64().or_else(|| value.as_str()?.parse().ok())
    }

    /// A number.
    pub fn float(&self, name: &str) -> Option<f64> {
        let value = self.get(name)?;
        value.as_f64().or_else(|| value.as_str()?.parse().ok())
    }

    /// Yes or no.
    pub fn flag(&self, name: &str) -> Option<bool> {
        let value = self.get(name)?;
        value.as_bool().or_else(|| match value.as_str()? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })
    }

    /// A moment: ISO 8601, or seconds of the epoch.
    pub fn time(&self, name: &str) -> Option<Timestamp> {
        let value = self.get(name)?;
        match value.as_f64() {
            Some(seconds) => Timestamp::from_microsecond((seconds * 1e6).round() as i64).ok(),
            None => value.as_str()?.parse().ok(),
        }
    }

    /// Whether it was given at all.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// A parameter that is none of these: the estate would only pretend to heed it.
    pub fn beyond(&self, known: impl Fn(&str) -> bool) -> Option<&str> {
        self.0.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).find(|name| !known(name))
    }

    /// The entries of a list of structures.
    pub fn entries(&self, name: &str) -> Vec<Input> {
        let list = self.get(name).and_then(Value::as_array);
        list.into_iter().flatten().cloned().map(Self).collect()
    }

    /// A list of strings.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let list = self.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// A structure.
    pub fn inner(&self, name: &str) -> Input {
        Self(self.get(name).cloned().unwrap_or_default())
    }

    /// A map of strings.
    pub fn pairs(&self, name: &str) -> Vec<(String, String)> {
        let map = self.get(name).and_then(Value::as_object);
        map.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    }
}

/// One page of a list: what is on it, and where the next one begins. Marks are places, which is enough where nothing is
/// ever long.
pub fn page<T>(all: Vec<T>, mark: Option<&str>, most: usize) -> Option<(Vec<T>, Option<String>)> {
    let start: usize = match mark {
        None | Some("") => 0,
        Some(mark) => mark.strip_prefix("place-")?.parse().ok()?,
    };
    let next = start.saturating_add(most);
    let more = (next < all.len()).then(|| format!("place-{next}"));
    Some((all.into_iter().skip(start).take(most).collect(), more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_join_to_the_whole() {
        let mut mark = None;
        let mut seen = Vec::new();
        loop {
            let (part, more) = page((0..7).collect(), mark.as_deref(), 3).unwrap();
            assert!(part.len() <= 3);
            seen.extend(part);
            mark = more;
            if mark.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..7).collect::<Vec<_>>());
        assert!(page(vec![1], Some("nonsense"), 3).is_none());
    }
}
