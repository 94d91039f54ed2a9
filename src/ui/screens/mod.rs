//! One file a screen, and those that lie over them.

pub(super) mod choosers;
pub(super) mod finding;
pub(super) mod fleet;
pub(super) mod form;
mod fresh;
pub(super) mod help;
mod limits;
pub(super) mod palette;
pub(super) mod session;
pub(super) mod sessions;
pub(super) mod tenant;
