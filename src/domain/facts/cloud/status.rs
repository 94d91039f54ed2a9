//! What RDS says that an instance is doing, in words that somebody understands who is woken by it.

use super::{Events, Rds};
use jiff::{SignedDuration, Timestamp};

/// For how long a failover is worth telling.
const FRESH: SignedDuration = SignedDuration::from_hours(1);

/// What a state means for whoever uses the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It serves as usual.
    Serves,
    /// Something is under way, or it rests because somebody wants that.
    Busy,
    /// It does not serve, or soon will not.
    Hurt,
}

/// A state of RDS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// How bad.
    pub standing: Standing,
    /// In few words, for a column.
    pub words: &'static str,
    /// What that means.
    pub means: &'static str,
}

impl Rds {
    /// What it is doing; `None`: a word that we do not know, which then stands for itself.
    pub fn doing(&self) -> Option<Status> {
        let (standing, words, means) = match self.status.raw() {
            "available" => (Standing::Serves, "available", "it serves"),
            "storage-optimization" => (
                Standing::Busy,
                "optimising storage",
                "it serves, more slowly: storage was changed and is being rearranged; it cannot be changed again meanwhile",
            ),
            "storage-initialization" => {
                (Standing::Busy, "loading storage", "it serves, slowly at first: blocks are still being fetched")
            }
            "storage-config-upgrade" => (Standing::Busy, "upgrading storage", "it serves while storage is upgraded"),
            "storage-full" => (
                Standing::Hurt,
                "STORAGE FULL",
                "its storage is full: it writes nothing any more; raise the allocated storage",
            ),
            "failing-over" | "failover" => (
                Standing::Hurt,
                "FAILING OVER",
                "it is moving to its standby: connections break, and come back by name",
            ),
            "rebooting" => (Standing::Busy, "rebooting", "it is being started anew, or moves to its standby"),
            "modifying" => (Standing::Busy, "modifying", "it serves while something is being changed"),
            "backing-up" => (Standing::Serves, "backing up", "it serves while a snapshot is taken"),
            "maintenance" => (Standing::Busy, "maintenance", "RDS is at work on it: it may be away for a moment"),
            "upgrading" => (Standing::Busy, "upgrading", "its engine is being upgraded: it is away meanwhile"),
            "creating" => (Standing::Busy, "creating", "it is being made: it has no address yet"),
            "deleting" | "delete-precheck" => (Standing::Busy, "deleting", "it is on its way out"),
            "renaming" => (Standing::Busy, "renaming", "its address is changing"),
            "resetting-master-credentials" => {
                (Standing::Busy, "new password", "the master user's password is being changed")
            }
            "starting" => (Standing::Busy, "starting", "it is being started"),
            "stopping" => (Standing::Busy, "stopping", "somebody stopped it"),
            "stopped" => (Standing::Busy, "stopped", "somebody stopped it; RDS starts it again after seven days"),
            "moving-to-vpc" | "converting-to-vpc" => (Standing::Busy, "changing network", "its network is changing"),
            "failed" => (Standing::Hurt, "FAILED", "RDS could not repair it: restore it from a backup"),
            "restore-error" => (Standing::Hurt, "RESTORE FAILED", "the restore that made it failed"),
            "insufficient-capacity" => {
                (Standing::Hurt, "NO CAPACITY", "AWS has no machine of its class there now: take another class")
            }
            "incompatible-network" => (Standing::Hurt, "BAD NETWORK", "its subnets or addresses do not allow it"),
            "incompatible-option-group" => (Standing::Hurt, "BAD OPTIONS", "its option group does not fit its version"),
            "incompatible-parameters" => {
                (Standing::Hurt, "BAD PARAMETERS", "it does not start with its parameter group: take the change back")
            }
            "incompatible-restore" => (Standing::Hurt, "BAD RESTORE", "what was restored does not fit"),
            "incompatible-create" => (Standing::Hurt, "BAD SETTINGS", "it could not be made as it was ordered"),
            "inaccessible-encryption-credentials-recoverable" => (
                Standing::Hurt,
                "KEY UNUSABLE",
                "its KMS key cannot be used: enable the key and start the instance, or within days it is gone for good",
            ),
            "inaccessible-encryption-credentials" => (
                Standing::Hurt,
                "KEY LOST",
                "its KMS key cannot be used, and it cannot be recovered: restore it from a backup whose key can be",
            ),
            configuring if configuring.starts_with("configuring-") => {
                (Standing::Busy, "configuring", "it serves while something around it is being configured")
            }
            _ => return None,
        };
        Some(Status { standing, words, means })
    }
}

impl Events {
    /// When it last failed over, if that was not long ago.
    pub fn failed_over(&self, now: Timestamp) -> Option<Timestamp> {
        let failover = |event: &&super::Event| event.categories.iter().any(|category| category.raw() == "failover");
        let newest = self.events.iter().filter(failover).map(|event| event.at).max()?;
        (now.duration_since(newest) <= FRESH).then_some(newest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Foreign;

    #[test]
    fn every_state_that_hurts_says_so_and_an_unknown_word_stands_for_itself() {
        let doing = |status: &str| Rds { status: Foreign::from(status), ..Rds::default() }.doing();
        assert_eq!(doing("available").map(|it| it.standing), Some(Standing::Serves));
        for hurt in ["storage-full", "failed", "incompatible-parameters", "failing-over"] {
            assert_eq!(doing(hurt).map(|it| it.standing), Some(Standing::Hurt), "{hurt}");
        }
        for busy in ["storage-optimization", "creating", "stopped", "configuring-log-exports"] {
            assert_eq!(doing(busy).map(|it| it.standing), Some(Standing::Busy), "{busy}");
        }
        assert_eq!(doing("dreaming"), None);
    }

    #[test]
    fn a_failover_is_told_for_an_hour() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let event = |second, category: &str| super::super::Event {
            at: at(second),
            message: Foreign::from("x"),
            categories: vec![Foreign::from(category)],
        };
        let events = Events { events: vec![event(900, "backup"), event(100, "failover"), event(50, "failover")] };
        assert_eq!(events.failed_over(at(3_700)), Some(at(100)));
        assert_eq!(events.failed_over(at(3_701)), None);
    }
}
