//! The `tierdeck` binary: hooks, then the library.

use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::Result;

fn main() -> Result<ExitCode> {
    color_eyre::config::HookBuilder::default().display_env_section(false).install()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build()?;
    let exit = runtime.block_on(tierdeck::cli::run());
    // What still runs beside has had its time: nothing may keep the program from ending.
    runtime.shutdown_timeout(Duration::from_secs(2));
    let exit = exit?;
    Ok(ExitCode::from(exit.code()))
}
