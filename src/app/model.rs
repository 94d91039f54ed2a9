//! What the console knows and where the operator stands in it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tui_input::Input;

use super::Settings;
use super::backups::{self, BackupColumn, BackupRow};
use super::chooser::{ColumnChooser, ThemeChooser};
use super::columns::{Blockers, SessionColumn, TenantColumn};
use super::figures::{Figures, InstanceTab};
use super::form::Form;
use super::homes::HomeTables;
use super::inspect::Inspected;
use super::instances::InstanceColumn;
use super::keys::Context;
use super::list::{Keyed, List};
use super::locks::LockTrees;
use super::logs::Logs;
use super::message::Effect;
use super::offers::Offers;
use super::operations::Works;
use super::palette::Palette;
use super::pane::Pane;
use super::past::Looking;
use super::pointer::Spot;
use super::preferences::Preferences;
use super::seen::Seen;
use super::statements::StatementColumn;
use super::table::{Column, Table};
use super::tables::{TableColumn, TableRow, gather};
use super::theme::Theme;
use super::timeline::Timeline;
use super::wizard::Confirm;
use crate::domain::operation::OperationLine;
use crate::domain::playback::{Playback, Taping};
use crate::domain::{Attention, Finding, Instance, Session, Snapshot, Tenant};

/// What identifies a session on every instance.
pub type SessionId = <Session as Keyed>::Key;

/// A place in the console.
#[derive(Debug, Clone, PartialEq)]
pub enum View {
    /// Screen 1: what is wrong, and every tenant.
    Fleet,
    /// Screen 2: one tenant.
    Tenant(<Tenant as Keyed>::Key),
    /// Screen 3: every session.
    Sessions,
    /// Screen 4: who waits for whom.
    Locks,
    /// Screen 5: the worst tables.
    Tables,
    /// One table in full.
    Table(<TableRow as Keyed>::Key),
    /// Screen 6: every instance.
    Instances,
    /// One instance in full.
    Instance(<Instance as Keyed>::Key),
    /// Screen 7: what could be restored.
    Backups,
    /// What one instance, or a tenant on it, could be restored from.
    Backup(<BackupRow as Keyed>::Key),
    /// Screen 9: the log of an instance.
    Logs,
    /// Why: one finding with its evidence.
    Finding(<Finding as Keyed>::Key),
    /// One session in full.
    Session(SessionId),
    /// Screen 8: operations.
    Operations,
    /// One operation: its plan, how it goes, its report.
    Operation,
}

/// Where keys go.
#[derive(Debug)]
pub enum Mode {
    /// To the view.
    Normal,
    /// The help lies over the view.
    Help,
    /// A filter is being typed.
    Filter(Prompt),
    /// The command palette is open.
    Palette(Palette),
    /// Columns are being chosen.
    Columns(ColumnChooser),
    /// A theme is being chosen.
    Themes(ThemeChooser),
    /// Questions are being answered.
    Form(Form),
    /// What can be done is being chosen from.
    Offers(Offers),
    /// A word is being typed that approves something.
    Confirm(Confirm),
}

/// A filter being typed.
#[derive(Debug)]
pub struct Prompt {
    /// What was typed so far.
    pub input: Input,
    /// The filter to go back to.
    pub before: String,
    /// Why what was typed is not understood; the last good filter stays in force.
    pub error: Option<String>,
}

/// Which part of the fleet screen has the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetFocus {
    /// WHAT IS WRONG.
    Findings,
    /// TENANTS.
    Tenants,
}

/// Screen 1.
#[derive(Debug)]
pub struct Fleet {
    /// Where the cursor is.
    pub focus: FleetFocus,
    /// WHAT IS WRONG.
    pub findings: List<Finding>,
    /// TENANTS.
    pub tenants: Table<TenantColumn>,
}

/// A page of the tenant's screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum TenantTab {
    Overview,
    Findings,
    Sessions,
    Statements,
    Locks,
    Tables,
    Operations,
    Backups,
}

