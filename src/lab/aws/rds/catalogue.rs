//! What can be had: versions, and classes with their storage.

use std::sync::Arc;

use super::{combination, filter, listed, paged};
use crate::lab::aws::classes::CLASSES;
use crate::lab::aws::core::Core;
use crate::lab::aws::settings::major;
use crate::lab::aws::wire::{Answer, Fields, Input};

fn matching(core: &Core, wanted: Option<&str>) -> Vec<String> {
    let all = core.binaries.iter().map(|it| it.version.clone());
    all.filter(|it| wanted.is_none_or(|wanted| it == wanted || major(it).to_string() == wanted)).collect()
}

pub fn versions(core: &Arc<Core>, input: &Input) -> Answer {
    let asked = ["DBParameterGroupFamily", "DefaultOnly", "Engine", "EngineVersion"];
    listed(input, &[&asked[..], &["IncludeAll", "ListSupportedCharacterSets", "ListSupportedTimezones"]].concat())?;
    super::filters(input, &["status"])?;
    let engine = input.filled("Engine").is_none_or(|engine| engine == "postgres");
    let mut versions = if engine { matching(core, input.filled("EngineVersion")) } else { Vec::new() };
    if input.flag("DefaultOnly") == Some(true) {
        versions.truncate(1);
    }
    let family = input.filled("DBParameterGroupFamily");
    let status = filter(input, "status");
    let found = versions
        .iter()
        .filter(|it| family.is_none_or(|family| family == format!("postgres{}", major(it))))
        .filter(|_| status.as_ref().is_none_or(|wanted| wanted.iter().any(|it| it == "available")))
        .map(|it| {
            Fields::new()
                .with("Engine", "postgres")
                .with("MajorEngineVersion", major(it).to_string())
                .with("EngineVersion", it)
                .with("DBParameterGroupFamily", format!("postgres{}", major(it)))
                .with("DBEngineDescription", "PostgreSQL")
                .with("DBEngineVersionDescription", format!("PostgreSQL {it}"))
                .list::<Fields>("ValidUpgradeTarget", "UpgradeTarget", [])
                .list("ExportableLogTypes", "member", ["postgresql", "upgrade"])
                .with("SupportsLogExportsToCloudwatchLogs", true)
                .with("SupportsReadReplica", false)
                .with("Status", "available")
                .with("SupportsParallelQuery", false)
                .with("SupportsGlobalDatabases", false)
        })
        .collect();
    paged(input, "DBEngineVersions", "DBEngineVersion", found)
}

pub fn options(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    listed(input, &["DBInstanceClass", "Engine", "EngineVersion", "Vpc"])?;
    super::filters(input, &[])?;
    let engine = super::required(input, "Engine")?;
    if engine != "postgres" {
        return Err(combination(format!("Invalid DB engine: {engine}")));
    }
    let class = input.filled("DBInstanceClass");
    let mut found = Vec::new();
    for version in matching(core, input.filled("EngineVersion")) {
        for class in CLASSES.iter().filter(|it| class.is_none_or(|class| class == it.name)) {
            for kind in ["gp2", "gp3", "io1", "io2"] {
                found.push(option(region, &version, class.name, kind));
            }
        }
    }
    paged(input, "OrderableDBInstanceOptions", "OrderableDBInstanceOption", found)
}

fn option(region: &str, version: &str, class: &str, kind: &str) -> Fields {
    let provisioned = kind.starts_with("io");
    let zones = ["a", "b", "c"].map(|letter| Fields::new().with("Name", format!("{region}{letter}")));
    Fields::new()
        .with("Engine", "postgres")
        .with("EngineVersion", version)
        .with("DBInstanceClass", class)
        .with("LicenseModel", "postgresql-license")
        .list("AvailabilityZones", "AvailabilityZone", zones)
        .with("MultiAZCapable", true)
        .with("ReadReplicaCapable", false)
        .with("Vpc", true)
        .with("SupportsStorageEncryption", true)
        .with("StorageType", kind)
        .with("SupportsIops", provisioned)
        .with("SupportsStorageThroughput", kind == "gp3")
        .with("SupportsEnhancedMonitoring", false)
        .with("SupportsIAMDatabaseAuthentication", false)
        .with("SupportsPerformanceInsights", true)
        .with("MinStorageSize", if provisioned { 100_i64 } else { 20 })
        .with("MaxStorageSize", 65_536_i64)
        .maybe("MinIopsPerDbInstance", provisioned.then_some(1_000_i64))
        .maybe("MaxIopsPerDbInstance", provisioned.then_some(256_000_i64))
        .with("SupportsStorageAutoscaling", true)
        .with("SupportsKerberosAuthentication", false)
        .with("OutpostCapable", false)
        .list("SupportedNetworkTypes", "member", ["IPV4"])
        .with("SupportsClusters", false)
}
