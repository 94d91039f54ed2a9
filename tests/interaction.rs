//! What hands do to the console beside moving: marks, columns, the mouse, themes, exports, acknowledging; through the loop
//! that ships.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Waking, Poll};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use futures::Stream;
use proptest::prelude::*;
use pulldown_cmark::{Event as Part, Options, Parser, Tag};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use support::estate;
use tierdeck::app::{
    Effect, Exit, FleetFocus, Message, Model, Pane, Preferences, Report, TablePreferences, TenantTab, Theme, View,
};
use tierdeck::domain::{Acknowledgement, Attention, Foreign, Severity, Snapshot};
use tierdeck::ui::event_loop::{Inputs, run};
use tierdeck::ui::{Depth, draw};
use tokio::sync::{mpsc, watch};

/// Events one by one: the loop draws after each, as it does for hands.
struct Script(VecDeque<Event>, bool);

impl Stream for Script {
    type Item = io::Result<Event>;
    fn poll_next(mut self: Pin<&mut Self>, context: &mut Waking<'_>) -> Poll<Option<Self::Item>> {
        self.1 = !self.1;
        if self.1 {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.0.pop_front().map(Ok))
    }
}

/// A console, its terminal, and what it asked of the world.
struct Hands {
    model: Model,
    terminal: Terminal<TestBackend>,
    effects: Vec<Effect>,
    /// What the loop is shown; it begins each time with the newest.
    picture: Arc<Snapshot>,
}

impl Hands {
    fn on(snapshot: Snapshot, (width, height): (u16, u16)) -> Self {
        let terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let model = Model::new(estate::settings(), estate::now());
        Self { model, terminal, effects: Vec::new(), picture: Arc::new(snapshot) }
    }

    /// Runs the loop until all of this has happened.
    async fn run(&mut self, events: Vec<Event>) {
        let (_snapshots, pictures) = watch::channel(Arc::clone(&self.picture));
        let (_reports, reports) = mpsc::channel(1);
        let inputs = Inputs {
            events: Script(events.into(), false),
            snapshots: pictures,
            reports,
            stop: std::future::pending(),
            clock: estate::now,
        };
        let effects = &mut self.effects;
        let exit = run(&mut self.terminal, inputs, &mut self.model, Depth::True, |effect| effects.push(effect)).await;
        assert_eq!(exit.unwrap(), Exit::InputClosed);
    }

    /// Types: `⏎`, `⇥`, `⎋`, `→`, `⌫` (the whole line) are keys.
    async fn keys(&mut self, keys: &str) {
        let event = |char| {
            let (code, modifiers) = match char {
                '⏎' => (KeyCode::Enter, KeyModifiers::NONE),
                '⇥' => (KeyCode::Tab, KeyModifiers::NONE),
                '⎋' => (KeyCode::Esc, KeyModifiers::NONE),
                '→' => (KeyCode::Right, KeyModifiers::NONE),
                '←' => (KeyCode::Left, KeyModifiers::NONE),
                '⌫' => (KeyCode::Char('u'), KeyModifiers::CONTROL),
                char => (KeyCode::Char(char), KeyModifiers::NONE),
            };
            Event::Key(KeyEvent::new(code, modifiers))
        };
        self.run(keys.chars().map(event).collect()).await;
    }

