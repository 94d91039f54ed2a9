//! What is proven of a tenant, and how: every statement is decided here. Pure.

use std::collections::BTreeMap;

use serde_json::json;

use super::control::Control;
use super::evidence::Setting;
use super::login::{MakeLogin, RemoveLogin};
use super::trial::Try;
use super::{Facts, Login, Neighbour, ProveStep, Proving, ROOM, login_of};
use crate::domain::identifier::{in_quotes, literal};
use crate::ops::act::{Action, Intent, identifier};
use crate::ops::guardrails::milliseconds;
use crate::ops::guest::{Attempt, What, seconds};
use crate::ops::id::OperationId;
use crate::ops::plan::{Fact, Plan, PlannedStep, Refusals, SCHEMA, Subject, Target};

/// `CONNECTION LIMIT` of the temporary login, where the one that it is like has any: enough to hold a lock and to wait for it.
const SESSIONS: usize = 2;

/// Longer limits are shortened even if nobody asked for that.
const LONGEST_MS: u64 = 10 * 60 * 1_000;

/// How long beyond a limit is waited for what it does.
const BEYOND_MS: u64 = 1_000;

/// The three timeouts.
const STATEMENT: &str = "statement_timeout";
const LOCK: &str = "lock_timeout";
const IDLE: &str = "idle_in_transaction_session_timeout";

/// A timeout as it will be tried.
struct Timeout {
    /// What binds the temporary login, in milliseconds; `None`: nothing that we know of.
    limit: Option<u64>,
    /// How long is waited for it.
    wait: u64,
    note: Option<String>,
}

impl Timeout {
    fn of(name: &str, login: &Login, intent: &Proving) -> Self {
        let real = login.setting(name).and_then(milliseconds);
        let policy = intent.policy.settings.get(name).and_then(|text| milliseconds(text));
        let most = intent.shortened_ms.unwrap_or(LONGEST_MS);
        let Some(limit) = real else {
            let wait = policy.unwrap_or(BEYOND_MS).min(most) + BEYOND_MS.min(most);
            let note = format!("{} has no {name}: so long is waited for one that is set elsewhere", login.name);
            return Self { limit: None, wait, note: Some(note) };
        };
        if limit <= most {
            return Self { limit: Some(limit), wait: limit + BEYOND_MS, note: None };
        }
        let short = intent.shortened_ms.unwrap_or(BEYOND_MS);
        let note = format!(
            "shortened: the temporary login has {} s in the place of {} s; that the server keeps to {name} is proven, the number is read \
             from the catalogue",
            seconds(short),
            seconds(limit)
        );
        Self { limit: Some(short), wait: short + BEYOND_MS, note: Some(note) }
    }
}

/// Plans, or says why not. Pure.
pub(in crate::ops) fn plan(
    intent: &Proving,
    facts: &Facts,
    throttled: Option<&OperationId>,
    target: Target,
    id: OperationId,
) -> Result<Plan, Refusals> {
    let Proving { tenant, instance, .. } = intent;
    let Some(login) = &facts.login else {
        return Err(Refusals::one(format!("{instance} has no login that {tenant} works as: is it there?")));
    };
    let refusals = in_the_way(login, facts, &target);
    if !refusals.is_empty() {
        return Err(Refusals(refusals));
    }
    let role = login_of(&id);
    let timeouts = [STATEMENT, LOCK, IDLE].map(|name| (name, Timeout::of(name, login, intent)));
    let mut make = temporary(intent, facts, login, &timeouts, &id, &role);
    let mut trials = vec![("prove the connection limit".to_owned(), vec![connections(login)])];
    trials.extend(timeouts.iter().map(|(name, timeout)| (title(name), vec![waiting(name, timeout, login, &id)])));
    let (isolation, sample) = isolation(facts, login, &role);
    trials.push(("prove the isolation".to_owned(), isolation));
    // What the approval does not depend on is told where it is read: in the evidence.
    make.caveats = caveats(login, &make);
    make.caveats.extend(sample);
    let warnings = warnings(intent, facts, login, throttled);
    make.caveats.extend(warnings.iter().cloned());
    let waits: u64 = timeouts.iter().map(|(_, timeout)| timeout.wait).sum();
    let before = json!({ "login": "none" });
    let remove = RemoveLogin { target: 0, tenant: tenant.clone(), operation: id.clone(), role: role.clone() };
    let mut steps = vec![PlannedStep::new(Action::Prove(ProveStep::Login(make)), &before)?];
    for (title, controls) in trials {
        let step = Try { target: 0, operation: id.clone(), role: role.clone(), title, controls };
        steps.push(PlannedStep::new(Action::Prove(ProveStep::Try(step)), &before)?);
    }
    steps.push(PlannedStep::new(Action::Prove(ProveStep::Remove(remove)), &before)?);
    Ok(Plan {
        schema: SCHEMA,
        id,
        kind: "prove".to_owned(),
        summary: format!("prove the limits and the isolation of {tenant} on {instance}: its login {}", login.name),
        subjects: vec![Subject::Tenant { id: tenant.clone() }],
        affects: vec![format!(
            "nobody: up to {} connections of a login of its own, for about {} s; no limit of {} is used up, no lock is taken that \
                 others want, nothing is written that stays",
            SESSIONS + 1,
            waits.div_ceil(1_000) + 2,
            login.name
        )],
        facts: known(login),
        warnings,
        steps,
        confirm: if intent.all { instance.to_string() } else { tenant.to_string() },
        targets: vec![target],
        intent: Intent::Prove(intent.clone()),
    })
}

