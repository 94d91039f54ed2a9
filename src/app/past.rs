//! Charts over longer than this session: which stretch is looked at, and what has to be asked of the history for it.

use std::sync::Arc;

use super::message::Effect;
use super::model::{Kept, Model, TenantTab, View};
use crate::domain::history::{Curve, Stretch, Whose};
use crate::domain::playback::Playback;

/// How far back charts look, and what was asked for them.
#[derive(Debug, Default)]
pub struct Looking {
    /// How far.
    pub stretch: Stretch,
    /// What the history answered last.
    pub curve: Option<Arc<Curve>>,
    /// What was asked last, and in which minute: a stored curve grows by a point a minute.
    asked: Option<(Whose, Stretch, i64)>,
}

impl Looking {
    /// The answer, if it is about this tenant and this stretch.
    pub fn curve(&self, whose: &Whose) -> Option<&Arc<Curve>> {
        self.curve.as_ref().filter(|curve| curve.whose == *whose && curve.stretch == self.stretch)
    }
}

impl Model {
    /// Whose charts are on the screen.
    pub fn charted(&self) -> Option<Whose> {
        if let Some(instance) = self.instance_under_cursor() {
            return Some(Whose { instance: instance.name.clone(), tenant: None });
        }
        let on_page = matches!(self.view, View::Tenant(_)) && self.page.tab == TenantTab::Overview;
        let Kept { value: tenant, .. } = self.tenant.as_ref().filter(|_| on_page)?;
        Some(Whose { instance: tenant.instance.clone(), tenant: Some(tenant.id.clone()) })
    }

    /// Looks further back, or less far.
    pub(super) fn look_back(&mut self, further: bool) {
        let all = Stretch::ALL;
        let at = all.iter().position(|stretch| *stretch == self.looking.stretch).unwrap_or(0);
        let next = if further { at + 1 } else { at.wrapping_sub(1) };
        if let Some(stretch) = all.get(next) {
            self.looking.stretch = *stretch;
        } else {
            self.say(format!("charts over {}: there is no other", self.looking.stretch.title()), false);
        }
    }

    /// A recording moved: its moment is the console's, also when it lies before the one shown last.
    pub(super) fn played(&mut self, playback: Playback) {
        self.now = playback.now;
        if let Some(notice) = &mut self.notice {
            notice.at = notice.at.min(self.now);
        }
        if let Some(note) = &playback.note
            && self
                .playback
                .as_ref()
                .is_none_or(|before| (before.notes, &before.note) != (playback.notes, &playback.note))
        {
            self.say(note.clone(), false);
        }
        if playback.over == Some(true) && self.playback.as_ref().is_none_or(|before| before.over.is_none()) {
            self.say("the file was cut here: nothing more is known", true);
        }
        self.playback = Some(playback);
    }

    /// What the history has to be asked now.
    pub(super) fn wanted(&mut self) -> Option<Effect> {
        let stretch = self.looking.stretch;
        let whose = self.charted().filter(|_| stretch != Stretch::Quarter)?;
        let asked = (whose.clone(), stretch, self.moment().as_second() / 60);
        if self.looking.asked.as_ref() == Some(&asked) {
            return None;
        }
        self.looking.asked = Some(asked);
        Some(Effect::History { whose, stretch, now: self.moment() })
    }
}
