//! What the command line takes for whatever changes something: actions, wizards, operations, the audit log.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

/// `tierdeck act`.
#[derive(Debug, Clone, Args)]
pub struct Act {
    /// What
    #[command(subcommand)]
    pub action: ActAction,
    /// How
    #[command(flatten)]
    pub options: ActOptions,
}

/// How an action is carried out.
#[derive(Debug, Clone, Args)]
pub struct ActOptions {
    /// Print the plan and change nothing
    #[arg(long, global = true)]
    pub plan: bool,
    /// Print one JSON document
    #[arg(long, global = true)]
    pub json: bool,
    /// What the plan asks to be typed: a tenant's id, a pid, a table
    #[arg(long, global = true, value_name = "TEXT")]
    pub confirm: Option<String>,
    /// On which instance; left out: the tenant's own, else the first shared one
    #[arg(long, global = true, value_name = "NAME")]
    pub instance: Option<String>,
}

/// `tierdeck guardrails`.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Guardrails {
    /// Something else than to apply the policy
    #[command(subcommand)]
    pub action: Option<GuardrailsAction>,
    /// Whom
    #[arg(value_name = "TENANT", conflicts_with = "all")]
    pub tenants: Vec<String>,
    /// Every tenant of the instance; to approve it, the instance's name is typed
    #[arg(long)]
    pub all: bool,
    /// How
    #[command(flatten)]
    pub options: ActOptions,
}

/// What else guardrails are for.
#[derive(Debug, Clone, Subcommand)]
pub enum GuardrailsAction {
    /// Prove that limits and isolation hold: a temporary login in the same settings does what must be refused; exit 1 when something
    /// was let, or could not be proven
    Prove(Prove),
}

/// `tierdeck guardrails prove`.
#[derive(Debug, Clone, Args)]
pub struct Prove {
    /// Whose
    #[arg(value_name = "TENANT", conflicts_with = "all", required_unless_present = "all")]
    pub tenant: Option<String>,
    /// Every tenant of the instance, an operation each, one after the other; to approve it, the instance's name is typed
    #[arg(long)]
    pub all: bool,
    /// Do not wait for limits that are longer than a second: shorten them at the temporary login, and say so in the evidence
    #[arg(long)]
    pub quick: bool,
    /// A folder that the evidence is written to (made if need be), as JSON and as Markdown; it is in tierdeck ops report, too
    #[arg(long, value_name = "FOLDER")]
    pub evidence: Option<PathBuf>,
    /// How
    #[command(flatten)]
    pub options: ActOptions,
}

/// `tierdeck provision`.
#[derive(Debug, Clone, Args)]
pub struct Provision {
    /// The tenant's id
    pub tenant: String,
    /// Where it is to live
    #[arg(long, value_enum, default_value = "shared")]
    pub tier: TierArgument,
    /// As whom it works: as the service account, as most do, or as itself, with a password that is made now
    #[arg(long, value_enum, default_value = "shared")]
    pub login: LoginArgument,
    /// A further role that makes tables in its schema, beside its own and the admin login; may be repeated
    #[arg(long = "creator", value_name = "ROLE")]
    pub creators: Vec<String>,
    /// The host that its pods reach; left out: that of the instance's url
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// The port that its pods reach; left out: that of the instance's url
    #[arg(long, value_name = "N")]
    pub port: Option<u16>,
    /// Write no secret
    #[arg(long)]
    pub no_secret: bool,
    /// How
    #[command(flatten)]
    pub options: ActOptions,
}

/// `tierdeck deprovision`.
#[derive(Debug, Clone, Args)]
pub struct Deprovision {
    /// The tenant's id
    pub tenant: String,
    /// Leave its secret as it is
    #[arg(long)]
    pub keep_secret: bool,
    /// How
    #[command(flatten)]
    pub options: ActOptions,
}

/// A tier on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TierArgument {
    Shared,
    Dedicated,
}

