//! Provision a tenant on a shared instance: its role, its schema with everybody's rights, limits, its secret. In this order:
//! nobody ever reads a secret that does not work, and whatever fails, all of it can be undone.

mod elsewhere;
mod login;
mod role;
mod schema;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_postgres::Row;

use elsewhere::Elsewhere;
pub use login::AdmitLogin;
pub use role::MakeRole;
pub use schema::MakeSchema;

use super::act::{Action, Intent, identifier};
use super::estate::{Estate, Place};
use super::hands::Eyes;
use super::id::OperationId;
use super::plan::{Fact, Plan, PlannedStep, Refusals, SCHEMA, Subject, Target};
use super::script::{Filled, Reference, VaultAt};
use super::secret::{DescribeSecret, RemovePassing, WriteSecret};
use super::step::{Step, StepError};
use super::tenancy::{self, Kept, Names, Tenancy};
use crate::clients::postgres::QueryError;
use crate::domain::{InstanceName, Limits, TenantId};

/// How long a password is that is made here: 62 letters and digits to the 32nd, more than SCRAM's own 128 bits.
const PASSWORD: usize = 32;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioning {
    /// Whom.
    pub tenant: TenantId,
    /// Where.
    pub instance: InstanceName,
    /// Whether it logs in as itself, with a password made here; else it works as the service account, as most do.
    pub own_login: bool,
    /// Limits and settings of its role.
    pub limits: RoleLimits,
    /// Further roles that create tables in its schema, beside its own.
    pub creators: Vec<String>,
    /// Where its pods reach the database; `None`: no secret is written.
    pub address: Option<Reached>,
}

/// Where pods reach a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Limits of a role, as the policy has them; `None`: not asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleLimits {
    /// `CONNECTION LIMIT`.
    pub connection_limit: Option<u32>,
    /// `statement_timeout` in milliseconds.
    pub statement_timeout_ms: Option<u64>,
    /// `lock_timeout` in milliseconds.
    pub lock_timeout_ms: Option<u64>,
    /// `idle_in_transaction_session_timeout` in milliseconds.
    pub idle_in_transaction_ms: Option<u64>,
}

impl RoleLimits {
    /// What PostgreSQL would not take.
    fn too_large(&self) -> Vec<String> {
        let limits = [
            ("connection_limit", self.connection_limit.map(u64::from)),
            ("statement_timeout", self.statement_timeout_ms),
            ("lock_timeout", self.lock_timeout_ms),
            ("idle_in_transaction_session_timeout", self.idle_in_transaction_ms),
        ];
        let large = limits.into_iter().filter(|(_, limit)| limit.is_some_and(|limit| i32::try_from(limit).is_err()));
        large.map(|(name, _)| format!("the policy's {name} is larger than PostgreSQL takes ({})", i32::MAX)).collect()
    }
}

impl From<&Limits> for RoleLimits {
    fn from(limits: &Limits) -> Self {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            connection_limit: limits.connection_limit,
            statement_timeout_ms: limits.statement_timeout.map(milliseconds),
            lock_timeout_ms: limits.lock_timeout.map(milliseconds),
            idle_in_transaction_ms: limits.idle_in_transaction_session_timeout.map(milliseconds),
        }
    }
}

/// A step, as a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum ProvisionStep {
    /// Makes the role.
    Role(MakeRole),
    /// Makes the schema.
    Schema(MakeSchema),
    /// Keeps a password, or writes the tenant's secret.
    Secret(WriteSecret),
    /// Says of the tenant's secret whose it is.
    Describe(DescribeSecret),
    /// Lets the role log in.
    Login(AdmitLogin),
    /// Removes the password that was kept.
    Forget(RemovePassing),
}

impl ProvisionStep {
    /// What it does.
    pub fn step(&self) -> &dyn Step {
        match self {
            Self::Role(step) => step,
            Self::Schema(step) => step,
            Self::Secret(step) => step,
            Self::Describe(step) => step,
            Self::Login(step) => step,
            Self::Forget(step) => step,
        }
    }
}

/// What is true now.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    names: Names,
    there: Tenancy,
    /// Its secret, wherever there is a Vault: a tenant that is to get none may have one, and a home with it.
    vault: Option<(VaultAt, Kept)>,
    elsewhere: Elsewhere,
    creators: Vec<Creator>,
}

/// Who is to make tables in the schema.
#[derive(Debug, Clone)]
struct Creator {
    name: String,
    there: bool,
    ours: bool,
}

