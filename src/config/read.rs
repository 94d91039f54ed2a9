//! Fills a [`Table`] from a text and notes everything that is wrong, each with its place.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::duration;
use super::field::{Scale, Slot, Table};
use super::problem::Problem;
use super::vault::SERVICE_ACCOUNT;
use super::{Dedicated, Login, Secret, VaultAuth};
use crate::clients::{postgres, vault};
use crate::domain::ids::Template;
use crate::domain::policy::{Ladder, Targets};
use crate::domain::spelling::did_you_mean;
use crate::domain::{Layout, Tier};

type Value<'i> = Spanned<DeValue<'i>>;

/// One reading of one text.
pub(super) struct Reader<'t> {
    text: &'t str,
    file: String,
    folder: PathBuf,
    top: Vec<&'static str>,
    places: BTreeMap<String, Range<usize>>,
    /// What is wrong.
    pub errors: Vec<Problem>,
    /// What has no effect.
    pub warnings: Vec<Problem>,
}

impl<'t> Reader<'t> {
    /// For a text that came from a file.
    pub fn new(text: &'t str, path: &Path) -> Self {
        Self {
            text,
            file: path.display().to_string(),
            folder: path.parent().map(Path::to_owned).unwrap_or_default(),
            top: Vec::new(),
            places: BTreeMap::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Reads the whole text; false when it is no TOML at all, so that what is missing from it is not known.
    pub fn document(&mut self, into: &mut dyn Table) -> bool {
        let (document, faults) = DeTable::parse_recoverable(self.text);
        for fault in &faults {
            let place = fault.span().unwrap_or_default();
            let problem = Problem::at(&self.file, self.text, place, "", fault.message()).quoting(self.text);
            self.errors.push(problem);
        }
        // What a broken text seems to say would only add errors that are not there.
        if faults.is_empty() {
            self.top = into.fields().iter().map(|field| field.name).collect();
            self.table("", document.get_ref(), into);
        }
        faults.is_empty()
    }

    /// Notes an error about a key, at its value or at the nearest table that is written down.
    pub fn error(&mut self, path: &str, message: impl Into<String>) {
        let problem = self.problem(path, &message.into());
        self.errors.push(problem);
    }

    /// Whether the key stands in the file, right or wrong.
    pub fn written(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// Notes something that has no effect.
    pub fn warn(&mut self, path: &str, message: impl Into<String>) {
        let problem = self.problem(path, &message.into());
        self.warnings.push(problem);
    }

    fn problem(&self, path: &str, message: &str) -> Problem {
        Problem::at(&self.file, self.text, self.place(path), &shown(path), message)
    }

    fn place(&self, path: &str) -> Range<usize> {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return place.clone();
            }
            match path.rfind(['.', '[']) {
                Some(end) => path = &path[..end],
                None => return 0..0,
            }
        }
    }

    fn table(&mut self, at: &str, table: &DeTable<'_>, into: &mut dyn Table) {
        let mut fields = into.fields();
        let known: Vec<&str> = fields.iter().map(|field| field.name).collect();
        for (key, value) in table {
            let name: &str = key.get_ref();
            let path = join(at, name);
            if let Some(found) = fields.iter().position(|field| field.name == name) {
                self.places.insert(path.clone(), value.span());
                let field = fields.swap_remove(found);
                self.slot(&path, value, field.slot);
            } else {
                self.places.insert(path.clone(), key.span());
                self.unknown(&path, name, &known);
            }
        }
    }

    fn unknown(&mut self, path: &str, name: &str, known: &[&str]) {
        let message = match did_you_mean(name, known.iter().copied()) {
            // In TOML a line belongs to the table above it, which is easily forgotten at a file's end.
            _ if path.contains('.') && self.top.contains(&name) => {
                format!("unknown key here; {name} belongs at the top of the file, before the first [table]")
            }
            Some(near) => format!("unknown key; did you mean {near:?}?"),
            None if known.is_empty() => "unknown key".to_owned(),
            None => format!("unknown key; here may stand: {}", known.join(", ")),
        };
        self.error(path, message);
    }

    fn slot(&mut self, path: &str, value: &Value<'_>, slot: Slot<'_>) {
        if let Err(message) = self.fill(path, value, slot) {
            self.error(path, message);
        }
    }

    fn fill(&mut self, path: &str, value: &Value<'_>, slot: Slot<'_>) -> Result<(), String> {
        match slot {
            Slot::Text(into) => *into = filled(value)?,
            Slot::OptionalText(into) => *into = Some(filled(value)?),
            Slot::Url(into) => {
                let url = filled(value)?;
                postgres::Target::check(&url).map_err(|error| error.to_string())?;
                *into = Some(url);
            }
            Slot::UrlTemplate(into) => {
                let url = filled(value)?;
                let filled = Dedicated::fill(&url, |_| "5432".to_owned());
                postgres::Target::check(&filled).map_err(|error| error.to_string())?;
                *into = Some(url);
            }
            Slot::Days(into) => {
                for (key, value) in as_table(value)? {
                    let path = join(path, key.get_ref());
                    self.places.insert(path.clone(), value.span());
                    match count(value) {
                        Ok(days) => drop(into.insert(key.get_ref().to_string(), days)),
                        Err(message) => self.error(&path, message),
                    }
                }
            }
            Slot::Accounts(into) => *into = accounts(value)?,
            Slot::Targets(into) => self.targets(path, as_table(value)?, into),
            Slot::Flag(into) => {
                *into = value.get_ref().as_bool().ok_or_else(|| expected("true or false", value))?;
            }
            Slot::Limit(into) => *into = Some(count(value)?),
            Slot::Vcpus(into) => {
                let amount = number(value).filter(|amount| *amount > 0.0);
                *into = Some(amount.ok_or_else(|| expected("a number above 0", value))?);
            }
            Slot::Number(into, scale) => *into = scaled(value, scale)?,
            Slot::Ladder(into, scale) => self.ladder(path, value, into, scale)?,
            Slot::Duration(into, least) => {
                let every = time(value)?;
                if every < least {
                    return Err(format!("at the least {:?}", duration::format(least)));
                }
                *into = every;
            }
            Slot::OptionalDuration(into) => *into = Some(time(value)?),
            Slot::Template(into) => {
                *into = Template::parse(&filled(value)?).ok_or("must contain {id} exactly once")?;
            }
            Slot::Path(into) => {
                let text = filled(value)?;
                Template::parse(&text).ok_or("must contain {id} exactly once")?;
                *into = text;
            }
            Slot::Folder(into) => *into = Some(self.below(&filled(value)?)),
            Slot::Tier(into) => *into = choice(value, &[("shared", Tier::Shared), ("dedicated", Tier::Dedicated)])?,
            Slot::Layout(into) => {
                *into = choice(value, &[("schema", Layout::Schema), ("database", Layout::Database)])?;
            }
            Slot::Secret(into) => *into = Some(self.secret(path, value)?),
            Slot::Login(into) => *into = self.login(path, value)?,
            Slot::Auth(into) => *into = self.auth(path, value)?,
            Slot::Table(into) => self.table(path, as_table(value)?, into),
            Slot::Tables(into) => {
                let written = format!("[[{path}]]");
                let entries: &DeArray<'_> = value.get_ref().as_array().ok_or_else(|| expected(&written, value))?;
                for (index, entry) in entries.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    self.places.insert(path.clone(), entry.span());
                    match as_table(entry) {
                        Ok(table) => self.table(&path, table, into.add()),
                        Err(message) => self.error(&path, message),
                    }
                }
            }
            Slot::Named(into) => {
                for (key, entry) in as_table(value)? {
                    let path = join(path, key.get_ref());
                    self.places.insert(path.clone(), key.span());
                    match (into.add(key.get_ref()), as_table(entry)) {
                        (Ok(into), Ok(table)) => self.table(&path, table, into),
                        (Err(message), _) | (_, Err(message)) => self.error(&path, message),
                    }
                }
            }
        }
        Ok(())
    }

