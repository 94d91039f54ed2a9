//! `[aws.NAME]`: accounts and regions; `rds`: which of them knows an instance; `[dedicated]`: how to log in to instances that
//! were found there.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::field::{Field, Named, Scale, Slot, Table};
use super::read::Reader;
use super::schema::File;
use super::secret::IamLogin;
use super::{InstanceConfig, Login, Secret, VaultConfig};
use crate::clients::Environment;
use crate::clients::aws::{Account, Place};
use crate::clients::postgres::Target;
use crate::domain::{InstanceName, Layout, TenantId, Tier};

/// `[aws.NAME]`: one account in one region.
#[derive(Debug, Clone, PartialEq)]
pub struct AwsConfig {
    /// Where it is and how we get in; nothing is asked before somebody wants something of it.
    pub account: Account,
    /// `discover`: whether dedicated instances are found by their tags.
    pub discover: bool,
    /// `max_usd_per_hour`.
    pub max_usd_per_hour: f64,
}

impl AwsConfig {
    /// NAME.
    pub fn name(&self) -> &str {
        &self.account.place().name
    }

    /// Which account it is, but not how one gets into it. What is added to a place has to be thought of here.
    #[must_use]
    pub fn without_a_way_in(&self) -> Self {
        let Place { name, region, profile: _, config_file: _, assume_role: _, endpoint_url: _ } =
            self.account.place().clone();
        let place = Place { name, region, profile: None, config_file: None, assume_role: None, endpoint_url: None };
        Self { account: Account::new(place), ..self.clone() }
    }
}

/// `rds`: where AWS knows an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RdsPlace {
    /// `[aws.NAME]`
    pub account: Arc<str>,
    /// RDS identifier.
    pub identifier: Arc<str>,
}

/// `[dedicated]`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dedicated {
    /// `url`, with `{host}`, `{port}`, `{database}` and `{id}` in it; `None`: only AWS is asked about them.
    pub url: Option<String>,
    /// `password`; `{id}` in a path stands for the tenant's id.
    pub password: Option<Secret>,
    /// `admin`, likewise.
    pub admin: Option<Login>,
}

/// A dedicated instance that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What it is called here.
    pub name: InstanceName,
    /// Whose it is, as its tag says.
    pub tenant: Option<TenantId>,
    /// Its endpoint.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its database.
    pub database: Option<String>,
    /// Where AWS knows it.
    pub rds: RdsPlace,
}

impl Dedicated {
    /// A text with the places in it filled in.
    pub(super) fn fill(text: &str, value: impl Fn(&str) -> String) -> String {
        let mut filled = text.to_owned();
        for name in ["host", "port", "database", "id"] {
            let place = format!("{{{name}}}");
            if filled.contains(&place) {
                filled = filled.replace(&place, &value(name));
            }
        }
        filled
    }

    /// How to log in to one of them; or why that is not known.
    pub fn instance(&self, found: &Found, account: &Account) -> Result<InstanceConfig, String> {
        let template = self.url.as_deref().ok_or(
            "it was found by its tags, and there is no [dedicated] with a url that says how to log in; only AWS is asked",
        )?;
        let secrets = [&self.password, &self.admin.as_ref().and_then(|login| login.password.clone())];
        let by_tenant = secrets.into_iter().flatten().any(|secret| secret.place().contains("{id}"));
        if found.tenant.is_none() && (template.contains("{id}") || by_tenant) {
            return Err(
                "its tag TenantId is missing or names no tenant, and [dedicated] needs {id} to log in".to_owned()
            );
        }
        let id = found.tenant.as_ref().map(ToString::to_string).unwrap_or_default();
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let database = found.database.clone().unwrap_or_else(|| match &found.tenant {
            Some(tenant) => tenant.as_str().replace('-', "_"),
            None => "postgres".to_owned(),
        });
        let url = Self::fill(template, |name| match name {
            "host" => found.host.clone(),
            "port" => found.port.to_string(),
            "database" => encoded(&database),
            _ => encoded(&id),
        });
        Target::check(&url).map_err(|error| format!("[dedicated] url, filled in for it: {error}"))?;
        let secret = |secret: &Secret, user: Option<&str>| each(secret, &id, &url, user, account);
        Ok(InstanceConfig {
            address: None,
            name: found.name.clone(),
            tier: Tier::Dedicated,
            layout: Layout::Schema,
            tenant: found.tenant.clone(),
            password: self.password.as_ref().map(|password| secret(password, None)),
            vcpus: None,
            pgbouncer: None,
            admin: self.admin.as_ref().map(|login| Login {
                user: login.user.clone(),
                password: login.password.as_ref().map(|password| secret(password, Some(&login.user))),
            }),
            rds: Some(found.rds.clone()),
            url,
        })
    }
}

