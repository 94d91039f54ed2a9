//! The published JSON schemas: they are the code's, and they can be checked against. The checker knows as much of JSON
//! Schema as the schemas use, and refuses what it does not know.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use tierdeck::cli::ack::AckList;
use tierdeck::cli::doctor::Report;
use tierdeck::cli::document::{Findings, Status};
use tierdeck::cli::ops::OpsList;
use tierdeck::ops::report::Report as OpsReport;

/// The schema of what is written (every key is there, `null` where it is not known), as it is published.
fn published<T: JsonSchema>() -> String {
    let schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    format!("{}\n", serde_json::to_string_pretty(&schema).unwrap())
}

#[test]
fn the_published_schemas_are_the_codes() {
    for (name, now) in [
        ("status", published::<Status>()),
        ("findings", published::<Findings>()),
        ("doctor", published::<Report>()),
        ("ack-list", published::<AckList>()),
        ("ops-list", published::<OpsList>()),
        ("ops-report", published::<OpsReport>()),
    ] {
        let path = format!("{}/assets/schema/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == now, "{path} is out of date; write it anew: UPDATE=1 cargo test --test cli published");
    }
}

/// Asserts that a document is what its published schema says.
pub fn assert_valid(name: &str, document: &Value) {
    let path = format!("{}/assets/schema/{name}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let wrong = problems(&schema, &schema, document, "$");
    assert!(wrong.is_empty(), "{name}: {wrong:#?}");
}

fn problems(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let empty = serde_json::Map::new();
    for (word, rule) in schema.as_object().unwrap_or(&empty) {
        let each = || rule.as_array().into_iter().flatten();
        match word.as_str() {
            // A format says nothing here beyond the type.
            "$schema" | "title" | "description" | "$defs" | "format" => {}
            "$ref" => {
                let target = rule.as_str().and_then(|path| root.pointer(path.trim_start_matches('#'))).unwrap();
                wrong.extend(problems(root, target, value, at));
            }
            "type" => {
                let one = std::slice::from_ref(rule);
                let allowed = rule.as_array().map_or(one, Vec::as_slice);
                if !allowed.iter().any(|name| is(value, name.as_str().unwrap())) {
                    wrong.push(format!("{at}: {value} is not {rule}"));
                }
            }
            "required" => {
                let missing = each().filter(|key| value.is_object() && value.get(key.as_str().unwrap()).is_none());
                wrong.extend(missing.map(|key| format!("{at}: {key} is missing")));
            }
            "properties" => {
                for (key, below) in rule.as_object().unwrap() {
                    if let Some(inner) = value.get(key) {
                        wrong.extend(problems(root, below, inner, &format!("{at}.{key}")));
                    }
                }
            }
            "additionalProperties" => {
                let known = schema.get("properties").and_then(Value::as_object);
                let more = value.as_object().into_iter().flatten();
                for (key, inner) in more.filter(|(key, _)| known.is_none_or(|known| !known.contains_key(*key))) {
                    if rule.as_bool() == Some(false) {
                        wrong.push(format!("{at}: {key} is not known"));
                    } else if rule.is_object() {
                        wrong.extend(problems(root, rule, inner, &format!("{at}.{key}")));
                    }
                }
            }
            "items" => {
                for (place, inner) in value.as_array().into_iter().flatten().enumerate() {
                    wrong.extend(problems(root, rule, inner, &format!("{at}[{place}]")));
                }
            }
            "enum" if each().any(|it| it == value) => {}
            "const" if rule == value => {}
            "enum" | "const" => wrong.push(format!("{at}: {value} is not {rule}")),
            "anyOf" | "oneOf" => {
                let fits = each().filter(|one| problems(root, one, value, at).is_empty()).count();
                if fits == 0 || (word == "oneOf" && fits > 1) {
                    wrong.push(format!("{at}: {value} fits {fits} of {word}"));
                }
            }
            "minimum" | "maximum" => {
                let (limit, number) = (rule.as_f64().unwrap(), value.as_f64());
                if number.is_some_and(|number| if word == "minimum" { number < limit } else { number > limit }) {
                    wrong.push(format!("{at}: {value}: {word} {rule}"));
                }
            }
            other => wrong.push(format!("{at}: this checker does not know {other:?}")),
        }
    }
    wrong
}

fn is(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let schema: Value = serde_json::from_str(&published::<Findings>()).unwrap();
    let good = json!({"schema": 1, "taken_at": "", "environment": "x", "findings": [], "unknown": []});
    assert_eq!(problems(&schema, &schema, &good, "$"), Vec::<String>::new());
    for (pointer, bad) in [
        ("/schema", json!(-1)),
        ("/schema", json!("1")),
        ("/environment", json!(null)),
        ("/findings", json!([{}])),
        (
            "/unknown",
            json!([{"signal": "sorcery", "subject": {"kind": "role", "id": "", "instance": ""}, "reason": ""}]),
        ),
    ] {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = bad;
        assert!(!problems(&schema, &schema, &document, "$").is_empty(), "{document}");
    }
    let mut short = good;
    short.as_object_mut().unwrap().remove("unknown");
    assert_eq!(problems(&schema, &schema, &short, "$"), ["$: \"unknown\" is missing"]);
}
