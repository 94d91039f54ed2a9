//! Screen 5: the worst tables and the vacuums that run; a table's page.

use std::sync::Arc;

use tierdeck::app::{Effect, Report};
use tierdeck::domain::facts::{
    Bloat, BloatEstimate, Freeze, Holder, HolderKind, Horizon, OldestTable, TableDebt, Vacuum, Vacuums,
};
use tierdeck::domain::observed::Trouble;
use tierdeck::domain::{Foreign, Snapshot};

use crate::support::estate::{self, ago, now};
use crate::support::stage::{model, screen, through_the_loop, type_keys};

fn bloat(table: &str, index: Option<&str>, bytes: u64, wasted: u64) -> BloatEstimate {
    BloatEstimate {
        database: Foreign::from("portarium"),
        schema: Foreign::from("tenant_globex"),
        table: Foreign::from(table),
        index: index.map(Foreign::from),
        bytes,
        wasted,
    }
}

/// Tables in debt, bloated, old; two vacuums; a session that holds vacuum back; a lock pile-up besides.
pub fn busy() -> Snapshot {
    let mut snapshot = estate::firing();
    let instance = &mut snapshot.instances[0];
    let vacuum = |pid: i32, schema: &str, table: &str, phase: &str, rounds: u64| Vacuum {
        pid,
        database: Foreign::from("portarium"),
        schema: Some(Foreign::from(schema)),
        table: Some(Foreign::from(table)),
        automatic: rounds == 0,
        against_wraparound: false,
        phase: phase.into(),
        blocks: 20_000,
        scanned: 9_000,
        vacuumed: 0,
        index_rounds: rounds,
        since: Some(ago(95 - i64::from(pid))),
        wait: None,
    };
    instance.vacuums.value = Some(Arc::new(Vacuums {
        workers: 3,
        running: vec![
            vacuum(7, "tenant_globex", "orders", "scanning heap", 0),
            vacuum(8, "tenant_acme", "顧客", "vacuuming indexes", 2),
        ],
    }));
    instance.bloat.value = Some(Arc::new(Bloat {
        worst: vec![
            bloat("orders", None, 3_000_000_000, 1_200_000_000),
            bloat("orders", Some("orders_pkey"), 400_000_000, 250_000_000),
            bloat("events", None, 9_000_000, 8_000_000),
        ],
        hidden: 12,
        judged: 40,
        ..Bloat::default()
    }));
    let old = |schema: &str, table: &str, xid_age| OldestTable {
        database: Foreign::from("portarium"),
        schema: Foreign::from(schema),
        table: Foreign::from(table),
        xid_age,
        multixact_age: 41_000,
    };
    instance.freeze.value = Some(Arc::new(Freeze {
        tables: vec![
            old("tenant_globex", "orders", 612_000_000),
            old("pg_catalog", "pg_class", 900_000),
            old("tenant_hooli", "evil\u{1b}]0;x\u{7}", 61_000_000),
        ],
    }));
    let holder = |kind, name: &str, database: Option<&str>| Holder {
        kind,
        name: Foreign::from(name),
        pid: None,
        session_started: None,
        role: Some(Foreign::from("portarium_shared")),
        database: database.map(Foreign::from),
        xid_age: 81_000,
        since: Some(ago(4_000)),
    };
    instance.horizon.value = Some(Arc::new(Horizon {
        server_now: now(),
        holders: vec![
            holder(HolderKind::Session, "4103", Some("portarium")),
            holder(HolderKind::Session, "9999", Some("elsewhere")),
            holder(HolderKind::Slot, "nobody_reads", None),
        ],
        prepared: Vec::new(),
    }));
    snapshot
}