    async fn mouse(&mut self, kind: MouseEventKind, (column, row): (u16, u16)) {
        self.run(vec![Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })]).await;
    }

    async fn click(&mut self, at: (u16, u16)) {
        self.mouse(MouseEventKind::Down(MouseButton::Left), at).await;
    }

    async fn shown(&mut self, snapshot: Snapshot) {
        self.picture = Arc::new(snapshot);
        self.run(Vec::new()).await;
    }

    fn screen(&self) -> String {
        let buffer = self.terminal.backend().buffer();
        let row = |y| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
        (0..buffer.area.height).map(row).collect::<Vec<_>>().join("\n")
    }

    /// Where words begin, in the lowest line that has them.
    #[track_caller]
    fn place(&self, words: &str) -> (u16, u16) {
        let buffer = self.terminal.backend().buffer();
        let wanted: Vec<String> = words.chars().map(String::from).collect();
        for y in (0..buffer.area.height).rev() {
            let cells: Vec<&str> = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect();
            if let Some(x) = cells.windows(wanted.len()).position(|window| window == wanted) {
                return (u16::try_from(x).unwrap(), y);
            }
        }
        panic!("no {words:?} on\n{}", self.screen());
    }

    #[track_caller]
    fn shows(&self, words: &str) {
        assert!(self.screen().contains(words), "no {words:?} on\n{}", self.screen());
    }

    #[track_caller]
    fn hides(&self, words: &str) {
        assert!(!self.screen().contains(words), "{words:?} on\n{}", self.screen());
    }

    fn saved(&self) -> &tierdeck::app::Document {
        match self.effects.last() {
            Some(Effect::Save(document)) => document,
            other => panic!("{other:?}\n{}", self.screen()),
        }
    }

    fn copied(&self) -> &str {
        match self.effects.last() {
            Some(Effect::Copy(text)) => text,
            other => panic!("{other:?}\n{}", self.screen()),
        }
    }
}

#[tokio::test]
async fn marks_follow_their_rows_and_are_what_is_copied() {
    let mut hands = Hands::on(estate::firing(), (120, 40));
    hands.keys("  ").await;
    hands.shows("2 marked");
    let marked = |hands: &Hands| {
        let list = &hands.model.fleet.tenants.list;
        let chosen = list.chosen(&hands.model.shown.tenants).into_iter();
        chosen.map(|at| hands.model.shown.tenants[at].id.to_string()).collect::<Vec<_>>()
    };
    let first = marked(&hands);
    assert_eq!(first.len(), 2);
    // Another order, another picture: the same tenants.
    hands.keys("ss").await;
    hands.shown(estate::fine()).await;
    let mut now = marked(&hands);
    now.sort();
    let mut before = first.clone();
    before.sort();
    assert_eq!(now, before);
    hands.keys("y").await;
    assert_eq!(hands.copied().lines().count(), 2);
    assert!(hands.copied().lines().all(|line| first.iter().any(|id| line.starts_with(id))), "{}", hands.copied());
    // A filter hides a mark and does not take it away; what has gone for good has none.
    hands.keys("/nobody⏎").await;
    hands.shows("2 marked");
    let mut fewer = estate::fine();
    fewer.tenants.retain(|tenant| tenant.id.as_str() != first[0]);
    hands.shown(fewer).await;
    hands.shows("1 marked");
    hands.keys("⎋").await;
    hands.hides("· 1 marked");
    hands.shows("match /nobody");
    hands.keys("⎋ ").await;
    hands.shows("· 1 marked");
    hands.keys("u").await;
    hands.hides("· 1 marked");
    // Findings and sessions as well.
    hands.shown(estate::firing()).await;
    hands.keys("⇥  Y").await;
    hands.shows("WHAT IS WRONG · 2 marked");
    assert_eq!(hands.copied().matches("since ").count(), 2, "{}", hands.copied());
    hands.keys("3   y").await;
    assert_eq!(hands.copied().lines().count(), 3);
}

#[tokio::test]
async fn columns_are_chosen_moved_sorted_by_and_kept() {
    let mut hands = Hands::on(estate::firing(), (200, 40));
    hands.shown(estate::firing()).await;
    hands.shows("rows/day");
    hands.keys("c").await;
    hands.shows("COLUMNS");
    hands.keys(" ").await;
    hands.shows("without it nobody knows");
    // tier, conn, act, …: rows is the eleventh.
    hands.keys("jjjjjjjjjj ⎋").await;
    hands.hides("rows/day");
    hands.hides("COLUMNS");
    hands.keys("/rows>4M⏎").await;
    hands.shows("1 match /rows>4M");
    hands.keys("⎋c→G←s⎋").await;
    let Some(Effect::Keep(kept)) = hands.effects.last().cloned() else { panic!("{:?}", hands.effects) };
    let of = &kept.table["tenants"];
    assert_eq!(of.hidden, ["rows"]);
    assert_eq!((of.columns[0].as_str(), of.columns.last().unwrap().as_str()), ("tenant", "trend"));
    // Trend has nothing to sort by: the sort is another's.
    assert_eq!(of.sort.as_deref(), Some("problem"));
    let mut again = Hands::on(estate::firing(), (200, 40));
    again.model.prefer(&kept);
    again.shown(estate::firing()).await;
    assert_eq!(again.model.preferences(), kept);
    again.hides("rows/day");
    again.shows("sort: problem");
    again.keys("cr⎋").await;
    again.shows("rows/day");
    // Narrow terminals leave out what matters least, whatever was chosen.
    let mut narrow = Hands::on(estate::firing(), (80, 24));
    narrow.shown(estate::firing()).await;
    narrow.hides("rows/day");
    narrow.keys("c").await;
    narrow.shows("no room now");
}

