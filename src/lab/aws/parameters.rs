//! Parameter groups. What there is to set is what the server itself says that it can be told (`--describe-config`), and
//! what RDS adds; a group holds what differs from that.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use super::core::Core;
use super::machine::Machine;
use super::state::Region;
use super::wire::{Fields, Refusal};
use crate::lab::binaries::Binaries;
use crate::lab::cluster::SUPERUSER;

/// One parameter of the engine.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Whether it wants a restart.
    pub is_static: bool,
    /// `integer`, `float`, `boolean`, `string`
    pub kind: &'static str,
    /// What holds where nobody says otherwise.
    pub default: Option<String>,
    /// `0-100`, `on,off`; `None`: anything.
    pub allowed: Option<String>,
    /// For people.
    pub description: String,
    /// Whether a group may set it.
    pub modifiable: bool,
    /// Whether the default is RDS's word rather than the engine's.
    pub by_rds: bool,
}

/// What the server of each major version can be told, read once.
#[derive(Debug, Default)]
pub struct Catalogue(Mutex<BTreeMap<u32, Arc<BTreeMap<String, Parameter>>>>);

impl Catalogue {
    /// All parameters of a version. Blocking the first time.
    pub fn of(&self, core: &Core, binaries: &Binaries) -> Arc<BTreeMap<String, Parameter>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry(binaries.major).or_insert_with(|| Arc::new(read(core, binaries))))
    }
}

fn read(core: &Core, binaries: &Binaries) -> BTreeMap<String, Parameter> {
    let mut command = core.runner.command(binaries.postgres.as_os_str());
    let said = command.arg("--describe-config").stderr(Stdio::null()).output();
    let said = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default();
    let engine = said.lines().filter_map(described);
    engine.chain(ADDED.iter().map(added)).map(|parameter| (parameter.name.clone(), parameter)).collect()
}

/// A line: name, context, group, type, default, least, most, description, more of it.
fn described(line: &str) -> Option<Parameter> {
    let mut parts = line.split('\t');
    let mut next = || parts.next().map(str::to_owned);
    let (name, context, _group, kind, _default, least, most, description) =
        (next()?, next()?, next()?, next()?, next()?, next()?, next()?, next()?);
    let (kind, allowed) = match kind.as_str() {
        "BOOLEAN" => ("boolean", Some("0,1".to_owned())),
        "INTEGER" => ("integer", Some(format!("{least}-{most}"))),
        "REAL" => ("float", Some(format!("{least}-{most}"))),
        _ => ("string", None),
    };
    let by_rds = BY_RDS.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    Some(Parameter {
        modifiable: !FIXED.contains(&name.as_str()) && context != "internal",
        by_rds: by_rds.is_some(),
        is_static: context == "postmaster",
        kind,
        default: by_rds,
        allowed,
        description,
        name,
    })
}

/// Where RDS's default is not the engine's.
const BY_RDS: [(&str, &str); 3] = [
    ("shared_preload_libraries", "pg_stat_statements"),
    ("max_connections", "LEAST({DBInstanceClassMemory/9531392},5000)"),
    ("log_line_prefix", "%t:%r:%u@%d:[%p]:"),
];

/// Defaults are what a running server of this version says they are: described, they are all zero.
pub async fn learn(core: &Core, machine: &Machine) {
    let Some(binaries) = core.major(machine.major) else { return };
    let Ok(link) = machine.open(SUPERUSER, "postgres").await else { return };
    let sql = "SELECT name, boot_val, array_to_string(enumvals, ',') FROM pg_settings";
    let Ok(rows) = link.client.query(sql, &[]).await else { return };
    let mut all = BTreeMap::clone(&core.catalogue.of(core, binaries));
    for row in rows {
        let (name, value, allowed): (String, Option<String>, Option<String>) = (row.get(0), row.get(1), row.get(2));
        let Some(parameter) = all.get_mut(&name).filter(|parameter| !parameter.by_rds) else { continue };
        parameter.default =
            value.filter(|value| !value.is_empty()).map(|value| match (parameter.kind, value.as_str()) {
                ("boolean", "on") => "1".to_owned(),
                ("boolean", "off") => "0".to_owned(),
                _ => value,
            });
        parameter.allowed = allowed.or(parameter.allowed.take());
    }
    core.catalogue.0.lock().unwrap_or_else(PoisonError::into_inner).insert(machine.major, Arc::new(all));
}

