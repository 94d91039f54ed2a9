//! The journal's fold: every legal move and no other; a torn end is dropped, anything else is refused; and the audit chain.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::json;
use tierdeck::ops::OperationId;
use tierdeck::ops::act::{Action, Intent, Throttle, Throttling};
use tierdeck::ops::audit::{Audit, AuditError, Record, matches};
use tierdeck::ops::journal::{self, Event, Header, Journal, JournalError, Operator, Story};
use tierdeck::ops::plan::{Plan, PlannedStep, SCHEMA, Subject};
use tierdeck::ops::status::{MOVES, Move, Outcome, Phase, Status, StepState};
use tierdeck::ops::step::Safety;

use super::world::{shared, tenant};

fn operator() -> Operator {
    Operator { user: "ann".to_owned(), host: "laptop".to_owned(), version: "test".to_owned() }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn header(steps: usize) -> Header {
    let before = json!({ "connections": 40, "statement_timeout": null });
    let step = |number: usize| {
        let step =
            Throttle { target: 0, role: format!("role_{number}"), connections: 5, statement_timeout: None, was: None };
        PlannedStep::new(Action::Throttle(step), &before).unwrap()
    };
    let plan = Plan {
        schema: SCHEMA,
        id: OperationId::new(at(0), 7),
        kind: "throttle".to_owned(),
        summary: "test".to_owned(),
        intent: Intent::Throttle(Throttling {
            tenant: tenant("acme"),
            instance: shared(),
            connections: 5,
            statement_timeout_ms: None,
        }),
        subjects: vec![Subject::Tenant { id: tenant("acme") }],
        targets: Vec::new(),
        affects: Vec::new(),
        facts: Vec::new(),
        warnings: Vec::new(),
        steps: (0..steps).map(step).collect(),
        confirm: "acme".to_owned(),
    };
    Header { schema: SCHEMA, at: at(0), operator: operator(), sha256: plan.sha256(), control: None, plan }
}

fn step_event(made: Move, step: usize) -> Event {
    let error = "no".to_owned();
    match made {
        Move::Start => Event::Started { step, before: json!(1) },
        Move::Succeed => Event::Succeeded { step, output: json!(2) },
        Move::Find => Event::Found { step, output: json!(3) },
        Move::Fail => Event::Failed { step, error, nothing_came: false },
        Move::StartUndo => Event::UndoStarted { step },
        Move::FinishUndo => Event::UndoFinished { step },
        Move::FailUndo => Event::UndoFailed { step, error },
    }
}

const ALL: [Move; 7] =
    [Move::Start, Move::Succeed, Move::Find, Move::Fail, Move::StartUndo, Move::FinishUndo, Move::FailUndo];

/// A way to every state of a single step.
fn way_to(state: StepState) -> Vec<Event> {
    let back = Event::RollingBack;
    let step = |made| step_event(made, 0);
    match state {
        StepState::ToCome => vec![],
        StepState::Started => vec![step(Move::Start)],
        StepState::Done => vec![step(Move::Start), step(Move::Succeed)],
        StepState::Found => vec![step(Move::Find)],
        StepState::Failed => vec![step(Move::Start), step(Move::Fail)],
        StepState::Undoing => vec![step(Move::Start), back, step(Move::StartUndo)],
        StepState::Undone => vec![step(Move::Start), back, step(Move::StartUndo), step(Move::FinishUndo)],
        StepState::UndoFailed => vec![step(Move::Start), back, step(Move::StartUndo), step(Move::FailUndo)],
    }
}

#[test]
fn a_step_makes_the_moves_of_the_table_and_no_other() {
    use StepState::{Done, Failed, Found, Started, ToCome, UndoFailed, Undoing, Undone};
    let mut legal = 0;
    for state in [ToCome, Started, Done, Found, Failed, Undoing, Undone, UndoFailed] {
        let mut status = Status::new([Safety::Reversible]);
        for event in way_to(state) {
            status = status.after(&event).unwrap();
        }
        assert_eq!(status.steps[0].state, state);
        for made in ALL {
            // Steps are undone only when it goes back, and done only when it goes forward.
            let undoes = matches!(made, Move::StartUndo | Move::FinishUndo | Move::FailUndo);
            let ready = match (undoes, status.phase) {
                (true, Phase::Forward) => status.after(&Event::RollingBack).unwrap(),
                (false, Phase::Back) => {
                    assert!(status.after(&step_event(made, 0)).is_err(), "{state:?} {made:?}");
                    continue;
                }
                _ => status.clone(),
            };
            let expected = MOVES.iter().find(|(from, by, _)| *from == state && *by == made).map(|(_, _, to)| *to);
            let found = ready.after(&step_event(made, 0)).ok().map(|status| status.steps[0].state);
            assert_eq!(found, expected, "{state:?} {made:?}");
            legal += usize::from(found.is_some());
        }
    }
    assert_eq!(legal, MOVES.len(), "every line of the table was walked");
}

#[test]
fn the_first_before_image_wins_and_a_point_of_no_return_that_was_begun_has_no_way_back() {
    let start = |before| Event::Started { step: 0, before: json!(before) };
    let begun = Status::new([Safety::Reversible]).after(&start("first")).unwrap().after(&start("second")).unwrap();
    assert_eq!(begun.steps[0].before, Some(json!("first")));
    let point = Status::new([Safety::PointOfNoReturn]).after(&start("x")).unwrap();
    assert!(point.after(&Event::RollingBack).is_err());
    // Steps are done in order, and undone in the reverse.
    let two = Status::new([Safety::Reversible, Safety::Reversible]);
    assert!(two.after(&step_event(Move::Start, 1)).is_err());
    let mut both = two;
    for event in
        [step_event(Move::Start, 0), step_event(Move::Succeed, 0), step_event(Move::Start, 1), Event::RollingBack]
    {
        both = both.after(&event).unwrap();
    }
    assert!(
        both.after(&step_event(Move::StartUndo, 0)).is_err() && both.after(&step_event(Move::StartUndo, 1)).is_ok()
    );
    let closed = |outcome| Event::Closed { outcome, reason: String::new() };
    assert!(both.after(&closed(Outcome::RolledBack)).is_err() && both.after(&closed(Outcome::Succeeded)).is_err());
    let over = both.after(&closed(Outcome::Abandoned)).unwrap();
    for event in [Event::RollingBack, Event::Taken { operator: operator() }, closed(Outcome::Abandoned)] {
        assert!(over.after(&event).is_err(), "{event:?}");
    }
}

#[test]
fn a_journal_is_private_reads_back_and_only_its_torn_end_is_forgiven() {
    let folder = tempfile::tempdir().unwrap();
    let place = journal::folder(folder.path());
    let header = header(1);
    let id = header.plan.id.clone();
    let mut written = Journal::create(&place, header.clone()).unwrap();
    assert!(matches!(Journal::open(&place, &id), Err(JournalError::Busy(_))), "one process at a time");
    written.append(Event::Taken { operator: operator() }, 1, at(1)).unwrap();
    written.append(step_event(Move::Start, 0), 1, at(2)).unwrap();
    assert!(matches!(written.append(step_event(Move::FinishUndo, 0), 1, at(3)), Err(JournalError::Illegal(_))));
    let story = written.story().clone();
    drop(written);
    let path = place.join(format!("{id}.jsonl"));
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&place)), (0o600, 0o700));
    assert_eq!(journal::look(&place, &id).unwrap(), Some(story.clone()));
    assert!(Journal::create(&place, header).is_err(), "what is there is not written over");
    let whole = fs::read(&path).unwrap();
    // Torn anywhere in its last line: that line was never there. The next one is written where it stood.
    let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    for end in (last..whole.len()).step_by(11) {
        fs::write(&path, &whole[..end]).unwrap();
        let mut mended = Journal::open(&place, &id).unwrap().unwrap();
        assert_eq!(mended.story().entries, story.entries[..1]);
        mended.append(step_event(Move::Start, 0), 1, at(2)).unwrap();
        drop(mended);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
    // Anything else is refused.
    let text = String::from_utf8(whole).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (broken, why) in [
        (format!("{}\n{}\n", lines[0], lines[2]), "number 2 after 0"),
        (format!("{}\n{}\nnonsense\n{}\n", lines[0], lines[1], lines[2]), "line 3"),
        (text.replace("\"connections\":5", "\"connections\":50"), "its hash differs"),
        (text.replace("ROLE \\\"role_0\\\" CONNECTION LIMIT 5\"", "ROLE postgres SUPERUSER\""), "its hash differs"),
        (text.replacen("\"schema\":1", "\"schema\":2", 1), "schema 2"),
        (format!("{}\n{}\n{}\n", lines[0], lines[1], lines[2].replace("started", "undo_finished")), "cannot follow"),
        (format!("{}\n{}\n{}\n", lines[0], lines[1].replace("\"fence\":1", "\"fence\":2"), lines[2]), "went back"),
    ] {
        assert_ne!(broken, text, "{why}");
        fs::write(&path, broken).unwrap();
        let error = Journal::open(&place, &id).unwrap_err().to_string();
        assert!(error.contains(why), "{why:?} is not in {error}");
    }
}

