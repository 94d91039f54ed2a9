//! Whichever way an estate ends, neither process nor file is left.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tierdeck::lab::{Lab, sweep};

use super::{estate, spec, turn};

fn alive(pid: u32) -> bool {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.cast_signed()), None).is_ok()
}

fn home(lab: &Lab) -> PathBuf {
    lab.config_path().parent().unwrap().to_owned()
}

/// A folder that user `postgres` may enter.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

#[track_caller]
fn assert_gone(pid: u32, home: &Path) {
    let begun = Instant::now();
    while alive(pid) && begun.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!alive(pid), "the postmaster {pid} lives");
    assert!(!home.exists(), "{} is still there", home.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_and_drop_leave_nothing() {
    let _turn = turn().await;
    for stop in [true, false] {
        let lab = estate("calm").await;
        let (pid, home) = (lab.instances()[0].pid, home(&lab));
        assert!(alive(pid));
        for secret in ["tierdeck.password", "portarium_admin.password", "tierdeck.toml"] {
            let mode = home.join(secret).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{secret}");
        }
        assert!(!home.join("superuser.password").exists());
        assert!(!sweep().removed.contains(&home), "an estate with an owner is left alone");
        assert!(alive(pid));
        if stop {
            lab.stop().await;
        } else {
            drop(lab);
        }
        assert_gone(pid, &home);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_ones_own_is_kept_or_removed_as_asked() {
    let _turn = turn().await;
    let parent = open_folder();
    let folder = parent.path().join("estate");
    for keep in [false, true] {
        let mut spec = spec("calm");
        (spec.tenants, spec.keep, spec.dir) = (3, keep, Some(folder.clone()));
        let lab = Lab::start(spec, |_| {}).await.unwrap();
        let pid = lab.instances()[0].pid;
        assert_eq!(home(&lab), folder.canonicalize().unwrap());
        lab.stop().await;
        assert!(!alive(pid));
        assert_eq!(folder.join("tierdeck.toml").exists(), keep);
        assert_eq!(folder.exists(), keep);
    }
    let mut again = spec("calm");
    again.dir = Some(folder.clone());
    let error = Lab::start(again, |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("not empty") && error.contains("estate"), "{error}");
    assert!(folder.join("tierdeck.toml").exists(), "what is somebody's is left alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_start_leaves_nothing_and_says_why() {
    let _turn = turn().await;
    let parent = open_folder();
    let mut spec = spec("calm");
    spec.dir = Some(parent.path().join("estate"));
    spec.settings.push(("shared_preload_libraries".to_owned(), "no_such_library".to_owned()));
    let error = Lab::start(spec, |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("no_such_library"), "{error}");
    assert!(!parent.path().join("estate").exists());
}

/// Not a test of its own: the owner that the next one kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started, and killed, by the test below"]
async fn owner_to_be_killed() {
    let lab = estate("calm").await;
    println!("\nestate {} {}", lab.instances()[0].pid, home(&lab).display());
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_estate_of_a_killed_owner_is_swept() {
    let _turn = turn().await;
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "leftovers::owner_to_be_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(owner.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("estate ").map(str::to_owned));
    owner.kill().unwrap();
    owner.wait().unwrap();
    let said = said.expect("the owner brought its estate up");
    let (pid, home) = said.split_once(' ').unwrap();
    let (pid, home) = (pid.parse().unwrap(), PathBuf::from(home));
    assert!(alive(pid) && home.exists(), "SIGKILL leaves the server running");
    // Somebody else's start may sweep it before we do: what counts is that it goes.
    sweep();
    assert_gone(pid, &home);
}
