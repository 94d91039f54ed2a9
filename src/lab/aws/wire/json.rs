//! AWS JSON 1.0 and 1.1, and REST-JSON: a body each; times are seconds of the epoch.

use serde_json::{Map, Number, Value};

use super::{Fields, Refusal, Shape};

/// An answer's body.
pub fn write(fields: &Fields) -> Vec<u8> {
    structure(fields).to_string().into_bytes()
}

fn structure(fields: &Fields) -> Value {
    Value::Object(fields.0.iter().map(|(name, shape)| (name.clone(), value(shape))).collect::<Map<_, _>>())
}

fn value(shape: &Shape) -> Value {
    match shape {
        Shape::Text(text) => text.clone().into(),
        Shape::Int(number) => (*number).into(),
        Shape::Float(number) => Number::from_f64(*number).map_or(Value::Null, Value::Number),
        Shape::Bool(flag) => (*flag).into(),
        Shape::Time(at) => (at.as_millisecond() as f64 / 1000.0).into(),
        Shape::List(_, values) => values.iter().map(value).collect(),
        Shape::Map(fields) => structure(fields),
    }
}

/// What `awsJson` says of a refusal.
pub fn refusal(refusal: &Refusal) -> Vec<u8> {
    serde_json::json!({"__type": refusal.code, "message": refusal.message}).to_string().into_bytes()
}

/// What REST-JSON says of it; its code is in a header too.
pub fn rest_refusal(refusal: &Refusal) -> Vec<u8> {
    let kind = if refusal.status.is_server_error() { "Server" } else { "Client" };
    serde_json::json!({"Code": refusal.code, "Message": refusal.message, "Type": kind}).to_string().into_bytes()
}
