//! `tierdeck config check` and `config show`.

use std::path::Path;

use color_eyre::eyre::Result;

use super::arguments::ConfigAction;
use super::{Exit, observe, output};
use crate::config;

pub(super) fn run(path: Option<&Path>, action: &ConfigAction) -> Result<Exit> {
    let Some(config) = observe::configuration(path) else { return Ok(Exit::Usage) };
    match action {
        ConfigAction::Check => output::text(&config::verdict(&config)),
        ConfigAction::Show => output::text(&config::show(&config)),
    }
}