impl TenantTab {
    /// All pages, in order.
    pub const ALL: [Self; 8] = [
        Self::Overview,
        Self::Findings,
        Self::Sessions,
        Self::Statements,
        Self::Locks,
        Self::Tables,
        Self::Operations,
        Self::Backups,
    ];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Findings => "findings",
            Self::Sessions => "sessions",
            Self::Statements => "statements",
            Self::Locks => "locks",
            Self::Tables => "tables",
            Self::Operations => "operations",
            Self::Backups => "backups",
        }
    }

    /// The same where there is little room.
    pub fn short(self) -> &'static str {
        match self {
            Self::Statements => "SQL",
            Self::Operations => "ops",
            other => other.title(),
        }
    }
}

/// Screen 2.
#[derive(Debug)]
pub struct TenantPage {
    /// The page that is open.
    pub tab: TenantTab,
    /// Findings that name the tenant.
    pub findings: List<Finding>,
    /// Its sessions.
    pub sessions: Table<SessionColumn>,
    /// Its dearest statements.
    pub statements: Held<StatementColumn>,
    /// Its part of the trees of locks.
    pub locks: LockTrees,
    /// Its worst tables.
    pub tables: Worst,
    /// What was done about it, as places in the list of all operations.
    pub operations: List<OperationLine>,
}

/// Rows that are made for one screen, and how they are shown.
#[derive(Debug)]
pub struct Held<C: Column> {
    /// All that is known of each.
    pub rows: Vec<C::Row>,
    /// Order, filter, cursor.
    pub table: Table<C>,
}

/// The worst tables: screen 5, and a page of the tenant.
pub type Worst = Held<TableColumn>;

impl<C: Column> Held<C> {
    pub(super) fn by(sort: C) -> Self {
        Self { rows: Vec::new(), table: Table::by(sort) }
    }

    /// Filters and sorts anew.
    pub(super) fn refill(&mut self, context: &C::Context) {
        self.table.refill(&self.rows, context, |_| true);
    }
}

/// A thing that is looked at, kept as it was last seen when it goes.
#[derive(Debug, Clone)]
pub struct Kept<T> {
    /// The newest that was seen of it.
    pub value: T,
    /// Whether it is not there any more.
    pub gone: bool,
}

/// How far a text is scrolled.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scroll {
    /// First visible line.
    pub top: usize,
    /// Lines that fit.
    pub page: usize,
    /// All lines.
    pub lines: usize,
}

/// One line for the operator that goes by itself.
#[derive(Debug, Clone)]
pub struct Notice {
    /// What to say.
    pub text: String,
    /// Whether something went wrong.
    pub bad: bool,
    /// When it was said.
    pub at: Timestamp,
}

