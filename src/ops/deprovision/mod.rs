//! Deprovision a tenant on a shared instance: end whoever is in, raise the fence, export it, drop it, delete its secret. Reads go
//! on until the drop; up to that all of it can be undone; the drop never reaches into another schema.

mod drain;
mod drop;
mod export;

use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use drain::DrainSchema;
pub use drop::{DropRole, DropSchema};
pub use export::{Export, Manifest};

use super::act::{self, Action, Intent, identifier};
use super::estate::{Estate, Place};
use super::fence::{self, Around, Ground};
use super::hands::Eyes;
use super::id::OperationId;
use super::plan::{Fact, Plan, PlannedStep, Refusals, SCHEMA, Subject, Target};
use super::script::VaultAt;
use super::secret::DeleteSecret;
use super::step::{Step, StepError};
use super::tenancy::{self, Kept, Names, Tenancy};
use crate::clients::Environment;
use crate::clients::pg_dump::{PgDump, variables};
use crate::clients::postgres::{Address, QueryError};
use crate::domain::quantity::{bytes, plural};
use crate::domain::{InstanceName, TenantId};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deprovisioning {
    /// Whom.
    pub tenant: TenantId,
    /// Where.
    pub instance: InstanceName,
    /// Leave its secret as it is.
    pub keep_secret: bool,
}

/// A step, as a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum DeprovisionStep {
    /// Whoever is in goes.
    Drain(DrainSchema),
    /// What is in it is exported.
    Export(Export),
    /// The schema goes.
    DropSchema(DropSchema),
    /// The role goes.
    DropRole(DropRole),
    /// The secret goes, and can be brought back.
    Secret(DeleteSecret),
}

impl DeprovisionStep {
    /// What it does.
    pub fn step(&self) -> &dyn Step {
        match self {
            Self::Drain(step) => step,
            Self::Export(step) => step,
            Self::DropSchema(step) => step,
            Self::DropRole(step) => step,
            Self::Secret(step) => step,
        }
    }
}

/// What an export and a drop would meet.
#[derive(Debug, Clone)]
struct Load {
    oid: u32,
    bytes: i64,
    tables: i64,
    relations: i64,
    room_for_locks: i64,
    forced: Vec<String>,
    unreadable: Vec<String>,
    with_oids: Vec<String>,
    prepared: Vec<String>,
    elsewhere: Vec<String>,
}

