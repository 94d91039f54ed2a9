//! Who waits for whom on one instance: the roots that wait for nobody, the cycles that have no root, and everybody
//! behind them. Each search is linear in the edges; for findings only so many roots are searched from.
//!
//! [`chains`] is what signals judge, one for each culprit; [`forest`] is what the screens draw, each waiter in one place.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use jiff::Timestamp;

use super::Session;

/// From how many culprits the graph is searched: nobody reads further, and a storm must not cost a poll.
const MOST_CHAINS: usize = 32;

/// What stands at the beginning of a chain.
#[derive(Debug, Clone)]
pub enum Root<'a> {
    /// A client session that waits for no lock itself.
    Session(&'a Session),
    /// A transaction that was prepared and never finished (pid 0).
    Prepared,
    /// A process that is none of the client sessions: an autovacuum worker, or gone since.
    Other(i32),
    /// The server did not say who.
    Unseen,
    /// Sessions that wait for each other, in the order of waiting, the lowest pid first.
    Cycle(Vec<i32>),
}

/// One culprit's roots, and everybody behind them.
#[derive(Debug)]
pub struct Chain<'a> {
    /// The roots; the one that somebody has waited for longest comes first.
    pub roots: Vec<Root<'a>>,
    /// Sessions that wait for them, at whatever distance; of a cycle, its members too. The oldest wait comes first.
    pub waiters: Vec<&'a Session>,
}

/// Since when a session has waited for a lock.
pub fn waits_since(session: &Session) -> Option<Timestamp> {
    session.blocking.as_ref().and_then(|blocking| blocking.since)
}

/// Whether its blockers are guessed from another session's.
pub fn is_inferred(session: &Session) -> bool {
    session.blocking.as_ref().is_some_and(|blocking| blocking.inferred)
}

/// Oldest first; a wait whose start is not known comes last.
fn by_wait(session: &Session) -> (bool, Option<Timestamp>, i32) {
    let since = waits_since(session);
    (since.is_none(), since, session.key.pid)
}

struct Graph<'a> {
    sessions: &'a [&'a Session],
    /// Beyond the sessions: blockers that are none.
    strangers: Vec<Root<'a>>,
    /// Who waits for the node, directly.
    waiters: Vec<Vec<usize>>,
    /// Whom a session waits for.
    blockers: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    fn new(sessions: &'a [&'a Session]) -> Self {
        let mut nodes: HashMap<i32, usize> =
            sessions.iter().enumerate().map(|(node, session)| (session.key.pid, node)).collect();
        let mut graph = Self {
            sessions,
            strangers: Vec::new(),
            waiters: vec![Vec::new(); sessions.len()],
            blockers: vec![Vec::new(); sessions.len()],
        };
        // Whom the server itself named, and who waits: a guess may add to the waiters behind these, and name nobody else.
        let mut known: HashSet<i32> = HashSet::new();
        for session in sessions {
            if let Some(blocking) = &session.blocking {
                known.insert(session.key.pid);
                known.extend(blocking.by.iter().filter(|_| !blocking.inferred));
            }
        }
        let mut unseen = None;
        for (node, session) in sessions.iter().enumerate() {
            let Some(blocking) = &session.blocking else { continue };
            let others = blocking
                .by
                .iter()
                .filter(|&&pid| pid != session.key.pid && (!blocking.inferred || known.contains(&pid)));
            let mut blockers: Vec<usize> = others
                .map(|&pid| {
                    *nodes
                        .entry(pid)
                        .or_insert_with(|| graph.stranger(if pid == 0 { Root::Prepared } else { Root::Other(pid) }))
                })
                .collect();
            if blockers.is_empty() {
                blockers.push(*unseen.get_or_insert_with(|| graph.stranger(Root::Unseen)));
            }
            for &blocker in &blockers {
                if let Some(waiters) = graph.waiters.get_mut(blocker) {
                    waiters.push(node);
                }
            }
            if let Some(own) = graph.blockers.get_mut(node) {
                *own = blockers;
            }
        }
        graph
    }

    fn stranger(&mut self, root: Root<'a>) -> usize {
        self.strangers.push(root);
        self.waiters.push(Vec::new());
        self.waiters.len() - 1
    }

    fn waiters(&self, node: usize) -> &[usize] {
        self.waiters.get(node).map_or(&[], Vec::as_slice)
    }

    fn blockers(&self, node: usize) -> &[usize] {
        self.blockers.get(node).map_or(&[], Vec::as_slice)
    }

    fn root(&self, node: usize) -> Option<Root<'a>> {
        self.sessions
            .get(node)
            .map(|session| Root::Session(session))
            .or_else(|| self.strangers.get(node.checked_sub(self.sessions.len())?).cloned())
    }

    /// Everybody who waits for one of these nodes, marked in `seen`.
    fn behind(&self, from: &[usize], seen: &mut [bool]) -> Vec<&'a Session> {
        let mut open = from.to_vec();
        let mut found = Vec::new();
        while let Some(node) = open.pop() {
            for &waiter in self.waiters(node) {
                if let Some(mark) = seen.get_mut(waiter)
                    && !std::mem::replace(mark, true)
                {
                    open.push(waiter);
                    found.extend(self.sessions.get(waiter).copied());
                }
            }
        }
        found.sort_unstable_by_key(|session| by_wait(session));
        found
    }

    /// The oldest wait of those who wait directly.
    fn longest_waited_for(&self, node: usize) -> Option<(bool, Option<Timestamp>, i32)> {
        self.waiters(node).iter().filter_map(|&waiter| self.sessions.get(waiter)).map(|session| by_wait(session)).min()
    }

    /// The cycle that one runs into by following the first blocker again and again.
    fn cycle(&self, from: usize) -> Vec<usize> {
        let mut path: Vec<usize> = Vec::new();
        let mut steps: HashMap<usize, usize> = HashMap::new();
        let mut node = from;
        // A guess makes no cycle: who waits for the same thing need not wait for each other.
        let certain = |node: usize| self.sessions.get(node).is_none_or(|session| !is_inferred(session));
        while certain(node)
            && let Some(&next) = self.blockers(node).iter().find(|&&next| certain(next))
        {
            if let Some(&start) = steps.get(&node) {
                return path.split_off(start);
            }
            steps.insert(node, path.len());
            path.push(node);
            node = next;
        }
        Vec::new()
    }
}