fn record(what: &str) -> Record {
    Record {
        operation: "261122-081033-k7x2".to_owned(),
        what: what.to_owned(),
        target: "shared/portarium".to_owned(),
        statements: vec!["SELECT 1".to_owned()],
        result: None,
    }
}

#[test]
fn the_audit_chain_notices_whatever_is_done_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let audit = Audit::at(folder.path());
    let mut heads = Vec::new();
    for number in 0..4 {
        heads.push(audit.append(&operator(), record(&format!("attempt {number}")), at(number)).unwrap());
    }
    assert_eq!(fs::metadata(audit.path()).unwrap().permissions().mode() & 0o777, 0o600);
    let (lines, head) = audit.verify().unwrap();
    assert_eq!((lines.len(), head.as_ref()), (4, heads.last()));
    let whole = fs::read_to_string(audit.path()).unwrap();
    let kept: Vec<&str> = whole.lines().collect();
    let rewritten = [
        whole.replacen("SELECT 1", "SELECT 2", 1),
        format!("{}\n{}\n{}\n", kept[0], kept[2], kept[3]),
        format!("{}\n{}\n{}\n{}\n", kept[1], kept[0], kept[2], kept[3]),
        format!("{}\nnonsense\n{}\n{}\n{}\n", kept[0], kept[1], kept[2], kept[3]),
    ];
    for text in rewritten {
        fs::write(audit.path(), text).unwrap();
        assert!(matches!(audit.verify(), Err(AuditError::Tampered { .. })));
        assert!(
            audit.append(&operator(), record("attempt"), at(9)).is_err(),
            "nothing is added to it, so nothing is changed"
        );
    }
    // Cut off, the chain is whole; only where it is known to have stood tells.
    fs::write(audit.path(), format!("{}\n{}\n", kept[0], kept[1])).unwrap();
    let (lines, _) = audit.verify().unwrap();
    let known = |most: usize| heads[..most].iter().map(|head| (head.seq, head.hash.as_str()));
    assert!(matches(&lines, known(2)).is_ok() && matches(&lines, known(4)).is_err());
    assert!(matches(&lines, [(2, heads[0].hash.as_str())]).is_err(), "a line that is another one");
    // Torn at every byte of its last line: what is whole but for its end counts, and the chain goes on.
    for cut in kept[0].len() + 2..=kept[0].len() + 1 + kept[1].len() {
        fs::write(audit.path(), &whole[..cut]).unwrap();
        let next = audit.append(&operator(), record("attempt"), at(9)).unwrap();
        let is_whole = cut == kept[0].len() + 1 + kept[1].len();
        assert_eq!(next.seq, if is_whole { 3 } else { 2 }, "cut at {cut}");
        assert_eq!(audit.verify().unwrap().1, Some(next), "cut at {cut}");
    }
    fs::write(audit.path(), format!("{}\n{}\n", kept[0], kept[1])).unwrap();
    // Torn while a line was written: the next line tells of it, and the chain goes on.
    let mut file = fs::OpenOptions::new().append(true).open(audit.path()).unwrap();
    file.write_all(b"{\"seq\":3,\"at\":").unwrap();
    let head = audit.append(&operator(), record("attempt"), at(9)).unwrap();
    assert_eq!(audit.verify().unwrap().1, Some(head));
    let text = fs::read_to_string(audit.path()).unwrap().replace("{\"seq\":3,\"at\":\n", "");
    fs::write(audit.path(), text).unwrap();
    assert!(audit.verify().is_err(), "not even what was torn may be taken away");
}

