//! Drawing only: what the model holds becomes cells of a terminal; and the loop that feeds the model.
//!
//! One file a region ([`header`], [`strip`], [`footer`], …), one a screen in [`screens`], what several need in [`widgets`].
//! Knows the console's state and the domain, nothing of sources, clients or configuration.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::app::{Mode, Model, View, Viewport};

mod calm;
pub mod event_loop;
mod footer;
mod header;
mod overlay;
mod pen;
mod screens;
mod strip;
mod strip_cloud;
pub mod terminal;
pub mod theme;
mod widgets;
mod wrong;

pub use theme::{Depth, Look};

use pen::Pen;

/// The smallest terminal that is drawn on.
pub const SMALLEST: (u16, u16) = (60, 15);

/// Draws the whole console and says how much room the lists had.
pub fn draw(frame: &mut Frame<'_>, model: &Model, depth: Depth) -> Viewport {
    let look = Look::new(&model.theme, depth);
    let area = frame.area();
    let mut pen = Pen::new(frame.buffer_mut(), model, &look, depth);
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        too_small(&mut pen, area);
        return Viewport::default();
    }
    header::draw(&mut pen, area);
    let strip = strip::draw(&mut pen, area);
    let below = 1 + strip;
    let body = Rect { y: area.y + below, height: area.height - below - 1, ..area };
    pen.sides(Rect { y: area.y + 1, height: area.height - 2, ..area });
    let mut typing = None;
    let mut viewport = match (&model.mode, &model.view) {
        (Mode::Help, _) => screens::help::draw(&mut pen, body),
        (_, View::Fleet) => screens::fleet::draw(&mut pen, body),
        (_, View::Tenant(_)) => screens::tenant::draw(&mut pen, body),
        (_, View::Sessions) => screens::sessions::draw(&mut pen, body),
        (_, View::Locks) => screens::locks::draw(&mut pen, body),
        (_, View::Tables) => screens::tables::draw(&mut pen, body),
        (_, View::Table(_)) => screens::table::draw(&mut pen, body),
        (_, View::Instances) => screens::instances::draw(&mut pen, body),
        (_, View::Instance(_)) => screens::instances::page(&mut pen, body),
        (_, View::Backups) => screens::backups::draw(&mut pen, body),
        (_, View::Backup(_)) => screens::backup::draw(&mut pen, body),
        (_, View::Logs) => screens::logs::draw(&mut pen, body),
        (_, View::Finding(_)) => screens::finding::draw(&mut pen, body),
        (_, View::Session(_)) => screens::session::draw(&mut pen, body),
        (_, View::Operations) => screens::operations::draw(&mut pen, body),
        (_, View::Operation) => {
            let (viewport, at) = screens::operation::draw(&mut pen, body);
            typing = at;
            viewport
        }
    };
    let cursor = footer::draw(&mut pen, area);
    let cursor = match &model.mode {
        Mode::Palette(palette) => Some(screens::palette::draw(&mut pen, body, palette)),
        Mode::Columns(chooser) => screens::choosers::columns(&mut pen, body, chooser),
        Mode::Themes(chooser) => screens::choosers::themes(&mut pen, body, chooser),
        Mode::Form(form) => screens::form::draw(&mut pen, body, form),
        Mode::Offers(offers) => {
            screens::offers::draw(&mut pen, body, offers);
            None
        }
        Mode::Confirm(_) => typing,
        Mode::Normal | Mode::Help | Mode::Filter(_) => cursor,
    };
    viewport.spots = pen.spots;
    if let Some(at) = cursor {
        frame.set_cursor_position(at);
    }
    viewport
}

fn too_small(pen: &mut Pen<'_>, area: Rect) {
    let (width, height) = SMALLEST;
    let words = format!("terminal too small (needs {width}×{height})");
    for (row, line) in widgets::text::wrap(&words, usize::from(area.width)).into_iter().enumerate() {
        if let Ok(row) = u16::try_from(row)
            && row < area.height
        {
            pen.put(area.x, area.y + row, area.width, &Line::raw(line));
        }
    }
}
