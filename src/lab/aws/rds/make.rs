//! Making instances: what may be asked for, and what it comes to.

use std::sync::Arc;

use secrecy::SecretString;

use super::{combination, describe, invalid, only, required};
use crate::lab::LabError;
use crate::lab::aws::ADOPTED;
use crate::lab::aws::classes::class;
use crate::lab::aws::core::Core;
use crate::lab::aws::lifecycle::{Origin, Place};
use crate::lab::aws::machine::{Machine, Master, Theirs};
use crate::lab::aws::names::{default_key, identifier, key};
use crate::lab::aws::parameters::{check_group, default_group};
use crate::lab::aws::settings::major;
use crate::lab::aws::state::{Instance, InstanceShape, Region, Tags};
use crate::lab::aws::wire::{Answer, Fields, Input, Refusal};

/// What may be said of a new instance, however it is made. `Port` is heard, and another one given: here all instances
/// share one host.
pub const COMMON: [&str; 23] = [
    "AllocatedStorage",
    "AutoMinorVersionUpgrade",
    "AvailabilityZone",
    "BackupRetentionPeriod",
    "CACertificateIdentifier",
    "CopyTagsToSnapshot",
    "DBInstanceClass",
    "DBParameterGroupName",
    "DBSubnetGroupName",
    "DeletionProtection",
    "EnableCloudwatchLogsExports",
    "EnableIAMDatabaseAuthentication",
    "Engine",
    "Iops",
    "LicenseModel",
    "MultiAZ",
    "Port",
    "PreferredBackupWindow",
    "PubliclyAccessible",
    "StorageThroughput",
    "StorageType",
    "Tags",
    "VpcSecurityGroupIds",
];

const NEW: [&str; 11] = [
    "DBInstanceIdentifier",
    "DBName",
    "EnablePerformanceInsights",
    "EngineVersion",
    "KmsKeyId",
    "MasterUserPassword",
    "MasterUsername",
    "MaxAllocatedStorage",
    "MonitoringInterval",
    "PreferredMaintenanceWindow",
    "StorageEncrypted",
];

/// When backups are made where nobody says; RDS draws lots.
pub const BACKUP_WINDOW: &str = "03:00-03:30";
/// The same of maintenance.
pub const MAINTENANCE_WINDOW: &str = "sun:04:00-sun:04:30";
/// Certificate authorities, the usual one first.
pub const AUTHORITIES: [&str; 4] = ["rds-ca-rsa2048-g1", "rds-ca-rsa4096-g1", "rds-ca-ecc384-g1", "rds-ca-2019"];

/// Names that the engine or RDS has for itself.
const RESERVED: [&str; 9] = [
    "admin",
    "postgres_admin",
    "rdsadmin",
    "rds_superuser",
    "rdsrepladmin",
    "rds_replication",
    "public",
    "user",
    "rds_iam",
];

/// An instance that is about to be: checked, and not yet in the state.
#[derive(Debug)]
pub struct Wanted {
    /// Its identifier.
    pub id: String,
    /// What it is to be.
    pub shape: InstanceShape,
    /// Its tags.
    pub tags: Tags,
    /// What it is made of.
    pub origin: Origin,
}

impl Wanted {
    /// Puts it into the state and has it made.
    pub fn begin(self, core: &Arc<Core>, region: &str) -> Answer {
        let (place, shown) = {
            let mut state = core.state();
            let region = state.region(region);
            if region.instances.contains_key(&self.id) {
                return Err(Refusal::new("DBInstanceAlreadyExists", "DB instance already exists"));
            }
            let instance = Instance::new(self.id.clone(), self.shape, self.tags);
            let place = Place { region: region.name.clone(), resource: instance.resource.clone() };
            let shown = describe::instance(region, &instance);
            region.instances.insert(self.id, instance);
            (place, shown)
        };
        core.spawn(Arc::clone(core).raise(place, self.origin));
        Ok(Fields::new().with("DBInstance", shown))
    }
}

