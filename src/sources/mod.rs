//! Read-only questions to the systems that hold the facts, one folder a system. What comes back is
//! [`crate::domain::facts`]; nothing here knows clocks, tenants or screens.

pub mod aws;
pub mod pgbouncer;
pub mod postgres;
pub mod vault;
