//! The Query protocol: a form goes there, XML comes back.

use axum::http::StatusCode;
use jiff::Timestamp;
use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};
use serde_json::{Map, Value};

use super::{Fields, Refusal, Shape};

type Xml = Writer<Vec<u8>>;

/// A form as a tree: `Filters.Filter.1.Values.Value.2` is the second value of the first filter. Lists lose the name of
/// their entries.
pub fn read(body: &[u8]) -> Value {
    let mut root = Value::Object(Map::new());
    for (name, value) in url::form_urlencoded::parse(body) {
        let segments: Vec<&str> = name.split('.').collect();
        put(&mut root, &path(&segments), value.into_owned());
    }
    root
}

enum Step<'a> {
    Name(&'a str),
    Place(usize),
}

fn path<'a>(segments: &[&'a str]) -> Vec<Step<'a>> {
    let mut path = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        match segment.parse::<usize>() {
            // Beyond any list that a caller may send: no memory is made for it.
            Ok(place) if index > 0 && (1..=10_000).contains(&place) => {
                if index > 1 {
                    path.pop();
                }
                path.push(Step::Place(place - 1));
            }
            _ => path.push(Step::Name(segment)),
        }
    }
    path
}

fn put(node: &mut Value, path: &[Step], text: String) {
    let Some((step, rest)) = path.split_first() else {
        *node = Value::String(text);
        return;
    };
    match step {
        Step::Name(name) => {
            if !node.is_object() {
                *node = Value::Object(Map::new());
            }
            put(&mut node[*name], rest, text);
        }
        Step::Place(place) => {
            if !node.is_array() {
                *node = Value::Array(Vec::new());
            }
            if let Some(list) = node.as_array_mut() {
                if list.len() <= *place {
                    list.resize(place + 1, Value::Null);
                }
                put(&mut list[*place], rest, text);
            }
        }
    }
}

/// An answer's body.
pub fn write(action: &str, namespace: &str, fields: &Fields, request: &str) -> Vec<u8> {
    let mut xml = Writer::new(Vec::new());
    let root = format!("{action}Response");
    open(&mut xml, BytesStart::new(root.as_str()).with_attributes([("xmlns", namespace)]));
    let result = format!("{action}Result");
    element(&mut xml, &result, |xml| members(xml, fields));
    element(&mut xml, "ResponseMetadata", |xml| text(xml, "RequestId", request));
    close(&mut xml, &root);
    xml.into_inner()
}

/// What Query services say of a refusal.
pub fn refusal(namespace: &str, refusal: &Refusal, request: &str) -> Vec<u8> {
    let mut xml = Writer::new(Vec::new());
    open(&mut xml, BytesStart::new("ErrorResponse").with_attributes([("xmlns", namespace)]));
    element(&mut xml, "Error", |xml| {
        text(xml, "Type", if refusal.status >= StatusCode::INTERNAL_SERVER_ERROR { "Receiver" } else { "Sender" });
        text(xml, "Code", &refusal.code);
        text(xml, "Message", &refusal.message);
    });
    text(&mut xml, "RequestId", request);
    close(&mut xml, "ErrorResponse");
    xml.into_inner()
}

fn members(xml: &mut Xml, fields: &Fields) {
    for (name, shape) in &fields.0 {
        member(xml, name, shape);
    }
}

fn member(xml: &mut Xml, name: &str, shape: &Shape) {
    match shape {
        Shape::Text(value) => text(xml, name, value),
        Shape::Int(value) => text(xml, name, &value.to_string()),
        Shape::Float(value) => text(xml, name, &value.to_string()),
        Shape::Bool(value) => text(xml, name, &value.to_string()),
        Shape::Time(value) => text(xml, name, &moment(*value)),
        Shape::List(entry, values) => element(xml, name, |xml| {
            for value in values {
                member(xml, entry, value);
            }
        }),
        Shape::Map(fields) => element(xml, name, |xml| members(xml, fields)),
    }
}

/// As AWS writes moments: never later than they are.
fn moment(at: Timestamp) -> String {
    let whole = Timestamp::from_millisecond(at.as_microsecond().div_euclid(1000)).unwrap_or(at);
    format!("{whole:.3}")
}

fn text(xml: &mut Xml, name: &str, value: &str) {
    // XML has no way to write control characters; AWS leaves them out as well.
    let value: String = value.chars().filter(|char| !char.is_control() || "\t\n\r".contains(*char)).collect();
    element(xml, name, |xml| event(xml, Event::Text(BytesText::new(&value))));
}

fn element(xml: &mut Xml, name: &str, inner: impl FnOnce(&mut Xml)) {
    open(xml, BytesStart::new(name));
    inner(xml);
    close(xml, name);
}

fn open(xml: &mut Xml, start: BytesStart) {
    event(xml, Event::Start(start));
}

fn close(xml: &mut Xml, name: &str) {
    event(xml, Event::End(BytesEnd::new(name)));
}

fn event(xml: &mut Xml, event: Event) {
    // Writing to memory cannot fail.
    let _ = xml.write_event(event);
}

#[cfg(test)]
mod tests {
    use super::super::Input;
    use super::*;

    #[test]
    fn a_form_becomes_a_tree_and_lists_lose_their_entries_names() {
        let form = b"Action=X&Filters.Filter.1.Name=id&Filters.Filter.1.Values.Value.1=a&Filters.Filter.1.Values.Value.2=b%26c\
                     &Config.EnableLogTypes.member.1=postgresql&Tags.Tag.1.Key=k&Tags.Tag.1.Value=v+w";
        let input = Input(read(form));
        let filters = input.entries("Filters");
        assert_eq!(filters[0].text("Name"), Some("id"));
        assert_eq!(filters[0].texts("Values"), ["a", "b&c"]);
        assert_eq!(input.inner("Config").texts("EnableLogTypes"), ["postgresql"]);
        assert_eq!(input.entries("Tags")[0].text("Value"), Some("v w"));
    }

    #[test]
    fn forms_that_nobody_should_send_do_no_harm() {
        for form in ["1.2.3=x", "A.99999999999.B=1", "=", "A.1=x&A.1.B=y&A=z", "...=1"] {
            read(form.as_bytes());
        }
    }

    #[test]
    fn text_is_escaped_and_times_are_never_late() {
        let at: Timestamp = "2026-11-22T15:00:01.9999Z".parse().unwrap();
        let fields = Fields::new().with("Name", "a<b>&\u{1b}[31m").with("At", at).list("Items", "Item", ["x", "y"]);
        let xml = String::from_utf8(write("Do", "urn:x", &fields, "r-1")).unwrap();
        assert_eq!(
            xml,
            "<DoResponse xmlns=\"urn:x\"><DoResult><Name>a&lt;b&gt;&amp;[31m</Name><At>2026-11-22T15:00:01.999Z</At>\
             <Items><Item>x</Item><Item>y</Item></Items></DoResult>\
             <ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></DoResponse>"
        );
    }
}
