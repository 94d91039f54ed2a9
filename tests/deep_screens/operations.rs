//! Screen 8, the box of actions, and the screen of one operation in each of its states.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::{SignedDuration, Timestamp};
use tierdeck::app::{Effect, Message, Model, Report, View};
use tierdeck::domain::TenantId;
use tierdeck::domain::operation::{
    Aim, Blank, Kind, Needs, Offer, Operation, OperationLine, OperationList, Question, Stage, Step, StepState, Wish,
    Working,
};

use crate::support::estate::{self, now};
use crate::support::stage::{screen, type_keys};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (160, 48)];

const OFFERS: [Offer; 5] = [
    offer("cancel", "end the statement that runs; the session stays", Kind::Sessions, Needs::Statement, &[]),
    offer("terminate", "end the session; its open transaction is rolled back", Kind::Sessions, Needs::Nothing, &[]),
    offer(
        "throttle",
        "limit connections of the tenant's own login",
        Kind::Tenant,
        Needs::OwnLogin,
        &[
            Question { label: "connections", blank: Blank::Number("10"), hint: "CONNECTION LIMIT of its login" },
            Question { label: "statement timeout", blank: Blank::Time(""), hint: "30s, 5m; empty leaves it as it is" },
        ],
    ),
    offer("unthrottle", "undo the throttle", Kind::Tenant, Needs::InForce("throttle"), &[]),
    offer("vacuum", "VACUUM (ANALYZE) the table", Kind::Table, Needs::Nothing, &[]),
];

const fn offer(
    kind: &'static str,
    about: &'static str,
    of: Kind,
    needs: Needs,
    questions: &'static [Question],
) -> Offer {
    Offer { kind, title: kind, about, of, needs, questions }
}

const ID: &str = "261122-081033-k7x2";

