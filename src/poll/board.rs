//! The one place where facts become a snapshot. Pure: moments come in as arguments, so that tests play any story.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::estate::EstateState;
use super::instance::{CloudPlan, InstancePlan, InstanceState};
use super::tenants;
use crate::domain::facts::cloud::{AccountNews, AccountState, Discovered};
use crate::domain::facts::{Fragment, Server, Source};
use crate::domain::observed::Trouble;
use crate::domain::snapshot::Cost;
use crate::domain::{
    Acknowledgement, Finding, InstanceName, Layout, Naming, Past, Policy, Signal, Snapshot, Tenant, TenantId,
    Thresholds, Tier,
};
use crate::signals::{Evaluator, Scene};

/// The most places that instances are found at, those included that are gone again.
const MOST_PLACES: usize = 100_000;

/// What the board judges by.
#[derive(Debug, Clone)]
pub struct Rules {
    /// `environment`.
    pub environment: Arc<str>,
    /// `[naming]`.
    pub naming: Arc<Naming>,
    /// `[policy]`.
    pub policy: Policy,
    /// `[thresholds]`.
    pub thresholds: Thresholds,
}

/// Whose news it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Origin {
    /// Of the instance at this place in the configuration.
    Instance(usize),
    /// Of the whole estate.
    Estate,
}

impl From<usize> for Origin {
    fn from(place: usize) -> Self {
        Self::Instance(place)
    }
}

/// News of an instance, or of the estate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum News {
    /// A connection was made.
    Connected(Server),
    /// A source delivered, so quickly, and is due again so often.
    Delivered {
        /// What.
        fragment: Fragment,
        /// How long the answer took.
        took: Duration,
        /// How often it is asked now.
        every: Duration,
    },
    /// A source failed.
    Failed {
        /// Which.
        source: Source,
        /// Why.
        trouble: Trouble,
        /// How often it is asked now.
        every: Duration,
    },
    /// The instance cannot be polled.
    Down(Trouble),
    /// Nobody tries to poll the instance, and why; `None`: somebody does again.
    Apart(Option<Arc<str>>),
    /// A dedicated instance was found, and has this place from now on.
    Found(Discovered),
    /// The instance that was found at this place is there no longer.
    Gone,
    /// News of an account, whatever the place.
    Account {
        /// `[aws.NAME]`
        name: Arc<str>,
        /// What.
        news: AccountNews,
    },
}

/// Everything that is known, and the memory of the signals.
#[derive(Debug, Clone)]
pub struct Board {
    rules: Arc<Rules>,
    estate: EstateState,
    /// By place: those of the configuration, then those that were found; a place is never given to another.
    instances: Vec<Option<InstanceState>>,
    /// How many of them are of the configuration.
    configured: usize,
    accounts: Vec<AccountState>,
    periods: BTreeMap<Source, Duration>,
    /// What the history says of instances that are not here (yet).
    absent: Past,
    evaluator: Evaluator,
    acknowledged: Arc<Vec<Acknowledgement>>,
    /// Whether it was told of the time before it was made.
    recalled: bool,
}

impl Board {
    /// A board on which nothing is known yet.
    pub fn new(
        rules: Rules,
        plans: Vec<InstancePlan>,
        every: impl Fn(Source) -> Duration,
        evaluator: Evaluator,
    ) -> Self {
        let rules = Arc::new(rules);
        let state = |plan| Some(InstanceState::new(plan, rules.clone(), &every));
        let instances: Vec<_> = plans.into_iter().map(state).collect();
        Self {
            configured: instances.len(),
            instances,
            estate: EstateState::default(),
            accounts: Vec::new(),
            periods: Source::ALL.into_iter().map(|source| (source, every(source))).collect(),
            absent: Past::default(),
            rules,
            evaluator,
            acknowledged: Arc::default(),
            recalled: false,
        }
    }

