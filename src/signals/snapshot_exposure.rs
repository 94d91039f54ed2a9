//! `snapshot-exposure`: somebody else may restore a snapshot, and has the data: everybody in the world, or an account that nobody
//! allowed. Of a snapshot whose attributes we may not read this is unknown, never fine.
//!
//! Source: Amazon RDS User Guide, "Sharing a DB snapshot" (manual ones alone can be shared; value `all` makes one public).

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::facts::Source;
use crate::domain::facts::cloud::{EVERYBODY, Snapshot};
use crate::domain::foreign::sanitise;
use crate::domain::quantity::plural;
use crate::domain::{Evidence, InstanceName, Severity, Signal, Subject, SubjectKind, TenantId, Tier, Unit};

use super::blame::sole;
use super::told::command_in;
use super::{Check, Place, Raised, Scene, Verdicts};

/// How many snapshots and accounts a sentence names.
const NAMED: usize = 2;

/// The check.
#[derive(Debug)]
pub(super) struct SnapshotExposure;

impl Check for SnapshotExposure {
    fn signal(&self) -> Signal {
        Signal::SnapshotExposure
    }

    fn about(&self) -> &'static str {
        "A snapshot is public: critical; or shared with an account not in policy.backup.share_with: warning"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Instance]
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let signal = self.signal();
            let Some(cloud) = place.instance.cloud.as_deref() else { continue };
            // Who is going leaves its snapshots, and who is not there yet has none: neither is a reason not to look.
            let Some(snapshots) = verdicts.told(signal, place, Source::Snapshots, &cloud.snapshots, scene.now) else {
                continue;
            };
            let hidden = snapshots.snapshots.iter().filter(|it| it.shared_with.is_none()).count();
            if hidden > 0 {
                let why = snapshots.unknown.as_deref().unwrap_or("not told");
                let reason = format!("who {} shared with is not known: {}", are(hidden), sanitise(why));
                verdicts.untold(signal, place, Source::Snapshots, reason, None);
            }
            let exposed: Vec<Exposed<'_>> =
                snapshots.snapshots.iter().filter_map(|snapshot| Exposed::of(scene, snapshot)).collect();
            if !exposed.is_empty() {
                let whose = Whose { name: place.name().to_string(), data: whose(place), subject: place.subject() };
                verdicts.raised.push(raise(whose, &cloud.region, sole(place), &exposed));
            }
        }
        strays(scene, verdicts);
    }
}

/// Those of instances that are gone, or that nobody watches here: the last snapshots of tenants that left are among them.
fn strays(scene: &Scene<'_>, verdicts: &mut Verdicts) {
    for account in scene.accounts {
        let mut of: BTreeMap<&str, Vec<Exposed<'_>>> = BTreeMap::new();
        for (identifier, snapshot) in account.strays.iter().flatten() {
            of.entry(identifier).or_default().extend(Exposed::of(scene, snapshot));
        }
        for (identifier, exposed) in of.into_iter().filter(|(_, exposed)| !exposed.is_empty()) {
            let name = sanitise(identifier).into_owned();
            let instance = InstanceName::new(identifier);
            let subject = Subject { kind: SubjectKind::Instance, id: name.clone(), instance };
            let gone = !account.identifiers.iter().any(|known| **known == *identifier);
            let state = if gone { "which is no more" } else { "which is not watched here" };
            let whose = Whose { name: format!("{name}, {state}"), data: "its data".to_owned(), subject };
            verdicts.raised.push(raise(whose, &account.region, None, &exposed));
        }
    }
}

/// Whose snapshots they are.
struct Whose {
    /// The instance's name.
    name: String,
    /// What is in them.
    data: String,
    subject: Subject,
}

fn are(count: usize) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", plural(count, "snapshot"))
}

/// A snapshot that others may restore.
struct Exposed<'a> {
    snapshot: &'a Snapshot,
    public: bool,
    /// Accounts that nobody allowed.
    accounts: Vec<&'a str>,
}

