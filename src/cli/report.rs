//! `tierdeck report`: the incident report without a console, from the same text as the console's `E`.

use std::path::Path;
use std::sync::Arc;

use color_eyre::eyre::Result;

use super::arguments::ReportOptions;
use super::{Exit, observe, output, save};
use crate::app::Timeline;
use crate::app::incident::Incident;
use crate::clients::Environment;

/// How long is looked at the least: who suffers from whom shows in more than a moment.
const LEAST: std::time::Duration = std::time::Duration::from_secs(3);

pub(super) async fn run(config: Option<&Path>, options: ReportOptions) -> Result<Exit> {
    let Some(config) = observe::configuration(config) else { return Ok(Exit::Usage) };
    let environment = Environment::of_process();
    // What standard output is called by those who may not leave a file out.
    let file = |path: &std::path::PathBuf| !["-", "/dev/stdout"].iter().any(|name| path.as_os_str() == *name);
    let out = options.out.filter(file).map(|path| environment.expand(&path));
    if let Some(path) = out.as_ref().filter(|path| path.exists()) {
        output::say(&format!("{} is there already: name another file, or remove it", path.display()));
        return Ok(Exit::Usage);
    }
    let mut poller = observe::look(&config, false)?;
    let end = tokio::time::Instant::now() + options.duration.unwrap_or(LEAST);
    let mut timeline = Timeline::default();
    let mut snapshot = observe::complete(&mut poller).await;
    timeline.take(&snapshot);
    while let Ok(Ok(())) = tokio::time::timeout_at(end, poller.snapshots.changed()).await {
        snapshot = Arc::clone(&poller.snapshots.borrow_and_update());
        timeline.take(&snapshot);
    }
    let operator = environment.operator();
    let incident =
        Incident { snapshot: &snapshot, timeline: &timeline, moment: snapshot.taken_at, operator: &operator };
    let text = incident.markdown();
    let Some(path) = out else { return output::text(&text) };
    match save::write(&path, &text, false) {
        Ok(()) => {
            output::say(&format!("wrote the report to {}", path.display()));
            Ok(Exit::Fine)
        }
        Err(error) => {
            output::say(&format!("{} cannot be written: {error}", path.display()));
            Ok(Exit::Usage)
        }
    }
}