/// What is true now.
#[derive(Debug)]
pub(super) struct Facts {
    names: Names,
    there: Tenancy,
    load: Option<Load>,
    around: Around,
    ground: Option<Ground>,
    inbound: Vec<String>,
    vault: Result<(VaultAt, Kept), String>,
    dump: Result<PgDump, String>,
    connection: Vec<(&'static str, String)>,
    work: PathBuf,
    /// Another instance that its secret points to.
    other_home: Option<InstanceName>,
    /// Bytes free where exports are kept; `None`: nobody knows.
    free: Option<u64>,
}

/// Looks.
pub(super) async fn look(
    intent: &Deprovisioning,
    target: &Target,
    eyes: &mut Eyes,
    id: &OperationId,
) -> Result<Facts, StepError> {
    let estate = Arc::clone(eyes.estate());
    let names = Names::of(&estate, &intent.tenant);
    let there = tenancy::look(&names, 0, eyes).await?;
    let vault = match (&estate.vault, intent.keep_secret) {
        (_, true) => Err("it was asked to leave the secret as it is".to_owned()),
        (Err(reason), _) => Err(reason.clone()),
        (Ok(_), false) => {
            let at = estate.vault_at()?;
            let kept = Kept::look(&at, &names.secret, eyes).await?;
            Ok((at, kept))
        }
    };
    let load = load(&names, eyes).await?;
    let inbound = inbound(&names.schema, 0, eyes).await?;
    let around = act::around(&estate, &intent.tenant, eyes).await?;
    let ground = fence::look(&around, eyes).await?;
    let major = target.server_version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    let environment = Environment::of_process();
    let dump = PgDump::find(major, &PgDump::folders(environment.var("PATH")));
    let admin = estate.admin(&intent.instance)?.target.with_database(&target.database);
    let other_home = match &vault {
        Ok((_, Kept { newest: Some(secret), .. })) => {
            let (host, port) = (secret.fields.text("host"), secret.fields.text("port"));
            host.and_then(|host| other_home(&estate, &intent.instance, &host, port.as_deref()))
        }
        _ => None,
    };
    Ok(Facts {
        other_home,
        names,
        there,
        load,
        around,
        ground,
        inbound,
        vault,
        dump,
        connection: variables(&admin),
        free: export::free(&estate.work),
        work: estate.work.join(id.as_str()),
    })
}

/// The instance that is reached under an address, where it is another one than this.
fn other_home(estate: &Estate, here: &InstanceName, host: &str, port: Option<&str>) -> Option<InstanceName> {
    let reached = |place: &&Place| {
        let hosts = place.admin.as_ref().map_or(&[][..], |admin| &admin.target.hosts);
        hosts.iter().any(|it| {
            matches!(&it.address, Address::Name(name) if name.eq_ignore_ascii_case(host))
                && port.is_none_or(|port| port == it.port.to_string())
        })
    };
    let mut found: Vec<_> = estate.places.iter().filter(reached).map(|place| place.instance.clone()).collect();
    if found.contains(here) { None } else { found.pop() }
}

async fn load(names: &Names, eyes: &mut Eyes) -> Result<Option<Load>, StepError> {
    let sql = include_str!("../../../assets/sql/ops/schema_load.sql");
    let rows = eyes.desk(0).await?.rows(sql, &[&names.schema, &names.role]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let read = || -> Result<Load, tokio_postgres::Error> {
        Ok(Load {
            oid: row.try_get("oid")?,
            bytes: row.try_get("bytes")?,
            tables: row.try_get("tables")?,
            relations: row.try_get("relations")?,
            room_for_locks: row.try_get("room_for_locks")?,
            forced: row.try_get("forced")?,
            unreadable: row.try_get("unreadable")?,
            with_oids: row.try_get("with_oids")?,
            prepared: row.try_get("prepared")?,
            elsewhere: row.try_get("elsewhere")?,
        })
    };
    Ok(Some(read().map_err(QueryError::from)?))
}

/// What lies outside of a schema and would be taken along with it.
async fn inbound(schema: &str, target: usize, eyes: &mut Eyes) -> Result<Vec<String>, StepError> {
    let rows = eyes.desk(target).await?.rows(drop::INBOUND, &[&schema]).await?;
    let names = rows.iter().map(|row| row.try_get("object")).collect::<Result<_, _>>();
    Ok(names.map_err(QueryError::from)?)
}

/// Plans, or says why not. Pure.
pub(super) fn plan(intent: &Deprovisioning, facts: &Facts, target: Target, id: OperationId) -> Result<Plan, Refusals> {
    let Facts { names, there, dump, .. } = facts;
    let Deprovisioning { tenant, instance, .. } = intent;
    let mut refusals = refusals(intent, facts, &target);
    for name in [&names.role, &names.schema] {
        if let Err(Refusals(more)) = identifier(name) {
            refusals.extend(more);
        }
    }
    let fencing = facts.ground.as_ref().map(|ground| fence::plan_unless_shut(&facts.around, ground, &target));
    if let Some(Err(Refusals(more))) = &fencing {
        refusals.extend(more.iter().filter(|reason| !reason.starts_with("the prepared transaction")).cloned());
    }
    let (Some(load), Some(ground), Some(Ok(fencing)), Ok(dump), true) =
        (&facts.load, &facts.ground, fencing, dump, refusals.is_empty())
    else {
        refusals.extend(dump.as_ref().err().cloned());
        return Err(Refusals(refusals));
    };
    let none = Value::Null;
    let mut steps = Vec::new();
    let mut add = |step: DeprovisionStep, before: &Value| -> Result<(), Refusals> {
        steps.push(PlannedStep::new(Action::Deprovision(step), before)?);
        Ok(())
    };
    // Who sits in a transaction is not waited for, as a fence would: what it does is of no use to anybody any more.
    add(DeprovisionStep::Drain(DrainSchema { target: 0, names: names.clone() }), &none)?;
    let before_export = fencing.steps;
    let export = Export {
        target: 0,
        tenant: tenant.clone(),
        operation: id.clone(),
        system_identifier: target.system_identifier.clone(),
        names: names.clone(),
        folder: facts.work.clone(),
        program: dump.program("pg_dump"),
        lister: dump.program("pg_restore"),
        connection: facts.connection.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        acls: export::acls(ground.image()),
    };
    steps.extend(before_export);
    let mut add = |step: DeprovisionStep, before: &Value| -> Result<(), Refusals> {
        steps.push(PlannedStep::new(Action::Deprovision(step), before)?);
        Ok(())
    };
    add(DeprovisionStep::Export(export.clone()), &none)?;
    let dropped = DropSchema {
        target: 0,
        schema: names.schema.clone(),
        oid: load.oid,
        logins: facts.around.logins.clone(),
        folder: facts.work.clone(),
        operation: id.clone(),
    };
    add(DeprovisionStep::DropSchema(dropped), &none)?;
    if there.role_there {
        add(DeprovisionStep::DropRole(DropRole { target: 0, role: names.role.clone() }), &none)?;
    }
    if let Ok((at, Kept { metadata: Some(known), newest: Some(_) })) = &facts.vault {
        let secret = DeleteSecret {
            vault: at.clone(),
            path: names.secret.clone(),
            version: known.current,
            custom: known.custom.clone(),
            operation: id.clone(),
        };
        add(DeprovisionStep::Secret(secret), &json!({}))?;
    }
    Ok(Plan {
        schema: SCHEMA,
        kind: "deprovision".to_owned(),
        summary: format!("deprovision {tenant} on {instance}: export {}, then drop it for good", names.schema),
        intent: Intent::Deprovision(intent.clone()),
        subjects: vec![Subject::Tenant { id: tenant.clone() }],
        affects: vec![
            format!(
                "{tenant}: whoever works in {} is ended, and again before the drop; every write is refused while it is exported, reads go on",
                names.schema
            ),
            format!(
                "everybody on {instance}: the export reads ~{} and holds vacuum back while it runs",
                bytes(u64::try_from(load.bytes).unwrap_or_default())
            ),
        ],
        facts: known(facts, load).into_iter().chain(fencing.facts).collect(),
        warnings: warnings(facts, load, &export, &target).into_iter().chain(fencing.warnings).collect(),
        steps,
        confirm: tenant.to_string(),
        targets: vec![target],
        id,
    })
}

fn known(facts: &Facts, load: &Load) -> Vec<Fact> {
    let Facts { names, there, .. } = facts;
    let mut known = vec![
        Fact { name: format!("schema {}: owner", names.schema), value: there.owner.clone() },
        Fact { name: format!("schema {}: tables", names.schema), value: load.tables.to_string() },
        Fact {
            name: format!("role {}", names.role),
            value: if !there.role_there {
                "none".to_owned()
            } else if there.can_login {
                "may log in".to_owned()
            } else {
                "may not log in".to_owned()
            },
        },
    ];
    known.extend(
        facts
            .vault
            .as_ref()
            .ok()
            .map(|(at, kept)| Fact { name: format!("secret {}/{}", at.mount, names.secret), value: kept.words() }),
    );
    known
}

fn warnings(facts: &Facts, load: &Load, export: &Export, target: &Target) -> Vec<String> {
    let names = &facts.names;
    let mut warnings = vec![
        format!(
            "the export stays at {}; to bring it back: make the role, then pg_restore --exit-on-error --single-transaction \
             --dbname={} {}; rights and settings are in its manifest",
            export.folder.display(),
            target.database,
            export.file().display()
        ),
        "until the drop begins all of it can be undone; from then on it can only be gone on with".to_owned(),
    ];
    if !load.with_oids.is_empty() {
        let tables = load.with_oids.join(", ");
        warnings.push(format!("{tables} may refer to large objects, which are everybody's and are not exported"));
    }
    match &facts.vault {
        Ok((at, Kept { newest: Some(newest), .. })) => warnings.push(format!(
            "the secret is deleted last, so that it can be brought back: vault kv undelete -mount={} -versions={} {}",
            at.mount, newest.version, names.secret
        )),
        Ok((at, _)) => warnings.push(format!("there is no secret {}/{} to delete", at.mount, names.secret)),
        Err(reason) => warnings.push(format!("the secret stays: {reason}")),
    }
    warnings
}

fn refusals(intent: &Deprovisioning, facts: &Facts, target: &Target) -> Vec<String> {
    let Facts { names, there, inbound, .. } = facts;
    let (schema, role, login) = (&names.schema, &names.role, &target.login);
    let Some(load) = &facts.load else {
        return vec![format!("{} has no schema {schema}: is {} there?", intent.instance, intent.tenant)];
    };
    let mut refusals = Vec::new();
    let mut refuse = |list: &[String], words: &dyn Fn(String) -> String| {
        if !list.is_empty() {
            let some = list.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
            let more = if list.len() > 8 { format!(" and {} more", list.len() - 8) } else { String::new() };
            refusals.push(words(format!("{some}{more}")));
        }
    };
    refuse(inbound, &|list| {
        format!("outside of {schema}, this depends on it and would be dropped along: {list}; move or drop it first")
    });
    refuse(&load.elsewhere, &|list| format!("{role} has more than its schema: {list}; reassign or revoke that first"));
    refuse(&load.prepared, &|list| {
        format!("prepared transactions are open in it: {list}; commit or roll them back first")
    });
    refuse(&load.forced, &|list| format!("FORCE ROW LEVEL SECURITY would make the export fail or lie: {list}"));
    refuse(&load.unreadable, &|list| format!("{login} may not read {list}: GRANT {} TO {login}", there.owner));
    if there.superuser {
        refusals.push(format!("{role} is a superuser"));
    }
    if there.owner != *role {
        refusals.push(format!("{schema} belongs to {} and not to {role}: it is left alone", there.owner));
    }
    if there.role_there && (!there.may_alter || !there.member) {
        let options = if there.version >= 160_000 { " WITH ADMIN TRUE, SET TRUE, INHERIT TRUE" } else { "" };
        refusals.push(format!("{login} may not act for {role}, or drop it: ALTER ROLE {login} CREATEROLE; GRANT {role} TO {login}{options}"));
    }
    // Half of the room, because others lock as well.
    if load.relations * 2 > load.room_for_locks {
        refusals.push(format!(
            "{} are more than one transaction can lock here (max_locks_per_transaction)",
            plural(usize::try_from(load.relations).unwrap_or_default(), "relation")
        ));
    }
    let needed = u64::try_from(load.bytes).unwrap_or_default();
    if facts.free.is_some_and(|free| free < needed) {
        refusals.push(format!(
            "the export may need {} and {} has {} free: [operations] work names another folder",
            bytes(needed),
            facts.work.display(),
            bytes(facts.free.unwrap_or_default())
        ));
    }
    if let Ok((at, Kept { newest: Some(secret), .. })) = &facts.vault {
        let points = |field: &str| secret.fields.text(field);
        let elsewhere = points("schema").is_some_and(|found| found != *schema)
            || points("database").is_some_and(|found| found != target.database);
        if let Some(other) = &facts.other_home {
            refusals.push(format!(
                "its secret {}/{} points to {other}: its home is there; --keep-secret drops what is left on {} and leaves that alone",
                at.mount, names.secret, intent.instance
            ));
        } else if elsewhere {
            refusals.push(format!(
                "its secret {}/{} points elsewhere (database {}, schema {}): is its home another one? --keep-secret leaves it alone",
                at.mount,
                names.secret,
                points("database").unwrap_or_default(),
                points("schema").unwrap_or_default()
            ));
        }
    }
    refusals
}