fn ago(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

fn id(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn step(title: &str, state: StepState) -> Step {
    Step {
        title: title.to_owned(),
        state,
        no_way_back: false,
        since: (state != StepState::ToCome).then(|| ago(42)),
        until: None,
        forward: vec!["on shared, in one transaction:".to_owned(), " ALTER ROLE \"role_acme\" NOLOGIN;".to_owned()],
        backward: vec!["on shared, in one transaction:".to_owned(), " ALTER ROLE \"role_acme\" LOGIN;".to_owned()],
        before: None,
        verified: None,
        error: None,
        working: None,
        log: Vec::new(),
    }
}

/// An operation of four steps, in this stage.
fn operation(stage: Stage) -> Operation {
    let mut steps = vec![
        step("shut out writers of tenant_acme", StepState::ToCome),
        step("copy 118 GiB to the new home", StepState::ToCome),
        step("switch the secret", StepState::ToCome),
        step("drop the old schema", StepState::ToCome),
    ];
    steps[3].no_way_back = true;
    steps[3].backward = Vec::new();
    let begun = stage != Stage::Planned;
    if begun {
        steps[0] = Step {
            until: Some(ago(40)),
            before: Some("{\"acl\":[\"portarium_shared=arwd/role_acme\"]}".to_owned()),
            verified: Some("{\"refused\":\"42501\"}".to_owned()),
            log: vec![(ago(42), "begun".to_owned()), (ago(40), "done, and verified".to_owned())],
            ..step("shut out writers of tenant_acme", StepState::Done)
        };
        steps[1] = Step {
            since: Some(ago(40)),
            working: Some(Working { phase: "copying rows".to_owned(), done: 41_000, total: 120_000 }),
            ..step("copy 118 GiB to the new home", StepState::Running)
        };
    }
    if stage == Stage::Paused {
        steps[1].state = StepState::Failed;
        steps[1].error = Some("shared: could not connect to 10.2.0.7:5432: timed out after 5s".to_owned());
        steps[1].working = None;
        steps[1].until = Some(ago(3));
    }
    if stage == Stage::Over {
        for step in &mut steps {
            (step.state, step.until, step.working) = (StepState::Done, Some(ago(2)), None);
        }
    }
    let word = match stage {
        Stage::Planned => "planned",
        Stage::Running => "running",
        Stage::Paused => "paused",
        Stage::Over => "succeeded",
    };
    Operation {
        id: ID.to_owned(),
        kind: "promote".to_owned(),
        summary: "promote acme from shared to an instance of its own".to_owned(),
        tenants: vec![id("acme")],
        stage,
        state: word.to_owned(),
        reason: (stage == Stage::Paused)
            .then(|| "shared: could not connect to 10.2.0.7:5432: timed out after 5s".to_owned()),
        back: false,
        here: begun,
        operator: "ann@desk".to_owned(),
        silent: None,
        forsaken: false,
        plan: [
            "operation   261122-081033-k7x2",
            "does        promote acme from shared to an instance of its own",
            "holds       tenant acme",
            "on          shared, database portarium, as portarium_admin (PostgreSQL 15.18, system 7710968999838222301)",
            "affects     acme: writes are refused while it is copied, 4 min by what is known of its size; reads go on",
            "warning     what is written elsewhere under the same name is not copied",
            "step 1      shut out writers of tenant_acme",
            "  runs      on shared, in one transaction:",
            "             LOCK TABLE tenant_acme.orders, tenant_acme.items, tenant_acme.invoices IN EXCLUSIVE MODE;",
            "  undone by on shared, in one transaction:",
            "             GRANT INSERT ON tenant_acme.orders TO portarium_shared;",
            "step 4      drop the old schema  (no way back)",
            "  undone by nothing",
            "to approve  type acme",
            "sha256      0c29e0d1f11c7e5084f3da331ec4a393641ac8f3e50d51e4ea4eb2a47a196822",
        ]
        .map(str::to_owned)
        .to_vec(),
        way_back: vec!["undoes      promote acme".to_owned()],
        confirm: "acme".to_owned(),
        steps,
        report: [
            "# Operation 261122-081033-k7x2: promote acme",
            "",
            "- state: **succeeded**",
            "- by ann@desk (tierdeck 0.1.0)",
        ]
        .map(str::to_owned)
        .to_vec(),
        began: begun.then(|| ago(42)),
        last: begun.then(|| ago(2)),
        undo: if stage == Stage::Over { Err("step 4 of it has no way back".to_owned()) } else { Ok(()) },
        refuses: (stage == Stage::Running).then(|| (ago(41), 300.0)),
    }
}

fn line(id_of: &str, kind: &str, state: &str, tenant: &str, in_force: bool) -> OperationLine {
    OperationLine {
        id: id_of.to_owned(),
        kind: kind.to_owned(),
        summary: format!("{kind} {tenant} on shared: its login role_{tenant}"),
        state: state.to_owned(),
        unfinished: matches!(state, "running" | "paused"),
        here: false,
        operator: "bob@laptop".to_owned(),
        silent: Some(75.0),
        in_force,
        tenants: vec![id(tenant)],
        began: Some(ago(4_000)),
    }
}

fn list() -> OperationList {
    let lines = vec![
        line("261122-120301-bbbb", "throttle", "paused", "globex", false),
        line("261122-120201-cccc", "throttle", "succeeded", "acme", true),
        line("261122-110101-dddd", "quarantine", "rolled back", "acme", false),
        OperationLine { tenants: Vec::new(), ..line("261122-100101-eeee", "cancel", "succeeded", "initech", false) },
        line("261122-090101-ffff", "promote", "running", "initech", false),
    ];
    OperationList { lines, trouble: None, at: now() }
}

/// A console that may act.
fn console(read_only: bool) -> Model {
    let settings = tierdeck::app::Settings { read_only, offers: OFFERS.to_vec(), ..estate::settings() };
    let mut model = Model::new(settings, now());
    model.update(Message::Snapshot(std::sync::Arc::new(estate::firing())));
    model
}

/// With an operation on the screen.
fn following(told: Operation) -> Model {
    let mut model = console(false);
    let mut lines = list();
    lines.lines.insert(0, line(ID, "promote", "running", "acme", false));
    model.update(Message::Report(Report::Operations(lines)));
    type_keys(&mut model, "8/promote⏎", (120, 40));
    let at = model.works.list.table.list.rows.iter().position(|row| model.works.list.rows[*row].id == ID).unwrap();
    type_keys(&mut model, &"j".repeat(at), (120, 40));
    type_keys(&mut model, "⏎", (120, 40));
    model.update(Message::Report(Report::Operation(Box::new(told))));
    assert_eq!(model.view, View::Operation);
    model
}

/// As they are looked at: `INSTA_UPDATE=always cargo test --test deep_screens operations`.
#[test]
fn pictures_of_operations() {
    let silent = Operation { here: false, silent: Some(95.0), forsaken: true, ..operation(Stage::Running) };
    for size in SIZES {
        let shoot = |name: &str, model: &mut Model, keys: &str| {
            type_keys(model, keys, size);
            let shown = screen(model, size);
            // Beside those of the other screens.
            insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(format!("deep_screens__operation-{name}-{}x{}", size.0, size.1), shown);
            });
        };
        let mut model = console(false);
        model.update(Message::Report(Report::Operations(list())));
        shoot("list", &mut model, "8j");
        shoot("of-tenant", &mut model, ":acme⏎⇥⇥⇥⇥⇥⇥");
        shoot("actions", &mut model, "1:acme⏎a");
        let mut model = console(true);
        shoot("read-only", &mut model, "3a");
        shoot("planned", &mut following(operation(Stage::Planned)), "");
        shoot("typing", &mut following(operation(Stage::Planned)), "⏎globex⏎acm");
        shoot("running", &mut following(operation(Stage::Running)), "");
        shoot("paused", &mut following(operation(Stage::Paused)), "");
        shoot("over", &mut following(operation(Stage::Over)), "");
        shoot("silent", &mut following(silent.clone()), "⏎");
    }
}

