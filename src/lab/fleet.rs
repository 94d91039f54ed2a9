//! The estate's RDS: its shared cluster under the name that it would have there, and a few tenants on instances of their
//! own, which come up while the console is already open. All by the calls that anybody would make.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use rand::RngExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_postgres::{Client, Config, NoTls};

use super::Instance;
use super::aws::{AwsSpec, AwsStand, Service, Theirs};
use super::binaries::Binaries;
use super::cluster::{self, SUPERUSER};
use super::door::{password, verifier};
use super::error::LabError;
use super::runner::Runner;
use super::scenario::{Kind, Scenario};
use super::vault::Own;
use super::workload::Stage;
use super::world;
use crate::domain::{Naming, TenantId};

/// What the shared cluster is called in RDS.
const SHARED: &str = "portarium-demo-shared";
/// The master user of dedicated instances.
const MASTER: &str = "portarium";
/// The vault that backups of dedicated instances go to.
const VAULT: &str = "portarium-demo-dedicated";
/// Who backs up.
const ROLE: &str = "arn:aws:iam::123456789012:role/portarium-backup";
/// What RDS puts before each line of a log.
const LOG_PREFIX: &str = "%t:%r:%u@%d:[%p]:";
/// Another account, as one that something was shared with and forgotten.
const STRANGER: &str = "210987654321";
/// What a snapshot is called that should not have been given away.
const PUBLIC: &str = "for-a-friend";
/// Who has an instance of his own.
const TENANTS: [&str; 6] =
    ["northwind-bank", "contoso-health", "fabrikam-energy", "litware-legal", "proseware-pay", "tailspin-cargo"];
/// How often a console on the estate asks its AWS, which costs nothing.
pub(super) const ROUNDS: &str =
    "rds = \"5s\"\nalarms = \"15s\"\nevents = \"15s\"\ncloudwatch = \"20s\"\nsnapshots = \"30s\"\nbackups = \"30s\"\n";
/// Dedicated clusters are many on one laptop soon.
pub(super) const MOST: usize = 20;
/// What an instance that is being made, or has no snapshot yet, is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Leaves out of a scenario what happens to dedicated instances that there will not be, and says what it needs; an error where nothing
/// is left of it.
pub(super) fn within(scenario: &mut Scenario, dedicated: usize) -> Result<Option<String>, LabError> {
    let needs = |kind: Kind, rank: usize| if kind == Kind::PublicSnapshot { rank + 1 } else { 0 };
    let all = scenario.incidents.iter().map(|incident| needs(incident.kind, incident.culprit.rank));
    let Some(least) = all.max().filter(|least| *least > dedicated) else { return Ok(None) };
    scenario.incidents.retain(|incident| needs(incident.kind, incident.culprit.rank) <= dedicated);
    if scenario.incidents.is_empty() {
        return Err(LabError::TooFew { asked: dedicated, least });
    }
    Ok(Some(format!("without --dedicated {least} (or more) no snapshot is made public in this scenario")))
}

/// Instances of the estate in its AWS, and who works on them.
#[derive(Debug)]
pub(super) struct Fleet {
    // In the order in which they must go.
    crew: JoinSet<()>,
    stand: Arc<AwsStand>,
    keys: Keys,
}

/// Passwords of logins that all dedicated instances have.
#[derive(Debug, Clone)]
struct Keys {
    master: SecretString,
    monitor: SecretString,
}

/// What the shared cluster is told so that its WAL is archived and its log looks like one of RDS; its archive is made.
pub(super) fn archiving(home: &Path, runner: &Runner) -> Result<Vec<(String, String)>, LabError> {
    let mut settings = super::aws::archiving(home, runner, AwsSpec::default().archive_timeout)?;
    // As RDS has it: who reads its log by way of AWS finds there what RDS would put there.
    settings.extend(
        [("log_line_prefix", LOG_PREFIX), ("log_timezone", "UTC")].map(|(name, value)| (name.into(), value.into())),
    );
    Ok(settings)
}

impl Fleet {
    /// The estate's AWS with nothing in it.
    pub async fn start(home: &Path, bin_dir: Option<&Path>, monitor: SecretString) -> Result<Self, LabError> {
        let spec = AwsSpec { bin_dir: bin_dir.map(Path::to_owned), ..AwsSpec::default() };
        let (runner, binaries) = (Runner::choose()?, Binaries::all(bin_dir)?);
        let stand = AwsStand::within(home, spec, binaries, runner).await?;
        let keys = Keys { master: password(), monitor };
        Ok(Self { crew: JoinSet::new(), stand: Arc::new(stand), keys })
    }

    /// The AWS that it is in.
    pub fn stand(&self) -> Arc<AwsStand> {
        Arc::clone(&self.stand)
    }