    /// The same, which will hear from these accounts.
    #[must_use]
    pub fn hearing_from(mut self, accounts: impl IntoIterator<Item = AccountState>) -> Self {
        self.accounts.extend(accounts);
        self
    }

    /// A dedicated instance was found.
    fn found(&mut self, place: usize, found: Discovered) {
        // A configured place is nobody else's, whatever a recording says; and no honest one has room for so many.
        if place < self.configured || place >= self.configured + MOST_PLACES {
            return;
        }
        let Discovered { name, tenant, account, region, identifier } = found;
        let plan = InstancePlan {
            name,
            tier: Tier::Dedicated,
            layout: Layout::Schema,
            tenant,
            vcpus: None,
            pooled: false,
            cloud: Some(CloudPlan { account, region, identifier }),
        };
        let every = |source| self.periods.get(&source).copied().unwrap_or(Duration::from_secs(60));
        let mut state = InstanceState::new(plan, self.rules.clone(), every);
        let records = self.absent.records.iter().filter(|((instance, _), _)| *instance == state.plan.name);
        state.recall(records.map(|((_, tenant), record)| (tenant.clone(), record.clone())).collect());
        if self.instances.len() <= place {
            self.instances.resize_with(place + 1, || None);
        }
        self.instances[place] = Some(state);
    }

    /// The same, which will hear from this source of the whole estate.
    #[must_use]
    pub fn hearing(mut self, source: Source, every: Duration) -> Self {
        self.estate.expect(source, every);
        self
    }

    /// Takes news.
    pub fn take(&mut self, now: Timestamp, origin: impl Into<Origin>, news: News) {
        let Origin::Instance(instance) = origin.into() else {
            match news {
                News::Delivered { fragment, took, every } => self.estate.took(now, fragment, took, every),
                News::Failed { source, trouble, every } => self.estate.failed(source, trouble, every),
                News::Account { name, news } => {
                    if let Some(account) = self.accounts.iter_mut().find(|account| account.name == name) {
                        account.take(news);
                    }
                }
                // Only instances are connected to, come and go.
                News::Connected(_) | News::Down(_) | News::Apart(_) | News::Found(_) | News::Gone => {}
            }
            return;
        };
        match news {
            News::Found(found) => return self.found(instance, found),
            News::Gone if instance >= self.configured => {
                if let Some(seat) = self.instances.get_mut(instance) {
                    *seat = None;
                }
                return;
            }
            _ => {}
        }
        let Some(Some(state)) = self.instances.get_mut(instance) else { return };
        match news {
            News::Connected(server) => state.connected(server),
            News::Delivered { fragment, took, every } => state.took(now, fragment, took, every),
            News::Failed { source, trouble, every } => state.failed(source, trouble, every),
            News::Down(trouble) => state.down(now, trouble),
            News::Apart(reason) => state.apart(reason),
            News::Found(_) | News::Gone | News::Account { .. } => {}
        }
    }

    /// What is acknowledged and muted from now on.
    pub fn acknowledge(&mut self, words: Arc<Vec<Acknowledgement>>) {
        self.acknowledged = words;
    }

    /// Takes what the stored history says. What was true before we began is taken once: later it would be our own echo.
    pub fn recall(&mut self, past: &Past) {
        if !std::mem::replace(&mut self.recalled, true) {
            self.evaluator.expect(&past.standing);
        }
        let here = |name: &InstanceName| self.instances.iter().flatten().any(|state| state.plan.name == *name);
        let absent = past.records.iter().filter(|((instance, _), _)| !here(instance));
        self.absent.records = absent.map(|(of, record)| (of.clone(), Arc::clone(record))).collect();
        for state in self.instances.iter_mut().flatten() {
            let of_it = past.records.iter().filter(|((instance, _), _)| *instance == state.plan.name);
            state.recall(of_it.map(|((_, tenant), record)| (tenant.clone(), record.clone())).collect());
        }
    }

