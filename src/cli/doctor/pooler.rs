//! What `tierdeck doctor` says of the pooler before an instance.

use std::collections::BTreeMap;

use super::{Check, Component, Finding, Verdict};
use crate::clients::Environment;
use crate::clients::pgbouncer::Console;
use crate::clients::postgres::{QueryError, Target};
use crate::config::PoolerConfig;
use crate::domain::facts::Pooler;
use crate::domain::foreign::sanitise;
use crate::domain::quantity::plural;
use crate::domain::{InstanceName, Signal};
use crate::poll::open_pooler;
use crate::sources::pgbouncer::ask;

/// Looks at it.
pub(super) async fn examine(instance: &InstanceName, pooler: &PoolerConfig) -> Component {
    let user = Target::parse(&pooler.url, &Environment::of_process()).ok().map(|target| target.user);
    let mut component = Component {
        name: instance.to_string(),
        kind: "pgbouncer",
        reachable: false,
        version: None,
        login: user.clone(),
        checks: Vec::new(),
    };
    let unanswered = |detail: String| Check {
        name: "connection",
        verdict: Verdict::Missing,
        detail: format!(
            "{detail}; left out: pools, clients that wait for one, and whether settings leak between clients"
        ),
        leaves_out: Vec::new(),
        fix: None,
        narrower: None,
    };
    let console = match open_pooler(pooler).await {
        Ok(console) => console,
        Err(trouble) => {
            component.checks.push(unanswered(trouble.message));
            return component;
        }
    };
    component.reachable = true;
    match look(&console, user.as_deref().unwrap_or_default()).await {
        Ok((facts, admin)) => {
            component.version = Some(facts.version.to_string()).filter(|version| !version.is_empty());
            component.checks =
                vec![configuration(&facts), login(user.as_deref(), admin), pools(&facts), settings(&facts)];
        }
        Err(error) => component.checks.push(unanswered(error.to_string())),
    }
    component
}

/// What it says, and whether our user is one of its administrators; `None` where that is not shown.
async fn look(console: &Console, user: &str) -> Result<(Pooler, Option<bool>), QueryError> {
    let facts = ask(console).await?;
    let lines = console.show("CONFIG").await?;
    let admins = lines.iter().find(|line| line.text("key") == Some("admin_users")).and_then(|line| line.text("value"));
    Ok((facts, admins.map(|admins| admins.split(',').any(|admin| admin.trim() == user))))
}

fn configuration(facts: &Pooler) -> Check {
    Check::of(
        "console",
        facts.mode.is_some() && facts.reset_query.is_some() && facts.resets_always.is_some(),
        "its pools and settings are shown to us",
        Finding {
            verdict: Verdict::Warning,
            detail: "its settings are not shown to us: whether what one client SETs reaches the next stays unknown"
                .to_owned(),
            leaves_out: &[],
            fix: Some("in pgbouncer.ini name our user in stats_users, then RELOAD".to_owned()),
        },
    )
}

fn login(user: Option<&str>, admin: Option<bool>) -> Check {
    let user = sanitise(user.unwrap_or_default()).into_owned();
    Check::of(
        "privileges",
        admin != Some(true),
        "it lets us look, and no more",
        Finding {
            verdict: Verdict::Warning,
            detail: format!("{user} is in admin_users, and may pause and kill pools: more than watching needs"),
            leaves_out: &[],
            fix: Some(format!("in pgbouncer.ini move {user} from admin_users to stats_users, then RELOAD")),
        },
    )
}

fn pools(facts: &Pooler) -> Check {
    let mut modes: BTreeMap<&str, usize> = BTreeMap::new();
    for pool in &facts.pools {
        *modes.entry(&pool.mode).or_default() += 1;
    }
    let of = |(mode, count): (&&str, &usize)| format!("{} in {} mode", plural(*count, "pool"), sanitise(mode));
    let used: Vec<String> = modes.iter().map(of).collect();
    let used = if used.is_empty() { "no pool in use".to_owned() } else { used.join(", ") };
    let mode = facts.mode.as_deref().map_or("—".into(), sanitise);
    let paused = facts.pools.iter().filter(|pool| pool.paused).count();
    let good = format!("pool_mode {mode}; {used}; {} clients wait", facts.waiting());
    Check::of(
        "pools",
        paused == 0,
        &good,
        Finding {
            verdict: Verdict::Warning,
            detail: format!("{good}; {} paused: all its clients wait", plural(paused, "pool")),
            leaves_out: &[],
            fix: Some("RESUME; at its admin console, as one of admin_users".to_owned()),
        },
    )
}

/// Whether what one client sets is still set for the next.
fn settings(facts: &Pooler) -> Check {
    let leaking: Vec<_> = facts.leaking().collect();
    let paths = leaking.iter().filter(|pool| facts.leaks_search_path(pool) == Some(true)).count();
    let why = leaking.first().and_then(|pool| facts.leak(pool)).unwrap_or_default();
    let path = if paths > 0 { "; search_path too: one tenant's statements may run in another's schema" } else { "" };
    // Before anybody came there is no pool: the default tells what it would be.
    let by_default = leaking.is_empty()
        && facts.pools.is_empty()
        && facts.mode.as_deref().is_some_and(|mode| mode != "session")
        && facts.resets_always == Some(false);
    let detail = if by_default {
        "in its pool_mode server_reset_query is not run: what one client SETs will be set for the next".to_owned()
    } else {
        format!(
            "{} {} settings on: {why}{path}",
            plural(leaking.len(), "pool"),
            if leaking.len() == 1 { "hands" } else { "hand" }
        )
    };
    Check::of(
        "settings",
        leaking.is_empty() && !by_default,
        "what one client SETs does not reach the next",
        Finding {
            verdict: Verdict::Warning,
            detail,
            leaves_out: NONE,
            fix: Some(
                "in pgbouncer.ini server_reset_query = DISCARD ALL and server_reset_query_always = 1, then RELOAD; or let \
                 applications use SET LOCAL only"
                    .to_owned(),
            ),
        },
    )
}

/// It leaves no signal out: it is what a signal would be about.
const NONE: &[Signal] = &[];
