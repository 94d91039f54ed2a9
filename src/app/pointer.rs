//! The mouse: what was drawn where, and what a click or the wheel on it does.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::figures::InstanceTab;
use super::keys::Command;
use super::message::Effect;
use super::model::{FleetFocus, Mode, Model, TenantTab};
use super::pane::Pane;

/// Something on the screen that can be pointed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A row of a list.
    Row(Pane, usize),
    /// The room of a list, where there is no row.
    List(Pane),
    /// The title of a column, by its name.
    Title(Pane, &'static str),
    /// A key's hint.
    Command(Command),
    /// A page of the tenant's screen.
    Tab(TenantTab),
    /// A page of an instance's screen.
    InstanceTab(InstanceTab),
    /// A line of what lies over the screen.
    Line(usize),
    /// The rest of what lies over the screen.
    Box,
    /// Text that scrolls.
    Text,
}

/// Where it is. What was drawn last lies on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot {
    /// Where.
    pub area: Rect,
    /// What.
    pub target: Target,
}

/// Rows that a notch of the wheel scrolls.
const NOTCH: isize = 3;

impl Model {
    /// Where something was drawn last.
    pub fn spot(&self, target: Target) -> Option<Rect> {
        self.spots.iter().rev().find(|spot| spot.target == target).map(|spot| spot.area)
    }

    /// What was drawn at a place.
    fn at(&self, column: u16, row: u16) -> Option<Target> {
        let at = Position::new(column, row);
        self.spots.iter().rev().find(|spot| spot.area.contains(at)).map(|spot| spot.target)
    }

    pub(super) fn mouse(&mut self, event: MouseEvent) -> Vec<Effect> {
        let target = self.at(event.column, event.row);
        match event.kind {
            MouseEventKind::ScrollDown => self.wheel(target, NOTCH),
            MouseEventKind::ScrollUp => self.wheel(target, -NOTCH),
            MouseEventKind::Down(MouseButton::Left) => return self.click(target),
            _ => {}
        }
        Vec::new()
    }

    /// Whether something lies over the view that has to be closed before the view can be used.
    fn is_covered(&self) -> bool {
        !matches!(self.mode, Mode::Normal | Mode::Help | Mode::Filter(_) | Mode::Confirm(_))
    }

    fn wheel(&mut self, target: Option<Target>, by: isize) {
        match target {
            Some(Target::Line(_) | Target::Box) => self.step(by.signum()),
            _ if self.is_covered() => {}
            Some(Target::Row(pane, _) | Target::List(pane) | Target::Title(pane, _)) => {
                // The answer's findings are of unequal height: they are walked through, the others scroll.
                if pane == Pane::Findings {
                    self.focus(pane);
                    self.on_rows(pane, |rows| rows.step(by.signum()));
                } else {
                    self.on_rows(pane, |rows| rows.scroll(by));
                }
            }
            Some(Target::Text) => self.step(by),
            Some(Target::Command(_) | Target::Tab(_) | Target::InstanceTab(_)) | None => {}
        }
    }

    fn click(&mut self, target: Option<Target>) -> Vec<Effect> {
        let before = self.clicked.take();
        match target {
            Some(Target::Line(line)) => return self.pick(line),
            Some(Target::Box) => {}
            Some(Target::Command(command)) => return self.command(command),
            // Beside the box: it closes, as Esc does.
            _ if self.is_covered() => self.cancel(),
            Some(Target::Row(pane, row)) => {
                self.settle();
                self.focus(pane);
                self.on_rows(pane, |rows| rows.go(row));
                // The second click on the same row; by then another may have come there: that one is only selected.
                let key = self.on_rows(pane, |rows| rows.name()).map(|name| (pane, name));
                if before == key && key.is_some() {
                    self.open_selected();
                } else {
                    self.clicked = key;
                }
            }
            Some(Target::Title(pane, key)) => {
                self.settle();
                self.focus(pane);
                if let Some(table) = self.table_mut(pane) {
                    table.sort_by_key(key);
                }
                self.refill_lists();
            }
            Some(Target::Tab(tab)) => {
                self.settle();
                self.page.tab = tab;
                self.scroll.top = 0;
            }
            Some(Target::InstanceTab(tab)) => {
                self.settle();
                self.open_instance_page(tab);
            }
            Some(Target::List(pane)) => {
                self.settle();
                self.focus(pane);
            }
            Some(Target::Text) | None => {}
        }
        Vec::new()
    }

    /// A filter that is being typed is kept when something else is clicked; one that is not understood goes.
    fn settle(&mut self) {
        if matches!(self.mode, Mode::Filter(_)) {
            self.accept();
            self.cancel();
        }
    }

    /// Puts the cursor into a list.
    fn focus(&mut self, pane: Pane) {
        match pane {
            Pane::Findings => self.fleet.focus = FleetFocus::Findings,
            Pane::Tenants => self.fleet.focus = FleetFocus::Tenants,
            _ => {}
        }
    }

    /// Chooses a line of what lies over the screen: the cursor goes there, a second click does what ⏎ does.
    fn pick(&mut self, line: usize) -> Vec<Effect> {
        match &mut self.mode {
            Mode::Palette(palette) => {
                palette.at = line.min(palette.matches.len().saturating_sub(1));
                return self.accept();
            }
            Mode::Form(form) => {
                let again = form.at == line;
                form.at = line.min(form.fields.len().saturating_sub(1));
                if again {
                    self.turn_choice(true);
                }
            }
            Mode::Columns(chooser) => {
                let again = chooser.at == line;
                self.choose(|_| line);
                if again {
                    self.arrange(super::chooser::Change::Toggle);
                }
            }
            Mode::Themes(chooser) => {
                let again = chooser.at == line;
                self.choose(|_| line);
                if again {
                    return self.accept();
                }
            }
            Mode::Offers(offers) => {
                let again = offers.at == line;
                offers.at = line.min(offers.choices.len().saturating_sub(1));
                if again {
                    return self.accept();
                }
            }
            Mode::Normal | Mode::Help | Mode::Filter(_) | Mode::Confirm(_) => {}
        }
        Vec::new()
    }
}
