//! The `tierdeck` binary: hooks, then the library.

use std::process::ExitCode;

use color_eyre::eyre::Result;

fn main() -> Result<ExitCode> {
    color_eyre::config::HookBuilder::default().display_env_section(false).install()?;
    let exit = tierdeck::cli::run()?;
    Ok(ExitCode::from(exit.code()))
}
