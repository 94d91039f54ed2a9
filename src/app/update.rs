//! `(model, message) → model, effects`: the only place where the console changes its mind. Pure.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind};
use tui_input::backend::crossterm::EventHandler;
use tui_input::{Input, InputRequest};

use super::arrange::Arranged;
use super::chooser::Change;
use super::form::Purpose;
use super::keys::{self, Command};
use super::message::{Effect, Message, Report, Viewport};
use super::model::{FleetFocus, Mode, Model, Notice, Prompt, TenantTab, View};
use super::palette::{Action, Palette};
use super::pane::Pane;
use crate::domain::foreign::sanitise;
use crate::domain::playback::Order;
use crate::domain::quantity;

/// How long a notice stays, in seconds.
const NOTICE: f64 = 5.0;

/// The steps of `[` and `]`, in milliseconds.
const REFRESH: [u64; 8] = [500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000];

impl Model {
    /// Takes in what happened and says what should be done about it.
    pub fn update(&mut self, message: Message) -> Vec<Effect> {
        let mut effects = self.take_in(message);
        self.want_tables();
        self.want_figures();
        self.want_log();
        effects.append(&mut self.asks);
        effects
    }

    fn take_in(&mut self, message: Message) -> Vec<Effect> {
        match message {
            Message::Key(key) => {
                self.clicked = None;
                let mut effects = self.key(key);
                self.settle_log();
                effects.extend(self.wanted());
                return self.keeping(effects);
            }
            Message::Mouse(event) => {
                let mut effects = self.mouse(event);
                self.settle_log();
                effects.extend(self.wanted());
                return self.keeping(effects);
            }
            Message::Paste(text) => self.type_in(|input| paste(input, &text)),
            Message::Snapshot(snapshot) => {
                self.now = self.now.max(snapshot.taken_at);
                self.timeline.take(&snapshot);
                self.seen.take(&snapshot);
                self.live = Arc::clone(&snapshot);
                if self.paused.is_none() {
                    self.shown = snapshot;
                    self.refill();
                }
            }
            Message::Tick(now) => {
                self.now = now;
                if self.notice.as_ref().is_some_and(|notice| now.duration_since(notice.at).as_secs_f64() > NOTICE) {
                    self.notice = None;
                }
                self.refresh_operations();
                return self.wanted().into_iter().collect();
            }
            Message::Report(Report::History(curve)) => self.looking.curve = Some(curve),
            Message::Report(Report::Taping(taping)) => self.taping = taping,
            Message::Report(Report::Tables(of, answer)) => self.tables_told(&of, answer),
            Message::Report(Report::Figures(of, answer)) => self.figures_told(&of, answer),
            Message::Report(Report::Log(of, said)) => self.log_told(&of, said),
            Message::Report(Report::Playback(playback)) => self.played(playback),
            Message::Report(Report::Done(text)) => self.say(text, false),
            Message::Report(Report::Failed(text)) => self.say(text, true),
            Message::Report(Report::Locks(of, locks)) => self.learned(&of, |inspected| &mut inspected.locks, locks),
            Message::Report(Report::Plan(of, plan)) => {
                self.learned(&of, |inspected| &mut inspected.plan, plan.map(|plan| *plan));
            }
            Message::Report(Report::Operations(list)) => self.listed(list),
            Message::Report(Report::Prepared(ticket, answer)) => self.prepared(ticket, answer.map(|told| *told)),
            Message::Report(Report::Operation(told)) => self.heard(*told),
            Message::Report(Report::Refused(id, reasons)) => self.was_refused(&id, reasons),
            Message::Report(Report::Exists(document)) => self.ask_to_replace(document),
            Message::Report(Report::Themes(themes, problem)) => {
                self.restock(themes);
                if let Some(problem) = problem {
                    self.say(problem, true);
                }
            }
            Message::Drawn(viewport) => self.drawn(viewport),
        }
        Vec::new()
    }

    /// What an operator chose is kept, whichever way it was chosen.
    fn keeping(&mut self, mut effects: Vec<Effect>) -> Vec<Effect> {
        let now = self.preferences();
        if now != self.kept {
            self.kept = now.clone();
            // Before leaving, which ends everything else.
            effects.insert(0, Effect::Keep(now));
        }
        effects
    }

