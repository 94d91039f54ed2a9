//! Files that are put in their place whole: whoever reads meanwhile, or looks after a crash, finds the old one or the new one.

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// Makes a folder that only we may look into; what is there stays as it is.
pub(super) fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Puts a file that only we may read in the place of the one that is there, if there is one.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".tierdeck-").tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Gives a file that makes no sense another name, for whoever can make sense of it; says which.
pub(super) fn set_aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".set-aside-{}", now.strftime("%Y%m%dT%H%M%SZ")));
    let aside = PathBuf::from(name);
    fs::rename(path, &aside)?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_whole_ours_and_alone() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("deep/down");
        folder(&deep).unwrap();
        assert_eq!(fs::metadata(&deep).unwrap().permissions().mode() & 0o777, 0o700);
        let path = deep.join("file");
        replace(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let aside = set_aside(&path, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(aside, deep.join("file.set-aside-19700101T000000Z"));
        assert_eq!(fs::read(aside).unwrap(), b"new");
        assert_eq!(fs::read_dir(&deep).unwrap().count(), 1, "nothing else is left behind");
    }
}
