//! Which file: `--config`, `$TIERDECK_CONFIG`, `./tierdeck.toml`, the user's configuration folder.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::clients::Environment;

/// The variable that names the file.
pub const VARIABLE: &str = "TIERDECK_CONFIG";

/// The shortest file that works.
pub const SHORTEST: &str = "\
[[instance]]
name = \"shared\"
url  = \"postgresql://tierdeck@localhost:5432/portarium\"
";

/// Why there is no configuration to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// A file was named and is not there.
    #[error("{}: there is no such file ({named_by} names it)", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
        /// `--config` or the variable.
        named_by: String,
    },
    /// None was named and none is where one may be.
    #[error("{}", nowhere(looked))]
    Nowhere {
        /// Where it was looked for.
        looked: Vec<PathBuf>,
    },
}

fn nowhere(looked: &[PathBuf]) -> String {
    let mut text = format!("no configuration found. Looked for:\n  --config (not given)\n  ${VARIABLE} (not set)\n");
    for path in looked {
        let _ = writeln!(text, "  {}", path.display());
    }
    let _ = write!(text, "The shortest file that works:\n\n{SHORTEST}\nTo look around without any: tierdeck demo");
    text
}

/// The file to read.
pub fn find(explicit: Option<&Path>, environment: &Environment) -> Result<PathBuf, FindError> {
    let named = match (explicit, environment.var(VARIABLE)) {
        (Some(path), _) => Some((path.to_owned(), "--config".to_owned())),
        (None, Some(path)) => Some((PathBuf::from(path), format!("${VARIABLE}"))),
        (None, None) => None,
    };
    if let Some((path, named_by)) = named {
        let path = environment.expand(&path);
        // A pipe (`--config <(…)`) is as good as a file; a folder is told apart when it is read.
        return if path.exists() { Ok(path) } else { Err(FindError::Missing { path, named_by }) };
    }
    let mut looked = vec![environment.working_folder.join("tierdeck.toml")];
    looked.extend(environment.config_folder.as_ref().map(|folder| folder.join("tierdeck").join("config.toml")));
    match looked.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(FindError::Nowhere { looked }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_nearest_file_wins() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let named = path("named.toml");
        let variable = named.to_str().unwrap().to_owned();
        let mut environment = Environment::of([(VARIABLE, variable.as_str())]);
        environment.working_folder = folder.path().into();
        environment.config_folder = Some(path("config"));

        let error = find(Some(&path("other.toml")), &environment).unwrap_err().to_string();
        assert!(error.contains("other.toml") && error.contains("--config"), "{error}");
        let error = find(None, &environment).unwrap_err().to_string();
        assert!(error.contains("named.toml") && error.contains("$TIERDECK_CONFIG"), "{error}");
        fs::write(&named, "").unwrap();
        assert_eq!(find(None, &environment), Ok(named));

        let Environment { working_folder, config_folder, .. } = environment;
        let mut environment = Environment::of([]);
        environment.working_folder = working_folder;
        environment.config_folder = config_folder;
        let error = find(None, &environment).unwrap_err().to_string();
        for part in ["tierdeck.toml", "config/tierdeck/config.toml", "tierdeck demo", SHORTEST] {
            assert!(error.contains(part), "{error}");
        }
        fs::create_dir_all(path("config/tierdeck")).unwrap();
        fs::write(path("config/tierdeck/config.toml"), "").unwrap();
        assert_eq!(find(None, &environment), Ok(path("config/tierdeck/config.toml")));
        fs::write(path("tierdeck.toml"), "").unwrap();
        assert_eq!(find(None, &environment), Ok(path("tierdeck.toml")));
    }
}