    fn ladder(&mut self, path: &str, value: &Value<'_>, into: &mut Ladder, scale: Scale) -> Result<(), String> {
        let table = value.get_ref().as_table().ok_or_else(|| expected("{ warning = …, critical = … }", value))?;
        let mut whole = true;
        for (key, rung) in table {
            let path = join(path, key.get_ref());
            self.places.insert(path.clone(), rung.span());
            match (key.get_ref().as_ref(), scaled(rung, scale)) {
                ("warning", Ok(amount)) => into.warning = amount,
                ("critical", Ok(amount)) => into.critical = amount,
                ("warning" | "critical", Err(message)) => {
                    whole = false;
                    self.error(&path, message);
                }
                (name, _) => {
                    self.places.insert(path.clone(), key.span());
                    self.unknown(&path, name, &["warning", "critical"]);
                }
            }
        }
        // One rung that was left out keeps its default, so this may be a surprise worth explaining.
        if whole && into.warning > into.critical {
            return Err(format!("warning ({}) must not be above critical ({})", into.warning, into.critical));
        }
        Ok(())
    }

    fn targets(&mut self, path: &str, table: &DeTable<'_>, into: &mut Targets) {
        for (key, value) in table {
            let path = join(path, key.get_ref());
            self.places.insert(path.clone(), value.span());
            let slot = match key.get_ref().as_ref() {
                "shared" => &mut into.shared,
                "dedicated" => &mut into.dedicated,
                "pitr" => &mut into.pitr,
                name => {
                    self.places.insert(path.clone(), key.span());
                    self.unknown(&path, name, &["shared", "dedicated", "pitr"]);
                    continue;
                }
            };
            match time(value) {
                Ok(time) => *slot = time,
                Err(message) => self.error(&path, message),
            }
        }
    }

