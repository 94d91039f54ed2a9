//! Every key that the file may have, in one place.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::aws::{AwsDraft, AwsDrafts, Dedicated};
use super::field::{Field, Named, Slot, Table, Tables};
use super::{Config, HistoryConfig, InstanceConfig, Login, OperationsConfig, Secret, VaultConfig, default_poll};
use crate::domain::facts::Source;
use crate::domain::ids::Naming;
use crate::domain::policy::{BackupPolicy, Limits, TenantNotes, Thresholds};
use crate::domain::{Layout, TenantId, Tier};

/// Asked more often than this, a source costs the server more than it tells.
pub(super) const SHORTEST_POLL: Duration = Duration::from_millis(200);

/// Kept for less than this, history says nothing.
pub(super) const SHORTEST_HISTORY: Duration = Duration::from_secs(3_600);

/// Less than this no statement of an operation can be given.
pub(super) const SHORTEST_TIMEOUT: Duration = Duration::from_millis(100);

/// Taken for gone sooner than this, a console that only waited for its network would lose its operation.
pub(super) const SHORTEST_STALE: Duration = Duration::from_secs(10);

/// Nobody is shut out for less time than it takes to shut somebody out.
pub(super) const SHORTEST_FENCE: Duration = Duration::from_secs(10);

/// The whole file, its defaults filled in, not yet checked as a whole.
pub(super) struct File {
    pub environment: String,
    pub namespace: String,
    pub allow_actions: bool,
    pub state: Option<PathBuf>,
    pub naming: Naming,
    pub instances: Vec<InstanceDraft>,
    pub tenants: BTreeMap<TenantId, TenantNotes>,
    pub poll: Poll,
    pub policy: Tiers,
    pub thresholds: Thresholds,
    pub history: HistoryConfig,
    pub control: Control,
    pub vault: VaultConfig,
    pub aws: AwsDrafts,
    pub found: Dedicated,
    pub operations: OperationsConfig,
}

/// `[control]`
#[derive(Default)]
pub(super) struct Control {
    pub instance: Option<String>,
}

/// `[policy.*]`
#[derive(Default)]
pub(super) struct Tiers {
    pub shared: Limits,
    pub dedicated: Limits,
    pub backup: BackupPolicy,
}

/// `[poll]`
pub(super) struct Poll(pub BTreeMap<Source, Duration>);

/// One `[[instance]]` as it was written.
pub(super) struct InstanceDraft {
    pub name: Option<String>,
    pub tier: Tier,
    pub layout: Layout,
    pub tenant: Option<String>,
    pub url: Option<String>,
    pub password: Option<Secret>,
    pub vcpus: Option<f64>,
    pub pgbouncer: Option<String>,
    pub pgbouncer_password: Option<Secret>,
    pub admin: Option<Login>,
    pub address: Option<String>,
    pub rds: Option<String>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            environment: "prod".to_owned(),
            namespace: "portarium".to_owned(),
            allow_actions: false,
            state: None,
            naming: Naming::default(),
            instances: Vec::new(),
            tenants: BTreeMap::new(),
            poll: Poll(default_poll()),
            policy: Tiers::default(),
            thresholds: Thresholds::default(),
            history: HistoryConfig::default(),
            control: Control::default(),
            vault: VaultConfig::default(),
            aws: AwsDrafts::default(),
            found: Dedicated::default(),
            operations: OperationsConfig::default(),
        }
    }
}

impl Default for InstanceDraft {
    fn default() -> Self {
        Self {
            name: None,
            tier: Tier::Shared,
            layout: Layout::Schema,
            tenant: None,
            url: None,
            password: None,
            vcpus: None,
            pgbouncer: None,
            pgbouncer_password: None,
            admin: None,
            address: None,
            rds: None,
        }
    }
}

