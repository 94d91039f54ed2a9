//! A secret that opens another tenant's place.

use std::future::pending;

use crate::lab::vault::Opens;
use crate::lab::workload::Stage;

/// Writes a tenant's secret so that it points to its neighbour's place, and leaves it so.
pub(super) async fn misdirect(stage: &Stage, culprit: usize) {
    let neighbour = (culprit + 1) % stage.roster.members.len();
    write(stage, culprit, neighbour).await;
    pending::<()>().await;
}

/// Puts it right again.
pub(super) async fn put_right(stage: &Stage, culprit: usize) {
    write(stage, culprit, culprit).await;
}

async fn write(stage: &Stage, of: usize, place: usize) {
    let opens = Opens { of: stage.member(of), place: stage.member(place) };
    // A Vault that was stopped for a lesson takes nothing.
    let _ = stage.vault.write(stage.layout, opens, stage.door.port(), &stage.door).await;
}
