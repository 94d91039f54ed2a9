//! `tierdeck status`: one look at everything, or a look after look.

use std::fmt::Write;
use std::path::Path;

use color_eyre::eyre::Result;

use super::document::{Status, moment};
use super::{Exit, findings, observe, output};
use crate::config::Config;
use crate::domain::facts::Source;
use crate::domain::quantity::{bytes, count, milliseconds, percent};
use crate::domain::snapshot::Reach;
use crate::domain::{Snapshot, Tier};
use crate::ui::terminal;

pub(super) async fn run(config: Option<&Path>, json: bool, watch: bool) -> Result<Exit> {
    let Some(config) = observe::configuration(config) else { return Ok(Exit::Usage) };
    if !watch {
        let snapshot = observe::complete(&mut observe::look(&config, false)?).await;
        return if json { output::document(&Status::of(&snapshot)) } else { output::text(&words(&snapshot)) };
    }
    // Heard from the first moment on, whatever is being waited for.
    let stop = terminal::signalled()?;
    tokio::select! {
        ended = keep_looking(&config, json) => ended,
        _ = stop => Ok(Exit::Interrupted),
    }
}

/// A look after a look, until the reader goes. Writing does not wait, so that whoever stops us stops us between documents.
async fn keep_looking(config: &Config, json: bool) -> Result<Exit> {
    let pause = config.poll.get(&Source::Activity).copied().unwrap_or_default();
    let mut poller = observe::look(config, true)?;
    let mut snapshot = observe::complete(&mut poller).await;
    loop {
        let written = if json { output::line(&Status::of(&snapshot)) } else { output::text(&words(&snapshot)) };
        if written? != Exit::Fine {
            return Ok(Exit::Fine);
        }
        tokio::time::sleep(pause).await;
        observe::heed(config, &poller);
        if poller.snapshots.changed().await.is_err() {
            return Ok(Exit::Fine);
        }
        snapshot = poller.snapshots.borrow_and_update().clone();
    }
}

/// The snapshot as people read it.
fn words(snapshot: &Snapshot) -> String {
    let mut text = format!("{}  {}\n\n", snapshot.environment, moment(snapshot.taken_at));
    for instance in &snapshot.instances {
        let state = match &instance.reach {
            Reach::Up => "up".to_owned(),
            Reach::Connecting => "no answer yet".to_owned(),
            Reach::Apart(reason) => format!("not polled: {reason}"),
            Reach::Down { trouble, .. } => format!("DOWN: {}", trouble.message),
        };
        let version = instance.server.as_ref().map_or("—", |server| server.version.as_str());
        let connections = known(instance.connections, |count| count.to_string());
        let most = known(instance.usable_connections(), |count| count.to_string());
        let _ = writeln!(
            text,
            "{}  {}  PostgreSQL {version}  connections {connections}/{most}  running {}  blocked {}  {state}",
            instance.name,
            tier(instance.tier),
            known(instance.active, |count| count.to_string()),
            known(instance.blocked, |count| count.to_string()),
        );
    }
    text.push('\n');
    text.push_str(&findings::words(snapshot));
    let width = snapshot.tenants.iter().map(|tenant| tenant.id.as_str().len()).max().unwrap_or(6).max(6);
    let _ = writeln!(
        text,
        "\n{:width$}  {:4}  {:>5}  {:>5}  {:>4}  {:>4}  {:>7}  {:>5}  {:>8}  {:>6}  {:>8}  findings",
        "tenant", "tier", "conn", "limit", "act", "wait", "idle-tx", "noise", "rows/day", "dead", "size"
    );
    for tenant in &snapshot.tenants {
        let limit = match tenant.limit_scope {
            crate::domain::snapshot::LimitScope::Tenant => {
                // No limit is known only of a login that is known.
                let none = if tenant.limits.login.is_some() { "∞" } else { "—" };
                match (tenant.limits.effective.connection_limit, tenant.bound) {
                    (None, _) => none.to_owned(),
                    // The limit counts its own login's sessions, and there are others.
                    (Some(limit), Some(bound)) if tenant.bound != tenant.connections => format!("{bound}/{limit}"),
                    (Some(limit), _) => limit.to_string(),
                }
            }
            crate::domain::snapshot::LimitScope::ServiceAccount => "acct".to_owned(),
        };
        let dead = tenant.dead_tuples.zip(tenant.live_tuples).filter(|(dead, live)| dead + live > 0);
        let names: Vec<&str> = tenant.findings.iter().map(|signal| signal.name()).collect();
        let number = |value: Option<u32>| known(value, |value| value.to_string());
        let _ = writeln!(
            text,
            "{:width$}  {:4}  {:>5}  {:>5}  {:>4}  {:>4}  {:>7}  {:>5}  {:>8}  {:>6}  {:>8}  {}",
            tenant.id,
            tier(tenant.tier),
            number(tenant.connections),
            limit,
            number(tenant.active),
            number(tenant.waiting),
            number(tenant.idle_in_transaction),
            known(tenant.noise_score, |score| format!("{score:.0}")),
            known(tenant.rows_written_per_day, |rows| marked(tenant.rows_written_estimated, &count(rows))),
            known(dead, |(dead, live)| marked(true, &percent(dead as f64 / (dead + live) as f64))),
            known(tenant.size_bytes, |size| marked(tenant.size_estimated, &bytes(size))),
            names.join(" "),
        );
    }
    let _ = writeln!(
        text,
        "\n{} sessions without a tenant ({} active); watching costs the database {} ms/s",
        snapshot.unattributed.connections,
        snapshot.unattributed.active,
        known(snapshot.cost.database_ms_per_second, |cost| format!("~{}", milliseconds(cost))),
    );
    text
}

fn known<T>(value: Option<T>, write: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "—".to_owned(), write)
}

/// An estimate looks like one.
fn marked(estimated: bool, words: &str) -> String {
    format!("{}{words}", if estimated { "~" } else { "" })
}

fn tier(tier: Tier) -> &'static str {
    match tier {
        Tier::Shared => "S",
        Tier::Dedicated => "D",
    }
}
