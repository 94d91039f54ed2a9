//! Files that the operator asked for: for their eyes only, and nothing that is there already is lost without a word.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use tokio::sync::mpsc;

use super::whole;
use crate::app::{Document, Report};
use crate::clients::Environment;
use crate::domain::foreign::sanitise;

/// Writes it beside the loop and tells what became of it.
pub(super) fn aside(document: Document, environment: Environment, report: mpsc::Sender<Report>) {
    tokio::task::spawn_blocking(move || {
        let said = told(document, &environment);
        // The loop has ended when nobody takes it.
        let _ = report.blocking_send(said);
    });
}

fn told(document: Document, environment: &Environment) -> Report {
    let path = environment.expand(Path::new(&document.path));
    let safe = |words: String| sanitise(&words).into_owned();
    match write(&path, &document.text, document.replace) {
        Ok(()) => {
            let shown = fs::canonicalize(&path).unwrap_or(path);
            Report::Done(safe(format!("wrote {} to {}", document.what, shown.display())))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists && !document.replace => Report::Exists(document),
        Err(error) => Report::Failed(safe(format!("{} cannot be written: {error}", path.display()))),
    }
}

/// Writes a new file; with `replace`, in the place of one that is there.
pub(super) fn write(path: &Path, text: &str, replace: bool) -> io::Result<()> {
    if replace {
        // Never a device or a folder, and whoever reads meanwhile sees the old or the new, not half of each.
        if fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::other("it is not a file"));
        }
        return whole::replace(path, text.as_bytes());
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a file is taken for a whole one.
        let _ = fs::remove_file(path);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use std::path::PathBuf;

    use super::*;

    fn document(path: &Path, replace: bool) -> Document {
        Document { path: path.display().to_string(), text: "new".into(), what: "3 rows".into(), replace }
    }

    #[test]
    fn a_file_is_for_its_owner_and_replaced_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.csv");
        let here = Environment::default();
        assert!(matches!(told(document(&path, false), &here), Report::Done(words) if words.contains("3 rows to ")));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "old").unwrap();
        assert_eq!(told(document(&path, false), &here), Report::Exists(document(&path, false)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert!(matches!(told(document(&path, true), &here), Report::Done(_)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for bad in [folder.path().to_owned(), PathBuf::from("/dev/null")] {
            assert!(matches!(told(document(&bad, true), &here), Report::Failed(_)), "{}", bad.display());
        }
        let nowhere = folder.path().join("no/such/folder.csv");
        assert!(
            matches!(told(document(&nowhere, false), &here), Report::Failed(words) if words.contains("folder.csv"))
        );
        let mut home = Environment::default();
        home.home = Some(folder.path().to_owned());
        assert!(matches!(told(document(Path::new("~/mine.md"), false), &home), Report::Done(_)));
        assert!(folder.path().join("mine.md").exists());
    }
}
