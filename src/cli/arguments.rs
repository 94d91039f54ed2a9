//! What the command line takes.

mod operations;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use operations::{
    Act, ActAction, ActOptions, Aimed, AuditAction, Deprovision, Guardrails, GuardrailsAction, LoginArgument,
    OpsAction, Prove, Provision, TierArgument,
};

use crate::domain::{Layout, Severity};

/// What the reader of `--help` and of the man page needs beside the options.
const AFTER: &str = "\
Exit codes:
  0    fine
  1    findings at or above --fail-on, or a check that failed
  2    usage or configuration
  3    refused: read-only, not approved, or another operation holds the tenant
  4    an operation paused or failed, and can be gone on with
  130  interrupted

Files:
  ./tierdeck.toml                          the configuration, where the program is started
  $XDG_CONFIG_HOME/tierdeck/config.toml    or in the user's configuration folder
  $XDG_CONFIG_HOME/tierdeck/themes/        themes of one's own
  ~/.pgpass                                passwords, as libpq reads them
  $XDG_STATE_HOME/tierdeck/                what is remembered: choices, acknowledgements, history, recordings; journals of operations, audit log

Environment:
  TIERDECK_CONFIG                          the configuration file
  TIERDECK_STATE                           the folder of what is remembered
  PGPASSWORD, PGPASSFILE, PGSSLROOTCERT …  as libpq means them
  NO_COLOR                                 no colours
  TIERDECK_COLOR                           none, 16, 256 or true: how many colours, whatever else says

In the console, ? shows the keys.";

/// A terminal operations console for multi-tenant PostgreSQL: who hurts whom, and what to do next.
///
/// Without a subcommand the console opens on the instances of the configuration.
#[derive(Debug, Parser)]
#[command(name = "tierdeck", version, about, max_term_width = 100, after_long_help = AFTER)]
pub struct Arguments {
    /// Configuration file; without it `$TIERDECK_CONFIG`, ./tierdeck.toml, or the one in the user's configuration folder
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Let it change something; without it (or the configuration's word for it) everything is read-only
    #[arg(long, global = true)]
    pub allow_actions: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a local estate of real PostgreSQL with busy tenants, and the console on it; everything is removed on exit
    Demo(Demo),
    /// Sample twice and print instances, tenants and findings
    Status {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        /// Go on printing: a document a line with --json
        #[arg(long)]
        watch: bool,
    },
    /// Print what is wrong: who hurts whom, and the next step
    Findings(FindingsOptions),
    /// Say that somebody knows of a finding, for how long and why; list and clear what was said
    #[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
    Ack(Ack),
    /// Do something about an incident: shows the exact SQL and who is affected, asks, does it, looks whether it is done
    Act(Act),
    /// Give tenants' logins the limits that the policy wants: shows what differs and the exact SQL, asks, does it, can be undone
    Guardrails(Guardrails),
    /// Make a place for a new tenant: its role, its schema with everybody's rights, its limits, its secret
    Provision(Provision),
    /// Export a tenant, and remove its schema, its role and its secret
    Deprovision(Deprovision),
    /// Operations and their journal
    Ops {
        /// Which
        #[command(subcommand)]
        action: OpsAction,
    },
    /// The audit log of everything that was changed
    Audit {
        /// Which
        #[command(subcommand)]
        action: AuditAction,
    },
    /// Publish the same numbers and findings for Prometheus: /metrics, /healthz
    Serve(Serve),
    /// Write everything that is polled to a file, for post-mortems and demos
    Record(Record),
    /// Open the console on a recording: play, pause, seek, jump to findings
    Replay {
        /// The recording
        file: PathBuf,
        /// No console: print one JSON document of everything that was found in it
        #[arg(long)]
        json: bool,
    },
    /// Write an incident report in Markdown: findings with evidence, who is involved, who waits for whom, timeline
    Report(ReportOptions),
    /// Check each component: reachable, version, what the login may do, what that leaves out, and the GRANT that fixes it
    Doctor {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Check the configuration, or show what it amounts to
    Config {
        /// Which
        #[command(subcommand)]
        action: ConfigAction,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the man page
    Man,
}

/// `tierdeck demo`.
#[derive(Debug, Clone, Args)]
pub struct Demo {
    /// How many tenants
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=5000))]
    pub tenants: u32,
    /// What happens in it: calm, noisy-neighbour, connection-storm, lock-pileup, runaway-query, idle-in-transaction, bloat, wrong-secret, public-snapshot, mixed
    #[arg(long, default_value = "mixed", value_name = "NAME")]
    pub scenario: String,
    /// A schema or a database for each tenant
    #[arg(long, default_value = "schema", value_enum)]
    pub layout: LayoutArgument,
    /// How many more tenants have an instance of their own
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=20))]
    pub dedicated: u32,
    /// Make the estate in this folder instead of a temporary one
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// Leave the estate's folder behind
    #[arg(long)]
    pub keep: bool,
    /// No console: print one line of JSON when ready, serve until SIGINT or SIGTERM
    #[arg(long)]
    pub headless: bool,
    /// Stop when standard input is closed: how the console's estate notices that its console is gone
    #[arg(long, hide = true, requires = "headless")]
    pub tied: bool,
}

