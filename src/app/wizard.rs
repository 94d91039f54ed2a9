//! The screen of one operation: its plan, the word that approves it, how it goes, its report. One screen in several states, for
//! operations that were asked for here as for those that anybody began.

use std::collections::VecDeque;

use tui_input::Input;

use super::keys::Command;
use super::message::Effect;
use super::model::{Mode, Model, View};
use crate::domain::foreign::sanitise;
use crate::domain::operation::{Operation, Request, Stage, Wish};

/// What stands on the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Page {
    Plan,
    Step,
    Report,
}

impl Page {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Plan, Self::Step, Self::Report];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Step => "step",
            Self::Report => "report",
        }
    }
}

/// The operation on the screen.
#[derive(Debug)]
pub struct Opened {
    /// What was asked for; `None`: it was begun before.
    request: Option<Request>,
    /// What is to be asked for after it.
    rest: VecDeque<Request>,
    /// How many there are in all.
    of: usize,
    /// The number of the question for its plan.
    ticket: u64,
    /// Its name, as soon as it has one.
    id: Option<String>,
    /// All that is known of it.
    pub told: Option<Operation>,
    /// Why it was refused.
    pub refused: Vec<String>,
    /// What stands on the right.
    pub page: Page,
    /// The step that is looked at.
    pub at: usize,
    /// Whether somebody chose that step.
    chosen: bool,
    /// What was asked for last and has not come yet.
    pub pending: Option<&'static str>,
}

/// What a typed word is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Carry the plan out.
    Start,
    /// Go on with it, or roll it back, or leave it as it is; taking it over from somebody who fell silent.
    Go(Wish, bool),
}

/// A word that is being typed.
#[derive(Debug)]
pub struct Confirm {
    /// What was typed so far.
    pub input: Input,
    /// What has to be typed.
    pub wanted: String,
    /// What it is for.
    pub deed: Deed,
    /// What was wrong with what was typed.
    pub error: Option<String>,
}

impl Opened {
    fn asked(request: Request, rest: VecDeque<Request>, of: usize, ticket: u64) -> Self {
        Self { request: Some(request), rest, of, ticket, ..Self::nothing() }
    }

    /// One that was begun before.
    pub(super) fn known(id: String) -> Self {
        Self { id: Some(id), ..Self::nothing() }
    }

    fn nothing() -> Self {
        Self {
            request: None,
            rest: VecDeque::new(),
            of: 1,
            ticket: 0,
            id: None,
            told: None,
            refused: Vec::new(),
            page: Page::Plan,
            at: 0,
            chosen: false,
            pending: Some("looking at it …"),
        }
    }

    /// Its name.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Which of several it is.
    pub fn place(&self) -> Option<(usize, usize)> {
        (self.of > 1).then(|| (self.of - self.rest.len(), self.of))
    }

    /// What it is about, before anything is known of it.
    pub fn title(&self) -> String {
        match (&self.told, &self.request) {
            (Some(told), _) => told.summary.clone(),
            (None, Some(request)) => format!("{} {}", request.kind, request.aim.words()),
            (None, None) => self.id.clone().unwrap_or_default(),
        }
    }

    /// Its name, if what becomes of it has to be asked: what is carried out here is told.
    pub(super) fn followed(&self) -> Option<&str> {
        let open = |told: &Operation| !told.here && matches!(told.stage, Stage::Running | Stage::Paused);
        self.id.as_deref().filter(|_| self.told.as_ref().is_some_and(open))
    }

    pub(super) fn take(&mut self, told: Operation) {
        let stood = self.told.as_ref().map(|told| told.stage);
        if stood != Some(told.stage) {
            self.page = match told.stage {
                Stage::Planned => Page::Plan,
                Stage::Running | Stage::Paused => Page::Step,
                Stage::Over => Page::Report,
            };
            self.refused.clear();
            self.chosen = false;
        }
        if !self.chosen {
            self.at = told.at();
        }
        if stood != Some(told.stage) || told.stage != Stage::Running || self.pending != Some(PAUSING) {
            self.pending = None;
        }
        self.told = Some(told);
    }

    /// The step that is looked at.
    pub fn step(&self) -> Option<&crate::domain::operation::Step> {
        self.told.as_ref()?.steps.get(self.at)
    }
}

/// What is said while a running step is waited for.
pub const PAUSING: &str = "pausing after this step …";

impl Model {
    /// Asks for plans of these, one after the other.
    pub(super) fn request(&mut self, mut requests: VecDeque<Request>) {
        let of = requests.len();
        if let Some(first) = requests.pop_front() {
            self.prepare(first, requests, of);
            self.open(View::Operation);
        }
    }

