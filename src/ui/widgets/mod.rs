//! What several screens draw: text that fits, gauges, charts, tables.

pub(super) mod chart;
pub(super) mod gauge;
pub(super) mod plot;
pub(super) mod sheet;
pub(super) mod table;
pub(super) mod text;
