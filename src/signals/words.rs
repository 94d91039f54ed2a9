//! How findings speak: lists of tenants, SQL that can be pasted, and the limit that would have helped.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::foreign::sanitise;
pub(super) use crate::domain::identifier::{is_plain, literal, quoted};
use crate::domain::quantity::plural;
use crate::domain::{Foreign, Session, SessionKey, TenantId, Tier};

use super::Place;

/// Seconds after which an idle session of a pool is not missed.
const LONG_IDLE: u32 = 10;

/// How many names a sentence bears.
const NAMED: usize = 3;

/// How many sessions one statement signals; then one looks again.
pub(super) const AT_ONCE: usize = 20;

/// `globex, initech, umbrella +3`
pub(super) fn names<'t>(tenants: impl IntoIterator<Item = &'t TenantId>) -> String {
    let all: Vec<&str> = tenants.into_iter().map(TenantId::as_str).collect();
    let shown = all.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    if all.len() > NAMED { format!("{shown} +{}", all.len() - NAMED) } else { shown }
}

/// `globex`, or `6 tenants (globex, initech, umbrella +3)`
pub(super) fn tenants(tenants: &[TenantId]) -> String {
    match tenants {
        [one] => one.to_string(),
        all => format!("{} ({})", plural(all.len(), "tenant"), names(all)),
    }
}

/// A sentence that lists what is wrong, as much of it as one sentence bears.
pub(super) fn and_more(lead: &str, words: &[String]) -> String {
    const LONGEST: usize = 190;
    let mut text = lead.to_owned();
    for (place, word) in words.iter().enumerate() {
        let rest = words.len() - place;
        if place > 0 && text.chars().count() + word.chars().count() + 2 > LONGEST {
            return format!("{text}; +{rest} more");
        }
        text.push_str(if place > 0 { "; " } else { "" });
        text.push_str(word);
    }
    text
}

/// The tenant, if strong evidence names one; else who is logged in and works on a tenant's things; else an honest
/// description of a session that cannot be blamed on anybody.
pub(super) fn whose(place: &Place<'_>, session: &Session) -> String {
    match (place.doer(session), place.visited(session)) {
        (Some(tenant), _) => tenant.to_string(),
        (None, Some(tenant)) => format!("{} (working on {tenant})", session.role),
        (None, None) => nobody(session),
    }
}

/// `5 sessions of globex`, `3 of its own sessions`, `5 sessions (2 of globex, 2 of its own, 1 of portarium_admin)`: `own` are
/// the tenants that it is said of. Who cannot be told apart is counted by its login.
pub(super) fn sessions_of(place: &Place<'_>, sessions: &[&Session], own: &HashSet<&TenantId>) -> String {
    let mut tenants_of: BTreeMap<&TenantId, usize> = BTreeMap::new();
    let mut logins: BTreeMap<&Foreign, usize> = BTreeMap::new();
    let mut its_own = 0;
    for session in sessions {
        match place.doer(session) {
            Some(tenant) if own.contains(tenant) => its_own += 1,
            Some(tenant) => *tenants_of.entry(tenant).or_default() += 1,
            None => *logins.entry(&session.role).or_default() += 1,
        }
    }
    let all = plural(sessions.len(), "session");
    let others: Vec<TenantId> = tenants_of.keys().map(|&tenant| tenant.clone()).collect();
    match (its_own, others.len(), logins.len()) {
        (own, 0, 0) => return format!("{own} of its own sessions"),
        (0, _, 0) => return format!("{all} of {}", tenants(&others)),
        (0, 0, 1) => return all,
        _ => {}
    }
    let mut parts: Vec<(usize, String)> = if others.len() > NAMED {
        vec![(tenants_of.values().sum(), plural(others.len(), "other tenant"))]
    } else {
        tenants_of.iter().map(|(tenant, count)| (*count, tenant.to_string())).collect()
    };
    parts.extend((its_own > 0).then(|| (its_own, "its own".to_owned())));
    if logins.len() > NAMED {
        parts.push((logins.values().sum(), plural(logins.len(), "login")));
    } else {
        parts.extend(logins.iter().map(|(login, count)| (*count, brief(login))));
    }
    parts.sort_by(|(one, a), (other, b)| other.cmp(one).then(a.cmp(b)));
    let parts: Vec<String> = parts.into_iter().map(|(count, of)| format!("{count} of {of}")).collect();
    format!("{all} ({})", parts.join(", "))
}