impl From<&InstanceConfig> for InstanceDraft {
    fn from(instance: &InstanceConfig) -> Self {
        Self {
            name: Some(instance.name.to_string()),
            tier: instance.tier,
            layout: instance.layout,
            tenant: instance.tenant.as_ref().map(ToString::to_string),
            url: Some(instance.url.clone()),
            password: instance.password.clone(),
            vcpus: instance.vcpus,
            pgbouncer: instance.pgbouncer.as_ref().map(|pooler| pooler.url.clone()),
            pgbouncer_password: instance.pgbouncer.as_ref().and_then(|pooler| pooler.password.clone()),
            admin: instance.admin.clone(),
            address: instance.address.as_ref().map(|(host, port)| format!("{host}:{port}")),
            rds: instance.rds.as_ref().map(|rds| format!("{}/{}", rds.account, rds.identifier)),
        }
    }
}

impl From<&Config> for File {
    fn from(config: &Config) -> Self {
        Self {
            environment: config.environment.clone(),
            namespace: config.namespace.clone(),
            allow_actions: config.allow_actions,
            state: config.state.clone(),
            naming: config.naming.clone(),
            instances: config.instances.iter().map(InstanceDraft::from).collect(),
            tenants: config.policy.tenants.clone(),
            poll: Poll(config.poll.clone()),
            policy: Tiers {
                shared: config.policy.shared,
                dedicated: config.policy.dedicated,
                backup: config.policy.backup.clone(),
            },
            thresholds: config.thresholds.clone(),
            history: config.history,
            control: Control { instance: config.control.as_ref().map(ToString::to_string) },
            vault: config.vault.as_deref().cloned().unwrap_or_default(),
            aws: AwsDrafts(config.aws.iter().map(|aws| (aws.name().to_owned(), AwsDraft::from(aws))).collect()),
            found: config.dedicated.clone(),
            operations: config.operations.clone(),
        }
    }
}

impl Table for File {
    fn fields(&mut self) -> Vec<Field<'_>> {
        vec![
            Field::new("environment", "drives how loud the header is", Slot::Text(&mut self.environment)),
            Field::new("namespace", "prefix of dedicated RDS identifiers", Slot::Text(&mut self.namespace)),
            Field::new(
                "allow_actions",
                "whether anything may be changed at all; false: this console only looks",
                Slot::Flag(&mut self.allow_actions),
            ),
            Field::optional(
                "state",
                "folder of what is remembered; left out: $TIERDECK_STATE, else the user's own",
                "\"/var/lib/tierdeck\"",
                Slot::Folder(&mut self.state),
            ),
            Field::new("naming", "How tenants are named in PostgreSQL.", Slot::Table(&mut self.naming)),
            Field::new("instance", "The PostgreSQL instances; at least one.", Slot::Tables(&mut self.instances)),
            Field::new(
                "tenant",
                "What differs for one tenant, and what to know about it.",
                Slot::Named(&mut self.tenants),
            ),
            Field::new("poll", "How often each source is asked, 200ms at the least.", Slot::Table(&mut self.poll)),
            Field::new(
                "policy",
                "What logins should have; what is left out is not asked for.",
                Slot::Table(&mut self.policy),
            ),
            Field::new(
                "thresholds",
                "Every number that a signal compares with. Shares are from 0 to 1.",
                Slot::Table(&mut self.thresholds),
            ),
            Field::new(
                "aws",
                "AWS: a table for each account and region; none: no AWS at all.",
                Slot::Named(&mut self.aws),
            ),
            Field::new(
                "dedicated",
                "How to log in to instances that were found; {host}, {port}, {database} and {id} are filled in.",
                Slot::Table(&mut self.found),
            ),
            Field::new("control", "Where leases and mirrored journals live.", Slot::Table(&mut self.control)),
            Field::new(
                "vault",
                "HashiCorp Vault or OpenBao; where nothing is set here, none is asked.",
                Slot::Table(&mut self.vault),
            ),
            Field::new("history", "What is remembered, in the state folder.", Slot::Table(&mut self.history)),
            Field::new("operations", "Actions and wizards.", Slot::Table(&mut self.operations)),
        ]
    }
}

