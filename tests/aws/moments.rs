//! Point in time: a writer commits numbered rows; a restore to a moment holds exactly the rows that were committed by then.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tierdeck::lab::AwsStand;
use tokio_postgres::{Client, Config, NoTls};

use super::stand;

pub const PASSWORD: &str = "correct-horse-7";
/// Moments that are restored.
const MOMENTS: usize = 10;
/// Rows that are written.
const ROWS: i32 = 600;

/// As a client signs a call, but for the signature.
pub fn authorization(stand: &AwsStand, service: &str) -> String {
    let scope = format!("{}/20261122/{}/{service}/aws4_request", stand.spec().access_key, stand.spec().region);
    let signature = "0".repeat(64);
    format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={signature}")
}

/// A call of RDS: whether it went well, and what came of it.
pub async fn call(stand: &AwsStand, action: &str, parameters: &[(&str, &str)]) -> (bool, String) {
    let mut form = vec![("Action", action), ("Version", "2014-10-31")];
    form.extend(parameters);
    let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let client = reqwest::Client::builder().build().unwrap();
    let answer =
        client.post(stand.url()).header("authorization", authorization(stand, "rds")).body(body).send().await.unwrap();
    (answer.status().is_success(), answer.text().await.unwrap())
}

/// A call of RDS that goes well.
pub async fn rds(stand: &AwsStand, action: &str, parameters: &[(&str, &str)]) -> String {
    let (fine, text) = call(stand, action, parameters).await;
    assert!(fine, "{action}: {text}");
    text
}

/// A call of RDS that is refused, and the code of that.
pub async fn refused(stand: &AwsStand, action: &str, parameters: &[(&str, &str)]) -> String {
    let (fine, text) = call(stand, action, parameters).await;
    assert!(!fine, "{action} {parameters:?}: {text}");
    element(&text, "Code").unwrap()
}

/// An instance with a database, once it is available; `more` goes over the usual.
pub async fn make(stand: &AwsStand, id: &str, more: &[(&str, &str)]) -> String {
    let mut shape = std::collections::BTreeMap::from([
        ("DBInstanceIdentifier", id),
        ("DBInstanceClass", "db.t3.medium"),
        ("Engine", "postgres"),
        ("AllocatedStorage", "20"),
        ("MasterUsername", "portarium"),
        ("MasterUserPassword", PASSWORD),
        ("DBName", "acme"),
        ("BackupRetentionPeriod", "7"),
    ]);
    shape.extend(more.iter().copied());
    rds(stand, "CreateDBInstance", &shape.into_iter().collect::<Vec<_>>()).await;
    available(stand, id).await
}

pub fn element(text: &str, name: &str) -> Option<String> {
    Some(text.split_once(&format!("<{name}>"))?.1.split_once('<')?.0.to_owned())
}

pub async fn describe(stand: &AwsStand, id: &str) -> String {
    rds(stand, "DescribeDBInstances", &[("DBInstanceIdentifier", id)]).await
}

pub async fn available(stand: &AwsStand, id: &str) -> String {
    let begun = Instant::now();
    loop {
        let text = describe(stand, id).await;
        let status = element(&text, "DBInstanceStatus").unwrap();
        if status == "available" {
            return text;
        }
        if status.starts_with("incompatible") || status == "failed" || begun.elapsed() > Duration::from_secs(120) {
            let events = rds(stand, "DescribeEvents", &[]).await;
            panic!("{id} is {status}: {events}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub async fn login(described: &str) -> Client {
    let mut config = Config::new();
    config.host("127.0.0.1").port(element(described, "Port").unwrap().parse().unwrap());
    config.user("portarium").password(PASSWORD).dbname("acme");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_to_a_moment_holds_what_was_committed_by_then() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stand = stand().await;
    let source = login(&make(&stand, "source", &[]).await).await;
    source.batch_execute("CREATE TABLE written (number int PRIMARY KEY)").await.unwrap();
    // A writer that commits single rows, as quickly as it can, with pauses of every length.
    let mut random = StdRng::seed_from_u64(22);
    for number in 1..=ROWS {
        source.execute("INSERT INTO written VALUES ($1)", &[&number]).await.unwrap();
        tokio::time::sleep(Duration::from_micros(random.random_range(0..6_000))).await;
    }
    let rows =
        source.query("SELECT number, pg_xact_commit_timestamp(xmin) FROM written ORDER BY 1", &[]).await.unwrap();
    let committed: Vec<(i32, Timestamp)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(committed.len(), usize::try_from(ROWS).unwrap());
    let (first, last) = (committed[0].1, committed[committed.len() - 1].1);
    // What was committed last can be reached only when its WAL is archived.
    let waited = Instant::now();
    loop {
        let text = describe(&stand, "source").await;
        let latest = element(&text, "LatestRestorableTime").and_then(|text| text.parse::<Timestamp>().ok());
        if latest.is_some_and(|latest| latest >= last) {
            break;
        }
        assert!(waited.elapsed() < Duration::from_secs(60), "{latest:?} does not reach {last}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for turn in 0..MOMENTS {
        let (from, to) = (first.as_microsecond(), last.as_microsecond());
        // The very moment of a commit is one of them: what was committed then is in.
        let at = match turn {
            0 => committed[committed.len() / 2].1,
            _ => Timestamp::from_microsecond(random.random_range(from..=to)).unwrap(),
        };
        let (id, moment) = (format!("moment-{turn}"), at.to_string());
        let restore = [
            ("SourceDBInstanceIdentifier", "source"),
            ("TargetDBInstanceIdentifier", id.as_str()),
            ("RestoreTime", moment.as_str()),
            ("BackupRetentionPeriod", "0"),
        ];
        rds(&stand, "RestoreDBInstanceToPointInTime", &restore).await;
        let restored = login(&available(&stand, &id).await).await;
        let rows = restored.query("SELECT number FROM written ORDER BY 1", &[]).await.unwrap();
        let held: Vec<i32> = rows.iter().map(|row| row.get(0)).collect();
        let expected: Vec<i32> = committed.iter().filter(|(_, when)| *when <= at).map(|(number, _)| *number).collect();
        assert_eq!(held, expected, "restored to {at}");
        // It lives on by itself, and is nobody's superuser's.
        restored.execute("INSERT INTO written VALUES (-1)", &[]).await.unwrap();
        let row = restored.query_one("SELECT rolsuper FROM pg_roles WHERE rolname = current_user", &[]).await.unwrap();
        assert!(!row.get::<_, bool>(0));
        println!("{at}: {} of {} rows", held.len(), committed.len());
        rds(&stand, "DeleteDBInstance", &[("DBInstanceIdentifier", &id), ("SkipFinalSnapshot", "true")]).await;
    }
    let own: i64 = source.query_one("SELECT count(*) FROM written", &[]).await.unwrap().get(0);
    assert_eq!(own, i64::from(ROWS), "the source is as it was");
    stand.stop().await;
}
