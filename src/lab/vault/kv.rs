//! A KV version 2 engine in memory, as its documentation describes it.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::Answer;

/// How many versions are kept where nobody says.
const KEPT: u64 = 10;

/// Secrets by path.
#[derive(Debug, Default)]
pub(super) struct Mount {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    versions: BTreeMap<u64, Stored>,
    current: u64,
    custom: Option<Map<String, Value>>,
    max_versions: u64,
    cas_required: bool,
    /// After how long a version deletes itself; zero: never.
    delete_after: SignedDuration,
    created: Timestamp,
    updated: Timestamp,
}

struct Stored {
    /// `None`: destroyed.
    data: Option<Value>,
    created: Timestamp,
    /// It may be yet to come.
    deleted: Option<Timestamp>,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Stored").field("created", &self.created).finish_non_exhaustive()
    }
}

impl Stored {
    fn is_deleted(&self, now: Timestamp) -> bool {
        self.deleted.is_some_and(|at| at <= now)
    }

    /// One that was deleted keeps the time of that.
    fn delete(&mut self, now: Timestamp) {
        if !self.is_deleted(now) {
            self.deleted = Some(now);
        }
    }

    fn metadata(&self) -> Value {
        let deleted = self.deleted.map(|at| at.to_string()).unwrap_or_default();
        json!({"created_time": self.created.to_string(), "deletion_time": deleted, "destroyed": self.data.is_none()})
    }
}

impl Entry {
    fn new(now: Timestamp) -> Self {
        Self {
            versions: BTreeMap::new(),
            current: 0,
            custom: None,
            max_versions: 0,
            cas_required: false,
            delete_after: SignedDuration::ZERO,
            created: now,
            updated: now,
        }
    }

    fn version(&self, number: u64, stored: &Stored) -> Value {
        let mut metadata = stored.metadata();
        metadata["version"] = number.into();
        metadata["custom_metadata"] = self.custom.clone().map_or(Value::Null, Value::Object);
        metadata
    }
}

fn nothing() -> Answer {
    Err((StatusCode::NOT_FOUND, json!({"errors": []})))
}

fn wrong(words: &str) -> Answer {
    Err((StatusCode::BAD_REQUEST, json!({"errors": [words]})))
}

impl Mount {
    /// One request: `kind` is `data`, `metadata`, `delete` …
    pub fn answer(&mut self, method: &str, kind: &str, path: &str, query: &str, body: &Value) -> Answer {
        let now = Timestamp::now();
        match (method, kind) {
            ("GET", "metadata") if query.contains("list=true") => self.list(path),
            ("LIST", "metadata") => self.list(path),
            ("GET", "data") => self.read(path, query, now),
            ("POST" | "PUT", "data") => self.write(path, body, now),
            ("DELETE", "data") => {
                let newest = self.entries.get(path).map(|entry| entry.current);
                self.mark(path, newest.into_iter().collect(), |stored| stored.delete(now));
                Ok(None)
            }
            ("GET", "metadata") => self.metadata(path),
            ("POST" | "PUT", "metadata") => {
                self.describe(path, body, now);
                Ok(None)
            }
            ("DELETE", "metadata") => {
                self.entries.remove(path);
                Ok(None)
            }
            ("POST" | "PUT", "delete" | "undelete" | "destroy") => {
                self.mark(path, versions(body), |stored| match kind {
                    "delete" => stored.delete(now),
                    "undelete" => stored.deleted = None,
                    _ => stored.data = None,
                });
                Ok(None)
            }
            _ => Err((StatusCode::METHOD_NOT_ALLOWED, json!({"errors": ["unsupported operation"]}))),
        }
    }

    fn read(&self, path: &str, query: &str, now: Timestamp) -> Answer {
        let Some(entry) = self.entries.get(path) else { return nothing() };
        let asked = query.split('&').find_map(|pair| pair.strip_prefix("version=")?.parse().ok()).unwrap_or(0);
        let number = if asked == 0 { entry.current } else { asked };
        let Some(stored) = entry.versions.get(&number) else { return nothing() };
        let metadata = entry.version(number, stored);
        match &stored.data {
            Some(data) if !stored.is_deleted(now) => Ok(Some(json!({"data": data, "metadata": metadata}))),
            // What is known of it is told even so.
            _ => Err((StatusCode::NOT_FOUND, super::enveloped(&json!({"data": null, "metadata": metadata})))),
        }
    }

