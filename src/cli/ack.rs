//! `tierdeck ack`: says that somebody knows of a finding, for how long and why; lists and clears what was said. What had begun
//! when it was said is covered, whether it is seen from here or not; that it is not there at all is said, because names are
//! mistyped.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use color_eyre::eyre::Result;
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::acknowledged::Store;
use super::arguments::{Ack, AckAction, AckNew, AckSubject};
use super::document::{Acknowledged, SCHEMA, Subject};
use super::{Exit, observe, output};
use crate::clients::Environment;
use crate::config::Config;
use crate::domain::foreign::sanitise;
use crate::domain::snapshot::Reach;
use crate::domain::spelling::did_you_mean;
use crate::domain::{Acknowledgement, Attention, InstanceName, Signal, SubjectKind, TenantId, quantity};
use crate::signals::{Check, REGISTRY};

/// Nobody knows what will be in a year; what is to be silent for ever is a threshold.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// How long is looked whether what was named is there.
const LOOK: Duration = Duration::from_secs(4);

/// `tierdeck ack list --json`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AckList {
    /// Version of this shape.
    pub schema: u32,
    /// What is acknowledged or muted now.
    pub acknowledged: Vec<AckEntry>,
}

/// One of them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AckEntry {
    /// Which signal.
    pub signal: Signal,
    /// About what.
    pub subject: Subject,
    /// Who, why, until when.
    pub acknowledged: Acknowledged,
}

impl AckList {
    /// The document.
    pub fn of(words: &[Acknowledgement]) -> Self {
        let entry = |word: &Acknowledgement| AckEntry {
            signal: word.signal,
            subject: Subject {
                kind: word.kind,
                id: sanitise(&word.id).into_owned(),
                instance: sanitise(&word.instance).into_owned(),
            },
            acknowledged: Acknowledged::of(word),
        };
        Self { schema: SCHEMA, acknowledged: words.iter().map(entry).collect() }
    }
}

pub(super) async fn run(config: Option<&Path>, ack: Ack) -> Exit {
    let environment = Environment::of_process();
    let Some(config) = observe::configuration(config) else { return Exit::Usage };
    let store = match Store::of(&config, &environment) {
        Ok(store) => store,
        Err(error) => return refuse(&error.to_string()),
    };
    let now = Timestamp::now();
    let done = match ack.action {
        Some(AckAction::List { json }) => list(&store, now, json),
        Some(AckAction::Clear { subject, all }) => clear(&store, now, subject, all),
        None => add(&store, now, config, ack.new, environment.operator()).await,
    };
    done.unwrap_or_else(|error| refuse(&error.to_string()))
}

fn refuse(message: &str) -> Exit {
    output::say(message);
    Exit::Usage
}

fn list(store: &Store, now: Timestamp, json: bool) -> Result<Exit> {
    let read = store.read(now)?;
    if let Some(aside) = &read.set_aside {
        output::say(&format!("what was kept could not be read and was set aside: {}", aside.display()));
    }
    if json {
        return output::document(&AckList::of(&read.words));
    }
    let mut text = String::new();
    for word in &read.words {
        let left = quantity::duration(word.until.duration_since(now).as_secs_f64());
        let what = match word.attention {
            Attention::Acknowledged => "acknowledged",
            Attention::Muted => "muted",
        };
        let (id, instance) = (sanitise(&word.id), sanitise(&word.instance));
        let (by, why) = (sanitise(&word.by), sanitise(&word.why));
        let _ = writeln!(text, "{what}  {} {id} on {instance}, {left} more  [{by}: {why}]", word.signal);
    }
    output::text(if text.is_empty() { "nothing is acknowledged or muted\n" } else { &text })
}

fn clear(store: &Store, now: Timestamp, subject: AckSubject, all: bool) -> Result<Exit> {
    if all {
        let mut count = 0;
        store.change(now, |words| count = std::mem::take(words).len())?;
        output::say(&format!("cleared: {}", quantity::plural(count, "acknowledgement")));
        return Ok(Exit::Fine);
    }
    let target = match Target::of(subject) {
        Ok(target) => target,
        Err(message) => return Ok(refuse(&message)),
    };
    let mut count = 0;
    store.change(now, |words| {
        let before = words.len();
        words.retain(|word| !target.names(word));
        count = before - words.len();
    })?;
    if count == 0 {
        output::say("nothing like that is acknowledged or muted: tierdeck ack list");
        return Ok(Exit::Found);
    }
    output::say(&format!("cleared: {}", quantity::plural(count, "acknowledgement")));
    Ok(Exit::Fine)
}

