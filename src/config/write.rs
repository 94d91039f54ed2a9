//! The configuration as TOML: `config show`, and the example file that names every key.

use std::fmt::Write as _;

use super::duration;
use super::field::{Field, Scale, Slot, Table};
use super::schema::{File, InstanceDraft};
use super::{Config, Secret, VaultAuth};
use crate::domain::policy::{Ladder, Targets};
use crate::domain::{Layout, Tier};

/// The merged result without secrets; reading it gives the same configuration.
pub fn show(config: &Config) -> String {
    let mut writer = Writer::default();
    writer.table("", &mut File::from(config));
    writer.out
}

/// `config.example.toml`: every key with its default and what it means.
pub fn example() -> String {
    let mut writer = Writer { example: true, ..Writer::default() };
    writer.out.push_str(EXAMPLE_HEAD);
    let mut file = File::default();
    file.instances.push(InstanceDraft {
        name: Some("shared".to_owned()),
        url: Some("postgresql://tierdeck@localhost:5432/portarium?sslmode=prefer".to_owned()),
        ..InstanceDraft::default()
    });
    writer.table("", &mut file);
    writer.out
}

const EXAMPLE_HEAD: &str = "\
# tierdeck: every key, its default and what it means. Only [[instance]] has no default.
#
# Searched in this order: --config, $TIERDECK_CONFIG, ./tierdeck.toml, tierdeck/config.toml in your configuration
# folder. Durations are texts: \"500ms\", \"1s\", \"5m\", \"2h\", \"14d\". `tierdeck config check` tells what is wrong with a
# file, `tierdeck config show` what came of it.

";

#[derive(Default)]
struct Writer {
    out: String,
    /// With comments, and with the keys that are not set.
    example: bool,
    /// Everything is commented out.
    commented: bool,
}

impl Writer {
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{}{text}", if self.commented && !text.starts_with('#') { "#" } else { "" });
    }

    fn comment(&mut self, text: &str) {
        if self.example {
            let _ = writeln!(self.out, "# {text}");
        }
    }

    /// The comment behind the line, where both fit, else above it.
    fn explained(&mut self, line: &str, about: &str) {
        let width = if self.commented && !line.starts_with('#') { 39 } else { 40 };
        let aligned = format!("{line:<width$}# {about}");
        if line.len() < width && aligned.chars().count() < 120 {
            self.line(&aligned);
        } else {
            self.comment(about);
            self.line(line);
        }
    }

    fn header(&mut self, header: &str, about: &str) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
        self.comment(about);
        self.line(header);
    }

    /// Values first, then the tables below: TOML has no way back to a table that was left.
    fn table(&mut self, path: &str, table: &mut dyn Table) {
        let (tables, values): (Vec<_>, Vec<_>) = table.fields().into_iter().partition(Field::is_table);
        for field in values {
            self.value(&field);
        }
        for field in tables {
            let path = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
            self.section(&path, field);
        }
    }

    fn value(&mut self, field: &Field<'_>) {
        let written = field.slot.written();
        if !self.example {
            if let Some(value) = written {
                self.line(&format!("{} = {value}", field.name));
            }
            return;
        }
        match written {
            Some(value) => self.explained(&format!("{} = {value}", field.name), field.about),
            None => self.explained(&format!("#{} = {}", field.name, field.sample), field.about),
        }
    }

    fn section(&mut self, path: &str, field: Field<'_>) {
        match field.slot {
            Slot::Table(table) => {
                if table.fields().iter().all(Field::is_table) {
                    // Only tables below: a header of its own would say nothing.
                    self.out.push_str(if self.example { "\n" } else { "" });
                    self.comment(field.about);
                } else if self.example || table.fields().iter().any(Field::slot_is_written) {
                    self.header(&format!("[{path}]"), field.about);
                }
                self.table(path, table);
            }
            Slot::Tables(tables) => {
                for table in tables.all() {
                    self.header(&format!("[[{path}]]"), field.about);
                    self.table(path, table);
                }
            }
            Slot::Named(tables) => {
                for (name, table) in tables.all() {
                    self.header(&format!("[{path}.{name}]"), field.about);
                    self.table(path, table);
                }
                if self.example {
                    let (name, mut table) = tables.sample();
                    self.commented = true;
                    self.header(&format!("[{path}.{name}]"), field.about);
                    self.table(path, table.as_mut());
                    self.commented = false;
                }
            }
            _ => {}
        }
    }
}

