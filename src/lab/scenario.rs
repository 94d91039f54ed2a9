//! What happens in the estate, as data: how much the tenants work, and which incidents come when.

use std::time::Duration;

use jiff::SignedDuration;
use serde::Deserialize;

use super::error::LabError;
use super::roster::Style;

/// A scenario: `assets/scenarios/*.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What one sees, in one sentence.
    pub about: String,
    /// What the tenants do anyway.
    pub background: Background,
    /// What goes wrong.
    #[serde(default, rename = "incident")]
    pub incidents: Vec<Incident>,
}

/// What the tenants do anyway.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// Over all tenants.
    pub transactions_per_second: f64,
    /// Share of transactions that also calculate: tens of milliseconds of a core.
    pub heavy: f64,
}

/// One thing that goes wrong.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// What.
    pub kind: Kind,
    /// Who causes it.
    pub culprit: Culprit,
    /// How long after the start of the estate.
    pub start: SignedDuration,
    /// How long it goes on; left out: until the end.
    pub duration: Option<SignedDuration>,
    /// From one beginning to the next; left out: once.
    pub every: Option<SignedDuration>,
    /// How bad; what it counts depends on the kind.
    pub intensity: u32,
}

/// Who causes an incident: the tenant of this rank (0 is the biggest) among those of a style.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Culprit {
    /// How it logs in.
    pub style: Style,
    /// Its rank.
    pub rank: usize,
}

/// What can go wrong, and what `intensity` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// So many sessions of one tenant calculate and write without a pause.
    Noisy,
    /// One tenant opens connections up to so many per cent of what clients may have.
    ConnectionStorm,
    /// So many sessions of other tenants queue behind a lock that an idle transaction holds.
    LockPileup,
    /// So many statements of one tenant run for minutes.
    RunawayQuery,
    /// So many transactions of one tenant stay open with nothing to do.
    IdleInTransaction,
    /// So many thousands of dead rows at once in a table that autovacuum leaves alone.
    Bloat,
    /// So many deadlocks a minute.
    Deadlocks,
    /// A tenant's secret in Vault opens its neighbour's place; there is only one way to do that.
    WrongSecret,
    /// Everybody in the world may restore a snapshot of the dedicated tenant of that rank; how bad is always the same.
    PublicSnapshot,
}

/// The scenarios that come with the program, by name.
const EMBEDDED: [(&str, &str); 10] = [
    ("calm", include_str!("../../assets/scenarios/calm.toml")),
    ("noisy-neighbour", include_str!("../../assets/scenarios/noisy-neighbour.toml")),
    ("connection-storm", include_str!("../../assets/scenarios/connection-storm.toml")),
    ("lock-pileup", include_str!("../../assets/scenarios/lock-pileup.toml")),
    ("runaway-query", include_str!("../../assets/scenarios/runaway-query.toml")),
    ("idle-in-transaction", include_str!("../../assets/scenarios/idle-in-transaction.toml")),
    ("bloat", include_str!("../../assets/scenarios/bloat.toml")),
    ("wrong-secret", include_str!("../../assets/scenarios/wrong-secret.toml")),
    ("public-snapshot", include_str!("../../assets/scenarios/public-snapshot.toml")),
    ("mixed", include_str!("../../assets/scenarios/mixed.toml")),
];

impl Scenario {
    /// The scenario of a demo that names none.
    pub const DEFAULT: &'static str = "mixed";

    /// The names of all scenarios.
    pub fn names() -> impl Iterator<Item = &'static str> {
        EMBEDDED.into_iter().map(|(name, _)| name)
    }

    /// A scenario that comes with the program.
    pub fn named(name: &str) -> Result<Self, LabError> {
        let (_, text) = EMBEDDED.into_iter().find(|(known, _)| *known == name).ok_or_else(|| LabError::NoScenario {
            asked: crate::domain::foreign::sanitise(name).into_owned(),
            known: Self::names().collect::<Vec<_>>().join(", "),
        })?;
        Self::parse(text)
    }

    /// A scenario from its text.
    pub fn parse(text: &str) -> Result<Self, LabError> {
        Ok(toml::from_str(text)?)
    }
}

impl Incident {
    /// When it begins, how long it lasts, and how long after its beginning the next one begins.
    pub(super) fn times(&self) -> (Duration, Option<Duration>, Option<Duration>) {
        let plain = |time: SignedDuration| Duration::try_from(time).unwrap_or_default();
        (plain(self.start), self.duration.map(plain), self.every.map(plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_parses_and_begins_soon() {
        for name in Scenario::names() {
            let scenario = Scenario::named(name).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(scenario.incidents.is_empty(), name == "calm", "{name}");
            for incident in &scenario.incidents {
                let (_, duration, every) = incident.times();
                assert!(every.is_none_or(|every| duration.is_some_and(|duration| duration < every)), "{name}");
            }
            let first = scenario.incidents.iter().map(|incident| incident.times().0).min();
            let soon = if name == "mixed" { 15 } else { 5 };
            assert!(first.is_none_or(|first| first <= Duration::from_secs(soon)), "{name}: {first:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let error = Scenario::named("storm").unwrap_err().to_string();
        assert!(error.contains("`storm`") && error.contains("connection-storm"), "{error}");
        let text = include_str!("../../assets/scenarios/bloat.toml").replace("intensity", "intensify");
        assert!(Scenario::parse(&text).unwrap_err().to_string().contains("intensify"));
    }
}