#[test]
fn nothing_panics_at_any_size_in_any_state() {
    for stage in [Stage::Planned, Stage::Running, Stage::Paused, Stage::Over] {
        for keys in ["", "⇥", "⇥⇥", "u", "⏎x", "jjj", "GGkk", "8", "a", "w"] {
            let mut model = following(operation(stage));
            type_keys(&mut model, keys, (80, 24));
            for (width, height) in [(1, 1), (60, 15), (61, 16), (80, 24), (109, 20), (110, 15), (400, 120)] {
                screen(&mut model, (width, height));
            }
        }
    }
}

#[test]
fn only_the_right_word_does_anything_and_it_is_said_what() {
    let mut model = following(operation(Stage::Planned));
    let effects = type_keys(&mut model, "⏎globex⏎", (120, 40));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Start { .. })), "{effects:?}");
    assert!(screen(&mut model, (120, 40)).contains("not \"globex\": nothing was done"));
    let effects = type_keys(&mut model, "acme⏎", (120, 40));
    assert!(effects.contains(&Effect::Start { id: ID.to_owned(), typed: "acme".to_owned() }), "{effects:?}");
    // Until it is heard of, no key begins it again.
    let effects = type_keys(&mut model, "⏎acme⏎", (120, 40));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Start { .. })), "{effects:?}");

    let mut model = following(operation(Stage::Paused));
    let effects = type_keys(&mut model, "⏎", (120, 40));
    assert!(
        effects.contains(&Effect::GoOn { id: ID.to_owned(), wish: Wish::Forward, take_over: false }),
        "{effects:?}"
    );
    let mut model = following(operation(Stage::Paused));
    let effects = type_keys(&mut model, "A acme⏎", (120, 40));
    assert!(
        !effects.iter().any(|effect| matches!(effect, Effect::GoOn { .. })),
        "abandoned by its id only: {effects:?}"
    );
    let effects = type_keys(&mut model, &format!("{ID}⏎"), (120, 40));
    assert!(
        effects.contains(&Effect::GoOn { id: ID.to_owned(), wish: Wish::Abandon, take_over: false }),
        "{effects:?}"
    );

    // Past the point of no return there is no way back, and it is said why.
    let mut model = following(operation(Stage::Over));
    type_keys(&mut model, "u", (120, 40));
    assert!(screen(&mut model, (120, 40)).contains("has no way back"));

    let mut model = following(operation(Stage::Running));
    assert!(type_keys(&mut model, "p", (120, 40)).contains(&Effect::PauseAfterStep(ID.to_owned())));
    assert!(screen(&mut model, (120, 40)).contains("PAUSING AFTER THIS STEP"));
    assert!(screen(&mut model, (120, 40)).contains("writes refused 41s of 5m 00s at most, reads fine"));
}

#[test]
fn read_only_offers_nothing_and_says_how_to_allow() {
    let mut model = console(true);
    let effects = type_keys(&mut model, ":acme⏎a⏎", (120, 40));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Prepare(..))), "{effects:?}");
    assert!(screen(&mut model, (120, 40)).contains("start it with --allow-actions, or set allow_actions = true"));
    let mut told = operation(Stage::Paused);
    told.here = false;
    let mut model = following(told);
    model.settings.read_only = true;
    let effects = type_keys(&mut model, "⏎u", (120, 40));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::GoOn { .. })), "{effects:?}");
}