async fn add(store: &Store, now: Timestamp, config: Config, new: AckNew, by: String) -> Result<Exit> {
    let AckNew { subject, duration, why, mute } = new;
    let (Some(duration), Some(why)) = (duration, why) else {
        return Ok(refuse("say for how long and why: --for 2h --why TEXT"));
    };
    let target = match Target::of(subject) {
        Ok(target) => target,
        Err(message) => return Ok(refuse(&message)),
    };
    let names = || config.instances.iter().map(|instance| instance.name.as_str());
    if !names().any(|name| name == target.instance) {
        let meant = did_you_mean(&target.instance, names()).map(|name| format!("; did you mean {name}?"));
        let known = names().collect::<Vec<_>>().join(", ");
        let meant = meant.unwrap_or_else(|| format!("; there is: {known}"));
        return Ok(refuse(&format!("no instance is called {:?}{meant}", target.instance)));
    }
    if duration.is_zero() || duration > LONGEST {
        return Ok(refuse("--for: more than nothing, and a year at the most"));
    }
    if why.trim().is_empty() {
        return Ok(refuse("--why: a word to whoever wonders"));
    }
    let word = Acknowledgement {
        signal: target.signal,
        kind: target.kind,
        id: target.id,
        instance: target.instance,
        attention: if mute { Attention::Muted } else { Attention::Acknowledged },
        by,
        why: sanitise(why.trim()).into_owned(),
        at: now,
        seen: None,
        cause: None,
        until: now.saturating_add(SignedDuration::try_from(duration)?)?,
    };
    store.add(now, word.clone())?;
    let kind = serde_json::to_value(word.kind)?;
    output::say(&format!(
        "{}: {} of {} {} on {}, until {:.0}",
        if mute { "muted" } else { "acknowledged" },
        word.signal,
        kind.as_str().unwrap_or_default().replace('_', " "),
        sanitise(&word.id),
        sanitise(&word.instance),
        word.until
    ));
    if !mute {
        output::say("that covers what is there now; the next incident is told again (--mute: also what is to come)");
    }
    let looked = tokio::time::timeout(LOOK, nothing_like(config, &word)).await;
    looked.ok().flatten().iter().for_each(|said| output::say(said));
    Ok(Exit::Fine)
}

/// That what was named is not there now, and what may be meant; `None`: it is, or that cannot be said.
async fn nothing_like(mut config: Config, word: &Acknowledgement) -> Option<String> {
    config.instances.retain(|instance| instance.name.as_str() == word.instance);
    let mut poller = observe::look(&config, false).ok()?;
    let snapshot = observe::complete(&mut poller).await;
    let instance = snapshot.instances.first().filter(|instance| instance.reach == Reach::Up)?;
    let judged = snapshot.unknown.iter().all(|it| it.signal != word.signal);
    let alike = || snapshot.findings.iter().filter(|finding| finding.signal == word.signal).map(|it| &it.subject);
    if !judged || alike().any(|subject| subject.kind == word.kind && subject.id == word.id) {
        return None;
    }
    let ids: Vec<&str> = match word.kind {
        SubjectKind::Tenant => snapshot.tenants.iter().map(|tenant| tenant.id.as_str()).collect(),
        _ => Vec::new(),
    };
    let meant = alike().map(|subject| subject.id.as_str()).chain(ids.iter().copied()).filter(|id| *id != word.id);
    let meant = did_you_mean(&word.id, meant).map(|id| format!("; did you mean {id}?")).unwrap_or_default();
    let no_tenant = word.kind == SubjectKind::Tenant && !ids.contains(&word.id.as_str());
    let id = sanitise(&word.id);
    let why = if no_tenant {
        format!("there is no tenant {id} on {}", instance.name)
    } else {
        format!("no {} of {id} is seen on {} now", word.signal, instance.name)
    };
    Some(format!("note: {why}{meant}"))
}