/// A login's name in a sentence that has room for little.
fn brief(login: &Foreign) -> String {
    login.shown().chars().take(20).collect()
}

/// A session without strong evidence, in words.
pub(super) fn nobody(session: &Session) -> String {
    let role = &session.role;
    match session.attribution.tenant() {
        Some(claimed) => format!("a session of {role} that cannot be attributed (claims to be {claimed})"),
        None => format!("a session of {role} that cannot be attributed"),
    }
}

/// A text constant that is the very text: `None` where it could not be printed as it is, and so would name nothing.
pub(super) fn exact(text: &str) -> Option<String> {
    (sanitise(text) == text).then(|| literal(text))
}

/// `schema.name` as it stands in SQL, safe to print.
pub(super) fn qualified(schema: &Foreign, name: &Foreign) -> String {
    format!("{}.{}", quoted(schema.raw()), quoted(name.raw()))
}

/// `; 2 more like it`, or nothing.
pub(super) fn more_like_it(count: usize, what: &str) -> String {
    if count == 0 { String::new() } else { format!("; {} like it", plural(count, what)) }
}

/// SQL that cancels the statement that a session runs, and no other: behind a pooler the next one on its connection is
/// another tenant's.
pub(super) fn cancel(session: &Session) -> Option<String> {
    let started = session.query_started?;
    Some(aimed("pg_cancel_backend", session.key, "query_start", started))
}

/// SQL that ends a session while it is in the transaction that it is in; one without a transaction while it does not stir.
pub(super) fn terminate(session: &Session) -> Option<String> {
    match (session.transaction_started, session.state_changed) {
        (Some(began), _) => Some(terminate_in(session.key, began)),
        (None, Some(changed)) => Some(aimed("pg_terminate_backend", session.key, "state_change", changed)),
        (None, None) => None,
    }
}

/// The same of a session of which only the key and the beginning of its transaction are known.
pub(super) fn terminate_in(key: SessionKey, began: Timestamp) -> String {
    aimed("pg_terminate_backend", key, "xact_start", began)
}

/// The same of several statements at once, the first of them.
pub(super) fn cancel_each(sessions: &[&Session]) -> Option<String> {
    match sessions {
        [one] => cancel(one),
        all => aimed_at_each("pg_cancel_backend", "query_start", all.iter().map(|it| (it.key, it.query_started))),
    }
}

/// SQL that cancels whatever a login of one tenant's own runs, and leaves alone what only waits for a lock: it uses nothing. What
/// runs changes faster than anybody pastes, so it is not aimed by pid, and stays the same from poll to poll.
pub(super) fn cancel_all(login: &str) -> String {
    format!(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = {} AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Lock';",
        literal(login)
    )
}

/// The same of several sessions at once, the first of them, each in its transaction.
pub(super) fn terminate_each(sessions: &[&Session]) -> Option<String> {
    match sessions {
        [one] => terminate(one),
        all => {
            aimed_at_each("pg_terminate_backend", "xact_start", all.iter().map(|it| (it.key, it.transaction_started)))
        }
    }
}

/// `pid 7`, or `pids 7, 9, 12 +5`
pub(super) fn pids<'s>(sessions: impl IntoIterator<Item = &'s Session>) -> String {
    let all: Vec<String> = sessions.into_iter().map(|session| session.key.pid.to_string()).collect();
    let shown = all.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if all.len() > NAMED { format!(" +{}", all.len() - NAMED) } else { String::new() };
    format!("{}{shown}{more}", if all.len() == 1 { "pid " } else { "pids " })
}

