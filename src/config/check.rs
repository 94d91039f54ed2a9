//! From what was read to what may be used: the rules that need more than one key.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::aws::{self, AwsConfig};
use super::problem::{ConfigErrors, Problem};
use super::read::Reader;
use super::schema::{File, InstanceDraft};
use super::vault::MOUNT;
use super::{Config, InstanceConfig, PoolerConfig, Secret, VaultConfig};
use crate::clients::Environment;
use crate::domain::foreign::sanitise;
use crate::domain::ids::{LONGEST_IDENTIFIER, Naming};
use crate::domain::{InstanceName, Policy, TenantId, Tier};

/// A configuration that may be used, and what in its file has no effect.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The configuration.
    pub config: Config,
    /// Keys that are accepted and have no effect in this version.
    pub warnings: Vec<Problem>,
}

/// Reads and checks a file.
pub fn check_file(path: &Path) -> Result<Checked, ConfigErrors> {
    let whole = |message: String| {
        ConfigErrors(vec![Problem {
            file: path.display().to_string(),
            line: 1,
            column: 1,
            key: String::new(),
            message,
            source: None,
        }])
    };
    if path.is_dir() {
        return Err(whole("is a folder; name the file in it".to_owned()));
    }
    let bytes = std::fs::read(path).map_err(|error| whole(format!("cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        whole(format!("is not UTF-8 text (byte {}); save it as UTF-8", error.utf8_error().valid_up_to()))
    })?;
    check(&text, path)
}

/// Reads and checks a text; messages name the path, and relative paths in it start at the path's folder.
pub fn check(text: &str, path: &Path) -> Result<Checked, ConfigErrors> {
    let mut reader = Reader::new(text, path);
    let mut file = File::default();
    let (mut instances, mut accounts) = (Vec::new(), Vec::new());
    if reader.document(&mut file) {
        check_tenants(&mut reader, &file);
        accounts = aws::accounts(&mut reader, &file, &Environment::of_process());
        instances = check_instances(&mut reader, &file, &accounts);
        check_control(&mut reader, &file);
    }
    // A table in which nothing is set is that of the example.
    let vault = (file.vault != VaultConfig::default()).then(|| {
        let mount = file.vault.mount.clone().or_else(|| Some(MOUNT.to_owned()));
        Arc::new(VaultConfig { mount, ..file.vault.clone() })
    });
    for (index, instance) in instances.iter_mut().enumerate() {
        point_at_vault(&mut reader, index, instance, vault.as_ref());
        aws::point_at_iam(&mut reader, index, instance, &accounts);
    }
    aws::point_found_at_vault(&mut reader, &mut file.found, vault.as_ref());
    let Reader { mut errors, mut warnings, .. } = reader;
    let place = |problem: &Problem| (problem.line, problem.column);
    errors.sort_by_key(place);
    warnings.sort_by_key(place);
    if !errors.is_empty() {
        return Err(ConfigErrors(errors));
    }
    let config = Config {
        environment: file.environment,
        namespace: file.namespace,
        allow_actions: file.allow_actions,
        state: file.state,
        naming: file.naming,
        instances,
        poll: file.poll.0,
        policy: Policy {
            shared: file.policy.shared,
            dedicated: file.policy.dedicated,
            tenants: file.tenants,
            backup: file.policy.backup,
        },
        thresholds: file.thresholds,
        history: file.history,
        control: file.control.instance.as_deref().map(InstanceName::new),
        vault,
        aws: accounts,
        dedicated: file.found,
        operations: file.operations,
    };
    Ok(Checked { config, warnings })
}

/// Tells secrets in Vault which one.
fn point_at_vault(
    reader: &mut Reader<'_>,
    index: usize,
    instance: &mut InstanceConfig,
    vault: Option<&Arc<VaultConfig>>,
) {
    let pooler = instance.pgbouncer.as_mut().and_then(|pooler| pooler.password.as_mut());
    let admin = instance.admin.as_mut().and_then(|login| login.password.as_mut());
    for (key, secret) in
        [("password", instance.password.as_mut()), ("pgbouncer_password", pooler), ("admin.password", admin)]
    {
        let Some(Secret::Vault { at, .. }) = secret else { continue };
        match vault {
            Some(vault) => *at = Arc::clone(vault),
            None => reader.error(
                &format!("instance[{index}].{key}"),
                "is in Vault, and there is no [vault] with anything set in this file",
            ),
        }
    }
}

fn check_tenants(reader: &mut Reader<'_>, file: &File) {
    for id in file.tenants.keys() {
        if let Some(message) = too_long(&file.naming, id) {
            reader.error(&format!("tenant.{id}"), message);
        }
    }
    if file.naming.service_account.len() > LONGEST_IDENTIFIER {
        reader.error("naming.service_account", format!("PostgreSQL names have at most {LONGEST_IDENTIFIER} bytes"));
    }
}

/// PostgreSQL cuts long names without a word, and two tenants could land in one schema.
fn too_long(naming: &Naming, id: &TenantId) -> Option<String> {
    let templates = [&naming.tenant_schema, &naming.tenant_role, &naming.tenant_database, &naming.tenant_login];
    let name = templates.into_iter().map(|template| template.name(id)).max_by_key(String::len)?;
    (name.len() > LONGEST_IDENTIFIER).then(|| {
        format!(
            "the name {name} has {} bytes and PostgreSQL cuts names at {LONGEST_IDENTIFIER}; use a shorter id",
            name.len()
        )
    })
}

fn check_instances(reader: &mut Reader<'_>, file: &File, accounts: &[AwsConfig]) -> Vec<InstanceConfig> {
    if file.instances.is_empty() && !reader.errors.iter().any(|error| error.key == "instance") {
        reader.error("instance", "at least one [[instance]] with name and url is needed");
    }
    let mut names = BTreeMap::new();
    let mut instances = Vec::new();
    for (index, draft) in file.instances.iter().enumerate() {
        let path = format!("instance[{index}]");
        instances.extend(check_instance(reader, &file.naming, &path, draft, accounts));
        let Some(name) = &draft.name else { continue };
        if let Some(first) = names.insert(name.as_str(), index) {
            reader.error(
                &format!("{path}.name"),
                format!("{name:?} is the name of the {} instance already; names must differ", ordinal(first + 1)),
            );
        }
    }
    instances
}

/// Leases live on an instance that is configured.
fn check_control(reader: &mut Reader<'_>, file: &File) {
    let Some(name) = &file.control.instance else { return };
    let mut names = file.instances.iter().filter_map(|draft| draft.name.as_ref());
    if !names.any(|known| known == name) {
        reader.error("control.instance", format!("no [[instance]] is called {name:?}"));
    }
}

fn check_instance(
    reader: &mut Reader<'_>,
    naming: &Naming,
    path: &str,
    draft: &InstanceDraft,
    accounts: &[AwsConfig],
) -> Option<InstanceConfig> {
    let key = |name: &str| format!("{path}.{name}");
    for (name, missing) in [("name", draft.name.is_none()), ("url", draft.url.is_none())] {
        if missing && !reader.written(&key(name)) {
            reader.error(&key(name), "is missing; every [[instance]] needs name and url");
        }
    }
    if draft.name.as_deref().is_some_and(|name| sanitise(name) != name) {
        reader.error(&key("name"), "must not contain control or invisible characters");
    }
    let tenant = match (draft.tier, draft.tenant.as_deref()) {
        (_, Some(id)) => match TenantId::parse(id) {
            Ok(id) => {
                if draft.tier == Tier::Shared {
                    reader.error(&key("tenant"), "only an instance with tier = \"dedicated\" has a tenant");
                }
                if let Some(message) = too_long(naming, &id) {
                    reader.error(&key("tenant"), message);
                }
                Some(id)
            }
            Err(error) => {
                reader.error(&key("tenant"), error.to_string());
                None
            }
        },
        (Tier::Dedicated, None) => {
            if !reader.written(&key("tenant")) {
                reader.error(&key("tenant"), "is missing; tier = \"dedicated\" needs tenant = \"ID\"");
            }
            None
        }
        (Tier::Shared, None) => None,
    };
    if draft.pgbouncer.is_none() && draft.pgbouncer_password.is_some() {
        reader.error(
            &key("pgbouncer_password"),
            "has no effect without pgbouncer = \"postgresql://USER@HOST:6432/pgbouncer\"",
        );
    }
    let address = draft.address.as_deref().and_then(|text| {
        let parsed = host_and_port(text);
        if parsed.is_none() {
            reader.error(&key("address"), "must be HOST:PORT, such as \"db.example:5432\"");
        }
        parsed
    });
    let rds = aws::rds(reader, &key("rds"), draft.rds.as_deref(), draft.url.as_deref(), accounts);
    Some(InstanceConfig {
        address,
        rds,
        name: InstanceName::new(draft.name.as_deref()?),
        tier: draft.tier,
        layout: draft.layout,
        tenant,
        url: draft.url.clone()?,
        password: draft.password.clone(),
        vcpus: draft.vcpus,
        admin: draft.admin.clone(),
        pgbouncer: draft.pgbouncer.clone().map(|url| PoolerConfig { url, password: draft.pgbouncer_password.clone() }),
    })
}

/// `db.example:5432`, `[::1]:5432`
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_.:[]".contains(char);
    let port = port.parse().ok().filter(|port| *port > 0)?;
    (!host.is_empty() && host.chars().all(plain)).then(|| (host.to_owned(), port))
}

fn ordinal(number: usize) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}
