//! CloudWatch's charts of an instance: how far back they look, and what has to be asked for that. Three hours are polled and
//! kept anyway; more is asked while somebody looks.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::message::Effect;
use super::model::{Model, View};
use crate::domain::facts::cloud::Metrics;
use crate::domain::inspection::Answer;
use crate::domain::watching::{FigureInquiry, Known, Lookback};
use crate::domain::{Instance, InstanceName};

/// A page of an instance's screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InstanceTab {
    /// What is known of it in words, and charts of our own.
    #[default]
    Overview,
    /// CloudWatch's charts.
    CloudWatch,
    /// How RDS has it, what happened to it, and what will.
    Rds,
}

impl InstanceTab {
    /// All pages, in order.
    pub const ALL: [Self; 3] = [Self::Overview, Self::CloudWatch, Self::Rds];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::CloudWatch => "CloudWatch",
            Self::Rds => "RDS",
        }
    }

    /// The next page, or the one before.
    #[must_use]
    pub fn turned(self, forward: bool) -> Self {
        let at = Self::ALL.iter().position(|tab| *tab == self).unwrap_or(0);
        let step = if forward { 1 } else { Self::ALL.len() - 1 };
        Self::ALL.get((at + step) % Self::ALL.len()).copied().unwrap_or_default()
    }
}

/// A question that was not answered is asked again after so long, and then twice that …
const PATIENCE: i64 = 15;

/// … up to so long.
const LONGEST: i64 = 300;

/// Of whom, and how far back.
type Of = (InstanceName, Lookback);

/// What is looked at of CloudWatch's figures.
#[derive(Debug, Default)]
pub struct Figures {
    /// How far back.
    pub back: Lookback,
    /// What was asked last, and in which period: a chart grows by a datapoint a period.
    asked: Option<(Of, i64)>,
    /// What came of it; it stays while it is asked for again.
    told: Option<(Of, Arc<Metrics>)>,
    /// Why the last question was not answered.
    failed: Option<Failed>,
}

/// A question that was not answered.
#[derive(Debug)]
struct Failed {
    reason: String,
    /// How often in a row.
    times: u32,
    /// When it is asked again.
    again: Timestamp,
}

impl Figures {
    fn is_of(&self, of: &Of, instance: &Instance) -> bool {
        of.0 == instance.name && of.1 == self.back
    }

    /// What there is to draw of an instance: what was told stays when asking again fails.
    pub fn of<'a>(&'a self, instance: &'a Instance) -> Answer<&'a Metrics> {
        if self.back == Lookback::Hours {
            let known = instance.cloud.as_ref().and_then(|cloud| cloud.metrics.value.as_deref());
            return known.map_or(Answer::Asked, Answer::Told);
        }
        if let Some((_, metrics)) = self.told.as_ref().filter(|(of, _)| self.is_of(of, instance)) {
            return Answer::Told(metrics);
        }
        match (&self.asked, &self.failed) {
            (Some((of, _)), Some(failed)) if self.is_of(of, instance) => Answer::Failed(failed.reason.clone()),
            (Some((of, _)), None) if self.is_of(of, instance) => Answer::Asked,
            _ => Answer::Unasked,
        }
    }

    /// Why there is no newer answer than what is drawn, and in how many seconds it is asked for again.
    pub fn trouble(&self, instance: &Instance, now: Timestamp) -> Option<(&str, f64)> {
        let asked = self.asked.as_ref().is_some_and(|(of, _)| self.is_of(of, instance));
        let failed = self.failed.as_ref().filter(|_| asked && self.back != Lookback::Hours)?;
        Some((&failed.reason, failed.again.duration_since(now).as_secs_f64().max(0.0)))
    }
}

/// Where AWS knows an instance.
pub(super) fn known(instance: &Instance) -> Option<Known> {
    let cloud = instance.cloud.as_ref()?;
    let (account, identifier) = (Arc::clone(&cloud.account), Arc::clone(&cloud.identifier));
    Some(Known { instance: instance.name.clone(), account, identifier })
}