    /// What another board would have to be told to know what this one knows, the last minute's usage left out.
    pub fn retell(&self) -> (Past, Vec<(Option<Timestamp>, Origin, News)>) {
        let mut past = Past { standing: self.evaluator.standing(), ..Past::default() };
        let mut told = Vec::new();
        for account in &self.accounts {
            let name = &account.name;
            let news = account.retell().into_iter().map(|news| News::Account { name: Arc::clone(name), news });
            told.extend(news.map(|news| (None, Origin::Estate, news)));
        }
        for (place, state) in self.instances.iter().enumerate() {
            let Some(state) = state else { continue };
            if place >= self.configured {
                told.extend(state.plan.discovered().map(|found| (None, Origin::Instance(place), News::Found(found))));
            }
            let records = state.records.iter();
            let name = &state.plan.name;
            past.records.extend(records.map(|(tenant, record)| ((name.clone(), tenant.clone()), record.clone())));
            told.extend(state.retell().into_iter().map(|(at, news)| (at, Origin::Instance(place), news)));
        }
        told.extend(self.estate.retell().into_iter().map(|(at, news)| (at, Origin::Estate, news)));
        (past, told)
    }

    /// The picture of this moment.
    pub fn snapshot(&mut self, now: Timestamp) -> Snapshot {
        let mut snapshot = Snapshot::empty(now, &self.rules.environment);
        snapshot.estate = self.estate.view();
        snapshot.accounts.clone_from(&self.accounts);
        snapshot.instances = self.instances.iter().flatten().map(|state| state.view(now)).collect();
        for state in self.instances.iter().flatten() {
            let mut tenants = tenants::of(state, now);
            if snapshot.tenants.is_empty() {
                // With ten thousand tenants even moving them takes its time.
                snapshot.tenants = tenants;
            } else {
                snapshot.tenants.append(&mut tenants);
            }
            snapshot.sessions.extend_from_slice(state.sessions());
            for session in state.fresh_sessions(now).iter().flat_map(|activity| &activity.sessions) {
                if session.attribution.tenant().is_none() {
                    snapshot.unattributed.connections += 1;
                    snapshot.unattributed.active += u32::from(session.state.is_active());
                }
            }
        }
        if snapshot.instances.len() > 1 {
            snapshot.tenants.sort_by(|a, b| (&a.id, &a.instance).cmp(&(&b.id, &b.instance)));
        }
        snapshot.cost = Cost {
            database_ms_per_second: self
                .instances
                .iter()
                .flatten()
                .filter_map(|state| state.cost(now))
                .reduce(|sum, cost| sum + cost),
            cloudwatch_usd_per_hour: self
                .accounts
                .iter()
                .filter_map(|account| account.usd_per_hour)
                .reduce(|sum, cost| sum + cost),
        };
        let scene = Scene {
            now,
            estate: &snapshot.estate,
            environment: &snapshot.environment,
            accounts: &snapshot.accounts,
            instances: &snapshot.instances,
            tenants: &snapshot.tenants,
            sessions: &snapshot.sessions,
            naming: &self.rules.naming,
            policy: &self.rules.policy,
            thresholds: &self.rules.thresholds,
            remembers: self.recalled,
        };
        (snapshot.findings, snapshot.unknown) = self.evaluator.evaluate(&scene);
        acknowledge(&mut snapshot, &self.acknowledged);
        mark(&mut snapshot.tenants, &snapshot.findings);
        snapshot
    }
}

/// Marks what somebody knows of, and puts it after the others of its severity; what nobody wants to see comes
/// after all.
fn acknowledge(snapshot: &mut Snapshot, words: &[Acknowledgement]) {
    if words.is_empty() {
        return;
    }
    for finding in &mut snapshot.findings {
        let word = words.iter().find(|word| word.covers(finding, snapshot.taken_at));
        finding.acknowledged = word.map(|word| Arc::new(word.clone()));
    }
    snapshot.findings.sort_by_key(|it| (it.is_muted(), Reverse(it.severity), it.acknowledged.is_some()));
}