/// The secret of one of them.
fn each(secret: &Secret, id: &str, url: &str, user: Option<&str>, account: &Account) -> Secret {
    match secret {
        Secret::Env(name) => Secret::Env(name.replace("{id}", id)),
        Secret::File(path) => Secret::File(path.to_string_lossy().replace("{id}", id).into()),
        Secret::Vault { path, field, at } => {
            Secret::Vault { path: path.replace("{id}", id), field: field.clone(), at: Arc::clone(at) }
        }
        Secret::Iam(_) => Secret::Iam(Arc::new(IamLogin {
            account: Some(account.clone()),
            url: url.to_owned(),
            user: user.map(str::to_owned),
        })),
    }
}

/// `[aws.NAME]` as it was written.
pub(super) struct AwsDraft {
    pub region: Option<String>,
    pub profile: Option<String>,
    pub config_file: Option<PathBuf>,
    pub assume_role: Option<String>,
    pub endpoint_url: Option<String>,
    pub discover: bool,
    pub max_usd_per_hour: f64,
}

impl Default for AwsDraft {
    fn default() -> Self {
        Self {
            region: None,
            profile: None,
            config_file: None,
            assume_role: None,
            endpoint_url: None,
            discover: true,
            max_usd_per_hour: 0.5,
        }
    }
}

impl From<&AwsConfig> for AwsDraft {
    fn from(aws: &AwsConfig) -> Self {
        let place = aws.account.place().clone();
        Self {
            region: Some(place.region.to_string()),
            profile: place.profile,
            config_file: place.config_file,
            assume_role: place.assume_role,
            endpoint_url: place.endpoint_url,
            discover: aws.discover,
            max_usd_per_hour: aws.max_usd_per_hour,
        }
    }
}

impl Table for AwsDraft {
    fn fields(&mut self) -> Vec<Field<'_>> {
        let text = |name, about, sample, slot| Field::optional(name, about, sample, Slot::OptionalText(slot));
        vec![
            text("region", "left out: AWS_REGION", "\"eu-west-1\"", &mut self.region),
            text(
                "profile",
                "of the SDK's own configuration; left out: variables, web identity, the machine's role …",
                "\"prod\"",
                &mut self.profile,
            ),
            Field::optional(
                "config_file",
                "the SDK's own configuration, where profiles are; left out: ~/.aws",
                "\"/etc/tierdeck/aws\"",
                Slot::Folder(&mut self.config_file),
            ),
            text(
                "assume_role",
                "role to take on",
                "\"arn:aws:iam::123456789012:role/tierdeck\"",
                &mut self.assume_role,
            ),
            text("endpoint_url", "somewhere else than AWS", "\"http://127.0.0.1:5000\"", &mut self.endpoint_url),
            Field::new(
                "discover",
                "find dedicated instances by their tag StorageTier=dedicated",
                Slot::Flag(&mut self.discover),
            ),
            Field::new(
                "max_usd_per_hour",
                "CloudWatch's price; slow metrics are asked more rarely to stay below it",
                Slot::Number(&mut self.max_usd_per_hour, Scale::Amount),
            ),
        ]
    }
}

