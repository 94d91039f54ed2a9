//! What AWS tells of an instance, in the vocabulary of the signals' scenarios: what is not said is calm, fresh and as it should be.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::facts::{Words, size};
use super::scene::span;
use tierdeck::domain::facts::cloud::{
    AccountNews, AccountState, Alarm, AlarmState, Alarms, Backups, Cloud, CopyOfPoint, Datapoint, Event, Events, Job,
    JobKind, Maintenance, Metric, MetricUnit, Metrics, Oddity, Part, Protection, Rds, RecoveryPoint, Snapshot,
    Snapshots, Storage,
};
use tierdeck::domain::observed::Trouble;
use tierdeck::domain::{Foreign, Observed, TenantId};

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub struct CloudSpec {
    status: Option<String>,
    class: Option<String>,
    /// `KIND GIB [max=200] [iops=3000]`
    storage: Option<String>,
    /// Automated backups are kept for so many days.
    days: Option<u32>,
    /// The cluster that it is a member of.
    cluster: Option<String>,
    /// What RDS leaves out: `days`, `encrypted`.
    #[serde(default)]
    untold: Vec<String>,
    /// How long ago the latest restorable time is; `-`: there is none.
    restorable: Option<String>,
    /// How long ago it was made; `-`: not known.
    created: Option<String>,
    /// It is not encrypted.
    #[serde(default)]
    open: bool,
    #[serde(default)]
    replica: bool,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    host: Option<String>,
    /// In how long its server certificate ends.
    certificate: Option<String>,
    /// `CACertificateIdentifier`; left out: not told.
    ca: Option<String>,
    /// What was ordered and waits: `WHAT TO`
    #[serde(default)]
    ordered: Vec<String>,
    /// `ACTION [in=3d] [forced=3d]`; left out: none is pending.
    #[serde(default)]
    maintenance: Vec<String>,
    /// `VALUE [from=VALUE over=60m] [ago=1m] [one]` by metric; `none`: it has no datapoints, `-`: it was not asked for.
    #[serde(default)]
    figures: BTreeMap<String, String>,
    /// `NAME METRIC [ok]`
    #[serde(default)]
    alarms: Vec<String>,
    /// `AGE WORDS…`
    #[serde(default)]
    events: Vec<String>,
    /// `NAME AGE [automated] [open] [shared=all,123456789012] [hidden] [untold] [status=available]`
    #[serde(default)]
    snapshots: Vec<String>,
    /// Why it is not known who some are shared with.
    hidden: Option<String>,
    /// `NAME DAYS|- [weekly] [continuous] [since=1h]`; left out: not known. An empty list: none.
    plans: Option<Vec<String>>,
    /// `AGE [open] [status=COMPLETED]`
    #[serde(default)]
    points: Vec<String>,
    /// `STATE AGE [MESSAGE…]`
    #[serde(default)]
    jobs: Vec<String>,
    /// `STATE AGE REGION`
    #[serde(default)]
    copies: Vec<String>,
    /// `PART: why`
    #[serde(default)]
    refused: Vec<String>,
    /// Sources that told nothing, and why.
    #[serde(default)]
    missing: BTreeMap<String, String>,
    /// Sources whose word is an hour old.
    #[serde(default)]
    stale: Vec<String>,
}

/// What a calm instance shows.
const CALM: [(&str, &str); 11] = [
    ("CPUUtilization", "12"),
    ("FreeableMemory", "4GiB"),
    ("FreeStorageSpace", "60GiB"),
    ("ReadLatency", "0.001"),
    ("WriteLatency", "0.002"),
    ("ReadIOPS", "100"),
    ("WriteIOPS", "200"),
    ("DiskQueueDepth", "0.1"),
    ("SwapUsage", "0B"),
    ("DBLoad", "0.5"),
    ("MaximumUsedTransactionIDs", "1000000"),
];