impl Table for HistoryConfig {
    fn fields(&mut self) -> Vec<Field<'_>> {
        vec![
            Field::new("enabled", "whether trends survive a restart of the console", Slot::Flag(&mut self.enabled)),
            Field::new(
                "keep",
                "how long; the last day by the minute",
                Slot::Duration(&mut self.keep, SHORTEST_HISTORY),
            ),
        ]
    }
}

impl Table for Control {
    fn fields(&mut self) -> Vec<Field<'_>> {
        vec![Field::optional(
            "instance",
            "its name; in its database the schema \"tierdeck\"; left out: the first shared instance",
            "\"shared\"",
            Slot::OptionalText(&mut self.instance),
        )]
    }
}

impl Table for VaultConfig {
    fn fields(&mut self) -> Vec<Field<'_>> {
        vec![
            Field::optional(
                "address",
                "left out: VAULT_ADDR",
                "\"https://vault:8200\"",
                Slot::OptionalText(&mut self.address),
            ),
            Field::optional(
                "namespace",
                "left out: VAULT_NAMESPACE, else none",
                "\"platform\"",
                Slot::OptionalText(&mut self.namespace),
            ),
            Field::optional(
                "mount",
                "of the KV version 2 engine; left out: secret",
                "\"secret\"",
                Slot::OptionalText(&mut self.mount),
            ),
            Field::optional(
                "auth",
                "or { approle = { role_id = …, secret_id = { file = … } } }, { kubernetes = { role = … } }; left out: VAULT_TOKEN, then ~/.vault-token",
                "{ token = { env = \"VAULT_TOKEN\" } }",
                Slot::Auth(&mut self.auth),
            ),
            Field::optional(
                "ca_cert",
                "authorities in PEM; left out: VAULT_CACERT, else the system's",
                "\"/etc/ssl/vault.pem\"",
                Slot::Folder(&mut self.ca_cert),
            ),
        ]
    }
}

impl Table for OperationsConfig {
    fn fields(&mut self) -> Vec<Field<'_>> {
        vec![
            Field::optional(
                "work",
                "where exports are kept; left out: in the state folder",
                "\"/var/lib/tierdeck/work\"",
                Slot::Folder(&mut self.work),
            ),
            Field::new(
                "statement_timeout",
                "of the sessions that change something",
                Slot::Duration(&mut self.statement_timeout, SHORTEST_TIMEOUT),
            ),
            Field::new(
                "lock_timeout",
                "how long those wait for a lock, with others waiting behind them",
                Slot::Duration(&mut self.lock_timeout, SHORTEST_TIMEOUT),
            ),
            Field::new(
                "stale_after",
                "silent for longer, an operation may be taken over by somebody else",
                Slot::Duration(&mut self.stale_after, SHORTEST_STALE),
            ),
            Field::new(
                "fence_budget",
                "how long an unfinished operation may hold a tenant's writes back, and try to",
                Slot::Duration(&mut self.fence_budget, SHORTEST_FENCE),
            ),
        ]
    }
}

impl Table for Naming {
    fn fields(&mut self) -> Vec<Field<'_>> {
        vec![
            Field::new(
                "tenant_schema",
                "schema of a tenant; {id} is the tenant's id with '-' as '_'",
                Slot::Template(&mut self.tenant_schema),
            ),
            Field::new(
                "tenant_role",
                "owner of that schema, and the login of a tenant that has its own",
                Slot::Template(&mut self.tenant_role),
            ),
            Field::new(
                "tenant_database",
                "with layout = \"database\": a tenant's database",
                Slot::Template(&mut self.tenant_database),
            ),
            Field::new(
                "tenant_login",
                "with layout = \"database\": a tenant's login",
                Slot::Template(&mut self.tenant_login),
            ),
            Field::new(
                "service_account",
                "the login that most sessions of all tenants share",
                Slot::Text(&mut self.service_account),
            ),
            Field::new(
                "vault_path",
                "a tenant's secret below the KV mount; here '-' stays '-'",
                Slot::Path(&mut self.vault_path),
            ),
        ]
    }
}