    /// What the console's configuration says of it; the secrets that it names are written.
    pub fn config(&self, home: &Path) -> Result<String, LabError> {
        let master = home.join("portarium.password");
        cluster::write_private(&master, self.keys.master.expose_secret())?;
        let spec = self.stand.spec();
        let credentials = home.join("aws.credentials");
        let text = format!(
            "[profile tierdeck-demo]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
            spec.access_key,
            spec.secret_key.expose_secret()
        );
        cluster::write_private(&credentials, &text)?;
        let quoted = |text: &str| toml::Value::from(text).to_string();
        Ok(format!(
            "# Its AWS.
[aws.demo]
region = {region}
endpoint_url = {url}
profile = \"tierdeck-demo\"
config_file = {credentials}
discover = true

[dedicated]
url = \"postgresql://{monitor}@{{host}}:{{port}}/{{database}}?sslmode=disable\"
password = {{ file = {secret} }}
admin = {{ user = \"{MASTER}\", password = {{ file = {master} }} }}
",
            credentials = quoted(&credentials.to_string_lossy()),
            region = quoted(&spec.region),
            url = quoted(&self.stand.url()),
            monitor = world::MONITOR,
            secret = quoted(&home.join(format!("{}.password", world::MONITOR)).to_string_lossy()),
            master = quoted(&master.to_string_lossy()),
        ))
    }

    /// Enters the shared cluster, and has dedicated ones made; nobody waits for them.
    pub fn raise(
        &mut self,
        shared: &Instance,
        home: &Path,
        major: u32,
        dedicated: usize,
        stage: &Arc<Stage>,
    ) -> Result<(), LabError> {
        let theirs = Theirs {
            data: shared.data.clone(),
            logs: home.to_owned(),
            port: shared.port,
            pid: shared.pid,
            boss: shared.password(SUPERUSER).cloned().unwrap_or_default(),
            major,
        };
        let tags = json!([tag("StorageTier", "shared"), tag("Environment", "demo")]);
        let shape = json!({
            "DBInstanceClass": "db.m6g.large", "Engine": "postgres", "AllocatedStorage": 100, "StorageType": "gp3",
            "BackupRetentionPeriod": 14, "DeletionProtection": true, "StorageEncrypted": true, "MultiAZ": true,
            "EnableCloudwatchLogsExports": ["postgresql"], "EnablePerformanceInsights": true, "Tags": tags
        });
        self.stand.adopt(SHARED, world::ADMIN, super::roster::SHARED_DATABASE, &shape, theirs)?;
        self.stand.maintenance(SHARED, "system-update", "New Operating System update is available");
        for place in 0..dedicated.min(MOST) {
            if let Some(id) = tenant(place) {
                let (stand, keys, stage) = (Arc::clone(&self.stand), self.keys.clone(), Arc::clone(stage));
                self.crew.spawn(async move {
                    // The console is open by now: whoever looks at the estate is told.
                    if let Err(said) = settle(&stand, &id, &keys, place, &stage).await {
                        stage.trouble(&format!("the instance of {id} is not as it should be: {said}"));
                    }
                });
            }
        }
        if let Err(said) = plan(&self.stand) {
            stage.trouble(&format!("no plan backs up who is dedicated, or no alarm watches the shared one: {said}"));
        }
        Ok(())
    }

    /// Stops everybody. Blocking.
    pub fn stop(mut self) {
        self.crew.abort_all();
        self.stand.end();
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.crew.abort_all();
        self.stand.end();
    }
}

/// Who has an instance of his own, by rank.
pub(super) fn tenant(place: usize) -> Option<TenantId> {
    let id = TENANTS.get(place).map_or_else(|| format!("tenant-{place}"), |name| (*name).to_owned());
    TenantId::parse(&id).ok()
}

/// What a tenant's own instance is called in RDS.
fn identifier(id: &TenantId) -> String {
    format!("portarium-demo-{id}-db")
}

fn tag(key: &str, value: &str) -> Value {
    json!({"Key": key, "Value": value})
}

/// A backup plan for all that is dedicated, and alarms.
fn plan(stand: &AwsStand) -> Result<(), String> {
    stand.ask(Service::Backup, "CreateBackupVault", json!({"BackupVaultName": VAULT}))?;
    let rule = json!({
        "RuleName": "daily", "TargetBackupVaultName": VAULT, "ScheduleExpression": "cron(0 3 * * ? *)",
        "Lifecycle": {"DeleteAfterDays": 35}
    });
    let plan = json!({"BackupPlan": {"BackupPlanName": VAULT, "Rules": [rule]}});
    let made = stand.ask(Service::Backup, "CreateBackupPlan", plan)?;
    let condition =
        json!({"ConditionType": "STRINGEQUALS", "ConditionKey": "StorageTier", "ConditionValue": "dedicated"});
    let selection = json!({"SelectionName": "by-tag", "IamRoleArn": ROLE, "ListOfTags": [condition]});
    let select = json!({"BackupPlanId": made["BackupPlanId"], "BackupSelection": selection});
    stand.ask(Service::Backup, "CreateBackupSelection", select)?;
    for (metric, operator, threshold) in [
        ("FreeStorageSpace", "LessThanThreshold", 10.0 * f64::from(1 << 30)),
        ("CPUUtilization", "GreaterThanThreshold", 80.0),
    ] {
        let alarm = json!({
            "AlarmName": format!("{SHARED}-{metric}"), "Namespace": "AWS/RDS", "MetricName": metric,
            "Dimensions": [{"Name": "DBInstanceIdentifier", "Value": SHARED}], "Statistic": "Average", "Period": 60,
            "EvaluationPeriods": 2, "Threshold": threshold, "ComparisonOperator": operator
        });
        stand.ask(Service::CloudWatch { json: true }, "PutMetricAlarm", alarm)?;
    }
    Ok(())
}

/// One tenant's own instance: made, filled, backed up, worked on.
async fn settle(stand: &AwsStand, id: &TenantId, keys: &Keys, place: usize, stage: &Stage) -> Result<(), String> {
    let identifier = identifier(id);
    let database = id.as_str().replace('-', "_");
    // One of each kind: what a console should praise, and what it should find fault with.
    let class = ["db.t3.medium", "db.m6g.large", "db.t4g.small"][place % 3];
    let (storage, days) = (["gp3", "gp2"][place % 2], [14, 7, 1][place % 3]);
    let wish = json!({
        "DBInstanceIdentifier": identifier, "DBInstanceClass": class,
        "Engine": "postgres", "AllocatedStorage": 50, "StorageType": storage, "DBName": database,
        "MasterUsername": MASTER, "MasterUserPassword": keys.master.expose_secret(),
        "BackupRetentionPeriod": days, "DeletionProtection": place % 3 != 2,
        "StorageEncrypted": place % 3 != 2, "EnableCloudwatchLogsExports": ["postgresql"],
        "EnablePerformanceInsights": true,
        "Tags": [tag("TenantId", id.as_str()), tag("StorageTier", "dedicated"), tag("Environment", "demo")]
    });
    stand.ask(Service::Rds, "CreateDBInstance", wish)?;
    let begun = Instant::now();
    while !stand.is_available(&identifier) {
        if begun.elapsed() > PATIENCE * 5 {
            return Err("it did not become available within ten minutes".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let (role, schema) = (Naming::default().tenant_role.name(id), Naming::default().tenant_schema.name(id));
    let own = password();
    let port = stand.port(&identifier).ok_or("it has no port")?;
    let said = |error: tokio_postgres::Error| LabError::database("fill it")(error).to_string();
    let master = login(port, MASTER, &keys.master, &database).await.map_err(said)?;
    fill(&master, stand, id, &database, &role, &own, &keys.monitor).await.map_err(said)?;
    // As everywhere, last: nobody ever reads one that does not work.
    let opens = Own { port, database: &database, schema: &schema, role: &role, key: &own };
    stage.vault.entrust(id, &opens).await.map_err(|error| error.to_string())?;
    let resource = format!("arn:aws:rds:{}:123456789012:db:{identifier}", stand.spec().region);
    let job = json!({"BackupVaultName": VAULT, "ResourceArn": resource, "IamRoleArn": ROLE});
    // Tenants work whether there is a backup of them or not.
    if let Err(said) = stand.ask(Service::Backup, "StartBackupJob", job) {
        stage.trouble(&format!("{identifier} is not backed up: {said}"));
    }
    if place == 2
        && let Err(said) = share(stand, &identifier, "for-audit", STRANGER).await
    {
        stage.trouble(&format!("{identifier} has no snapshot that is shared: {said}"));
    }
    work(port, &role, &own, &database, stage.seed.wrapping_add(place as u64)).await;
    Ok(())
}

/// Makes a snapshot of a tenant's own instance and lets everybody in the world restore it.
pub(super) async fn publish(stand: &AwsStand, id: &TenantId) -> Result<(), String> {
    share(stand, &identifier(id), PUBLIC, "all").await
}

/// Lets nobody restore it any more.
pub(super) fn withdraw(stand: &AwsStand, id: &TenantId) {
    let id = format!("{}-{PUBLIC}", identifier(id));
    let take = json!({"DBSnapshotIdentifier": id, "AttributeName": "restore", "ValuesToRemove": ["all"]});
    // One that was never made is nobody's.
    let _ = stand.ask(Service::Rds, "ModifyDBSnapshotAttribute", take);
}

/// A snapshot that somebody gave to somebody else.
async fn share(stand: &AwsStand, identifier: &str, what_for: &str, account: &str) -> Result<(), String> {
    let id = format!("{identifier}-{what_for}");
    let wish = json!({"DBSnapshotIdentifier": id, "DBInstanceIdentifier": identifier});
    insist(stand, "CreateDBSnapshot", &wish).await?;
    let give = json!({"DBSnapshotIdentifier": id, "AttributeName": "restore", "ValuesToAdd": [account]});
    insist(stand, "ModifyDBSnapshotAttribute", &give).await
}

/// Asks again what is refused while an instance or a snapshot is being made, and not for ever.
async fn insist(stand: &AwsStand, action: &str, wish: &Value) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        match stand.ask(Service::Rds, action, wish.clone()) {
            Ok(_) => return Ok(()),
            Err(said) if begun.elapsed() > PATIENCE => return Err(format!("{action}: {said}")),
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
}

async fn login(port: u16, user: &str, key: &SecretString, database: &str) -> Result<Client, tokio_postgres::Error> {
    let mut config = Config::new();
    config.host(Ipv4Addr::LOCALHOST.to_string()).port(port).user(user).password(key.expose_secret()).dbname(database);
    let (client, connection) = config.application_name("portarium").connect(NoTls).await?;
    // What ends the connection is reported by the client's next statement.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// A dedicated home as the conventions have it.
async fn fill(
    master: &Client,
    stand: &AwsStand,
    id: &TenantId,
    database: &str,
    role: &str,
    own: &SecretString,
    monitor: &SecretString,
) -> Result<(), tokio_postgres::Error> {
    let schema = escape_identifier(&Naming::default().tenant_schema.name(id));
    let (database, role) = (escape_identifier(database), escape_identifier(role));
    let secret = |key: &SecretString| escape_literal(&verifier(key));
    // From 16 on, who may create a role is not thereby a member of it.
    let grant = if stand.major() < 16 { "" } else { " WITH SET TRUE, INHERIT TRUE" };
    let tables = include_str!("../../assets/lab/tenant.sql").replace("{orders}", "1500");
    let sql = format!(
        "CREATE ROLE {watch} LOGIN PASSWORD {watching};
         GRANT pg_monitor TO {watch};
         CREATE ROLE {role} LOGIN PASSWORD {owning};
         GRANT {role} TO {MASTER}{grant};
         BEGIN;
         CREATE SCHEMA {schema} AUTHORIZATION {role};
         ALTER DATABASE {database} SET search_path = {schema};
         SET LOCAL ROLE {role};
         SET LOCAL search_path = {schema};
         {tables}
         COMMIT;",
        watch = world::MONITOR,
        watching = secret(monitor),
        owning = secret(own),
    );
    master.batch_execute(&sql).await
}

/// A little work, for as long as the instance is there.
async fn work(port: u16, role: &str, key: &SecretString, database: &str, seed: u64) {
    let each = 40 + seed % 5 * 30;
    loop {
        if let Ok(client) = login(port, role, key, database).await {
            let begun = Timestamp::now();
            while transaction(&client).await.is_ok() {
                let pause = rand::rng().random_range(each..each * 6);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                // Applications' pools renew their connections now and then.
                if Timestamp::now().duration_since(begun) > jiff::SignedDuration::from_mins(10) {
                    break;
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

async fn transaction(client: &Client) -> Result<(), tokio_postgres::Error> {
    let insert =
        "INSERT INTO orders (customer_id, total_cents) VALUES (1 + floor(random() * 100), floor(random() * 90000))";
    client.execute(insert, &[]).await?;
    client
        .query("SELECT count(*), sum(total_cents) FROM orders WHERE customer_id = 1 + floor(random() * 100)", &[])
        .await?;
    let pay = "UPDATE orders SET status = 'paid' WHERE id = (SELECT max(id) FROM orders)";
    client.execute(pay, &[]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_scenario_needs_is_said_and_nothing_is_silently_left_out() {
        let asked = |name: &str, dedicated| {
            let mut scenario = Scenario::named(name).unwrap();
            let all = scenario.incidents.len();
            within(&mut scenario, dedicated).map(|said| (all - scenario.incidents.len(), said.unwrap_or_default()))
        };
        for dedicated in 0..3 {
            let error = asked("public-snapshot", dedicated).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("--dedicated 3"), "{error}");
            let (out, said) = asked("mixed", dedicated).unwrap();
            assert!(out == 1 && said.contains("--dedicated 3"), "{out}: {said}");
        }
        for name in Scenario::names() {
            assert_eq!(asked(name, 3).unwrap(), (0, String::new()), "{name}");
        }
        assert_eq!(asked("calm", 0).unwrap(), (0, String::new()));
    }
}