/// `[aws.*]`
#[derive(Default)]
pub(super) struct AwsDrafts(pub BTreeMap<String, AwsDraft>);

impl Named for AwsDrafts {
    fn add(&mut self, name: &str) -> Result<&mut dyn Table, String> {
        let plain = |char: char| char.is_ascii_alphanumeric() || "-_".contains(char);
        if name.is_empty() || !name.chars().all(plain) {
            return Err("a name of letters, digits, '-' and '_'".to_owned());
        }
        Ok(self.0.entry(name.to_owned()).or_default())
    }

    fn all(&mut self) -> Vec<(String, &mut dyn Table)> {
        self.0.iter_mut().map(|(name, draft)| (name.clone(), draft as &mut dyn Table)).collect()
    }

    fn sample(&self) -> (&'static str, Box<dyn Table>) {
        ("main", Box::new(AwsDraft::default()))
    }
}

impl Table for Dedicated {
    fn fields(&mut self) -> Vec<Field<'_>> {
        vec![
            Field::optional(
                "url",
                "the monitoring login; left out: only AWS is asked about them",
                "\"postgresql://tierdeck@{host}:{port}/{database}?sslmode=verify-full\"",
                Slot::UrlTemplate(&mut self.url),
            ),
            Field::optional(
                "password",
                "of that login; an IAM token is made anew for each login",
                "{ iam = true }",
                Slot::Secret(&mut self.password),
            ),
            Field::optional(
                "admin",
                "the login of wizards and actions",
                "{ user = \"portarium\", password = { vault = \"tierdeck/{id}/admin#password\" } }",
                Slot::Login(&mut self.admin),
            ),
        ]
    }
}

/// The accounts of the file.
pub(super) fn accounts(reader: &mut Reader<'_>, file: &File, environment: &Environment) -> Vec<AwsConfig> {
    let mut accounts = Vec::new();
    for (name, draft) in &file.aws.0 {
        let from_environment =
            || ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(|name| environment.var(name));
        let Some(region) = draft.region.as_deref().or_else(from_environment) else {
            let region = format!("aws.{name}.region");
            if !reader.written(&region) {
                reader.error(&region, "is missing, and AWS_REGION is not set; set one of them");
            }
            continue;
        };
        if let Some(url) = &draft.endpoint_url
            && !(url.starts_with("http://") || url.starts_with("https://"))
        {
            reader.error(&format!("aws.{name}.endpoint_url"), "must start with http:// or https://");
        }
        // It would be shown wherever the place is; AWS's own tools take none there either.
        if draft.endpoint_url.as_deref().is_some_and(has_login) {
            let message = "must have no login in it; credentials come from profile, variables or the machine's role";
            reader.error(&format!("aws.{name}.endpoint_url"), message);
        }
        let place = Place {
            name: Arc::from(name.as_str()),
            region: Arc::from(region),
            profile: draft.profile.clone(),
            config_file: draft.config_file.clone(),
            assume_role: draft.assume_role.clone(),
            endpoint_url: draft.endpoint_url.clone(),
        };
        accounts.push(AwsConfig {
            account: Account::new(place),
            discover: draft.discover,
            max_usd_per_hour: draft.max_usd_per_hour,
        });
    }
    accounts
}

