//! Where operations act: the instances with their admin logins, as values. Which configuration they came from is not
//! known here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use super::hands::HandsError;
use super::script::VaultAt;
use crate::attribution::Directory;
use crate::clients::aws::Account;
use crate::clients::postgres::{Address, ConnectError, Connection, Target, Timeouts, connect, connect_bare};
use crate::clients::vault::Vault;
use crate::domain::{InstanceName, Layout, Naming, TenantId};

/// A login that may change something.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Where and as whom; the database is that of the monitoring login.
    pub target: Target,
    /// `None`: `PGPASSWORD`, then `.pgpass`.
    pub password: Option<Password>,
}

/// A password, or where it is.
#[derive(Debug, Clone)]
pub enum Password {
    /// Read already.
    Known(SecretString),
    /// A field of a secret in Vault, read when it is needed.
    InVault {
        /// The secret, below the mount.
        path: String,
        /// Its field.
        field: String,
    },
    /// A token of IAM, made anew for each login.
    Token {
        /// By whose rights.
        account: Account,
        /// For which login, at which address.
        login: Box<Target>,
    },
}

impl From<SecretString> for Password {
    fn from(password: SecretString) -> Self {
        Self::Known(password)
    }
}

/// An instance.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its name.
    pub instance: InstanceName,
    /// What each tenant has of its own.
    pub layout: Layout,
    /// The one tenant of a dedicated instance.
    pub only: Option<TenantId>,
    /// The login that acts, or why there is none.
    pub admin: Result<Admin, String>,
    /// The login that watches.
    pub monitor: String,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Estate {
    /// The instances.
    pub places: Vec<Place>,
    /// The one whose database holds leases and mirrored journals.
    pub control: InstanceName,
    /// How tenants are named.
    pub naming: Arc<Naming>,
    /// Vault, or why there is none.
    pub vault: Result<Arc<Vault>, String>,
    /// How a tenant's own instance would be called: `portarium-prod-{id}-db`.
    pub dedicated: String,
    /// Where exports are kept.
    pub work: PathBuf,
    /// `statement_timeout` of the sessions that change something.
    pub statement_timeout: Duration,
    /// `lock_timeout` of the same.
    pub lock_timeout: Duration,
    /// Silent for longer, an operation may be taken over.
    pub stale_after: Duration,
    /// How long a tenant's writes may be held back by an operation that is unfinished.
    pub fence_budget: Duration,
}

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use<'a> {
    /// To look: read-only by the server's own setting.
    Looking,
    /// Leases and journals.
    Control,
    /// Effects of an operation, under its name.
    Effects(&'a str),
    /// An effect that may take as long as it takes.
    Long(&'a str),
}

/// What takes as long as it takes is still not left alone for ever.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

impl Estate {
    /// An instance by its name.
    pub fn place(&self, instance: &InstanceName) -> Result<&Place, HandsError> {
        let place = self.places.iter().find(|place| place.instance == *instance);
        place.ok_or_else(|| HandsError::NoPlace(instance.to_string()))
    }

    /// How an instance's tenants are recognised.
    pub fn directory(&self, place: &Place) -> Directory {
        Directory::new(Arc::clone(&self.naming), place.layout, place.only.clone())
    }

    /// Logs in with the admin login; the default database is the configuration's.
    pub(super) async fn connect(
        &self,
        instance: &InstanceName,
        database: Option<&str>,
        purpose: Use<'_>,
    ) -> Result<Connection, HandsError> {
        let admin = self.admin(instance)?;
        let (name, statement) = match purpose {
            Use::Looking => ("tierdeck", self.statement_timeout),
            Use::Control => ("tierdeck control", self.statement_timeout),
            Use::Effects(name) => (name, self.statement_timeout),
            Use::Long(name) => (name, LONGEST),
        };
        let timeouts = Timeouts {
            statement,
            lock: self.lock_timeout,
            idle_in_transaction: self.statement_timeout,
            read_only: purpose == Use::Looking,
            ..Timeouts::default()
        };
        let target = admin.target.called(name);
        let target = database.map_or_else(|| target.clone(), |database| target.with_database(database));
        let password = match &admin.password {
            None => None,
            Some(password) => Some(self.read(password).await?),
        };
        Ok(connect(&target, password, &timeouts).await?)
    }

    async fn read(&self, password: &Password) -> Result<SecretString, HandsError> {
        let (path, field) = match password {
            Password::Known(password) => return Ok(password.clone()),
            Password::InVault { path, field } => (path, field),
            Password::Token { account, login } => {
                let token = match login.hosts.first().map(|host| (&host.address, host.port)) {
                    Some((Address::Name(name), port)) => {
                        // Large, and asked for by few: it is no part of every other login.
                        Box::pin(account.token(name, port, &login.user)).await
                    }
                    _ => {
                        return Err(HandsError::NoValue(
                            "a token of IAM is for the endpoint of an instance".to_owned(),
                        ));
                    }
                };
                return token.map_err(|error| HandsError::NoValue(format!("no IAM token for {}: {error}", login.user)));
            }
        };
        let vault = self.vault.as_ref().map_err(|reason| HandsError::NoVault(reason.clone()))?;
        let found = vault.read(path).await?.and_then(|secret| secret.fields.secret(field));
        found.ok_or_else(|| HandsError::NoValue(format!("there is no {path}#{field} in Vault")))
    }

    /// The admin login's password for a database, from wherever a session of ours would have it.
    pub(super) async fn password(&self, instance: &InstanceName, database: &str) -> Result<SecretString, HandsError> {
        let admin = self.admin(instance)?;
        if let Some(password) = &admin.password {
            return self.read(password).await;
        }
        let found = admin.target.with_database(database).password();
        found
            .ok_or_else(|| HandsError::NoValue(format!("there is no password for {} on {instance}", admin.target.user)))
    }

    /// Which Vault there is.
    pub fn vault_at(&self) -> Result<VaultAt, HandsError> {
        self.vault.as_ref().map(|vault| VaultAt::of(vault)).map_err(|reason| HandsError::NoVault(reason.clone()))
    }

    /// Logs in as somebody else, looks whether that works, and leaves again.
    pub(super) async fn log_in(
        &self,
        instance: &InstanceName,
        database: &str,
        role: &str,
        password: SecretString,
    ) -> Result<(), HandsError> {
        let target = self.admin(instance)?.target.with_user(role).with_database(database).called("tierdeck");
        connect(&target, Some(password), &Timeouts::default()).await?;
        Ok(())
    }

    /// Logs in as a login of ours for a while, with nothing but that login's own settings; no statement takes longer than
    /// `patience`.
    pub(super) async fn enter(
        &self,
        (instance, database): (&InstanceName, &str),
        role: &str,
        password: &SecretString,
        (name, patience): (&str, Duration),
    ) -> Result<Result<Connection, ConnectError>, HandsError> {
        let target = self.admin(instance)?.target.with_user(role).with_database(database).called(name);
        let timeouts = Timeouts { statement: patience, ..Timeouts::default() };
        Ok(connect_bare(&target, Some(password.clone()), &timeouts).await)
    }

    /// The Vault that a plan names.
    pub fn vault(&self, at: &VaultAt) -> Result<&Vault, HandsError> {
        let vault = self.vault.as_ref().map_err(|reason| HandsError::NoVault(reason.clone()))?;
        let here = VaultAt::of(vault);
        if here == *at {
            Ok(vault)
        } else {
            Err(HandsError::NoVault(format!("the plan's is {at}, and the configuration's {here}")))
        }
    }

    /// The admin login of an instance.
    pub fn admin(&self, instance: &InstanceName) -> Result<&Admin, HandsError> {
        let place = self.place(instance)?;
        place.admin.as_ref().map_err(|reason| HandsError::NoAdmin(instance.to_string(), reason.clone()))
    }

    /// Whether a database is the one that holds the leases.
    pub(super) fn is_control(&self, instance: &InstanceName, database: &str) -> bool {
        *instance == self.control && self.admin(instance).is_ok_and(|admin| admin.target.database == database)
    }

    /// Whether a login is one of ours: what calls itself tierdeck under another one is a tenant's.
    pub fn is_ours(&self, role: &str, application: &str) -> bool {
        let login =
            |place: &Place| place.monitor == role || place.admin.as_ref().is_ok_and(|admin| admin.target.user == role);
        application.starts_with("tierdeck") && self.places.iter().any(login)
    }
}
