//! The one key table: dispatch, footer hints, `?` help and the README's table are all read from here.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Where a key means something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Context {
    /// On every screen (not while text is typed).
    Everywhere,
    /// Wherever something scrolls or has a cursor.
    Move,
    /// Where rows can be filtered and sorted.
    Table,
    /// Wherever there are rows with a cursor.
    Rows,
    /// Screen 1.
    Fleet,
    /// Screen 2.
    Tenant,
    /// Screen 3.
    Sessions,
    /// Screen 4.
    Locks,
    /// Screen 5.
    Tables,
    /// The page of one table.
    OneTable,
    /// Screen 6, and the page of one instance.
    Instances,
    /// Screen 7.
    Backups,
    /// Screen 9.
    Logs,
    /// The page of one finding.
    Finding,
    /// The page of one session.
    Session,
    /// Screen 8.
    Operations,
    /// The screen of one operation.
    Operation,
    /// While a word is typed that approves something.
    Confirm,
    /// While a recording is played.
    Replay,
    /// The help.
    Help,
    /// While a filter is typed.
    Prompt,
    /// In the command palette.
    Palette,
    /// In the chooser of columns.
    Columns,
    /// In a short list over the screen.
    Chooser,
    /// While questions are answered.
    Form,
    /// At a question with several answers.
    Choice,
}

impl Context {
    /// How help and README head its keys.
    pub fn title(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Move => "moving",
            Self::Table => "tables",
            Self::Rows => "rows",
            Self::Fleet => "fleet",
            Self::Tenant => "tenant",
            Self::Sessions => "sessions",
            Self::Locks => "locks",
            Self::Tables => "worst tables",
            Self::OneTable => "table",
            Self::Instances => "instances",
            Self::Backups => "backups",
            Self::Logs => "logs",
            Self::Finding => "finding",
            Self::Session => "session",
            Self::Operations => "operations",
            Self::Operation => "operation",
            Self::Confirm => "approving",
            Self::Replay => "replay",
            Self::Help => "help",
            Self::Prompt => "typing a filter",
            Self::Palette => "command palette",
            Self::Columns => "choosing columns",
            Self::Chooser => "choosing",
            Self::Form => "answering",
            Self::Choice => "one of several",
        }
    }
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the table's help says what each does")]
pub enum Command {
    Quit,
    Help,
    Palette,
    Filter,
    Fleet,
    Tenant,
    Sessions,
    Locks,
    Tables,
    Instances,
    Backups,
    Logs,
    Expand,
    Collapse,
    AskLocks,
    AskPlan,
    Open,
    Back,
    Previous,
    Down,
    Up,
    PageDown,
    PageUp,
    First,
    Last,
    NextMatch,
    PreviousMatch,
    Sort,
    Reverse,
    NextPane,
    PreviousPane,
    FurtherBack,
    LessFarBack,
    /// Ask for a chart's figures once more.
    AskFigures,
    Record,
    PlayPause,
    PlayFaster,
    PlaySlower,
    Ahead,
    Behind,
    FarAhead,
    FarBehind,
    NextFinding,
    PreviousFinding,
    Pause,
    Copy,
    CopyQuery,
    Faster,
    Slower,
    Accept,
    Cancel,
    Mark,
    Unmark,
    Columns,
    Earlier,
    Later,
    Reset,
    Themes,
    Mouse,
    Export,
    Incident,
    Acknowledge,
    Unacknowledge,
    Muted,
    Actions,
    Wizards,
    Operations,
    GoOn,
    PauseStep,
    Retry,
    RollBack,
    Abandon,
    Leave,
}

/// One key as the terminal reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The key.
    pub code: KeyCode,
    /// With Ctrl.
    pub control: bool,
}

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// Where.
    pub context: Context,
    /// Any of these keys.
    pub keys: &'static [Key],
    /// How the keys are written.
    pub label: &'static str,
    /// What happens.
    pub command: Command,
    /// A word for the footer; `None` keeps it out of there.
    pub hint: Option<&'static str>,
    /// A line for help and README.
    pub help: &'static str,
}