/// Whether there is a user, or a password, before the host.
fn has_login(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

/// Whose an RDS identifier is: `NAME/identifier`, or that of the only account, or of the only one in its region.
pub(super) fn rds(
    reader: &mut Reader<'_>,
    path: &str,
    written: Option<&str>,
    url: Option<&str>,
    accounts: &[AwsConfig],
) -> Option<RdsPlace> {
    let written = written?;
    if accounts.is_empty() {
        reader.warn(path, "has no effect without an [aws.NAME]: there is nobody to ask about it");
        return None;
    }
    let (account, identifier) = match written.split_once('/') {
        Some((name, identifier)) => (accounts.iter().find(|aws| aws.name() == name), identifier),
        None => (by_region(accounts, url), written),
    };
    let plain = |char: char| char.is_ascii_alphanumeric() || char == '-';
    if identifier.is_empty() || !identifier.chars().all(plain) {
        reader.error(path, "must be an RDS identifier (letters, digits and '-'), or \"NAME/identifier\"");
        return None;
    }
    let Some(account) = account else {
        reader.error(path, format!("which account? write {}", choices(accounts, identifier)));
        return None;
    };
    // RDS keeps identifiers in lower case, however they were written.
    Some(RdsPlace { account: Arc::from(account.name()), identifier: identifier.to_ascii_lowercase().into() })
}

fn choices(accounts: &[AwsConfig], identifier: &str) -> String {
    let mut words = String::new();
    for (place, aws) in accounts.iter().enumerate() {
        let _ = write!(words, "{}\"{}/{identifier}\"", if place == 0 { "" } else { " or " }, aws.name());
    }
    words
}

/// The only account; else the only one in the region that the host of the URL names.
fn by_region<'a>(accounts: &'a [AwsConfig], url: Option<&str>) -> Option<&'a AwsConfig> {
    if let [only] = accounts {
        return Some(only);
    }
    let host = url?.split_once(".rds.amazonaws.com")?.0;
    let region = host.rsplit_once('.')?.1;
    let mut there = accounts.iter().filter(|aws| &*aws.account.place().region == region);
    there.next().filter(|_| there.next().is_none())
}

/// Tells an instance's IAM passwords by whose rights their tokens are made.
pub(super) fn point_at_iam(
    reader: &mut Reader<'_>,
    index: usize,
    instance: &mut InstanceConfig,
    accounts: &[AwsConfig],
) {
    let named = instance.rds.as_ref().and_then(|rds| accounts.iter().find(|aws| aws.name() == &*rds.account));
    let account = named.or_else(|| by_region(accounts, Some(&instance.url))).map(|aws| aws.account.clone());
    let url = instance.url.clone();
    let user = instance.admin.as_ref().map(|login| login.user.clone());
    let admin = instance.admin.as_mut().and_then(|login| login.password.as_mut());
    for (key, secret, user) in [("password", instance.password.as_mut(), None), ("admin.password", admin, user)] {
        let Some(Secret::Iam(login)) = secret else { continue };
        if account.is_none() {
            let message = if accounts.is_empty() {
                "an IAM token is made by the rights of an account, and there is no [aws.NAME] in this file"
            } else {
                "by which account's rights? say so by rds = \"NAME/identifier\""
            };
            reader.error(&format!("instance[{index}].{key}"), message);
        }
        *login = Arc::new(IamLogin { account: account.clone(), url: url.clone(), user });
    }
    if let Some(Secret::Iam(_)) = instance.pgbouncer.as_ref().and_then(|pooler| pooler.password.as_ref()) {
        reader.error(&format!("instance[{index}].pgbouncer_password"), "PgBouncer's admin console takes no IAM token");
    }
}

/// Tells secrets of found instances in which Vault they are.
pub(super) fn point_found_at_vault(
    reader: &mut Reader<'_>,
    dedicated: &mut Dedicated,
    vault: Option<&Arc<VaultConfig>>,
) {
    let admin = dedicated.admin.as_mut().and_then(|login| login.password.as_mut());
    for (key, secret) in [("password", dedicated.password.as_mut()), ("admin.password", admin)] {
        let Some(Secret::Vault { at, .. }) = secret else { continue };
        match vault {
            Some(vault) => *at = Arc::clone(vault),
            None => reader.error(
                &format!("dedicated.{key}"),
                "is in Vault, and there is no [vault] with anything set in this file",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_in_an_endpoint_is_seen_wherever_it_stands() {
        for url in ["https://me:secret@host", "http://me@host:1/path", "me@host"] {
            assert!(has_login(url), "{url}");
        }
        for url in ["https://host", "http://127.0.0.1:5000/a@b", "https://host?x=a@b"] {
            assert!(!has_login(url), "{url}");
        }
    }
}
