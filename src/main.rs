//! The `tierdeck` binary: hooks, then the library.

use std::process::ExitCode;

use color_eyre::eyre::Result;

/// A console of hundreds of instances takes in tens of thousands of short strings a second on several threads: the system's
/// allocator spends a quarter of the time on them and gives little back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<ExitCode> {
    color_eyre::config::HookBuilder::default().display_env_section(false).install()?;
    let exit = tierdeck::cli::run()?;
    Ok(ExitCode::from(exit.code()))
}
