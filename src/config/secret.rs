//! Where a secret is, and the one place that reads it.

use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;

use super::VaultConfig;
use crate::clients::Environment;
use crate::clients::aws::Account;
use crate::clients::postgres::{Address, Target};

/// Where a secret is, never the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// `{ env = "NAME" }`
    Env(String),
    /// `{ file = "PATH" }`: the file's content without the newline at its end.
    File(PathBuf),
    /// `{ vault = "PATH#KEY" }`: a field of a secret in Vault, read when it is needed.
    Vault {
        /// The secret, below the mount.
        path: String,
        /// Its field.
        field: String,
        /// In which Vault.
        at: Arc<VaultConfig>,
    },
    /// `{ iam = true }`: a token of fifteen minutes, made anew for each login.
    Iam(Arc<IamLogin>),
}

/// What an IAM token is made for: it opens one login at one address, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IamLogin {
    /// By whose rights; none: not known yet.
    pub account: Option<Account>,
    /// Where.
    pub url: String,
    /// As whom; `None`: as the URL says.
    pub user: Option<String>,
}

impl IamLogin {
    async fn token(&self) -> Result<SecretString, String> {
        let account = self.account.as_ref().ok_or("no [aws.NAME] is known for it")?;
        let target = Target::parse(&self.url, &Environment::of_process()).map_err(|error| error.to_string())?;
        let Some((Address::Name(name), port)) = target.hosts.first().map(|host| (&host.address, host.port)) else {
            return Err("its url names no host: IAM tokens are for RDS endpoints".to_owned());
        };
        let user = self.user.as_deref().unwrap_or(&target.user);
        account.token(name, port, user).await.map_err(|error| error.to_string())
    }
}

/// Why a secret cannot be read. Names the place, never what is in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not there.
    #[error("the environment variable {0} is not set (or is empty); export it before you start tierdeck")]
    Unset(String),
    /// It cannot be read where only variables and files can.
    #[error("a password from {0} cannot be used here; use {{ env = \"NAME\" }} or {{ file = \"PATH\" }}")]
    NotHere(&'static str),
    /// No token could be made.
    #[error("no IAM token for the login: {0}")]
    Iam(String),
    /// Vault did not tell it.
    #[error("the secret {place} in Vault: {reason}")]
    Vault {
        /// Which.
        place: String,
        /// Why not.
        reason: String,
    },
    /// The file cannot be read.
    #[error("cannot read the secret from {}: {error}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The path leads to a folder.
    #[error("cannot read the secret from {}: it is a folder; name the file in it", .0.display())]
    Folder(PathBuf),
    /// There is nothing in the file.
    #[error("the secret file {} is empty; write the password into it", .0.display())]
    Empty(PathBuf),
    /// More than one line, or not text.
    #[error("the secret file {} is not one line of UTF-8 text; it holds the password and nothing else", .0.display())]
    NotOneLine(PathBuf),
}

impl Secret {
    /// Reads the secret wherever it is; from Vault with a login of its own, because that is rare.
    pub async fn fetch(&self) -> Result<SecretString, SecretError> {
        if let Self::Iam(login) = self {
            return login.token().await.map_err(SecretError::Iam);
        }
        let Self::Vault { path, field, at } = self else { return self.read() };
        let place = format!("{path}#{field}");
        let failed = |reason: String| SecretError::Vault { place: place.clone(), reason };
        let vault = at.client(&Environment::of_process()).map_err(failed)?;
        let secret = vault.read(path).await.map_err(|error| failed(error.to_string()))?;
        secret.and_then(|secret| secret.fields.secret(field)).ok_or_else(|| failed("it is not there".to_owned()))
    }

    /// Reads the secret, from this process's environment where it is a variable.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        self.read_in(&Environment::of_process())
    }

    /// Reads the secret.
    pub fn read_in(&self, environment: &Environment) -> Result<SecretString, SecretError> {
        match self {
            Self::Env(name) => {
                environment.var(name).map(SecretString::from).ok_or_else(|| SecretError::Unset(name.clone()))
            }
            Self::Iam(_) => Err(SecretError::NotHere("IAM")),
            Self::Vault { .. } => Err(SecretError::NotHere("Vault")),
            Self::File(path) => {
                let path = environment.expand(path);
                if path.is_dir() {
                    return Err(SecretError::Folder(path));
                }
                let bytes = match std::fs::read(&path) {
                    Ok(bytes) => bytes,
                    Err(error) => return Err(SecretError::Unreadable { path, error }),
                };
                let Ok(text) = String::from_utf8(bytes) else { return Err(SecretError::NotOneLine(path)) };
                let line = text.strip_suffix('\n').unwrap_or(&text);
                let line = line.strip_suffix('\r').unwrap_or(line);
                match line {
                    "" => Err(SecretError::Empty(path)),
                    line if line.contains(['\n', '\0']) => Err(SecretError::NotOneLine(path)),
                    line => Ok(SecretString::from(line)),
                }
            }
        }
    }

    /// How the file refers to it: `env TIERDECK_PG_PASSWORD`, `file /run/secrets/pg`.
    pub fn place(&self) -> String {
        match self {
            Self::Env(name) => format!("env {name}"),
            Self::File(path) => format!("file {}", path.display()),
            Self::Vault { path, field, .. } => format!("vault {path}#{field}"),
            Self::Iam(_) => "iam".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_variable_is_read_and_its_absence_named() {
        let environment = Environment::of([("PW", "hunter2"), ("NONE", "")]);
        let read = Secret::Env("PW".into()).read_in(&environment).unwrap();
        assert_eq!(read.expose_secret(), "hunter2");
        assert!(!format!("{read:?}").contains("hunter2"));
        for missing in ["NONE", "OTHER"] {
            let error = Secret::Env(missing.into()).read_in(&environment).unwrap_err().to_string();
            assert!(error.contains(missing), "{error}");
        }
    }

    #[test]
    fn a_file_is_one_line_and_its_faults_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let read = |content: &[u8]| {
            let path = folder.path().join("secret");
            fs::write(&path, content).unwrap();
            Secret::File(path).read_in(&Environment::default()).map(|secret| secret.expose_secret().to_owned())
        };
        assert_eq!(read(b"hunter2\n").unwrap(), "hunter2");
        assert_eq!(read(b"hunter2\r\n").unwrap(), "hunter2");
        assert_eq!(read(b" spaces stay ").unwrap(), " spaces stay ");
        assert!(matches!(read(b""), Err(SecretError::Empty(_))));
        assert!(matches!(read(b"\n"), Err(SecretError::Empty(_))));
        for bad in [&b"two\nlines\n"[..], &b"\xff\xfe"[..], &b"nul\0"[..]] {
            let error = read(bad).unwrap_err();
            assert!(matches!(error, SecretError::NotOneLine(_)), "{error}");
            assert!(!error.to_string().contains("two"));
        }
        assert!(matches!(
            Secret::File(folder.path().into()).read_in(&Environment::default()),
            Err(SecretError::Folder(_))
        ));
        let gone = Secret::File(folder.path().join("gone")).read_in(&Environment::default()).unwrap_err();
        assert!(gone.to_string().contains("gone"), "{gone}");
    }
}