/// Writes findings onto the rows of the tenants that they name.
fn mark(tenants: &mut [Tenant], findings: &[Finding]) {
    let push = |signals: &mut Vec<Signal>, signal| {
        if !signals.contains(&signal) {
            signals.push(signal);
        }
    };
    for finding in findings.iter().filter(|finding| !finding.is_muted()) {
        let instance = &finding.subject.instance;
        for_each_row(tenants, instance, &finding.culprits, |tenant| {
            tenant.severity = tenant.severity.max(Some(finding.severity));
            push(&mut tenant.findings, finding.signal);
        });
        for_each_row(tenants, instance, &finding.victims, |tenant| push(&mut tenant.suffers, finding.signal));
    }
}

/// The rows of these tenants of an instance. Rows are sorted by id and instance; who is named is mostly sorted too, and
/// may be everybody: then the next is the next.
fn for_each_row(tenants: &mut [Tenant], on: &InstanceName, ids: &[TenantId], mut each: impl FnMut(&mut Tenant)) {
    let mut next = 0;
    for id in ids {
        let here = |tenant: &Tenant| tenant.id == *id && tenant.instance == *on;
        if !tenants.get(next).is_some_and(here) {
            next = match tenants.binary_search_by(|tenant| (&tenant.id, &tenant.instance).cmp(&(id, on))) {
                Ok(place) => place,
                Err(_) => continue,
            };
        }
        each(&mut tenants[next]);
        next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Attention, Evidence, Severity, Subject, SubjectKind, Unit};

    fn finding(id: &str, severity: Severity) -> Finding {
        Finding {
            signal: Signal::LockChain,
            severity,
            subject: Subject { kind: SubjectKind::Tenant, id: id.to_owned(), instance: InstanceName::new("shared") },
            summary: String::new(),
            evidence: vec![Evidence::fact("x", 1.0, Unit::Count)],
            advice: String::new(),
            statement: None,
            since: Timestamp::UNIX_EPOCH,
            onset: None,
            culprits: Vec::new(),
            victims: Vec::new(),
            stale: false,
            over_for: None,
            acknowledged: None,
        }
    }

    fn word(id: &str, attention: Attention, until: i64) -> Acknowledgement {
        Acknowledgement {
            signal: Signal::LockChain,
            kind: SubjectKind::Tenant,
            id: id.to_owned(),
            instance: "shared".to_owned(),
            attention,
            by: "ann@desk".to_owned(),
            why: "on it".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            seen: None,
            cause: None,
            until: Timestamp::from_second(until).unwrap(),
        }
    }

    #[test]
    fn what_is_known_comes_after_its_equals_and_what_is_muted_after_all() {
        let mut snapshot = Snapshot::empty(Timestamp::from_second(100).unwrap(), "test");
        let (critical, warning) = (Severity::Critical, Severity::Warning);
        let all =
            [("acme", critical), ("globex", critical), ("hooli", critical), ("stark", warning), ("zeta", warning)];
        snapshot.findings = all.iter().map(|(id, severity)| finding(id, *severity)).collect();
        let words = [
            word("acme", Attention::Acknowledged, 101),
            word("globex", Attention::Acknowledged, 100),
            word("stark", Attention::Muted, 101),
            word("nobody", Attention::Muted, 101),
        ];
        acknowledge(&mut snapshot, &words);
        let ids = |findings: &[Finding]| findings.iter().map(|it| it.subject.id.clone()).collect::<Vec<_>>();
        let in_order = ["globex", "hooli", "acme", "zeta", "stark"];
        assert_eq!(ids(&snapshot.findings), in_order, "globex's ended this very second");
        assert!(snapshot.findings.iter().map(Finding::is_muted).eq([false, false, false, false, true]));
        let known = snapshot.findings.iter().filter_map(|it| it.acknowledged.as_ref()).map(|word| word.by.as_str());
        assert_eq!(known.collect::<Vec<_>>(), ["ann@desk"; 2]);
    }
}
