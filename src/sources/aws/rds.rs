//! Source `rds`: `DescribeDBInstances` for the whole account, a hundred a page; what maintenance is pending; how far back each
//! may be restored.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use aws_sdk_rds::types::{DbInstance, PendingMaintenanceAction, PendingModifiedValues};
use jiff::Timestamp;

use super::{ByInstance, count, foreign, moment_of, some};
use crate::clients::aws::{Account, Action, AwsError};
use crate::domain::Foreign;
use crate::domain::facts::cloud::{Maintenance, Rds, Storage};

/// How many are told at once; RDS allows no more.
pub(super) const PAGE: i32 = 100;

/// All PostgreSQL instances of the account, as RDS describes them; maintenance is not known yet.
pub async fn instances(account: &Account) -> Result<ByInstance<Rds>, AwsError> {
    let clients = account.clients().await;
    let mut pages = clients.rds.describe_db_instances().max_records(PAGE).into_paginator().send();
    let mut found = HashMap::new();
    while let Some(page) = account.page(Action::DescribeDbInstances, pages.next()).await? {
        for instance in page.db_instances() {
            let ours = instance.engine().is_none_or(|engine| engine.contains("postgres"));
            if let Some(identifier) = instance.db_instance_identifier().filter(|_| ours) {
                found.insert(Arc::from(identifier), read(instance));
            }
        }
    }
    Ok(found)
}

/// What RDS wants done, by the instance's ARN.
pub async fn maintenance(account: &Account) -> Result<HashMap<String, Vec<Maintenance>>, AwsError> {
    let clients = account.clients().await;
    let mut pages = clients.rds.describe_pending_maintenance_actions().max_records(PAGE).into_paginator().send();
    let mut pending: HashMap<String, Vec<Maintenance>> = HashMap::new();
    while let Some(page) = account.page(Action::DescribePendingMaintenanceActions, pages.next()).await? {
        for resource in page.pending_maintenance_actions() {
            let Some(arn) = resource.resource_identifier() else { continue };
            let actions = resource.pending_maintenance_action_details().iter().map(action);
            pending.entry(arn.to_owned()).or_default().extend(actions);
        }
    }
    Ok(pending)
}

/// The earliest moment that each may be restored to, by the instance's ARN: of the same name there may be backups of one that is
/// gone, and of one in another region that are replicated here.
pub async fn earliest(account: &Account) -> Result<HashMap<String, Timestamp>, AwsError> {
    let clients = account.clients().await;
    let mut pages = clients.rds.describe_db_instance_automated_backups().max_records(PAGE).into_paginator().send();
    let mut found = HashMap::new();
    while let Some(page) = account.page(Action::DescribeDbInstanceAutomatedBackups, pages.next()).await? {
        for backup in page.db_instance_automated_backups() {
            let earliest = backup.restore_window().and_then(|window| moment_of(window.earliest_time()));
            let here = backup.status().is_none_or(|status| status == "active");
            if let (Some(arn), Some(earliest), true) = (backup.db_instance_arn(), earliest, here) {
                found.insert(arn.to_owned(), earliest);
            }
        }
    }
    Ok(found)
}

fn action(action: &PendingMaintenanceAction) -> Maintenance {
    Maintenance {
        action: foreign(action.action()),
        description: foreign(action.description()),
        after: moment_of(action.auto_applied_after_date()).or_else(|| moment_of(action.current_apply_date())),
        forced: moment_of(action.forced_apply_date()),
        chosen: some(action.opt_in_status()),
    }
}

fn read(instance: &DbInstance) -> Rds {
    let endpoint = instance.endpoint();
    let endpoint = endpoint.and_then(|at| Some((some(at.address())?, u16::try_from(at.port()?).ok()?)));
    let tag = |tag: &aws_sdk_rds::types::Tag| Some((tag.key()?.to_owned(), foreign(tag.value())));
    let groups = instance.db_parameter_groups().iter();
    Rds {
        arn: foreign(instance.db_instance_arn()),
        resource_id: some(instance.dbi_resource_id()),
        status: foreign(instance.db_instance_status()),
        class: foreign(instance.db_instance_class()),
        version: foreign(instance.engine_version()),
        storage: Storage {
            allocated_gib: count(instance.allocated_storage()),
            max_allocated_gib: count(instance.max_allocated_storage()),
            kind: Arc::from(instance.storage_type().unwrap_or_default()),
            iops: count(instance.iops()),
            throughput_mibps: count(instance.storage_throughput()),
        },
        multi_az: instance.multi_az(),
        zone: some(instance.availability_zone()),
        encrypted: instance.storage_encrypted(),
        kms_key: some(instance.kms_key_id()),
        public: instance.publicly_accessible(),
        deletion_protection: instance.deletion_protection(),
        ca: some(instance.ca_certificate_identifier()),
        certificate_until: instance.certificate_details().and_then(|details| moment_of(details.valid_till())),
        backup_window: some(instance.preferred_backup_window()),
        maintenance_window: some(instance.preferred_maintenance_window()),
        retention_days: count(instance.backup_retention_period()),
        earliest_restorable: None,
        latest_restorable: moment_of(instance.latest_restorable_time()),
        endpoint,
        master: some(instance.master_username()),
        database: some(instance.db_name()),
        iam_login: instance.iam_database_authentication_enabled(),
        insights: instance.performance_insights_enabled(),
        created: moment_of(instance.instance_create_time()),
        parameter_groups: groups
            .map(|group| (foreign(group.db_parameter_group_name()), foreign(group.parameter_apply_status())))
            .collect(),
        exports_logs: instance.enabled_cloudwatch_logs_exports().iter().any(|log| log == "postgresql"),
        cluster: some(instance.db_cluster_identifier()).or_else(|| of_clusters(instance)),
        replica_of: some(instance.read_replica_source_db_instance_identifier()),
        replicas: instance.read_replica_db_instance_identifiers().iter().map(|it| Foreign::from(it.as_str())).collect(),
        tags: instance.tag_list().iter().filter_map(tag).collect::<BTreeMap<_, _>>(),
        pending: instance.pending_modified_values().map(pending).unwrap_or_default(),
        maintenance: None,
        refused: Vec::new(),
    }
}

