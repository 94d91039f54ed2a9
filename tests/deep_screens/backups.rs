//! Screen 7: what could be restored beside what is wanted, in the words and colours of the findings.

use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use tierdeck::app::{Effect, Message, Model, View};
use tierdeck::domain::{InstanceName, Severity, Signal, SubjectKind};

use crate::cloud_estate::{GONE, judged, several};
use crate::support::estate::{self, now};
use crate::support::stage::{model, screen, type_keys};

/// The signals of screen 7.
const SIGNALS: [Signal; 4] = [Signal::BackupStale, Signal::Retention, Signal::SnapshotExposure, Signal::Unencrypted];

#[test]
fn backups_stand_beside_their_targets() {
    let mut console = model(several());
    type_keys(&mut console, "7", (220, 60));
    let shown = screen(&mut console, (220, 60));
    let line = |name: &str| {
        let found = shown.lines().find(|line| line.contains(name) && line.contains(" d "));
        found.unwrap_or_else(|| panic!("{name}\n{shown}"))
    };
    for words in ["30h/24h", "90m/5m", "7+35/35 d", "NO", "2 accts", "eu-central-1", "failed 7h ago", "—/15m"] {
        assert!(line("✖ portarium-prod-globex-db").contains(words), "{words}\n{shown}");
    }
    for words in ["11h/24h", "3m/5m", " 35/35 d", "yes", "nobody"] {
        assert!(line("● shared").contains(words), "{words}\n{shown}");
    }
    assert!(line("? portarium-prod-initech-db").contains("35+—/35 d"), "{shown}");
    assert!(shown.lines().any(|line| line.contains("old-metal") && line.contains("—")));
    // A tenant on the shared instance has what that has, and is found by its name.
    type_keys(&mut console, "/acme⏎", (220, 60));
    let shown = screen(&mut console, (220, 60));
    assert!(shown.contains("1 match /acme") && shown.contains("they hold every tenant's data"), "{shown}");
    type_keys(&mut console, "⎋/globex⏎g⏎", (160, 48));
    assert!(matches!(console.view, View::Backup(_)));
    let shown = screen(&mut console, (160, 60));
    for words in [
        "SNAPSHOTS",
        "with 210987654321, evil",
        "shared with 2 accts",
        "NOT ENCRYPTED",
        "cannot be shared",
        "PLANS THAT PROTECT IT",
        "cron(0 3",
        "ListRestoreJobs",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    // What a restore needs to be told is there at any width, in full.
    let narrow = screen(&mut console, (80, 60));
    for name in ["rds:portarium-prod-globex-db-2026-11-20-08-03", "globex-before-the-upgrade"] {
        assert!(shown.contains(name) && narrow.contains(name), "{name}\n{narrow}");
    }
    type_keys(&mut console, "⎋", (160, 48));
    assert_eq!(console.view, View::Backups);
    let copied = console.update(Message::Key(KeyEvent::new(KeyCode::Char('y'), KeyModifiers::NONE)));
    assert!(copied.iter().any(|effect| matches!(effect, Effect::Copy(row) if row.contains("globex"))), "{copied:?}");
}

/// One judgement: each row is as bad as the worst of the findings about it, and says their sentences.
#[test]
fn what_is_red_here_is_a_finding_and_the_other_way_round() {
    let all = several();
    let of = |name: &InstanceName| {
        let about = move |kind, instance: &InstanceName| kind == SubjectKind::Instance && instance == name;
        let here = all.findings.iter().filter(|it| SIGNALS.contains(&it.signal));
        here.filter(|it| about(it.subject.kind, &it.subject.instance)).collect::<Vec<_>>()
    };
    let mut console = model(all.clone());
    type_keys(&mut console, "7", (220, 60));
    let mut seen = 0;
    for row in &console.backups.rows {
        let Some(judged) = row.judged() else { continue };
        let findings = of(&row.instance);
        assert_eq!(judged.worst(), findings.iter().map(|it| it.severity).max(), "{row:?}");
        let words: Vec<&String> = judged.wrong.iter().map(|(.., words)| words).collect();
        assert_eq!(words, findings.iter().map(|it| &it.summary).collect::<Vec<_>>());
        seen += findings.len();
    }
    assert!(seen >= 5, "{:#?}", all.findings);
    // Which of the figures is meant its evidence says.
    let globex = console.backups.rows.iter().find(|row| row.instance.as_str() == "portarium-prod-globex-db").unwrap();
    let judged = globex.judged().unwrap();
    assert_eq!((judged.loss, judged.behind, judged.jobs), (None, Some(Severity::Critical), Some(Severity::Warning)));
    assert_eq!((judged.kept, judged.shared), (Some(Severity::Info), Some(Severity::Warning)));
}

#[test]
fn who_is_allowed_to_restore_is_no_worry() {
    let mut settings = estate::settings();
    settings.backup.share_with = vec!["210987654321".into(), crate::cloud_estate::HOSTILE.into()];
    let all = judged(several(), &settings.backup);
    assert!(!all.findings.iter().any(|it| it.signal == Signal::SnapshotExposure && it.subject.id.contains("globex")));
    let mut console = Model::new(settings, now());
    console.update(Message::Snapshot(Arc::new(all)));
    type_keys(&mut console, "7/globex⏎", (220, 60));
    let shown = screen(&mut console, (220, 60));
    assert!(!shown.contains("2 accts"), "{shown}");
    type_keys(&mut console, "⏎", (220, 60));
    let shown = screen(&mut console, (220, 60));
    assert!(shown.contains("shared as allowed"), "{shown}");
}

#[test]
fn snapshots_of_no_instance_are_told_with_who_may_restore_them() {
    let mut console = model(several());
    type_keys(&mut console, "7", (160, 48));
    let shown = screen(&mut console, (160, 48));
    assert!(shown.contains("snapshots of no instance: 1"), "{shown}");
    let line = shown.lines().find(|line| line.contains(GONE) && line.contains("no instance")).unwrap();
    assert!(line.contains('✖') && line.contains("PUBLIC") && line.contains("NO"), "{line}\n{shown}");
    // `n` goes there, and a filter finds it.
    type_keys(&mut console, "/\"no instance\"⏎⏎", (160, 48));
    let shown = screen(&mut console, (160, 48));
    for words in [
        "no such instance any more",
        &format!("final-{GONE}"),
        "gone-for-audit",
        "anybody with an AWS account",
        "eu-west-1",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
    // It has no log any more: another one is opened.
    type_keys(&mut console, "9", (160, 48));
    assert!(screen(&mut console, (160, 48)).contains("LOG OF"), "a log that there is");
    assert!(console.logged().is_some());
}