/// Looks.
pub(super) async fn look(intent: &Provisioning, eyes: &mut Eyes) -> Result<Facts, StepError> {
    let estate = std::sync::Arc::clone(eyes.estate());
    let names = Names::of(&estate, &intent.tenant);
    let there = tenancy::look(&names, 0, eyes).await?;
    let vault = if intent.address.is_some() || estate.vault.is_ok() {
        let at = estate.vault_at()?;
        let kept = Kept::look(&at, &names.secret, eyes).await?;
        Some((at, kept))
    } else {
        None
    };
    let elsewhere = elsewhere::look(&intent.tenant, &intent.instance, &estate).await;
    let wanted: Vec<&String> = intent.creators.iter().filter(|name| **name != names.role).collect();
    let rows = eyes.desk(0).await?.rows(include_str!("../../../assets/sql/ops/creators.sql"), &[&wanted]).await?;
    let creator = |row: &Row| -> Result<Creator, tokio_postgres::Error> {
        Ok(Creator { name: row.try_get("name")?, there: row.try_get("there")?, ours: row.try_get("ours")? })
    };
    let creators = rows.iter().map(creator).collect::<Result<_, _>>().map_err(QueryError::from)?;
    Ok(Facts { names, there, vault, elsewhere, creators })
}

/// What forbids to even look: said before anything is asked of anybody.
pub(super) fn refuse(intent: &Provisioning, estate: &Estate, place: &Place) -> Result<(), Refusals> {
    tenancy::by_schema(place)?;
    let names = Names::of(estate, &intent.tenant);
    let mut wrong = tenancy::wrong_with(&intent.tenant, &names, &estate.dedicated);
    wrong.extend(elsewhere::own(&intent.tenant, estate));
    wrong.extend(intent.limits.too_large());
    if intent.own_login && intent.address.is_none() {
        wrong.push("a login of its own needs a secret: its password is made here and is nowhere else".to_owned());
    }
    if wrong.is_empty() { Ok(()) } else { Err(Refusals(wrong)) }
}

/// Plans, or says why not. Pure.
pub(super) fn plan(intent: &Provisioning, facts: &Facts, target: Target, id: OperationId) -> Result<Plan, Refusals> {
    let Facts { names, there, vault, elsewhere, .. } = facts;
    let Provisioning { tenant, instance, .. } = intent;
    let mut refusals = in_the_way(intent, facts, &target);
    for name in [&names.role, &names.schema, &names.service].into_iter().chain(&intent.creators) {
        if let Err(Refusals(more)) = identifier(name) {
            refusals.extend(more);
        }
    }
    if !refusals.is_empty() {
        return Err(Refusals(refusals));
    }
    let mut steps = Vec::new();
    let mut add = |step: ProvisionStep, before: &Value| -> Result<(), Refusals> {
        steps.push(PlannedStep::new(Action::Provision(step), before)?);
        Ok(())
    };
    let none = json!({ "there": "nothing" });
    let mut creators = vec![names.role.clone()];
    creators.extend(intent.creators.iter().filter(|name| **name != names.role).cloned());
    let role = MakeRole {
        target: 0,
        tenant: tenant.clone(),
        operation: id.clone(),
        names: names.clone(),
        limits: intent.limits,
        options: there.version >= 160_000,
    };
    let schema =
        MakeSchema { target: 0, tenant: tenant.clone(), operation: id.clone(), names: names.clone(), creators };
    add(ProvisionStep::Role(role), &none)?;
    add(ProvisionStep::Schema(schema), &none)?;
    if let (Some((at, _)), Some(reached)) = (vault, &intent.address) {
        let kept = format!("tierdeck/operations/{id}");
        let password = Reference { mount: at.mount.clone(), path: kept.clone(), field: "password".to_owned() };
        let write = |path: &str, fields| WriteSecret {
            vault: at.clone(),
            path: path.to_owned(),
            fields,
            operation: id.clone(),
        };
        let text = |text: &str| Filled::Text(text.to_owned());
        let login = if intent.own_login { &names.role } else { &names.service };
        let mut fields = BTreeMap::from([
            ("host".to_owned(), text(&reached.host)),
            ("port".to_owned(), Filled::Number(reached.port.into())),
            ("database".to_owned(), text(&target.database)),
            ("schema".to_owned(), text(&names.schema)),
            ("username".to_owned(), text(login)),
        ]);
        if intent.own_login {
            let made = BTreeMap::from([("password".to_owned(), Filled::Made(PASSWORD))]);
            add(ProvisionStep::Secret(write(&kept, made)), &none)?;
            let login =
                AdmitLogin { target: 0, role: names.role.clone(), password: password.clone(), vault: at.clone() };
            add(ProvisionStep::Login(login), &none)?;
            fields.insert("password".to_owned(), Filled::From(password));
        }
        let custom = BTreeMap::from([
            ("tierdeck-tenant".to_owned(), tenant.to_string()),
            ("tierdeck-by".to_owned(), target.login.clone()),
        ]);
        let secret = write(&names.secret, fields);
        add(ProvisionStep::Secret(secret.clone()), &none)?;
        add(ProvisionStep::Describe(DescribeSecret { secret, custom }), &none)?;
        if intent.own_login {
            add(ProvisionStep::Forget(RemovePassing { vault: at.clone(), path: kept }), &none)?;
        }
    }
    let how = if intent.own_login { format!("as {}", names.role) } else { format!("as {}", names.service) };
    let mut known = vec![
        Fact { name: format!("role {}", names.role), value: "none".to_owned() },
        Fact { name: format!("schema {}", names.schema), value: "none".to_owned() },
        Fact { name: format!("service account {}", names.service), value: "there".to_owned() },
    ];
    known.extend(
        vault
            .iter()
            .map(|(at, kept)| Fact { name: format!("secret {}/{}", at.mount, names.secret), value: kept.words() }),
    );
    Ok(Plan {
        schema: SCHEMA,
        id,
        kind: "provision".to_owned(),
        summary: format!("provision {tenant} on {instance}, which works {how}"),
        intent: Intent::Provision(intent.clone()),
        subjects: vec![Subject::Tenant { id: tenant.clone() }],
        targets: vec![target],
        affects: vec!["nobody: what is made is new, and short locks are taken on catalogues alone".to_owned()],
        facts: known,
        warnings: warnings(intent, names, elsewhere),
        steps,
        confirm: tenant.to_string(),
    })
}

