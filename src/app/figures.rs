//! CloudWatch's charts of an instance: how far back they look, and what has to be asked for that. Three hours are polled and
//! kept anyway; more is asked while somebody looks.

use std::sync::Arc;

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

/// What is looked at of CloudWatch's figures.
#[derive(Debug, Default)]
pub struct Figures {
    /// How far back.
    pub back: Lookback,
    /// Of whom, how far back, and in which period: a chart grows by a datapoint a period.
    asked: Option<(InstanceName, Lookback, i64)>,
    /// What came of it.
    answer: Answer<Arc<Metrics>>,
}

impl Figures {
    /// What there is to draw of an instance.
    pub fn of<'a>(&'a self, instance: &'a Instance) -> Answer<&'a Metrics> {
        if self.back == Lookback::Hours {
            let known = instance.cloud.as_ref().and_then(|cloud| cloud.metrics.value.as_deref());
            return known.map_or(Answer::Asked, Answer::Told);
        }
        let here = self.asked.as_ref().is_some_and(|(of, back, _)| *of == instance.name && *back == self.back);
        match &self.answer {
            Answer::Told(metrics) if here => Answer::Told(metrics),
            Answer::Failed(reason) if here => Answer::Failed(reason.clone()),
            _ => Answer::Asked,
        }
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
        let asked = (of.instance.clone(), back, until.as_second().div_euclid(back.period().as_secs()));
        if metrics.is_empty() || self.figures.asked.as_ref() == Some(&asked) {
            return;
        }
        let before = self.figures.asked.replace(asked.clone());
        if before.is_none_or(|(instance, back, _)| (instance, back) != (asked.0, asked.1)) {
            self.figures.answer = Answer::Asked;
        }
        self.asks.push(Effect::Figures(FigureInquiry { of, metrics, back, until }));
    }

    /// An answer came; one to a question that nobody asks any more is dropped. What was drawn stays when asking again fails.
    pub(super) fn figures_told(&mut self, inquiry: &FigureInquiry, answer: Result<Arc<Metrics>, String>) {
        let here = self.figures.asked.as_ref();
        if here.is_some_and(|(of, back, _)| *of == inquiry.of.instance && *back == inquiry.back) {
            self.figures.answer = answer.map_or_else(Answer::Failed, Answer::Told);
        }
    }
}