#[tokio::test]
async fn an_order_by_a_column_that_is_not_shown_is_said_and_kept_for_where_it_is() {
    for (sort, hidden) in
        [("rows", vec!["rows".to_owned()]), ("instance", Vec::new()), ("of a later version", Vec::new())]
    {
        let order = |sort: &str| TablePreferences {
            sort: Some(sort.to_owned()),
            descending: Some(true),
            hidden: hidden.clone(),
            ..TablePreferences::default()
        };
        let kept = Preferences { table: [("tenants".to_owned(), order(sort))].into(), ..Preferences::default() };
        let mut hands = Hands::on(estate::firing(), (200, 40));
        hands.model.settings.instances.truncate(1);
        hands.model.prefer(&kept);
        hands.shown(estate::firing()).await;
        hands.shows(&format!("tenants stand in their usual order: {sort} is not shown here"));
        hands.shows("sort: severity ↓");
        assert_eq!(hands.model.preferences().table["tenants"].sort.as_deref(), Some(sort));
        hands.keys("s").await;
        assert_ne!(hands.model.preferences().table["tenants"].sort.as_deref(), Some(sort), "until another is chosen");
    }
}

#[tokio::test]
async fn the_mouse_selects_opens_sorts_scrolls_and_presses() {
    let mut hands = Hands::on(estate::firing(), (160, 40));
    hands.shown(estate::firing()).await;
    let title = hands.place("size");
    hands.click(title).await;
    hands.shows("sort: size ↓");
    hands.click(title).await;
    hands.shows("sort: size ↑");
    let under = |hands: &Hands| {
        let at = hands.model.fleet.tenants.list.selected().unwrap();
        hands.model.shown.tenants[at].id.to_string()
    };
    let row = hands.place("umbrella");
    hands.click(row).await;
    assert_eq!((under(&hands).as_str(), &hands.model.view), ("umbrella", &View::Fleet));
    hands.click(row).await;
    assert!(matches!(&hands.model.view, View::Tenant(key) if key.0.as_str() == "umbrella"), "{:?}", hands.model.view);
    // The pages of the tenant stand beside each other.
    let footer = hands.place("3 sessions").1;
    let tab =
        (hands.place("overview").0 + "overview ─ findings 3 ─ s".chars().count() as u16, hands.place("overview").1);
    assert!(tab.1 < footer);
    hands.click(tab).await;
    assert_eq!(hands.model.page.tab, TenantTab::Sessions);
    let footer = hands.place("3 sessions");
    hands.click(footer).await;
    assert_eq!(hands.model.view, View::Sessions);
    let middle = (20, 8);
    let top = hands.model.sessions.list.top;
    hands.mouse(MouseEventKind::ScrollDown, middle).await;
    assert_eq!(hands.model.sessions.list.top, top + 3);
    hands.mouse(MouseEventKind::ScrollUp, middle).await;
    assert_eq!(hands.model.sessions.list.top, top);
    // A key between two clicks: the second only selects.
    hands.keys("1").await;
    let row = hands.place("acme ");
    hands.click(row).await;
    hands.keys("j").await;
    hands.click(row).await;
    assert_eq!(hands.model.view, View::Fleet);
    // What is wrong: the first click goes there, the second asks why.
    let finding = hands.place("→ look at acme");
    hands.click(finding).await;
    assert_eq!(hands.model.fleet.focus, FleetFocus::Findings);
    hands.click(finding).await;
    assert!(matches!(hands.model.view, View::Finding(_)));
    // Over a box: lines are chosen, beside it closes, and the view under it stays as it was.
    hands.keys("1c").await;
    let line = hands.place("[x] dead");
    hands.click(line).await;
    hands.click(line).await;
    hands.shows("[ ] dead");
    hands.click((2, 30)).await;
    hands.hides("COLUMNS");
    assert_eq!(hands.model.view, View::Fleet);
    hands.keys("t").await;
    let line = hands.place("high-contrast");
    hands.click(line).await;
    hands.click(line).await;
    hands.shows("theme high-contrast");
    hands.keys("m").await;
    assert!(hands.effects.contains(&Effect::Mouse(false)));
    assert!(matches!(&hands.effects[..], [.., Effect::Keep(kept), Effect::Mouse(false)] if kept.mouse == Some(false)));
}

