//! The command line: one file a subcommand, the console is one of them. Results go to stdout, messages to stderr.

pub mod ack;
mod acknowledge;
pub mod acknowledged;
mod act;
pub mod arguments;
mod around;
mod audit;
mod conductor;
mod config;
mod console;
mod demo;
pub mod doctor;
pub mod document;
mod findings;
mod guardrails;
mod guests;
mod inspector;
mod observe;
mod offers;
mod operations;
pub mod ops;
mod output;
pub mod pooler;
mod prove;
mod provision;
mod record;
mod remember;
mod replay;
mod report;
mod save;
mod secrets;
mod serve;
mod sight;
mod status;
mod store;
mod themes;
mod told;
mod watching;
mod way_back;
mod whole;

use std::time::Duration;

use clap::{CommandFactory, Parser};
use color_eyre::eyre::Result;

use arguments::AuditAction;
pub use arguments::{Arguments, Command};

/// How the process ends, as the contract has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Fine.
    Fine,
    /// Findings at or above the threshold, or a check that failed.
    Found,
    /// Usage or configuration.
    Usage,
    /// Refused: read-only, preflight, or another operation holds the tenant.
    Refused,
    /// An operation paused or failed, and can be gone on with.
    Paused,
    /// Interrupted.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Found => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Paused => 4,
            Self::Interrupted => 130,
        }
    }
}

/// Parses the arguments and does what they say. The runtime begins here, and not in the binary: what is asynchronous is compiled
/// where it is begun, and the binary would be compiled for as long as everything else.
pub fn run() -> Result<Exit> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build()?;
    let exit = runtime.block_on(does(arguments));
    // What still runs beside has had its time: nothing may keep the program from ending.
    runtime.shutdown_timeout(Duration::from_secs(2));
    exit
}

async fn does(arguments: Arguments) -> Result<Exit> {
    let config = arguments.config.as_deref();
    let allow = arguments.allow_actions;
    match arguments.command {
        None => console::run(config, allow).await,
        Some(Command::Demo(demo)) => demo::run(demo, allow).await,
        Some(Command::Status { json, watch }) => status::run(config, json, watch).await,
        Some(Command::Findings(options)) => findings::run(config, options).await,
        Some(Command::Ack(ack)) => Ok(ack::run(config, ack).await),
        Some(Command::Act(act)) => act::run(config, allow, act).await,
        Some(Command::Guardrails(asked)) => guardrails::run(config, allow, asked).await,
        Some(Command::Provision(asked)) => provision::provision(config, allow, asked).await,
        Some(Command::Deprovision(asked)) => provision::deprovision(config, allow, asked).await,
        Some(Command::Ops { action }) => ops::run(config, allow, action).await,
        Some(Command::Audit { action: AuditAction::Verify { offline } }) => audit::verify(config, offline).await,
        Some(Command::Record(options)) => record::run(config, options).await,
        Some(Command::Replay { file, json }) => replay::run(&file, json).await,
        Some(Command::Serve(options)) => serve::run(config, options).await,
        Some(Command::Report(options)) => report::run(config, options).await,
        Some(Command::Doctor { json }) => doctor::run(config, json).await,
        Some(Command::Config { action }) => config::run(config, action),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "tierdeck", &mut script);
            output::bytes(&script)
        }
        Some(Command::Man) => {
            let mut page = Vec::new();
            // One page: the subcommands have none of their own to refer to.
            clap_mangen::Man::new(Arguments::command().flatten_help(true)).render(&mut page)?;
            output::bytes(&page)
        }
    }
}
