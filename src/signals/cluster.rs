//! A member of a cluster (Aurora, Multi-AZ DB cluster): it runs PostgreSQL like any other, but its backups, snapshots and storage are
//! its cluster's, which is another thing to RDS, with questions of its own that nobody asks here.
//!
//! Source: Amazon RDS API Reference, `DBCluster` (`BackupRetentionPeriod`, `LatestRestorableTime`, snapshots and storage of all members).

use crate::domain::Signal;
use crate::domain::facts::Source;
use crate::domain::facts::cloud::Rds;

use super::{Place, Verdicts};

/// Whether it is one; then says that the signal does not judge it.
pub(super) fn is_of_a_cluster(signal: Signal, place: &Place<'_>, rds: &Rds, verdicts: &mut Verdicts) -> bool {
    let Some(cluster) = &rds.cluster else { return false };
    let name: String = cluster.shown().chars().take(63).collect();
    let reason = format!("it is a member of cluster {name}: backups and storage are the cluster's, and are not judged");
    verdicts.untold(signal, place, Source::Rds, reason, None);
    true
}