impl Model {
    /// The page of an instance that is open.
    pub fn instance_tab(&self) -> InstanceTab {
        self.instance_page
    }

    /// Whether CloudWatch's charts are on the screen.
    pub(super) fn shows_figures(&self) -> bool {
        matches!(self.view, View::Instance(_)) && self.instance_page == InstanceTab::CloudWatch
    }

    /// Looks further back, or less far.
    pub(super) fn look_back_at_figures(&mut self, further: bool) {
        let all = Lookback::ALL;
        let at = all.iter().position(|back| *back == self.figures.back).unwrap_or(0);
        let next = if further { at + 1 } else { at.wrapping_sub(1) };
        match all.get(next) {
            Some(back) => self.figures.back = *back,
            None => self.say(format!("charts over {}: there is no other", self.figures.back.title()), false),
        }
    }

    /// Asks for what the charts need: when they are opened, and when there is another datapoint to them.
    pub(super) fn want_figures(&mut self) {
        let back = self.figures.back;
        if back == Lookback::Hours || !self.shows_figures() {
            return;
        }
        let Some(instance) = self.instance.as_ref().map(|kept| &kept.value) else { return };
        let Some(of) = known(instance) else { return };
        // What it can have: that is what is polled.
        let polled = instance.cloud.as_ref().and_then(|cloud| cloud.metrics.value.as_ref());
        let metrics: Vec<_> = polled.iter().flat_map(|metrics| metrics.series.keys().copied()).collect();
        let until = self.moment();
        if metrics.is_empty() {
            return;
        }
        let whom = (of.instance.clone(), back);
        let period = until.as_second().div_euclid(back.period().as_secs());
        let figures = &mut self.figures;
        let same = figures.asked.as_ref().is_some_and(|(of, _)| *of == whom);
        if !same {
            // What failed was another question.
            figures.failed = None;
        }
        let due = figures.failed.as_ref().is_some_and(|failed| self.now >= failed.again);
        let waits = figures.failed.is_some() && !due;
        if waits || !due && same && figures.asked.as_ref().is_some_and(|(_, at)| *at == period) {
            return;
        }
        if let Some(failed) = &mut figures.failed {
            // Until it is answered: an answer that never comes is asked for again as well.
            failed.again = pause(self.now, failed.times + 1);
        }
        figures.asked = Some((whom, period));
        self.asks.push(Effect::Figures(FigureInquiry { of, metrics, back, until }));
    }

    /// Asks again at once for what the charts need.
    pub(super) fn ask_figures_again(&mut self) {
        if !self.shows_figures() || self.figures.back == Lookback::Hours {
            self.say(
                "nothing to ask again: only CloudWatch's charts of a day or a week are asked for".to_owned(),
                false,
            );
            return;
        }
        self.figures.asked = None;
    }

    /// An answer came; one to a question that nobody asks any more is dropped. What was drawn stays when asking again fails.
    pub(super) fn figures_told(&mut self, inquiry: &FigureInquiry, answer: Result<Arc<Metrics>, String>) {
        let now = self.now;
        let figures = &mut self.figures;
        let whom = (inquiry.of.instance.clone(), inquiry.back);
        if figures.asked.as_ref().is_none_or(|(of, _)| *of != whom) {
            return;
        }
        match answer {
            Ok(metrics) => (figures.told, figures.failed) = (Some((whom, metrics)), None),
            Err(reason) => {
                let times = figures.failed.as_ref().map_or(0, |failed| failed.times) + 1;
                figures.failed = Some(Failed { reason, times, again: pause(now, times) });
            }
        }
    }
}

/// When something that failed so often is asked again.
fn pause(now: Timestamp, times: u32) -> Timestamp {
    let seconds = PATIENCE.saturating_mul(1 << times.saturating_sub(1).min(10)).min(LONGEST);
    now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_fails_is_asked_ever_more_rarely() {
        let now = Timestamp::UNIX_EPOCH;
        let after = [1, 2, 3, 5, 6, 40].map(|times| pause(now, times).as_second());
        assert_eq!(after, [15, 30, 60, 240, 300, 300]);
    }
}
