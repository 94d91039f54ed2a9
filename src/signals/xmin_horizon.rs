//! `xmin-horizon`: somebody still might want to see rows that everybody else has deleted or replaced long ago, so vacuum
//! must keep them, in every table: bloat for all, and in the end wraparound. Told of the one that holds it furthest back,
//! for the whole server and for each database: ending any other changes nothing.

use std::collections::BTreeMap;

use crate::domain::facts::{Holder, HolderKind, Horizon, Source};
use crate::domain::quantity::{count, duration};
use crate::domain::{Evidence, Foreign, Session, SessionKey, Severity, Signal, Subject, SubjectKind, TenantId, Unit};

use super::prepared_transactions::{self, rollback};
use super::words::{exact, nobody, terminate_in};
use super::{Check, Place, Raised, Scene, Verdicts};

/// `autovacuum_naptime`, as it mostly is: how often autovacuum comes by.
const NAP: f64 = 60.0;

/// The check.
#[derive(Debug)]
pub(super) struct XminHorizon;

impl Check for XminHorizon {
    fn signal(&self) -> Signal {
        Signal::XminHorizon
    }

    fn about(&self) -> &'static str {
        "Vacuum is held back for 1 hour or 10 M transaction ids; critical at 6 hours or 100 M"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[
            SubjectKind::Tenant,
            SubjectKind::Session,
            SubjectKind::Slot,
            SubjectKind::Standby,
            SubjectKind::PreparedTransaction,
        ]
    }

    fn holds(&self) -> bool {
        false
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            let observed = &place.instance.horizon;
            let Some(horizon) = verdicts.seen(self.signal(), place, Source::Horizon, observed, scene.now) else {
                continue;
            };
            let mut worst: BTreeMap<Subject, Raised> = BTreeMap::new();
            for holder in furthest_back(horizon) {
                let Some(raised) = raise(scene, place, horizon, holder) else { continue };
                // The same tenant may hold several databases back: the oldest is told.
                worst.entry(raised.subject.clone()).or_insert(raised);
            }
            verdicts.raised.extend(worst.into_values());
        }
    }
}

/// The oldest holder of all, and of each database one that is older than whatever holds back all of them; and the oldest of
/// those that hold back catalogues alone, which hide nobody.
fn furthest_back(horizon: &Horizon) -> Vec<&Holder> {
    let (catalogs, holders): (Vec<&Holder>, Vec<&Holder>) =
        horizon.holders.iter().partition(|holder| holder.kind == HolderKind::Catalog);
    let mut oldest: BTreeMap<Option<&Foreign>, &Holder> = BTreeMap::new();
    for holder in holders {
        let best = oldest.entry(holder.database.as_ref()).or_insert(holder);
        if holder.xid_age > best.xid_age {
            *best = holder;
        }
    }
    let everywhere = oldest.get(&None).map_or(0, |holder| holder.xid_age);
    let mut holders: Vec<&Holder> =
        oldest.into_values().filter(|holder| holder.database.is_none() || holder.xid_age > everywhere).collect();
    holders.sort_by(|one, other| other.xid_age.cmp(&one.xid_age).then(one.name.cmp(&other.name)));
    holders.extend(catalogs.into_iter().max_by_key(|holder| holder.xid_age));
    holders
}

/// What is known of a holder beyond its own words.
struct Known<'a> {
    tenant: Option<TenantId>,
    session: Option<&'a Session>,
}

impl<'a> Known<'a> {
    fn of(place: &Place<'a>, horizon: &Horizon, holder: &Holder) -> Self {
        let key = holder.pid.zip(holder.session_started).map(|(pid, started)| SessionKey { pid, started });
        let session = place.sessions.iter().copied().find(|session| Some(session.key) == key);
        let by_database = || holder.database.as_ref().and_then(|database| place.owner(database, &Foreign::default()));
        let tenant = match holder.kind {
            HolderKind::Session => session
                .and_then(|session| place.doer(session).cloned())
                .or_else(|| holder.role.as_ref().and_then(|role| place.role_owner(role.raw())))
                .or_else(by_database),
            HolderKind::Prepared => horizon
                .prepared
                .iter()
                .find(|prepared| prepared.gid == holder.name)
                .and_then(|prepared| prepared_transactions::owner(place, prepared))
                .or_else(by_database),
            HolderKind::Slot | HolderKind::Catalog => by_database(),
            HolderKind::Standby => None,
        };
        Self { tenant, session }
    }
}

fn raise(scene: &Scene<'_>, place: &Place<'_>, horizon: &Horizon, holder: &Holder) -> Option<Raised> {
    let thresholds = scene.thresholds;
    let age = f64::from(holder.xid_age);
    let held = holder.since.map(|since| horizon.server_now.duration_since(since).as_secs_f64().max(0.0));
    let by_age = thresholds.xmin_age.rung(age);
    let by_time = held.filter(|_| age >= thresholds.xmin_least_age).and_then(|held| thresholds.xmin_seconds.rung(held));
    let severity: Severity = by_age.into_iter().chain(by_time).map(|(severity, _)| severity).max()?;
    let known = Known::of(place, horizon, holder);
    let mut evidence = vec![Evidence::on("transaction ids since", age, thresholds.xmin_age, Unit::Transactions)];
    evidence.extend(held.map(|held| Evidence::on("held for", held, thresholds.xmin_seconds, Unit::Seconds)));
    let (kind, id) = subject(holder, &known);
    let where_ = match &holder.database {
        _ if holder.kind == HolderKind::Catalog => "from catalogues alone".to_owned(),
        None => "everywhere".to_owned(),
        Some(database) => format!("in {database}"),
    };
    let time = held.map(|held| format!(" for {}", duration(held))).unwrap_or_default();
    let (advice, statement) = advice(place, holder, &known);
    Some(Raised {
        severity,
        subject: place.about(kind, &id),
        summary: format!(
            "{} holds vacuum back on {} {where_}{time}: dead rows of the last {} transactions stay",
            who(holder, &known),
            place.name(),
            count(age)
        ),
        evidence,
        advice,
        statement,
        since: holder.since.map(Into::into),
        culprits: known.tenant.into_iter().collect(),
        victims: Vec::new(),
        rests_on: vec![Source::Horizon],
    })
}

