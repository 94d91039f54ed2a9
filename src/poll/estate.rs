//! What the collector knows of no single instance: the newest facts of the whole estate, and how their sources do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::board::News;
use crate::domain::Observed;
use crate::domain::facts::{Fragment, Secrets, Source};
use crate::domain::observed::Trouble;
use crate::domain::snapshot::{Estate, SourceState};

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct EstateState {
    sources: BTreeMap<Source, SourceState>,
    secrets: Option<Arc<Secrets>>,
}

impl EstateState {
    /// That this source will be asked.
    pub fn expect(&mut self, source: Source, every: Duration) {
        self.sources.insert(source, SourceState { source, at: None, error: None, every, took: None });
    }

    /// Takes what a source brought; what is of an instance is none of it.
    pub fn took(&mut self, now: Timestamp, fragment: Fragment, took: Duration, every: Duration) {
        let source = fragment.source();
        let Fragment::Secrets(secrets) = fragment else { return };
        // What says the same stays the same: whatever was concluded from it still holds.
        if self.secrets.as_deref() != Some(&secrets) {
            self.secrets = Some(Arc::new(secrets));
        }
        self.sources.insert(source, SourceState { source, at: Some(now), error: None, every, took: Some(took) });
    }

    /// A source failed: its old value stays and ages.
    pub fn failed(&mut self, source: Source, trouble: Trouble, every: Duration) {
        if let Some(state) = self.sources.get_mut(&source) {
            state.error = Some(trouble);
            state.every = if state.at.is_none() { every } else { every.min(state.every) };
        }
    }

    /// The newest of everything, as it came.
    pub fn retell(&self) -> Vec<(Option<Timestamp>, News)> {
        let mut told = Vec::new();
        if let (Some(secrets), Some(state)) = (&self.secrets, self.sources.get(&Source::Secrets)) {
            let (took, every) = (state.took.unwrap_or_default(), state.every);
            let fragment = Fragment::Secrets(Secrets::clone(secrets));
            told.push((state.at, News::Delivered { fragment, took, every }));
        }
        for state in self.sources.values() {
            let failed = |trouble| News::Failed { source: state.source, trouble, every: state.every };
            told.extend(state.error.clone().map(|trouble| (None, failed(trouble))));
        }
        told
    }

    /// As it is shown.
    pub fn view(&self) -> Estate {
        let secrets = self.sources.get(&Source::Secrets).map(|state| Observed {
            value: self.secrets.clone(),
            at: state.at,
            error: state.error.clone(),
            every: state.every,
        });
        Estate { secrets, sources: self.sources.values().cloned().collect() }
    }
}
