//! `tierdeck doctor`: each component, what our login may do there, what that leaves out, and the statement that fixes it.

mod admin;
mod aws;
mod pooler;
mod statements;
mod vault;

use std::fmt::Write;
use std::path::Path;

use color_eyre::eyre::Result;
use schemars::JsonSchema;
use serde::Serialize;

use super::document::SCHEMA;
use super::sight::{self, Sight};
use super::{Exit, observe, output};
use crate::clients::postgres::{Target, Timeouts, connect};
use crate::config::InstanceConfig;
use crate::domain::facts::{Roles, Server, Sizes};
use crate::domain::identifier::quoted;
use crate::domain::{Foreign, InstanceName, Layout, Naming, Signal};
use crate::sources::postgres::operations::{ControlPlace, grants, place};
use crate::sources::postgres::statements::setup::setup as setup_of_statements;
use crate::sources::postgres::{Desk, Privileges, ask, privileges, server};

/// `tierdeck doctor --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Report {
    /// Version of this shape.
    pub schema: u32,
    /// Whether every check is fine.
    pub healthy: bool,
    /// Each system that the configuration names.
    pub components: Vec<Component>,
}

/// One system.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Component {
    /// The configuration's name for it.
    pub name: String,
    /// What it is: `postgresql`; `pgbouncer`, the pooler before the instance of that name; `admin`, the login that acts on it;
    /// `vault`; `aws`, an account in a region, which stands for its version.
    pub kind: &'static str,
    /// Whether we got in.
    pub reachable: bool,
    /// Its version.
    pub version: Option<String>,
    /// Who we are there.
    pub login: Option<String>,
    /// What was checked.
    pub checks: Vec<Check>,
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Fine,
    /// Works, and could be better.
    Warning,
    /// Something cannot be seen.
    Missing,
}

/// One thing that was checked.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// How it came out.
    pub verdict: Verdict,
    /// In words.
    pub detail: String,
    /// Signals that cannot be judged because of it.
    pub leaves_out: Vec<Signal>,
    /// The statement that fixes it.
    pub fix: Option<String>,
    /// Statements that fix it as well and give less away.
    pub narrower: Option<String>,
}

pub(super) async fn run(config: Option<&Path>, json: bool) -> Result<Exit> {
    let Some(config) = observe::configuration(config) else { return Ok(Exit::Usage) };
    let targets = observe::targets(&config)?;
    let examinations =
        config.instances.iter().zip(&targets).map(|(instance, target)| examine(instance, target, &config.naming));
    let poolers = config.instances.iter().filter_map(|instance| Some((&instance.name, instance.pgbouncer.as_ref()?)));
    let poolers = futures::future::join_all(poolers.map(|(name, config)| pooler::examine(name, config)));
    let (mut components, poolers) = futures::future::join(futures::future::join_all(examinations), poolers).await;
    components.extend(poolers);
    let admins = config.instances.iter().zip(&targets);
    let admins = admins.filter_map(|(instance, target)| Some((instance, instance.admin.as_ref()?, target)));
    let admins = admins.map(|(instance, login, target)| admin::examine(instance, login, target, &config.naming));
    components.extend(futures::future::join_all(admins).await);
    components.extend(futures::future::join_all(config.aws.iter().map(aws::examine)).await);
    if let Some(vault) = &config.vault {
        components.push(vault::examine(&config, vault).await);
    }
    let healthy = components
        .iter()
        .all(|component| component.reachable && component.checks.iter().all(|check| check.verdict != Verdict::Missing));
    let report = Report { schema: SCHEMA, healthy, components };
    let written = if json { output::document(&report)? } else { output::text(&words(&report))? };
    Ok(match written {
        Exit::Fine if !healthy => Exit::Found,
        other => other,
    })
}

