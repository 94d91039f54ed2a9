//! What the whole of the stored history says of each tenant.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::diary::{Diary, Episode};
use super::minute::Subjects;
use super::store::{Store, StoreError, Total};
use crate::domain::{InstanceName, Record, Records, Signal, TenantId};

/// With less watched, nobody can say what a tenant's mean hour is.
const A_DAY: f64 = 86_400.0;

/// How often and for how long somebody was named.
#[derive(Default)]
struct Named {
    seconds: f64,
    times: u32,
}

/// The records of all tenants.
pub(super) fn records(store: &Store, subjects: &Subjects, diary: &Diary) -> Result<Records, StoreError> {
    let totals = store.totals()?;
    let mut noisy: HashMap<(InstanceName, TenantId), Named> = HashMap::new();
    let past = store.episodes()?;
    let all = past.iter().chain(diary.open()).chain(&diary.ended);
    for episode in all.filter(|episode| episode.signal == Signal::NoisyNeighbour) {
        for culprit in culprits(episode) {
            let named = noisy.entry((episode.instance.clone(), culprit)).or_default();
            named.seconds += episode.seconds();
            named.times += 1;
        }
    }
    let mut records = Records::new();
    for (whose, row) in subjects.iter() {
        let Some(tenant) = whose.tenant else { continue };
        let key = (whose.instance, tenant);
        let named = noisy.remove(&key).unwrap_or_default();
        if let Some(record) = totals.get(&row).and_then(|total| record(total, &named)) {
            records.insert(key, Arc::new(record));
        }
    }
    Ok(records)
}

/// Whom a finding blames: its culprits, or its subject where that is a tenant.
fn culprits(episode: &Episode) -> Vec<TenantId> {
    if episode.culprits.is_empty() {
        return TenantId::parse(&episode.id).into_iter().collect();
    }
    episode.culprits.clone()
}

fn record(total: &Total, noisy: &Named) -> Option<Record> {
    let since = Timestamp::from_second(i64::from(total.first?) * 3_600).ok()?;
    let a_second = total.rows / total.seconds.max(1.0);
    let enough = total.seconds >= A_DAY && a_second > 0.0;
    Some(Record {
        since,
        watched_seconds: total.seconds,
        rows_written_per_day: Some(a_second * A_DAY),
        spikiness: enough.then(|| total.busiest / a_second),
        noisy_seconds: noisy.seconds,
        noisy_times: noisy.times,
    })
}
