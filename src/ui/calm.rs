//! What may be said where no finding hurts: that nobody is hurt, or what speaks against saying so yet.

use ratatui::text::{Line, Span};

use super::pen::Pen;
use super::wrong::{blind, is_upkeep};
use crate::app::is_seen;
use crate::domain::{Session, quantity};

/// What stands above findings that are over, or upkeep; `None` where something else says enough.
pub(super) fn line(pen: &Pen<'_>) -> Option<Line<'static>> {
    let snapshot = &pen.model.shown;
    let live =
        snapshot.findings.iter().any(|finding| finding.stale || finding.over_for.is_none() && !is_upkeep(finding));
    if live || snapshot.instances.is_empty() || !blind(snapshot, pen.model.moment()).is_empty() {
        return None;
    }
    let unknown = snapshot.unknown.iter().any(|unknown| !unknown.signal.is_upkeep());
    restless(pen).or_else(|| {
        let words = Span::styled("nobody is hurt now; what follows is over, or upkeep", pen.look.text);
        (!unknown).then(|| Line::from(vec![Span::styled("✔       ", pen.look.good), words]))
    })
}

/// Why it is too early to call anything fine: what can be seen already, or that we have not looked for long enough.
pub(super) fn restless(pen: &Pen<'_>) -> Option<Line<'static>> {
    let (model, moment) = (pen.model, pen.model.moment());
    let snapshot = &model.shown;
    let left = model.seen.left(moment, model.settings.look);
    let seen = || snapshot.instances.iter().filter(|instance| is_seen(instance, moment));
    let blocked: u32 = seen().filter_map(|instance| instance.blocked).sum();
    let crowded = seen().find(|instance| instance.active.is_some_and(|active| f64::from(active) > instance.vcpus));
    let judged = |left: f64| format!(": judged in {:.0} s", left.ceil());
    let words = if blocked > 0 {
        let oldest = snapshot.sessions.iter().filter_map(Session::lock_wait).reduce(f64::max);
        let so_long = oldest.map(|oldest| format!(", the oldest for {}", quantity::duration(oldest)));
        // One wait after the other may be short: only the oldest comes to be judged.
        let rest = oldest.map(|oldest| model.settings.lock_wait.as_secs_f64() - oldest).filter(|rest| *rest > 0.0);
        let verb = if blocked == 1 { "waits" } else { "wait" };
        let who = quantity::plural(blocked as usize, "session");
        format!("{who} {verb} for a lock{}{}", so_long.unwrap_or_default(), rest.map(judged).unwrap_or_default())
    } else if let Some(instance) = crowded {
        let who = quantity::plural(instance.active.unwrap_or(0) as usize, "session");
        let guess = if instance.vcpus_estimated { "~" } else { "" };
        let rest = left.map(judged).unwrap_or_default();
        format!("{who} run on {guess}{} vCPU of {}{rest}", quantity::count(instance.vcpus), instance.name)
    } else {
        let left = left?.ceil();
        format!("looking: what is wrong must hold for a moment before it is told ({left:.0} s more)")
    };
    Some(Line::from(vec![Span::styled("◌       ", pen.look.accent), Span::styled(words, pen.look.text)]))
}
