//! What the command line takes.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::domain::{Layout, Severity};

/// What the reader of `--help` and of the man page needs beside the options.
const AFTER: &str = "\
Exit codes:
  0    fine
  1    findings at or above --fail-on, or a check that failed
  2    usage or configuration
  130  interrupted

Files:
  ./tierdeck.toml                          the configuration, where the program is started
  $XDG_CONFIG_HOME/tierdeck/config.toml    or in the user's configuration folder
  $XDG_CONFIG_HOME/tierdeck/themes/        themes of one's own
  $XDG_STATE_HOME/tierdeck/                what the console remembers
  ~/.pgpass                                passwords, as libpq reads them

Environment:
  TIERDECK_CONFIG                          the configuration file
  PGPASSWORD, PGPASSFILE, PGSSLROOTCERT …  as libpq means them
  TIERDECK_STATE                           another folder for what the console remembers
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
    /// What happens in it: calm, noisy-neighbour, connection-storm, lock-pileup, runaway-query, idle-in-transaction, bloat, mixed
    #[arg(long, default_value = "mixed", value_name = "NAME")]
    pub scenario: String,
    /// A schema or a database for each tenant
    #[arg(long, default_value = "schema", value_enum)]
    pub layout: LayoutArgument,
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
    /// Exit with 1 if there is a finding at least this bad
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub fail_on: Option<SeverityArgument>,
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