    /// A reference to a password. Where instances are found, one for each: `{id}` stands for whose it is.
    fn secret(&self, path: &str, value: &Value<'_>) -> Result<Secret, String> {
        let (kind, place) = reference(value)?;
        Ok(match kind {
            "env" => Secret::Env(place),
            "file" => Secret::File(self.below(&place)),
            "vault" => in_vault(&place, path.starts_with("dedicated."))?,
            _ => Secret::Iam(Arc::default()),
        })
    }

    /// `{ user = …, password = … }`, of a login that may change something.
    fn login(&mut self, path: &str, value: &Value<'_>) -> Result<Option<Login>, String> {
        let (mut user, mut password) = (None, None);
        for (key, value) in as_table(value)? {
            let path = join(path, key.get_ref());
            self.places.insert(path.clone(), value.span());
            let read = match key.get_ref().as_ref() {
                "user" => filled(value).map(|text| user = Some(text)),
                "password" => self.secret(&path, value).map(|secret| password = Some(secret)),
                name => {
                    self.places.insert(path.clone(), key.span());
                    self.unknown(&path, name, &["user", "password"]);
                    continue;
                }
            };
            if let Err(message) = read {
                self.error(&path, message);
            }
        }
        let Some(user) = user else {
            let wrong = self.errors.iter().any(|error| error.key.starts_with(&shown(path)));
            return if wrong { Ok(None) } else { Err("needs user = \"NAME\"".to_owned()) };
        };
        Ok(Some(Login { user, password }))
    }