impl<'a> Exposed<'a> {
    fn of(scene: &Scene<'_>, snapshot: &'a Snapshot) -> Option<Self> {
        let accounts = snapshot.strangers(&scene.policy.backup.share_with)?;
        let public = snapshot.is_public() == Some(true);
        (public || !accounts.is_empty()).then_some(Self { snapshot, public, accounts })
    }
}

fn raise(whose: Whose, region: &str, victim: Option<TenantId>, exposed: &[Exposed<'_>]) -> Raised {
    let mut worst: Vec<&Exposed<'_>> = exposed.iter().collect();
    worst.sort_by_key(|it| !it.public);
    let public = exposed.iter().filter(|it| it.public).count();
    let accounts: BTreeSet<&str> = exposed.iter().flat_map(|it| it.accounts.iter().copied()).collect();
    let names = |of: &mut dyn Iterator<Item = &str>, count: usize| {
        let shown: Vec<String> = of.take(NAMED).map(|name| sanitise(name).into_owned()).collect();
        let more = if count > NAMED { format!(" +{}", count - NAMED) } else { String::new() };
        format!("{}{more}", shown.join(", "))
    };
    let mut words = Vec::new();
    if public > 0 {
        let which = names(&mut worst.iter().filter(|it| it.public).map(|it| it.snapshot.identifier.raw()), public);
        let (what, verb) = if public == 1 { ("snapshot", "is") } else { ("snapshots", "are") };
        words.push(format!("{what} {which} {verb} public: anybody with an AWS account may restore {}", whose.data));
    }
    if !accounts.is_empty() {
        let shared: Vec<_> = worst.iter().filter(|it| !it.accounts.is_empty()).collect();
        let which = names(&mut shared.iter().map(|it| it.snapshot.identifier.raw()), shared.len());
        let with = names(&mut accounts.iter().copied(), accounts.len());
        words.push(format!("{which} may be restored by {} {with}", plural_of(accounts.len())));
    }
    let mut evidence = Vec::new();
    if public > 0 {
        evidence.push(Evidence::against("public snapshots", public as f64, 1.0, Unit::Count));
    }
    if !accounts.is_empty() {
        evidence.push(Evidence::against("accounts that nobody allowed", accounts.len() as f64, 1.0, Unit::Count));
    }
    Raised {
        severity: if public > 0 { Severity::Critical } else { Severity::Warning },
        subject: whose.subject,
        summary: format!("{} of {}", words.join("; "), whose.name),
        evidence,
        advice: advice(region, &worst),
        statement: None,
        since: None,
        culprits: Vec::new(),
        victims: victim.into_iter().collect(),
        rests_on: vec![Source::Snapshots],
    }
}

fn plural_of(accounts: usize) -> &'static str {
    if accounts == 1 { "account" } else { "accounts" }
}

/// Whose data are in it.
fn whose(place: &Place<'_>) -> String {
    match (sole(place), place.instance.tier, place.tenants.len()) {
        (Some(tenant), _, _) => format!("the data of {tenant}"),
        (None, Tier::Shared, count) if count > 1 => format!("the data of all {count} tenants"),
        _ => "its data".to_owned(),
    }
}

fn advice(region: &str, worst: &[&Exposed<'_>]) -> String {
    let Some(first) = worst.first() else { return String::new() };
    let account = if first.public { EVERYBODY } else { first.accounts.first().copied().unwrap_or(EVERYBODY) };
    let of = [
        ("--db-snapshot-identifier", first.snapshot.identifier.raw()),
        ("--attribute-name", "restore"),
        ("--values-to-remove", account),
    ];
    let remove = command_in(region, "rds modify-db-snapshot-attribute", &of);
    let then = if first.public {
        "then look in CloudTrail for who copied or restored it: what was taken is not taken back"
    } else {
        "or allow the account: policy.backup.share_with"
    };
    let more = if worst.len() > 1 { ", and so with the others" } else { "" };
    format!("End it now: {remove}{more}; {then}.")
}