#[test]
fn marks_act_on_many_and_only_strong_evidence_names_whose_they_are() {
    let mut model = console(false);
    let effects = type_keys(&mut model, "3  a", (160, 48));
    assert!(effects.contains(&Effect::Operations));
    let shown = screen(&mut model, (160, 48));
    assert!(shown.contains("ACTIONS on sessions "), "{shown}");
    let mut effects = Vec::new();
    for _ in 0..4 {
        effects = type_keys(&mut model, "⏎", (160, 48));
        if effects.iter().any(|effect| matches!(effect, Effect::Prepare(..))) {
            break;
        }
        type_keys(&mut model, "aj", (160, 48));
    }
    let asked = effects.iter().find_map(|effect| match effect {
        Effect::Prepare(_, request) => Some(request),
        _ => None,
    });
    let Aim::Sessions { keys, tenant, .. } = &asked.unwrap_or_else(|| panic!("{effects:?}")).aim else {
        panic!("{asked:?}")
    };
    assert_eq!(keys.len(), 2);
    let of = |key: &tierdeck::domain::SessionKey| {
        let session = model.shown.sessions.iter().find(|session| session.key == *key).unwrap();
        session.attribution.strong().cloned()
    };
    let owners: Vec<_> = keys.iter().map(of).collect();
    let same = owners[0].clone().filter(|first| owners.iter().all(|owner| owner.as_ref() == Some(first)));
    assert_eq!(*tenant, same);
}

#[test]
fn several_tenants_are_asked_for_one_after_the_other() {
    let mut model = console(false);
    model.update(Message::Report(Report::Operations(OperationList { lines: Vec::new(), ..list() })));
    // Two tenants with logins of their own.
    let own = |at: &usize| {
        let tenant = &model.shown.tenants[*at];
        tenant.limit_scope == tierdeck::domain::snapshot::LimitScope::Tenant
    };
    let rows = model.fleet.tenants.list.rows.clone();
    let places: Vec<usize> = (0..rows.len()).filter(|at| own(&rows[*at])).take(2).collect();
    assert_eq!(places.len(), 2, "the estate has two of them");
    for place in &places {
        type_keys(&mut model, &format!("g{} ", "j".repeat(*place)), (160, 48));
    }
    let mut effects = type_keys(&mut model, "a", (160, 48));
    let shown = screen(&mut model, (160, 48));
    assert!(shown.contains("ACTIONS on 2 tenants"), "{shown}");
    effects.extend(type_keys(&mut model, "⏎⏎", (160, 48)));
    let ticket = effects.iter().find_map(|effect| match effect {
        Effect::Prepare(ticket, request) => Some((*ticket, request.answer("connections").to_owned())),
        _ => None,
    });
    let (ticket, connections) = ticket.unwrap_or_else(|| panic!("{effects:?}\n{}", screen(&mut model, (160, 48))));
    assert_eq!(connections, "10");
    let refused = vec!["role_acme is a superuser, and no limit binds those".to_owned()];
    model.update(Message::Report(Report::Prepared(ticket, Err(refused))));
    let shown = screen(&mut model, (160, 48));
    assert!(shown.contains("1 of 2") && shown.contains("is a superuser, and no limit binds those"), "{shown}");
    let effects = type_keys(&mut model, "⏎", (160, 48));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::Prepare(..))), "{effects:?}");
    assert!(screen(&mut model, (160, 48)).contains("2 of 2"));
}

#[test]
fn the_title_says_when_somebody_is_needed_and_no_longer() {
    let mut model = following(operation(Stage::Running));
    let key = |char| Message::Key(KeyEvent::new(KeyCode::Char(char), KeyModifiers::NONE));
    model.update(key('q'));
    let effects = model.update(Message::Report(Report::Operation(Box::new(operation(Stage::Paused)))));
    assert!(effects.contains(&Effect::Bell), "{effects:?}");
    let titled = |effects: &[Effect]| {
        effects.iter().any(|it| matches!(it, Effect::Title(Some(words)) if words.contains("paused: promote acme")))
    };
    assert!(titled(&effects), "{effects:?}");
    // Told again, it rings no second time.
    let effects = model.update(Message::Report(Report::Operation(Box::new(operation(Stage::Paused)))));
    assert!(!effects.contains(&Effect::Bell) && !titled(&effects), "{effects:?}");
    let effects = model.update(Message::Report(Report::Operation(Box::new(operation(Stage::Running)))));
    assert!(effects.contains(&Effect::Title(None)), "{effects:?}");
    // While it runs here, nobody leaves without being asked.
    let effects = model.update(key('q'));
    assert!(!effects.contains(&Effect::Quit), "{effects:?}");
    assert!(screen(&mut model, (120, 40)).contains("LEAVE WHILE AN OPERATION RUNS?"));
    let effects = model.update(Message::Key(KeyEvent::new(KeyCode::Enter, KeyModifiers::NONE)));
    assert!(effects.contains(&Effect::Quit), "{effects:?}");
}