/// The console's state.
#[derive(Debug)]
pub struct Model {
    /// What it was told of the configuration.
    pub settings: Settings,
    /// Colours.
    pub theme: Theme,
    /// The themes there are.
    pub themes: Vec<Theme>,
    /// The theme that somebody chose, by name, whether it is there or not.
    pub(super) chosen_theme: Option<String>,
    /// Kept orders of tables by columns that are not shown here.
    pub(super) unshown_sorts: super::preferences::Orders,
    /// Whether the mouse is used.
    pub mouse: bool,
    /// The refresh interval of the configuration.
    pub(super) configured_refresh: Duration,
    /// The choices that were kept last.
    pub(super) kept: Preferences,
    /// What was found when.
    pub timeline: Timeline,
    /// Whether muted findings are shown as well.
    pub unmuted: bool,
    /// What can be pointed at.
    pub(super) spots: Vec<Spot>,
    /// The row that was clicked last, until something else is done.
    pub(super) clicked: Option<(Pane, String)>,
    /// What time it is.
    pub now: Timestamp,
    /// The newest picture.
    pub live: Arc<Snapshot>,
    /// The picture on the screen: the newest, unless paused.
    pub shown: Arc<Snapshot>,
    /// Since when each instance has been seen.
    pub seen: Seen,
    /// Since when the screen is frozen.
    pub paused: Option<Timestamp>,
    /// Where we are.
    pub view: View,
    /// Where Esc leads: each view, and the tenant's page that was open.
    pub back: Vec<(View, TenantTab)>,
    /// Where `-` leads.
    pub previous: Option<View>,
    /// Where keys go.
    pub mode: Mode,
    /// Screen 1.
    pub fleet: Fleet,
    /// Screen 2.
    pub page: TenantPage,
    /// Screen 3.
    pub sessions: Table<SessionColumn>,
    /// Screen 4.
    pub locks: LockTrees,
    /// Screen 5.
    pub tables: Worst,
    /// Screen 6.
    pub instances: Table<InstanceColumn>,
    /// The instance looked at last.
    pub instance: Option<Kept<Instance>>,
    /// Which of its pages is open.
    pub(super) instance_page: InstanceTab,
    /// CloudWatch's charts.
    pub figures: Figures,
    /// Screen 7.
    pub backups: Held<BackupColumn>,
    /// What was looked at last there.
    pub backup: Option<Kept<BackupRow>>,
    /// Screen 9.
    pub logs: Logs,
    /// Who blocks how many.
    pub blockers: Blockers,
    /// The recording that is being made.
    pub taping: Option<Taping>,
    /// The recording that is played: then all of this is the past.
    pub playback: Option<Playback>,
    /// How far back charts look.
    pub looking: Looking,
    /// The tenant looked at last.
    pub tenant: Option<Kept<Tenant>>,
    /// The finding looked at last.
    pub finding: Option<Kept<Finding>>,
    /// The session looked at last.
    pub session: Option<Kept<Session>>,
    /// The table looked at last.
    pub table: Option<Kept<TableRow>>,
    /// Operations.
    pub works: Works,
    /// What was asked about the session looked at last.
    pub inspected: Option<Inspected>,
    /// What was asked about the tables of the tenant looked at last.
    pub homes: HomeTables,
    /// What is to be asked of the world because of where we went.
    pub(super) asks: Vec<Effect>,
    /// The text that scrolls: a page, or the help.
    pub scroll: Scroll,
    /// What became of the newest effect.
    pub notice: Option<Notice>,
}

impl Model {
    /// The console before anything was seen.
    pub fn new(settings: Settings, now: Timestamp) -> Self {
        let empty = Arc::new(Snapshot::empty(now, &settings.environment));
        Self {
            theme: Theme::default(),
            themes: Theme::built_in().to_vec(),
            chosen_theme: None,
            unshown_sorts: super::preferences::Orders::new(),
            mouse: true,
            configured_refresh: settings.refresh,
            kept: Preferences::default(),
            timeline: Timeline::default(),
            unmuted: false,
            spots: Vec::new(),
            clicked: None,
            settings,
            now,
            live: Arc::clone(&empty),
            shown: empty,
            seen: Seen::default(),
            paused: None,
            view: View::Fleet,
            back: Vec::new(),
            previous: None,
            mode: Mode::Normal,
            fleet: Fleet {
                focus: FleetFocus::Tenants,
                findings: List::default(),
                tenants: Table::by(TenantColumn::Severity),
            },
            page: TenantPage {
                tab: TenantTab::Overview,
                findings: List::default(),
                sessions: Table::by(SessionColumn::Trouble),
                statements: Held::by(StatementColumn::Time),
                locks: LockTrees::default(),
                tables: Held::by(TableColumn::Debt),
                operations: List::default(),
            },
            works: Works::default(),
            sessions: Table::by(SessionColumn::Trouble),
            locks: LockTrees::default(),
            tables: Held::by(TableColumn::Debt),
            instances: Table::by(InstanceColumn::Trouble),
            instance: None,
            instance_page: InstanceTab::default(),
            figures: Figures::default(),
            backups: Held::by(BackupColumn::Need),
            backup: None,
            logs: Logs::default(),
            blockers: Blockers::default(),
            taping: None,
            playback: None,
            looking: Looking::default(),
            tenant: None,
            finding: None,
            session: None,
            table: None,
            inspected: None,
            homes: HomeTables::default(),
            asks: Vec::new(),
            scroll: Scroll::default(),
            notice: None,
        }
    }

    /// The moment that the screen shows: now, or when it was frozen.
    pub fn moment(&self) -> Timestamp {
        self.paused.unwrap_or(self.now)
    }

