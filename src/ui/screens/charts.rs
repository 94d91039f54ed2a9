//! Charts of a tenant or an instance, beside each other, over the stretch that is looked at: the last quarter of an hour from
//! memory, what is longer ago from the stored history.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::domain::history::{Curve, Measure, Stretch, Whose};
use crate::domain::quantity;
use crate::ui::pen::Pen;
use crate::ui::widgets::chart::{self, Area, Time};

/// One chart.
pub(super) struct Chart<'p> {
    pub(super) title: &'static str,
    /// The value now.
    pub(super) now: Option<f64>,
    /// Whether that is still true.
    pub(super) fresh: bool,
    pub(super) style: Style,
    /// A limit to compare with.
    pub(super) limit: Option<f64>,
    pub(super) points: Points<'p>,
}

/// The points of a chart, how much time they are, and the greatest that stands behind them.
pub(super) struct Points<'p> {
    all: Box<dyn Iterator<Item = (jiff::Timestamp, Option<f64>)> + 'p>,
    time: Time,
    most: Option<f64>,
}

/// Over how much time the charts are.
pub(super) fn title(pen: &Pen<'_>) -> String {
    let time = match pen.model.looking.stretch {
        Stretch::Quarter => "15 MINUTES",
        Stretch::Hour => "HOUR",
        Stretch::Day => "24 HOURS",
        Stretch::Fortnight => "14 DAYS",
    };
    format!("THE LAST {time}")
}

/// Whether it is the stored history that is looked at.
pub(super) fn is_stored(pen: &Pen<'_>) -> bool {
    pen.model.looking.stretch != Stretch::Quarter
}

/// Why there is nothing stored to look at; `None` where there is.
pub(super) fn unstored(pen: &Pen<'_>, whose: &Whose) -> Option<Line<'static>> {
    let words = match stored(pen, whose).map(|curve| (&curve.trouble, curve.readings.is_empty())) {
        None => " looking it up … ".to_owned(),
        Some((Some(trouble), _)) => format!(" {} ", crate::domain::foreign::sanitise(trouble)),
        Some((None, true)) => " nothing is stored of it yet ".to_owned(),
        Some((None, false)) => return None,
    };
    Some(Line::from(Span::styled(words, pen.look.dim)))
}

/// What the history said of somebody, for the stretch that is looked at.
fn stored<'m>(pen: &Pen<'m>, whose: &Whose) -> Option<&'m Curve> {
    pen.model.looking.curve(whose).map(|curve| &**curve)
}

/// The points of one measure: those in memory, of that width, or those that are stored.
pub(super) fn points<'p>(
    pen: &Pen<'p>,
    whose: &Whose,
    recent: impl Iterator<Item = (jiff::Timestamp, Option<f64>)> + 'p,
    width: std::time::Duration,
    measure: Measure,
) -> Points<'p> {
    let (now, stretch) = (pen.model.moment(), pen.model.looking.stretch);
    if stretch == Stretch::Quarter {
        return Points { all: Box::new(recent), time: Time::recent(now, width), most: None };
    }
    let readings = stored(pen, whose).map_or(&[][..], |curve| &curve.readings);
    let most = readings.iter().filter_map(|reading| reading.most(measure)).reduce(f64::max);
    let points = readings.iter().map(move |reading| (reading.at, reading.mean(measure)));
    Points { all: Box::new(points), time: Time { now, stretch, width: stretch.step() }, most }
}

/// Draws as many of four as there is room for.
pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, charts: [Chart<'_>; 4]) {
    let (columns, rows) = if area.height >= 10 {
        (2, 2)
    } else if area.width >= 110 {
        (4, 1)
    } else {
        (2, 1)
    };
    let (width, height) = (area.width / columns, area.height / rows);
    for (at, chart) in (0..columns * rows).zip(charts) {
        let rect = Rect {
            x: area.x + at % columns * width,
            y: area.y + at / columns * height,
            width: width - if at % columns + 1 < columns { 3 } else { 0 },
            height,
        };
        let Chart { title, now, fresh, style, limit, points: Points { all: points, time, most } } = chart;
        chart::area(pen, rect, Area { title, now, fresh, points, time, most, style, write: quantity::count, limit });
    }
}
