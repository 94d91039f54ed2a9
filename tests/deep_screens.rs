//! The screens behind the first: who waits for whom, the worst tables, a table's and a session's page: what they say, what
//! they say when it is not known, at every size, with hostile text, and with more than anybody can read.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test's way to fail")]

mod support;

#[path = "deep_screens/backups.rs"]
mod backups;
#[path = "deep_screens/cloud.rs"]
mod cloud;
#[path = "deep_screens/cloud_estate.rs"]
mod cloud_estate;
#[path = "deep_screens/instances.rs"]
mod instances;
#[path = "deep_screens/lab.rs"]
mod lab;
#[path = "deep_screens/lab_cloud.rs"]
mod lab_cloud;
#[path = "deep_screens/locks.rs"]
mod locks;
#[path = "deep_screens/operations.rs"]
mod operations;
#[path = "deep_screens/session.rs"]
mod session;
#[path = "deep_screens/statements.rs"]
mod statements;
#[path = "deep_screens/tables.rs"]
mod tables;

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use support::estate;
use support::stage::{model, screen, type_keys};
use tierdeck::app::{Effect, Message, Report, View};
use tierdeck::domain::history::Whose;

/// Every screen of this program, and how to get there.
const PLACES: [&str; 13] =
    ["4", "4j", "4⏎P", "4jj⏎", "5", "5⏎", "6", "6⏎", "6G⏎", statements::PAGE, "jj⏎⇥⇥⇥⇥", "jj⏎⇥⇥⇥⇥⇥", "jj⏎⇥⇥⇥⇥⇥⏎"];