    fn prepare(&mut self, request: Request, rest: VecDeque<Request>, of: usize) {
        self.works.tickets += 1;
        let ticket = self.works.tickets;
        self.asks.push(Effect::Prepare(ticket, request.clone()));
        self.works.opened = Some(Opened::asked(request, rest, of, ticket));
        self.scroll.top = 0;
    }

    /// A plan came, or why there is none.
    pub(super) fn prepared(&mut self, ticket: u64, answer: Result<Operation, Vec<String>>) {
        let Some(opened) = self.works.opened.as_mut().filter(|opened| opened.ticket == ticket && opened.id.is_none())
        else {
            return;
        };
        opened.pending = None;
        match answer {
            Ok(told) => {
                opened.id = Some(told.id.clone());
                opened.take(told);
                if self.view != View::Operation {
                    self.asks.push(Effect::Bell);
                }
            }
            Err(reasons) => opened.refused = reasons,
        }
        self.entitle();
    }

    /// Something that was asked for was refused.
    pub(super) fn was_refused(&mut self, id: &str, reasons: Vec<String>) {
        if let Some(opened) = self.works.opened.as_mut().filter(|opened| opened.id() == Some(id)) {
            opened.pending = None;
            opened.refused = reasons;
            self.scroll.top = 0;
        } else {
            self.say(reasons.join("; "), true);
        }
    }

    /// What a key would do to the operation on the screen; `Err` says why it does nothing.
    fn deed(&self, command: Command) -> Result<Do, String> {
        let Some(opened) = &self.works.opened else { return Err("no operation is open".to_owned()) };
        let again = opened.request.is_some() && opened.told.as_ref().is_none_or(|told| told.stage == Stage::Planned);
        let Some(told) = &opened.told else {
            return match command {
                Command::Retry if again && !opened.refused.is_empty() => Ok(Do::Again),
                Command::GoOn if !opened.refused.is_empty() && !opened.rest.is_empty() => Ok(Do::Next),
                _ => Err(opened.pending.unwrap_or("there is no plan: r plans again").to_owned()),
            };
        };
        if opened.pending.is_some() && !matches!(command, Command::Retry) {
            return Err(opened.pending.unwrap_or_default().to_owned());
        }
        let id = told.id.clone();
        let take_over = told.stage == Stage::Running && told.forsaken;
        let word = |wish| {
            let wanted = if take_over || wish == Wish::Abandon { id.clone() } else { told.confirm.clone() };
            Do::Confirm(Deed::Go(wish, take_over), wanted)
        };
        let elsewhere = format!("{} carries it out", told.operator);
        let done = match (command, told.stage) {
            (Command::GoOn, Stage::Planned) if !opened.refused.is_empty() => {
                return Err("it was refused: r plans again".to_owned());
            }
            (Command::GoOn, Stage::Planned) => Do::Confirm(Deed::Start, told.confirm.clone()),
            (Command::Retry, Stage::Planned) if again => return Ok(Do::Again),
            (Command::GoOn | Command::Retry, Stage::Paused) => Do::Go(id, Wish::Forward),
            (Command::GoOn, Stage::Over) if !opened.rest.is_empty() => return Ok(Do::Next),
            (Command::PauseStep, Stage::Running) if told.here => return Ok(Do::Pause(id)),
            (Command::GoOn, Stage::Running) if take_over => word(Wish::Forward),
            (Command::RollBack, Stage::Paused | Stage::Over) => {
                told.undo.clone()?;
                word(Wish::Back)
            }
            (Command::RollBack, Stage::Running) if take_over => {
                told.undo.clone()?;
                word(Wish::Back)
            }
            (Command::Abandon, Stage::Paused) => word(Wish::Abandon),
            // What is in force can be let go of: nobody will undo it any more.
            (Command::Abandon, Stage::Over) if told.undo.is_ok() => word(Wish::Abandon),
            (Command::Abandon, Stage::Running) if take_over => word(Wish::Abandon),
            (_, Stage::Running) if told.here => return Err("it runs: p pauses it after this step".to_owned()),
            (_, Stage::Running) => return Err(elsewhere),
            (Command::PauseStep, _) => return Err("it does not run".to_owned()),
            (_, Stage::Over) => return Err(format!("it is over: {}", told.state)),
            (_, Stage::Planned) => return Err("nothing was done yet: q leaves it".to_owned()),
            (_, Stage::Paused) => return Err("it is paused".to_owned()),
        };
        if self.settings.read_only {
            return Err(super::READ_ONLY.to_owned());
        }
        Ok(done)
    }

    /// Whether a key would do something to the operation on the screen.
    pub(super) fn would(&self, command: Command) -> bool {
        self.deed(command).is_ok()
    }

