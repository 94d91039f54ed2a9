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

/// The same with a tick where the threshold lies.
pub(crate) fn ticked(
    share: f64,
    tick: f64,
    cells: usize,
    style: Style,
    track: Style,
    mark: Style,
) -> Vec<Span<'static>> {
    let at = ((tick * cells as f64).floor().max(0.0) as usize).min(cells.saturating_sub(1));
    let mut drawn: Vec<(char, Style)> = bar(Some(share), cells, style, track)
        .iter()
        .flat_map(|span| span.content.chars().map(|char| (char, span.style)).collect::<Vec<_>>())
        .collect();
    if let Some(cell) = drawn.get_mut(at) {
        // On the bar the tick stands in the bar's own colour, so that the bar is not torn.
        let ground = style.fg.filter(|_| cell.0 == '█');
        *cell = ('┃', ground.map_or(mark, |ground| mark.bg(ground)));
    }
    drawn.into_iter().map(|(char, style)| Span::styled(char.to_string(), style)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_is_full_and_the_tick_stands_at_the_threshold() {
        let plain = Style::new();
        let drawn = |share, tick| {
            ticked(share, tick, 10, plain, plain, plain).iter().map(|span| span.content.as_ref()).collect::<String>()
        };
        assert_eq!((drawn(1.0, 0.5), drawn(0.2, 0.5)), ("█████┃████".into(), "██···┃····".into()));
        assert_eq!(drawn(0.0, 1.0), "·········┃");
    }
}