pub fn create(core: &Arc<Core>, region: &str, input: &Input) -> Answer {
    let known: Vec<&str> = COMMON.iter().chain(&NEW).copied().collect();
    only(input, &known)?;
    let id = identifier("DBInstanceIdentifier", Some(required(input, "DBInstanceIdentifier")?), 63)?;
    let class = required(input, "DBInstanceClass")?.to_owned();
    required(input, "Engine")?;
    let version = version(core, input.filled("EngineVersion"))?;
    let (master, password) = (master(input)?, master_password(input)?);
    let database = input.filled("DBName").map(database).transpose()?;
    if input.int("MonitoringInterval").is_some_and(|seconds| seconds != 0) {
        return Err(combination("The estate's AWS has no Enhanced Monitoring: MonitoringInterval must be 0"));
    }
    let mut shape = plain(class, version, master.clone(), database.clone());
    shape.encrypted = input.flag("StorageEncrypted").unwrap_or(false) || input.has("KmsKeyId");
    if shape.encrypted {
        let named = input.filled("KmsKeyId");
        shape.key = Some(named.map_or_else(|| Ok(default_key(region)), |named| key(region, named))?);
    }
    if !input.has("AllocatedStorage") {
        return Err(Refusal::new("MissingParameter", "The request must contain the parameter AllocatedStorage."));
    }
    heed(core.state().region(region), input, &mut shape)?;
    let master = Master { user: master, password, database };
    Wanted { id, shape, tags: tags(input)?, origin: Origin::New(master) }.begin(core, region)
}

/// What an instance is where nobody says otherwise.
fn plain(class: String, version: String, master: String, database: Option<String>) -> InstanceShape {
    InstanceShape {
        class,
        parameters: default_group(major(&version)),
        version,
        database,
        master,
        storage: 0,
        most_storage: None,
        storage_type: String::new(),
        iops: None,
        throughput: None,
        multi_az: false,
        encrypted: false,
        key: None,
        public: false,
        protected: false,
        retention: 1,
        backup_window: BACKUP_WINDOW.to_owned(),
        maintenance_window: MAINTENANCE_WINDOW.to_owned(),
        zone: "a".to_owned(),
        subnets: "default".to_owned(),
        security: vec!["sg-0estate".to_owned()],
        exports: Vec::new(),
        authority: AUTHORITIES[0].to_owned(),
        iam: false,
        insights: false,
        auto_minor: true,
        copy_tags: false,
    }
}

/// Enters a cluster that somebody else runs.
pub fn adopt(
    core: &Arc<Core>,
    region: &str,
    id: &str,
    (master, database): (&str, &str),
    input: &Input,
    theirs: Theirs,
) -> Result<(), LabError> {
    let refused = |refusal: Refusal| LabError::Server { program: "the estate's RDS", said: refusal.message };
    let class = input.filled("DBInstanceClass").unwrap_or_default().to_owned();
    let version = version(core, Some(&theirs.major.to_string())).map_err(refused)?;
    let mut shape = plain(class, version, master.to_owned(), Some(database.to_owned()));
    shape.encrypted = input.flag("StorageEncrypted").unwrap_or(false);
    shape.key = shape.encrypted.then(|| default_key(region));
    heed(core.state().region(region), input, &mut shape).map_err(refused)?;
    let machine = Machine::of_others(core.home.join(ADOPTED), &core.runner, theirs)?;
    core.watch_over(&machine);
    core.keep(&machine);
    let tags = tags(input).map_err(refused)?;
    let instance = Instance {
        status: "available".to_owned(),
        machine: Some(machine),
        ..Instance::new(id.to_owned(), shape, tags)
    };
    let place = Place { region: region.to_owned(), resource: instance.resource.clone() };
    core.state().region(region).instances.insert(id.to_owned(), instance);
    core.spawn(Arc::clone(core).begin_backups(place));
    Ok(())
}

