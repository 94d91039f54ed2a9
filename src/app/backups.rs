//! Screen 7: what each instance, and each tenant on it, could be restored from, beside what the policy wants; and snapshots of no
//! instance that others may restore.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use super::list::Keyed;
pub use super::restorable::{Exposure, Judged, Restorable, Strays};
use super::table::{Column, Value};
use crate::domain::facts::cloud::{Claim, claim};
use crate::domain::policy::BackupPolicy;
use crate::domain::quantity::plural;
use crate::domain::{InstanceName, Severity, Snapshot, TenantId, Tier};

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stands {
    /// An instance.
    Instance,
    /// A tenant on a shared instance: restored with everybody else's data, so it has what the instance has.
    Tenant,
    /// The snapshots of an instance that is gone, or not watched.
    Strays,
}

/// A row of the backups' table.
#[derive(Debug, Clone)]
pub struct BackupRow {
    /// The instance.
    pub instance: InstanceName,
    /// Whose: of a shared instance's own row nobody's.
    pub tenant: Option<TenantId>,
    /// How many tenants are on it; `None`: its catalogue was not read.
    pub tenants: Option<usize>,
    /// Its tier; of an instance that is gone nobody knows.
    pub tier: Option<Tier>,
    /// What it stands for.
    pub stands: Stands,
    /// What there is; `None`: AWS is not asked about it.
    pub known: Option<Arc<Restorable>>,
    /// The snapshots of no instance.
    pub strays: Option<Arc<Strays>>,
}

impl BackupRow {
    /// Whether it is no tenant's, who only has what the instance has.
    pub fn is_whole(&self) -> bool {
        self.stands != Stands::Tenant
    }

    /// What the signals say; `None`: AWS is not asked about it.
    pub fn judged(&self) -> Option<&Judged> {
        let strays = self.strays.as_ref().map(|strays| &strays.judged);
        strays.or_else(|| self.known.as_ref().map(|known| &known.judged))
    }

    /// How bad it is, for order: what is wrong, worse than what is not known, worse than what is worth knowing.
    fn need(&self) -> f64 {
        match self.judged() {
            Some(judged) => match judged.worst() {
                Some(Severity::Critical) => 4.0,
                Some(Severity::Warning) => 3.0,
                _ if !judged.unknown.is_empty() => 2.0,
                Some(Severity::Info) => 1.0,
                None => 0.0,
            },
            None => 2.0,
        }
    }
}

impl Keyed for BackupRow {
    type Key = (InstanceName, Option<TenantId>, Stands);
    fn key(&self) -> Self::Key {
        (self.instance.clone(), self.tenant.clone(), self.stands)
    }
    fn is(&self, key: &Self::Key) -> bool {
        self.instance == key.0 && self.tenant == key.1 && self.stands == key.2
    }
}

/// All instances, each followed by the tenants that share it; then the snapshots of none.
pub fn gather(snapshot: &Snapshot, policy: &BackupPolicy) -> Vec<BackupRow> {
    let mut rows = Vec::new();
    for instance in &snapshot.instances {
        let known = Restorable::of(instance, snapshot, policy).map(Arc::new);
        let here: Vec<&TenantId> =
            snapshot.tenants.iter().filter(|it| it.instance == instance.name).map(|tenant| &tenant.id).collect();
        // Whose a dedicated one is its tag says too, also where nobody is let in.
        let rds = instance.cloud.as_ref().and_then(|cloud| cloud.rds.value.as_ref());
        let tagged = rds.and_then(|rds| match claim(&rds.tags) {
            Claim::Dedicated(tenant) => tenant,
            Claim::Nothing => None,
        });
        let own = here.first().map(|id| (*id).clone()).or(tagged).filter(|_| instance.tier == Tier::Dedicated);
        let row = |tenant, stands| BackupRow {
            instance: instance.name.clone(),
            tenant,
            tenants: (!here.is_empty() || instance.catalog.value.is_some()).then_some(here.len()),
            tier: Some(instance.tier),
            stands,
            known: known.clone(),
            strays: None,
        };
        rows.push(row(own, Stands::Instance));
        if instance.tier == Tier::Shared {
            rows.extend(here.iter().map(|id| row(Some((*id).clone()), Stands::Tenant)));
        }
    }
    rows.extend(Strays::all(snapshot, policy).into_iter().map(|(instance, strays)| BackupRow {
        instance,
        tenant: None,
        tenants: None,
        tier: None,
        stands: Stands::Strays,
        known: None,
        strays: Some(Arc::new(strays)),
    }));
    rows
}