impl CloudSpec {
    pub fn build(&self, name: &str, now: Timestamp) -> Cloud {
        let mut cloud = Cloud::named(Arc::from("main"), Arc::from("eu-west-1"), Arc::from(name));
        self.observe(&mut cloud.rds, "rds", self.rds(name, now), now);
        self.observe(&mut cloud.metrics, "cloudwatch", self.metrics(now), now);
        self.observe(&mut cloud.alarms, "alarms", self.alarms(), now);
        self.observe(&mut cloud.events, "events", self.events(now), now);
        self.observe(&mut cloud.snapshots, "snapshots", self.snapshots(now), now);
        self.observe(&mut cloud.backups, "backups", self.backups(now), now);
        cloud
    }

    fn observe<T>(&self, observed: &mut Observed<Arc<T>>, name: &str, value: T, now: Timestamp) {
        if self.stale.iter().any(|it| it == name) {
            observed.set(Arc::new(value), now - SignedDuration::from_hours(1));
        } else if !self.missing.contains_key(name) {
            observed.set(Arc::new(value), now);
        }
        if let Some(reason) = self.missing.get(name) {
            observed.fail(Trouble::new(reason.clone()));
        }
    }

    fn rds(&self, name: &str, now: Timestamp) -> Rds {
        let ago = |text: &Option<String>, usual: &str| {
            let text = text.as_deref().unwrap_or(usual);
            (text != "-").then(|| now - span(text))
        };
        let text = |text: &Option<String>, usual: &str| Foreign::from(text.as_deref().unwrap_or(usual));
        let storage = Words::of(self.storage.as_deref().unwrap_or("gp3 100"));
        let number = |key: &str| storage.get(key).map(|number| number.parse().unwrap());
        let maintenance = |line: &String| {
            let words = Words::of(line);
            let at = |key: &str| words.get(key).map(|after| now + span(after));
            Maintenance {
                action: Foreign::from(words.plain[0]),
                description: Foreign::from("what it is"),
                after: at("in"),
                forced: at("forced"),
                chosen: None,
            }
        };
        let ordered = |line: &String| {
            let (what, to) = line.split_once(' ').unwrap();
            (Arc::from(what), Foreign::from(to))
        };
        let told = |what: &str| !self.untold.iter().any(|it| it == what);
        Rds {
            arn: Foreign::from(format!("arn:aws:rds:eu-west-1:123456789012:db:{name}")),
            status: text(&self.status, "available"),
            class: text(&self.class, "db.m6g.large"),
            storage: Storage {
                kind: Arc::from(storage.plain[0]),
                allocated_gib: storage.plain.get(1).map(|gib| gib.parse().unwrap()),
                max_allocated_gib: number("max"),
                iops: number("iops"),
                throughput_mibps: None,
            },
            cluster: self.cluster.as_deref().map(Foreign::from),
            encrypted: told("encrypted").then_some(!self.open),
            retention_days: told("days").then_some(self.days.unwrap_or(35)),
            latest_restorable: ago(&self.restorable, "3m"),
            created: ago(&self.created, "30d"),
            replica_of: self.replica.then(|| Foreign::from("primary")),
            tags: self.tags.iter().map(|(key, value)| (key.clone(), Foreign::from(value.as_str()))).collect(),
            endpoint: self.host.as_ref().map(|host| (Foreign::from(host.as_str()), 5432)),
            ca: self.ca.as_deref().map(Foreign::from),
            pending: self.ordered.iter().map(ordered).collect(),
            certificate_until: self.certificate.as_deref().map(|after| now + span(after)),
            maintenance: Some(self.maintenance.iter().map(maintenance).collect()),
            ..Rds::default()
        }
    }

    fn metrics(&self, now: Timestamp) -> Metrics {
        let mut lines: BTreeMap<&str, &str> = CALM.into_iter().collect();
        lines.extend(self.figures.iter().map(|(name, line)| (name.as_str(), line.as_str())));
        let mut metrics = Metrics::default();
        for (name, line) in lines {
            let metric = Metric::named(name).unwrap_or_else(|| panic!("no such metric: {name}"));
            if line != "-" {
                let points = if line == "none" { Vec::new() } else { points(metric, line, now) };
                metrics.series.insert(metric, points.into_iter().collect());
            }
        }
        metrics
    }