/// What a call says of an instance goes over what it would be otherwise; and all of it must fit together.
pub fn heed(region: &Region, input: &Input, shape: &mut InstanceShape) -> Result<(), Refusal> {
    if let Some(engine) = input.filled("Engine")
        && engine != "postgres"
    {
        return Err(invalid(format!("Invalid DB engine: {engine}")));
    }
    if let Some(odd) = input.filled("LicenseModel").filter(|model| *model != "postgresql-license") {
        return Err(invalid(format!("Invalid license model '{odd}' for engine 'postgres'")));
    }
    let text = |name: &str, into: &mut String| {
        if let Some(value) = input.filled(name) {
            value.clone_into(into);
        }
    };
    text("DBInstanceClass", &mut shape.class);
    text("PreferredBackupWindow", &mut shape.backup_window);
    text("PreferredMaintenanceWindow", &mut shape.maintenance_window);
    text("DBParameterGroupName", &mut shape.parameters);
    text("DBSubnetGroupName", &mut shape.subnets);
    for group in [&mut shape.parameters, &mut shape.subnets] {
        group.make_ascii_lowercase();
    }
    text("CACertificateIdentifier", &mut shape.authority);
    let flag = |name: &str, into: &mut bool| *into = input.flag(name).unwrap_or(*into);
    flag("MultiAZ", &mut shape.multi_az);
    flag("PubliclyAccessible", &mut shape.public);
    flag("DeletionProtection", &mut shape.protected);
    flag("EnableIAMDatabaseAuthentication", &mut shape.iam);
    flag("EnablePerformanceInsights", &mut shape.insights);
    flag("AutoMinorVersionUpgrade", &mut shape.auto_minor);
    flag("CopyTagsToSnapshot", &mut shape.copy_tags);
    if let Some(zone) = input.filled("AvailabilityZone") {
        let letter = zone.strip_prefix(&region.name).filter(|letter| ["a", "b", "c"].contains(letter));
        letter.ok_or_else(|| invalid(format!("Invalid availability zone: {zone}")))?.clone_into(&mut shape.zone);
    }
    let groups = input.texts("VpcSecurityGroupIds");
    // There is no EC2 here: each that could be is there.
    if let Some(odd) = groups.iter().find(|group| !group.starts_with("sg-")) {
        return Err(invalid(format!("Invalid security group , groupId= {odd}, groupName=.")));
    }
    if !groups.is_empty() {
        shape.security = groups;
    }
    if input.has("EnableCloudwatchLogsExports") {
        shape.exports = exports(&input.texts("EnableCloudwatchLogsExports"))?;
    }
    if input.has("BackupRetentionPeriod") {
        shape.retention = retention(input)?;
    }
    storage(input, shape)?;
    check(region, shape)
}

fn check(region: &Region, shape: &InstanceShape) -> Result<(), Refusal> {
    if class(&shape.class).is_none() {
        return Err(invalid(format!("Invalid DB Instance class: {}", shape.class)));
    }
    if !AUTHORITIES.contains(&shape.authority.as_str()) {
        let message = format!("Certificate not found: {}", shape.authority);
        return Err(Refusal::missing("CertificateNotFound", message));
    }
    check_group(region, &shape.parameters, major(&shape.version))?;
    if shape.subnets != "default" && !region.subnets.contains_key(&shape.subnets) {
        let message = format!("DB subnet group '{}' does not exist.", shape.subnets);
        return Err(Refusal::missing("DBSubnetGroupNotFoundFault", message));
    }
    Ok(())
}

/// Days of automated backups.
pub fn retention(input: &Input) -> Result<u32, Refusal> {
    let days = input.int("BackupRetentionPeriod").filter(|days| (0..=35).contains(days));
    let wrong = || {
        let said = input.text("BackupRetentionPeriod").unwrap_or_default();
        invalid(format!("Invalid backup retention period: {said}. Retention period must be between 0 and 35."))
    };
    days.map(|days| days as u32).ok_or_else(wrong)
}

/// Logs that PostgreSQL has.
pub fn exports(wanted: &[String]) -> Result<Vec<String>, Refusal> {
    match wanted.iter().find(|kind| !["postgresql", "upgrade"].contains(&kind.as_str())) {
        Some(odd) => Err(combination(format!("You cannot use the log types '{odd}' with engine version postgres."))),
        None => Ok(wanted.to_vec()),
    }
}

