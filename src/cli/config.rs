//! `tierdeck config check` and `config show`.

use std::path::Path;

use color_eyre::eyre::Result;

use super::arguments::ConfigAction;
use super::{Exit, observe, output};
use crate::config;
use crate::domain::quantity::plural;

pub(super) fn run(path: Option<&Path>, action: ConfigAction) -> Result<Exit> {
    let Some((path, checked)) = observe::checked(path) else { return Ok(Exit::Usage) };
    match action {
        ConfigAction::Check => {
            for warning in &checked.warnings {
                output::say(&warning.to_string());
            }
            let instances = plural(checked.config.instances.len(), "instance");
            output::text(&format!("{}: fine, {instances}\n", path.display()))
        }
        ConfigAction::Show => output::text(&config::show(&checked.config)),
    }
}