proptest! {
    // Each case is made durable, which takes a disk its time.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever happens in whatever order: what was accepted reads back to the same status, and nothing that was done is
    /// forgotten by a rollback that is over.
    #[test]
    fn any_story_that_was_written_reads_back(moves in prop::collection::vec((0..10_usize, 0..2_usize), 0..40)) {
        let header = header(2);
        let mut story = Story::new(header.clone());
        let mut lines = story.lines();
        let mut begun = [false; 2];
        for (kind, step) in moves {
            let event = match kind {
                0..=6 => step_event(ALL[kind], step),
                7 => Event::RollingBack,
                8 => Event::Paused { reason: "x".to_owned() },
                _ => Event::Closed { outcome: Outcome::RolledBack, reason: String::new() },
            };
            let Ok(status) = story.status.after(&event) else { continue };
            if kind == 0 {
                begun[step] = true;
            }
            let entry = journal::Entry { seq: story.entries.len() as u64 + 1, fence: 1, at: at(0), event };
            lines.push(serde_json::to_string(&entry).unwrap());
            story.entries.push(entry);
            story.status = status;
        }
        let read = Story::read(lines.iter().map(String::as_str)).unwrap();
        prop_assert_eq!(&read, &story);
        if story.status.phase == Phase::Closed(Outcome::RolledBack) {
            for (step, begun) in story.status.steps.iter().zip(begun) {
                prop_assert!(!begun || step.state == StepState::Undone);
            }
        }
    }

    /// Bytes that nobody wrote never make it panic.
    #[test]
    fn damaged_journals_are_refused_or_read(cut in 0..3_000_usize, byte in 0..255_u8) {
        let folder = tempfile::tempdir().unwrap();
        let place = journal::folder(folder.path());
        let header = header(1);
        let id = header.plan.id.clone();
        let mut written = Journal::create(&place, header).unwrap();
        written.append(Event::Taken { operator: operator() }, 1, at(1)).unwrap();
        drop(written);
        let path = place.join(format!("{id}.jsonl"));
        let mut bytes = fs::read(&path).unwrap();
        let cut = cut % bytes.len();
        let same = bytes[cut] == byte;
        bytes[cut] = byte;
        fs::write(&path, &bytes).unwrap();
        let read = journal::look(&place, &id);
        // A plan that is another one is never taken for the one that was approved.
        if let Ok(Some(story)) = read {
            prop_assert!(same || story.header.plan.sha256() == story.header.sha256);
        }
    }
}