    /// Keys of a recording that is played come before all others, where nothing is typed.
    pub fn playing(&self) -> &'static [Context] {
        let plays = self.playback.is_some() && matches!(self.mode, Mode::Normal);
        if plays { &[Context::Replay] } else { &[] }
    }

    /// Where a key is looked up, the nearest first.
    pub fn contexts(&self) -> &'static [Context] {
        self.contexts_in(&self.mode)
    }

    /// The same, were it in that mode.
    pub fn contexts_in(&self, mode: &Mode) -> &'static [Context] {
        use Context as In;
        match (mode, &self.view) {
            (Mode::Filter(_), _) => &[In::Prompt],
            (Mode::Palette(_), _) => &[In::Palette],
            (Mode::Help, _) => &[In::Help, In::Move],
            (Mode::Columns(_), _) => &[In::Columns, In::Chooser],
            (Mode::Themes(_) | Mode::Offers(_), _) => &[In::Chooser],
            (Mode::Confirm(_), _) => &[In::Confirm],
            (Mode::Form(form), _) if form.chooses() => &[In::Choice, In::Form],
            (Mode::Form(_), _) => &[In::Form],
            (Mode::Normal, View::Fleet) => &[In::Fleet, In::Table, In::Rows, In::Move, In::Everywhere],
            (Mode::Normal, View::Sessions) => &[In::Sessions, In::Table, In::Rows, In::Move, In::Everywhere],
            (Mode::Normal, View::Locks) => &[In::Locks, In::Rows, In::Move, In::Everywhere],
            (Mode::Normal, View::Tables) => &[In::Tables, In::Table, In::Rows, In::Move, In::Everywhere],
            (Mode::Normal, View::Table(_)) => &[In::OneTable, In::Move, In::Everywhere],
            (Mode::Normal, View::Tenant(_))
                if matches!(self.page.tab, TenantTab::Sessions | TenantTab::Statements | TenantTab::Tables) =>
            {
                &[In::Tenant, In::Table, In::Rows, In::Move, In::Everywhere]
            }
            (Mode::Normal, View::Tenant(_)) if !matches!(self.page.tab, TenantTab::Overview | TenantTab::Backups) => {
                &[In::Tenant, In::Rows, In::Move, In::Everywhere]
            }
            (Mode::Normal, View::Tenant(_)) => &[In::Tenant, In::Move, In::Everywhere],
            (Mode::Normal, View::Instances) => &[In::Instances, In::Table, In::Rows, In::Move, In::Everywhere],
            (Mode::Normal, View::Instance(_)) => &[In::Instances, In::Move, In::Everywhere],
            (Mode::Normal, View::Backups) => &[In::Backups, In::Table, In::Rows, In::Move, In::Everywhere],
            (Mode::Normal, View::Backup(_)) => &[In::Move, In::Everywhere],
            (Mode::Normal, View::Logs) => &[In::Logs, In::Table, In::Rows, In::Move, In::Everywhere],
            (Mode::Normal, View::Finding(_)) => &[In::Finding, In::Move, In::Everywhere],
            (Mode::Normal, View::Session(_)) => &[In::Session, In::Move, In::Everywhere],
            (Mode::Normal, View::Operations) => &[In::Operations, In::Table, In::Rows, In::Move, In::Everywhere],
            (Mode::Normal, View::Operation) => &[In::Operation, In::Move, In::Everywhere],
        }
    }

    /// How many findings nobody wants to see now.
    pub fn muted(&self) -> usize {
        let muted =
            |finding: &&Finding| finding.acknowledged.as_ref().is_some_and(|known| known.attention == Attention::Muted);
        self.shown.findings.iter().filter(muted).count()
    }

    /// Makes every list anew from the picture on the screen.
    pub fn refill(&mut self) {
        let shown = Arc::clone(&self.shown);
        self.blockers = Blockers::of(&shown.sessions);
        keep(&mut self.finding, &shown.findings);
        keep(&mut self.session, &shown.sessions);
        keep(&mut self.tenant, &shown.tenants);
        keep(&mut self.instance, &shown.instances);
        self.refill_lists();
    }

    /// Makes the lists anew: another filter, order or tenant.
    pub fn refill_lists(&mut self) {
        let shown = Arc::clone(&self.shown);
        let folded = super::fold::folded(&shown.findings);
        let mut places = in_order(&shown.findings, self.unmuted, |_| true);
        places.retain(|at| !folded.contains(at));
        self.fleet.findings.refill(places, &shown.findings);
        self.fleet.tenants.refill(&shown.tenants, &(), |_| true);
        self.sessions.refill(&shown.sessions, &self.blockers, |_| true);
        let moment = self.moment();
        self.instances.refill(&shown.instances, &moment, |_| true);
        self.refill_trees_and_tables();
        self.refill_operations();
        let Some(Kept { value: tenant, .. }) = &self.tenant else { return };
        let named = in_order(&shown.findings, self.unmuted, |finding| concerns(finding, tenant));
        self.page.findings.refill(named, &shown.findings);
        self.page.sessions.refill(&shown.sessions, &self.blockers, |session| {
            session.instance == tenant.instance && session.attribution.tenant() == Some(&tenant.id)
        });
    }
}