/// The chains of one instance; `culprit` says which roots are one culprit's.
pub fn chains<'a, K: Ord>(sessions: &'a [&'a Session], culprit: impl Fn(&Root<'a>) -> K) -> Vec<(K, Chain<'a>)> {
    let graph = Graph::new(sessions);
    let mut groups: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    let mut all_roots = Vec::new();
    for node in 0..graph.waiters.len() {
        if !graph.waiters(node).is_empty()
            && graph.blockers(node).is_empty()
            && let Some(root) = graph.root(node)
        {
            groups.entry(culprit(&root)).or_default().push(node);
            all_roots.push(node);
        }
    }
    let mut groups: Vec<(K, Vec<usize>)> = groups.into_iter().collect();
    for (_, roots) in &mut groups {
        roots.sort_by_key(|&root| graph.longest_waited_for(root));
    }
    groups.sort_by_key(|(_, roots)| roots.first().and_then(|&root| graph.longest_waited_for(root)));
    let mut found: Vec<(K, Chain<'a>)> = groups
        .into_iter()
        .take(MOST_CHAINS)
        .map(|(key, roots)| {
            let waiters = graph.behind(&roots, &mut vec![false; sessions.len()]);
            (key, Chain { roots: roots.iter().filter_map(|&root| graph.root(root)).collect(), waiters })
        })
        .collect();

    // Whoever waits and is behind no root waits, in the end, for a cycle.
    let mut seen = vec![false; sessions.len()];
    graph.behind(&all_roots, &mut seen);
    for node in 0..sessions.len() {
        if seen.get(node) == Some(&true) || graph.blockers(node).is_empty() {
            continue;
        }
        let cycle = graph.cycle(node);
        let waiters = graph.behind(&cycle, &mut seen);
        let mut pids: Vec<i32> =
            cycle.iter().filter_map(|&node| sessions.get(node)).map(|session| session.key.pid).collect();
        if let Some(lowest) = pids.iter().enumerate().min_by_key(|(_, pid)| **pid).map(|(at, _)| at) {
            pids.rotate_left(lowest);
            let root = Root::Cycle(pids);
            found.push((culprit(&root), Chain { roots: vec![root], waiters }));
        }
    }
    // Held together by guesses alone.
    let guessed = (0..sessions.len()).filter(|&node| seen.get(node) != Some(&true) && !graph.blockers(node).is_empty());
    let mut guessed: Vec<&Session> = guessed.filter_map(|node| sessions.get(node).copied()).collect();
    if !guessed.is_empty() {
        guessed.sort_unstable_by_key(|session| by_wait(session));
        found.push((culprit(&Root::Unseen), Chain { roots: vec![Root::Unseen], waiters: guessed }));
    }
    found
}

/// Everybody behind one root, each waiter in one place.
#[derive(Debug)]
pub struct Tree<'a> {
    /// What stands at the beginning.
    pub root: Root<'a>,
    /// The root's place among the sessions, where it is one.
    pub place: Option<usize>,
    /// Who waits, each below the one that it waits for, the oldest wait first. Of a cycle its members come first.
    pub branches: Vec<Branch>,
}