/// What RDS and its extensions add: name, static, type, default, allowed, description.
const ADDED: [(&str, bool, &str, &str, &str, &str); 9] = [
    ("rds.force_ssl", false, "boolean", "0", "0,1", "Force SSL connections."),
    ("rds.logical_replication", true, "boolean", "0", "0,1", "Enables logical decoding."),
    (
        "rds.log_retention_period",
        false,
        "integer",
        "4320",
        "1440-10080",
        "Amazon RDS will delete PostgreSQL log that are older than N minutes.",
    ),
    ("rds.adaptive_autovacuum", false, "boolean", "1", "0,1", "RDS parameter to enable/disable adaptive autovacuum."),
    (
        "pgaudit.log",
        false,
        "string",
        "",
        "",
        "Specifies which classes of statements will be logged by session audit logging.",
    ),
    ("pgaudit.role", false, "string", "", "", "Specifies the master role to use for object audit logging."),
    (
        "pg_stat_statements.track",
        false,
        "string",
        "top",
        "none,top,all",
        "Selects which statements are tracked by pg_stat_statements.",
    ),
    (
        "pg_stat_statements.max",
        true,
        "integer",
        "5000",
        "100-2147483647",
        "Sets the maximum number of statements tracked by pg_stat_statements.",
    ),
    (
        "auto_explain.log_min_duration",
        false,
        "integer",
        "-1",
        "-1-2147483647",
        "Sets the minimum execution time above which plans will be logged.",
    ),
];

