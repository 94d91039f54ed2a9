//! The estate's AWS: judged by boto3, a client that we did not write, and by rows: what a restore holds is what was
//! committed by then. And what is wrong in it is found by the shipped poller.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]
#![expect(clippy::print_stdout, reason = "what it measured")]

#[path = "aws/boto.rs"]
mod boto;
#[path = "aws/estate.rs"]
mod estate;
#[path = "aws/findings.rs"]
mod findings;
#[path = "aws/moments.rs"]
mod moments;
mod support;
#[path = "aws/told.rs"]
mod told;

use std::time::Duration;

use tierdeck::lab::{AwsSpec, AwsStand, Pace};

/// One that is quick to look and quick to archive.
async fn stand() -> AwsStand {
    let pace = Pace { beat: Duration::from_millis(500), sample: Duration::from_secs(1), archive_bytes: 512 << 20 };
    let spec = AwsSpec { pace, archive_timeout: Duration::from_secs(1), past: false, ..AwsSpec::default() };
    AwsStand::start(spec).await.unwrap()
}
