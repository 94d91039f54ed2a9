//! `connection-saturation`: the instance runs out of connections, or has run out (53300: not even we get in).

use crate::domain::facts::Source;
use crate::domain::quantity::percent;
use crate::domain::snapshot::Reach;
use crate::domain::{Evidence, Onset, Session, SessionState, Severity, Signal, SubjectKind, TenantId, Unit};

use super::words::{end_idle, quoted, remedy};
use super::{Check, Place, Raised, Scene, Verdicts};

/// Who held most is told of a server that refuses us only when at least this part of it was taken as we last looked.
const SEEN_FILLING: f64 = 0.5;

/// The least part of the connections that a tenant is blamed for, however many tenants there are.
const LEAST_BLAMED: f64 = 0.2;

/// The check.
#[derive(Debug)]
pub(super) struct ConnectionSaturation;

impl Check for ConnectionSaturation {
    fn signal(&self) -> Signal {
        Signal::ConnectionSaturation
    }

    fn about(&self) -> &'static str {
        "Connections run out: 80% of those that clients may have; critical at 95%, or when we are refused"
    }

    fn subjects(&self) -> &'static [SubjectKind] {
        &[SubjectKind::Instance]
    }

    fn check(&self, scene: &Scene<'_>, places: &[Place<'_>], verdicts: &mut Verdicts) {
        for place in places {
            if let Reach::Down { trouble, .. } = &place.instance.reach
                && trouble.is_server_full()
            {
                verdicts.raised.push(full(scene, place));
                continue;
            }
            let instance = place.instance;
            if verdicts.seen(self.signal(), place, Source::Activity, &instance.activity, scene.now).is_none() {
                continue;
            }
            let (Some(used), Some(usable)) = (instance.connections, instance.usable_connections()) else {
                verdicts.doubt(self.signal(), place, Source::Activity, "the number of connections is not known");
                continue;
            };
            let share = f64::from(used) / f64::from(usable.max(1));
            if let Some((severity, _)) = scene.thresholds.connections.rung(share) {
                verdicts.raised.push(raise(scene, place, severity, used, usable));
            }
        }
    }
}

/// Who holds the most connections.
struct Holder<'a> {
    tenant: Option<&'a TenantId>,
    role: &'a str,
    sessions: Vec<&'a Session>,
    /// Far more than its part, so that it may be blamed.
    to_blame: bool,
}

impl<'a> Holder<'a> {
    /// The tenant that holds most if it is to blame for it, else the login that holds most.
    fn of(scene: &Scene<'_>, place: &Place<'a>) -> Option<Self> {
        let all = place.sessions.len() as f64;
        let (by_tenant, by_role) = (place.by_tenant(), place.by_role());
        // Far more than its part: the noisy neighbour's measure, but half of all connections is always too much.
        let fair = scene.thresholds.noisy_fair_shares / by_tenant.len().max(1) as f64;
        let least = fair.min(scene.thresholds.noisy_share).max(LEAST_BLAMED);
        if let Some((tenant, sessions)) = by_tenant.into_iter().max_by_key(|(_, sessions)| sessions.len())
            && sessions.len() as f64 >= least * all
        {
            let others =
                by_role.values().map(|held| held.iter().filter(|session| place.doer(session) != Some(tenant)).count());
            // A pool that holds more than the tenant is what grew, whoever's its sessions are.
            if others.max().is_none_or(|most| sessions.len() > most) {
                let role = sessions.first().map_or("", |session| session.role.raw());
                return Some(Self { tenant: Some(tenant), role, sessions, to_blame: true });
            }
        }
        let (role, sessions) = by_role.into_iter().max_by_key(|(_, sessions)| sessions.len())?;
        let tenant = place.login_owner(role).map(|tenant| &tenant.id);
        Some(Self { tenant, role, sessions, to_blame: false })
    }

    fn name(&self) -> String {
        self.tenant.map_or_else(|| format!("login {}", quoted(self.role)), ToString::to_string)
    }

    fn idle(&self) -> usize {
        self.sessions.iter().filter(|session| session.state == SessionState::Idle).count()
    }

    fn culprits(&self) -> Vec<TenantId> {
        self.tenant.filter(|_| self.to_blame).into_iter().cloned().collect()
    }

    /// What to do in words, and as SQL. The cap comes first: a pool that lost a session opens another.
    fn advice(&self, place: &Place<'_>) -> (String, Option<String>) {
        let idle = (self.idle() > 0).then(|| end_idle(self.role));
        let then = if idle.is_some() { "end its idle sessions" } else { "cancel what can wait" };
        let capped =
            |login: &str| format!("Cap {} first, or its pool comes back at once; then {then}: {login}", self.name());
        let cap = match self.tenant {
            Some(tenant) => place.tenant(tenant).filter(|_| self.is_own_login(place, tenant)),
            None => None,
        };
        if let Some(tenant) = cap {
            let limit = tenant.limits.wanted.connection_limit.unwrap_or(self.fifth(place));
            let cap = format!("ALTER ROLE {} CONNECTION LIMIT {limit};", quoted(self.role));
            let words = capped("the cap reaches new sessions only.");
            return (words, Some(idle.map_or(cap.clone(), |idle| format!("{cap} {idle}"))));
        }
        let why = match self.tenant {
            Some(tenant) => remedy(place, tenant, &self.sessions, |_| String::new()),
            None if place.is_service_account(self.role) => {
                "a limit on the shared account would refuse every tenant: find the pool that grew".to_owned()
            }
            None => format!("then give {} a CONNECTION LIMIT", self.name()),
        };
        let first = if idle.is_some() { "End what has been idle for long" } else { "Cancel what can wait" };
        (format!("{first}; {why}."), idle)
    }

