//! Screen 8 and what the console knows of operations: the list, which of them run here, which need their operator.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::list::Keyed;
use super::message::Effect;
use super::model::{Held, Model, Scroll, TenantTab, View};
use super::table::{Column, Value};
use super::wizard::Opened;
use crate::domain::foreign::sanitise;
use crate::domain::operation::{Operation, OperationLine, OperationList, Stage};
use crate::domain::{Tenant, TenantId};

/// Seconds after which what is looked at is asked again.
const AGAIN: f64 = 2.0;

impl Keyed for OperationLine {
    type Key = String;
    fn key(&self) -> String {
        self.id.clone()
    }
    fn is(&self, key: &String) -> bool {
        self.id == *key
    }
}

/// The columns of the list of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the keys say it")]
pub enum OperationColumn {
    /// Those that need somebody first, then those that are in force, then the newest.
    Need,
    State,
    Kind,
    Tenant,
    Summary,
    Operator,
    /// Seconds since it was last heard of.
    Silent,
    Began,
    Id,
}

impl Column for OperationColumn {
    type Row = OperationLine;
    type Context = Timestamp;
    const ALL: &'static [Self] = &[
        Self::Need,
        Self::State,
        Self::Kind,
        Self::Tenant,
        Self::Summary,
        Self::Operator,
        Self::Silent,
        Self::Began,
        Self::Id,
    ];

    fn key(self) -> &'static str {
        match self {
            Self::Need => "need",
            Self::State => "state",
            Self::Kind => "kind",
            Self::Tenant => "tenant",
            Self::Summary => "what",
            Self::Operator => "by",
            Self::Silent => "heard",
            Self::Began => "age",
            Self::Id => "id",
        }
    }

    fn is_fixed(self) -> bool {
        matches!(self, Self::Need | Self::Summary)
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Need | Self::Silent | Self::Began)
    }

    fn value<'a>(self, row: &'a OperationLine, moment: &Timestamp) -> Value<'a> {
        let text = |text: &'a str| Value::Text(Cow::Borrowed(text));
        match self {
            Self::Need => Value::Number(match row.state.as_str() {
                "running" => 3.0,
                "paused" => 4.0,
                _ if row.in_force => 2.0,
                _ => 1.0,
            }),
            Self::State => text(&row.state),
            Self::Kind => text(&row.kind),
            Self::Tenant => match row.tenants.as_slice() {
                [] => Value::Missing,
                [one] => text(one.as_str()),
                [one, rest @ ..] => Value::Text(Cow::Owned(format!("{one} +{}", rest.len()))),
            },
            Self::Summary => text(&row.summary),
            Self::Operator => text(&row.operator),
            Self::Silent => Value::number(row.silent.filter(|_| row.unfinished)),
            Self::Began => Value::number(row.began.map(|began| moment.duration_since(began).as_secs_f64().max(0.0))),
            Self::Id => text(&row.id),
        }
    }
}

/// What the console knows of operations.
#[derive(Debug)]
pub struct Works {
    /// All of them.
    pub list: Held<OperationColumn>,
    /// When they were asked for; `None`: never answered.
    pub at: Option<Timestamp>,
    /// Why some may be missing.
    pub trouble: Option<String>,
    /// When somebody asked last.
    asked: Option<Timestamp>,
    /// The one on its own screen.
    pub opened: Option<Opened>,
    /// Numbers of what was asked for.
    pub(super) tickets: u64,
    /// Those that this console carries out, or did: what they do, and where they stand.
    here: BTreeMap<String, (String, Stage)>,
    /// What the terminal's title says now.
    titled: Option<String>,
}

impl Default for Works {
    fn default() -> Self {
        Self {
            list: Held::by(OperationColumn::Need),
            at: None,
            trouble: None,
            asked: None,
            opened: None,
            tickets: 0,
            here: BTreeMap::new(),
            titled: None,
        }
    }
}

impl Works {
    /// Those that are carried out here, now: what they do.
    pub fn running(&self) -> Vec<&str> {
        let running = self.here.values().filter(|(_, stage)| *stage == Stage::Running);
        running.map(|(summary, _)| summary.as_str()).collect()
    }

    /// What is in force for a tenant, the newest first.
    pub fn in_force<'a>(&'a self, tenant: &'a TenantId) -> impl Iterator<Item = &'a OperationLine> {
        self.list.rows.iter().filter(move |line| line.in_force && line.tenants.contains(tenant))
    }

    /// What ever was done about a tenant, the newest first.
    pub fn of<'a>(&'a self, tenant: &'a TenantId) -> impl Iterator<Item = &'a OperationLine> {
        self.list.rows.iter().filter(move |line| line.tenants.contains(tenant))
    }

    /// What is under way with a tenant.
    pub fn under_way<'a>(&'a self, tenant: &'a TenantId) -> Option<&'a OperationLine> {
        self.of(tenant).find(|line| line.unfinished)
    }
}

/// What an operation that is in force has made of its tenant, in a word.
pub fn made(line: &OperationLine) -> &str {
    match line.kind.as_str() {
        "throttle" => "throttled",
        "quarantine" => "quarantined",
        other => other,
    }
}