impl Model {
    /// What takes a walk through everything is only made for the screen that shows it.
    pub(super) fn refill_trees_and_tables(&mut self) {
        let shown = Arc::clone(&self.shown);
        let moment = self.moment();
        if self.view == View::Locks {
            self.locks.refill(&shown, None);
        } else {
            self.locks.clear();
        }
        if matches!(self.view, View::Backups | View::Backup(_)) {
            self.backups.rows = backups::gather(&shown, &self.settings.backup);
            self.backups.refill(&moment);
            keep(&mut self.backup, &self.backups.rows);
        }
        if self.view == View::Logs {
            self.catch_up_with_log();
            self.refill_log();
        }
        if matches!(self.view, View::Tables | View::Table(_)) {
            self.tables.rows = gather(&shown, None);
            if matches!(self.view, View::Table(_)) {
                self.homes.fill(&mut self.tables.rows, &shown);
            }
            self.tables.refill(&moment);
            keep(&mut self.table, &self.tables.rows);
        }
        let Some(Kept { value: tenant, .. }) = &self.tenant else { return };
        if matches!(self.view, View::Tenant(_)) {
            let stated = tenant.statements.as_ref().map(|statements| statements.top.clone());
            self.page.statements.rows = stated.unwrap_or_default();
            self.page.statements.refill(&());
            self.page.tables.rows = gather(&shown, Some(tenant));
            self.homes.fill(&mut self.page.tables.rows, &shown);
            self.page.tables.refill(&moment);
            if self.page.tab == TenantTab::Locks {
                self.page.locks.refill(&shown, Some(tenant));
                return;
            }
        }
        self.page.locks.clear();
    }
}

/// The places of findings as they are shown: what nobody knows of yet comes first, what is muted not at all.
fn in_order(findings: &[Finding], unmuted: bool, wanted: impl Fn(&Finding) -> bool) -> Vec<usize> {
    let known = |at: &usize| findings.get(*at).and_then(|finding| finding.acknowledged.as_ref());
    let is_muted = |at: &usize| known(at).is_some_and(|known| known.attention == Attention::Muted);
    let mut places: Vec<usize> =
        (0..findings.len()).filter(|at| findings.get(*at).is_some_and(&wanted) && (unmuted || !is_muted(at))).collect();
    places.sort_by_key(|at| (known(at).is_some(), is_muted(at)));
    places
}

/// Whether a finding is about a tenant, blames it, or names it as victim.
pub fn concerns(finding: &Finding, tenant: &Tenant) -> bool {
    finding.subject.instance == tenant.instance
        && (finding.subject.id == tenant.id.as_str()
            || finding.culprits.contains(&tenant.id)
            || finding.victims.contains(&tenant.id)
            || (finding.subject.kind == crate::domain::SubjectKind::Table
                && tenant.schema.as_deref().is_some_and(|schema| {
                    finding.subject.id.strip_prefix(schema).is_some_and(|rest| rest.starts_with('.'))
                })))
}

fn keep<T: Keyed + Clone>(kept: &mut Option<Kept<T>>, items: &[T]) {
    if let Some(kept) = kept {
        let key = kept.value.key();
        match items.iter().find(|item| item.is(&key)) {
            Some(item) => *kept = Kept { value: item.clone(), gone: false },
            None => kept.gone = true,
        }
    }
}