/// SQL that signals each of these sessions while it is at what it was seen at.
fn aimed_at_each(
    function: &str,
    moment: &str,
    targets: impl Iterator<Item = (SessionKey, Option<Timestamp>)>,
) -> Option<String> {
    let one = |(SessionKey { pid, started }, at)| Some(format!("({pid}, '{}', '{}')", stamp(started), stamp(at?)));
    let targets = targets.filter_map(one).take(AT_ONCE).collect::<Vec<_>>().join(", ");
    let sql =
        format!("SELECT {function}(pid) FROM pg_stat_activity WHERE (pid, backend_start, {moment}) IN ({targets});");
    (!targets.is_empty()).then_some(sql)
}

/// A moment as PostgreSQL keeps it.
fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.6f+00").to_string()
}

/// SQL that signals one session and never a later one that was given its pid, nor its connection, for something else. That
/// no row comes back is the safe answer.
fn aimed(function: &str, SessionKey { pid, started }: SessionKey, moment: &str, at: Timestamp) -> String {
    let (started, at) = (stamp(started), stamp(at));
    format!(
        "SELECT {function}(pid) FROM pg_stat_activity WHERE pid = {pid} AND backend_start = '{started}' AND {moment} = '{at}';"
    )
}

/// SQL that ends a login's sessions that have been idle for long.
pub(super) fn end_idle(login: &str) -> String {
    let login = literal(login);
    let long = format!("state = 'idle' AND state_change < now() - interval '{LONG_IDLE} s'");
    format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = {login} AND {long};")
}

/// A time as PostgreSQL's settings take it: `30s`, `5min`, `250ms`.
pub(super) fn setting(time: Duration) -> String {
    let milliseconds = time.as_millis();
    match milliseconds {
        0 => "0".to_owned(),
        _ if milliseconds.is_multiple_of(60_000) => format!("{}min", milliseconds / 60_000),
        _ if milliseconds.is_multiple_of(1_000) => format!("{}s", milliseconds / 1_000),
        _ => format!("{milliseconds}ms"),
    }
}

/// What can be done about a tenant for good. Limits bind login roles: one is only named if all the sessions that are
/// blamed log in as the tenant's own, whatever roles exist besides.
pub(super) fn remedy(
    place: &Place<'_>,
    tenant: &TenantId,
    blamed: &[&Session],
    own_login: impl FnOnce(&str) -> String,
) -> String {
    let foreign = blamed.iter().find(|session| !place.owns_login(tenant, session.role.raw()));
    let account = |session: &&Session| place.is_service_account(session.role.raw());
    let promotion = match place.instance.tier {
        Tier::Shared => ", or promote it to dedicated",
        Tier::Dedicated => "",
    };
    match (foreign, blamed.first()) {
        (Some(session), _) if !account(session) && place.instance.tier == Tier::Shared => {
            format!("{tenant}'s limits do not bind {}: see who that is", quoted(session.role.raw()))
        }
        (Some(session), _) => format!(
            "no limit can bind {tenant} alone while it logs in as {}: give it its own login{promotion}",
            quoted(session.role.raw())
        ),
        (None, Some(session)) => own_login(&quoted(session.role.raw())),
        (None, None) => format!("a limit binds {tenant} only on a login of its own: see what it logs in as{promotion}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_few_and_identifiers_safe() {
        let ids: Vec<TenantId> = ["aaa", "bbb", "ccc", "ddd"].map(|id| TenantId::parse(id).unwrap()).into();
        assert_eq!(names(&ids[..3]), "aaa, bbb, ccc");
        assert_eq!(tenants(&ids), "4 tenants (aaa, bbb, ccc +1)");
        assert_eq!(tenants(&ids[..1]), "aaa");
        assert_eq!(
            ["30s", "5min", "250ms", "0"],
            [30_000, 300_000, 250, 0].map(|ms| setting(Duration::from_millis(ms)))
        );
    }
}