    pub(super) fn say(&mut self, text: impl Into<String>, bad: bool) {
        self.notice = Some(Notice { text: text.into(), bad, at: self.now });
    }

    fn drawn(&mut self, viewport: Viewport) {
        if let Some((span, pane)) = viewport.list.zip(self.pane()) {
            self.on_rows(pane, |rows| rows.seen(span.top, span.page));
        }
        if let Some(span) = viewport.text {
            self.scroll.top = span.top;
            self.scroll.page = span.page;
            self.scroll.lines = viewport.lines;
        }
        self.spots = viewport.spots;
    }

    fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        if key.kind == KeyEventKind::Release {
            return Vec::new();
        }
        if let Some(command) = keys::lookup(self.playing(), &key).or_else(|| keys::lookup(self.contexts(), &key)) {
            return self.command(command);
        }
        if let (Mode::Normal, KeyCode::Char(char)) = (&self.mode, key.code) {
            let shown = sanitise(char.encode_utf8(&mut [0; 4])).into_owned();
            self.say(format!("{shown} does nothing here; ? says what does"), false);
        }
        self.type_in(|input| {
            input.handle_event(&Event::Key(key));
        });
        Vec::new()
    }

    /// Carries out a command.
    pub(super) fn command(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::Quit if self.works.running().is_empty() || self.is_leaving() => return vec![Effect::Quit],
            Command::Quit => self.ask_to_leave(),
            Command::GoOn | Command::PauseStep | Command::Retry | Command::RollBack | Command::Abandon => {
                return self.work(command);
            }
            Command::Leave => self.leave_operation(),
            Command::Actions => self.offer_actions(),
            Command::Wizards => self.offer_wizards(),
            Command::Operations => self.open(View::Operations),
            Command::Copy => return self.copied(false),
            Command::CopyQuery => return self.copied(true),
            Command::Faster => return self.refresh(false),
            Command::Slower => return self.refresh(true),
            Command::Accept => return self.accept(),
            Command::Mouse => return self.switch_mouse(),
            Command::Unacknowledge => return self.unacknowledge(),
            Command::Acknowledge => self.ask_to_acknowledge(),
            Command::Export => self.ask_to_export(),
            Command::Incident => self.ask_for_incident(),
            Command::Muted => self.show_muted(),
            Command::Columns => self.choose_columns(),
            Command::Themes => self.choose_theme(),
            Command::Mark if matches!(self.mode, Mode::Columns(_)) => self.arrange(Change::Toggle),
            Command::Mark => self.mark(),
            Command::Unmark => {
                if !self.unmark() {
                    self.say("nothing is marked", false);
                }
            }
            Command::Earlier | Command::Later if matches!(self.mode, Mode::Form(_)) => {
                self.turn_choice(command == Command::Later);
            }
            Command::Earlier => self.arrange(Change::Shift(false)),
            Command::Later => self.arrange(Change::Shift(true)),
            Command::Reset => self.arrange(Change::Reset),
            Command::Sort if matches!(self.mode, Mode::Columns(_)) => self.arrange(Change::Sort),
            Command::Cancel => self.cancel(),
            Command::Help => {
                self.scroll.top = 0;
                self.mode = Mode::Help;
            }
            Command::Palette => self.mode = Mode::Palette(Palette::open(&self.shown, &self.themes)),
            Command::Filter => self.prompt(),
            Command::Pause => self.pause(),
            Command::Fleet => self.open(View::Fleet),
            Command::Sessions => self.open(View::Sessions),
            Command::Locks => self.open(View::Locks),
            Command::Tables => self.open(View::Tables),
            Command::Instances => self.open(View::Instances),
            Command::Backups => self.open(View::Backups),
            Command::Logs => self.open_log(),
            Command::Expand => self.fold(Some(true)),
            Command::Collapse => self.fold(Some(false)),
            Command::AskLocks => self.ask_locks(),
            Command::AskPlan => self.ask_plan(),
            Command::Tenant => self.open_some_tenant(),
            Command::Open => self.open_selected(),
            Command::Back => self.go_back(),
            Command::Previous => self.go_previous(),
            Command::Down => self.step(1),
            Command::Up => self.step(-1),
            Command::PageDown => {
                let page = self.page_step();
                self.step(page);
            }
            Command::PageUp => {
                let page = self.page_step();
                self.step(-page);
            }
            Command::First => self.first(),
            Command::Last => self.step(isize::MAX),
            Command::NextMatch => self.seek(true),
            Command::PreviousMatch => self.seek(false),
            Command::Sort => self.resort(false),
            Command::Reverse => self.resort(true),
            Command::NextPane => self.turn(true),
            Command::PreviousPane => self.turn(false),
            Command::Record => return vec![Effect::Record],
            Command::PlayPause => return vec![Effect::Play(Order::Toggle)],
            Command::PlayFaster => return vec![Effect::Play(Order::Faster)],
            Command::PlaySlower => return vec![Effect::Play(Order::Slower)],
            Command::Ahead => return vec![Effect::Play(Order::Seek(10))],
            Command::Behind => return vec![Effect::Play(Order::Seek(-10))],
            Command::FarAhead => return vec![Effect::Play(Order::Seek(60))],
            Command::FarBehind => return vec![Effect::Play(Order::Seek(-60))],
            Command::NextFinding => return vec![Effect::Play(Order::NextFinding)],
            Command::PreviousFinding => return vec![Effect::Play(Order::PreviousFinding)],
            Command::FurtherBack | Command::LessFarBack if self.shows_figures() => {
                self.look_back_at_figures(command == Command::FurtherBack);
            }
            Command::AskFigures => self.ask_figures_again(),
            Command::FurtherBack | Command::LessFarBack if self.means(command) => {
                self.look_back(command == Command::FurtherBack);
            }
            Command::FurtherBack | Command::LessFarBack => {}
        }
        Vec::new()
    }

    fn copied(&mut self, whole: bool) -> Vec<Effect> {
        let text = if whole { self.query_under_cursor() } else { self.under_cursor() };
        let text = self.marked_text(whole).or_else(|| text.map(|(text, what)| (text, what.to_owned())));
        if let Some((text, what)) = text {
            self.say(format!("copied {what}"), false);
            vec![Effect::Copy(text)]
        } else {
            self.say("nothing to copy here", true);
            Vec::new()
        }
    }

    fn refresh(&mut self, slower: bool) -> Vec<Effect> {
        let now = self.settings.refresh;
        let steps = REFRESH.map(Duration::from_millis);
        let next = if slower {
            steps.into_iter().find(|step| *step > now)
        } else {
            steps.into_iter().rev().find(|step| *step < now)
        };
        let Some(next) = next else {
            let words = if slower { "least" } else { "most" };
            self.say(
                format!("sessions every {}: the {words} often there is", quantity::duration(now.as_secs_f64())),
                false,
            );
            return Vec::new();
        };
        self.settings.refresh = next;
        self.say(format!("sessions every {}", quantity::duration(next.as_secs_f64())), false);
        vec![Effect::Refresh(next)]
    }

    fn pause(&mut self) {
        if self.paused.take().is_some() {
            self.shown = Arc::clone(&self.live);
            self.refill();
        } else {
            self.paused = Some(self.now);
        }
    }

    fn resort(&mut self, reverse: bool) {
        self.focus_table();
        if let Some(table) = self.pane().and_then(|pane| self.table_mut(pane)) {
            table.turn(reverse);
        }
        self.refill_lists();
    }

    /// On the first screen, sorting and filtering is of tenants.
    fn focus_table(&mut self) {
        if self.view == View::Fleet {
            self.fleet.focus = FleetFocus::Tenants;
        }
    }

    fn turn(&mut self, forward: bool) {
        match self.view {
            View::Fleet if self.fleet.findings.rows.is_empty() => {
                self.fleet.focus = FleetFocus::Tenants;
                self.say("no finding to go to", false);
            }
            View::Fleet => {
                self.fleet.focus = match self.fleet.focus {
                    FleetFocus::Tenants if !self.fleet.findings.rows.is_empty() => FleetFocus::Findings,
                    _ => FleetFocus::Tenants,
                };
            }
            View::Operation => self.turn_page(forward),
            View::Logs => self.turn_log(forward),
            View::Instance(_) => self.open_instance_page(self.instance_page.turned(forward)),
            View::Tenant(_) => {
                let all = TenantTab::ALL;
                let at = all.iter().position(|tab| *tab == self.page.tab).unwrap_or(0);
                let next = if forward { (at + 1) % all.len() } else { (at + all.len() - 1) % all.len() };
                self.page.tab = all[next];
                self.scroll.top = 0;
                self.refill_trees_and_tables();
            }
            _ => {}
        }
    }

    /// The table that a filter here is for.
    fn filtered(&self) -> Option<Pane> {
        if self.view == View::Fleet { Some(Pane::Tenants) } else { self.pane() }
    }

    /// The text of the filter in force in this view.
    pub fn filter_text(&self) -> &str {
        self.filtered().and_then(|pane| self.table(pane)).map_or("", Arranged::filter_text)
    }

    /// Puts a filter in force in this view, or says why it cannot be.
    pub(super) fn set_filter(&mut self, text: &str) -> Result<(), String> {
        if let Some(table) = self.filtered().and_then(|pane| self.table_mut(pane)) {
            table.set_filter(text)?;
        }
        self.refill_lists();
        Ok(())
    }

    fn prompt(&mut self) {
        self.focus_table();
        let before = self.filter_text().to_owned();
        self.mode = Mode::Filter(Prompt { input: Input::new(before.clone()), before, error: None });
    }

    fn type_in(&mut self, change: impl FnOnce(&mut Input)) {
        match &mut self.mode {
            Mode::Filter(prompt) => {
                change(&mut prompt.input);
                let text = prompt.input.value().to_owned();
                let before = prompt.before.clone();
                let error = self.set_filter(&text).err();
                if error.is_some() {
                    // Nothing is guessed from half of what was typed: the rows are those of the filter before.
                    let _ = self.set_filter(&before);
                }
                if let Mode::Filter(prompt) = &mut self.mode {
                    prompt.error = error;
                }
            }
            Mode::Palette(palette) => {
                change(&mut palette.input);
                palette.search();
            }
            Mode::Form(form) => {
                if let Some(input) = form.input() {
                    change(input);
                }
            }
            Mode::Confirm(confirm) => {
                confirm.error = None;
                change(&mut confirm.input);
            }
            Mode::Normal | Mode::Help | Mode::Columns(_) | Mode::Themes(_) | Mode::Offers(_) => {}
        }
    }

    pub(super) fn accept(&mut self) -> Vec<Effect> {
        match std::mem::replace(&mut self.mode, Mode::Normal) {
            Mode::Filter(Prompt { error: Some(error), input, before }) => {
                // What is not understood is not thrown away: it stays to be corrected.
                self.mode = Mode::Filter(Prompt { error: Some(error), input, before });
            }
            Mode::Palette(palette) => match palette.chosen() {
                Some(Action::Open(view)) => self.open(view),
                Some(Action::Do(command)) => return self.command(command),
                Some(Action::Wear(theme)) => self.wear(theme),
                None => self.say("no such command", true),
            },
            Mode::Themes(_) => self.wear(self.theme.clone()),
            Mode::Form(form) => return self.answered(form),
            Mode::Offers(offers) => return self.take_offer(offers),
            Mode::Confirm(confirm) => return self.confirmed(confirm),
            Mode::Filter(_) | Mode::Columns(_) | Mode::Normal | Mode::Help => {}
        }
        Vec::new()
    }

    pub(super) fn cancel(&mut self) {
        match std::mem::replace(&mut self.mode, Mode::Normal) {
            Mode::Filter(Prompt { before, .. }) => {
                if let Err(error) = self.set_filter(&before) {
                    self.say(error, true);
                }
            }
            Mode::Themes(chooser) => self.theme = chooser.before,
            _ => {}
        }
    }

    fn is_leaving(&self) -> bool {
        matches!(&self.mode, Mode::Form(form) if matches!(form.purpose, Purpose::Leave))
    }

    fn switch_mouse(&mut self) -> Vec<Effect> {
        self.mouse = !self.mouse;
        self.say(
            if self.mouse { "the mouse is used here" } else { "the mouse is the terminal's: select text as usual" },
            false,
        );
        vec![Effect::Mouse(self.mouse)]
    }
}

fn paste(input: &mut Input, text: &str) {
    for char in sanitise(text).chars().take(200) {
        input.handle(InputRequest::InsertChar(char));
    }
}