/// What a step is called where there is little room.
fn title(timeout: &str) -> String {
    if timeout == IDLE { "prove the limit of idle transactions".to_owned() } else { format!("prove {timeout}") }
}

/// What whoever approves it has to know.
fn warnings(intent: &Proving, facts: &Facts, login: &Login, throttled: Option<&OperationId>) -> Vec<String> {
    let Proving { tenant, .. } = intent;
    let mut warnings = Vec::new();
    if facts.shared {
        warnings.push(format!(
            "{tenant} works as {}, which everybody does: its limits are those of all tenants together, and the policy for a login of its own \
             is not compared",
            login.name
        ));
    }
    warnings.extend(
        throttled
            .map(|by| format!("{tenant} is throttled by operation {by}: what is proven are the throttle's limits")),
    );
    if !login.others.is_empty() {
        warnings.push(format!(
            "temporary logins of other proofs are there: {}; tierdeck ops list names each operation: resume it, or roll it back",
            login.others.join(", ")
        ));
    }
    warnings
}

fn in_the_way(login: &Login, facts: &Facts, target: &Target) -> Vec<String> {
    let (name, admin) = (&login.name, &target.login);
    let mut refusals = Vec::new();
    if !login.may_enter {
        refusals.push(format!("{name} may not log in: nobody works as it, and no limit of it binds anybody"));
    }
    if login.superuser {
        refusals.push(format!("{name} is a superuser: no limit and no right binds it, and there is nothing to prove"));
    }
    if !login.may_create_roles {
        refusals.push(format!("{admin} may not create roles: ALTER ROLE {admin} CREATEROLE"));
    }
    if !login.may_grant {
        refusals.push(format!(
            "{admin} may not give anybody the rights of {name}; as whoever created it: GRANT {name} TO {admin} WITH ADMIN OPTION"
        ));
    }
    if !login.may_signal {
        refusals.push(format!("{admin} may not end sessions: GRANT pg_signal_backend TO {admin}"));
    }
    if facts.room < ROOM {
        refusals.push(format!(
            "only {} connections are free on the server, and the trial leaves {ROOM} alone at the least: try again when there are more",
            facts.room
        ));
    }
    if let Err(Refusals(more)) = identifier(name) {
        refusals.extend(more);
    }
    refusals
}

/// What must still be so.
fn known(login: &Login) -> Vec<Fact> {
    let name = &login.name;
    let mut facts = vec![Fact { name: format!("{name}: connection limit"), value: login.connections.to_string() }];
    facts.extend([STATEMENT, LOCK, IDLE].map(|setting| {
        let value = login.setting(setting).unwrap_or("not set").to_owned();
        Fact { name: format!("{name}: {setting}"), value }
    }));
    facts
}

