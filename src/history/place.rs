//! Where the file is, and what becomes of one that is damaged or somebody else's.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// The file of a configuration: one for each environment and set of instances, however the configuration is called.
pub fn file_name<'a>(environment: &str, instances: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = instances.into_iter().collect();
    names.sort_unstable();
    // FNV-1a: it has to be the same in every version of the program, and no more than that.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in [environment].iter().chain(&names).flat_map(|name| name.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let plain: String = environment.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    format!("history-{plain}-{hash:016x}.redb")
}

/// Makes the folder and an empty file that only we may read; what is there stays.
pub(super) fn prepare(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(|_| ())
}

/// Gives a file another name; says which.
pub(super) fn set_aside(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".set-aside-{}", now.strftime("%Y%m%dT%H%M%SZ")));
    let aside = PathBuf::from(name);
    std::fs::rename(path, &aside)?;
    Ok(aside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_configurations_and_stays() {
        let name = file_name("prod", ["shared", "acme"]);
        assert_eq!(name, file_name("prod", ["acme", "shared"]));
        assert_ne!(name, file_name("prod", ["acme"]));
        assert_ne!(name, file_name("staging", ["acme", "shared"]));
        assert_ne!(file_name("a", ["bc"]), file_name("ab", ["c"]));
        assert!(file_name("../x y", []).starts_with("history-xy-"), "no name leads out of the folder");
        assert!(name.starts_with("history-prod-"));
    }
}