impl Model {
    /// Asks for the list, unless it was asked for just now.
    pub(super) fn ask_operations(&mut self, at_once: bool) {
        let lately = self.works.asked.is_some_and(|at| self.now.duration_since(at).as_secs_f64() < AGAIN);
        if (at_once || !lately) && self.playback.is_none() {
            self.works.asked = Some(self.now);
            self.asks.push(Effect::Operations);
        }
    }

    /// What is looked at is asked again from time to time.
    pub(super) fn refresh_operations(&mut self) {
        match self.view {
            View::Operations | View::Tenant(_) => self.ask_operations(false),
            View::Operation => {
                let follow = self.works.opened.as_ref().and_then(Opened::followed).map(str::to_owned);
                let lately = self.works.asked.is_some_and(|at| self.now.duration_since(at).as_secs_f64() < AGAIN);
                if let Some(id) = follow.filter(|_| !lately) {
                    self.works.asked = Some(self.now);
                    self.asks.push(Effect::Follow(id));
                }
            }
            _ => {}
        }
    }

    pub(super) fn listed(&mut self, list: OperationList) {
        self.works.list.rows = list.lines;
        self.works.trouble = list.trouble;
        self.works.at = Some(list.at);
        // Somebody else went on with it, or ended it: nobody is needed here any more.
        let lines = &self.works.list.rows;
        let waits = |id: &String| lines.iter().find(|line| line.id == *id).is_none_or(|line| line.state == "paused");
        self.works.here.retain(|id, (_, stage)| *stage != Stage::Paused || waits(id));
        self.entitle();
        self.refill_operations();
        self.offer_anew();
    }

    pub(super) fn refill_operations(&mut self) {
        let moment = self.moment();
        self.works.list.refill(&moment);
        let tenant = self.tenant.as_ref().map(|kept| kept.value.id.clone());
        let rows = self.works.list.rows.iter().enumerate();
        let its = rows.filter(|(_, line)| tenant.as_ref().is_some_and(|id| line.tenants.contains(id)));
        let places = its.map(|(at, _)| at).collect();
        self.page.operations.refill(places, &self.works.list.rows);
    }

    /// Opens the operation under the cursor.
    pub(super) fn open_operation(&mut self) {
        let list = match (&self.view, self.page.tab) {
            (View::Tenant(_), TenantTab::Operations) => &self.page.operations,
            _ => &self.works.list.table.list,
        };
        let Some(line) = list.selected().and_then(|at| self.works.list.rows.get(at)) else {
            self.say("nothing selected", true);
            return;
        };
        let id = line.id.clone();
        self.follow(id);
    }

    /// Opens an operation by its name.
    pub(super) fn follow(&mut self, id: String) {
        self.works.opened = Some(Opened::known(id.clone()));
        self.scroll = Scroll::default();
        self.asks.push(Effect::Follow(id));
        self.open(View::Operation);
    }

    /// Something was heard of an operation.
    pub(super) fn heard(&mut self, told: Operation) {
        if told.here || self.works.here.contains_key(&told.id) {
            let before = self.works.here.insert(told.id.clone(), (told.summary.clone(), told.stage));
            if told.stage == Stage::Paused && before.is_none_or(|(_, stage)| stage != Stage::Paused) {
                self.asks.push(Effect::Bell);
            }
            if told.stage != Stage::Running {
                self.ask_operations(true);
            }
        }
        if let Some(opened) = self.works.opened.as_mut().filter(|opened| opened.id() == Some(told.id.as_str())) {
            let stood = opened.told.as_ref().map(|told| told.stage);
            opened.take(told);
            if stood != opened.told.as_ref().map(|told| told.stage) {
                self.scroll.top = 0;
            }
        }
        self.entitle();
    }

    /// What an operation that is carried out here wants of its operator stands in the terminal's title until it has it.
    pub(super) fn entitle(&mut self) {
        let waits = self.works.opened.as_ref().and_then(|opened| {
            let planned = opened.told.as_ref().filter(|told| told.stage == Stage::Planned)?;
            (self.view != View::Operation).then(|| format!("{} waits to be approved", planned.kind))
        });
        let paused = self.works.here.values().find(|(_, stage)| *stage == Stage::Paused);
        let title = paused.map(|(summary, _)| format!("paused: {summary}")).or(waits);
        let title = title.map(|title| format!("‼ {} · tierdeck", sanitise(&title)));
        if title != self.works.titled {
            self.works.titled.clone_from(&title);
            self.asks.push(Effect::Title(title));
        }
    }

    /// What stays visible of a tenant: what is in force, and what is under way.
    pub fn standing(&self, tenant: &Tenant) -> Vec<String> {
        let by = |line: &OperationLine| {
            let since = line.began.map(|at| at.strftime(" since %Y-%m-%d %H:%MZ").to_string()).unwrap_or_default();
            format!("{}{since} by {}", made(line), line.operator)
        };
        let mut words: Vec<String> = self.works.in_force(&tenant.id).map(by).collect();
        let under_way = self.works.under_way(&tenant.id);
        words.extend(under_way.map(|line| format!("{} is {}, by {}", line.kind, line.state, line.operator)));
        words
    }
}