/// As whom a tenant works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LoginArgument {
    Shared,
    Own,
}

/// Which action.
#[derive(Debug, Clone, Subcommand)]
pub enum ActAction {
    /// Cancel the statement that a session runs
    Cancel(Aimed),
    /// Terminate a session
    Terminate(Aimed),
    /// Terminate the sessions that are certainly a tenant's and sit in a transaction doing nothing
    TerminateIdle {
        /// The tenant
        tenant: String,
        /// For how long at least, such as 5m
        #[arg(long, value_name = "TIME", value_parser = crate::config::duration, default_value = "5m")]
        longer_than: Duration,
    },
    /// Limit a tenant's own login; what its limits were is remembered
    Throttle {
        /// The tenant
        tenant: String,
        /// How many connections it may have
        #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(..=i64::from(i32::MAX)))]
        connections: u32,
        /// How long its statements may take, such as 5s; left out: as it is
        #[arg(long, value_name = "TIME", value_parser = crate::config::duration)]
        statement_timeout: Option<Duration>,
    },
    /// Bring back the limits that a tenant's login had
    Unthrottle {
        /// The tenant
        tenant: String,
    },
    /// Shut a tenant's own login out: nobody gets in any more, and whoever is in goes
    Quarantine {
        /// The tenant
        tenant: String,
    },
    /// Let a quarantined tenant in again
    Release {
        /// The tenant
        tenant: String,
    },
    /// VACUUM (ANALYZE) a table
    Vacuum {
        /// SCHEMA.TABLE
        table: String,
        /// In which database; left out: the configuration's
        #[arg(long, value_name = "NAME")]
        database: Option<String>,
    },
}

/// Which session.
#[derive(Debug, Clone, Args)]
pub struct Aimed {
    /// Its process id
    #[arg(long, value_name = "PID")]
    pub pid: i32,
    /// When it began, as the server says, such as 2026-11-22T08:10:33.123456Z: a pid alone may be another's by now
    #[arg(long, value_name = "TIME")]
    pub started: String,
    /// Only if it is certainly this tenant's
    #[arg(long, value_name = "ID")]
    pub tenant: Option<String>,
    /// Also if it is no client's session but replication or maintenance
    #[arg(long)]
    pub even_system: bool,
}

/// `tierdeck ops`.
#[derive(Debug, Clone, Subcommand)]
pub enum OpsAction {
    /// List operations: running, paused, over
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show the plan of an operation and what happened
    Show {
        /// The operation
        id: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Go on with an operation that paused, or whose console is gone
    Resume {
        /// The operation
        id: String,
        /// Take it from somebody who fell silent: its id once more
        #[arg(long, value_name = "ID")]
        take_over: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Undo what an operation did, the last step first; shows it and asks
    Rollback {
        /// The operation
        id: String,
        /// Print what would be run and change nothing
        #[arg(long)]
        plan: bool,
        /// What its plan asked to be typed: a tenant's id, an instance's name
        #[arg(long, value_name = "TEXT")]
        confirm: Option<String>,
        /// Take it from somebody who fell silent: its id once more
        #[arg(long, value_name = "ID")]
        take_over: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Leave everything as an operation left it, for good: unfinished, it holds its tenant no longer; done, it is in force no longer
    Abandon {
        /// The operation
        id: String,
        /// Its id once more
        #[arg(long, value_name = "ID")]
        confirm: String,
        /// Take it from somebody who fell silent: its id once more
        #[arg(long, value_name = "ID")]
        take_over: Option<String>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Write the report of an operation: what ran, when, by whom, checks, timings
    Report {
        /// The operation
        id: String,
        /// One JSON document instead of Markdown
        #[arg(long)]
        json: bool,
    },
}

/// `tierdeck audit`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum AuditAction {
    /// Check every line of the log against the one before, and its end against the control database
    Verify {
        /// Only the file
        #[arg(long)]
        offline: bool,
    },
}
