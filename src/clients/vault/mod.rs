//! Vault's API (of `HashiCorp`, of `OpenBao`): logging in, staying logged in, and secrets of a KV version 2 mount.
//!
//! Values of secrets never print; what is told of them is a path, a version and the names of their fields.

mod error;
mod login;
mod place;
mod secret;
mod standing;

pub use error::VaultError;
pub use login::{Auth, Vault};
pub use place::{Place, Version, check_path};
pub use secret::{Expected, Fields, Metadata, Secret, VersionState};
pub use standing::Standing;
