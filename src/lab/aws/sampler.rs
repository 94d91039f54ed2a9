//! Measures a cluster: what it says itself, and what the system says of its processes. What cannot be measured is left out.

use std::fs;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_postgres::{Client, Error};

use super::machine::Machine;
use super::series::Raw;

/// What Linux counts processor time in.
const TICKS: f64 = 100.0;

/// Counters as they were seen last.
#[derive(Debug, Default)]
pub struct Sampler {
    before: Option<(Instant, Counters)>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    cpu: Option<f64>,
    reads: f64,
    read_ms: f64,
    writes: f64,
    write_ms: f64,
}

impl Sampler {
    /// Who is connected and who works: looked at often, because it is only seen while it lasts.
    pub async fn activity(&mut self, machine: &Machine, client: &Client) -> Result<(), Error> {
        let sql = "SELECT count(*)::float8,
                          count(*) FILTER (WHERE state = 'active')::float8,
                          count(*) FILTER (WHERE state = 'active' AND wait_event IS NULL)::float8
                   FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        let row = client.query_one(sql, &[]).await?;
        let (all, active, running): (f64, f64, f64) = (row.get(0), row.get(1), row.get(2));
        let now = Timestamp::now();
        let mut kept = machine.kept();
        for (raw, value) in [(Raw::Connections, all), (Raw::Load, active), (Raw::LoadCpu, running)] {
            kept.series.add(raw, now, value);
        }
        Ok(())
    }

    /// Everything else.
    pub async fn all(&mut self, machine: &Machine, client: &Client) -> Result<(), Error> {
        let row = client.query_one(&question(machine.major), &[]).await?;
        let number = |place: usize| row.try_get::<_, Option<f64>>(place).ok().flatten();
        let processes = machine.pid().and_then(processes);
        let counters = Counters {
            cpu: processes.map(|seen| seen.cpu),
            reads: number(4).unwrap_or_default(),
            read_ms: number(5).unwrap_or_default(),
            writes: number(6).unwrap_or_default(),
            write_ms: number(7).unwrap_or_default(),
        };
        let (now, clock) = (Timestamp::now(), Instant::now());
        let mut kept = machine.kept();
        let mut add = |raw, value: Option<f64>| {
            if let Some(value) = value {
                kept.series.add(raw, now, value);
            }
        };
        add(Raw::StorageUsed, number(0));
        add(Raw::Wal, number(1));
        add(Raw::XidAge, number(2));
        add(Raw::SlotLag, number(3));
        add(Raw::MemoryUsed, processes.map(|seen| seen.memory));
        add(Raw::Swap, processes.map(|seen| seen.swap));
        if let Some((then, before)) = self.before.replace((clock, counters)) {
            let seconds = (clock - then).as_secs_f64().max(0.001);
            let rate = |now: f64, before: f64| (now - before).max(0.0) / seconds;
            if let (Some(now), Some(before)) = (counters.cpu, before.cpu) {
                add(Raw::Cores, Some(rate(now, before)));
            }
            let (reads, writes) = (rate(counters.reads, before.reads), rate(counters.writes, before.writes));
            let each = |ms: f64, count: f64| if count > 0.0 { ms / 1000.0 / count } else { 0.0 };
            let (read, write) = (
                each(rate(counters.read_ms, before.read_ms), reads),
                each(rate(counters.write_ms, before.write_ms), writes),
            );
            add(Raw::Reads, Some(reads));
            add(Raw::Writes, Some(writes));
            add(Raw::ReadSeconds, Some(read));
            add(Raw::WriteSeconds, Some(write));
        }
        Ok(())
    }
}

/// Where the versions keep what is written.
fn question(major: u32) -> String {
    let written = match major {
        ..17 => "(SELECT buffers_checkpoint + buffers_clean + buffers_backend FROM pg_stat_bgwriter)",
        _ => "(SELECT buffers_written FROM pg_stat_checkpointer) + (SELECT buffers_clean FROM pg_stat_bgwriter)",
    };
    let wal = match major {
        ..18 => "(SELECT wal_write FROM pg_stat_wal)",
        _ => "(SELECT sum(writes) FROM pg_stat_io WHERE object = 'wal')",
    };
    format!(
        "SELECT ((SELECT sum(pg_database_size(oid)) FROM pg_database) + wal.size)::float8,
                wal.size::float8,
                (SELECT max(age(datfrozenxid)) FROM pg_database)::float8,
                (SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)) FROM pg_replication_slots)::float8,
                work.reads::float8, work.read_ms::float8,
                ({written} + {wal})::float8, work.write_ms::float8
         FROM (SELECT coalesce(sum(size), 0) AS size FROM pg_ls_waldir()) AS wal,
              (SELECT sum(blks_read) AS reads, sum(blk_read_time) AS read_ms, sum(blk_write_time) AS write_ms
               FROM pg_stat_database) AS work"
    )
}

#[derive(Debug, Clone, Copy)]
struct Processes {
    /// Seconds of processor that it and all its children ever had.
    cpu: f64,
    /// Bytes that are in memory because of it.
    memory: f64,
    /// Bytes of it that are swapped out.
    swap: f64,
}

/// What the system knows of a postmaster and its children; `None` where there is no `/proc`.
fn processes(postmaster: u32) -> Option<Processes> {
    let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).ok()?;
    let own = times(postmaster)?;
    let mut seen = Processes { cpu: own.iter().sum(), memory: 0.0, swap: 0.0 };
    let mut shared = 0.0_f64;
    for pid in children.split_whitespace().filter_map(|pid| pid.parse().ok()).chain([postmaster]) {
        if pid != postmaster {
            // A child that has ended in between is in its parent's account the next time.
            seen.cpu += times(pid).map_or(0.0, |[user, system, _, _]| user + system);
        }
        let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else { continue };
        let kilobytes = |name: &str| -> f64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).unwrap_or(0.0) * 1024.0
        };
        seen.memory += kilobytes("RssAnon:");
        seen.swap += kilobytes("VmSwap:");
        shared = shared.max(kilobytes("RssShmem:"));
    }
    seen.memory += shared;
    Some(seen)
}

/// Seconds of processor: its own in user and system mode, and of children that are no more.
fn times(pid: u32) -> Option<[f64; 4]> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let seconds = |place: usize| fields.get(place)?.parse::<f64>().ok().map(|ticks| ticks / TICKS);
    Some([seconds(11)?, seconds(12)?, seconds(13)?, seconds(14)?])
}
