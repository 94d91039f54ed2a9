//! Who really is behind a session: the workers know, and the tests of attribution ask.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::roster::{Member, Style};
use crate::domain::TenantId;

/// Transactions remembered; older ones are forgotten.
const REMEMBERED: usize = 50_000;

/// The truth about a session at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Whose it is.
    pub tenant: TenantId,
    /// How that tenant logs in.
    pub style: Style,
    /// From when on there was strong evidence until the end of the transaction (or, with an own login, of the
    /// session): its own login, or locks on its own tables. `None`: never, or not yet.
    pub strong_since: Option<Timestamp>,
}

/// What the workers did, by session and by transaction. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Truth(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    /// Own logins: the pid and the session's start.
    sessions: HashMap<(i32, Timestamp), Known>,
    /// Shared logins: the pid and the transaction's start.
    transactions: HashMap<(i32, Timestamp), Known>,
    /// The keys of `transactions`, the oldest first.
    order: VecDeque<(i32, Timestamp)>,
}

impl Truth {
    /// Whose a session is, by `backend_start` and `xact_start` of `pg_stat_activity`. `None`: between transactions of
    /// the shared account, or too short ago for the worker to have noted it, or not one of the lab's.
    pub fn tenant_of(&self, pid: i32, backend_start: Timestamp, xact_start: Option<Timestamp>) -> Option<Known> {
        let book = self.book();
        let in_transaction = || book.transactions.get(&(pid, xact_start?));
        book.sessions.get(&(pid, backend_start)).or_else(in_transaction).cloned()
    }

    /// A session with a tenant's own login began.
    pub(super) fn logged_in(&self, pid: i32, backend_start: Timestamp, member: &Member) {
        let known = Known { tenant: member.id.clone(), style: member.style, strong_since: Some(backend_start) };
        self.book().sessions.insert((pid, backend_start), known);
    }

    /// It ended.
    pub(super) fn logged_out(&self, pid: i32, backend_start: Timestamp) {
        self.book().sessions.remove(&(pid, backend_start));
    }

    /// A transaction of the shared account began, for this tenant.
    pub(super) fn began(&self, pid: i32, xact_start: Timestamp, member: &Member) {
        let mut book = self.book();
        let known = Known { tenant: member.id.clone(), style: member.style, strong_since: None };
        if book.transactions.insert((pid, xact_start), known).is_none() {
            book.order.push_back((pid, xact_start));
        }
        if book.order.len() > REMEMBERED
            && let Some(oldest) = book.order.pop_front()
        {
            book.transactions.remove(&oldest);
        }
    }

    /// A statement on the tenant's own tables ended in it: from here on its locks tell.
    pub(super) fn touched(&self, pid: i32, xact_start: Timestamp, now: Timestamp) {
        if let Some(known) = self.book().transactions.get_mut(&(pid, xact_start)) {
            known.strong_since.get_or_insert(now);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Layout;
    use crate::lab::roster::Roster;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_shared_session_is_somebodys_only_within_the_transaction() {
        let roster = Roster::new(10, Layout::Schema, 1);
        let (own, shared) = (&roster.members[roster.cast(Style::OwnLogin, 0)], &roster.members[1]);
        let truth = Truth::default();
        truth.logged_in(7, at(1), own);
        truth.began(8, at(5), shared);
        assert_eq!(truth.tenant_of(7, at(1), None).map(|known| known.tenant), Some(own.id.clone()));
        assert_eq!(truth.tenant_of(7, at(2), None), None, "the pid of somebody else by now");
        assert_eq!(truth.tenant_of(8, at(2), None), None);
        assert_eq!(truth.tenant_of(8, at(2), Some(at(5))).and_then(|known| known.strong_since), None);
        truth.touched(8, at(5), at(6));
        truth.touched(8, at(5), at(9));
        assert_eq!(truth.tenant_of(8, at(2), Some(at(5))).and_then(|known| known.strong_since), Some(at(6)));
        truth.logged_out(7, at(1));
        assert_eq!(truth.tenant_of(7, at(1), None), None);
    }

    #[test]
    fn memory_is_bounded() {
        let roster = Roster::new(10, Layout::Schema, 1);
        let truth = Truth::default();
        let last = i64::try_from(REMEMBERED).unwrap();
        for second in 0..=last {
            truth.began(8, at(second), &roster.members[1]);
        }
        assert_eq!(truth.tenant_of(8, at(0), Some(at(0))), None);
        assert!(truth.tenant_of(8, at(0), Some(at(last))).is_some());
        assert_eq!(truth.book().transactions.len(), REMEMBERED);
    }
}
