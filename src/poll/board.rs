//! The one place where facts become a snapshot. Pure: moments come in as arguments, so that tests play any story.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::instance::{InstancePlan, InstanceState};
use super::tenants;
use crate::domain::facts::{Fragment, Server, Source};
use crate::domain::observed::Trouble;
use crate::domain::snapshot::Cost;
use crate::domain::{Finding, Naming, Past, Policy, Signal, Snapshot, Tenant, TenantId, Thresholds};
use crate::signals::{Evaluator, Scene};

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

/// News of one instance.
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
}

/// Everything that is known, and the memory of the signals.
#[derive(Debug, Clone)]
pub struct Board {
    rules: Rules,
    instances: Vec<InstanceState>,
    evaluator: Evaluator,
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
        let instances = plans.into_iter().map(|plan| InstanceState::new(plan, &rules.naming, &every)).collect();
        Self { rules, instances, evaluator, recalled: false }
    }

    /// Takes news of the instance at this place in the configuration.
    pub fn take(&mut self, now: Timestamp, instance: usize, news: News) {
        let Some(state) = self.instances.get_mut(instance) else { return };
        match news {
            News::Connected(server) => state.connected(server),
            News::Delivered { fragment, took, every } => state.took(now, fragment, took, every),
            News::Failed { source, trouble, every } => state.failed(source, trouble, every),
            News::Down(trouble) => state.down(now, trouble),
        }
    }

    /// Takes what the stored history says. What was true before we began is taken once: later it would be our own echo.
    pub fn recall(&mut self, past: &Past) {
        if !std::mem::replace(&mut self.recalled, true) {
            self.evaluator.expect(&past.standing);
        }
        for state in &mut self.instances {
            let of_it = past.records.iter().filter(|((instance, _), _)| *instance == state.plan.name);
            state.records = of_it.map(|((_, tenant), record)| (tenant.clone(), record.clone())).collect();
        }
    }

    /// What another board would have to be told to know what this one knows, the last minute's usage left out.
    pub fn retell(&self) -> (Past, Vec<(Option<Timestamp>, usize, News)>) {
        let mut past = Past { standing: self.evaluator.standing(), ..Past::default() };
        let mut told = Vec::new();
        for (place, state) in self.instances.iter().enumerate() {
            let records = state.records.iter();
            let name = &state.plan.name;
            past.records.extend(records.map(|(tenant, record)| ((name.clone(), tenant.clone()), record.clone())));
            told.extend(state.retell().into_iter().map(|(at, news)| (at, place, news)));
        }
        (past, told)
    }

    /// The picture of this moment.
    pub fn snapshot(&mut self, now: Timestamp) -> Snapshot {
        let mut snapshot = Snapshot::empty(now, &self.rules.environment);
        snapshot.instances = self.instances.iter().map(|state| state.view(now)).collect();
        for state in &self.instances {
            snapshot.tenants.extend(tenants::of(state, &self.rules.policy, now));
            snapshot.sessions.extend_from_slice(state.sessions());
            for session in state.fresh_sessions(now).iter().flat_map(|activity| &activity.sessions) {
                if session.attribution.tenant().is_none() {
                    snapshot.unattributed.connections += 1;
                    snapshot.unattributed.active += u32::from(session.state.is_active());
                }
            }
        }
        if self.instances.len() > 1 {
            snapshot.tenants.sort_by(|a, b| (&a.id, &a.instance).cmp(&(&b.id, &b.instance)));
        }
        snapshot.cost = Cost {
            database_ms_per_second: self
                .instances
                .iter()
                .filter_map(|state| state.cost(now))
                .reduce(|sum, cost| sum + cost),
            cloudwatch_usd_per_hour: None,
        };
        let scene = Scene {
            now,
            instances: &snapshot.instances,
            tenants: &snapshot.tenants,
            sessions: &snapshot.sessions,
            naming: &self.rules.naming,
            policy: &self.rules.policy,
            thresholds: &self.rules.thresholds,
        };
        (snapshot.findings, snapshot.unknown) = self.evaluator.evaluate(&scene);
        mark(&mut snapshot.tenants, &snapshot.findings);
        snapshot
    }
}

/// Writes findings onto the rows of the tenants that they name.
fn mark(tenants: &mut [Tenant], findings: &[Finding]) {
    let mut rows: HashMap<TenantId, Vec<usize>> = HashMap::new();
    if findings.is_empty() {
        return;
    }
    for (row, tenant) in tenants.iter().enumerate() {
        rows.entry(tenant.id.clone()).or_default().push(row);
    }
    let push = |signals: &mut Vec<Signal>, signal| {
        if !signals.contains(&signal) {
            signals.push(signal);
        }
    };
    for finding in findings {
        let named =
            |ids: &[TenantId]| -> Vec<usize> { ids.iter().filter_map(|id| rows.get(id)).flatten().copied().collect() };
        for row in named(&finding.culprits) {
            let tenant = &mut tenants[row];
            if tenant.instance == finding.subject.instance {
                tenant.severity = tenant.severity.max(Some(finding.severity));
                push(&mut tenant.findings, finding.signal);
            }
        }
        for row in named(&finding.victims) {
            let tenant = &mut tenants[row];
            if tenant.instance == finding.subject.instance {
                push(&mut tenant.suffers, finding.signal);
            }
        }
    }
}