/// The temporary login: like the one that binds, but for what is said of it.
fn temporary(
    intent: &Proving,
    facts: &Facts,
    login: &Login,
    timeouts: &[(&'static str, Timeout); 3],
    id: &OperationId,
    role: &str,
) -> MakeLogin {
    let own = login.settings.iter().filter(|stored| stored.own && is_copied(stored.plain, &stored.value));
    let mut settings: BTreeMap<String, String> =
        own.map(|stored| (stored.name.clone(), stored.value.clone())).collect();
    for (name, timeout) in timeouts {
        if let (Some(limit), Some(_)) = (timeout.limit, &timeout.note) {
            settings.insert((*name).to_owned(), format!("{limit}ms"));
        }
    }
    let connections = if login.connections < 0 { -1 } else { i32::try_from(SESSIONS).unwrap_or(-1) };
    // Of the account that everybody shares the policy says nothing.
    let policy = (!facts.shared).then_some(&intent.policy);
    let number = |limit: i32| (limit >= 0).then(|| limit.to_string());
    let mut compared = vec![Setting {
        name: "CONNECTION LIMIT".to_owned(),
        policy: policy.and_then(|policy| policy.connections).map(|limit| limit.to_string()),
        login: number(login.connections),
        temporary: number(connections),
    }];
    compared.extend(timeouts.iter().map(|(name, _)| Setting {
        name: (*name).to_owned(),
        policy: policy.and_then(|policy| policy.settings.get(*name).cloned()),
        login: login.setting(name).map(str::to_owned),
        temporary: settings.get(*name).cloned().or_else(|| login.setting(name).map(str::to_owned)),
    }));
    MakeLogin {
        target: 0,
        tenant: intent.tenant.clone(),
        operation: id.clone(),
        role: role.to_owned(),
        like: login.name.clone(),
        shared: facts.shared,
        connections,
        settings,
        options: login.version >= 160_000,
        compared,
        caveats: Vec::new(),
    }
}

/// What cannot be read where it is approved is not put there.
fn is_copied(plain: bool, value: &str) -> bool {
    plain && crate::domain::foreign::sanitise(value) == value
}

fn control(name: &str, expects: impl Into<String>, attempts: Vec<Attempt>, refusals: &[&str]) -> Control {
    Control {
        name: name.to_owned(),
        expects: expects.into(),
        attempts,
        refusals: refusals.iter().map(|code| (*code).to_owned()).collect(),
        breaches: Vec::new(),
        none: false,
        limit_ms: None,
        note: None,
    }
}

fn connections(login: &Login) -> Control {
    let note = if login.connections < 0 {
        format!("{} has no CONNECTION LIMIT, and neither has the temporary login", login.name)
    } else {
        format!(
            "proven with a limit of {SESSIONS} at the temporary login, so that none of the {} connections of {} is used up",
            login.connections, login.name
        )
    };
    let expects = format!("one session more than the CONNECTION LIMIT of {} is refused with 53300", login.name);
    let attempt = Attempt { beside: SESSIONS, ..Attempt::of(What::Enter) };
    Control { note: Some(note), ..control("connection limit", expects, vec![attempt], &["53300"]) }
}

/// A timeout, really waited for.
fn waiting(name: &'static str, timeout: &Timeout, login: &Login, id: &OperationId) -> Control {
    let stop = timeout.wait;
    let text = seconds(stop);
    let (expects, attempt, code, breaches) = match name {
        STATEMENT => (
            "a statement that takes longer is cancelled with 57014",
            Attempt::say(format!("SELECT pg_catalog.pg_sleep({text})")),
            "57014",
            Vec::new(),
        ),
        LOCK => {
            // Nobody else wants it: the key is the operation's own.
            let lock = format!("SELECT pg_catalog.pg_advisory_lock({})", key(id));
            // A session may raise its own limit: so the statement_timeout does not come first, and ends the wait if nothing does.
            let first = vec![format!("SET statement_timeout = {}", literal(&format!("{stop}ms")))];
            let attempt = Attempt { beside: 1, holding: Some(lock.clone()), first, ..Attempt::say(lock) };
            ("who waits longer for a lock is refused with 55P03", attempt, "55P03", vec!["57014".to_owned()])
        }
        _ => (
            "a session that idles longer in a transaction is ended with 25P03",
            Attempt { first: vec!["BEGIN".to_owned()], ..Attempt::of(What::Idle(stop)) },
            "25P03",
            Vec::new(),
        ),
    };
    let expects = format!("{name} of {}: {expects}", login.name);
    let attempt = Attempt { takes_ms: stop, ..attempt };
    Control {
        breaches,
        limit_ms: timeout.limit,
        note: timeout.note.clone(),
        ..control(name, expects, vec![attempt], &[code])
    }
}

/// The key of a lock that nobody else wants.
fn key(id: &OperationId) -> i64 {
    id.as_str().bytes().fold(7_i64, |key, byte| key.wrapping_mul(131).wrapping_add(i64::from(byte))).abs()
}

/// What must be refused of what belongs to others, and what of that cannot be tried.
fn isolation(facts: &Facts, login: &Login, role: &str) -> (Vec<Control>, Vec<String>) {
    let name = &login.name;
    let note = facts.shared.then(|| {
        format!("{name} is the account of everybody: it has rights in every tenant's schema, and nothing in the database keeps one tenant's \
             sessions out of another's")
    });
    let with_note = |control: Control| Control { note: note.clone(), ..control };
    let mut controls = Vec::new();
    let mut caveats = Vec::new();
    match &facts.neighbour {
        Some(Neighbour::Schema { schema, table, column }) => {
            let table = format!("{}.{}", in_quotes(schema), in_quotes(table));
            let say = |statement: String| Attempt::within(statement);
            controls.push(control(
                "isolation: read",
                format!("reading {schema} is refused with 42501"),
                vec![say(format!("SELECT 1 FROM {table} LIMIT 1"))],
                &["42501"],
            ));
            controls.push(control(
                "isolation: write",
                format!("inserting, updating and deleting in {schema} is refused with 42501"),
                vec![
                    say(format!("INSERT INTO {table} SELECT WHERE false")),
                    say(format!("UPDATE {table} SET {} = DEFAULT WHERE false", in_quotes(column))),
                    say(format!("DELETE FROM {table} WHERE false")),
                ],
                &["42501"],
            ));
            controls.push(control(
                "isolation: list",
                format!("looking up a name in {schema} is refused with 42501"),
                vec![say(format!("SELECT {}::pg_catalog.regclass", literal(&table)))],
                &["42501"],
            ));
            if let Some((before, after)) = &facts.schemas {
                let pattern = format!("{}%{}", like(before), like(after));
                let which = format!("nspname LIKE {} AND nspname <> {}", literal(&pattern), literal(&facts.own));
                controls.push(Control {
                    none: true,
                    ..control(
                        "isolation: every other tenant",
                        format!("no right on any table, view or column of any other tenant ({before}…{after})"),
                        vec![everything(&which)],
                        &[],
                    )
                });
            }
            caveats.push(format!(
                "reading and writing is tried on one table of one other tenant ({table}); of all others the server is asked what the login may"
            ));
        }
        Some(Neighbour::Database(database)) => {
            let there = |attempt: Attempt| Attempt { database: Some(database.clone()), ..attempt };
            controls.push(control(
                "isolation: enter another tenant's database",
                format!("connecting to {database} is refused with 42501"),
                vec![there(Attempt::of(What::Enter))],
                &["42501"],
            ));
            let which = "nspname !~ '^pg_' AND nspname <> 'information_schema'";
            controls.push(Control {
                none: true,
                ..control(
                    "isolation: everything in another tenant's database",
                    format!("no right on any table, view or column in {database}, if it gets there at all"),
                    vec![there(everything(which))],
                    &["42501"],
                )
            });
            caveats.push(format!("of other tenants' databases one is tried: {database}"));
        }
        None => caveats.push("isolation from other tenants is not tried: nobody else lives here".to_owned()),
    }
    let made = format!("CREATE TABLE public.{} ()", in_quotes(role));
    controls.push(control(
        "isolation: create in public",
        "making a table in the schema public is refused with 42501 (or there is no such schema: 3F000)",
        vec![Attempt::within(made)],
        &["42501", "3F000"],
    ));
    (controls.into_iter().map(with_note).collect(), caveats)
}

/// What a login may in schemas, as the server itself reckons it; memberships and PUBLIC included.
fn everything(which: &str) -> Attempt {
    let statement = format!(
        "SELECT nspname || '.' || relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {which} \
         AND relkind IN ('r', 'p', 'v', 'm', 'f') AND has_schema_privilege(n.oid, 'USAGE') \
         AND (has_table_privilege(c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') \
         OR has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE, REFERENCES')) ORDER BY 1 LIMIT 5"
    );
    // Names are the server's own, whatever the tenant put on its path.
    Attempt { first: vec!["SET search_path = pg_catalog".to_owned()], ..Attempt::say(statement) }
}

fn like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%")
}

/// What this cannot prove.
fn caveats(login: &Login, make: &MakeLogin) -> Vec<String> {
    let name = &login.name;
    let mut caveats = vec![
        "a session may raise its own timeouts (SET statement_timeout = 0): they bind whoever does not; a CONNECTION LIMIT binds everybody"
            .to_owned(),
        "limits reach sessions that begin after they were set; those that are open keep what they began with".to_owned(),
        format!("it is true of the moment: whoever may alter {name} may change it afterwards"),
        "names of schemas and tables can be read in pg_catalog by every login; no right keeps anybody from that".to_owned(),
        "what is not tried: functions that act with the rights of their owners, large objects, other databases".to_owned(),
    ];
    if !login.attributes.is_empty() {
        caveats.push(format!(
            "{name} has {}, which is not inherited: the temporary login does not have it, and what follows from it is not tried",
            login.attributes.join(", ")
        ));
    }
    let left: Vec<&str> = login
        .settings
        .iter()
        .filter(|stored| stored.own && !make.settings.contains_key(&stored.name))
        .map(|stored| stored.name.as_str())
        .collect();
    if !left.is_empty() {
        caveats.push(format!("settings of {name} that the temporary login does not get: {}", left.join(", ")));
    }
    caveats
}
