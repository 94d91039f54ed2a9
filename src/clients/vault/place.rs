//! Where a Vault is, and how secrets in it are named.

use std::path::PathBuf;
use std::time::Duration;

/// Where a Vault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `https://vault:8200`
    pub address: String,
    /// The namespace, where there are any.
    pub namespace: Option<String>,
    /// The mount of the KV version 2 engine.
    pub mount: String,
    /// Certificates of the authority, in PEM; without them the system's.
    pub ca_cert: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// One version of one secret: what may be told of it anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Below the mount.
    pub path: String,
    /// Which.
    pub number: u64,
}

/// Whether a path names a secret and nothing else: it becomes part of a URL as it stands.
pub fn check_path(path: &str) -> Result<(), String> {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_.".contains(char);
    let segment = |part: &str| !part.is_empty() && part != "." && part != ".." && part.chars().all(plain);
    if path.split('/').all(segment) {
        return Ok(());
    }
    Err(format!("{path:?} is not a path of a secret: letters, digits, '-', '_' and '.', in parts between single '/'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_secret_and_leads_nowhere_else() {
        for fine in ["tenants/acme/db", "a", "a-b_c.d/e"] {
            assert_eq!(check_path(fine), Ok(()), "{fine}");
        }
        for bad in ["", "/a", "a/", "a//b", "a/../b", ".", "a b", "a?version=1", "a#b", "a%2e", "ä", "a\nb", "a\\b"] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }
}
