//! The tenants' secrets in sample pictures: as they should be, wrong, hidden, of a Vault that is sealed, or none.

#![allow(dead_code, missing_docs, reason = "every test program uses its own part of this")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::sync::Arc;
use std::time::Duration;

use tierdeck::domain::facts::{Content, Leads, Pointing, SecretVersion, Secrets, TenantSecret};
use tierdeck::domain::observed::Trouble;
use tierdeck::domain::snapshot::Estate;
use tierdeck::domain::{Foreign, Observed, TenantId};

use super::estate::{ago, instance_name, now};

pub const STATES: [&str; 6] = ["right", "unknown-address", "hidden", "sealed", "none", "reading"];

pub fn estate(state: &str) -> Estate {
    let hidden = "Vault does not let us read tenants/acme/db: its policy needs path \"secret/data/tenants/+/db\" { capabilities = [\"read\"] }";
    let leads = if state == "unknown-address" { Leads::Elsewhere } else { Leads::To(instance_name()) };
    let pointing = Pointing {
        host: Some(Foreign::from("db.prod.example\u{1b}[2J")),
        port: Some(5432),
        database: Some(Foreign::from("portarium")),
        schema: Some(Foreign::from("tenant_acme")),
        username: Some(Foreign::from("role_acme")),
        has_password: true,
        odd: Vec::new(),
        leads,
    };
    let secret = TenantSecret {
        tenant: TenantId::parse("acme").unwrap(),
        version: Some(SecretVersion {
            number: 7,
            written: Some(ago(86_400 * 3)),
            ends: (state == "unknown-address").then(|| now() + jiff::SignedDuration::from_hours(30)),
        }),
        custom: vec![
            (Foreign::from("owner"), Foreign::from("platform\u{202e}")),
            (Foreign::from("by"), Foreign::from("ann")),
        ],
        kept: Some(if state == "unknown-address" { 1 } else { 10 }),
        content: if state == "hidden" { Content::Unread } else { Content::Points(Box::new(pointing)) },
        hidden: (state == "hidden").then(|| hidden.to_owned()),
    };
    let secrets = if matches!(state, "none" | "reading") { Vec::new() } else { vec![Arc::new(secret)] };
    let of = if state == "reading" { 4_000 } else { 14 };
    let (mount, path) = ("secret".to_owned(), "tenants/{id}/db".to_owned());
    let facts = Secrets { mount, path, secrets, seen: if state == "reading" { 120 } else { 14 }, of, strangers: 0 };
    let mut observed = Observed::nothing(Duration::from_secs(60));
    observed.set(Arc::new(facts), ago(if state == "sealed" { 700 } else { 20 }));
    if state == "sealed" {
        observed.fail(Trouble::new("Vault at https://vault:8200 is sealed: whoever holds its keys unseals it"));
    }
    Estate { secrets: Some(observed), sources: Vec::new() }
}