impl Table for InstanceDraft {
    fn fields(&mut self) -> Vec<Field<'_>> {
        vec![
            Field::optional(
                "name",
                "how screens and documents call it",
                "\"shared\"",
                Slot::OptionalText(&mut self.name),
            ),
            Field::new("tier", "\"shared\", or \"dedicated\" to one tenant", Slot::Tier(&mut self.tier)),
            Field::new(
                "layout",
                "\"schema\" or \"database\": what each tenant has of its own",
                Slot::Layout(&mut self.layout),
            ),
            Field::optional(
                "tenant",
                "whose it is, with tier = \"dedicated\"",
                "\"acme\"",
                Slot::OptionalText(&mut self.tenant),
            ),
            Field::optional(
                "url",
                "the monitoring login, as libpq reads it: sslmode, sslrootcert, connect_timeout …; no password",
                "\"postgresql://tierdeck@localhost:5432/portarium?sslmode=prefer\"",
                Slot::Url(&mut self.url),
            ),
            Field::optional(
                "password",
                "{ env = \"NAME\" }, { file = \"PATH\" }, { vault = \"path#key\" }, { iam = true }; left out: PGPASSWORD, then .pgpass",
                "{ env = \"TIERDECK_PG_PASSWORD\" }",
                Slot::Secret(&mut self.password),
            ),
            Field::optional(
                "vcpus",
                "what the instance class has; left out: guessed, and marked so",
                "4",
                Slot::Vcpus(&mut self.vcpus),
            ),
            Field::optional(
                "pgbouncer",
                "the pooler before it: a user of its stats_users, at its admin console; no password",
                "\"postgresql://stats@localhost:6432/pgbouncer\"",
                Slot::Url(&mut self.pgbouncer),
            ),
            Field::optional(
                "pgbouncer_password",
                "as password, for that user; left out: PGPASSWORD, then .pgpass",
                "{ env = \"TIERDECK_PGBOUNCER_PASSWORD\" }",
                Slot::Secret(&mut self.pgbouncer_password),
            ),
            Field::optional(
                "admin",
                "the login of wizards and actions, never used to look; left out: this instance can only be watched",
                "{ user = \"portarium_admin\", password = { env = \"TIERDECK_ADMIN_PASSWORD\" } }",
                Slot::Login(&mut self.admin),
            ),
            Field::optional(
                "address",
                "HOST:PORT where applications reach it, as their secrets in Vault say; left out: as url and pgbouncer do",
                "\"db.example:5432\"",
                Slot::OptionalText(&mut self.address),
            ),
            Field::optional(
                "rds",
                "RDS identifier, where there are several [aws.NAME] as \"NAME/identifier\"; left out: no CloudWatch, no backups for it",
                "\"portarium-prod-shared\"",
                Slot::OptionalText(&mut self.rds),
            ),
        ]
    }
}

impl Table for Limits {
    fn fields(&mut self) -> Vec<Field<'_>> {
        vec![
            Field::optional(
                "connection_limit",
                "CONNECTION LIMIT of the login",
                "40",
                Slot::Limit(&mut self.connection_limit),
            ),
            Field::optional(
                "statement_timeout",
                "setting of the login",
                "\"30s\"",
                Slot::OptionalDuration(&mut self.statement_timeout),
            ),
            Field::optional(
                "lock_timeout",
                "setting of the login",
                "\"5s\"",
                Slot::OptionalDuration(&mut self.lock_timeout),
            ),
            Field::optional(
                "idle_in_transaction_session_timeout",
                "setting of the login",
                "\"60s\"",
                Slot::OptionalDuration(&mut self.idle_in_transaction_session_timeout),
            ),
        ]
    }
}

impl Table for TenantNotes {
    fn fields(&mut self) -> Vec<Field<'_>> {
        let mut fields = self.limits.fields();
        fields.push(Field::optional(
            "contact",
            "whom to call; shown on the tenant's page",
            "\"payments team, #payments-oncall\"",
            Slot::OptionalText(&mut self.contact),
        ));
        fields.push(Field::optional(
            "notes",
            "what to know; shown on the tenant's page",
            "\"nightly import from 01:00 to 02:00 UTC\"",
            Slot::OptionalText(&mut self.notes),
        ));
        fields
    }
}