async fn examine(instance: &InstanceConfig, target: &Target, naming: &Naming) -> Component {
    let mut component = Component {
        name: instance.name.to_string(),
        kind: "postgresql",
        reachable: false,
        version: None,
        login: Some(target.user.clone()),
        checks: Vec::new(),
    };
    let unreachable = |detail: String| Check {
        name: "connection",
        verdict: Verdict::Missing,
        detail,
        leaves_out: crate::signals::REGISTRY
            .iter()
            .map(|check| check.signal())
            .filter(|signal| *signal != Signal::Unreachable)
            .collect(),
        fix: None,
        narrower: None,
    };
    let read = async {
        match &instance.password {
            Some(secret) => secret.fetch().await.map(Some),
            None => Ok(None),
        }
    };
    let password = match read.await {
        Ok(password) => password,
        Err(error) => {
            component.checks.push(unreachable(error.to_string()));
            return component;
        }
    };
    let connection = match connect(target, password, &Timeouts::default()).await {
        Ok(connection) => connection,
        Err(error) => {
            component.checks.push(unreachable(error.to_string()));
            return component;
        }
    };
    component.reachable = true;
    let (encrypted, warning) = (connection.is_encrypted(), connection.warning().map(str::to_owned));
    let desk = Desk::new(connection);
    let seen = async {
        let server = server(&desk).await?;
        let privileges = privileges(&desk).await?;
        let roles = facts(&desk, instance).await?;
        let sight = Sight::of(&desk, instance, &privileges).await;
        let counted = setup_of_statements(&desk).await;
        let control = place(&desk).await?;
        Ok::<_, crate::clients::postgres::QueryError>((server, privileges, roles, sight, counted, control))
    };
    match seen.await {
        Ok((server, privileges, (roles, sizes), sight, counted, control)) => {
            component.version = Some(server.version.clone());
            component.login = Some(privileges.login.to_string());
            component.checks = setup(&server, &privileges, encrypted, warning);
            component.checks.extend(rights(&privileges, instance.layout));
            component.checks.extend(sight.checks(&privileges));
            component.checks.extend(statements::checks(&counted, &privileges));
            component.checks.push(sight::settings(&privileges.login, &server.database, &roles));
            component.checks.extend(control.map(|control| operations(&control, &privileges.login)));
            component.checks.push(tenants(naming, instance.layout, &roles, &sizes, &instance.name));
        }
        Err(error) => component.checks.push(unreachable(error.to_string())),
    }
    component
}

async fn facts(desk: &Desk, instance: &InstanceConfig) -> Result<(Roles, Sizes), crate::clients::postgres::QueryError> {
    use crate::domain::facts::{Fragment, Source};
    let roles = ask(desk, Source::Roles, &instance.name, instance.layout).await?;
    let sizes = ask(desk, Source::Sizes, &instance.name, instance.layout).await;
    let Fragment::Roles(roles) = roles else { return Ok(Default::default()) };
    Ok((roles, if let Ok(Fragment::Sizes(sizes)) = sizes { sizes } else { Sizes::default() }))
}

/// What is found when something is not as it should be.
pub(super) struct Finding {
    pub verdict: Verdict,
    pub detail: String,
    pub leaves_out: &'static [Signal],
    pub fix: Option<String>,
}

impl Check {
    /// Fine, or what was found instead.
    pub(super) fn of(name: &'static str, fine: bool, good: &str, otherwise: Finding) -> Self {
        if fine {
            let (detail, leaves_out) = (good.to_owned(), Vec::new());
            return Self { name, verdict: Verdict::Fine, detail, leaves_out, fix: None, narrower: None };
        }
        let Finding { verdict, detail, leaves_out, fix } = otherwise;
        Self { name, verdict, detail, leaves_out: leaves_out.to_vec(), fix, narrower: None }
    }
}

