//! What somebody does in AWS and should not have.

use std::future::pending;
use std::time::Duration;

use tokio::time::sleep;

use crate::lab::fleet;
use crate::lab::workload::Stage;

/// Gives a snapshot of the dedicated instance of this rank to everybody, and leaves it so. Without an AWS nothing happens.
pub(super) async fn publish(stage: &Stage, rank: usize) {
    let Some(tenant) = fleet::tenant(rank) else { return };
    let stand = loop {
        match stage.aws.get() {
            Some(stand) => break stand,
            None => sleep(Duration::from_secs(1)).await,
        }
    };
    if let Err(said) = fleet::publish(stand, &tenant).await {
        stage.trouble(&format!("no snapshot of {tenant} was made public: {said}"));
    }
    pending::<()>().await;
}

/// Puts it right again.
pub(super) fn withdraw(stage: &Stage, rank: usize) {
    if let (Some(stand), Some(tenant)) = (stage.aws.get(), fleet::tenant(rank)) {
        fleet::withdraw(stand, &tenant);
    }
}