/// The columns of the backups' table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the keys say it")]
pub enum BackupColumn {
    /// Instances before tenants, the worst first.
    Need,
    Instance,
    Tenant,
    Tier,
    /// Seconds since the newest whole backup.
    Newest,
    /// Seconds that a restore of that may lose.
    Target,
    /// Seconds since the newest moment that can be restored to.
    Moment,
    MomentTarget,
    /// Seconds that it can be gone back.
    Window,
    /// Days that RDS keeps backups.
    Days,
    /// Days that AWS Backup keeps points.
    PlanDays,
    WantedDays,
    Encrypted,
    Shared,
    Copies,
    Job,
    /// Seconds that a restore may take.
    Rto,
    /// Seconds that the last one took.
    Took,
    /// Seconds since the last drill.
    Drill,
}

impl Column for BackupColumn {
    type Row = BackupRow;
    type Context = Timestamp;
    const ALL: &'static [Self] = &[
        Self::Need,
        Self::Instance,
        Self::Tenant,
        Self::Tier,
        Self::Newest,
        Self::Target,
        Self::Moment,
        Self::MomentTarget,
        Self::Window,
        Self::Days,
        Self::PlanDays,
        Self::WantedDays,
        Self::Encrypted,
        Self::Shared,
        Self::Copies,
        Self::Job,
        Self::Rto,
        Self::Took,
        Self::Drill,
    ];
    const SHOWN: &'static [Self] = &[
        Self::Need,
        Self::Instance,
        Self::Tenant,
        Self::Newest,
        Self::Moment,
        Self::Window,
        Self::Days,
        Self::Encrypted,
        Self::Shared,
        Self::Copies,
        Self::Job,
        Self::Rto,
        Self::Drill,
    ];

    fn key(self) -> &'static str {
        match self {
            Self::Need => "need",
            Self::Instance => "instance",
            Self::Tenant => "tenant",
            Self::Tier => "tier",
            Self::Newest => "backup",
            Self::Target => "rpo-target",
            Self::Moment => "pitr",
            Self::MomentTarget => "pitr-target",
            Self::Window => "window",
            Self::Days => "kept",
            Self::PlanDays => "kept-by-plan",
            Self::WantedDays => "kept-target",
            Self::Encrypted => "encrypted",
            Self::Shared => "shared",
            Self::Copies => "copies",
            Self::Job => "job",
            Self::Rto => "rto",
            Self::Took => "rto-now",
            Self::Drill => "drill",
        }
    }

    fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Newest => &["rpo", "rpo-now", "snapshot"],
            Self::Days => &["retention"],
            Self::Encrypted => &["enc"],
            Self::Shared => &["shared-with"],
            Self::Job => &["last-job"],
            _ => &[],
        }
    }

    fn is_fixed(self) -> bool {
        matches!(self, Self::Need | Self::Instance)
    }

    fn is_number(self) -> bool {
        !matches!(
            self,
            Self::Instance | Self::Tenant | Self::Tier | Self::Encrypted | Self::Shared | Self::Copies | Self::Job
        )
    }

    fn exported<'a>(self, row: &'a BackupRow, moment: &Timestamp) -> Value<'a> {
        if self != Self::Need {
            return self.value(row, moment);
        }
        row.judged().map_or(Value::Missing, |judged| {
            Value::Text(Cow::Borrowed(match judged.worst() {
                Some(Severity::Critical) => "critical",
                Some(Severity::Warning) => "warning",
                _ if !judged.unknown.is_empty() => "not known",
                Some(Severity::Info) => "info",
                None => "as wanted",
            }))
        })
    }

    fn value<'a>(self, row: &'a BackupRow, moment: &Timestamp) -> Value<'a> {
        let text = |text: &'a str| Value::Text(Cow::Borrowed(text));
        match self {
            Self::Instance => return text(row.instance.as_str()),
            Self::Tenant => {
                return match (&row.tenant, &row.strays) {
                    (Some(tenant), _) => text(tenant.as_str()),
                    (None, Some(strays)) => text(if strays.gone { "no instance" } else { "not watched" }),
                    (None, None) => {
                        row.tenants.map_or(Value::Missing, |count| Value::Text(Cow::Owned(plural(count, "tenant"))))
                    }
                };
            }
            Self::Tier => {
                return row.tier.map_or(Value::Missing, |tier| {
                    text(match tier {
                        Tier::Shared => "shared",
                        Tier::Dedicated => "dedicated",
                    })
                });
            }
            Self::Need => return Value::Number(row.need() + if row.is_whole() { 10.0 } else { 0.0 }),
            _ => {}
        }
        match (row.known.as_deref(), row.strays.as_deref()) {
            (Some(known), _) => self.kept(known, moment),
            (None, Some(strays)) => match self {
                Self::Newest => Value::number(strays.age(*moment)),
                Self::Encrypted => whether(strays.encrypted),
                Self::Shared => shared(&strays.exposure),
                _ => Value::Missing,
            },
            (None, None) => Value::Missing,
        }
    }
}