fn subject(holder: &Holder, known: &Known<'_>) -> (SubjectKind, String) {
    let name = || holder.name.raw().to_owned();
    match holder.kind {
        HolderKind::Session => known.tenant.as_ref().map_or_else(
            || (SubjectKind::Session, holder.pid.map_or_else(name, |pid| pid.to_string())),
            |tenant| (SubjectKind::Tenant, tenant.to_string()),
        ),
        HolderKind::Prepared => (SubjectKind::PreparedTransaction, name()),
        HolderKind::Slot | HolderKind::Catalog => (SubjectKind::Slot, name()),
        HolderKind::Standby => (SubjectKind::Standby, name()),
    }
}

/// Who, in words.
fn who(holder: &Holder, known: &Known<'_>) -> String {
    let Holder { name, role, pid, .. } = holder;
    let brief: String = name.shown().chars().take(40).collect();
    let of = known.tenant.as_ref().map(|tenant| format!(" of {tenant}")).unwrap_or_default();
    let pid = pid.map(|pid| format!("pid {pid}")).unwrap_or_default();
    match (holder.kind, &known.tenant, known.session) {
        (HolderKind::Session, Some(tenant), Some(session)) => format!("{tenant} ({pid}, {})", session.state.label()),
        (HolderKind::Session, Some(tenant), None) => format!("{tenant} ({pid})"),
        (HolderKind::Session, None, Some(session)) => format!("{} ({pid})", nobody(session)),
        (HolderKind::Session, None, None) => {
            role.as_ref().map_or_else(|| pid.clone(), |role| format!("{role} ({pid})"))
        }
        (HolderKind::Prepared, ..) => format!("prepared transaction {brief}{of}"),
        (HolderKind::Slot | HolderKind::Catalog, ..) => format!("replication slot {brief}{of}"),
        (HolderKind::Standby, ..) => format!("standby {brief} (hot_standby_feedback)"),
    }
}

/// Who keeps vacuum from removing what died in a database, for long enough that it has come by and could not: who and for how
/// long, what to do, and that as SQL.
pub(super) fn in_the_way(scene: &Scene<'_>, place: &Place<'_>, database: &Foreign) -> Option<InTheWay> {
    let horizon = place.instance.horizon.fresh(scene.now)?;
    let held = |holder: &Holder| holder.since.map(|since| horizon.server_now.duration_since(since).as_secs_f64());
    let holders = horizon.holders.iter().filter(|holder| {
        holder.kind != HolderKind::Catalog
            && holder.database.as_ref().is_none_or(|held| held == database)
            && held(holder).is_none_or(|held| held >= NAP)
    });
    let holder = holders.max_by(|one, other| one.xid_age.cmp(&other.xid_age).then(other.name.cmp(&one.name)))?;
    let known = Known::of(place, horizon, holder);
    let time = held(holder).map(|held| format!(" for {}", duration(held))).unwrap_or_default();
    let (advice, statement) = advice(place, holder, &known);
    Some(InTheWay { who: format!("{} holds vacuum back{time}", who(holder, &known)), advice, statement })
}

/// See [`in_the_way`].
pub(super) struct InTheWay {
    pub who: String,
    pub advice: String,
    pub statement: Option<String>,
}

/// What to do in words, and as SQL.
fn advice(place: &Place<'_>, holder: &Holder, known: &Known<'_>) -> (String, Option<String>) {
    match holder.kind {
        HolderKind::Session => {
            let pid = holder.pid.map(|pid| pid.to_string()).unwrap_or_default();
            let asleep = known.session.is_some_and(|session| session.state.is_idle_in_transaction());
            let what = if asleep { "it has its transaction open and does nothing" } else { "ask what it is for first" };
            let key = holder.pid.zip(holder.session_started).map(|(pid, started)| SessionKey { pid, started });
            let words = format!("End pid {pid} ({what}); vacuum catches up by itself at its next round.");
            let began = holder.since.or_else(|| known.session.and_then(|session| session.transaction_started));
            (words, key.zip(began).map(|(key, began)| terminate_in(key, began)))
        }
        HolderKind::Prepared => {
            let database = holder.database.as_ref().map(ToString::to_string).unwrap_or_default();
            let owner = holder.role.as_ref().map(ToString::to_string).unwrap_or_default();
            let words = format!("Finish it in {database} as {owner}: commit it if its other half was committed, else roll it back.");
            let lost = Foreign::default();
            (words, rollback(place, holder.database.as_ref().unwrap_or(&lost), holder.name.raw()))
        }
        HolderKind::Slot | HolderKind::Catalog => (
            "Start its reader again, or drop the slot if there will be none.".to_owned(),
            exact(holder.name.raw()).map(|name| {
                format!(
                    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = {name} AND NOT active;"
                )
            }),
        ),
        HolderKind::Standby => (
            "End the oldest transaction on that standby, or switch hot_standby_feedback off there: its long queries may then \
             be cancelled instead."
                .to_owned(),
            None,
        ),
    }
}