fn added(
    &(name, is_static, kind, default, allowed, description): &(&str, bool, &'static str, &str, &str, &str),
) -> Parameter {
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    Parameter {
        name: name.to_owned(),
        is_static,
        kind,
        default: text(default),
        allowed: text(allowed),
        description: description.to_owned(),
        modifiable: true,
        by_rds: true,
    }
}

/// What RDS keeps in its own hands.
const FIXED: [&str; 26] = [
    "archive_command",
    "archive_library",
    "archive_mode",
    "config_file",
    "data_directory",
    "external_pid_file",
    "fsync",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "log_destination",
    "log_directory",
    "log_filename",
    "log_file_mode",
    "log_line_prefix",
    "log_timezone",
    "logging_collector",
    "port",
    "restore_command",
    "ssl_ca_file",
    "ssl_cert_file",
    "ssl_key_file",
    "superuser_reserved_connections",
    "unix_socket_directories",
    "wal_level",
    "stats_temp_directory",
];

/// Whether a group's word is one that the server itself understands.
pub fn reaches_server(name: &str) -> bool {
    !name.starts_with("rds.") && !FIXED.contains(&name)
}

/// RDS says 1 and 0 where the server says on and off; the server takes both. A formula becomes a number for a laptop.
pub fn as_server_has_it(name: &str, value: &str) -> String {
    match name {
        "max_connections" => value.parse::<u32>().unwrap_or(80).min(200).to_string(),
        _ => value.to_owned(),
    }
}

impl Parameter {
    /// Whether it may have this value.
    pub fn admits(&self, value: &str) -> bool {
        let range = || -> Option<(f64, f64)> {
            // A least that is negative begins with the same sign that divides.
            let allowed = self.allowed.as_deref()?;
            let (least, most) = match allowed.strip_prefix('-') {
                Some(rest) => rest.split_once('-').map(|(least, most)| (format!("-{least}"), most.to_owned()))?,
                None => allowed.split_once('-').map(|(least, most)| (least.to_owned(), most.to_owned()))?,
            };
            Some((least.parse().ok()?, most.parse().ok()?))
        };
        match self.kind {
            "boolean" => ["0", "1", "on", "off", "true", "false"].contains(&value),
            "integer" | "float" if value.contains('{') => self.name == "max_connections",
            "integer" | "float" => match (value.parse::<f64>(), range()) {
                (Ok(number), Some((least, most))) => (least..=most).contains(&number),
                (Ok(_), None) => true,
                (Err(_), _) => false,
            },
            _ => match &self.allowed {
                Some(allowed) => allowed.split(',').any(|one| one == value),
                None => !value.chars().any(char::is_control),
            },
        }
    }

    /// As `DescribeDBParameters` has it; `value` is a group's own.
    pub fn shape(&self, value: Option<&str>) -> Fields {
        let source = match (value, self.by_rds) {
            (Some(_), _) => "user",
            (None, true) => "system",
            (None, false) => "engine-default",
        };
        Fields::new()
            .with("ParameterName", self.name.as_str())
            .maybe("ParameterValue", value.or(self.default.as_deref()))
            .with("Description", self.description.as_str())
            .with("Source", source)
            .with("ApplyType", if self.is_static { "static" } else { "dynamic" })
            .with("DataType", self.kind)
            .maybe("AllowedValues", self.allowed.as_deref())
            .with("IsModifiable", self.modifiable)
            .with("ApplyMethod", if self.is_static { "pending-reboot" } else { "immediate" })
    }
}

/// `default.postgres15`
pub fn default_group(major: u32) -> String {
    format!("default.postgres{major}")
}

/// The major version of a family `postgres15`.
pub fn family(name: &str) -> Option<u32> {
    name.strip_prefix("postgres")?.parse().ok()
}

/// Refuses a group that is not there, or not for this version.
pub fn check_group(region: &Region, name: &str, major: u32) -> Result<(), Refusal> {
    let fits = match region.parameters.get(name) {
        Some(group) => family(&group.family) == Some(major),
        None if name.strip_prefix("default.").and_then(family).is_some() => name == default_group(major),
        None => {
            return Err(Refusal::missing("DBParameterGroupNotFound", format!("DBParameterGroup not found: {name}")));
        }
    };
    if fits {
        return Ok(());
    }
    let message = format!(
        "The Parameter Group {name} with DBParameterGroupFamily differs from what this instance's engine version wants: postgres{major}"
    );
    Err(Refusal::new("InvalidParameterCombination", message))
}

/// Tells running servers of a group what of it needs no restart.
pub async fn apply(core: Arc<Core>, region: String, group: String, changes: Vec<(String, Option<String>)>) {
    let machines: Vec<_> = {
        let mut state = core.state();
        let instances = state.region(&region).instances.values();
        instances.filter(|it| it.shape.parameters == group).filter_map(|it| it.machine.clone()).collect()
    };
    let statements: Vec<String> = changes
        .iter()
        .map(|(name, value)| {
            let name = postgres_protocol::escape::escape_identifier(name);
            match value {
                Some(value) => {
                    format!("ALTER SYSTEM SET {name} = {}", postgres_protocol::escape::escape_literal(value))
                }
                None => format!("ALTER SYSTEM RESET {name}"),
            }
        })
        .chain(["SELECT pg_reload_conf()".to_owned()])
        .collect();
    for machine in machines.into_iter().filter(|machine| machine.is_own()) {
        // A value that the server refuses stays as it was there, as on RDS.
        if let Ok(link) = machine.open(SUPERUSER, "postgres").await {
            for statement in &statements {
                let _ = link.client.batch_execute(statement).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_describes_becomes_a_parameter() {
        let line = "log_min_duration_statement\tsuperuser\tReporting and Logging / When to Log\tINTEGER\t-1\t-1\t2147483647\tSets the minimum execution time.\tmore";
        let parameter = described(line).unwrap();
        assert_eq!((parameter.kind, parameter.is_static, parameter.modifiable), ("integer", false, true));
        for (value, fine) in [("-1", true), ("500", true), ("-2", false), ("x", false), ("2147483648", false)] {
            assert_eq!(parameter.admits(value), fine, "{value}");
        }
        let fixed = described("fsync\tsighup\tWAL\tBOOLEAN\tTRUE\t\t\tForces.\t").unwrap();
        assert_eq!((fixed.default.as_deref(), fixed.modifiable), (None, false));
        assert!(described("rubbish").is_none());
    }
}
