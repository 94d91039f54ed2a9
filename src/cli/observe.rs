//! Looking without a console: the same poller and the same snapshot, until everything was seen often enough.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use color_eyre::eyre::Result;
use jiff::Timestamp;

use crate::clients::Environment;
use crate::clients::postgres::Target;
use crate::config::{self, Checked, Config};
use crate::domain::facts::Source;
use crate::domain::snapshot::{Instance, Reach};
use crate::domain::{InstanceName, Snapshot};
use crate::poll::Poller;
use crate::signals::Evaluator;

use super::acknowledged::Store;
use super::output::say;

/// The longest that one look waits for a slow source.
const PATIENCE: Duration = Duration::from_secs(12);

/// Finds, reads and checks the configuration, or tells every error of it.
pub(super) fn checked(path: Option<&Path>) -> Option<(PathBuf, Checked)> {
    let found = config::find(path, &Environment::of_process()).map_err(|error| error.to_string());
    let checked = found.and_then(|path| match config::check_file(&path) {
        Ok(checked) => Ok((path, checked)),
        Err(errors) => Err(errors.to_string()),
    });
    checked.map_err(|errors| say(&errors)).ok()
}

/// The configuration, or what is wrong with it told.
pub(super) fn configuration(path: Option<&Path>) -> Option<Config> {
    checked(path).map(|(_, checked)| checked.config)
}

/// Where the instances are.
pub(super) fn targets(config: &Config) -> Result<Vec<Target>> {
    let environment = Environment::of_process();
    config.instances.iter().map(|instance| Ok(Target::parse(&instance.url, &environment)?)).collect()
}

/// How often a single look asks for sessions: one sample more or less must not decide what it finds.
const GLANCE: Duration = Duration::from_millis(250);

/// Starts polling for a look: nothing waits to be confirmed over time.
pub(super) fn look(config: &Config, watch: bool) -> Result<Poller> {
    let mut config = config.clone();
    if !watch {
        config.poll.entry(Source::Activity).and_modify(|every| *every = (*every).min(GLANCE));
    }
    let poller = Poller::start(&config, targets(&config)?, Evaluator::immediate());
    heed(&config, &poller);
    Ok(poller)
}

/// Tells a poller what was acknowledged and muted. A look leaves the store alone: it sees too little of time to say
/// that a finding is gone.
pub(super) fn heed(config: &Config, poller: &Poller) {
    let Ok(store) = Store::of(config, &Environment::of_process()) else { return };
    match store.read(Timestamp::now()) {
        Ok(read) => {
            if let Some(aside) = read.set_aside {
                say(&format!("what was acknowledged could not be read and was set aside: {}", aside.display()));
            }
            poller.acknowledgements.send_if_modified(|words| {
                let changed = **words != read.words;
                *words = Arc::new(read.words);
                changed
            });
        }
        Err(error) => say(&error.to_string()),
    }
}

/// Waits until every instance was seen often enough for rates, or cannot be, and returns the newest picture.
pub(super) async fn complete(poller: &mut Poller) -> Arc<Snapshot> {
    let mut watched = Watched::default();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let snapshot = poller.snapshots.borrow_and_update().clone();
        if watched.enough(&snapshot) {
            return snapshot;
        }
        let changed = tokio::time::timeout_at(deadline, poller.snapshots.changed()).await;
        if !matches!(changed, Ok(Ok(()))) {
            return poller.snapshots.borrow().clone();
        }
    }
}

/// Which sources were seen first when, by instance.
#[derive(Default)]
struct Watched {
    first: BTreeMap<(InstanceName, Source), Timestamp>,
}

impl Watched {
    fn enough(&mut self, snapshot: &Snapshot) -> bool {
        // A Vault with very many secrets takes its time: what it told so far is enough.
        let mut enough = snapshot.estate.sources.iter().all(|state| state.at.is_some() || state.error.is_some());
        // Whoever is still to be found is waited for.
        enough &= snapshot.accounts.iter().all(|it| it.instances.is_some() || it.error.is_some());
        for instance in &snapshot.instances {
            enough &= self.instance(instance);
        }
        enough
    }

    fn instance(&mut self, instance: &Instance) -> bool {
        if matches!(instance.reach, Reach::Down { .. }) {
            return true;
        }
        // Nobody asks its PostgreSQL: what AWS says of it is waited for.
        let apart = matches!(instance.reach, Reach::Apart(_));
        let asked = instance.sources.iter().filter(|state| !apart || Source::CLOUD.contains(&state.source));
        let seen = asked.map(|state| {
            let twice =
                matches!(state.source, Source::Activity | Source::Databases | Source::Churn | Source::Statements);
            match state.at {
                None => state.error.is_some(),
                Some(at) => *self.first.entry((instance.name.clone(), state.source)).or_insert(at) < at || !twice,
            }
        });
        // No short cut: the first sighting of each is noted.
        seen.fold(true, |all, one| all & one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::snapshot::SourceState;
    use crate::domain::{Layout, Tier};

    fn instance(name: &str, reach: Reach, sources: &[(Source, Option<i64>)]) -> Instance {
        let state = |(source, at): &(Source, Option<i64>)| SourceState {
            source: *source,
            at: at.map(|at| Timestamp::from_second(at).unwrap()),
            error: None,
            every: Duration::from_secs(1),
            took: None,
        };
        let named = Instance::named(InstanceName::new(name), Tier::Dedicated, Layout::Schema);
        Instance { reach, sources: sources.iter().map(state).collect(), ..named }
    }

    fn of(instances: Vec<Instance>) -> Snapshot {
        Snapshot { instances, ..Snapshot::empty(Timestamp::UNIX_EPOCH, "test") }
    }

    #[test]
    fn whom_nobody_polls_is_waited_for_only_as_long_as_aws_takes() {
        let apart = |at| instance("a", Reach::Apart("creating".into()), &[(Source::Activity, None), (Source::Rds, at)]);
        assert!(!Watched::default().enough(&of(vec![apart(None)])));
        assert!(Watched::default().enough(&of(vec![apart(Some(1))])));
    }

    #[test]
    fn who_leaves_does_not_make_another_one_seen() {
        let up = |name: &str, at| instance(name, Reach::Up, &[(Source::Activity, Some(at))]);
        let mut watched = Watched::default();
        assert!(!watched.enough(&of(vec![up("a", 1), up("b", 5)])));
        assert!(!watched.enough(&of(vec![up("b", 5)])), "it was seen once");
        assert!(watched.enough(&of(vec![up("b", 6)])));
    }
}
