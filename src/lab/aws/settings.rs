//! What an instance's server is told: RDS's habits, a size for a laptop, and the parameter group's word.

use std::path::Path;
use std::time::Duration;

use super::core::Core;
use super::machine::Machine;
use super::parameters;
use super::state::InstanceShape;

/// `15.18` → 15
pub fn major(version: &str) -> u32 {
    version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or_default()
}

/// Everything that goes into the configuration file when the server starts.
pub fn of(core: &Core, region: &str, shape: &InstanceShape, machine: &Machine) -> Vec<(String, String)> {
    let group = core.state().region(region).parameters.get(&shape.parameters).map(|group| group.values.clone());
    let group = group.unwrap_or_default();
    let mut all: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| all.push((name.to_owned(), value.to_owned()));
    for (name, value) in LAPTOP {
        set(name, value);
    }
    for (name, value) in archiving(core.archive_timeout, &machine.archive, shape.retention > 0) {
        set(&name, &value);
    }
    let own = group.iter().filter(|(name, _)| parameters::reaches_server(name));
    for (name, value) in own {
        set(name, &parameters::as_server_has_it(name, value));
    }
    let logical = group.get("rds.logical_replication").is_some_and(|value| value == "1");
    set("wal_level", if logical { "logical" } else { "replica" });
    set("rds.logical_replication", if logical { "on" } else { "off" });
    set("rds.force_ssl", group.get("rds.force_ssl").map_or("0", String::as_str));
    all
}

/// How WAL reaches the archive.
pub fn archiving(timeout: Duration, archive: &Path, wanted: bool) -> Vec<(String, String)> {
    let command = if wanted { Machine::archive_command(archive) } else { "true".to_owned() };
    vec![
        ("archive_mode".to_owned(), "on".to_owned()),
        ("archive_command".to_owned(), command),
        ("archive_timeout".to_owned(), format!("{}s", timeout.as_secs().max(1))),
        ("track_commit_timestamp".to_owned(), "on".to_owned()),
    ]
}

const LAPTOP: [(&str, &str); 24] = [
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("max_connections", "80"),
    ("superuser_reserved_connections", "3"),
    ("shared_buffers", "16MB"),
    ("max_wal_senders", "10"),
    ("max_parallel_workers_per_gather", "0"),
    ("jit", "off"),
    ("fsync", "off"),
    ("synchronous_commit", "off"),
    ("wal_keep_size", "16MB"),
    ("autovacuum_naptime", "15s"),
    ("bgwriter_delay", "1s"),
    ("track_io_timing", "on"),
    ("shared_preload_libraries", "pg_stat_statements"),
    ("password_encryption", "scram-sha-256"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%t:%r:%u@%d:[%p]:"),
    ("log_lock_waits", "on"),
    ("logging_collector", "on"),
    ("log_filename", "postgresql.log.%Y-%m-%d-%H"),
    ("log_rotation_age", "60min"),
    ("log_file_mode", "0600"),
];