/// Storage fits its type.
fn storage(input: &Input, shape: &mut InstanceShape) -> Result<(), Refusal> {
    let number = |name: &str| input.int(name).map(|number| u32::try_from(number).unwrap_or(0));
    let before = (shape.storage, shape.storage_type.clone());
    if let Some(kind) = input.filled("StorageType") {
        if !["gp2", "gp3", "io1", "io2"].contains(&kind) {
            return Err(invalid(format!("Invalid storage type: {kind}")));
        }
        kind.clone_into(&mut shape.storage_type);
    } else if shape.storage_type.is_empty() {
        (if input.has("Iops") { "io1" } else { "gp3" }).clone_into(&mut shape.storage_type);
    }
    shape.storage = number("AllocatedStorage").unwrap_or(shape.storage);
    shape.most_storage = number("MaxAllocatedStorage").or(shape.most_storage);
    if before.1 != shape.storage_type {
        (shape.iops, shape.throughput) = (None, None);
    }
    shape.iops = number("Iops").or(shape.iops);
    shape.throughput = number("StorageThroughput").or(shape.throughput);
    let kind = shape.storage_type.as_str();
    let least = if kind.starts_with("io") { 100 } else { 20 };
    if !(least..=65_536).contains(&shape.storage) {
        let message =
            format!("Invalid storage size for engine name postgres and storage type {kind}: {}", shape.storage);
        return Err(invalid(message));
    }
    if shape.storage < before.0 {
        let message = format!("Invalid storage size: {} is less than the current {}", shape.storage, before.0);
        return Err(combination(message));
    }
    if shape.most_storage.is_some_and(|most| most < shape.storage) {
        return Err(combination("Max storage size must be greater than or equal to storage size"));
    }
    match kind {
        "gp2" if shape.iops.is_some() || shape.throughput.is_some() => Err(combination(
            "You can't specify IOPS or storage throughput for engine postgres and a storage type of gp2.",
        )),
        "gp3" if shape.storage < 400 && (input.has("Iops") || input.has("StorageThroughput")) => Err(combination(
            "You can't specify IOPS or storage throughput for engine postgres and a storage size less than 400.",
        )),
        "gp3" => {
            let large = shape.storage >= 400;
            shape.iops.get_or_insert(if large { 12_000 } else { 3_000 });
            shape.throughput.get_or_insert(if large { 500 } else { 125 });
            Ok(())
        }
        "io1" | "io2" if shape.iops.is_none_or(|iops| iops < 1_000) => {
            Err(combination(format!("You must specify at least 1000 IOPS with storage type {kind}.")))
        }
        _ => Ok(()),
    }
}

/// One of the versions that there are: `16`, or `16.14` in full.
pub fn version(core: &Core, wanted: Option<&str>) -> Result<String, Refusal> {
    let found = match wanted {
        None => core.binaries.first(),
        Some(wanted) => core.binaries.iter().find(|it| it.version == wanted || it.major.to_string() == wanted),
    };
    let unknown = || combination(format!("Cannot find version {} for postgres", wanted.unwrap_or_default()));
    found.map(|it| it.version.clone()).ok_or_else(unknown)
}

fn master(input: &Input) -> Result<String, Refusal> {
    let name = required(input, "MasterUsername")?;
    let legal = name.len() <= 63
        && name.starts_with(|char: char| char.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    if !legal {
        return Err(invalid(
            "The parameter MasterUsername is not a valid identifier. Identifiers must begin with a letter",
        ));
    }
    let lower = name.to_ascii_lowercase();
    if RESERVED.contains(&lower.as_str()) || lower.starts_with("pg_") {
        let message = format!("MasterUsername {name} cannot be used as it is a reserved word used by the engine");
        return Err(invalid(message));
    }
    Ok(name.to_owned())
}

/// The master user's new password.
pub fn master_password(input: &Input) -> Result<SecretString, Refusal> {
    let text = required(input, "MasterUserPassword")?;
    let why = if text.len() < 8 {
        "it is shorter than 8 characters."
    } else if text.len() > 128 {
        "it is longer than 128 characters."
    } else if text.chars().any(|char| "/@\" ".contains(char) || !char.is_ascii_graphic()) {
        "only printable ASCII characters besides '/', '@', '\"', ' ' may be used."
    } else {
        return Ok(text.to_owned().into());
    };
    Err(invalid(format!("The parameter MasterUserPassword is not a valid password because {why}")))
}

fn database(name: &str) -> Result<String, Refusal> {
    let legal = name.len() <= 63
        && name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    if !legal {
        return Err(invalid("DBName must begin with a letter and contain only alphanumeric characters."));
    }
    if ["postgres", "rdsadmin", "template0", "template1"].contains(&name) {
        return Err(invalid(format!("DBName {name} cannot be used. It is a reserved word for this engine")));
    }
    Ok(name.to_owned())
}

/// The tags of a call.
pub fn tags(input: &Input) -> Result<Tags, Refusal> {
    let mut tags = Tags::new();
    for tag in input.entries("Tags") {
        let (key, value) = (tag.text("Key").unwrap_or_default(), tag.text("Value").unwrap_or_default());
        if key.is_empty() || key.len() > 128 || value.len() > 256 || key.starts_with("aws:") {
            return Err(invalid(format!("Invalid tag key: {key}")));
        }
        tags.insert(key.to_owned(), value.to_owned());
    }
    if tags.len() > 50 {
        return Err(invalid("The maximum number of tags is 50"));
    }
    Ok(tags)
}