/// One waiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Branch {
    /// Its place among the sessions.
    pub place: usize,
    /// How many it stands behind: 1 waits for the root itself.
    pub depth: usize,
    /// Whether nobody else comes after it behind the same.
    pub last: bool,
}

/// Who waits for whom, as trees: the one with the oldest wait first. Who waits for several stands behind the one that is
/// nearest to a root.
pub fn forest<'a>(sessions: &'a [&'a Session]) -> Vec<Tree<'a>> {
    let graph = Graph::new(sessions);
    let mut roots: Vec<usize> = (0..graph.waiters.len())
        .filter(|&node| !graph.waiters(node).is_empty() && graph.blockers(node).is_empty())
        .collect();
    roots.sort_by_cached_key(|&root| graph.longest_waited_for(root));
    let mut shoots = Shoots { graph: &graph, seen: vec![false; sessions.len()], children: HashMap::new() };
    shoots.grow(&roots);
    let mut trees: Vec<Tree<'a>> = roots
        .iter()
        .filter_map(|&node| {
            let place = (node < sessions.len()).then_some(node);
            Some(Tree { root: graph.root(node)?, place, branches: shoots.branches(&shoots.below(node)) })
        })
        .collect();
    // Whoever is behind no root waits, in the end, for a cycle, or is held there by guesses alone.
    for node in 0..sessions.len() {
        if shoots.seen.get(node) == Some(&true) || graph.blockers(node).is_empty() {
            continue;
        }
        let mut cycle = graph.cycle(node);
        cycle.retain(|&member| member < sessions.len());
        if cycle.is_empty() {
            continue;
        }
        for &member in &cycle {
            if let Some(mark) = shoots.seen.get_mut(member) {
                *mark = true;
            }
        }
        shoots.grow(&cycle);
        let pid = |&node: &usize| sessions.get(node).map_or(0, |session| session.key.pid);
        let lowest = (0..cycle.len()).min_by_key(|&at| cycle.get(at).map(pid)).unwrap_or_default();
        cycle.rotate_left(lowest);
        let root = Root::Cycle(cycle.iter().map(pid).collect());
        trees.push(Tree { root, place: None, branches: shoots.branches(&cycle) });
    }
    let mut guessed: Vec<usize> = (0..sessions.len())
        .filter(|&node| shoots.seen.get(node) != Some(&true) && !graph.blockers(node).is_empty())
        .collect();
    if !guessed.is_empty() {
        guessed.sort_by_key(|&node| sessions.get(node).map(|session| by_wait(session)));
        trees.push(Tree { root: Root::Unseen, place: None, branches: shoots.branches(&guessed) });
    }
    trees
}

/// Trees while they grow.
struct Shoots<'g, 'a> {
    graph: &'g Graph<'a>,
    seen: Vec<bool>,
    children: HashMap<usize, Vec<usize>>,
}

impl Shoots<'_, '_> {
    /// Puts everybody behind these nodes below the nearest one, all nodes growing at the same pace.
    fn grow(&mut self, from: &[usize]) {
        let mut open: VecDeque<usize> = from.iter().copied().collect();
        while let Some(node) = open.pop_front() {
            for &waiter in self.graph.waiters(node) {
                if let Some(mark) = self.seen.get_mut(waiter)
                    && !std::mem::replace(mark, true)
                {
                    self.children.entry(node).or_default().push(waiter);
                    open.push_back(waiter);
                }
            }
        }
    }

    /// Who stands directly below a node, the oldest wait first.
    fn below(&self, node: usize) -> Vec<usize> {
        let mut below = self.children.get(&node).cloned().unwrap_or_default();
        below.sort_by_key(|&node| self.graph.sessions.get(node).map(|session| by_wait(session)));
        below
    }

    /// Everybody below, depth first; without recursion, because a chain may be as long as there are sessions.
    fn branches(&self, top: &[usize]) -> Vec<Branch> {
        let mut found = Vec::new();
        let level = |nodes: &[usize], depth: usize| -> Vec<Branch> {
            let last = nodes.len().saturating_sub(1);
            nodes.iter().enumerate().rev().map(|(at, &place)| Branch { place, depth, last: at == last }).collect()
        };
        let mut open = level(top, 1);
        while let Some(branch) = open.pop() {
            open.extend(level(&self.below(branch.place), branch.depth + 1));
            found.push(branch);
        }
        found
    }
}