    fn alarms(&self) -> Alarms {
        let alarm = |line: &String| {
            let words = Words::of(line);
            Alarm {
                name: Foreign::from(words.plain[0]),
                state: if words.has("ok") { AlarmState::Ok } else { AlarmState::Alarm },
                reason: Foreign::from("Threshold Crossed"),
                metric: Some(Foreign::from(words.plain[1])),
                since: None,
            }
        };
        Alarms { alarms: self.alarms.iter().map(alarm).collect() }
    }

    fn events(&self, now: Timestamp) -> Events {
        let event = |line: &String| {
            let (age, words) = line.split_once(' ').unwrap();
            Event { at: now - span(age), message: Foreign::from(words), categories: Vec::new() }
        };
        Events { events: self.events.iter().map(event).collect() }
    }

    fn snapshots(&self, now: Timestamp) -> Snapshots {
        let snapshot = |line: &String| {
            let words = Words::of(line);
            let shared = words.get("shared").into_iter().flat_map(|with| with.split(','));
            Snapshot {
                identifier: Foreign::from(words.plain[0]),
                kind: Foreign::from(if words.has("automated") { "automated" } else { "manual" }),
                status: Foreign::from(words.get("status").unwrap_or("available")),
                at: Some(now - span(words.plain[1])),
                gib: Some(100),
                encrypted: (!words.has("untold")).then(|| !words.has("open")),
                shared_with: (!words.has("hidden")).then(|| shared.map(Foreign::from).collect()),
            }
        };
        Snapshots {
            snapshots: self.snapshots.iter().map(snapshot).collect(),
            unknown: self.hidden.as_deref().map(Arc::from),
        }
    }

    fn backups(&self, now: Timestamp) -> Backups {
        let plan = |line: &String| {
            let words = Words::of(line);
            Protection {
                plan: Foreign::from(words.plain[0]),
                rule: Foreign::from("daily"),
                schedule: words.has("weekly").then(|| Foreign::from("cron(0 5 ? * SUN *)")),
                continuous: words.has("continuous"),
                since: words.get("since").map(|ago| now - span(ago)),
                vault: Foreign::from("vault"),
                days: words.plain[1].parse().ok(),
                copies_to: Vec::new(),
            }
        };
        let point = |line: &String| {
            let words = Words::of(line);
            RecoveryPoint {
                arn: Foreign::from("arn:aws:rds:eu-west-1:123456789012:snapshot:awsbackup:job-1"),
                vault: Foreign::from("vault"),
                status: Foreign::from(words.get("status").unwrap_or("COMPLETED")),
                at: now - span(words.plain[0]),
                bytes: None,
                encrypted: !words.has("open"),
                deleted_at: None,
            }
        };
        let job = |line: &String| {
            let mut words = line.splitn(3, ' ');
            let (state, age) = (words.next().unwrap(), words.next().unwrap());
            Job {
                kind: JobKind::Backup,
                state: Foreign::from(state),
                at: now - span(age),
                ended: None,
                message: words.next().map(Foreign::from),
            }
        };
        let copy = |line: &String| {
            let words: Vec<&str> = line.split(' ').collect();
            CopyOfPoint {
                to: Foreign::from(format!("arn:aws:backup:{}:123456789012:backup-vault:far", words[2])),
                state: Foreign::from(words[0]),
                at: now - span(words[1]),
                message: None,
            }
        };
        let refused = |line: &String| {
            let (part, why) = line.split_once(": ").unwrap();
            let of = |prefix: &str| part.strip_prefix(prefix).map(Foreign::from);
            let part = match part {
                "recovery points" => Part::RecoveryPoints,
                "plans" => Part::Plans,
                "copies" => Part::Copies,
                "backup jobs" => Part::BackupJobs,
                "restore jobs" => Part::RestoreJobs,
                _ => of("recovery points in ").map(Part::RecoveryPointsIn).or(of("plan ").map(Part::Plan)).unwrap(),
            };
            (part, Arc::from(why))
        };
        Backups {
            protections: self.plans.as_ref().map(|plans| plans.iter().map(plan).collect()),
            points: self.points.iter().map(point).collect(),
            copies: self.copies.iter().map(copy).collect(),
            jobs: self.jobs.iter().map(job).collect(),
            refused: self.refused.iter().map(refused).collect(),
        }
    }
}