/// How tenants live in the estate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum LayoutArgument {
    Schema,
    Database,
}

impl From<LayoutArgument> for Layout {
    fn from(layout: LayoutArgument) -> Self {
        match layout {
            LayoutArgument::Schema => Self::Schema,
            LayoutArgument::Database => Self::Database,
        }
    }
}

/// `tierdeck findings`.
#[derive(Debug, Clone, Copy, Args)]
pub struct FindingsOptions {
    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
    /// Sample for this long, such as 60s, and print everything that was found meanwhile
    #[arg(long = "for", value_name = "TIME", value_parser = crate::config::duration)]
    pub duration: Option<Duration>,
    /// Exit with 1 if there is a finding at least this bad that nobody has acknowledged or muted (see tierdeck ack)
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub fail_on: Option<SeverityArgument>,
}

/// `tierdeck ack`.
#[derive(Debug, Clone, Args)]
pub struct Ack {
    /// Instead of a new one
    #[command(subcommand)]
    pub action: Option<AckAction>,
    /// A new one
    #[command(flatten)]
    pub new: AckNew,
}

/// A new acknowledgement.
#[derive(Debug, Clone, Args)]
pub struct AckNew {
    /// Which finding
    #[command(flatten)]
    pub subject: AckSubject,
    /// For how long, such as 2h; an acknowledgement covers what is there now, and ends with it if that is sooner
    #[arg(long = "for", value_name = "TIME", value_parser = crate::config::duration)]
    pub duration: Option<Duration>,
    /// Why: what to tell whoever wonders
    #[arg(long, value_name = "TEXT")]
    pub why: Option<String>,
    /// Do not show it at all for that time, nor what is to come: also if it goes and comes again
    #[arg(long)]
    pub mute: bool,
}

/// Which finding.
#[derive(Debug, Clone, Args)]
pub struct AckSubject {
    /// The signal, as `tierdeck findings` names it
    #[arg(value_name = "SIGNAL")]
    pub signal: Option<String>,
    /// What it is about: a tenant's id, a login, a table, a pid …
    #[arg(value_name = "SUBJECT")]
    pub subject: Option<String>,
    /// The instance that it is on
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// What kind of thing SUBJECT is, where its name does not say: tenant, role, session, table …
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
}

/// What to do with those that there are.
#[derive(Debug, Clone, Subcommand)]
pub enum AckAction {
    /// List what is acknowledged and muted
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Take back what was said about a finding, or everything
    Clear {
        /// Which finding
        #[command(flatten)]
        subject: AckSubject,
        /// Everything
        #[arg(long)]
        all: bool,
    },
}

/// `tierdeck record`.
#[derive(Debug, Clone, Args)]
pub struct Record {
    /// The file; it must not exist
    pub file: PathBuf,
    /// End after this long, such as 10m; without it, at Ctrl-C
    #[arg(long = "for", value_name = "TIME", value_parser = crate::config::duration)]
    pub duration: Option<Duration>,
    /// Leave out literals and comments of statements, application names and clients' addresses
    #[arg(long)]
    pub redact: bool,
    /// The largest that the file may get, such as 64MB; then it ends
    #[arg(long, value_name = "SIZE", default_value = "256MB", value_parser = size)]
    pub max_size: u64,
}

/// Reads `512KB`, `64MB`, `2GB`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let (amount, unit) = text.split_at(digits);
    let factor = match unit.trim().to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        _ => 0,
    };
    let bytes = amount.parse::<u64>().ok().and_then(|amount| amount.checked_mul(factor));
    bytes
        .filter(|bytes| *bytes >= 64 << 10)
        .ok_or_else(|| format!("{text:?} is not a size of 64KB or more; examples: \"64MB\", \"2GB\""))
}

/// `tierdeck serve`.
#[derive(Debug, Clone, Copy, Args)]
pub struct Serve {
    /// Where to listen: loopback, unless --public
    #[arg(long, default_value = "127.0.0.1:9853", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Listen also where others can read the names and the load of every tenant
    #[arg(long)]
    pub public: bool,
    /// How many tenants have series of their own, the noisiest; the others are one sum
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub tenants_max: usize,
}

/// `tierdeck report`.
#[derive(Debug, Clone, Args)]
pub struct ReportOptions {
    /// Watch for this long, such as 60s: what came and went meanwhile is in the timeline
    #[arg(long = "for", value_name = "TIME", value_parser = crate::config::duration)]
    pub duration: Option<Duration>,
    /// Write it to this file instead of standard output; one that is there already stays as it is
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// A severity on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[expect(missing_docs, reason = "the names say it")]
pub enum SeverityArgument {
    Info,
    Warning,
    Critical,
}

impl From<SeverityArgument> for Severity {
    fn from(severity: SeverityArgument) -> Self {
        match severity {
            SeverityArgument::Info => Self::Info,
            SeverityArgument::Warning => Self::Warning,
            SeverityArgument::Critical => Self::Critical,
        }
    }
}

/// `tierdeck config`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum ConfigAction {
    /// Report every error, with file, line and key
    Check,
    /// Print the merged configuration, without secrets
    Show,
}