/// What our login may do.
fn rights(privileges: &Privileges, layout: Layout) -> Vec<Check> {
    let login = quoted(privileges.login.raw());
    let mut checks = vec![
        Check::of(
            "sessions",
            privileges.reads_all_stats,
            "sees everybody's sessions and queries",
            Finding {
                verdict: Verdict::Missing,
                detail: format!(
                    "{login} sees only its own sessions: who is active, waits, blocks, vacuums, holds vacuum back or \
                     replicates stays hidden"
                ),
                leaves_out: &[
                    Signal::NoisyNeighbour,
                    Signal::LongRunningQuery,
                    Signal::IdleInTransaction,
                    Signal::LockChain,
                    Signal::XminHorizon,
                    Signal::ReplicationLag,
                    Signal::InactiveSlot,
                ],
                fix: Some(format!("GRANT pg_monitor TO {login};")),
            },
        ),
        Check::of(
            "privileges",
            !privileges.superuser,
            "no superuser",
            Finding {
                verdict: Verdict::Warning,
                detail: format!("{login} is a superuser: more than watching needs"),
                leaves_out: &[],
                fix: Some(format!("ALTER ROLE {login} NOSUPERUSER; GRANT pg_monitor TO {login};")),
            },
        ),
        Check::of(
            "read-only",
            privileges.read_only,
            "our sessions cannot write",
            Finding {
                verdict: Verdict::Missing,
                detail: "our session could write: something between us and the server drops the start-up options"
                    .to_owned(),
                leaves_out: &[],
                fix: Some(format!("ALTER ROLE {login} SET default_transaction_read_only = on;")),
            },
        ),
    ];
    if layout == Layout::Database {
        let closed = &privileges.closed_databases;
        let names: Vec<String> = closed.iter().take(5).map(ToString::to_string).collect();
        let more = if closed.len() > 5 { format!(" and {} more", closed.len() - 5) } else { String::new() };
        let grant = |database: &Foreign| format!("GRANT CONNECT ON DATABASE {} TO {login};", quoted(database.raw()));
        checks.push(Check::of(
            "databases",
            closed.is_empty(),
            "every database lets us in",
            Finding {
                verdict: Verdict::Missing,
                detail: format!("not let into {}{more}", names.join(", ")),
                leaves_out: &[
                    Signal::AutovacuumDebt,
                    Signal::Bloat,
                    Signal::SequenceExhaustion,
                    Signal::InvalidIndex,
                    Signal::CrossTenantGrant,
                ],
                fix: Some(closed.iter().map(grant).collect::<Vec<_>>().join(" ")),
            },
        ));
    }
    checks
}

/// How the server is set up, and how we got to it.
fn setup(server: &Server, privileges: &Privileges, encrypted: bool, warning: Option<String>) -> Vec<Check> {
    let major = server.version_num / 10_000;
    let mut checks = vec![
        Check::of(
            "version",
            (14..=18).contains(&major),
            "supported (14 to 18)",
            Finding {
                verdict: Verdict::Warning,
                detail: format!("PostgreSQL {major} is not one that this version was tested on (14 to 18)"),
                leaves_out: &[],
                fix: None,
            },
        ),
        Check::of(
            "activity",
            privileges.track_activities,
            "the server notes what sessions do",
            Finding {
                verdict: Verdict::Missing,
                detail: "track_activities is off: the server does not note what sessions do".to_owned(),
                leaves_out: &[Signal::NoisyNeighbour, Signal::LongRunningQuery, Signal::IdleInTransaction],
                fix: Some("set track_activities = on in the parameter group".to_owned()),
            },
        ),
        Check::of(
            "counters",
            privileges.track_counts,
            "the server counts rows, blocks and deadlocks",
            Finding {
                verdict: Verdict::Missing,
                detail: "track_counts is off: nothing is counted, and autovacuum does not run".to_owned(),
                leaves_out: &[Signal::AutovacuumDebt, Signal::Deadlocks],
                fix: Some("set track_counts = on in the parameter group".to_owned()),
            },
        ),
        Check::of(
            "encryption",
            encrypted,
            "TLS",
            Finding {
                verdict: Verdict::Warning,
                detail: "the connection is not encrypted".to_owned(),
                leaves_out: &[],
                fix: Some("sslmode=verify-full in the url".to_owned()),
            },
        ),
    ];
    if let Some(detail) = warning {
        checks.push(Check::of(
            "password",
            false,
            "",
            Finding { verdict: Verdict::Warning, detail, leaves_out: &[], fix: None },
        ));
    }
    checks
}