    fn is_own_login(&self, place: &Place<'_>, tenant: &TenantId) -> bool {
        self.sessions.iter().all(|session| place.owns_login(tenant, session.role.raw()))
    }

    /// A fifth of all connections: what one login may have where no policy says.
    fn fifth(&self, place: &Place<'_>) -> u32 {
        let all = place.instance.usable_connections().unwrap_or(self.sessions.len() as u32);
        (all / 5).max(1)
    }
}

/// Who cannot get in, with the verb.
fn everybody(place: &Place<'_>) -> String {
    match place.tenants.as_slice() {
        [] => "its clients are".to_owned(),
        [one] => format!("{} is", one.id),
        all => format!("all {} tenants are", all.len()),
    }
}

fn others(place: &Place<'_>, culprits: &[TenantId]) -> Vec<TenantId> {
    place.tenants.iter().map(|tenant| &tenant.id).filter(|id| !culprits.contains(id)).cloned().collect()
}

fn raise(scene: &Scene<'_>, place: &Place<'_>, severity: Severity, used: u32, usable: u32) -> Raised {
    let share = f64::from(used) / f64::from(usable.max(1));
    let mut evidence = vec![
        Evidence::on("connections used", share, scene.thresholds.connections, Unit::Ratio),
        Evidence::fact("connections", f64::from(used), Unit::Count),
        Evidence::fact("connections that clients may have", f64::from(usable), Unit::Count),
    ];
    let holder = Holder::of(scene, place);
    let mut clauses =
        vec![format!("{} is running out of connections: {used} of {usable} ({})", place.name(), percent(share))];
    if let Some(holder) = &holder {
        let held = holder.sessions.len();
        let part = held as f64 / f64::from(used.max(1));
        clauses.push(format!("{} holds {held} ({}), {} idle", holder.name(), percent(part), holder.idle()));
        evidence.push(Evidence::fact(format!("share held by {}", holder.name()), part, Unit::Ratio));
    }
    clauses.push(format!("{} refused next", everybody(place)));
    let culprits = holder.as_ref().map(Holder::culprits).unwrap_or_default();
    let nobody = || ("Look at who opened connections last.".to_owned(), None);
    let (advice, statement) = holder.as_ref().map_or_else(nobody, |holder| holder.advice(place));
    // Before it is nearly full nobody suffers yet.
    let victims = if severity == Severity::Critical { others(place, &culprits) } else { Vec::new() };
    Raised {
        severity,
        subject: place.subject(),
        summary: clauses.join("; "),
        evidence,
        advice,
        statement,
        since: None,
        culprits,
        victims,
        rests_on: vec![Source::Activity],
    }
}

/// The server refuses us: what is known of its sessions is what was seen last.
fn full(scene: &Scene<'_>, place: &Place<'_>) -> Raised {
    let name = place.name();
    // Seen last when it was all but empty, its sessions say nothing of who filled it.
    let was_filling = |usable: u32| place.sessions.len() as f64 >= SEEN_FILLING * f64::from(usable);
    let holder = Holder::of(scene, place).filter(|_| place.instance.usable_connections().is_none_or(was_filling));
    let mut clauses = vec![
        format!("{name} has no connection left (53300): even this console cannot get in"),
        format!("{} refused", everybody(place)),
    ];
    let mut evidence = Vec::new();
    if let Some(usable) = place.instance.usable_connections() {
        evidence.push(Evidence::fact("connections that clients may have", f64::from(usable), Unit::Count));
    }
    if let Some(holder) = &holder {
        let part = holder.sessions.len() as f64 / place.sessions.len().max(1) as f64;
        clauses.push(format!("when last seen, {} held {}", holder.name(), percent(part)));
        evidence.push(Evidence::fact(format!("share held by {} when last seen", holder.name()), part, Unit::Ratio));
    }
    let culprits = holder.as_ref().map(Holder::culprits).unwrap_or_default();
    let way_in = "get in by a reserved connection (superuser; from 16 GRANT pg_use_reserved_connections)";
    Raised {
        severity: Severity::Critical,
        subject: place.subject(),
        summary: clauses.join("; "),
        evidence,
        advice: match &holder {
            Some(holder) => format!("Stop the clients of {}, or {way_in} and end idle sessions.", holder.name()),
            None => format!("Stop the clients that opened connections last, or {way_in} and end idle sessions."),
        },
        statement: None,
        since: match &place.instance.reach {
            Reach::Down { since, .. } => Some(Onset::seen(*since)),
            Reach::Up | Reach::Connecting | Reach::Apart(_) => None,
        },
        victims: others(place, &culprits),
        culprits,
        rests_on: vec![Source::Activity],
    }
}
