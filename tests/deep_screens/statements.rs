//! The tenant's page of statements: what they cost, how sure that is, and what is not known.

use std::sync::Arc;

use tierdeck::app::Effect;
use tierdeck::domain::observed::Trouble;
use tierdeck::domain::session::Rank;
use tierdeck::domain::{Foreign, Snapshot, TenantStatements, TopStatement};

use crate::support::estate;
use crate::support::stage::{model, screen, type_keys};

fn statement(query: i64, text: Option<&str>, rank: Rank, milliseconds: f64, wal_bytes: f64) -> TopStatement {
    TopStatement {
        query,
        text: text.map(Foreign::from),
        rank,
        calls: 12.5,
        milliseconds,
        mean_milliseconds: milliseconds / 12.5,
        rows: 120.0,
        blocks_read: 3.0,
        wal_bytes,
        temp_bytes: 0.0,
    }
}

/// Every tenant has the same statements: whose page is open does not matter.
pub fn spoken(distrusted: Option<&str>) -> Snapshot {
    let mut snapshot = estate::firing();
    let statements = Arc::new(TenantStatements {
        top: vec![
            statement(1, Some("INSERT INTO events VALUES ($1, $2)"), Rank::Strong, 410.0, 9_000_000.0),
            statement(2, Some("SELECT \u{1b}[2J evil FROM orders WHERE customer = $1"), Rank::Claimed, 90.0, 0.0),
            statement(3, None, Rank::Strong, 2_600.0, 10.0),
        ],
        calls: 37.5,
        milliseconds: 3_010.0,
        blocks_read: 9.0,
        wal_bytes: 9_000_010.0,
        temp_share: None,
        distrusted: distrusted.map(Arc::from),
    });
    for tenant in &mut snapshot.tenants {
        tenant.statements = Some(Arc::clone(&statements));
    }
    snapshot
}

/// Where the page is, from the first screen.
pub const PAGE: &str = "jj⏎⇥⇥⇥";

#[test]
fn the_dearest_first_with_what_is_claimed_and_what_is_not_fetched_said() {
    let mut console = model(spoken(None));
    type_keys(&mut console, PAGE, (160, 40));
    let shown = screen(&mut console, (160, 40));
    let place = |words: &str| shown.find(words).unwrap_or_else(|| panic!("no {words:?} in\n{shown}"));
    assert!(shown.contains("STATEMENTS 3") && shown.contains("3.0 sessions busy"), "{shown}");
    assert!(place("text not fetched yet") < place("INSERT INTO events"), "the dearest first\n{shown}");
    assert!(place("INSERT INTO events") < place("evil FROM orders"), "{shown}");
    assert!(shown.contains("claimed") && !shown.contains('\u{1b}') && !shown.contains("do not trust"), "{shown}");
    // Sorted and filtered as any table is, exported and copied too.
    type_keys(&mut console, "/wal>1000000⏎", (160, 40));
    let shown = screen(&mut console, (160, 40));
    assert!(shown.contains("1 match") && !shown.contains("evil FROM"), "{shown}");
    let copied = type_keys(&mut console, "Y", (160, 40));
    assert!(
        copied.iter().any(|effect| *effect == Effect::Copy("INSERT INTO events VALUES ($1, $2)".into())),
        "{copied:?}"
    );
}

#[test]
fn what_is_not_to_be_trusted_says_so_and_what_is_not_known_too() {
    let mut console = model(spoken(Some("entries are thrown out")));
    type_keys(&mut console, PAGE, (120, 40));
    let shown = screen(&mut console, (120, 40));
    assert!(shown.contains("do not trust these figures: entries are thrown out"), "{shown}");
    let mut snapshot = estate::firing();
    snapshot.instances[0].statements.value = None;
    snapshot.instances[0].statements.fail(Trouble::new("pg_stat_statements is not installed"));
    let mut console = model(snapshot);
    type_keys(&mut console, PAGE, (120, 40));
    let shown = screen(&mut console, (120, 40));
    assert!(shown.contains("not known: ") && shown.contains("pg_stat_statements is not installed"), "{shown}");
}