#[tokio::test]
async fn a_theme_is_tried_on_kept_and_follows_its_file() {
    let mut hands = Hands::on(estate::firing(), (120, 40));
    hands.shown(estate::firing()).await;
    let accent = |hands: &Hands| {
        let (x, y) = hands.place("tierdeck");
        hands.terminal.backend().buffer()[(x, y)].fg
    };
    let dark = accent(&hands);
    hands.keys("tj").await;
    let light = accent(&hands);
    assert_ne!(dark, light);
    hands.keys("⎋").await;
    assert_eq!((accent(&hands), hands.effects.len()), (dark, 0), "as it was, and nothing to keep");
    hands.keys("tj⏎").await;
    assert_eq!(accent(&hands), light);
    assert!(matches!(hands.effects.last(), Some(Effect::Keep(kept)) if kept.theme.as_deref() == Some("light")));
    let stock = |text: &str| {
        let mut themes = Theme::built_in().to_vec();
        themes.push(Theme::parse("mine", text).unwrap());
        Message::Report(Report::Themes(themes, None))
    };
    hands.model.update(stock("accent = \"#010203\""));
    hands.keys(":theme mine⏎").await;
    assert_eq!(accent(&hands), Color::Rgb(1, 2, 3));
    hands.model.update(stock("accent = \"#040506\""));
    hands.keys("").await;
    assert_eq!(accent(&hands), Color::Rgb(4, 5, 6));
    // Its file is broken for a moment: the usual one is worn and told of, and it comes back with the file.
    let broken = Report::Themes(Theme::built_in().to_vec(), Some("theme mine.toml, line 1: what".into()));
    hands.model.update(Message::Report(broken));
    hands.keys("").await;
    hands.shows("theme mine.toml, line 1");
    assert_eq!(accent(&hands), dark);
    hands.model.update(stock("accent = \"#040506\""));
    hands.keys("").await;
    assert_eq!(accent(&hands), Color::Rgb(4, 5, 6));
}

#[tokio::test]
async fn exports_hold_numbers_and_what_is_marked_and_no_formula() {
    let mut snapshot = estate::firing();
    snapshot.sessions[0].application = Foreign::from("=cmd|' /C calc'!A0");
    let mut hands = Hands::on(snapshot, (120, 40));
    hands.keys("e⏎").await;
    let csv = hands.saved().clone();
    assert!(csv.path.starts_with("tierdeck-tenants-prod-20261121T140322Z.csv") && !csv.replace, "{}", csv.path);
    assert!(
        csv.text.split("\r\n").next().unwrap().starts_with("severity,tenant,tier,instance,conn,act,"),
        "{}",
        csv.text
    );
    let acme = csv.text.split("\r\n").find(|row| row.contains(",acme,")).unwrap();
    assert!(acme.starts_with("critical,acme,shared,shared,") && acme.contains(",4100000,"), "{acme}");
    // Columns that are hidden are in JSON only.
    hands.keys("cjjj ⎋").await;
    hands.keys("e⏎").await;
    assert!(!hands.saved().text.contains("instance"), "{}", hands.saved().text);
    hands.keys("e⇥→⏎").await;
    let json = hands.saved().clone();
    assert!(json.path.ends_with("Z.json"), "{}", json.path);
    let document: serde_json::Value = serde_json::from_str(&json.text).unwrap();
    let rows = document["rows"].as_array().unwrap();
    assert_eq!(rows.len(), hands.model.shown.tenants.len());
    assert_eq!(
        (&rows[0]["tenant"], &rows[0]["instance"], &rows[0]["limit"]),
        (&"acme".into(), &"shared".into(), &40.into())
    );
    assert!(rows[0]["estimated"].as_array().unwrap().contains(&"dead".into()), "{}", rows[0]);
    assert_eq!(document["environment"], "prod");
    // Marked rows only, and what a tenant wrote is words.
    hands.keys("3/application:cmd⏎ e⏎").await;
    let csv = hands.saved().clone();
    assert_eq!((csv.what.as_str(), csv.text.matches("\r\n").count()), ("1 row", 2));
    assert!(csv.text.contains("\"'=cmd|' /C calc'!A0\""), "{}", csv.text);
    assert!(!csv.text.chars().any(|char| char.is_control() && !"\r\n".contains(char)));
    // A file that is there is asked about, and replaced only then.
    hands.model.update(Message::Report(Report::Exists(csv.clone())));
    let asked = hands.effects.len();
    hands.keys("⎋").await;
    assert_eq!(hands.effects.len(), asked);
    hands.model.update(Message::Report(Report::Exists(csv)));
    hands.keys("⏎").await;
    assert!(hands.saved().replace);
    // Without a name nothing is written, and it says so.
    hands.keys("e⌫⏎").await;
    hands.shows("name a file");
}