    /// Carries out a key on the screen of an operation.
    pub(super) fn work(&mut self, command: Command) -> Vec<Effect> {
        match self.deed(command) {
            Err(why) => {
                self.say(why, true);
                Vec::new()
            }
            Ok(Do::Confirm(deed, wanted)) => {
                self.mode = Mode::Confirm(Confirm { input: Input::default(), wanted, deed, error: None });
                if matches!(deed, Deed::Go(Wish::Back, _)) {
                    // What would be undone is another text.
                    self.scroll.top = 0;
                }
                Vec::new()
            }
            Ok(Do::Go(id, wish)) => {
                self.pend("going on …");
                vec![Effect::GoOn { id, wish, take_over: false }]
            }
            Ok(Do::Pause(id)) => {
                self.pend(PAUSING);
                vec![Effect::PauseAfterStep(id)]
            }
            Ok(Do::Again) => {
                if let Some(Opened { request: Some(request), rest, of, .. }) = self.works.opened.take() {
                    self.prepare(request, rest, of);
                }
                Vec::new()
            }
            Ok(Do::Next) => {
                if let Some(Opened { mut rest, of, .. }) = self.works.opened.take()
                    && let Some(next) = rest.pop_front()
                {
                    self.prepare(next, rest, of);
                }
                Vec::new()
            }
        }
    }

    fn pend(&mut self, what: &'static str) {
        if let Some(opened) = &mut self.works.opened {
            opened.pending = Some(what);
            opened.refused.clear();
            opened.chosen = false;
        }
    }

    /// Takes a typed word; a wrong one does nothing, and says so.
    pub(super) fn confirmed(&mut self, confirm: Confirm) -> Vec<Effect> {
        let typed = confirm.input.value().trim().to_owned();
        if typed != confirm.wanted {
            let error = format!("not {:?}: nothing was done", sanitise(&typed));
            self.mode = Mode::Confirm(Confirm { input: Input::default(), error: Some(error), ..confirm });
            return Vec::new();
        }
        let Some(id) = self.works.opened.as_ref().and_then(|opened| opened.id().map(str::to_owned)) else {
            return Vec::new();
        };
        match confirm.deed {
            Deed::Start => {
                self.pend("beginning …");
                vec![Effect::Start { id, typed }]
            }
            Deed::Go(wish, take_over) => {
                self.pend(if wish == Wish::Back { "rolling back …" } else { "going on …" });
                vec![Effect::GoOn { id, wish, take_over }]
            }
        }
    }

    /// Leaves the screen. What runs goes on, what is paused stays resumable, what was only planned is forgotten.
    pub(super) fn leave_operation(&mut self) {
        let Some(opened) = &self.works.opened else { return self.go_back() };
        let left = opened.rest.len();
        let words = match opened.told.as_ref().map(|told| (told.stage, told.here)) {
            Some((Stage::Running, true)) => Some("it goes on: 8 leads back to it".to_owned()),
            Some((Stage::Paused, _)) => Some("it stays paused and holds its tenant: 8 leads back to it".to_owned()),
            None | Some((Stage::Planned, _)) if left > 0 => {
                Some(format!("nothing was done, nor will be to {left} more"))
            }
            None | Some((Stage::Planned, _)) => Some("nothing was done".to_owned()),
            Some(_) if left > 0 => Some(format!("{left} more were not asked for")),
            Some(_) => None,
        };
        if opened.told.as_ref().is_none_or(|told| told.stage == Stage::Planned) {
            self.works.opened = None;
        }
        self.go_back();
        if let Some(words) = words {
            self.say(words, false);
        }
        self.entitle();
    }

    /// Turns to another page on the right.
    pub(super) fn turn_page(&mut self, forward: bool) {
        let Some(opened) = &mut self.works.opened else { return };
        let all = Page::ALL;
        let at = all.iter().position(|page| *page == opened.page).unwrap_or(0);
        opened.page = all[if forward { (at + 1) % all.len() } else { (at + all.len() - 1) % all.len() }];
        self.scroll.top = 0;
    }

    /// Goes to another step, where one is looked at; says whether it did.
    pub(super) fn step_through(&mut self, by: isize) -> bool {
        if self.view != View::Operation || by.abs() != 1 || !matches!(self.mode, Mode::Normal) {
            return false;
        }
        let Some(opened) = self.works.opened.as_mut().filter(|opened| opened.page == Page::Step) else { return false };
        let last = opened.told.as_ref().map_or(0, |told| told.steps.len().saturating_sub(1));
        opened.at = opened.at.saturating_add_signed(by).min(last);
        opened.chosen = true;
        self.scroll.top = 0;
        true
    }
}

/// What a key comes to.
enum Do {
    Confirm(Deed, String),
    Go(String, Wish),
    Pause(String),
    Again,
    Next,
}