    fn write(&mut self, path: &str, body: &Value, now: Timestamp) -> Answer {
        let Some(data @ Value::Object(_)) = body.get("data") else { return wrong("no data provided") };
        let known = self.entries.get(path);
        let current = known.map_or(0, |entry| entry.current);
        match body.pointer("/options/cas").map(Value::as_u64) {
            Some(Some(cas)) if cas == current => {}
            Some(_) => return wrong("check-and-set parameter did not match the current version"),
            None if known.is_some_and(|entry| entry.cas_required) => {
                return wrong("check-and-set parameter required for this call");
            }
            None => {}
        }
        let entry = self.entries.entry(path.to_owned()).or_insert_with(|| Entry::new(now));
        entry.current += 1;
        entry.updated = now;
        let deleted = entry.delete_after.is_positive().then(|| now + entry.delete_after);
        let stored = Stored { data: Some(data.clone()), created: now, deleted };
        let told = entry.version(entry.current, &stored);
        entry.versions.insert(entry.current, stored);
        let kept = if entry.max_versions == 0 { KEPT } else { entry.max_versions };
        let oldest = (entry.current + 1).saturating_sub(kept);
        entry.versions.retain(|number, _| *number >= oldest);
        Ok(Some(told))
    }

    fn metadata(&self, path: &str) -> Answer {
        let Some(entry) = self.entries.get(path) else { return nothing() };
        let versions: Map<String, Value> =
            entry.versions.iter().map(|(number, stored)| (number.to_string(), stored.metadata())).collect();
        let oldest = entry.versions.keys().next().copied().filter(|oldest| *oldest > 1).unwrap_or(0);
        Ok(Some(json!({
            "cas_required": entry.cas_required, "created_time": entry.created.to_string(),
            "current_version": entry.current, "custom_metadata": entry.custom, "delete_version_after": spelled(entry.delete_after),
            "max_versions": entry.max_versions, "oldest_version": oldest, "updated_time": entry.updated.to_string(),
            "versions": versions
        })))
    }

    fn describe(&mut self, path: &str, body: &Value, now: Timestamp) {
        let entry = self.entries.entry(path.to_owned()).or_insert_with(|| Entry::new(now));
        if let Some(custom) = body.get("custom_metadata").and_then(Value::as_object) {
            entry.custom = Some(custom.clone());
        }
        if let Some(most) = body.get("max_versions").and_then(Value::as_u64) {
            entry.max_versions = most;
        }
        if let Some(after) = body.get("delete_version_after").and_then(Value::as_str) {
            entry.delete_after = after.parse().unwrap_or(SignedDuration::ZERO);
        }
        if let Some(required) = body.get("cas_required").and_then(Value::as_bool) {
            entry.cas_required = required;
        }
    }

    fn mark(&mut self, path: &str, versions: Vec<u64>, mark: impl Fn(&mut Stored)) {
        if let Some(entry) = self.entries.get_mut(path) {
            for version in versions {
                entry.versions.get_mut(&version).map(&mark);
            }
        }
    }

    fn list(&self, path: &str) -> Answer {
        let prefix = if path.ends_with('/') { path.to_owned() } else { format!("{path}/") };
        let below = self.entries.keys().filter_map(|name| name.strip_prefix(&prefix));
        let names: BTreeSet<&str> = below.map(|name| name.find('/').map_or(name, |end| &name[..=end])).collect();
        if names.is_empty() { nothing() } else { Ok(Some(json!({"keys": names}))) }
    }
}

fn versions(body: &Value) -> Vec<u64> {
    let listed = body.get("versions").and_then(Value::as_array);
    listed.into_iter().flatten().filter_map(Value::as_u64).collect()
}

/// As Go writes a duration: `1h0m0s`.
fn spelled(time: SignedDuration) -> String {
    let seconds = time.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
    }
}
