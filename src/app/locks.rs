//! Screen 4: who waits for whom, as lines of trees that can be folded. Made from the sessions of the picture alone.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::list::{Keyed, List};
use crate::domain::lock_graph::{Root, Tree, forest};
use crate::domain::{InstanceName, Session, SessionKey, Snapshot, Tenant, TenantId};

/// A tree with more waiters than this is told by tenant: nobody reads five hundred lines to find out who suffers.
const MANY: usize = 24;

/// Levels that are drawn; whoever stands further behind is drawn at the last one.
const DEEP: usize = 8;

/// What stands at the beginning of a tree, as its identity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "as in the lock graph")]
pub enum RootKey {
    Session(SessionKey),
    Prepared,
    Other(i32),
    Unseen,
    /// The lowest pid of the cycle.
    Cycle(i32),
}

/// What tells one line from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockKey {
    /// A root.
    Root(InstanceName, RootKey),
    /// One tenant's waiters behind it; `None`: those without a tenant.
    Tenant(InstanceName, RootKey, Option<TenantId>),
    /// One waiter.
    Waiter(InstanceName, SessionKey),
}

/// What stands at the beginning of a tree; a session by its place in the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in the lock graph")]
pub enum LockRoot {
    Session(usize),
    Prepared,
    Other(i32),
    Unseen,
    Cycle(Vec<i32>),
}

/// How many wait, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Waiting {
    /// Sessions.
    pub sessions: usize,
    /// Tenants, by strong evidence.
    pub tenants: usize,
    /// Tenants that sessions only claim to be.
    pub claimed: usize,
    /// Seconds that the oldest of them has waited.
    pub oldest: Option<f64>,
}

impl Waiting {
    fn of<'a>(sessions: impl Iterator<Item = &'a Session>) -> Self {
        let (mut strong, mut claimed) = (BTreeSet::new(), BTreeSet::new());
        let mut waiting = Self::default();
        for session in sessions {
            waiting.sessions += 1;
            let wait = session.lock_wait();
            waiting.oldest = waiting.oldest.map_or(wait, |oldest| Some(oldest.max(wait.unwrap_or(0.0))));
            let whose = session.instance.as_str();
            match (session.attribution.strong(), session.attribution.tenant()) {
                (Some(tenant), _) => drop(strong.insert((whose, tenant))),
                (None, Some(tenant)) => drop(claimed.insert((whose, tenant))),
                (None, None) => {}
            }
        }
        waiting.tenants = strong.len();
        waiting.claimed = claimed.difference(&strong).count();
        waiting
    }
}

/// What a line says.
#[derive(Debug, Clone, PartialEq)]
pub enum LockLine {
    /// A root and everybody behind it.
    Root {
        /// What it is.
        root: LockRoot,
        /// Behind it.
        waiting: Waiting,
        /// Whether they are shown.
        open: bool,
    },
    /// A tenant's waiters in a big tree.
    Tenant {
        /// Whose; `None`: those without a tenant.
        tenant: Option<TenantId>,
        /// Whether all of them only claim to be its.
        claimed: bool,
        /// How many.
        waiting: Waiting,
        /// The one that has waited longest, by its place in the picture.
        oldest: usize,
        /// Whether they are shown.
        open: bool,
        /// The lines of the tree before it.
        guides: String,
    },
    /// One waiter, by its place in the picture.
    Waiter {
        /// Its place.
        session: usize,
        /// The lines of the tree before it.
        guides: String,
    },
}

/// One line.
#[derive(Debug, Clone, PartialEq)]
pub struct LockRow {
    /// What tells it from others.
    pub key: LockKey,
    /// What it says.
    pub line: LockLine,
}

impl Keyed for LockRow {
    type Key = LockKey;
    fn key(&self) -> LockKey {
        self.key.clone()
    }
    fn is(&self, key: &LockKey) -> bool {
        self.key == *key
    }
}

impl LockRow {
    /// The session that it is about, by its place in the picture.
    pub fn session(&self) -> Option<usize> {
        match self.line {
            LockLine::Root { root: LockRoot::Session(place), .. } | LockLine::Waiter { session: place, .. } => {
                Some(place)
            }
            LockLine::Root { .. } | LockLine::Tenant { .. } => None,
        }
    }
}

/// The trees on a screen, and what of them is folded.
#[derive(Debug, Default)]
pub struct LockTrees {
    /// All lines that are not folded away.
    pub rows: Vec<LockRow>,
    /// Cursor.
    pub list: List<LockRow>,
    /// All together.
    pub waiting: Waiting,
    /// How many trees there are.
    pub trees: usize,
    /// Lines whose fold is not what it is by itself: roots are open, the tenants of a big tree are not.
    turned: HashSet<LockKey>,
}