/// Whether we are told of operations, where a control database is.
fn operations(control: &ControlPlace, login: &Foreign) -> Check {
    const LEFT_OUT: &[Signal] = &[Signal::FenceHeld, Signal::OperationStalled];
    let login = quoted(login.raw());
    let renewed = control.renewed;
    Check::of(
        "operations",
        renewed && control.granted,
        "who works on which tenant is shown to us",
        Finding {
            verdict: Verdict::Missing,
            detail: if renewed {
                format!("operations are not shown to {login}: who works on which tenant, and whom a fence shuts out")
            } else {
                "the control schema is an earlier version's: the next operation that begins renews it".to_owned()
            },
            leaves_out: LEFT_OUT,
            fix: renewed.then(|| grants(&login)),
        },
    )
}

/// Whether the naming of the configuration finds any tenant, and the account that most sessions share.
fn tenants(naming: &Naming, layout: Layout, roles: &Roles, sizes: &Sizes, instance: &InstanceName) -> Check {
    let (template, kind) = match layout {
        Layout::Schema => (&naming.tenant_schema, "schemas"),
        Layout::Database => (&naming.tenant_database, "databases"),
    };
    let found = sizes.homes.keys().filter(|home| template.id(home).is_some()).count();
    let account = roles.roles.iter().any(|role| role.name.raw() == naming.service_account);
    let mut check = Check {
        name: "tenants",
        verdict: Verdict::Fine,
        detail: format!("{found} {kind} named {template}"),
        leaves_out: Vec::new(),
        fix: None,
        narrower: None,
    };
    if found == 0 {
        check.verdict = Verdict::Warning;
        check.detail = format!("no {kind} named {template} on {instance}: is [naming] what this platform uses?");
    } else if layout == Layout::Schema && !account {
        check.verdict = Verdict::Warning;
        check.detail =
            format!("{}; no role {}: is naming.service_account right?", check.detail, naming.service_account);
    }
    check
}

fn words(report: &Report) -> String {
    let mut text = String::new();
    for component in &report.components {
        let version = component.version.as_deref().unwrap_or("—");
        let system = match component.kind {
            "pgbouncer" => "PgBouncer",
            "vault" => "Vault",
            "aws" => "AWS",
            _ => "PostgreSQL",
        };
        let login = component.login.as_deref().unwrap_or("—");
        let state = if component.reachable { "reachable" } else { "NOT REACHABLE" };
        let _ = writeln!(text, "{}  {system} {version}  as {login}  {state}", component.name);
        for check in &component.checks {
            let glyph = match check.verdict {
                Verdict::Fine => "✓",
                Verdict::Warning => "▲",
                Verdict::Missing => "✖",
            };
            let _ = writeln!(text, "  {glyph} {:<12} {}", check.name, check.detail);
            if !check.leaves_out.is_empty() {
                let names: Vec<&str> = check.leaves_out.iter().map(|signal| signal.name()).collect();
                let _ = writeln!(text, "    leaves out   {}", names.join(", "));
            }
            if let Some(fix) = &check.fix {
                let _ = writeln!(text, "    fix          {fix}");
            }
            for (row, line) in check.narrower.iter().flat_map(|narrower| narrower.lines()).enumerate() {
                let lead = if row == 0 { "or narrower " } else { "" };
                let _ = writeln!(text, "    {lead:<13}{line}");
            }
        }
    }
    text
}