    /// How we show who we are to Vault: exactly one way.
    fn auth(&mut self, path: &str, value: &Value<'_>) -> Result<Option<VaultAuth>, String> {
        let mut ways = as_table(value)?.iter();
        let (Some((way, how)), None) = (ways.next(), ways.next()) else {
            return Err("must be exactly one of token = …, approle = …, kubernetes = …".to_owned());
        };
        let path = join(path, way.get_ref());
        self.places.insert(path.clone(), how.span());
        let known: &[&str] = match way.get_ref().as_ref() {
            "token" => {
                let token = self.at_hand(how);
                return Ok(token.map_err(|message| self.error(&path, message)).ok().map(VaultAuth::Token));
            }
            "approle" => &["mount", "role_id", "secret_id"],
            "kubernetes" => &["mount", "role", "token_file"],
            name => {
                self.places.insert(path.clone(), way.span());
                self.unknown(&path, name, &["token", "approle", "kubernetes"]);
                return Ok(None);
            }
        };
        let (mut texts, mut secret) = (BTreeMap::new(), None);
        for (key, value) in as_table(how)? {
            let (at, name) = (join(&path, key.get_ref()), key.get_ref().as_ref());
            self.places.insert(at.clone(), value.span());
            let read = match name {
                name if !known.contains(&name) => {
                    self.places.insert(at.clone(), key.span());
                    self.unknown(&at, name, known);
                    continue;
                }
                "secret_id" => self.at_hand(value).map(|read| secret = Some(read)),
                name => filled(value).map(|text| drop(texts.insert(name.to_owned(), text))),
            };
            if let Err(message) = read {
                self.error(&at, message);
            }
        }
        let mount = texts.remove("mount").unwrap_or_else(|| way.get_ref().to_string());
        let file = texts.remove("token_file").map_or_else(|| SERVICE_ACCOUNT.into(), |file| self.below(&file));
        Ok(match (texts.remove("role_id"), secret, texts.remove("role")) {
            (Some(role_id), Some(secret_id), _) => Some(VaultAuth::AppRole { mount, role_id, secret_id }),
            (_, _, Some(role)) => Some(VaultAuth::Kubernetes { mount, role, token_file: file }),
            _ => {
                let needed = if known.contains(&"role") { "role" } else { "role_id and secret_id" };
                self.error(&path, format!("needs {needed}"));
                None
            }
        })
    }

    /// A reference to what can be read before Vault can.
    fn at_hand(&self, value: &Value<'_>) -> Result<Secret, String> {
        match reference(value)? {
            ("env", place) => Ok(Secret::Env(place)),
            ("file", place) => Ok(Secret::File(self.below(&place))),
            _ => Err("must be { env = \"NAME\" } or { file = \"PATH\" }: it opens Vault".to_owned()),
        }
    }

    /// A path starts at the file that names it, wherever the program was started.
    fn below(&self, path: &str) -> PathBuf {
        if path.starts_with('~') { path.into() } else { self.folder.join(path) }
    }
}

/// `path#field`; in which Vault is filled in when all of the file was read.
fn in_vault(place: &str, each: bool) -> Result<Secret, String> {
    let (path, field) = place
        .split_once('#')
        .filter(|(_, field)| !field.is_empty() && !field.contains('#'))
        .ok_or("must be \"path#key\": the secret below the mount, and its field")?;
    vault::check_path(&if each { path.replace("{id}", "id") } else { path.to_owned() })?;
    Ok(Secret::Vault { path: path.to_owned(), field: field.to_owned(), at: Arc::default() })
}

/// What a reference to a secret looks like.
const SECRET: &str = "one of { env = \"NAME\" }, { file = \"PATH\" }, { vault = \"path#key\" }, { iam = true }";

/// The key as messages show it: `instance.url` wherever it stands, the line tells which.
fn shown(path: &str) -> String {
    let part = |part: &str| match part.split_once('[') {
        Some((name, index)) if index.strip_suffix(']').is_some_and(|index| index.parse::<usize>().is_ok()) => {
            name.to_owned()
        }
        _ => part.to_owned(),
    };
    path.split('.').map(part).collect::<Vec<_>>().join(".")
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn expected(what: &str, value: &Value<'_>) -> String {
    let found = match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    };
    format!("must be {what}, not {found}")
}

fn as_table<'v, 'i>(value: &'v Value<'i>) -> Result<&'v DeTable<'i>, String> {
    value.get_ref().as_table().ok_or_else(|| expected("a table", value))
}