fn warnings(intent: &Provisioning, names: &Names, elsewhere: &Elsewhere) -> Vec<String> {
    let mut warnings = Vec::new();
    if !intent.own_login {
        warnings.push(format!(
            "it works as {}, which everybody does: the limits of {} bind nobody until it has a login of its own",
            names.service, names.role
        ));
    }
    if intent.limits == RoleLimits::default() {
        warnings.push("the policy asks for no limits: [policy.shared] in the configuration".to_owned());
    }
    if intent.address.is_none() {
        warnings.push("no secret is written: its pods find nothing in Vault".to_owned());
    }
    warnings.extend(elsewhere.watched.iter().map(|instance| {
        format!("nobody looked whether {} has a home on {instance}, which can only be watched", intent.tenant)
    }));
    warnings
}

/// What stands in the way: named, never adopted.
fn in_the_way(intent: &Provisioning, facts: &Facts, target: &Target) -> Vec<String> {
    let Facts { names, there, vault, elsewhere, creators } = facts;
    let mut refusals = Vec::new();
    let marked = |mark: &str| {
        if mark.contains("made by tierdeck operation ") {
            format!(" ({mark})")
        } else {
            " that does not bear our mark".to_owned()
        }
    };
    if there.schema_there {
        let mark = marked(&there.schema_mark);
        refusals.push(format!("there is a schema {}{mark} of {}; it is left alone", names.schema, there.owner));
    }
    if there.role_there {
        refusals.push(format!("there is a role {}{}; it is left alone", names.role, marked(&there.role_mark)));
    }
    if let Some((at, kept)) = vault.as_ref().filter(|(_, kept)| kept.metadata.is_some()) {
        let (mount, path) = (&at.mount, &names.secret);
        refusals.push(format!(
            "there is a secret {mount}/{path} ({}); it is never overwritten. If it is really of nobody: vault kv metadata delete -mount={mount} {path}",
            kept.words()
        ));
    }
    refusals.extend(elsewhere.homes.iter().cloned());
    refusals.extend(elsewhere.unseen.iter().map(|why| {
        format!("whether {} has a home there is not known, and a second one is not risked: {why}", intent.tenant)
    }));
    for Creator { name, there, ours } in creators {
        if !there {
            refusals.push(format!("there is no role {name}, which is to make tables in {}", names.schema));
        } else if !ours {
            refusals.push(format!(
                "{} may not say what is handed on of what {name} makes: GRANT {name} TO {}",
                target.login, target.login
            ));
        }
    }
    if !there.service_there {
        refusals
            .push(format!("there is no service account {}; naming.service_account says which it is", names.service));
    }
    let login = &target.login;
    if there.we_are_superuser {
        refusals.push(format!(
            "{login} is a superuser: what works as one may not work as the login that RDS gives; use another one"
        ));
    }
    if !there.may_create_roles {
        refusals.push(format!("{login} may not create roles: ALTER ROLE {login} CREATEROLE"));
    }
    if !there.may_create_schemas {
        let database = &target.database;
        refusals.push(format!(
            "{login} may not create schemas in {database}: GRANT CREATE ON DATABASE {database} TO {login}"
        ));
    }
    refusals.extend(
        intent.tenant.as_str().starts_with("tierdeck").then(|| "ids that begin with tierdeck are ours".to_owned()),
    );
    refusals
}
