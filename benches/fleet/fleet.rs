//! A few clusters in the estate's AWS that stand for many instances, and the configuration of whoever watches them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tempfile::TempDir;
use tierdeck::clients::aws::{Account, Place};
use tierdeck::lab::{AwsSpec, AwsStand, Pace};
use tokio_postgres::NoTls;

/// How large.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub clusters: usize,
    pub instances: usize,
}

const MASTER: &str = "portarium";
const PASSWORD: &str = "correct-horse-7";
const WATCHING: &str = "a secret that no screen shows";

/// Gone when stopped.
pub struct Fleet {
    stand: AwsStand,
    home: TempDir,
    account: Account,
    pub config: PathBuf,
}

impl Fleet {
    pub async fn raise(scale: Scale) -> Self {
        let pace = Pace { beat: Duration::from_secs(5), sample: Duration::from_secs(30), archive_bytes: 512 << 20 };
        let stand = AwsStand::start(AwsSpec { pace, ..AwsSpec::default() }).await.unwrap();
        let home = tempfile::tempdir().unwrap();
        let spec = stand.spec();
        let credentials = home.path().join("aws");
        let secret = spec.secret_key.expose_secret();
        let profile = format!(
            "[profile bench]\naws_access_key_id = {}\naws_secret_access_key = {secret}\nregion = {}\n",
            spec.access_key, spec.region
        );
        fs::write(&credentials, profile).unwrap();
        let account = Account::new(Place {
            name: "bench".into(),
            region: spec.region.as_str().into(),
            profile: Some("bench".to_owned()),
            config_file: Some(credentials.clone()),
            assume_role: None,
            endpoint_url: Some(stand.url()),
        });
        let clusters: Vec<String> = (0..scale.clusters).map(|number| format!("cluster-{number}")).collect();
        for (number, id) in clusters.iter().enumerate() {
            create(&account, id, number).await;
        }
        for id in &clusters {
            furnish(&stand, &account, id).await;
        }
        for number in scale.clusters..scale.instances {
            let (id, tenant) = (format!("portarium-bench-tenant-{number}-db"), format!("tenant-{number}"));
            let tags = [("StorageTier", "dedicated"), ("TenantId", tenant.as_str()), ("Environment", "bench")];
            assert!(stand.alias(&id, &clusters[number % clusters.len()], &tags));
        }
        let config = home.path().join("tierdeck.toml");
        let password = home.path().join("password");
        fs::write(&password, WATCHING).unwrap();
        let quoted = |path: &Path| toml::Value::from(path.to_str().unwrap()).to_string();
        let text = format!(
            "environment = \"bench\"\n\
             [[instance]]\nname = \"shared\"\n\
             url = \"postgresql://tierdeck@127.0.0.1:9/postgres?sslmode=disable\"\n\
             [aws.bench]\nregion = \"{}\"\nprofile = \"bench\"\nconfig_file = {}\nendpoint_url = \"{}\"\n\
             max_usd_per_hour = 100.0\n\
             [dedicated]\nurl = \"postgresql://tierdeck@{{host}}:{{port}}/{{database}}?sslmode=disable\"\n\
             password = {{ file = {} }}\n",
            spec.region,
            quoted(&credentials),
            stand.url(),
            quoted(&password),
        );
        fs::write(&config, text).unwrap();
        Self { stand, home, account, config }
    }

    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// How many figures all of them can have.
    pub async fn metrics(&self) -> usize {
        let all = tierdeck::sources::aws::rds::instances(&self.account).await.unwrap();
        all.values().map(|rds| tierdeck::sources::aws::cloudwatch::which(Some(rds)).len()).sum()
    }

    /// How often figures were asked for.
    pub fn asked(&self) -> u64 {
        let calls = self.stand.faults().calls();
        calls.get(&("monitoring".to_owned(), "GetMetricData".to_owned())).copied().unwrap_or_default()
    }

    pub async fn stop(self) {
        self.stand.stop().await;
    }
}

async fn create(account: &Account, id: &str, number: usize) {
    use aws_sdk_rds::types::Tag;
    let clients = account.clients().await;
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let wish = clients
        .rds
        .create_db_instance()
        .db_instance_identifier(id)
        .db_instance_class("db.m6g.large")
        .engine("postgres")
        .allocated_storage(100)
        .storage_type("gp3")
        .db_name("app")
        .master_username(MASTER)
        .master_user_password(PASSWORD)
        .backup_retention_period(0)
        .enable_performance_insights(true)
        .tags(tag("StorageTier", "dedicated"))
        .tags(tag("TenantId", &format!("tenant-{number}")));
    wish.send().await.unwrap();
}

/// The login that watches, and something to see.
async fn furnish(stand: &AwsStand, account: &Account, id: &str) {
    let port = loop {
        let all = tierdeck::sources::aws::rds::instances(account).await.unwrap();
        let one = &all[id];
        match &one.endpoint {
            Some((_, port)) if one.status.raw() == "available" => break *port,
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    };
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user(MASTER).password(PASSWORD).dbname("app");
    let (master, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let sql = format!(
        "CREATE ROLE tierdeck LOGIN PASSWORD '{WATCHING}'; GRANT pg_monitor TO tierdeck;
         CREATE TABLE orders (id int PRIMARY KEY, total numeric);
         INSERT INTO orders SELECT i, i FROM generate_series(1, 1000) i;"
    );
    master.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{id} of {}: {error:?}", stand.url()));
}