const fn char(char: char) -> Key {
    Key { code: KeyCode::Char(char), control: false }
}

const fn code(code: KeyCode) -> Key {
    Key { code, control: false }
}

const fn control(char: char) -> Key {
    Key { code: KeyCode::Char(char), control: true }
}

const fn bind(
    context: Context,
    keys: &'static [Key],
    label: &'static str,
    command: Command,
    hint: Option<&'static str>,
    help: &'static str,
) -> Binding {
    Binding { context, keys, label, command, hint, help }
}

/// Every key there is.
pub fn bindings() -> &'static [Binding] {
    BINDINGS
}

/// The command of a key in the first of the contexts that knows it.
pub fn lookup(contexts: &[Context], event: &KeyEvent) -> Option<Command> {
    let key = Key { code: event.code, control: event.modifiers.contains(KeyModifiers::CONTROL) };
    if event.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    contexts.iter().find_map(|context| {
        BINDINGS
            .iter()
            .find(|binding| binding.context == *context && binding.keys.contains(&key))
            .map(|found| found.command)
    })
}

/// Whether the first key of a line is not taken by a nearer context.
pub fn leads_to(contexts: &[Context], binding: &Binding) -> bool {
    let taken = |context: &Context| {
        let mut here = BINDINGS.iter().filter(|other| other.context == *context);
        here.any(|other| binding.keys.first().is_some_and(|key| other.keys.contains(key)))
    };
    contexts.iter().take_while(|context| **context != binding.context).all(|context| !taken(context))
}

use Command as Do;
use Context as In;
use KeyCode as On;