#[tokio::test]
async fn the_report_tells_the_whole_story_and_its_foreign_words_do_nothing() {
    let mut snapshot = estate::firing();
    for session in &mut snapshot.sessions {
        session.query = Some(Foreign::from("select '<script>alert(1)</script>' | `x` -- [a](http://e.vil)\n\n# no"));
    }
    snapshot.findings[0].acknowledged = Some(Arc::new(known(&snapshot, Attention::Acknowledged)));
    let mut hands = Hands::on(estate::fine(), (120, 40));
    hands.shown(estate::fine()).await;
    hands.shown(snapshot).await;
    hands.keys("E⏎").await;
    let document = hands.saved().clone();
    assert!(document.path.ends_with("Z.md"));
    let text = &document.text;
    for words in [
        "# Incident report: prod",
        "by** ann&#64;laptop",
        "## What is wrong",
        "critical noisy-neighbour: acme on shared",
        "**acknowledged** by bob&#64;desk",
        "**next step**",
        "| evidence | measured | threshold |",
        "SELECT pg_cancel_backend(4100);",
        "## What could not be judged",
        "## Tenants involved",
        "## Sessions involved",
        "## Who waits for whom",
        "└ pid ",
        "## Timeline",
        "## Instances",
        "## What watching cost",
    ] {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
    let mut headings = 0;
    for part in Parser::new_ext(text, Options::all()) {
        match part {
            Part::Html(html) | Part::InlineHtml(html) => panic!("{html}\n{text}"),
            Part::Start(Tag::Link { .. } | Tag::Image { .. }) => panic!("a link\n{text}"),
            Part::Start(Tag::Heading { .. }) => headings += 1,
            _ => {}
        }
    }
    assert_eq!(headings, 1 + 8 + hands.model.shown.findings.len(), "{text}");
    // What ends is in the timeline of the next.
    hands.shown(estate::fine()).await;
    hands.keys("E⏎").await;
    assert!(hands.saved().text.contains("| was over |"), "{}", hands.saved().text);
    assert!(hands.saved().text.contains("Nothing was found."));
}

/// Somebody's word about the first finding.
fn known(snapshot: &Snapshot, attention: Attention) -> Acknowledgement {
    let finding = &snapshot.findings[0];
    Acknowledgement {
        signal: finding.signal,
        kind: finding.subject.kind,
        id: finding.subject.id.clone(),
        instance: finding.subject.instance.to_string(),
        attention,
        by: "bob@desk".into(),
        why: "on it \u{1b}[31m".into(),
        at: estate::now(),
        seen: None,
        cause: None,
        until: estate::ago(-3_600),
    }
}

#[tokio::test]
async fn findings_are_acknowledged_muted_shown_and_taken_back() {
    let mut hands = Hands::on(estate::firing(), (120, 40));
    hands.keys("x").await;
    hands.shows("no finding under the cursor");
    hands.keys("⇥x").await;
    hands.shows("ACKNOWLEDGE OR MUTE");
    hands.shows("as ann@laptop");
    // A reason is wanted, and typing begins there.
    hands.keys("⏎").await;
    hands.shows("say why");
    hands.keys("on ⇥⌫soon⏎").await;
    hands.shows("is no time");
    // Letters typed at a choice are not lost: they go on where typing begins.
    hands.keys("⌫4h⇥→←it⏎").await;
    let first = estate::firing().findings[0].clone();
    let Some(Effect::Acknowledge(said)) = hands.effects.last().cloned() else { panic!("{:?}", hands.effects) };
    assert_eq!((said.attention, said.why.as_str(), said.by.as_str()), (Attention::Acknowledged, "on it", "ann@laptop"));
    assert_eq!(said.until, estate::ago(-4 * 3_600));
    assert!(said.covers(&first, estate::now()));
    hands.shows("acknowledged until 18:03Z");
    // Marked ones all at once, muted.
    hands.keys("  xhello⇥⇥→⏎").await;
    let muted = |effect: &&Effect| matches!(effect, Effect::Acknowledge(said) if said.attention == Attention::Muted);
    assert_eq!(hands.effects.iter().filter(muted).count(), 2);
    // Acknowledged: after the others, dimmed, with who and until when.
    let mut snapshot = estate::firing();
    snapshot.findings[0].acknowledged = Some(Arc::new(known(&snapshot, Attention::Acknowledged)));
    let severity = snapshot.findings[0].severity;
    assert_eq!(severity, Severity::Critical);
    let mut hands = Hands::on(snapshot.clone(), (120, 40));
    hands.shown(snapshot.clone()).await;
    hands.shows("1 acknowledged");
    hands.shows("✖ acknowledged  acme");
    hands.shows("acknowledged by bob@desk until 15:03Z: on it ␛[31m");
    assert_eq!(hands.model.fleet.findings.rows.last(), Some(&0));
    let (_, y) = hands.place("✖ acknowledged  acme");
    let look = tierdeck::ui::Look::new(&Theme::default(), Depth::True);
    let buffer = hands.terminal.backend().buffer();
    assert!((0..120).all(|x| Some(buffer[(x, y)].fg) != look.critical.fg), "dimmed\n{}", hands.screen());
    // Muted: counted, not shown, until somebody asks.
    snapshot.findings[0].acknowledged = Some(Arc::new(known(&snapshot, Attention::Muted)));
    hands.shown(snapshot.clone()).await;
    hands.shows("1 muted");
    hands.hides("acme is a noisy");
    hands.keys("M").await;
    hands.shows("✖ muted  acme is a noisy");
    hands.keys("⇥GX").await;
    assert_eq!(hands.effects, [Effect::Unacknowledge(known(&snapshot, Attention::Muted))]);
    // All of them muted is not "nothing found".
    let mut all = estate::firing();
    for at in 0..all.findings.len() {
        all.findings.swap(0, at);
        all.findings[0].acknowledged = Some(Arc::new(known(&all, Attention::Muted)));
        all.findings.swap(0, at);
    }
    let mut hands = Hands::on(all.clone(), (120, 40));
    hands.shown(all).await;
    hands.shows("every finding is muted");
    hands.hides("✔");
}

#[tokio::test]
async fn a_finding_that_comes_again_says_how_often_it_did() {
    let mut hands = Hands::on(estate::firing(), (120, 40));
    hands.shown(estate::firing()).await;
    hands.keys("⏎").await;
    hands.shows(" ago)");
    hands.hides(" time in ");
    for times in ["2nd", "3rd"] {
        hands.shown(estate::fine()).await;
        hands.shown(estate::firing()).await;
        hands.shows(&format!(" ago); {times} time in "));
    }
}

#[test]
fn what_is_kept_is_bounded() {
    let mut timeline = tierdeck::app::Timeline::default();
    let (fine, firing) = (estate::fine(), estate::firing());
    for _ in 0..400 {
        timeline.take(&firing);
        timeline.take(&fine);
    }
    assert_eq!(timeline.events.len(), 500);
    assert!(timeline.dropped > 1_000);
    assert!(timeline.events.iter().zip(timeline.events.iter().skip(1)).all(|(one, next)| one.at <= next.at));
}

fn any_event() -> impl Strategy<Value = Event> {
    let plain = "jkgGnNsSpyY?/:123-[]q!<>=a0hl cxXMeEtmur\u{1b}顧".chars().collect::<Vec<_>>();
    let key = prop_oneof![
        8 => proptest::sample::select(plain).prop_map(KeyCode::Char),
        5 => proptest::sample::select(vec![
            KeyCode::Enter, KeyCode::Tab, KeyCode::BackTab, KeyCode::Esc, KeyCode::Down, KeyCode::Up, KeyCode::PageDown,
            KeyCode::PageUp, KeyCode::Home, KeyCode::End, KeyCode::Left, KeyCode::Right, KeyCode::Backspace,
        ]),
    ];
    let key = key.prop_map(|code| Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    let kind = proptest::sample::select(vec![
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::Down(MouseButton::Left),
        MouseEventKind::Down(MouseButton::Right),
        MouseEventKind::ScrollDown,
        MouseEventKind::ScrollUp,
    ]);
    let mouse = (kind, 0u16..400, 0u16..120)
        .prop_map(|(kind, column, row)| Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
    prop_oneof![3 => key, 1 => mouse]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_hand_breaks_it(
        steps in proptest::collection::vec((any_event(), 0usize..8, 0usize..12), 1..60),
        sizes in proptest::collection::vec((1u16..=400, 1u16..=120), 1..5),
    ) {
        let mut muted = estate::firing();
        muted.findings[0].acknowledged = Some(Arc::new(known(&muted, Attention::Muted)));
        let pictures = [estate::firing(), estate::fine(), estate::down(), estate::loading(), muted].map(Arc::new);
        let mut model = Model::new(estate::settings(), estate::now());
        model.update(Message::Snapshot(Arc::clone(&pictures[0])));
        let mut terminals: Vec<_> =
            sizes.iter().map(|size| Terminal::new(TestBackend::new(size.0, size.1)).unwrap()).collect();
        for (event, picture, size) in steps {
            if let Some(picture) = pictures.get(picture) {
                model.update(Message::Snapshot(Arc::clone(picture)));
            }
            model.update(match event {
                Event::Key(key) => Message::Key(key),
                Event::Mouse(mouse) => Message::Mouse(mouse),
                _ => continue,
            });
            let at = size % terminals.len();
            let mut viewport = None;
            terminals[at].draw(|frame| viewport = Some(draw(frame, &model, Depth::True))).unwrap();
            model.update(Message::Drawn(viewport.unwrap()));
        }
        // Whatever was done, it can be kept and found again.
        let kept = model.preferences();
        let text = toml::to_string(&kept).unwrap();
        prop_assert_eq!(toml::from_str::<tierdeck::app::Preferences>(&text).unwrap(), kept);
        let _ = model.marked(Pane::Tenants);
    }
}

/// A picture may ask for something, too: nobody touches a key, and the tables of a tenant that came to be known are asked for.
#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn what_a_picture_asks_for_is_asked() {
    let mut unknown = estate::fine();
    for tenant in &mut unknown.tenants {
        (tenant.schema, tenant.database) = (None, None);
    }
    let mut hands = Hands::on(unknown, (160, 48));
    hands.keys("/acme⏎2").await;
    for _ in 0..8 {
        if hands.model.page.tab == TenantTab::Tables {
            break;
        }
        hands.keys("⇥").await;
    }
    assert_eq!(hands.model.page.tab, TenantTab::Tables);
    let asked = |hands: &Hands| hands.effects.iter().filter(|it| matches!(it, Effect::Tables(_))).count();
    assert_eq!(asked(&hands), 0, "nothing of it is there");
    // The next picture comes while the loop runs.
    let (pictures, shown) = watch::channel(Arc::clone(&hands.picture));
    let (_reports, reports) = mpsc::channel(1);
    let stop = async {
        pictures.send(Arc::new(estate::fine())).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        Exit::Quit
    };
    let inputs = Inputs { events: futures::stream::pending(), snapshots: shown, reports, stop, clock: estate::now };
    let effects = &mut hands.effects;
    run(&mut hands.terminal, inputs, &mut hands.model, Depth::True, |effect| effects.push(effect)).await.unwrap();
    assert_eq!(asked(&hands), 1);
}