impl LockTrees {
    /// Makes the lines anew; of one tenant, its own part of the trees.
    pub(super) fn refill(&mut self, snapshot: &Snapshot, of: Option<&Tenant>) {
        let mut growing = Growing { snapshot, of, turned: &self.turned, rows: Vec::new(), all: HashSet::new() };
        self.trees = growing.grow();
        let Growing { rows, all, .. } = growing;
        self.waiting = Waiting::of(all.into_iter().filter_map(|place| snapshot.sessions.get(place)));
        self.rows = rows;
        self.list.refill((0..self.rows.len()).collect(), &self.rows);
    }

    /// Forgets the lines: they speak of places in a picture that is no longer shown.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.list.rows.clear();
    }

    /// The line under the cursor.
    pub fn selected(&self) -> Option<&LockRow> {
        self.rows.get(self.list.selected()?)
    }

    /// The session under the cursor, by its place in the picture.
    pub fn session(&self) -> Option<usize> {
        self.selected()?.session()
    }

    /// Opens or folds what is under the cursor (`None`: whichever it is not); where there is nothing to fold, goes to what
    /// it stands behind. The lines have to be made anew.
    pub(super) fn fold(&mut self, open: Option<bool>) {
        let Some(row) = self.selected() else { return };
        let (key, now) = match &row.line {
            LockLine::Root { open, .. } | LockLine::Tenant { open, .. } => (Some(row.key.clone()), *open),
            LockLine::Waiter { .. } => (None, false),
        };
        match (key, open) {
            (Some(key), None) => self.turn(key),
            (Some(key), Some(wanted)) if wanted != now => self.turn(key),
            (_, Some(false)) => {
                let folds = |row: &LockRow| !matches!(row.line, LockLine::Waiter { .. });
                let above = (0..self.list.at).rev().find(|&at| self.rows.get(at).is_some_and(folds));
                if let Some(above) = above {
                    self.list.go(above, &self.rows);
                }
            }
            _ => {}
        }
    }

    fn turn(&mut self, key: LockKey) {
        if !self.turned.remove(&key) {
            self.turned.insert(key);
        }
    }
}

struct Growing<'a> {
    snapshot: &'a Snapshot,
    of: Option<&'a Tenant>,
    turned: &'a HashSet<LockKey>,
    rows: Vec<LockRow>,
    /// Everybody who waits, by place in the picture.
    all: HashSet<usize>,
}

/// A waiter as its tree has it: its place in the picture, and where it stands.
struct Stands {
    place: usize,
    depth: usize,
    last: bool,
}