#[tokio::test]
async fn tables_stand_beside_their_own_thresholds_with_all_that_is_known() {
    let (shown, _) = through_the_loop(busy(), "5", (160, 48), |_| None).await;
    println!("{shown}");
    let row = |table: &str| {
        let below = shown.split_once("TABLES").map_or("", |(_, below)| below);
        let found = below.lines().find(|line| line.contains(table)).unwrap_or_else(|| panic!("{table}\n{shown}"));
        found.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let worst = row("tenant_globex.orders");
    for words in ["globex ", "4.2×", "~336k 80k", "now", "OFF", "~43%", "~1.4 GiB", "~3.1 GiB", "612M", "41k"] {
        assert!(worst.contains(words), "{words}: {worst}\n{shown}");
    }
    // Known by its bloat alone, by its age alone; the system's own are young.
    assert!(row("tenant_globex.events").contains("— — — — — ~89%"), "{shown}");
    assert!(row("tenant_hooli.evil␛]0;x␇").contains("61M"), "{shown}");
    assert!(!shown.contains("pg_class"), "{shown}");
    // A share where a total is known, none where it is not.
    let heap = shown.lines().find(|line| line.contains("scanning heap")).unwrap();
    assert!(heap.contains("45%") && heap.contains("9.0k/20k blocks") && heap.contains("1m 28s"), "{heap}");
    let indexes = shown.lines().find(|line| line.contains("vacuuming indexes")).unwrap();
    assert!(
        !indexes.contains('%') && indexes.contains("indexes gone through 2×") && indexes.contains("manual"),
        "{indexes}"
    );
    assert!(
        shown.contains("2 running · 1 of 3 autovacuum workers") && shown.contains("bloat of 12 tables not known"),
        "{shown}"
    );
}

#[test]
fn what_is_not_known_is_a_dash_with_its_reason() {
    let mut snapshot = busy();
    let instance = &mut snapshot.instances[0];
    instance.bloat.error = Some(Trouble::new("permission denied for pg_stats"));
    instance.bloat.value = None;
    instance.bloat.at = None;
    instance.vacuums = tierdeck::domain::Observed::nothing(std::time::Duration::MAX);
    instance.horizon = tierdeck::domain::Observed::nothing(std::time::Duration::MAX);
    let mut console = model(snapshot);
    type_keys(&mut console, "5", (160, 48));
    let shown = screen(&mut console, (160, 48));
    assert!(shown.contains("VACUUMS — not known: not seen yet"), "{shown}");
    assert!(shown.contains("bloat not known: permission denied for pg_stats"), "{shown}");
    let row = shown.lines().find(|line| line.contains("tenant_globex.orders")).unwrap();
    assert!(row.contains(" — ") && !row.contains('%'), "{row}");
    type_keys(&mut console, "⏎", (160, 48));
    let shown = screen(&mut console, (160, 48));
    for words in [
        "— unknown for tenant_globex.orders: permission denied for pg_stats",
        "— not known: not seen yet",
        "REINDEX TABLE CONCURRENTLY",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
}

#[test]
fn bloat_that_is_not_known_of_a_table_says_so_with_its_name_and_since_when() {
    let page = |bloat: fn(&mut tierdeck::domain::facts::Bloat)| {
        let mut snapshot = busy();
        let seen = &mut snapshot.instances[0].bloat;
        seen.at = Some(estate::ago(7_500));
        let mut known = seen.value.as_deref().cloned().unwrap_or_default();
        known.worst.clear();
        bloat(&mut known);
        seen.value = Some(Arc::new(known));
        let mut console = model(snapshot);
        type_keys(&mut console, "5⏎", (200, 48));
        screen(&mut console, (200, 48))
    };
    let hidden = page(|bloat| bloat.hidden = 12);
    let words = "unknown for tenant_globex.orders (measured 2h 05m ago): the statistics of 12 tables are hidden";
    assert!(hidden.contains(words), "{hidden}");
    let old = page(|bloat| bloat.hidden = 0);
    let words =
        "unknown for tenant_globex.orders (measured 2h 05m ago): small then, or not among the 0 that waste most";
    assert!(old.contains(words), "{old}");
    let closed = page(|bloat| bloat.closed = vec![tierdeck::domain::Foreign::from("portarium")]);
    assert!(closed.contains("our login is not let into database portarium"), "{closed}");
    let partly = page(|bloat| (bloat.seen, bloat.of) = (3, 40));
    assert!(partly.contains("(measured 2h 05m ago): 3 of 40 databases looked into so far"), "{partly}");
}

#[test]
fn a_tables_page_says_what_holds_vacuum_back_and_what_to_do() {
    let mut console = model(busy());
    let effects = type_keys(&mut console, "5⏎Y", (120, 60));
    let shown = screen(&mut console, (120, 60));
    println!("{shown}");
    for words in [
        "TABLE tenant_globex.orders of globex on shared",
        "~336k, 4.2× its threshold of 80k",
        "612M, 28% of the way to wraparound",
        "orders_pkey",
        "replication slot",
        "nobody_reads",
        "session              4103 of portarium_shared: everything newer than 81k transactions ago, for 1h 06m",
        "ALTER TABLE \"tenant_globex\".\"orders\" RESET (autovacuum_enabled",
        "$ REINDEX INDEX CONCURRENTLY \"tenant_globex\".\"orders_pkey\";",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    assert!(!shown.contains("9999"), "of another database: {shown}");
    let Some(Effect::Copy(copied)) = effects.first() else { panic!("{effects:?}") };
    assert_eq!(
        copied,
        "ALTER TABLE \"tenant_globex\".\"orders\" RESET (autovacuum_enabled, toast.autovacuum_enabled);\n\
         VACUUM (VERBOSE, ANALYZE) \"tenant_globex\".\"orders\";\n\
         REINDEX INDEX CONCURRENTLY \"tenant_globex\".\"orders_pkey\";"
    );
}

#[test]
fn tables_sort_and_filter_like_all_others() {
    let found = |keys: &str| {
        let mut console = model(busy());
        type_keys(&mut console, &format!("5{keys}"), (160, 48));
        let rows = console.tables.table.list.rows.iter().map(|&at| console.tables.rows[at].table().to_string());
        rows.collect::<Vec<_>>()
    };
    assert_eq!(found("/auto:off⏎"), ["orders"]);
    assert_eq!(found("/xid>100M⏎"), ["orders"]);
    assert_eq!(found("/bloat>50% !orders⏎"), ["events"]);
    assert_eq!(found("/tenant:hooli⏎").len(), 1);
    assert_eq!(found("/debt>=2⏎").len(), 2);
    assert_eq!(found("").first().map(String::as_str), Some("orders"));
    let effects = type_keys(&mut model(busy()), "5/evil debt>1⏎Yy", (160, 48));
    let [Effect::Copy(vacuum), Effect::Copy(row)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(vacuum, r#"VACUUM (VERBOSE, ANALYZE) "tenant_globex".U&"evil\001B[31m""table\202E";"#);
    assert!(row.starts_with("globex\t") && row.contains("\t180000\t"), "{row:?}");
}

/// All of a tenant's tables are asked for when its page of tables opens: most of those that are well are in no list of worst ones.
#[tokio::test]
async fn a_healthy_tenants_tables_are_asked_for_and_listed() {
    let healthy = |effect: &Effect| {
        let Effect::Tables(inquiry) = effect else { return None };
        assert_eq!(inquiry.schema.as_ref().map(Foreign::raw), Some("tenant_hooli"));
        let table = |name: &str| TableDebt {
            database: Foreign::from("portarium"),
            schema: Foreign::from("tenant_hooli"),
            table: Foreign::from(name),
            dead_tuples: 17,
            live_tuples: 4_200,
            threshold: 890.0,
            autovacuum: true,
            off_by_itself: false,
            last_vacuum: Some(ago(3_600)),
            bytes: 15 << 20,
            measured: true,
        };
        Some(Report::Tables(inquiry.clone(), Ok(vec![table("invoices"), table("evil\u{1b}[2J")])))
    };
    let keys = "/hooli⏎⏎⇥⇥⇥⇥⇥";
    let (shown, effects) = through_the_loop(estate::fine(), keys, (160, 40), healthy).await;
    println!("{shown}");
    assert_eq!(effects.iter().filter(|effect| matches!(effect, Effect::Tables(_))).count(), 1, "{effects:?}");
    for words in ["tenant_hooli.invoices", "15 MiB", "1h 00m", "~17", "tenant_hooli.evil␛[2J"] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    let mute = |effect: &Effect| {
        let Effect::Tables(inquiry) = effect else { return None };
        Some(Report::Tables(inquiry.clone(), Err("permission denied".to_owned())))
    };
    let (shown, _) = through_the_loop(estate::fine(), keys, (160, 40), mute).await;
    assert!(shown.contains("its tables are not known: permission denied"), "{shown}");
}
