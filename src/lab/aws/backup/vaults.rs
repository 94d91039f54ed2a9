//! Vaults, and the tags of what AWS Backup has.

use std::sync::Arc;

use jiff::Timestamp;

use super::{invalid, missing, paged, required, vault_arn};
use crate::lab::aws::core::Core;
use crate::lab::aws::names::ACCOUNT;
use crate::lab::aws::state::{Region, Tags, Vault};
use crate::lab::aws::wire::{Answer, Fields, Input, Refusal};

fn told(region: &Region, vault: &Vault) -> Fields {
    let points = region.backup.points.values().filter(|point| point.vault == vault.name).count();
    let own = || format!("arn:aws:kms:{}:{ACCOUNT}:key/backup", region.name);
    Fields::new()
        .with("BackupVaultName", &vault.name)
        .with("BackupVaultArn", vault_arn(&region.name, &vault.name))
        .with("VaultType", "BACKUP_VAULT")
        .with("VaultState", "AVAILABLE")
        .with("CreationDate", vault.created)
        .with("EncryptionKeyArn", vault.key.clone().unwrap_or_else(own))
        .with("NumberOfRecoveryPoints", points)
        .with("Locked", false)
}

/// What is said of a vault that is not there.
pub fn none(name: &str) -> Refusal {
    missing(format!("Backup vault not found: {name}"))
}

/// What is said to whoever reads in a vault that is not there: whether there is one is not everybody's business.
pub fn veiled() -> Refusal {
    Refusal::new("AccessDeniedException", "Insufficient privileges to perform this action.")
}

pub fn create(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let name = required(input, "BackupVaultName")?;
    let legal =
        (2..=50).contains(&name.len()) && name.chars().all(|char| char.is_ascii_alphanumeric() || "-_".contains(char));
    if !legal {
        return Err(invalid("Backup vault name must have 2 to 50 letters, digits, hyphens and underscores"));
    }
    let mut state = core.state();
    let known = state.region(region);
    if known.backup.vaults.contains_key(name) {
        return Err(Refusal::new(
            "AlreadyExistsException",
            format!("Backup vault with the same name already exists: {name}"),
        ));
    }
    let vault = Vault {
        name: name.to_owned(),
        created: Timestamp::now(),
        key: input.filled("EncryptionKeyArn").map(str::to_owned),
        tags: input.pairs("BackupVaultTags").into_iter().collect(),
    };
    let told = Fields::new()
        .with("BackupVaultName", name)
        .with("BackupVaultArn", vault_arn(region, name))
        .with("CreationDate", vault.created);
    known.backup.vaults.insert(name.to_owned(), vault);
    Ok(told)
}

pub fn list(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let mut state = core.state();
    let known = state.region(region);
    let found = known.backup.vaults.values().map(|vault| told(known, vault)).collect();
    paged(input, "BackupVaultList", found)
}

pub fn describe(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let name = required(input, "BackupVaultName")?;
    let mut state = core.state();
    let known = state.region(region);
    known.backup.vaults.get(name).map(|vault| told(known, vault)).ok_or_else(veiled)
}

pub fn delete(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let name = required(input, "BackupVaultName")?;
    let mut state = core.state();
    let known = state.region(region);
    if known.backup.points.values().any(|point| point.vault == name) {
        let message = format!("Backup vault cannot be deleted (contains recovery points): {name}");
        return Err(Refusal::new("InvalidRequestException", message));
    }
    known.backup.vaults.remove(name).map(|_| Fields::new()).ok_or_else(|| none(name))
}

fn of<'a>(region: &'a mut Region, arn: &str) -> Result<&'a mut Tags, Refusal> {
    let none = || missing(format!("Resource not found: {arn}"));
    let name = region.name.clone();
    let backup = &mut region.backup;
    if let Some(point) = backup.points.get_mut(arn) {
        return Ok(&mut point.tags);
    }
    if let Some(id) = arn.rsplit(":backup-plan:").next().filter(|id| *id != arn) {
        return backup.plans.get_mut(id).map(|plan| &mut plan.tags).ok_or_else(none);
    }
    backup
        .vaults
        .values_mut()
        .find(|vault| vault_arn(&name, &vault.name) == arn)
        .map(|it| &mut it.tags)
        .ok_or_else(none)
}

pub fn tags(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let mut state = core.state();
    let tags = of(state.region(region), required(input, "ResourceArn")?)?.clone();
    Ok(Fields::new().with("Tags", tags.into_iter().collect::<Fields>()))
}

pub fn tag(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    of(core.state().region(region), required(input, "ResourceArn")?)?.extend(input.pairs("Tags"));
    Ok(Fields::new())
}

pub fn untag(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let keys = input.texts("TagKeyList");
    of(core.state().region(region), required(input, "ResourceArn")?)?.retain(|key, _| !keys.contains(key));
    Ok(Fields::new())
}
