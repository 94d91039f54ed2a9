//! The command palette: fuzzy match over screens, actions and tenants.

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use tui_input::Input;

use super::Theme;
use super::keys::Command;
use super::list::Keyed;
use super::model::View;
use crate::domain::Snapshot;

/// What a line of the palette does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Goes to a view.
    Open(View),
    /// Does what a key does.
    Do(Command),
    /// Changes the colours.
    Wear(Theme),
}

/// One line.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What is matched.
    pub label: String,
    /// What kind of thing it is, or where.
    pub detail: String,
    /// What it does.
    pub action: Action,
    /// Names that mean it at once, however well others match.
    aliases: &'static [&'static str],
}

/// The open palette.
#[derive(Debug)]
pub struct Palette {
    /// What was typed.
    pub input: Input,
    /// Everything there is.
    pub entries: Vec<Entry>,
    /// What matches, the best first: places in `entries`.
    pub matches: Vec<usize>,
    /// The chosen match.
    pub at: usize,
}

impl Palette {
    /// Opens it on everything that the picture holds.
    pub fn open(snapshot: &Snapshot, themes: &[Theme]) -> Self {
        let entry = |label: &str, detail: &str, action, aliases| Entry {
            label: label.to_owned(),
            detail: detail.to_owned(),
            action,
            aliases,
        };
        let mut entries = vec![
            entry("fleet", "screen 1", Action::Open(View::Fleet), &["1", "home"][..]),
            entry("tenant", "screen 2", Action::Do(Command::Tenant), &["2"]),
            entry("sessions", "screen 3", Action::Open(View::Sessions), &["3"]),
            entry("locks", "screen 4", Action::Open(View::Locks), &["4"]),
            entry("tables", "screen 5", Action::Open(View::Tables), &["5"]),
            entry("instances", "screen 6", Action::Open(View::Instances), &["6"]),
            entry("backups", "screen 7", Action::Open(View::Backups), &["7"]),
            entry("logs", "screen 9", Action::Do(Command::Logs), &["9", "log"]),
            entry("operations", "screen 8", Action::Open(View::Operations), &["8", "ops"]),
            entry("actions", "on what is selected or marked", Action::Do(Command::Actions), &["a"]),
            entry("wizards", "what can be started", Action::Do(Command::Wizards), &["w"]),
            entry("quit", "leave the console", Action::Do(Command::Quit), &["q", "q!", "exit", "wq"]),
            entry("pause", "freeze or thaw the screen", Action::Do(Command::Pause), &["p"]),
            entry("help", "keys, filters and signals", Action::Do(Command::Help), &["h", "?"]),
            entry("columns", "show, hide, move", Action::Do(Command::Columns), &["c"]),
            entry("theme", "choose colours", Action::Do(Command::Themes), &["t", "themes"]),
            entry("mouse", "use it, or leave it to the terminal", Action::Do(Command::Mouse), &["m"]),
            entry("export", "these rows as CSV or JSON", Action::Do(Command::Export), &["e"]),
            entry("incident report", "Markdown", Action::Do(Command::Incident), &["E", "report"]),
            entry("muted", "show or hide muted findings", Action::Do(Command::Muted), &["M"]),
            entry("faster", "ask for sessions more often", Action::Do(Command::Faster), &["["]),
            entry("slower", "ask for sessions less often", Action::Do(Command::Slower), &["]"]),
        ];
        entries.extend(
            themes
                .iter()
                .map(|theme| entry(&format!("theme {}", theme.name), "colours", Action::Wear(theme.clone()), &[])),
        );
        entries.extend(snapshot.instances.iter().map(|instance| {
            entry(instance.name.as_str(), "instance", Action::Open(View::Instance(instance.key())), &[])
        }));
        entries.extend(snapshot.tenants.iter().map(|tenant| {
            let detail = format!("tenant on {}", tenant.instance);
            entry(tenant.id.as_str(), &detail, Action::Open(View::Tenant(tenant.key())), &[])
        }));
        let matches = (0..entries.len()).collect();
        Self { input: Input::default(), entries, matches, at: 0 }
    }

    /// Matches anew after typing.
    pub fn search(&mut self) {
        let typed = self.input.value().trim();
        self.at = 0;
        if typed.is_empty() {
            self.matches = (0..self.entries.len()).collect();
            return;
        }
        let mut matcher = Matcher::new(Config::DEFAULT);
        let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
        let mut buffer = Vec::new();
        let mut found: Vec<(u32, usize)> = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(at, entry)| {
                if entry.label == typed || entry.aliases.contains(&typed) {
                    return Some((u32::MAX, at));
                }
                pattern.score(Utf32Str::new(&entry.label, &mut buffer), &mut matcher).map(|score| (score, at))
            })
            .collect();
        found.sort_by(|left, right| right.0.cmp(&left.0).then(left.1.cmp(&right.1)));
        self.matches = found.into_iter().map(|(_, at)| at).collect();
    }

    /// Moves the choice.
    pub fn step(&mut self, by: isize) {
        self.at = self.at.saturating_add_signed(by).min(self.matches.len().saturating_sub(1));
    }

    /// What was chosen.
    pub fn chosen(&self) -> Option<Action> {
        self.matches.get(self.at).and_then(|&at| self.entries.get(at)).map(|entry| entry.action.clone())
    }
}
