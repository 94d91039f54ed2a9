//! The walls between the rooms of `src`: who may use whom, and what every file must have.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The arrows that are allowed, as `ARCHITECTURE.md` draws them.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("attribution", &["domain"]),
    ("signals", &["domain"]),
    ("clients", &["domain"]),
    ("config", &["domain", "clients"]),
    ("sources", &["domain", "clients"]),
    ("poll", &["domain", "attribution", "signals", "config", "clients", "sources"]),
    ("history", &["domain"]),
    ("metrics", &["domain"]),
    ("recording", &["domain", "config", "poll", "signals"]),
    ("ops", &["domain", "attribution", "clients", "sources"]),
    ("app", &["domain"]),
    ("ui", &["domain", "app"]),
    ("lab", &["domain"]),
    (
        "cli",
        &[
            "domain",
            "attribution",
            "signals",
            "config",
            "clients",
            "sources",
            "poll",
            "history",
            "metrics",
            "recording",
            "ops",
            "app",
            "ui",
            "lab",
        ],
    ),
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    files(&root.join("src"), &mut found);
    files(&root.join("tests"), &mut found);
    assert!(found.len() > 50, "only {} files found: this test looks in the wrong place", found.len());
    found
        .into_iter()
        .map(|path| (path.strip_prefix(root).unwrap().to_owned(), fs::read_to_string(&path).unwrap()))
        .collect()
}

/// The room that a file of `src` lies in; `None` for `main.rs`, `lib.rs` and files elsewhere.
fn room(path: &Path) -> Option<String> {
    let mut parts = path.strip_prefix("src").ok()?.components();
    let room = parts.next()?.as_os_str().to_str()?;
    parts.next().map(|_| room.to_owned())
}

/// The rooms that a text names: `crate::room…`, also within `use crate::{a::…, b::…}`.
fn named(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut rooms = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        if let Some(list) = after.strip_prefix('{') {
            let mut depth = 0;
            let mut word = String::new();
            for char in list.chars() {
                match char {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 && (char.is_alphanumeric() || char == '_') {
                    word.push(char);
                } else if depth == 0 && char == ':' && !word.is_empty() {
                    rooms.insert(std::mem::take(&mut word));
                } else if char == ',' {
                    word.clear();
                }
            }
        } else {
            rooms.insert(after.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect());
        }
    }
    rooms
}

#[test]
fn arrows_are_those_of_the_list() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, text) in sources() {
        let Some(room) = room(&path) else { continue };
        let may = allowed
            .get(room.as_str())
            .unwrap_or_else(|| panic!("{room} is a new room: give it its arrows here and in ARCHITECTURE.md"));
        for used in named(&text) {
            if allowed.contains_key(used.as_str()) && used != room {
                seen += 1;
                if !may.contains(&used.as_str()) {
                    wrong.push(format!("{}: {room} → {used}", path.display()));
                }
            }
        }
    }
    assert!(seen > 50, "only {seen} arrows seen: this test reads the wrong thing");
    assert!(wrong.is_empty(), "arrows that are not in the list:\n{}", wrong.join("\n"));
}

/// Who may write to a server is decided in one place: every other session is read-only by the server's own setting.
#[test]
fn sessions_that_may_write_are_opened_in_one_place() {
    let opened: BTreeSet<String> = sources()
        .into_iter()
        .filter(|(path, text)| path.starts_with("src") && !path.starts_with("src/lab") && text.contains("read_only:"))
        .filter(|(_, text)| text.contains("Timeouts {"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    let opened: Vec<String> = opened.into_iter().collect();
    assert_eq!(opened, ["src/clients/postgres/mod.rs", "src/ops/estate.rs"]);
    let admin: Vec<String> = sources()
        .into_iter()
        .filter(|(path, text)| path.starts_with("src") && text.contains(".connect(") && text.contains("Use::"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(admin.iter().all(|path| path.starts_with("src/ops/")), "{admin:?}");
}

#[test]
fn the_reader_of_arrows_reads_every_spelling() {
    let text = "use crate::poll::Board;\nuse crate::{domain::{Tenant, x::Y}, signals::Check};\n// crate::lab is only talked about\nlet x = crate::ui::draw();";
    let rooms: Vec<String> = named(text).into_iter().collect();
    assert_eq!(rooms, ["domain", "poll", "signals", "ui"]);
}

#[test]
fn every_file_says_what_lives_there() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|(path, text)| !text.starts_with("//!") && path.file_name().is_none_or(|name| name != "tests.rs"))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "files that do not open with //!:\n{}", silent.join("\n"));
}

#[test]
fn the_map_names_every_room_and_every_dependency() {
    let map = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).unwrap();
    let manifest: toml::Table =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap().parse().unwrap();
    let mut missing: Vec<String> = ARROWS.iter().map(|(room, _)| format!("`{room}`")).collect();
    for table in ["dependencies", "dev-dependencies"] {
        missing.extend(manifest[table].as_table().unwrap().keys().map(|name| format!("`{name}`")));
    }
    missing.retain(|name| !map.contains(name.as_str()));
    assert!(missing.is_empty(), "ARCHITECTURE.md does not mention: {}", missing.join(", "));
}