fn filled(value: &Value<'_>) -> Result<String, String> {
    let text = value.get_ref().as_str().ok_or_else(|| expected("a text", value))?;
    if text.trim().is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

fn time(value: &Value<'_>) -> Result<Duration, String> {
    let text = value.get_ref().as_str();
    text.map_or_else(
        || Err(expected("a duration such as \"500ms\", \"1s\", \"5m\", \"2h\", \"14d\"", value)),
        duration::parse,
    )
}

fn number(value: &Value<'_>) -> Option<f64> {
    match value.get_ref() {
        DeValue::Integer(_) => integer(value).map(|amount| amount as f64),
        DeValue::Float(float) => float.as_str().replace('_', "").parse().ok().filter(|amount: &f64| amount.is_finite()),
        _ => None,
    }
}

fn integer(value: &Value<'_>) -> Option<i64> {
    let integer = value.get_ref().as_integer()?;
    i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok()
}

fn count(value: &Value<'_>) -> Result<u32, String> {
    let amount = integer(value).and_then(|amount| u32::try_from(amount).ok());
    // PostgreSQL keeps it in a signed 32 bit number.
    amount.filter(|amount| i32::try_from(*amount).is_ok()).ok_or_else(|| expected("a whole number from 0", value))
}

/// AWS's numbers of accounts, as texts: they may begin with a nought.
fn accounts(value: &Value<'_>) -> Result<Vec<String>, String> {
    let list = value.get_ref().as_array().ok_or_else(|| expected("an array such as [\"123456789012\"]", value))?;
    let account = |entry: &Value<'_>| {
        let text = filled(entry)?;
        let is_one = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_one { Ok(text) } else { Err(format!("{text:?} is no AWS account: twelve digits")) }
    };
    list.iter().map(account).collect()
}

fn scaled(value: &Value<'_>, scale: Scale) -> Result<f64, String> {
    let amount = number(value);
    match scale {
        Scale::Share => {
            amount.filter(|share| (0.0..=1.0).contains(share)).ok_or_else(|| "must be a number from 0 to 1".to_owned())
        }
        Scale::Amount => amount.filter(|amount| *amount >= 0.0).ok_or_else(|| expected("a number from 0", value)),
        Scale::Seconds => match amount {
            Some(seconds) if seconds >= 0.0 => Ok(seconds),
            Some(_) => Err("must not be below 0".to_owned()),
            None => time(value).map(|time| time.as_secs_f64()),
        },
    }
}

fn choice<T: Copy>(value: &Value<'_>, choices: &[(&'static str, T)]) -> Result<T, String> {
    let names = || choices.iter().map(|(name, _)| *name);
    let listed = || names().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(" or ");
    let text = value.get_ref().as_str().ok_or_else(|| expected(&listed(), value))?;
    choices.iter().find(|(name, _)| *name == text).map(|(_, chosen)| *chosen).ok_or_else(|| {
        match did_you_mean(text, names()) {
            Some(near) => format!("must be {}; did you mean {near:?}?", listed()),
            None => format!("must be {}, not {text:?}", listed()),
        }
    })
}

/// `{ KIND = PLACE }`. What stands in its stead is never repeated: it is most likely the secret.
fn reference<'v>(value: &'v Value<'_>) -> Result<(&'v str, String), String> {
    let table = match value.get_ref() {
        DeValue::Table(table) => table,
        DeValue::String(_) => return Err(format!("a secret does not belong into this file; use {SECRET}")),
        _ => return Err(expected(SECRET, value)),
    };
    let mut entries = table.iter();
    let (Some((key, place)), None) = (entries.next(), entries.next()) else {
        return Err(format!("must be exactly {SECRET}"));
    };
    let kind: &str = key.get_ref();
    match (kind, place.get_ref()) {
        ("env" | "file" | "vault", DeValue::String(place)) if !place.trim().is_empty() => {
            Ok((kind, place.as_ref().to_owned()))
        }
        ("iam", DeValue::Boolean(true)) => Ok((kind, String::new())),
        ("env" | "file" | "vault", _) => Err(format!("{kind} must be a text that names the place")),
        ("iam", _) => Err("iam must be true, or left out".to_owned()),
        (kind, _) => match did_you_mean(kind, ["env", "file", "vault", "iam"]) {
            Some(near) => Err(format!("unknown kind of secret; did you mean {near:?}?")),
            None => Err(format!("unknown kind of secret; must be {SECRET}")),
        },
    }
}
