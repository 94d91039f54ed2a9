//! What a plan's selections take.

use serde_json::Value;

use crate::lab::aws::state::Tags;

/// The prefix of a condition's key that names a tag.
const TAG: &str = "aws:ResourceTag/";

/// Whether a selection takes an instance. Resources and tags of a list are alternatives, and conditions narrow that; a selection
/// that names nothing takes everything.
pub fn takes(selection: &Value, arn: &str, tags: &Tags) -> bool {
    let named = |list: &str| selection[list].as_array().map_or(&[][..], Vec::as_slice);
    let among = |list: &[Value]| list.iter().filter_map(Value::as_str).any(|pattern| is_like(arn, pattern));
    let tag = |condition: &Value| tags.get(key(condition)).map(String::as_str);
    let value = |condition: &Value| condition["ConditionValue"].as_str().unwrap_or_default().to_owned();
    let (resources, listed) = (named("Resources"), named("ListOfTags"));
    let chosen = (resources.is_empty() && listed.is_empty())
        || among(resources)
        || listed.iter().any(|it| tag(it) == Some(value(it).as_str()));
    let all = |operator: &str, fits: &dyn Fn(Option<&str>, &str) -> bool| {
        let conditions = selection["Conditions"][operator].as_array();
        conditions.into_iter().flatten().all(|it| fits(tag(it), &value(it)))
    };
    chosen
        && !among(named("NotResources"))
        && all("StringEquals", &|tag, value| tag == Some(value))
        && all("StringNotEquals", &|tag, value| tag != Some(value))
        && all("StringLike", &|tag, value| tag.is_some_and(|tag| is_like(tag, value)))
        && all("StringNotLike", &|tag, value| tag.is_none_or(|tag| !is_like(tag, value)))
}

fn key(condition: &Value) -> &str {
    let key = condition["ConditionKey"].as_str().unwrap_or_default();
    key.strip_prefix(TAG).unwrap_or(key)
}

/// Whether a text is of a pattern in which `*` stands for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => text == pattern,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.any(|at| is_like(&text[at..], rest))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:rds:eu-west-1:123456789012:db:acme-db";

    #[test]
    fn a_selection_takes_what_it_names() {
        let tags =
            Tags::from([("StorageTier".to_owned(), "dedicated".to_owned()), ("Stage".to_owned(), "prod-1".to_owned())]);
        let condition = |key: &str, value: &str| json!({"ConditionType": "STRINGEQUALS", "ConditionKey": key, "ConditionValue": value});
        let tier = condition("StorageTier", "dedicated");
        for (selection, taken) in [
            (json!({}), true),
            (json!({"ListOfTags": [tier]}), true),
            (json!({"ListOfTags": [condition("StorageTier", "shared")]}), false),
            (json!({"ListOfTags": [condition("StorageTier", "shared"), tier]}), true),
            (json!({"Resources": ["arn:aws:rds:*:*:db:*"]}), true),
            (json!({"Resources": ["arn:aws:rds:*:*:cluster:*"]}), false),
            (json!({"Resources": ["arn:aws:rds:*:*:cluster:*"], "ListOfTags": [tier]}), true),
            (json!({"Resources": ["*"], "NotResources": ["*:db:acme*"]}), false),
            (
                json!({"Resources": ["*"], "Conditions": {"StringEquals": [condition("aws:ResourceTag/StorageTier", "shared")]}}),
                false,
            ),
            (
                json!({"Resources": ["*"], "Conditions": {"StringLike": [condition("aws:ResourceTag/Stage", "prod*")]}}),
                true,
            ),
            (json!({"Conditions": {"StringNotEquals": [condition("aws:ResourceTag/Stage", "prod-1")]}}), false),
            (json!({"Conditions": {"StringNotLike": [condition("aws:ResourceTag/Nowhere", "*")]}}), true),
        ] {
            assert_eq!(takes(&selection, ARN, &tags), taken, "{selection}");
        }
    }
}
