//! What RDS will restart an instance for, and until when its server certificate is good. For `restart`, which tells of those that were.
//!
//! Sources: Amazon RDS User Guide, "Maintaining a DB instance" (what is pending comes in the maintenance window, by force from a date
//! on), and "Using SSL/TLS to encrypt a connection" (once the server's certificate has expired, clients that verify it are refused;
//! `ValidTill` is that certificate's, not its CA's: under a CA of the kind g1 RDS renews it each year by itself).

use crate::domain::facts::Source;
use crate::domain::facts::cloud::Rds;
use crate::domain::foreign::sanitise;
use crate::domain::quantity::{duration, minute};
use crate::domain::{Evidence, Severity, Unit};

use super::blame::{named, sole};
use super::told::{Told, command};
use super::words::and_more;
use super::{Raised, Scene};

/// What was ordered, waits for the window, and restarts the server then.
const RESTARTS: [&str; 2] = ["class", "version"];

/// Maintenance that takes the server away for a moment; of other kinds RDS does not say so.
const AWAY: [&str; 4] = ["system-update", "os-upgrade", "db-upgrade", "hardware-maintenance"];

/// The CA to go to from one that renews nothing by itself.
const NEXT: &str = "rds-ca-rsa2048-g1";

/// Whether RDS renews server certificates by itself under this CA; of one that nobody told it is not known, and not counted on.
fn renews(rds: &Rds) -> bool {
    rds.ca.as_ref().is_some_and(|ca| ca.raw().starts_with("rds-ca-") && ca.raw().ends_with("-g1"))
}

/// What comes; `None` where nothing does.
pub(super) fn ahead(scene: &Scene<'_>, told: Told<'_>, rds: &Rds) -> Option<Raised> {
    let thresholds = scene.thresholds;
    let until = |at: jiff::Timestamp| at.duration_since(scene.now).as_secs_f64();
    let (mut wrong, mut evidence, mut advice) = (Vec::new(), Vec::new(), Vec::new());
    let certificate = rds.certificate_until.map(until).and_then(|left| match left {
        _ if left <= thresholds.certificate_critical_seconds => Some((Severity::Critical, left)),
        // Each year, and of each instance: what RDS does by itself is no trouble until it is late.
        _ if left <= thresholds.certificate_warning_seconds && !renews(rds) => Some((Severity::Warning, left)),
        _ => None,
    });
    if let Some((severity, left)) = certificate {
        let when = if left > 0.0 { format!("ends in {}", duration(left)) } else { "has ended".to_owned() };
        let late = if renews(rds) { ", and RDS has not renewed it" } else { "" };
        let refused = "clients that verify it are then refused";
        wrong.push((severity, format!("its server certificate {when}{late}: {refused}")));
        evidence.push(Evidence::fact("server certificate is good for", left.max(0.0), Unit::Seconds));
        advice.push(renewal(told, rds));
    }
    for action in rds.maintenance.iter().flatten() {
        // By force first: that day nobody chooses.
        let by_force = action.forced.filter(|at| until(*at) <= thresholds.maintenance_seconds);
        let planned = action.after.filter(|at| until(*at) <= thresholds.maintenance_seconds);
        let name: String = sanitise(action.action.raw()).chars().take(40).collect();
        let Some(at) = by_force.or(planned) else { continue };
        let severity = if by_force.is_some() { Severity::Warning } else { Severity::Info };
        let how = if by_force.is_some() { "by force" } else { "in its maintenance window" };
        let does = if AWAY.contains(&action.action.raw()) { "restart it for" } else { "do" };
        wrong.push((severity, format!("RDS will {does} {name} {how} after {}", minute(at))));
        evidence.push(Evidence::fact(format!("until {name}"), until(at).max(0.0), Unit::Seconds));
    }
    let ordered = rds.pending.iter().filter(|(what, _)| RESTARTS.contains(&&**what));
    for (what, to) in ordered {
        let to: String = to.shown().chars().take(40).collect();
        wrong.push((Severity::Info, format!("{what} {to} is ordered: it restarts for that in its maintenance window")));
        evidence.push(Evidence::fact("changes that wait", rds.pending.len() as f64, Unit::Count));
    }
    let severity = wrong.iter().map(|(severity, _)| *severity).max()?;
    wrong.sort_by_key(|(severity, _)| std::cmp::Reverse(*severity));
    let words: Vec<String> = wrong.into_iter().map(|(_, words)| words).collect();
    let window = rds.maintenance_window.as_ref().map(|window| format!(" ({})", sanitise(window.raw())));
    if advice.is_empty() {
        let resource = ("--resource-identifier", rds.arn.raw());
        let pending = command(told.cloud, "rds describe-pending-maintenance-actions", &[resource]);
        advice.push(format!(
            "tell its users of the window{}; {pending} says what is pending",
            window.unwrap_or_default()
        ));
    }
    let advice = advice.join("; ");
    let begins = advice.starts_with("aws ");
    Some(Raised {
        severity,
        subject: told.place.subject(),
        summary: and_more(&format!("{}: ", named(told.place)), &words),
        evidence,
        advice: if begins { format!("Do so in time: {advice}.") } else { format!("Be ready: {advice}.") },
        statement: None,
        since: None,
        culprits: Vec::new(),
        victims: sole(told.place).into_iter().collect(),
        rests_on: vec![Source::Rds],
    })
}

/// What gets it another server certificate. To order the CA that it has changes nothing.
fn renewal(told: Told<'_>, rds: &Rds) -> String {
    let identifier = ("--db-instance-identifier", &*told.cloud.identifier);
    if renews(rds) {
        let pending = ("--resource-identifier", rds.arn.raw());
        let pending = command(told.cloud, "rds describe-pending-maintenance-actions", &[pending]);
        let other = if rds.ca.as_ref().is_some_and(|ca| ca.raw() == NEXT) { "rds-ca-rsa4096-g1" } else { NEXT };
        let modify = command(
            told.cloud,
            "rds modify-db-instance",
            &[identifier, ("--ca-certificate-identifier", other), ("--apply-immediately", "")],
        );
        return format!(
            "{pending} says whether something holds it up; else {modify} gives it one of another CA, which clients must trust before"
        );
    }
    let modify = command(told.cloud, "rds modify-db-instance", &[identifier, ("--ca-certificate-identifier", NEXT)]);
    format!("{modify} renews it in its maintenance window; clients must trust that CA before")
}