/// An engine that only clusters have, where its cluster is not told.
fn of_clusters(instance: &DbInstance) -> Option<Foreign> {
    some(instance.engine().filter(|engine| *engine != "postgres"))
}

/// What was ordered and is not done yet. Of a password only that there will be another.
fn pending(values: &PendingModifiedValues) -> Vec<(Arc<str>, Foreign)> {
    let text = |name: &'static str, value: Option<&str>| Some((Arc::from(name), Foreign::from(value?)));
    let number = |name: &'static str, value: Option<i32>| Some((Arc::from(name), Foreign::from(value?.to_string())));
    let flag = |name: &'static str, value: Option<bool>| {
        Some((Arc::from(name), Foreign::from(if value? { "yes" } else { "no" })))
    };
    let all = [
        text("class", values.db_instance_class()),
        number("storage (GiB)", values.allocated_storage()),
        text("master password", values.master_user_password().map(|_| "(changed)")),
        number("port", values.port()),
        number("backup retention (days)", values.backup_retention_period()),
        flag("Multi-AZ", values.multi_az()),
        text("version", values.engine_version()),
        number("IOPS", values.iops()),
        number("throughput (MiB/s)", values.storage_throughput()),
        text("identifier", values.db_instance_identifier()),
        text("storage type", values.storage_type()),
        text("CA", values.ca_certificate_identifier()),
        text("subnet group", values.db_subnet_group_name()),
        flag("IAM login", values.iam_database_authentication_enabled()),
        flag("dedicated log volume", values.dedicated_log_volume()),
    ];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_rds::types::{Endpoint, Tag};

    #[test]
    fn a_member_of_a_cluster_is_one_by_its_cluster_or_its_engine() {
        let of = |engine: &str, cluster: Option<&str>| {
            let instance = DbInstance::builder().engine(engine).set_db_cluster_identifier(cluster.map(str::to_owned));
            read(&instance.build()).cluster.map(|cluster| cluster.raw().to_owned())
        };
        assert_eq!(of("postgres", None), None);
        assert_eq!(of("postgres", Some("c")).as_deref(), Some("c"));
        assert_eq!(of("aurora-postgresql", Some("c")).as_deref(), Some("c"));
        assert_eq!(of("aurora-postgresql", None).as_deref(), Some("aurora-postgresql"));
    }

    #[test]
    fn what_rds_leaves_out_stays_unknown_and_a_new_password_is_no_word_of_it() {
        let bare = read(&DbInstance::builder().db_instance_identifier("x").build());
        assert_eq!((bare.endpoint, bare.storage.iops, bare.insights, bare.retention_days), (None, None, None, None));
        let flags = [bare.encrypted, bare.public, bare.deletion_protection, bare.multi_az, bare.iam_login];
        assert_eq!((flags, bare.cluster), ([None; 5], None));
        let changing = PendingModifiedValues::builder().master_user_password("hunter2").allocated_storage(200).build();
        let instance = DbInstance::builder()
            .endpoint(Endpoint::builder().address("x.rds.amazonaws.com").port(5432).build())
            .tag_list(Tag::builder().key("TenantId").value("acme").build())
            .pending_modified_values(changing);
        let read = read(&instance.build());
        assert_eq!(read.endpoint.as_ref().map(|(host, port)| (host.raw(), *port)), Some(("x.rds.amazonaws.com", 5432)));
        assert_eq!(read.tags["TenantId"].raw(), "acme");
        let told: Vec<_> = read.pending.iter().map(|(name, value)| (&**name, value.raw())).collect();
        assert_eq!(told, [("storage (GiB)", "200"), ("master password", "(changed)")]);
    }
}