/// What a command line names.
struct Target {
    signal: Signal,
    kind: SubjectKind,
    /// The kind was said, not guessed.
    exact: bool,
    id: String,
    instance: String,
}

impl Target {
    fn of(subject: AckSubject) -> Result<Self, String> {
        let (Some(signal), Some(id), Some(instance)) = (subject.signal, subject.subject, subject.instance) else {
            return Err("say which finding: SIGNAL SUBJECT --instance NAME, as tierdeck findings names them".to_owned());
        };
        let Some(check) = REGISTRY.iter().find(|check| check.signal().name() == signal) else {
            let names = REGISTRY.iter().map(|check| check.signal().name());
            let meant = did_you_mean(&signal, names).map(|name| format!("; did you mean {name}?"));
            return Err(format!("no signal is called {signal:?}{}", meant.unwrap_or_default()));
        };
        let kind = match &subject.kind {
            None => likely(*check, &id),
            Some(kind) => kind_of(*check, kind)?,
        };
        let instance = InstanceName::new(&instance).to_string();
        Ok(Self { signal: check.signal(), kind, exact: subject.kind.is_some(), id, instance })
    }

    fn names(&self, word: &Acknowledgement) -> bool {
        let kind = !self.exact || word.kind == self.kind;
        kind && word.signal == self.signal && word.id == self.id && word.instance == self.instance
    }
}

fn kind_of(check: &dyn Check, name: &str) -> Result<SubjectKind, String> {
    let name = name.replace('-', "_");
    let named = |kind: &&SubjectKind| serde_json::to_value(kind).is_ok_and(|value| value == name.as_str());
    check.subjects().iter().find(named).copied().ok_or_else(|| {
        let kinds = check.subjects().iter().filter_map(|kind| serde_json::to_value(kind).ok());
        let kinds: Vec<String> = kinds.filter_map(|value| value.as_str().map(str::to_owned)).collect();
        format!("{} is never about a {name:?}, but about: {}", check.signal(), kinds.join(", "))
    })
}

/// What kind of thing a name is most likely the name of: numbers are pids, and what cannot be a tenant's id is none.
fn likely(check: &dyn Check, id: &str) -> SubjectKind {
    let kinds = check.subjects();
    let has = |kind| kinds.contains(&kind).then_some(kind);
    let number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    let session = has(SubjectKind::Session).filter(|_| number);
    let tenant = has(SubjectKind::Tenant).filter(|_| TenantId::parse(id).is_ok());
    let other = || kinds.iter().copied().find(|kind| *kind != SubjectKind::Tenant);
    session.or(tenant).or_else(other).or_else(|| kinds.first().copied()).unwrap_or(SubjectKind::Tenant)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(signal: &str, id: &str, kind: Option<&str>) -> Result<SubjectKind, String> {
        let subject = AckSubject {
            signal: Some(signal.to_owned()),
            subject: Some(id.to_owned()),
            instance: Some("shared".to_owned()),
            kind: kind.map(str::to_owned),
        };
        Target::of(subject).map(|target| target.kind)
    }

    #[test]
    fn the_kind_follows_from_the_name_unless_it_is_said() {
        assert_eq!(subject("lock-chain", "acme", None), Ok(SubjectKind::Tenant));
        assert_eq!(subject("lock-chain", "4711", None), Ok(SubjectKind::Session));
        assert_eq!(subject("long-running-query", "portarium_shared", None), Ok(SubjectKind::Role));
        assert_eq!(subject("deadlocks", "shared", None), Ok(SubjectKind::Instance));
        assert_eq!(subject("autovacuum-debt", "public.events", None), Ok(SubjectKind::Table));
        assert_eq!(subject("xmin-horizon", "abc", Some("prepared-transaction")), Ok(SubjectKind::PreparedTransaction));
        assert_eq!(
            subject("lock-chain", "acme", Some("index")),
            Err("lock-chain is never about a \"index\", but about: tenant, session".to_owned())
        );
        assert_eq!(
            subject("lock-chian", "x", None).unwrap_err(),
            "no signal is called \"lock-chian\"; did you mean lock-chain?"
        );
    }
}
