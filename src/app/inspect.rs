//! What is asked about the session that is looked at: its locks when its page opens, its plan on a key.

use super::keys::Command;
use super::list::Keyed;
use super::message::Effect;
use super::model::{Model, SessionId, View};
use crate::domain::inspection::{Answer, Home, Inquiry, Plan, PlanInquiry, SessionLocks};
use crate::domain::session::Rank;
use crate::domain::{Session, SessionState};

/// What was asked about one session.
#[derive(Debug)]
pub struct Inspected {
    /// Which.
    pub of: SessionId,
    /// Its locks.
    pub locks: Answer<SessionLocks>,
    /// How its statement would be carried out.
    pub plan: Answer<Plan>,
}

impl Model {
    /// The page of a session was opened: whatever was asked about another is forgotten.
    pub(super) fn inspect(&mut self) {
        let View::Session(of) = &self.view else { return };
        if self.inspected.as_ref().is_none_or(|inspected| inspected.of != *of) {
            let of = of.clone();
            self.inspected = Some(Inspected { of, locks: Answer::Unasked, plan: Answer::Unasked });
        }
        self.ask_locks();
    }

    /// Asks for the locks of the session that is looked at, unless that is still being answered.
    pub(super) fn ask_locks(&mut self) {
        let Some(inquiry) = self.inquiry() else { return };
        if let Some(inspected) = &mut self.inspected
            && inspected.locks != Answer::Asked
        {
            inspected.locks = Answer::Asked;
            self.asks.push(Effect::Locks(inquiry));
        }
    }

    /// Asks for the plan of its statement, unless that is still being answered.
    pub(super) fn ask_plan(&mut self) {
        let (Some(session), Some(kept)) = (self.inquiry(), &self.session) else { return };
        let Some(query) = kept.value.query.clone().filter(|query| !query.is_empty()) else {
            self.say("there is no statement to explain: it is not shown to our login", true);
            return;
        };
        let home = self.home(&kept.value);
        if let Some(inspected) = &mut self.inspected
            && inspected.plan != Answer::Asked
        {
            inspected.plan = Answer::Asked;
            self.asks.push(Effect::Plan(Box::new(PlanInquiry { session, query, home })));
        }
    }

    /// Whether asking could bring anything.
    pub(super) fn can_ask(&self, command: Command) -> bool {
        match command {
            Command::AskPlan => self.session.as_ref().is_some_and(|kept| kept.value.query.is_some()),
            _ => self.session.as_ref().is_some_and(|kept| !kept.gone),
        }
    }

    /// An answer came; one about a session that was left meanwhile is dropped.
    pub(super) fn learned<T>(
        &mut self,
        of: &SessionId,
        place: impl FnOnce(&mut Inspected) -> &mut Answer<T>,
        answer: Result<T, String>,
    ) {
        if let Some(inspected) = self.inspected.as_mut().filter(|inspected| inspected.of == *of) {
            *place(inspected) = answer.map_or_else(Answer::Failed, Answer::Told);
        }
    }

    fn inquiry(&self) -> Option<Inquiry> {
        let session = &self.session.as_ref()?.value;
        let (instance, key) = session.key();
        let known = session.state != SessionState::Unknown || !session.database.is_empty();
        known.then(|| Inquiry { instance, key, database: session.database.clone() })
    }

    /// The schema of its tenant, where tenants have schemas.
    fn home(&self, session: &Session) -> Option<Home> {
        let (tenant, reason) = (session.attribution.tenant()?, session.attribution.reason()?);
        let found =
            self.shown.tenants.iter().find(|found| found.id == *tenant && found.instance == session.instance)?;
        let schema = found.schema.clone().filter(|_| found.database.is_none())?;
        Some(Home { tenant: tenant.clone(), schema, claimed: reason.rank() == Rank::Claimed })
    }
}
