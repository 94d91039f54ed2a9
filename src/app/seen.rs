//! Since when each instance has been seen without a break: what is wrong must hold for a while before it is told, and
//! until then nothing can be called fine.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::snapshot::Reach;
use crate::domain::{Instance, InstanceName, Snapshot};

/// Since when; what is not seen now is not in it.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<InstanceName, Timestamp>);

impl Seen {
    /// Takes in what is seen now.
    pub(super) fn take(&mut self, snapshot: &Snapshot) {
        let at = snapshot.taken_at;
        let seen = snapshot.instances.iter().filter(|instance| is_seen(instance, at));
        // A recording can be set back to before the moment at which we began to look.
        let since = |name: &InstanceName| self.0.get(name).map_or(at, |since| at.min(*since));
        self.0 = seen.map(|instance| (instance.name.clone(), since(&instance.name))).collect();
    }

    /// Seconds until all of them will have been seen for so long; `None` when they have.
    pub fn left(&self, moment: Timestamp, wanted: Duration) -> Option<f64> {
        let left = |since: &Timestamp| wanted.as_secs_f64() - moment.duration_since(*since).as_secs_f64().max(0.0);
        self.0.values().map(left).filter(|left| *left > 0.0).reduce(f64::max)
    }
}

/// Whether an instance's sessions are seen.
pub fn is_seen(instance: &Instance, moment: Timestamp) -> bool {
    instance.reach == Reach::Up && instance.activity.fresh(moment).is_some()
}
