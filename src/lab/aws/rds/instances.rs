//! Asking for instances and their automated backups.

use std::sync::Arc;

use super::describe::{self, tags};
use super::{filter, filters, listed, no_instance, paged};
use crate::lab::aws::core::Core;
use crate::lab::aws::names::rds_arn;
use crate::lab::aws::state::{Instance, Region};
use crate::lab::aws::wire::{Answer, Fields, Input};

/// Whether an instance is among those that are meant: by identifier or ARN.
fn is_meant(region: &Region, it: &Instance, wanted: &str) -> bool {
    it.id.eq_ignore_ascii_case(wanted) || rds_arn(&region.name, "db", &it.id) == wanted
}

pub fn list(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    listed(input, &["DBInstanceIdentifier"])?;
    filters(input, &["db-cluster-id", "db-instance-id", "dbi-resource-id", "domain", "engine"])?;
    let mut state = core.state();
    let region = state.region(region);
    let one = input.filled("DBInstanceIdentifier");
    let among = |name: &str, fits: &dyn Fn(&str) -> bool| {
        filter(input, name).is_none_or(|values| values.iter().any(|value| fits(value)))
    };
    let found: Vec<Fields> = region
        .instances
        .values()
        .filter(|it| one.is_none_or(|one| is_meant(region, it, one)))
        .filter(|it| among("db-instance-id", &|value| is_meant(region, it, value)))
        .filter(|it| among("dbi-resource-id", &|value| it.resource == value))
        .filter(|_| among("engine", &|value| value == "postgres"))
        .filter(|_| filter(input, "db-cluster-id").is_none() && filter(input, "domain").is_none())
        .map(|it| describe::instance(region, it))
        .collect();
    match one {
        Some(id) if found.is_empty() => Err(no_instance(id)),
        _ => paged(input, "DBInstances", "DBInstance", found),
    }
}

pub fn automated_backups(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    listed(input, &["DBInstanceIdentifier", "DbiResourceId"])?;
    filters(input, &["db-instance-id", "dbi-resource-id", "status"])?;
    let mut state = core.state();
    let region = state.region(region);
    let wanted = input.filled("DBInstanceIdentifier");
    let resource = input.filled("DbiResourceId");
    let found: Vec<Fields> = region
        .instances
        .values()
        .filter(|it| it.shape.retention > 0)
        .filter(|it| wanted.is_none_or(|wanted| is_meant(region, it, wanted)))
        .filter(|it| resource.is_none_or(|resource| it.resource == resource))
        .filter(|it| filter(input, "db-instance-id").is_none_or(|ids| ids.iter().any(|id| is_meant(region, it, id))))
        .filter(|it| filter(input, "dbi-resource-id").is_none_or(|ids| ids.contains(&it.resource)))
        .filter(|_| filter(input, "status").is_none_or(|wanted| wanted.iter().any(|status| status == "active")))
        .map(|it| backup(region, it))
        .collect();
    paged(input, "DBInstanceAutomatedBackups", "DBInstanceAutomatedBackup", found)
}

fn backup(region: &Region, it: &Instance) -> Fields {
    let shape = &it.shape;
    let window = it.machine.as_ref().and_then(|machine| machine.kept().window());
    let window =
        window.map(|(earliest, latest)| Fields::new().with("EarliestTime", earliest).with("LatestTime", latest));
    Fields::new()
        .with("DBInstanceArn", rds_arn(&region.name, "db", &it.id))
        .with("DbiResourceId", &it.resource)
        .with("Region", region.name.as_str())
        .with("DBInstanceIdentifier", &it.id)
        .with("RestoreWindow", window.unwrap_or_default())
        .with("AllocatedStorage", shape.storage)
        .with("Status", "active")
        .maybe("Port", it.machine.as_ref().map(|machine| machine.port()))
        .with("InstanceCreateTime", it.created)
        .with("MasterUsername", &shape.master)
        .with("Engine", "postgres")
        .with("EngineVersion", &shape.version)
        .with("LicenseModel", "postgresql-license")
        .with("Encrypted", shape.encrypted)
        .with("StorageType", &shape.storage_type)
        .maybe("KmsKeyId", shape.key.as_ref())
        .with("IAMDatabaseAuthenticationEnabled", shape.iam)
        .with("BackupRetentionPeriod", shape.retention)
        .with("DBInstanceAutomatedBackupsArn", rds_arn(&region.name, "auto-backup", &it.resource.to_lowercase()))
        .with("BackupTarget", "region")
        .list("TagList", "Tag", tags(&it.tags))
}
