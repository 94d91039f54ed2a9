//! Smithy RPC v2 CBOR, which CloudWatch speaks: a map goes there, a map comes back; times are tagged seconds of the epoch.

use aws_smithy_cbor::data::Type;
use aws_smithy_cbor::decode::DeserializeError;
use aws_smithy_cbor::{Decoder, Encoder};
use aws_smithy_types::DateTime;
use serde_json::{Map, Number, Value};

use super::{Fields, Refusal, Shape};

/// Deeper than any question there is.
const DEEPEST: usize = 16;

/// A question's body; `None`: that is no CBOR, or none that any question has.
pub fn read(body: &[u8]) -> Option<Value> {
    if body.is_empty() {
        return Some(Value::Object(Map::new()));
    }
    value(&mut Decoder::new(body), 0).ok()
}

fn value(from: &mut Decoder, depth: usize) -> Result<Value, DeserializeError> {
    let odd = |from: &Decoder| Err(DeserializeError::custom("unexpected", from.position()));
    if depth > DEEPEST {
        return odd(from);
    }
    Ok(match from.datatype()? {
        Type::Map | Type::MapIndef => map(from, depth)?,
        Type::Array | Type::ArrayIndef => list(from, depth)?,
        Type::String | Type::StringIndef => Value::String(from.string()?),
        Type::Bool => Value::Bool(from.boolean()?),
        Type::Null | Type::Undefined => {
            from.null()?;
            Value::Null
        }
        Type::Tag => {
            let at = from.timestamp()?;
            number(at.as_secs_f64())
        }
        Type::F16 | Type::F32 => number(f64::from(from.float()?)),
        Type::F64 => number(from.double()?),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => {
            Value::from(from.long()?)
        }
        _ => return odd(from),
    })
}

fn number(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

fn map(from: &mut Decoder, depth: usize) -> Result<Value, DeserializeError> {
    let mut map = Map::new();
    let mut left = from.map()?;
    loop {
        match &mut left {
            Some(0) => break,
            Some(left) => *left -= 1,
            None if from.datatype()? == Type::Break => {
                from.skip()?;
                break;
            }
            None => {}
        }
        let key = from.string()?;
        map.insert(key, value(from, depth + 1)?);
    }
    Ok(Value::Object(map))
}

fn list(from: &mut Decoder, depth: usize) -> Result<Value, DeserializeError> {
    let mut list = Vec::new();
    let mut left = from.list()?;
    loop {
        match &mut left {
            Some(0) => break,
            Some(left) => *left -= 1,
            None if from.datatype()? == Type::Break => {
                from.skip()?;
                break;
            }
            None => {}
        }
        list.push(value(from, depth + 1)?);
    }
    Ok(Value::Array(list))
}

/// An answer's body.
pub fn write(fields: &Fields) -> Vec<u8> {
    let mut into = Encoder::new(Vec::new());
    structure(&mut into, fields);
    into.into_writer()
}

fn structure(into: &mut Encoder, fields: &Fields) {
    into.map(fields.0.len());
    for (name, shape) in &fields.0 {
        into.str(name);
        put(into, shape);
    }
}

fn put(into: &mut Encoder, shape: &Shape) {
    match shape {
        Shape::Text(text) => into.str(text),
        Shape::Int(number) => into.long(*number),
        Shape::Float(number) => into.double(*number),
        Shape::Bool(flag) => into.boolean(*flag),
        Shape::Time(at) => into.timestamp(&DateTime::from_millis(at.as_millisecond())),
        Shape::List(_, values) => {
            into.array(values.len());
            for value in values {
                put(into, value);
            }
            into
        }
        Shape::Map(fields) => {
            structure(into, fields);
            into
        }
    };
}

/// What is said of a refusal.
pub fn refusal(refusal: &Refusal) -> Vec<u8> {
    write(&Fields::new().with("__type", refusal.code.as_str()).with("message", refusal.message.as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::Input;
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let at = "2026-11-22T15:00:01.5Z".parse().unwrap();
        let fields = Fields::new().with("Name", "x").with("Count", 7_i64).with("Share", 0.25).with("At", at).list(
            "Items",
            "member",
            [Fields::new().with("Flag", true)],
        );
        let input = Input(read(&write(&fields)).unwrap());
        assert_eq!(input.text("Name"), Some("x"));
        assert_eq!((input.int("Count"), input.float("Share")), (Some(7), Some(0.25)));
        assert_eq!(input.time("At"), Some(at));
        assert_eq!(input.entries("Items")[0].flag("Flag"), Some(true));
    }

    #[test]
    fn rubbish_is_refused() {
        for body in
            [&b"\xff"[..], b"\xbf\x61", b"\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f\x9f"]
        {
            assert!(read(body).is_none(), "{body:x?}");
        }
    }
}
