//! A tenant's secret in Vault: which version, by whom, and where it points beside where the tenant is.

use std::time::Duration;

use jiff::Timestamp;
use ratatui::text::{Line, Span};

use crate::domain::facts::{Content, Leads, Pointing, Secrets, TenantSecret};
use crate::domain::quantity::{duration, minute};
use crate::domain::{Foreign, Observed, Signal, Tenant};
use crate::ui::pen::Pen;
use crate::ui::theme::Look;
use crate::ui::widgets::text;

/// The width of what stands before the facts.
const NAME: usize = 18;

/// Its lines; none where no Vault is configured.
pub(super) fn lines(pen: &Pen<'_>, tenant: &Tenant, width: usize) -> Vec<Line<'static>> {
    let Some(observed) = &pen.model.shown.estate.secrets else { return Vec::new() };
    let look = pen.look;
    let moment = pen.model.moment();
    let fresh = observed.fresh(moment).is_some();
    let known = observed.value.as_deref();
    let found = known.and_then(|secrets| Some((secrets, secrets.of(&tenant.id)?)));
    let mut lines = match (known, found) {
        (_, Some((secrets, secret))) => told(pen, tenant, secrets, secret, fresh),
        (Some(secrets), None) if secrets.is_whole() => {
            vec![vec![Span::styled(format!("none at {}", secrets.path_of(&tenant.id)), look.warning)]]
        }
        (Some(secrets), None) => {
            vec![vec![Span::styled(format!("— {} of {} read so far", secrets.seen, secrets.of), look.faint)]]
        }
        (None, None) => vec![vec![Span::styled("—".to_owned(), look.faint)]],
    };
    lines.extend(why_old(observed, pen).map(|words| vec![Span::styled(words, look.warning)]));
    let rest = width.saturating_sub(NAME);
    let line = |(row, spans): (usize, Vec<Span<'static>>)| {
        let lead = text::fit(if row == 0 { "secret" } else { "" }, NAME);
        let mut line = Line::from(vec![Span::styled(lead, if fresh { look.text } else { look.faint })]);
        let mut room = rest;
        for span in spans {
            let words = text::cut(&span.content, room);
            room -= words.chars().count().min(room);
            line.push_span(Span::styled(words, span.style));
        }
        line
    };
    lines.into_iter().enumerate().map(line).collect()
}

/// Why what is told of it is not of now.
fn why_old<T>(observed: &Observed<T>, pen: &Pen<'_>) -> Option<String> {
    let moment = pen.model.moment();
    let ago = |age: Duration| format!("{} ago", duration(age.as_secs_f64().floor()));
    match (&observed.error, observed.age(moment)) {
        (Some(trouble), Some(age)) => Some(format!("as of {}: {}", ago(age), trouble.message)),
        (Some(trouble), None) => Some(trouble.message.clone()),
        (None, Some(age)) if observed.fresh(moment).is_none() => Some(format!("as of {}", ago(age))),
        (None, _) => None,
    }
}

fn told(
    pen: &Pen<'_>,
    tenant: &Tenant,
    secrets: &Secrets,
    secret: &TenantSecret,
    fresh: bool,
) -> Vec<Vec<Span<'static>>> {
    let look = pen.look;
    let (plain, dim) = if fresh { (look.text, look.dim) } else { (look.faint, look.faint) };
    let mut first = vec![Span::styled(secrets.path_of(&tenant.id), plain)];
    if let Some(version) = secret.version {
        let written = version.written.map_or(String::new(), |at| format!(", written {}", past(at)));
        first.push(Span::styled(format!("  version {}{written}", version.number), plain));
        if let Some(ends) = version.ends {
            first.push(Span::styled(format!("  deletes itself {}", minute(ends)), look.warning));
        }
    }
    match secret.kept {
        Some(1) => first.push(Span::styled("  keeps 1 version: no way back".to_owned(), look.warning)),
        Some(kept @ 2..) => first.push(Span::styled(format!("  keeps {kept} versions"), dim)),
        Some(0) | None => {}
    }
    let mut lines = vec![first, points(look, pen, tenant, &secret.content, fresh)];
    if !secret.custom.is_empty() {
        let words: Vec<String> = secret.custom.iter().map(|(name, value)| format!("{name} {value}")).collect();
        lines.push(vec![Span::styled(words.join(" · "), dim)]);
    }
    if let Some(why) = &secret.hidden {
        lines.push(vec![Span::styled(format!("— {why}"), look.faint)]);
    }
    lines
}

fn points(look: &Look, pen: &Pen<'_>, tenant: &Tenant, content: &Content, fresh: bool) -> Vec<Span<'static>> {
    let pointing = match content {
        Content::Points(pointing) => pointing,
        Content::Unread => return vec![Span::styled("→ not shown to us".to_owned(), look.faint)],
        Content::Nothing => return vec![Span::styled("→ it has no version".to_owned(), look.warning)],
        Content::Deleted => return vec![Span::styled("→ its newest version is deleted".to_owned(), look.warning)],
        Content::Destroyed => return vec![Span::styled("→ its newest version is destroyed".to_owned(), look.warning)],
    };
    let plain = if fresh { look.text } else { look.faint };
    // What the signal says of it is what counts: here is only where to look.
    let findings = &pen.model.shown.findings;
    let worst = findings
        .iter()
        .filter(|it| it.signal == Signal::SecretMismatch && it.over_for.is_none())
        .filter(|it| it.culprits.contains(&tenant.id) && it.subject.instance == tenant.instance)
        .map(|it| it.severity)
        .max();
    let here = pointing.leads == Leads::To(tenant.instance.clone());
    let verdict = match (worst, &pointing.leads) {
        (Some(severity), _) => Span::styled("≠ its home".to_owned(), look.severity(severity)),
        (None, _) if !fresh => Span::styled("not compared".to_owned(), look.faint),
        (None, Leads::To(_)) if here => Span::styled("= its home".to_owned(), look.good),
        (None, Leads::To(instance)) => Span::styled(format!("on {instance}"), plain),
        (None, _) => Span::styled("of no instance that we know".to_owned(), look.faint),
    };
    vec![verdict, Span::styled(format!("  → {}", address(pointing)), plain)]
}

/// `2026-11-23 08:10Z`: when something was.
fn past(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%MZ").to_string()
}

/// `host:5432/portarium schema tenant_acme as portarium_shared`
fn address(pointing: &Pointing) -> String {
    let text = |text: &Option<Foreign>| text.as_ref().map_or("—".to_owned(), ToString::to_string);
    let port = pointing.port.map_or("—".to_owned(), |port| port.to_string());
    let schema = pointing.schema.as_ref().map_or(String::new(), |schema| format!(" schema {schema}"));
    let password = if pointing.has_password { " with a password" } else { "" };
    let (host, database, username) = (text(&pointing.host), text(&pointing.database), text(&pointing.username));
    format!("{host}:{port}/{database}{schema} as {username}{password}")
}