impl BackupColumn {
    /// What it says of an instance that AWS is asked about.
    fn kept<'a>(self, known: &'a Restorable, moment: &Timestamp) -> Value<'a> {
        match self {
            Self::Newest => Value::number(known.age(*moment)),
            Self::Target => Value::Number(known.rpo.as_secs_f64()),
            Self::Moment => Value::number(known.lag(*moment)),
            Self::MomentTarget => Value::Number(known.rpo_moment.as_secs_f64()),
            Self::Window => Value::number(known.earliest.map(|at| moment.duration_since(at).as_secs_f64().max(0.0))),
            Self::Days => Value::number(known.days),
            Self::PlanDays => Value::number(known.plan_days.map(|days| match days {
                u32::MAX => f64::INFINITY,
                days => f64::from(days),
            })),
            Self::WantedDays => Value::number(known.wanted_days),
            Self::Encrypted => whether(known.encrypted),
            Self::Shared => shared(&known.exposure),
            Self::Copies if known.copies.is_empty() => Value::Missing,
            Self::Copies => Value::Text(Cow::Owned(known.copies.iter().cloned().collect::<Vec<_>>().join(" "))),
            Self::Job => known.job.as_ref().map_or(Value::Missing, |job| Value::Text(job.state.shown())),
            Self::Rto => Value::Number(known.rto.as_secs_f64()),
            Self::Took => known.took.as_ref().map_or(Value::Missing, |took| Value::Number(*took)),
            // No drill was held.
            _ => Value::Missing,
        }
    }
}

fn whether(all: Option<bool>) -> Value<'static> {
    all.map_or(Value::Missing, |all| Value::Text(Cow::Borrowed(if all { "yes" } else { "no" })))
}

fn shared(exposure: &Exposure) -> Value<'static> {
    match exposure {
        Exposure::Unknown => Value::Missing,
        Exposure::Nobody => Value::Text(Cow::Borrowed("nobody")),
        Exposure::Public => Value::Text(Cow::Borrowed("public")),
        Exposure::Allowed(accounts) => Value::Text(Cow::Owned(format!("allowed {}", accounts.join(" ")))),
        Exposure::Strangers(accounts) => Value::Text(Cow::Owned(accounts.join(" "))),
    }
}
