//! What RDS will restart an instance for, and until when its certificate is good. For `restart`, which tells of those that were.
//!
//! Sources: Amazon RDS User Guide, "Maintaining a DB instance" (what is pending comes in the maintenance window, by force from a date
//! on), and "Using SSL/TLS to encrypt a connection" (once the server's certificate has expired, clients that verify it are refused).

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
const RESTARTS: [&str; 3] = ["class", "version", "CA"];

/// What comes; `None` where nothing does.
pub(super) fn ahead(scene: &Scene<'_>, told: Told<'_>, rds: &Rds) -> Option<Raised> {
    let thresholds = scene.thresholds;
    let until = |at: jiff::Timestamp| at.duration_since(scene.now).as_secs_f64();
    let (mut wrong, mut evidence, mut advice) = (Vec::new(), Vec::new(), Vec::new());
    let certificate = rds.certificate_until.map(until).and_then(|left| match left {
        _ if left <= thresholds.certificate_critical_seconds => Some((Severity::Critical, left)),
        _ if left <= thresholds.certificate_warning_seconds => Some((Severity::Warning, left)),
        _ => None,
    });
    let identifier = ("--db-instance-identifier", &*told.cloud.identifier);
    if let Some((severity, left)) = certificate {
        let when = if left > 0.0 { format!("ends in {}", duration(left)) } else { "has ended".to_owned() };
        wrong.push((severity, format!("its certificate {when}: clients that verify it are refused from then on")));
        evidence.push(Evidence::fact("certificate is good for", left.max(0.0), Unit::Seconds));
        let of = [identifier, ("--ca-certificate-identifier", "rds-ca-rsa2048-g1")];
        let modify = command(told.cloud, "rds modify-db-instance", &of);
        advice.push(format!("{modify} renews it in its maintenance window; clients must trust that CA before"));
    }
    for action in rds.maintenance.iter().flatten() {
        // By force first: that day nobody chooses.
        let by_force = action.forced.filter(|at| until(*at) <= thresholds.maintenance_seconds);
        let planned = action.after.filter(|at| until(*at) <= thresholds.maintenance_seconds);
        let name: String = sanitise(action.action.raw()).chars().take(40).collect();
        let Some(at) = by_force.or(planned) else { continue };
        let severity = if by_force.is_some() { Severity::Warning } else { Severity::Info };
        let how = if by_force.is_some() { "by force" } else { "in its maintenance window" };
        wrong.push((severity, format!("RDS will restart it for {name} {how} after {}", minute(at))));
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
