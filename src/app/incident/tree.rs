//! Who waits for whom, as lines of a tree: the roots first, the one that was waited for longest on top.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::domain::{InstanceName, Session, quantity};

/// The most lines of a tree: a storm of hundreds is told by its beginning and its size.
const MOST: usize = 60;

/// The lines of all trees of an instance; empty when nobody waits.
pub(super) fn lines(sessions: &[Session], instance: &InstanceName) -> Vec<String> {
    let here = || sessions.iter().filter(|session| session.instance == *instance);
    let by_pid: BTreeMap<i32, &Session> = here().map(|session| (session.key.pid, session)).collect();
    let mut waiters: BTreeMap<i32, Vec<&Session>> = BTreeMap::new();
    for session in here() {
        for &pid in session.blocking.iter().flat_map(|blocking| &blocking.by) {
            waiters.entry(pid).or_default().push(session);
        }
    }
    for list in waiters.values_mut() {
        list.sort_by(|one, other| wait(other).total_cmp(&wait(one)));
    }
    let longest = |pid: &i32| waiters.get(pid).and_then(|list| list.first()).map_or(0.0, |session| wait(session));
    let mut roots: Vec<i32> = waiters
        .keys()
        .copied()
        .filter(|pid| by_pid.get(pid).is_none_or(|session| session.blocking.is_none()))
        .collect();
    roots.sort_by(|one, other| longest(other).total_cmp(&longest(one)));
    // Those who wait for each other have no root: the first of them stands for one.
    let mut tree = Tree { by_pid, waiters: &waiters, told: BTreeSet::new(), lines: Vec::new() };
    for root in roots {
        tree.tell(root, 0);
    }
    for &pid in waiters.keys() {
        if !tree.told.contains(&pid) {
            tree.tell(pid, 0);
        }
    }
    let more = tree.lines.len().saturating_sub(MOST);
    tree.lines.truncate(MOST);
    if more > 0 {
        tree.lines.push(format!("… and {more} more"));
    }
    tree.lines
}

fn wait(session: &Session) -> f64 {
    session.lock_wait().unwrap_or(0.0)
}

struct Tree<'a> {
    by_pid: BTreeMap<i32, &'a Session>,
    waiters: &'a BTreeMap<i32, Vec<&'a Session>>,
    told: BTreeSet<i32>,
    lines: Vec<String>,
}

impl Tree<'_> {
    /// Tells of a session and of all that wait for it, each once; without recursion, for chains can be long.
    fn tell(&mut self, root: i32, depth: usize) {
        let mut stack = vec![(root, depth)];
        while let Some((pid, depth)) = stack.pop() {
            let again = !self.told.insert(pid);
            let indent = "  ".repeat(depth.min(20));
            let lead = if depth > 0 { "└ " } else { "" };
            let again_words = if again { " (see above)" } else { "" };
            self.lines.push(format!("{indent}{lead}{}{again_words}", self.describe(pid)));
            if !again {
                let below = self.waiters.get(&pid).into_iter().flatten().rev();
                stack.extend(below.map(|session| (session.key.pid, depth + 1)));
            }
        }
    }

    fn describe(&self, pid: i32) -> String {
        let Some(session) = self.by_pid.get(&pid) else {
            return if pid == 0 {
                "a prepared transaction".to_owned()
            } else {
                format!("pid {pid}, no client session")
            };
        };
        let whose = super::whose(session);
        let mut words = format!("pid {pid} · {whose} · {}", session.state.label());
        // Writing into a string cannot fail.
        let _ = if let Some(blocking) = &session.blocking {
            let mode = blocking.mode.as_deref().map(|mode| format!(" for {mode}")).unwrap_or_default();
            let on = blocking.relation.as_ref().map(|relation| format!(" on {relation}")).unwrap_or_default();
            write!(words, " · waits {}{mode}{on}", quantity::duration(wait(session)))
        } else {
            let age = session.transaction_age().map_or("—".to_owned(), quantity::duration);
            write!(words, " · transaction {age}")
        };
        words
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::session::Blocking;
    use crate::domain::{Attribution, Foreign, SessionKey, SessionState};

    fn session(pid: i32, by: &[i32], waited: i64) -> Session {
        let now: Timestamp = "2026-11-21T14:03:22Z".parse().unwrap();
        let since = now - jiff::SignedDuration::from_secs(waited);
        Session {
            instance: InstanceName::new("shared"),
            key: SessionKey { pid, started: since },
            attribution: Attribution::None,
            role: Foreign::from("role"),
            database: Foreign::from("db"),
            application: Foreign::default(),
            client: None,
            state: SessionState::Active,
            wait: None,
            transaction_started: Some(since),
            query_started: None,
            state_changed: None,
            query: None,
            blocking: (!by.is_empty()).then(|| Blocking { by: by.to_vec(), since: Some(since), ..Blocking::default() }),
            workers: 0,
            query_id: None,
            relations: Vec::new(),
            usage: None,
            touched: Vec::new(),
            server_now: now,
        }
    }

    fn pids(sessions: &[Session]) -> Vec<String> {
        let lines = lines(sessions, &InstanceName::new("shared"));
        lines.into_iter().map(|line| line.split(" ·").next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn roots_come_first_by_the_oldest_wait_and_everybody_once_below_whom_they_wait_for() {
        let sessions = [
            session(1, &[], 90),
            session(2, &[1], 5),
            session(10, &[], 80),
            session(11, &[10], 40),
            session(12, &[11], 30),
            session(13, &[10], 60),
        ];
        assert_eq!(pids(&sessions), ["pid 10", "  └ pid 13", "  └ pid 11", "    └ pid 12", "pid 1", "  └ pid 2"]);
        assert!(pids(&sessions[..1]).is_empty());
    }

    #[test]
    fn cycles_strangers_and_storms_end() {
        let cycle = [session(1, &[2], 5), session(2, &[1], 4)];
        let told = lines(&cycle, &InstanceName::new("shared"));
        assert!(told.len() == 3 && told[2].contains("(see above)"), "{told:?}");
        assert_eq!(pids(&[session(5, &[0], 3)])[0], "a prepared transaction");
        let mut storm: Vec<Session> = (2..5_000).map(|pid| session(pid, &[pid - 1], 9)).collect();
        storm.push(session(1, &[], 9));
        let told = lines(&storm, &InstanceName::new("shared"));
        assert_eq!((told.len(), told.last().unwrap().as_str()), (MOST + 1, "… and 4939 more"));
    }
}