impl Field<'_> {
    fn is_table(&self) -> bool {
        matches!(self.slot, Slot::Table(_) | Slot::Tables(_) | Slot::Named(_))
    }

    fn slot_is_written(&self) -> bool {
        self.slot.written().is_some()
    }
}

impl Slot<'_> {
    /// The value as TOML; `None` where there is none, and for tables.
    fn written(&self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Path(text) => Some(quoted(text)),
            Self::OptionalText(text) | Self::Url(text) | Self::UrlTemplate(text) => text.as_deref().map(quoted),
            Self::Folder(folder) => folder.as_ref().map(|folder| quoted(&folder.to_string_lossy())),
            Self::Flag(flag) => Some(flag.to_string()),
            Self::Limit(limit) => limit.map(|limit| limit.to_string()),
            Self::Vcpus(amount) => amount.map(|amount| amount.to_string()),
            Self::Number(amount, scale) => Some(scale.written(**amount)),
            Self::Ladder(Ladder { warning, critical }, scale) => {
                Some(format!("{{ warning = {}, critical = {} }}", scale.written(*warning), scale.written(*critical)))
            }
            Self::Duration(every, _) => Some(quoted(&duration::format(**every))),
            Self::OptionalDuration(every) => every.map(|every| quoted(&duration::format(every))),
            Self::Template(template) => Some(quoted(&template.to_string())),
            Self::Tier(Tier::Shared) => Some(quoted("shared")),
            Self::Tier(Tier::Dedicated) => Some(quoted("dedicated")),
            Self::Layout(Layout::Schema) => Some(quoted("schema")),
            Self::Layout(Layout::Database) => Some(quoted("database")),
            Self::Secret(secret) => secret.as_ref().map(secret_written),
            Self::Login(login) => login.as_ref().map(|login| {
                let password = login.password.as_ref().map(|secret| format!(", password = {}", secret_written(secret)));
                format!("{{ user = {}{} }}", quoted(&login.user), password.unwrap_or_default())
            }),
            Self::Auth(auth) => auth.as_ref().map(auth_written),
            Self::Days(days) => {
                let each: Vec<String> = days.iter().map(|(name, days)| format!("{} = {days}", key(name))).collect();
                Some(format!("{{ {} }}", each.join(", ")))
            }
            Self::Accounts(accounts) => {
                Some(format!("[{}]", accounts.iter().map(|it| quoted(it)).collect::<Vec<_>>().join(", ")))
            }
            Self::Targets(Targets { shared, dedicated, pitr }) => {
                let [shared, dedicated, pitr] = [shared, dedicated, pitr].map(|time| quoted(&duration::format(*time)));
                Some(format!("{{ shared = {shared}, dedicated = {dedicated}, pitr = {pitr} }}"))
            }
            Self::Table(_) | Self::Tables(_) | Self::Named(_) => None,
        }
    }
}

fn secret_written(secret: &Secret) -> String {
    match secret {
        Secret::Env(name) => format!("{{ env = {} }}", quoted(name)),
        Secret::File(path) => format!("{{ file = {} }}", quoted(&path.to_string_lossy())),
        Secret::Vault { path, field, .. } => format!("{{ vault = {} }}", quoted(&format!("{path}#{field}"))),
        Secret::Iam(_) => "{ iam = true }".to_owned(),
    }
}

fn auth_written(auth: &VaultAuth) -> String {
    match auth {
        VaultAuth::Token(secret) => format!("{{ token = {} }}", secret_written(secret)),
        VaultAuth::AppRole { mount, role_id, secret_id } => format!(
            "{{ approle = {{ mount = {}, role_id = {}, secret_id = {} }} }}",
            quoted(mount),
            quoted(role_id),
            secret_written(secret_id)
        ),
        VaultAuth::Kubernetes { mount, role, token_file } => format!(
            "{{ kubernetes = {{ mount = {}, role = {}, token_file = {} }} }}",
            quoted(mount),
            quoted(role),
            quoted(&token_file.to_string_lossy())
        ),
    }
}

impl Scale {
    fn written(self, amount: f64) -> String {
        // Numbers stay exact; only what a duration can say without loss becomes one.
        let milliseconds = amount * 1_000.0;
        if self == Self::Seconds && milliseconds.fract() == 0.0 && milliseconds < 1e13 {
            return quoted(&duration::format(std::time::Duration::from_millis(milliseconds as u64)));
        }
        amount.to_string()
    }
}

/// A key as TOML has it: bare where it may be.
fn key(name: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    if !name.is_empty() && name.chars().all(plain) { name.to_owned() } else { quoted(name) }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