impl Table for Tiers {
    fn fields(&mut self) -> Vec<Field<'_>> {
        vec![
            Field::new("shared", "Each tenant's own login on a shared instance.", Slot::Table(&mut self.shared)),
            Field::new("dedicated", "Tenants on dedicated instances.", Slot::Table(&mut self.dedicated)),
            Field::new("backup", "Backups and drills.", Slot::Table(&mut self.backup)),
        ]
    }
}

impl Table for BackupPolicy {
    fn fields(&mut self) -> Vec<Field<'_>> {
        vec![
            Field::new(
                "retention_days",
                "days that backups are kept, by environment",
                Slot::Days(&mut self.retention_days),
            ),
            Field::new(
                "drill_every",
                "how often a restore is to be practised",
                Slot::Duration(&mut self.drill_every, SHORTEST_HISTORY),
            ),
            Field::new("rpo", "how much may be lost", Slot::Targets(&mut self.rpo)),
            Field::new("rto", "how long it may take to be back", Slot::Targets(&mut self.rto)),
            Field::new(
                "share_with",
                "AWS accounts that snapshots may be shared with",
                Slot::Accounts(&mut self.share_with),
            ),
        ]
    }
}

impl Table for Poll {
    fn fields(&mut self) -> Vec<Field<'_>> {
        let about = |source| match source {
            Source::Activity => "sessions, what they wait for, who blocks whom",
            Source::Databases => "pg_stat_database: transactions, deadlocks, temporary files",
            Source::Roles => "limits and settings of roles",
            Source::Churn => "rows written and dead rows of each schema",
            Source::Debt => "tables that autovacuum is behind with",
            Source::Sizes => "sizes",
            Source::Freeze => "ages of transaction ids",
            Source::Vacuums => "vacuums that run, with their progress",
            Source::Replication => "replication slots and standbys",
            Source::Horizon => "who holds vacuum back; prepared transactions",
            Source::Operations => "operations that are under way or in force, from the control database",
            Source::Statements => "pg_stat_statements: what each tenant's statements cost",
            Source::Catalog => "sequences, invalid indexes, rights, schemas, audit",
            Source::Bloat => "wasted space, estimated; dear with many tables",
            Source::Pooler => "PgBouncer's pools",
            Source::Secrets => "the tenants' secrets in Vault: versions, and where they point",
            Source::Metrics => "CloudWatch's figures; it counts a minute at a time, and each question costs",
            Source::Rds => "how RDS describes its instances, and pending maintenance",
            Source::Alarms => "CloudWatch's alarms",
            Source::Events => "what happened to instances",
            Source::Parameters => "parameters of instances that matter",
            Source::Snapshots => "snapshots, and who each is shared with",
            Source::Backups => "AWS Backup: plans, recovery points, copies, jobs",
        };
        let field = |(source, every)| {
            let source: &Source = source;
            Field::new(source.name(), about(*source), Slot::Duration(every, SHORTEST_POLL))
        };
        self.0.iter_mut().map(field).collect()
    }
}

impl Tables for Vec<InstanceDraft> {
    fn add(&mut self) -> &mut dyn Table {
        self.push(InstanceDraft::default());
        let last = self.len() - 1;
        &mut self[last]
    }

    fn all(&mut self) -> Vec<&mut dyn Table> {
        self.iter_mut().map(|draft| draft as &mut dyn Table).collect()
    }
}

impl Named for BTreeMap<TenantId, TenantNotes> {
    fn add(&mut self, name: &str) -> Result<&mut dyn Table, String> {
        let id = TenantId::parse(name).map_err(|error| error.to_string())?;
        Ok(self.entry(id).or_default())
    }

    fn all(&mut self) -> Vec<(String, &mut dyn Table)> {
        self.iter_mut().map(|(id, notes)| (id.to_string(), notes as &mut dyn Table)).collect()
    }

    fn sample(&self) -> (&'static str, Box<dyn Table>) {
        ("acme", Box::new(TenantNotes::default()))
    }
}
