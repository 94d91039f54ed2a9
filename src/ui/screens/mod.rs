//! One file a screen, and those that lie over them.

pub(super) mod backup;
pub(super) mod backups;
mod charts;
pub(super) mod choosers;
mod figures;
pub(super) mod finding;
pub(super) mod fleet;
pub(super) mod form;
mod fresh;
pub(super) mod help;
mod inspection;
mod instance;
pub(super) mod instances;
mod limits;
mod lock_detail;
pub(super) mod locks;
pub(super) mod logs;
pub(super) mod offers;
pub(super) mod operation;
pub(super) mod operations;
pub(super) mod palette;
mod rds;
mod secret;
pub(super) mod session;
pub(super) mod sessions;
mod statements;
pub(super) mod table;
pub(super) mod tables;
pub(super) mod tenant;

pub(super) use figures::latency;
