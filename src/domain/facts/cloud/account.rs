//! How an account of AWS does, beside what is known of its instances.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Oddity, Snapshot};
use crate::domain::ids::{InstanceName, TenantId};
use crate::domain::observed::Trouble;

/// How an account does.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountState {
    /// `[aws.NAME]`
    pub name: Arc<str>,
    /// Region.
    pub region: Arc<str>,
    /// PostgreSQL instances that RDS describes there; `None`: not known yet.
    pub instances: Option<u32>,
    /// Why RDS does not describe them.
    pub error: Option<Trouble>,
    /// What CloudWatch costs as it is asked now; `None`: not known yet.
    pub usd_per_hour: Option<f64>,
    /// Instances whose tags are odd, by RDS identifier.
    pub odd: Vec<(Arc<str>, Oddity)>,
    /// Snapshots that others may restore, of instances that are gone or not watched; by RDS identifier. `None`: not known yet.
    pub strays: Option<Vec<(Arc<str>, Snapshot)>>,
    /// The RDS identifiers of all of them.
    pub identifiers: Arc<Vec<Arc<str>>>,
}

impl AccountState {
    /// One of which nothing is known yet.
    pub fn named(name: Arc<str>, region: Arc<str>) -> Self {
        Self {
            name,
            region,
            instances: None,
            error: None,
            usd_per_hour: None,
            odd: Vec::new(),
            strays: None,
            identifiers: Arc::default(),
        }
    }

    /// Takes news of it.
    pub fn take(&mut self, news: AccountNews) {
        match news {
            AccountNews::Described { instances, odd, identifiers } => {
                (self.instances, self.odd, self.error) = (Some(instances), odd, None);
                // One that says the same stays the very same: what is judged by it need not be judged again.
                if *self.identifiers != identifiers {
                    self.identifiers = Arc::new(identifiers);
                }
            }
            AccountNews::Failed(trouble) => self.error = Some(trouble),
            AccountNews::Strays(strays) => self.strays = Some(strays),
            AccountNews::Costs(usd_per_hour) => self.usd_per_hour = Some(usd_per_hour),
        }
    }

    /// The news that say the same.
    pub fn retell(&self) -> Vec<AccountNews> {
        let described = self.instances.map(|instances| {
            let identifiers = self.identifiers.to_vec();
            AccountNews::Described { instances, odd: self.odd.clone(), identifiers }
        });
        let failed = self.error.clone().map(AccountNews::Failed);
        let strays = self.strays.clone().map(AccountNews::Strays);
        described.into_iter().chain(failed).chain(strays).chain(self.usd_per_hour.map(AccountNews::Costs)).collect()
    }
}

/// News of an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum AccountNews {
    /// RDS described its instances.
    Described {
        /// How many.
        instances: u32,
        /// Whose tags are odd.
        odd: Vec<(Arc<str>, Oddity)>,
        /// Their RDS identifiers, sorted; none in an old recording.
        #[serde(default)]
        identifiers: Vec<Arc<str>>,
    },
    /// It did not.
    Failed(Trouble),
    /// Snapshots that others may restore, of instances that are gone or not watched.
    Strays(Vec<(Arc<str>, Snapshot)>),
    /// What CloudWatch costs an hour, in dollars.
    Costs(f64),
}

/// An instance that was found by its tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discovered {
    /// What it is called here.
    pub name: InstanceName,
    /// Whose it is, where its tags say.
    pub tenant: Option<TenantId>,
    /// `[aws.NAME]`
    pub account: Arc<str>,
    /// Region.
    pub region: Arc<str>,
    /// RDS identifier.
    pub identifier: Arc<str>,
}
