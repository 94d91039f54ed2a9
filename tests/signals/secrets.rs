//! The vocabulary of the tenants' secrets: a line of words each; what is not said is as it should be.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use tierdeck::domain::facts::{Content, Leads, Pointing, SecretVersion, Secrets, TenantSecret};
use tierdeck::domain::observed::Trouble;
use tierdeck::domain::snapshot::Estate;
use tierdeck::domain::{Foreign, InstanceName, Observed, TenantId};

use super::scene::span;

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
pub struct SecretsSpec {
    /// `TENANT WHERE [db=] [schema=] [user=] [v=3] [written=1h] [ends=3d] [odd=host,port] [password]`.
    ///
    /// WHERE: `to:shared`, `beside:HOST:PORT`, `elsewhere:HOST:PORT`, `nowhere`, `nothing`, `deleted`, `destroyed`, `unread`.
    #[serde(default)]
    of: Vec<String>,
    /// How many were seen, and of how many; left out: all.
    seen: Option<(u32, u32)>,
    /// Why nothing was told.
    missing: Option<String>,
    /// What was told is ten minutes old.
    #[serde(default)]
    stale: bool,
}

impl SecretsSpec {
    pub fn build(&self, now: Timestamp) -> Estate {
        let mut secrets: Vec<Arc<TenantSecret>> = self.of.iter().map(|line| Arc::new(secret(line, now))).collect();
        secrets.sort_by(|a, b| a.tenant.cmp(&b.tenant));
        let all = u32::try_from(secrets.len()).unwrap();
        let (seen, of) = self.seen.unwrap_or((all, all));
        let (mount, path) = ("secret".to_owned(), "tenants/{id}/db".to_owned());
        let mut observed = Observed::nothing(Duration::from_secs(60));
        match (&self.missing, self.stale) {
            (Some(reason), _) => observed.fail(Trouble::new(reason.clone())),
            (None, stale) => {
                let at = if stale { now - SignedDuration::from_mins(10) } else { now };
                observed.set(Arc::new(Secrets { mount, path, secrets, seen, of, strangers: 0 }), at);
            }
        }
        Estate { secrets: Some(observed), sources: Vec::new() }
    }
}

fn secret(line: &str, now: Timestamp) -> TenantSecret {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [tenant, place, rest @ ..] = words.as_slice() else { panic!("too few words: {line}") };
    let tenant = TenantId::parse(tenant).unwrap();
    let given = |key: &str| rest.iter().find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    let schema = format!("tenant_{}", tenant.as_str().replace('-', "_"));
    // `-` stands for a key that is missing.
    let text = |key: &str, usual: &str| Some(given(key).unwrap_or(usual)).filter(|it| *it != "-").map(Foreign::from);
    let (kind, address) = place.split_once(':').unwrap_or((place, ""));
    let (host, port) = address.rsplit_once(':').unwrap_or(("db.example", "5432"));
    let (mut host, mut port) = (Some(Foreign::from(host)), port.parse().ok());
    let leads = match kind {
        "to" => Leads::To(InstanceName::new(address)),
        "beside" => Leads::Beside,
        "elsewhere" => Leads::Elsewhere,
        _ => {
            (host, port) = (None, None);
            Leads::Nowhere
        }
    };
    let content = match kind {
        "nothing" => Content::Nothing,
        "deleted" => Content::Deleted,
        "destroyed" => Content::Destroyed,
        "unread" => Content::Unread,
        "to" | "beside" | "elsewhere" | "nowhere" => Content::Points(Box::new(Pointing {
            host,
            port,
            database: text("db", "portarium"),
            schema: text("schema", &schema),
            username: text("user", "portarium_shared"),
            has_password: rest.contains(&"password"),
            odd: given("odd").into_iter().flat_map(|names| names.split(',')).map(str::to_owned).collect(),
            leads,
        })),
        other => panic!("no such place: {other}"),
    };
    let version = SecretVersion {
        number: given("v").map_or(1, |number| number.parse().unwrap()),
        written: Some(now - span(given("written").unwrap_or("1d"))),
        ends: given("ends").map(|after| now + span(after)),
    };
    let line = "path \"secret/data/tenants/+/db\" { capabilities = [\"read\"] }";
    let hidden = (kind == "unread").then(|| format!("Vault does not let us read it: its policy needs {line}"));
    TenantSecret {
        tenant,
        version: (kind != "nothing").then_some(version),
        custom: Vec::new(),
        kept: Some(0),
        content,
        hidden,
    }
}
