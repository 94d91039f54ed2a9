//! By what names the figures go that backups are judged by. Signals judge and write them into a finding's evidence, screen 7 reads there
//! which of its figures are as bad as that: there is one judgement.

/// What would be lost now, of what may be: [`Signal::BackupStale`](crate::domain::Signal::BackupStale).
pub const LOSS: &str = "could be lost, of what may be";

/// How long ago the latest restorable time is, of how long that may be: of the same signal.
pub const BEHIND: &str = "latest restorable time, of its target";

/// Jobs, copies and plans of AWS Backup that came to nothing: of the same signal.
pub const FAILED: &str = "jobs that failed or never ran";