#[test]
fn no_size_panics_and_no_escape_reaches_the_screen() {
    for snapshot in [
        tables::busy(),
        locks::storm(60),
        locks::odd(),
        estate::stale(),
        estate::down(),
        estate::loading(),
        statements::spoken(Some("reset")),
        instances::several(),
        cloud::several(),
    ] {
        for (nth, keys) in PLACES.into_iter().chain(cloud::PLACES).enumerate() {
            let mut console = model(snapshot.clone());
            type_keys(&mut console, keys, (80, 24));
            let widths = (1..=400).step_by(57).chain([59, 60, 80]);
            for width in widths {
                for height in (1 + nth as u16 % 3..=120).step_by(29).chain([14, 15, 24]) {
                    let shown = screen(&mut console, (width, height));
                    assert!(!shown.chars().any(|char| char.is_control() && char != '\n'), "{keys}\n{shown:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_old_has_no_colour_and_says_how_old_it_is() {
    let look = tierdeck::ui::Look::new(&tierdeck::app::Theme::default(), tierdeck::ui::Depth::True);
    let alarming = [look.critical, look.second, look.good].map(|style| style.fg.unwrap());
    for snapshot in [estate::stale(), estate::down()] {
        let mut console = model(snapshot);
        type_keys(&mut console, "4", (120, 40));
        let mut terminal = ratatui::Terminal::new(ratatui::backend::TestBackend::new(120, 40)).unwrap();
        support::stage::frame(&mut console, &mut terminal);
        let buffer = terminal.backend().buffer();
        let coloured =
            (4..39).flat_map(|y| (1..119).map(move |x| (x, y))).find(|at| alarming.contains(&buffer[*at].fg));
        let shown = support::stage::text(&terminal);
        assert_eq!(coloured, None, "{shown}");
        assert!(shown.contains("as last known, 40s ago"), "{shown}");
    }
}

#[test]
fn nothing_is_called_fine_that_is_not_known() {
    let shown = |snapshot, keys| {
        let mut console = model(snapshot);
        type_keys(&mut console, keys, (120, 40));
        screen(&mut console, (120, 40))
    };
    assert!(shown(estate::fine(), "4").contains("nobody waits for a lock"));
    let mut old = estate::fine();
    old.instances = estate::stale().instances;
    assert!(shown(old, "4").contains("who waits is not known: last seen 40s ago"));
    let mut gone = estate::fine();
    gone.instances = estate::down().instances;
    assert!(shown(gone.clone(), "4").contains("who waits is not known: shared is not reached"));
    gone.instances[0].debt = tierdeck::domain::Observed::nothing(std::time::Duration::from_secs(30));
    let tables = shown(gone, "5");
    assert!(tables.contains("tables unknown: shared is not reached"), "{tables}");
    assert_eq!(shown(estate::loading(), "4").matches("nobody waits").count(), 0);
}

#[test]
fn views_lead_on_and_back() {
    let mut console = model(tables::busy());
    type_keys(&mut console, "5⏎", (120, 40));
    assert!(matches!(console.view, View::Table(_)));
    type_keys(&mut console, "⏎", (120, 40));
    assert!(matches!(&console.view, View::Tenant(key) if key.0.as_str() == "globex"));
    type_keys(&mut console, "⎋", (120, 40));
    assert!(matches!(console.view, View::Table(_)));
    type_keys(&mut console, "⎋", (120, 40));
    assert_eq!(console.view, View::Tables);
    type_keys(&mut console, ":locks⏎", (120, 40));
    assert_eq!(console.view, View::Locks);
    type_keys(&mut console, "⏎", (120, 40));
    assert!(matches!(&console.view, View::Session(key) if key.1.pid == 4_103));
    type_keys(&mut console, "⎋", (120, 40));
    assert_eq!(console.view, View::Locks);
    // What was looked at stays when it goes.
    type_keys(&mut console, "5⏎", (120, 40));
    let mut tidy = estate::fine();
    tidy.instances[0].debt.value = None;
    console.update(Message::Snapshot(Arc::new(tidy)));
    let shown = screen(&mut console, (120, 40));
    assert!(shown.contains("no longer among the worst") && shown.contains("tenant_globex.orders"), "{shown}");
}

/// As they are looked at: `INSTA_UPDATE=always cargo test --test deep_screens pictures`.
#[test]
fn pictures() {
    for (name, snapshot, keys) in [
        ("locks", estate::firing(), "4"),
        ("locks-odd", locks::odd(), "4"),
        ("locks-storm", locks::storm(500), "4j"),
        ("tables", tables::busy(), "5"),
        ("table", tables::busy(), "5⏎"),
        ("tenant-locks", locks::odd(), ":hooli⏎⇥⇥⇥⇥"),
        ("instances", instances::several(), "6j"),
        ("instance", instances::several(), "6j⏎"),
        ("instance-down", instances::several(), "6⏎"),
    ] {
        for size in [(80, 24), (120, 40), (160, 48)] {
            let mut console = model(snapshot.clone());
            type_keys(&mut console, keys, size);
            insta::assert_snapshot!(format!("{name}-{}x{}", size.0, size.1), screen(&mut console, size));
        }
    }
}

fn press(char: char) -> KeyEvent {
    KeyEvent::new(KeyCode::Char(char), KeyModifiers::NONE)
}

/// The history that was asked for, as an effect.
fn asked(effects: &[Effect]) -> Option<&Whose> {
    effects.iter().find_map(|effect| match effect {
        Effect::History { whose, .. } => Some(whose),
        _ => None,
    })
}

#[test]
fn an_instance_has_charts_of_its_own_history() {
    let mut console = model(instances::several());
    type_keys(&mut console, "6j", (120, 40));
    let further = console.update(Message::Key(press('>')));
    let whose = asked(&further).cloned().unwrap();
    assert_eq!((whose.instance.as_str(), &whose.tenant), ("shared", &None));
    assert!(screen(&mut console, (120, 40)).contains("looking it up"), "{}", screen(&mut console, (120, 40)));
    console.update(Message::Report(Report::History(Arc::new(instances::hour(whose)))));
    let shown = screen(&mut console, (120, 40));
    assert!(shown.contains("THE LAST HOUR") && shown.contains("rows written/s"), "{shown}");
    assert!(shown.contains("peak 77"), "{shown}");
    // Another row is another's history, and its page goes on with it.
    let next = console.update(Message::Key(press('j')));
    assert_eq!(asked(&next).unwrap().instance.as_str(), "globex-dedicated");
    type_keys(&mut console, "⏎", (120, 40));
    assert!(matches!(&console.view, View::Instance(name) if name.as_str() == "globex-dedicated"));
    type_keys(&mut console, "⎋", (120, 40));
    assert_eq!(console.view, View::Instances);
    // What one row says can be taken along.
    let copied = console.update(Message::Key(press('y')));
    assert!(copied.iter().any(|effect| matches!(effect, Effect::Copy(row) if row.contains("globex-dedicated"))));
}

#[test]
fn what_an_instance_lacks_is_said_and_not_drawn_as_fine() {
    let mut console = model(instances::several());
    type_keys(&mut console, "6j⏎", (160, 60));
    let shown = screen(&mut console, (160, 60));
    for words in [
        "PostgreSQL 15.18 · primary",
        "holds vacuum back by 41200 transactions",
        "standby_a streaming async",
        "left_behind not read, keeps 6.0 GiB",
        "PgBouncer",
        "server_reset_query",
        "not known",
        "statements",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    type_keys(&mut console, "⎋g⏎", (160, 60));
    let shown = screen(&mut console, (160, 60));
    assert!(shown.contains("not reached for") && !shown.contains("nobody holds"), "{shown}");
}
