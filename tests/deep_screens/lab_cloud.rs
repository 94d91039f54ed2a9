//! The real program in a real terminal on the real estate with its own AWS: instances, charts over longer than is kept, a log
//! that is followed while a real server writes to it, backups.

use std::time::Duration;

use secrecy::ExposeSecret;
use tierdeck::lab::{Lab, Scenario, Spec};
use tokio_postgres::{Config, NoTls};

use crate::support::console::{PATIENCE, tierdeck};

/// Until a dedicated instance is made, backed up and looked at, on a machine that does much else.
const LONG: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn instances_charts_logs_and_backups_of_the_estates_own_aws() {
    let mut spec = Spec::new(Scenario::named("calm").unwrap());
    (spec.tenants, spec.dedicated) = (3, Some(1));
    let lab = Lab::start(spec, |_| {}).await.unwrap();
    let config = lab.config_path().to_string_lossy().into_owned();
    let mut console = tierdeck(&["--config", &config]).size(200, 50).open();
    console.shows("eu-west-1 (demo)");
    console.keys("6");
    console.until("both instances, as RDS has them", LONG, |screen| {
        // Not in the strip: in the table, where names that begin alike keep their ends.
        let row = |name: &str, words: &str| screen.lines().any(|line| line.contains(name) && line.contains(words));
        row("● shared", "available") && row("bank-db", "db.t3.medium")
    });
    console.keys(":shared\r\t");
    console.until("three hours", LONG, |screen| {
        screen.contains("THE LAST 3 H, BY CLOUDWATCH") && screen.contains("given 3.0k/s") && screen.contains("CPU  ━")
    });
    console.keys(">");
    console.until("a day", LONG, |screen| {
        screen.contains("THE LAST 24 H") && screen.contains("CPU  ━") && !screen.contains("asking CloudWatch")
    });
    console.keys(">");
    console.until("a week", LONG, |screen| screen.contains("THE LAST 7 D") && screen.contains("CPU  ━"));
    console.keys("\t");
    console.until("how RDS has it", PATIENCE, |screen| {
        screen.contains("PENDING MODIFICATIONS")
            && screen.contains("system-update")
            && screen.contains("deletion protection")
    });
    // Its log, and what the server writes while it is looked at.
    console.keys("9");
    console.until("the log", LONG, |screen| screen.contains("LOG OF shared") && screen.contains("following"));
    let instance = &lab.instances()[0];
    let mut login = Config::new();
    login.host("127.0.0.1").port(instance.port).user("tierdeck").dbname("portarium");
    login.password(instance.password("tierdeck").unwrap().expose_secret());
    let (client, connection) = login.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    assert!(client.simple_query("SELECT 1/0 AS written_while_followed").await.is_err());
    console.until("what the server wrote", LONG, |screen| {
        screen.contains("division by zero") && screen.contains("written_while_followed")
    });
    println!("{}", console.screen());
    // A dedicated one's, too: it is all its tenant's.
    console.keys("/severity:error\r");
    console.until("errors alone", PATIENCE, |screen| {
        screen.contains("match /severity:error") && !screen.contains("checkpoint")
    });
    console.keys("7");
    console.until("its backups", LONG, |screen| {
        // How long AWS Backup keeps its points: backups are polled by the minutes, one that is being made comes later.
        let row = |line: &str| line.contains("northwind-bank") && line.contains("/24h") && line.contains("35/7 d");
        screen.contains("BACKUPS") && screen.lines().any(row)
    });
    println!("{}", console.screen());
    console.keys("/northwind\r\r");
    console.until("every one of them", PATIENCE, |screen| {
        screen.contains("RECOVERY POINTS OF AWS BACKUP") && screen.contains("PLANS THAT PROTECT IT")
    });
    console.keys("q");
    console.ends_with(0);
    lab.stop().await;
}
