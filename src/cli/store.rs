//! What an operator chose in the console, as a file in the state folder: read once, written whole a moment after a change,
//! never by the loop itself. The last of several consoles wins; a file is never half of one and half of another.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::whole;
use crate::app::{Preferences, Report};
use crate::domain::foreign::sanitise;

/// How long nothing may change before it is written.
const QUIET: Duration = Duration::from_millis(400);

/// The longest file that is taken for ours.
const LONGEST: u64 = 64 * 1024;

/// Reads what was kept. What cannot be understood is set aside under another name and told of, never fatal.
pub(super) fn read(folder: Option<&Path>, name: &str) -> (Preferences, Option<String>) {
    let Some(path) = folder.map(|folder| folder.join(name)) else { return Default::default() };
    let long = fs::metadata(&path).is_ok_and(|file| file.len() > LONGEST);
    let text = if long { Err(ErrorKind::FileTooLarge.into()) } else { fs::read_to_string(&path) };
    let why = match text {
        Ok(text) => match toml::from_str(&text) {
            Ok(kept) => return (kept, None),
            Err(error) => told(&error, &text),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => return Default::default(),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::FileTooLarge) => error.to_string(),
        Err(error) => {
            let said = format!("your last choices cannot be read: {}: {error}", path.display());
            return (Preferences::default(), Some(sanitise(&said).into_owned()));
        }
    };
    let kept = match whole::set_aside(&path, Timestamp::now()) {
        Ok(aside) => format!("set aside as {}", aside.display()),
        Err(error) => format!("and cannot be set aside: {error}"),
    };
    let said = format!("your last choices are not understood ({why}): {}, {kept}", path.display());
    (Preferences::default(), Some(sanitise(&said).into_owned()))
}

/// An error on one line.
fn told(error: &toml::de::Error, text: &str) -> String {
    let at = error.span().map_or(0, |span| span.start);
    let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
    format!("line {line}: {}", error.message())
}

fn write(folder: &Path, name: &str, kept: &Preferences) -> std::io::Result<()> {
    let head = "# What was chosen in the console; it writes this file anew after each change.\n";
    let text = toml::to_string(kept).map_err(std::io::Error::other)?;
    whole::folder(folder)?;
    whole::replace(&folder.join(name), format!("{head}{text}").as_bytes())
}

/// Writes beside the loop.
pub(super) struct Store {
    newest: watch::Sender<Option<Preferences>>,
    writer: JoinHandle<()>,
}

impl Store {
    /// Keeps choices in that file; without a folder for it they are forgotten.
    pub fn open(folder: Option<&Path>, name: &'static str, report: mpsc::Sender<Report>) -> Self {
        let (newest, changes) = watch::channel(None);
        let writer = tokio::spawn(work(folder.map(Path::to_owned), name, changes, report));
        Self { newest, writer }
    }

    /// Keeps these from now on.
    pub fn keep(&self, choices: Preferences) {
        self.newest.send_replace(Some(choices));
    }

    /// Writes what is not written yet.
    pub async fn close(self) {
        drop(self.newest);
        // Nothing is left to tell anybody of a writer that broke.
        let _ = self.writer.await;
    }
}

async fn work(
    folder: Option<PathBuf>,
    name: &'static str,
    mut changes: watch::Receiver<Option<Preferences>>,
    report: mpsc::Sender<Report>,
) {
    let mut told = false;
    while changes.changed().await.is_ok() {
        // More may follow at once; leaving ends the wait.
        while let Ok(Ok(())) = tokio::time::timeout(QUIET, changes.changed()).await {}
        let newest = changes.borrow_and_update().clone();
        let (Some(kept), Some(folder)) = (newest, folder.clone()) else { continue };
        let written = tokio::task::spawn_blocking(move || {
            write(&folder, name, &kept).map_err(|error| format!("{}: {error}", folder.join(name).display()))
        });
        if let Ok(Err(error)) = written.await
            && !std::mem::replace(&mut told, true)
        {
            let said = format!("your choices cannot be kept: {error}");
            let _ = report.try_send(Report::Failed(sanitise(&said).into_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dark(theme: &str) -> Preferences {
        Preferences { theme: Some(theme.to_owned()), ..Preferences::default() }
    }

    #[tokio::test]
    async fn choices_are_found_again_and_the_last_one_counts() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("deep/state");
        let (report, _reports) = mpsc::channel(4);
        let store = Store::open(Some(&state), "console.toml", report);
        for theme in ["dark", "light", "plain"] {
            store.keep(dark(theme));
        }
        store.close().await;
        assert_eq!(read(Some(&state), "console.toml"), (dark("plain"), None));
        let left: Vec<_> = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["console.toml"], "nothing else is left behind");
        assert_eq!(read(None, "console.toml"), Default::default());
    }

    #[tokio::test]
    async fn two_that_write_at_once_leave_one_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let writers: Vec<_> = ["dark", "light"]
            .into_iter()
            .map(|theme| {
                let path = path.clone();
                std::thread::spawn(move || (0..50).for_each(|_| write(&path, "console.toml", &dark(theme)).unwrap()))
            })
            .collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            let (kept, trouble) = read(Some(&path), "console.toml");
            assert_eq!(trouble, None);
            assert!([None, Some("dark"), Some("light")].contains(&kept.theme.as_deref()));
        }
        for writer in writers {
            writer.join().unwrap();
        }
    }

    #[test]
    fn what_is_not_understood_is_set_aside_and_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.toml");
        for (text, words) in [
            ("theme = \"dark\"\ncolour = 3\n", "line 2: unknown field"),
            ("theme = [", "line 1"),
            ("theme = 3\n", "invalid type"),
            ("[table.tenants]\nsort = \"\u{1b}[31m\u{7}\"\n", "line 2"),
            ("\"\\u001b[31m\" = 1\n", "unknown field"),
        ] {
            fs::write(&path, text).unwrap();
            let (kept, said) = read(Some(folder.path()), "console.toml");
            let said = said.unwrap();
            assert_eq!(kept, Preferences::default());
            assert!(said.contains(words) && said.contains("console.toml.set-aside-"), "{text:?}: {said}");
            assert!(!said.chars().any(char::is_control), "{said:?}");
            let aside = said.rsplit_once("set aside as ").unwrap().1;
            assert!(!path.exists() && fs::read_to_string(aside).unwrap() == text);
        }
        fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
        assert!(read(Some(folder.path()), "console.toml").1.unwrap().contains("set aside"));
        fs::write(&path, "#".repeat(70_000)).unwrap();
        assert!(read(Some(folder.path()), "console.toml").1.unwrap().contains("set aside"));
        fs::create_dir(&path).unwrap();
        assert!(read(Some(folder.path()), "console.toml").1.unwrap().contains("cannot be read"));
    }
}
