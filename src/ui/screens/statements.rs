//! A page of the tenant: what its statements cost, the dearest first.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::fresh::Fresh;
use crate::app::Span as Window;
use crate::app::statements::StatementColumn;
use crate::domain::foreign::sanitise;
use crate::domain::quantity::{bytes, count, duration};
use crate::domain::session::Rank;
use crate::domain::{Tenant, TopStatement};
use crate::ui::pen::{Pen, below};
use crate::ui::widgets::table::{self, Heading, Look};
use crate::ui::widgets::text;

use StatementColumn as Of;

const LOOKS: [Look<Of>; 9] = [
    Look::new(Of::Time, "time", 9, true, 0),
    Look::new(Of::Calls, "calls", 7, true, 1),
    Look::new(Of::Mean, "mean", 8, true, 2),
    Look::new(Of::Rows, "rows", 7, true, 5),
    Look::new(Of::Blocks, "read", 7, true, 4),
    Look::new(Of::Wal, "WAL", 10, true, 1),
    Look::new(Of::Temp, "temp", 10, true, 3),
    Look::new(Of::How, "how", 7, false, 6),
    Look::new(Of::Query, "statement", 20, false, 0),
];

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, tenant: &Tenant) -> Window {
    let (model, look) = (pen.model, pen.look);
    let held = &model.page.statements;
    let table = &held.table;
    let about = "dearest, rates over the last minute";
    let (uncounted, remarks) = match pen.model.shown.instance(&tenant.instance) {
        Some(instance) if table.total == 0 => (instance.statements.missing(model.moment()).is_some(), None),
        _ => (false, pen.as_known(Some(&tenant.instance))),
    };
    let remarks = remarks.into_iter().collect();
    let heading = Heading { name: "STATEMENTS", about, uncounted, remarks, ..Heading::default() };
    let mut inside = table::heading(pen, area, table, heading);
    let said = tenant.statements.as_ref();
    let mut put = |pen: &mut Pen<'_>, words: &str, style| {
        let line = Line::from(Span::styled(text::cut(words, usize::from(inside.width)), style));
        pen.put(inside.x, inside.y, inside.width, &line);
        inside = below(inside, 1);
    };
    if let Some(said) = said {
        let sum = format!(
            "in all {} calls/s · {} · {} of WAL a second · {} blocks read a second",
            rate(said.calls),
            busy(said.milliseconds),
            bytes(said.wal_bytes.max(0.0) as u64),
            rate(said.blocks_read)
        );
        put(pen, &sum, look.text);
        if let Some(why) = &said.distrusted {
            put(pen, &format!("do not trust these figures: {}", sanitise(why)), look.warning);
        }
    }
    let looks = table::arranged(&LOOKS, &table.columns);
    let columns = table::place(&looks, inside.width, Of::Query, 400, Some(table.sort));
    table::titles(pen, inside, &columns, Some((table.sort, table.descending)));
    let rows = below(inside, 1);
    if table.list.rows.is_empty() {
        let words = text::cut(&none(pen, tenant), usize::from(rows.width));
        pen.put(rows.x, rows.y, rows.width, &Line::from(Span::styled(words, look.dim)));
    }
    table::rows(pen, rows, &columns, &table.list, &held.rows, true, cell)
}

/// Why there is nothing to show.
fn none(pen: &Pen<'_>, tenant: &Tenant) -> String {
    let statements = pen.model.shown.instance(&tenant.instance).map(|instance| &instance.statements);
    match statements.and_then(|statements| statements.missing(pen.model.moment())) {
        Some(reason) => format!("not known: {}", sanitise(&reason)),
        None if pen.model.page.statements.table.total > 0 => {
            "no statement matches the filter: Esc clears it".to_owned()
        }
        None => "no statement of the last minute is known to be its own".to_owned(),
    }
}

/// Milliseconds a second, as sessions kept busy where that is more than one.
fn busy(milliseconds: f64) -> String {
    if milliseconds >= 1_000.0 { format!("{:.1} sessions busy", milliseconds / 1_000.0) } else { spent(milliseconds) }
}

/// Milliseconds a second, in what is small enough to tell small tenants' statements apart.
fn spent(milliseconds: f64) -> String {
    match milliseconds * 1_000.0 {
        none if none <= 0.0 => "0 ms/s".to_owned(),
        less if less < 1.0 => "<1 µs/s".to_owned(),
        little if little < 999.5 => format!("{little:.0} µs/s"),
        _ => format!("{} ms/s", count(milliseconds)),
    }
}

/// So many a second: what is there at all is not written as 0.
fn rate(value: f64) -> String {
    if value > 0.0 && value < 0.1 { "<0.1".to_owned() } else { count(value) }
}

/// The time of a call.
fn mean(milliseconds: f64) -> String {
    match milliseconds {
        little if little > 0.0 && little < 0.1 => format!("{:.0} µs", (little * 1_000.0).max(1.0)),
        short if short < 10.0 => format!("{short:.2} ms"),
        middling if middling < 1_000.0 => format!("{middling:.0} ms"),
        long => duration(long / 1_000.0),
    }
}

fn cell(pen: &Pen<'_>, column: Of, statement: &TopStatement, width: usize) -> Line<'static> {
    let look = pen.look;
    let fresh = pen.model.tenant.as_ref().is_some_and(|kept| Fresh::of(pen, &kept.value).statements);
    let style = match (fresh, statement.rank) {
        (false, _) => look.faint,
        (true, Rank::Strong) => look.text,
        (true, Rank::Claimed) => look.dim,
    };
    let words = match column {
        Of::Time => spent(statement.milliseconds),
        Of::Calls => format!("{}/s", rate(statement.calls)),
        Of::Mean => mean(statement.mean_milliseconds),
        Of::Rows => format!("{}/s", rate(statement.rows)),
        Of::Blocks => format!("{}/s", rate(statement.blocks_read)),
        Of::Wal => format!("{}/s", bytes(statement.wal_bytes.max(0.0) as u64)),
        Of::Temp => format!("{}/s", bytes(statement.temp_bytes.max(0.0) as u64)),
        Of::How => if statement.rank == Rank::Strong { "seen" } else { "claimed" }.to_owned(),
        Of::Query => statement.text.as_ref().map_or_else(|| "— text not fetched yet".to_owned(), ToString::to_string),
    };
    Line::from(Span::styled(text::cut(&words, width), style))
}

#[cfg(test)]
mod tests {
    #[test]
    fn titles_are_names() {
        super::table::titles_are_names(&super::LOOKS);
    }

    #[test]
    fn what_is_little_is_not_nothing() {
        use super::{mean, rate, spent};
        assert_eq!(
            [0.0, 0.0004, 0.0123, 0.999_7, 9.44, 410.0].map(spent),
            ["0 ms/s", "<1 µs/s", "12 µs/s", "1 ms/s", "9.4 ms/s", "410 ms/s"]
        );
        assert_eq!([0.0, 0.02, 0.1, 12.5].map(rate), ["0", "<0.1", "0.1", "12"]);
        assert_eq!([0.0, 0.000_2, 0.031, 2.5].map(mean), ["0.00 ms", "1 µs", "31 µs", "2.50 ms"]);
    }
}
