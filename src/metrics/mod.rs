//! A snapshot as OpenMetrics: names and labels by Prometheus' conventions, cardinality bounded, what is not known absent.
//!
//! Base units (`_seconds`, `_bytes`, `_ratio`), counters end in `_total`, and an instance is `instance_name`: `instance` is
//! Prometheus' own. The text itself is [`prometheus_client`]'s.

mod chosen;
mod families;
mod plain;

use jiff::Timestamp;
use prometheus_client::registry::Registry;

pub use chosen::Chosen;
pub use plain::plain;

use crate::domain::Snapshot;
use families::Families;

/// The media type of OpenMetrics.
pub const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The media type of the older text.
pub const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is told of ourselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Own {
    /// How often somebody asked.
    pub scrapes: u64,
    /// When we began.
    pub started: Timestamp,
    /// Resident memory, where the system says.
    pub resident_bytes: Option<u64>,
}

/// The page that Prometheus reads, as OpenMetrics.
pub fn openmetrics(snapshot: &Snapshot, chosen: &Chosen, own: Own) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("tierdeck");
    registry.register_collector(Box::new(Families::of(snapshot, chosen, own)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}

/// Whether this `Accept` header asks for OpenMetrics.
pub fn wants_openmetrics(accept: &str) -> bool {
    accept.split(',').any(|media| {
        let mut parts = media.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
        named && !parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0"))
    })
}
