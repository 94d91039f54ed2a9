//! One file a screen, and the two that lie over them.

pub(super) mod finding;
pub(super) mod fleet;
mod fresh;
pub(super) mod help;
mod limits;
pub(super) mod palette;
pub(super) mod session;
pub(super) mod sessions;
pub(super) mod tenant;
