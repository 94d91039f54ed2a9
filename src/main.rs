//! The `tierdeck` binary: hooks, then the library.

use std::process::ExitCode;

use color_eyre::eyre::Result;

fn main() -> Result<ExitCode> {
    color_eyre::config::HookBuilder::default().display_env_section(false).install()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build()?;
    let exit = runtime.block_on(tierdeck::cli::run())?;
    Ok(ExitCode::from(exit.code()))
}
