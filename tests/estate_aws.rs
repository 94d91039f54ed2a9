//! The estate's AWS: judged by boto3, a client that we did not write, and by rows: what a restore holds is what was
//! committed by then. And what is wrong in it is found by the shipped poller.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]
#![expect(clippy::print_stdout, reason = "what it measured")]

#[path = "aws/boto.rs"]
mod boto;
#[path = "aws/changes.rs"]
mod changes;
#[path = "aws/endpoint.rs"]
mod endpoint;
#[path = "aws/estate.rs"]
mod estate;
#[path = "aws/findings.rs"]
mod findings;
#[path = "aws/gate.rs"]
mod gate;
#[path = "aws/moments.rs"]
mod moments;
#[path = "aws/plans.rs"]
mod plans;
#[path = "aws/restarts.rs"]
mod restarts;
mod support;
#[path = "aws/told.rs"]
mod told;
#[path = "aws/window.rs"]
mod window;

use std::time::Duration;

use tierdeck::lab::{AwsSpec, AwsStand, Pace};

/// One that is quick to look and quick to archive.
async fn stand() -> AwsStand {
    with_archive(512 << 20).await
}

/// The same, of which archives may hold so much.
async fn with_archive(archive_bytes: u64) -> AwsStand {
    let pace = Pace { beat: Duration::from_millis(500), sample: Duration::from_secs(1), archive_bytes };
    let spec = AwsSpec { pace, archive_timeout: Duration::from_secs(1), past: false, ..AwsSpec::default() };
    AwsStand::start(spec).await.unwrap()
}