#[rustfmt::skip]
static BINDINGS: &[Binding] = &[
    bind(In::Fleet, &[code(On::Enter)], "⏎", Do::Open, Some("detail"), "open the finding or the tenant under the cursor"),
    bind(In::Fleet, &[code(On::Tab), code(On::BackTab)], "Tab", Do::NextPane, Some("findings ⇄ tenants"), "move between the findings and the tenants"),
    bind(In::Fleet, &[char('Y')], "Y", Do::CopyQuery, None, "copy the finding under the cursor in full, with its evidence"),
    bind(In::Fleet, &[char('x')], "x", Do::Acknowledge, Some("acknowledge"), "acknowledge or mute the finding under the cursor, or those marked: for how long, and why"),
    bind(In::Fleet, &[char('X')], "X", Do::Unacknowledge, None, "take that back"),
    bind(In::Fleet, &[char('M')], "M", Do::Muted, None, "show muted findings, or hide them again"),
    bind(In::Tenant, &[code(On::Enter)], "⏎", Do::Open, Some("detail"), "open the finding, the session, the table or the operation under the cursor"),
    bind(In::Tenant, &[code(On::Tab), code(On::Right), char('l')], "Tab →", Do::NextPane, Some("next page"), "next page: overview, findings, sessions, statements, locks, tables, operations, backups"),
    bind(In::Tenant, &[code(On::BackTab), code(On::Left), char('h')], "⇧Tab ←", Do::PreviousPane, None, "the page before"),
    bind(In::Tenant, &[char('Y')], "Y", Do::CopyQuery, None, "copy the query, the table's VACUUM or the whole finding under the cursor"),
    bind(In::Tenant, &[char('>')], ">", Do::FurtherBack, None, "charts look further back: 15 min, 1 h, 24 h, 14 d"),
    bind(In::Tenant, &[char('<')], "<", Do::LessFarBack, None, "charts look less far back"),
    bind(In::Tenant, &[char('x')], "x", Do::Acknowledge, Some("acknowledge"), "acknowledge or mute the finding under the cursor, or those marked"),
    bind(In::Tenant, &[char('X')], "X", Do::Unacknowledge, None, "take that back"),
    bind(In::Tenant, &[char('M')], "M", Do::Muted, None, "show muted findings, or hide them again"),
    bind(In::Sessions, &[code(On::Enter)], "⏎", Do::Open, Some("detail"), "open the session: full query, locks, who blocks it"),
    bind(In::Sessions, &[char('Y')], "Y", Do::CopyQuery, None, "copy the session's query"),
    bind(In::Locks, &[code(On::Enter)], "⏎", Do::Open, Some("detail"), "open the session under the cursor, or the tenant's waiters"),
    bind(In::Locks, &[code(On::Right), char('l')], "→ l", Do::Expand, Some("open"), "open the tree, or the tenant's waiters"),
    bind(In::Locks, &[code(On::Left), char('h')], "← h", Do::Collapse, Some("fold"), "fold it, or go to what it stands behind"),
    bind(In::Locks, &[char('Y')], "Y", Do::CopyQuery, None, "copy the session's query"),
    bind(In::Tables, &[code(On::Enter)], "⏎", Do::Open, Some("detail"), "open the table: all figures, its indexes, who holds vacuum back"),
    bind(In::Tables, &[char('Y')], "Y", Do::CopyQuery, Some("copy VACUUM"), "copy the statement that vacuums the table"),
    bind(In::OneTable, &[code(On::Enter)], "⏎", Do::Open, Some("its tenant"), "go to the table's tenant"),
    bind(In::OneTable, &[char('Y')], "Y", Do::CopyQuery, Some("copy statements"), "copy the statements that what is known calls for"),
    bind(In::Instances, &[code(On::Enter)], "⏎", Do::Open, Some("detail"), "open the instance: all that is known of it"),
    bind(In::Instances, &[code(On::Tab), code(On::Right), char('l')], "Tab →", Do::NextPane, Some("next page"), "of one instance: next page: overview, CloudWatch's charts, RDS"),
    bind(In::Instances, &[code(On::BackTab), code(On::Left), char('h')], "⇧Tab ←", Do::PreviousPane, None, "the page before"),
    bind(In::Instances, &[char('>')], ">", Do::FurtherBack, Some("further back"), "charts look further back: 15 min, 1 h, 24 h, 14 d; those of CloudWatch 3 h, 24 h, 7 d"),
    bind(In::Instances, &[char('<')], "<", Do::LessFarBack, None, "charts look less far back"),
    bind(In::Instances, &[char('r')], "r", Do::AskFigures, None, "ask CloudWatch again for charts of a day or a week"),
    bind(In::Backups, &[code(On::Enter)], "⏎", Do::Open, Some("detail"), "open it: every snapshot and recovery point, plans, jobs, copies"),
    bind(In::Logs, &[code(On::Enter)], "⏎", Do::Open, Some("its tenant"), "go to the entry's tenant"),
    bind(In::Logs, &[code(On::Tab), code(On::Right), char('l')], "Tab →", Do::NextPane, Some("next instance"), "the log of the next instance; of one among many: 6, its row, then 9"),
    bind(In::Logs, &[code(On::BackTab), code(On::Left), char('h')], "⇧Tab ←", Do::PreviousPane, None, "the log of the instance before"),
    bind(In::Logs, &[char('Y')], "Y", Do::CopyQuery, None, "copy the whole entry, its lines apart"),
    bind(In::Finding, &[code(On::Enter)], "⏎", Do::Open, Some("go there"), "go to the tenant or the sessions it is about"),
    bind(In::Finding, &[char('Y')], "Y", Do::CopyQuery, Some("copy all"), "copy the whole finding as text"),
    bind(In::Finding, &[char('x')], "x", Do::Acknowledge, Some("acknowledge"), "acknowledge or mute this finding"),
    bind(In::Finding, &[char('X')], "X", Do::Unacknowledge, None, "take that back"),
    bind(In::Session, &[code(On::Enter)], "⏎", Do::Open, Some("its tenant"), "go to the session's tenant"),
    bind(In::Session, &[char('P')], "P", Do::AskPlan, Some("plan"), "ask how the server would carry out its statement (EXPLAIN; nothing is run)"),
    bind(In::Session, &[char('r')], "r", Do::AskLocks, Some("locks again"), "ask for its locks again"),
    bind(In::Session, &[char('Y')], "Y", Do::CopyQuery, Some("copy query"), "copy the session's query"),
    bind(In::Operations, &[code(On::Enter)], "⏎", Do::Open, Some("open"), "open the operation: follow, go on, roll back, read its report"),
    bind(In::Operation, &[code(On::Enter)], "⏎", Do::GoOn, Some("go on"), "go on: approve the plan, resume what is paused, take over from who fell silent"),
    bind(In::Operation, &[char('p')], "p", Do::PauseStep, Some("pause after this step"), "pause after the step that is at work"),
    bind(In::Operation, &[char('r')], "r", Do::Retry, Some("retry"), "try the failed step again; before anything was done: plan again"),
    bind(In::Operation, &[char('u')], "u", Do::RollBack, Some("roll back"), "undo what was done, after the word is typed"),
    bind(In::Operation, &[char('A')], "A", Do::Abandon, Some("abandon"), "leave it as it is for good, after its id is typed: it holds its tenant no more"),
    bind(In::Operation, &[code(On::Tab), code(On::Right), char('l')], "Tab →", Do::NextPane, Some("plan/step/report"), "next page: plan, step, report"),
    bind(In::Operation, &[code(On::BackTab), code(On::Left), char('h')], "⇧Tab ←", Do::PreviousPane, None, "the page before"),
    bind(In::Operation, &[char('q'), code(On::Esc), code(On::Backspace)], "q", Do::Leave, Some("leave"), "leave the screen: what runs goes on, what is paused stays resumable"),
    bind(In::Operation, &[char('Y')], "Y", Do::CopyQuery, None, "copy the page: the plan, the step's statements, the report"),
    bind(In::Confirm, &[code(On::Enter)], "⏎", Do::Accept, Some("do it"), "do it, if the word is right"),
    bind(In::Confirm, &[code(On::Down), code(On::PageDown)], "↓ PgDn", Do::PageDown, Some("read on"), "read on"),
    bind(In::Confirm, &[code(On::Up), code(On::PageUp)], "↑ PgUp", Do::PageUp, None, "read back"),
    bind(In::Confirm, &[code(On::Esc)], "Esc", Do::Cancel, Some("do nothing"), "do nothing"),
    bind(In::Confirm, &[control('c')], "Ctrl-C", Do::Quit, None, "leave the console"),
    bind(In::Table, &[char('/')], "/", Do::Filter, Some("filter"), "filter rows: words, !word, tier:shared, noise>50, oldest>=5m"),
    bind(In::Table, &[char('s')], "s", Do::Sort, Some("sort"), "sort by the next column"),
    bind(In::Table, &[char('S')], "S", Do::Reverse, None, "turn the order round"),
    bind(In::Table, &[char('n')], "n", Do::NextMatch, None, "next row that the filter found, or that has a problem"),
    bind(In::Table, &[char('N')], "N", Do::PreviousMatch, None, "the one before"),
    bind(In::Table, &[char('c')], "c", Do::Columns, None, "choose columns: show, hide, move"),
    bind(In::Rows, &[char(' ')], "Space", Do::Mark, None, "mark the row, or take its mark away; copy and export take what is marked"),
    bind(In::Rows, &[char('u')], "u", Do::Unmark, None, "take all marks away (also Esc)"),
    bind(In::Rows, &[char('e')], "e", Do::Export, None, "export these rows, or those marked, as CSV or JSON"),
    bind(In::Move, &[code(On::Down), char('j')], "j ↓", Do::Down, None, "down"),
    bind(In::Move, &[code(On::Up), char('k')], "k ↑", Do::Up, None, "up"),
    bind(In::Move, &[code(On::PageDown), control('f'), control('d'), char(' ')], "PgDn Space C-f C-d", Do::PageDown, None, "a page down (Space where there are no rows to mark)"),
    bind(In::Move, &[code(On::PageUp), control('b'), control('u')], "PgUp C-b C-u", Do::PageUp, None, "a page up"),
    bind(In::Move, &[char('g'), code(On::Home)], "g Home", Do::First, None, "first row; from then on the cursor stays on whatever is first"),
    bind(In::Move, &[char('G'), code(On::End)], "G End", Do::Last, None, "last row"),
    bind(In::Everywhere, &[char(':')], ":", Do::Palette, Some("command"), "command palette: screens, tenants, actions; :q leaves"),
    bind(In::Everywhere, &[char('a')], "a", Do::Actions, Some("actions"), "what can be done to the tenant, session or table under the cursor, or to those marked"),
    bind(In::Everywhere, &[char('w')], "w", Do::Wizards, Some("wizards"), "wizards that can be started"),
    bind(In::Everywhere, &[char('1')], "1", Do::Fleet, Some("fleet"), "what is wrong, and every tenant"),
    bind(In::Everywhere, &[char('2')], "2", Do::Tenant, Some("tenant"), "the tenant under the cursor, or the one looked at last"),
    bind(In::Everywhere, &[char('3')], "3", Do::Sessions, Some("sessions"), "every session, with its tenant and how that was found"),
    bind(In::Everywhere, &[char('4')], "4", Do::Locks, Some("locks"), "who waits for whom, and whose transaction stands at the beginning"),
    bind(In::Everywhere, &[char('5')], "5", Do::Tables, Some("tables"), "the worst tables of all tenants, and the vacuums that run"),
    bind(In::Everywhere, &[char('6')], "6", Do::Instances, Some("instances"), "every instance: pressure, sessions, copies, pooler, sources, history"),
    bind(In::Everywhere, &[char('7')], "7", Do::Backups, Some("backups"), "what could be restored of each instance and tenant, beside what the policy wants"),
    bind(In::Everywhere, &[char('8')], "8", Do::Operations, Some("operations"), "operations: running, paused, in force, done"),
    bind(In::Everywhere, &[char('9')], "9", Do::Logs, Some("logs"), "the PostgreSQL and pgAudit log of the instance that is looked at, followed; G goes to the newest and stays there"),
    bind(In::Everywhere, &[code(On::Esc), code(On::Backspace)], "Esc", Do::Back, None, "take marks away, clear the filter, or go back"),
    bind(In::Everywhere, &[char('-')], "-", Do::Previous, None, "the view before this one"),
    bind(In::Everywhere, &[char('p')], "p", Do::Pause, Some("pause"), "freeze the screen; polling goes on"),
    bind(In::Everywhere, &[char('[')], "[", Do::Faster, None, "ask for sessions more often"),
    bind(In::Everywhere, &[char(']')], "]", Do::Slower, None, "ask for sessions less often"),
    bind(In::Everywhere, &[char('R')], "R", Do::Record, None, "record what is polled to a file, or end that; tierdeck replay plays it"),
    bind(In::Everywhere, &[char('y')], "y", Do::Copy, None, "copy what is under the cursor; of a finding its statement alone, or the advice where it has none"),
    bind(In::Everywhere, &[char('E')], "E", Do::Incident, None, "write an incident report in Markdown: findings, evidence, who is involved, timeline"),
    bind(In::Everywhere, &[char('t')], "t", Do::Themes, None, "choose a theme"),
    bind(In::Everywhere, &[char('m')], "m", Do::Mouse, None, "leave the mouse to the terminal, so that it selects text; or use it again"),
    bind(In::Everywhere, &[char('?'), code(On::F(1))], "?", Do::Help, Some("help"), "this help"),
    bind(In::Everywhere, &[char('q'), control('c')], "q", Do::Quit, Some("quit"), "leave (also Ctrl-C and :q)"),
    bind(In::Replay, &[char(' '), char('p')], "Space p", Do::PlayPause, Some("play/pause"), "stop the recording, or go on"),
    bind(In::Replay, &[char(']')], "]", Do::PlayFaster, Some("faster"), "faster: ×1, ×2, ×4, ×10, ×60"),
    bind(In::Replay, &[char('[')], "[", Do::PlaySlower, None, "slower"),
    bind(In::Replay, &[code(On::Right)], "→", Do::Ahead, Some("+10 s"), "10 seconds ahead"),
    bind(In::Replay, &[code(On::Left)], "←", Do::Behind, None, "10 seconds back"),
    bind(In::Replay, &[char('}')], "}", Do::FarAhead, None, "a minute ahead"),
    bind(In::Replay, &[char('{')], "{", Do::FarBehind, None, "a minute back"),
    bind(In::Replay, &[char('.')], ".", Do::NextFinding, Some("next finding"), "to where the next finding begins"),
    bind(In::Replay, &[char(',')], ",", Do::PreviousFinding, None, "to where the finding before began"),
    bind(In::Help, &[char('?'), code(On::Esc), char('q'), code(On::Enter), code(On::F(1))], "Esc", Do::Back, Some("close"), "close the help"),
    bind(In::Help, &[control('c')], "Ctrl-C", Do::Quit, None, "leave"),
    bind(In::Prompt, &[code(On::Enter)], "⏎", Do::Accept, Some("keep"), "keep the filter"),
    bind(In::Prompt, &[code(On::Esc)], "Esc", Do::Cancel, Some("as it was"), "back to the filter as it was"),
    bind(In::Prompt, &[control('c')], "Ctrl-C", Do::Quit, None, "leave"),
    bind(In::Palette, &[code(On::Enter)], "⏎", Do::Accept, Some("go"), "do it"),
    bind(In::Palette, &[code(On::Down), code(On::Tab), control('n')], "↓", Do::Down, None, "next match"),
    bind(In::Palette, &[code(On::Up), code(On::BackTab), control('p')], "↑", Do::Up, None, "the match before"),
    bind(In::Palette, &[code(On::Esc)], "Esc", Do::Cancel, Some("close"), "close the palette"),
    bind(In::Palette, &[control('c')], "Ctrl-C", Do::Quit, None, "leave"),
    bind(In::Columns, &[char(' '), char('x')], "Space", Do::Mark, Some("show or hide"), "show or hide the column"),
    bind(In::Columns, &[code(On::Esc), char('c'), char('q'), code(On::Enter)], "Esc", Do::Cancel, Some("close"), "close the chooser"),
    bind(In::Columns, &[code(On::Left), char('h'), char('<')], "h ←", Do::Earlier, Some("to the left"), "move the column to the left"),
    bind(In::Columns, &[code(On::Right), char('l'), char('>')], "l →", Do::Later, Some("to the right"), "move it to the right"),
    bind(In::Columns, &[char('s')], "s", Do::Sort, Some("sort"), "sort by it; again: the other way round"),
    bind(In::Columns, &[char('r')], "r", Do::Reset, Some("as usual"), "all columns as they come along"),
    bind(In::Chooser, &[code(On::Enter), char(' ')], "⏎", Do::Accept, Some("take it"), "take it"),
    bind(In::Chooser, &[code(On::Down), char('j'), code(On::Tab), char('t')], "j ↓", Do::Down, None, "down"),
    bind(In::Chooser, &[code(On::Up), char('k'), code(On::BackTab)], "k ↑", Do::Up, None, "up"),
    bind(In::Chooser, &[char('g'), code(On::Home)], "g Home", Do::First, None, "first"),
    bind(In::Chooser, &[char('G'), code(On::End)], "G End", Do::Last, None, "last"),
    bind(In::Chooser, &[code(On::Esc), char('q')], "Esc", Do::Cancel, Some("as it was"), "back to what it was"),
    bind(In::Chooser, &[control('c')], "Ctrl-C", Do::Quit, None, "leave"),
    bind(In::Form, &[code(On::Enter)], "⏎", Do::Accept, Some("do it"), "do it"),
    bind(In::Form, &[code(On::Tab), code(On::Down)], "Tab ↓", Do::Down, Some("next question"), "next question"),
    bind(In::Form, &[code(On::BackTab), code(On::Up)], "⇧Tab ↑", Do::Up, None, "the question before"),
    bind(In::Form, &[code(On::Esc)], "Esc", Do::Cancel, Some("leave it"), "leave it"),
    bind(In::Form, &[control('c')], "Ctrl-C", Do::Quit, None, "leave the console"),
    bind(In::Choice, &[code(On::Right), char(' ')], "→ Space", Do::Later, Some("another answer"), "next answer"),
    bind(In::Choice, &[code(On::Left)], "←", Do::Earlier, None, "the answer before"),
];