impl Growing<'_> {
    fn grow(&mut self) -> usize {
        let sessions = &self.snapshot.sessions;
        let mut places: HashMap<&InstanceName, Vec<usize>> = HashMap::new();
        for session in sessions.iter().filter(|session| session.blocking.is_some()) {
            places.entry(&session.instance).or_default();
        }
        for (place, session) in sessions.iter().enumerate() {
            if let Some(places) = places.get_mut(&session.instance) {
                places.push(place);
            }
        }
        let mut found = Vec::new();
        for (instance, places) in places {
            let here: Vec<&Session> = places.iter().filter_map(|&place| sessions.get(place)).collect();
            for tree in forest(&here) {
                let (root, key) = named(&tree, &places);
                let place = |place: usize| places.get(place).copied();
                let stands: Vec<Stands> = tree
                    .branches
                    .iter()
                    .filter_map(|branch| {
                        Some(Stands { place: place(branch.place)?, depth: branch.depth, last: branch.last })
                    })
                    .collect();
                let stands = self.part(&root, stands);
                if !stands.is_empty() {
                    let waiting = Waiting::of(stands.iter().filter_map(|stands| sessions.get(stands.place)));
                    found.push((instance.clone(), key, root, stands, waiting));
                }
            }
        }
        found.sort_by(|left, right| {
            let oldest = right.4.oldest.unwrap_or(-1.0).total_cmp(&left.4.oldest.unwrap_or(-1.0));
            oldest.then_with(|| left.0.cmp(&right.0))
        });
        let trees = found.len();
        for (instance, key, root, stands, waiting) in found {
            self.tree(&instance, &key, root, &stands, waiting);
        }
        trees
    }

    /// Of one tenant: the whole tree if it stands at the beginning, else its own sessions and those before them.
    fn part(&self, root: &LockRoot, stands: Vec<Stands>) -> Vec<Stands> {
        let Some(tenant) = self.of else { return stands };
        let owns = |place: usize| {
            self.snapshot.sessions.get(place).is_some_and(|session| {
                session.instance == tenant.instance && session.attribution.tenant() == Some(&tenant.id)
            })
        };
        if matches!(root, LockRoot::Session(place) if owns(*place)) {
            return stands;
        }
        // From the end: whoever has one of the tenant's behind it stays.
        let mut kept = Vec::new();
        let mut wanted = 0;
        let mut followed: HashSet<usize> = HashSet::new();
        for stands in stands.into_iter().rev() {
            if owns(stands.place) || stands.depth == wanted {
                wanted = stands.depth - 1;
                followed.retain(|&depth| depth <= stands.depth);
                kept.push(Stands { last: followed.insert(stands.depth), ..stands });
            }
        }
        kept.reverse();
        kept
    }

    fn tree(&mut self, instance: &InstanceName, key: &RootKey, root: LockRoot, stands: &[Stands], waiting: Waiting) {
        self.all.extend(stands.iter().map(|stands| stands.place));
        let at = LockKey::Root(instance.clone(), key.clone());
        let open = !self.turned.contains(&at);
        self.rows.push(LockRow { key: at, line: LockLine::Root { root, waiting, open } });
        if !open {
            return;
        }
        if stands.len() > MANY {
            self.tenants(instance, key, stands);
            return;
        }
        let mut above: Vec<bool> = Vec::new();
        for stands in stands {
            above.truncate(stands.depth - 1);
            let guides = guides(&above, stands.last);
            above.push(stands.last);
            self.waiter(stands.place, guides);
        }
    }

    /// A big tree: the tenants behind its root, whoever has waited longest first; each can be opened.
    fn tenants(&mut self, instance: &InstanceName, key: &RootKey, stands: &[Stands]) {
        let snapshot = self.snapshot;
        let mut groups: Vec<(Option<&TenantId>, Vec<usize>)> = Vec::new();
        let mut at: HashMap<Option<&TenantId>, usize> = HashMap::new();
        for stands in stands {
            let Some(session) = snapshot.sessions.get(stands.place) else { continue };
            let whose = session.attribution.tenant();
            let group = *at.entry(whose).or_insert_with(|| {
                groups.push((whose, Vec::new()));
                groups.len() - 1
            });
            if let Some((_, places)) = groups.get_mut(group) {
                places.push(stands.place);
            }
        }
        let session = |place: &usize| snapshot.sessions.get(*place);
        let wait = |place: &usize| session(place).and_then(Session::lock_wait).unwrap_or(-1.0);
        for (_, places) in &mut groups {
            places.sort_by(|left, right| wait(right).total_cmp(&wait(left)));
        }
        let longest = |places: &[usize]| places.first().map_or(-1.0, wait);
        groups.sort_by(|left, right| longest(&right.1).total_cmp(&longest(&left.1)).then(left.0.cmp(&right.0)));
        let most = groups.len().saturating_sub(1);
        for (nth, (tenant, places)) in groups.into_iter().enumerate() {
            let Some(&oldest) = places.first() else { continue };
            let guide = guides(&[], nth == most);
            if places.len() == 1 {
                self.waiter(oldest, guide);
                continue;
            }
            let group = LockKey::Tenant(instance.clone(), key.clone(), tenant.cloned());
            let open = self.turned.contains(&group);
            let waiting = Waiting::of(places.iter().filter_map(session));
            let claimed = tenant.is_some() && waiting.tenants == 0;
            let tenant = tenant.cloned();
            let line = LockLine::Tenant { tenant, claimed, waiting, oldest, open, guides: guide };
            self.rows.push(LockRow { key: group, line });
            let last = places.len() - 1;
            for (at, place) in places.into_iter().enumerate().filter(|_| open) {
                self.waiter(place, guides(&[nth == most], at == last));
            }
        }
    }

    fn waiter(&mut self, place: usize, guides: String) {
        if let Some(session) = self.snapshot.sessions.get(place) {
            let key = LockKey::Waiter(session.instance.clone(), session.key);
            self.rows.push(LockRow { key, line: LockLine::Waiter { session: place, guides } });
        }
    }
}

fn named(tree: &Tree<'_>, places: &[usize]) -> (LockRoot, RootKey) {
    match (&tree.root, tree.place.and_then(|place| places.get(place))) {
        (Root::Session(session), Some(&place)) => (LockRoot::Session(place), RootKey::Session(session.key)),
        (Root::Prepared, _) => (LockRoot::Prepared, RootKey::Prepared),
        (Root::Other(pid), _) => (LockRoot::Other(*pid), RootKey::Other(*pid)),
        (Root::Cycle(pids), _) => {
            (LockRoot::Cycle(pids.clone()), RootKey::Cycle(pids.first().copied().unwrap_or_default()))
        }
        (Root::Unseen | Root::Session(_), _) => (LockRoot::Unseen, RootKey::Unseen),
    }
}

/// The lines of the tree before a line: `│ └ `.
fn guides(above: &[bool], last: bool) -> String {
    let mut guides: String = above.iter().take(DEEP - 1).map(|last| if *last { "  " } else { "│ " }).collect();
    guides.push_str(if last { "└ " } else { "├ " });
    guides
}
