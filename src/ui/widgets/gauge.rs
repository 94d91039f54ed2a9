//! Gauges of block elements, in eighths of a cell.

use ratatui::style::Style;
use ratatui::text::Span;

const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// A bar of so many cells; what is not known is an empty track.
pub(crate) fn bar(share: Option<f64>, cells: usize, style: Style, track: Style) -> Vec<Span<'static>> {
    let share = share.filter(|share| share.is_finite()).unwrap_or(0.0).clamp(0.0, 1.0);
    let mut eighths = (share * cells as f64 * 8.0).round() as usize;
    if share > 0.0 {
        eighths = eighths.max(1);
    }
    let full = "█".repeat(eighths / 8);
    let part = EIGHTHS[eighths % 8];
    let rest = cells.saturating_sub(eighths / 8 + usize::from(!part.is_empty()));
    vec![Span::styled(format!("{full}{part}"), style), Span::styled("·".repeat(rest), track)]
}
