//! A session's page: its locks, asked when it opens; its plan, asked on a key; its statement in full.

use std::sync::Arc;

use tierdeck::app::{Effect, Report};
use tierdeck::domain::inspection::{Lock, Plan, PlanLine, SessionLocks};
use tierdeck::domain::{Foreign, SessionKey};

use crate::support::estate::{self, ago, now};
use crate::support::stage::{model, screen, through_the_loop, type_keys};

fn lock(mode: &str, on: &str, granted: bool) -> Lock {
    Lock {
        kind: Arc::from("relation"),
        on: Foreign::from(on),
        mode: Arc::from(mode),
        granted,
        since: (!granted).then(|| ago(41)),
    }
}

fn answer(effect: &Effect) -> Option<Report> {
    match effect {
        Effect::Locks(inquiry) => {
            let locks = vec![
                lock("ShareLock", "tenant_hooli.orders\u{1b}[2J", false),
                lock("AccessExclusiveLock", "tenant_umbrella.orders", true),
            ];
            let told = SessionLocks { at: now(), locks, of: 93 };
            Some(Report::Locks((inquiry.instance.clone(), inquiry.key), Ok(told)))
        }
        Effect::Plan(inquiry) => {
            let line = |indent, text: &str| PlanLine { indent, text: Foreign::from(text) };
            let lines = vec![line(0, "Limit (cost=0..1)"), line(2, "-> Seq Scan on \u{1b}]0;x\u{7}orders")];
            let plan = Plan { at: now(), lines, generic: true, home: inquiry.home.clone() };
            Some(Report::Plan((inquiry.session.instance.clone(), inquiry.session.key), Ok(Box::new(plan))))
        }
        _ => None,
    }
}

#[tokio::test]
async fn locks_and_plan_are_asked_for_and_shown() {
    let (shown, effects) = through_the_loop(estate::firing(), "3/4103⏎⏎P", (120, 50), answer).await;
    println!("{shown}");
    let [Effect::Locks(locks), Effect::Plan(plan)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((locks.key.pid, locks.database.to_string().as_str()), (4_103, "portarium"));
    let home = plan.home.as_ref().map(|home| (home.tenant.to_string(), home.schema.to_string(), home.claimed));
    assert_eq!(home, Some(("umbrella".to_owned(), "tenant_umbrella".to_owned(), false)));
    for words in [
        "LOCKS HELD AND AWAITED  2 of 93",
        "awaited 41s",
        "tenant_hooli.orders␛[2J",
        "held            AccessExclusiveLock",
        "nothing was run; for any values",
        "the schema of umbrella",
        "    -> Seq Scan on ␛]0;x␇orders",
        "select id, total from orders where customer_id = $1",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
}

#[test]
fn one_question_at_a_time_and_no_answer_for_another_session() {
    let mut console = model(estate::firing());
    let effects = type_keys(&mut console, "3/4103⏎⏎PPPrr", (120, 50));
    assert_eq!(effects.len(), 2, "asked once until it is answered: {effects:?}");
    assert!(screen(&mut console, (120, 50)).contains("asking …"));
    // Left meanwhile: the answer belongs to nobody any more.
    let Some(Report::Plan(of, plan)) = answer(&effects[1]) else { panic!("{effects:?}") };
    let other = (of.0.clone(), SessionKey { pid: 1, started: of.1.started });
    console.update(tierdeck::app::Message::Report(Report::Plan(other, plan)));
    assert!(!screen(&mut console, (120, 50)).contains("Seq Scan"));
    console
        .update(tierdeck::app::Message::Report(Report::Plan(of.clone(), Err("GRANT pg_read_all_data TO x;".into()))));
    assert!(screen(&mut console, (120, 50)).contains("— GRANT pg_read_all_data TO x;"));
    // Answered: it may be asked again; another session begins anew.
    assert_eq!(type_keys(&mut console, "P", (120, 50)).len(), 1);
    console.update(tierdeck::app::Message::Report(Report::Locks(of, Err("the session is gone".into()))));
    assert!(screen(&mut console, (120, 50)).contains("— the session is gone"));
    let effects = type_keys(&mut console, "⎋⎋/5001⏎⏎", (120, 50));
    assert!(matches!(&effects[..], [Effect::Locks(inquiry)] if inquiry.key.pid == 5_001), "{effects:?}");
    assert!(!screen(&mut console, (120, 50)).contains("PLAN"));
}

#[test]
fn a_statement_keeps_its_lines_and_loses_its_escapes() {
    let mut snapshot = estate::firing();
    let session = snapshot.sessions.iter_mut().find(|session| session.key.pid == 5_001).unwrap();
    session.query = Some(Foreign::from("select a,\n       '\u{1b}[31m''x' -- why\r\n  from \"t\" where b = 1"));
    let mut console = model(snapshot);
    type_keys(&mut console, "3/5001⏎⏎", (120, 50));
    let shown = screen(&mut console, (120, 50));
    for words in ["  select a,", "         '␛[31m''x' -- why", "    from \"t\" where b = 1"] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
}
