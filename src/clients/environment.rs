//! What a program learns from where it runs, as a value: variables, folders, the operating system's user.
//!
//! Read once at the edge and passed in, so that nothing below depends on the process and tests need not change it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

/// Where the program runs. `Debug` names the variables and leaves out their values: some of them are secrets.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The folder below which programs keep their configuration.
    pub config_folder: Option<PathBuf>,
    /// The folder in which we keep what we remember: `$TIERDECK_STATE`, or below the user's state folder.
    pub state_folder: Option<PathBuf>,
    /// What `./` means.
    pub working_folder: PathBuf,
    /// The operating system's name for the user.
    pub user: Option<String>,
}

impl Environment {
    /// This process's.
    pub fn of_process() -> Self {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.name);
        Self {
            // A variable that is not UTF-8 names nothing that we could use.
            variables: std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
            home: etcetera::home_dir().ok(),
            config_folder: etcetera::choose_base_strategy().ok().map(|folders| folders.config_dir()),
            state_folder: state_folder(),
            working_folder: PathBuf::new(),
            user,
        }
    }

    /// Nothing but these variables.
    pub fn of<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Self { variables, ..Self::default() }
    }

    /// A variable; an empty one counts as not set, as libpq has it.
    pub fn var(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Who works here, as far as the system knows: login name and host.
    pub fn operator(&self) -> String {
        let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
        format!("{}@{}", self.user.as_deref().unwrap_or("unknown"), host.as_deref().unwrap_or("unknown"))
    }

    /// A path in which a leading `~/` means the home folder.
    pub fn expand(&self, path: &Path) -> PathBuf {
        match (path.strip_prefix("~"), &self.home) {
            (Ok(below), Some(home)) => home.join(below),
            _ => path.to_owned(),
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Environment")
            .field("variables", &self.variables.keys().collect::<Vec<_>>())
            .field("home", &self.home)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Not every system has a folder for state; then it is that for data.
fn state_folder() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("TIERDECK_STATE").filter(|folder| !folder.is_empty()) {
        return Some(folder.into());
    }
    let folders = etcetera::choose_base_strategy().ok()?;
    Some(folders.state_dir().unwrap_or_else(|| folders.data_dir()).join("tierdeck"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_variables_are_not_printed() {
        let environment = Environment::of([("PGPASSWORD", "hunter2"), ("EMPTY", "")]);
        let shown = format!("{environment:?}");
        assert!(shown.contains("PGPASSWORD") && !shown.contains("hunter2"), "{shown}");
        assert_eq!((environment.var("PGPASSWORD"), environment.var("EMPTY")), (Some("hunter2"), None));
    }

    #[test]
    fn a_tilde_is_the_home_folder() {
        let environment = Environment { home: Some("/home/ann".into()), ..Environment::default() };
        assert_eq!(environment.expand(Path::new("~/a/b")), Path::new("/home/ann/a/b"));
        assert_eq!(environment.expand(Path::new("/a/~/b")), Path::new("/a/~/b"));
    }
}