/// A figure a minute.
fn points(metric: Metric, line: &str, now: Timestamp) -> Vec<Datapoint> {
    let words = Words::of(line);
    let value = |text: &str| match metric.unit() {
        MetricUnit::Bytes => size(text) as f64,
        _ => text.parse().unwrap(),
    };
    let last = value(words.plain[0]);
    let newest = now - span(words.get("ago").unwrap_or("1m"));
    let minutes = words.get("over").map_or(10, |over| (span(over).as_secs() / 60).max(1));
    let minutes = if words.has("one") { 0 } else { minutes };
    let first = words.get("from").map_or(last, value);
    let at = |minute: i64| Datapoint {
        at: newest - SignedDuration::from_mins(minutes - minute),
        value: if minutes == 0 { last } else { first + (last - first) * minute as f64 / minutes as f64 },
    };
    (0..=minutes).map(at).collect()
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub struct AccountSpec {
    /// `IDENTIFIER KIND [TAG] [OTHERS|CONFIGURED]`
    #[serde(default)]
    odd: Vec<String>,
    /// RDS identifiers of all instances.
    #[serde(default)]
    known: Vec<String>,
    /// `INSTANCE SNAPSHOT ACCOUNTS`: shared ones of instances that are gone or not watched.
    #[serde(default)]
    strays: Vec<String>,
    /// It was not described.
    #[serde(default)]
    failed: bool,
}

impl AccountSpec {
    /// `[aws.main]`
    pub fn build(&self) -> AccountState {
        let odd = |line: &String| {
            let words: Vec<&str> = line.split(' ').collect();
            let tag = || Foreign::from(words[2]);
            let tenant = |text: &str| TenantId::parse(text).ok();
            let oddity = match words[1] {
                "no-tenant" => Oddity::NoTenant,
                "not-a-tenant" => Oddity::NotATenant(tag()),
                "no-tier" => Oddity::NoTier(tag()),
                "unknown-tier" => Oddity::UnknownTier(tag()),
                "shared-with" => Oddity::SharedWithTenant(tag()),
                "contested" => Oddity::Contested {
                    tenant: tenant(words[2]).unwrap(),
                    others: words[3].split(',').map(Arc::from).collect(),
                },
                "configured" => Oddity::ConfiguredOtherwise { tag: tag(), configured: tenant(words[3]) },
                other => panic!("nothing is odd in that way: {other}"),
            };
            (Arc::from(words[0]), oddity)
        };
        let mut account = AccountState::named(Arc::from("main"), Arc::from("eu-west-1"));
        let identifiers: Vec<Arc<str>> = self.known.iter().map(|known| Arc::from(known.as_str())).collect();
        let odd = self.odd.iter().map(odd).collect();
        account.take(AccountNews::Described { instances: 9, odd, identifiers });
        let stray = |line: &String| {
            let words: Vec<&str> = line.split(' ').collect();
            let snapshot = Snapshot {
                identifier: Foreign::from(words[1]),
                kind: Foreign::from("manual"),
                status: Foreign::from("available"),
                at: None,
                gib: Some(100),
                encrypted: Some(true),
                shared_with: Some(words[2].split(',').map(Foreign::from).collect()),
            };
            (Arc::from(words[0]), snapshot)
        };
        account.take(AccountNews::Strays(self.strays.iter().map(stray).collect()));
        if self.failed {
            account.take(AccountNews::Failed(Trouble::new("refused")));
        }
        account
    }
}
