//! Asks a server about one session, or a tenant's tables, when somebody looks at it: over a short connection of its own, in a task of its own,
//! so that neither the loop nor the poller waits.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::app::Report;
use crate::clients::Environment;
use crate::clients::postgres::{Connection, Target, Timeouts, connect};
use crate::config::{Config, InstanceConfig, Secret};
use crate::domain::inspection::{HomeInquiry, Inquiry, PlanInquiry};
use crate::domain::{Foreign, InstanceName};
use crate::sources::postgres::{Desk, explain, locks, tables};

/// See the module.
pub(super) struct Inspector {
    places: Vec<Place>,
    /// Those that were found by their tags; none: nobody looks for any.
    found: Option<watch::Receiver<Arc<Vec<InstanceConfig>>>>,
    reports: mpsc::Sender<Report>,
    /// One question of each kind at a time: whoever asks anew has left the session before.
    locks: Option<JoinHandle<()>>,
    plan: Option<JoinHandle<()>>,
    tables: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Place {
    instance: InstanceName,
    target: Target,
    password: Option<Secret>,
}

impl Inspector {
    /// Knows where to ask.
    pub(super) fn new(config: &Config, targets: &[Target], reports: mpsc::Sender<Report>) -> Self {
        let places = config.instances.iter().zip(targets).map(|(instance, target)| Place {
            instance: instance.name.clone(),
            target: target.clone(),
            password: instance.password.clone(),
        });
        Self { places: places.collect(), found: None, reports, locks: None, plan: None, tables: None }
    }

    /// Asks those too that are found.
    pub(super) fn know(&mut self, found: watch::Receiver<Arc<Vec<InstanceConfig>>>) {
        self.found = Some(found);
    }

    /// Asks for a session's locks; returns at once.
    pub(super) fn locks(&mut self, inquiry: Inquiry) {
        let place = self.place(&inquiry.instance);
        let asked = async move {
            let answer = match open(place, &inquiry.instance, &inquiry.database).await {
                Ok(connection) => match locks(&connection, inquiry.key).await {
                    Ok(Some(locks)) => Ok(locks),
                    Ok(None) => Err("the session is gone".to_owned()),
                    Err(error) => Err(error.to_string()),
                },
                Err(reason) => Err(reason),
            };
            Report::Locks((inquiry.instance, inquiry.key), answer)
        };
        replace(&mut self.locks, self.reports.clone(), asked);
    }

    /// Asks for the plan of a session's statement; returns at once.
    pub(super) fn plan(&mut self, inquiry: PlanInquiry) {
        let place = self.place(&inquiry.session.instance);
        let asked = async move {
            let answer = match open(place, &inquiry.session.instance, &inquiry.session.database).await {
                Ok(connection) => match explain::plan(&connection, &inquiry).await {
                    Ok(plan) => Ok(Box::new(plan)),
                    Err(error) => Err(error.to_string()),
                },
                Err(reason) => Err(reason),
            };
            Report::Plan((inquiry.session.instance, inquiry.session.key), answer)
        };
        replace(&mut self.plan, self.reports.clone(), asked);
    }

    /// Asks for a tenant's tables; returns at once.
    pub(super) fn tables(&mut self, inquiry: HomeInquiry) {
        let place = self.place(&inquiry.instance);
        let asked = async move {
            let answer = match open(place, &inquiry.instance, &inquiry.database).await {
                Ok(connection) => {
                    let desk = Desk::new(connection);
                    tables(&desk, inquiry.schema.as_ref()).await.map_err(|error| error.to_string())
                }
                Err(reason) => Err(reason),
            };
            Report::Tables(inquiry, answer)
        };
        replace(&mut self.tables, self.reports.clone(), asked);
    }

    fn place(&self, instance: &InstanceName) -> Option<Place> {
        let configured = self.places.iter().find(|place| place.instance == *instance).cloned();
        configured.or_else(|| {
            let found = self.found.as_ref()?.borrow();
            let found = found.iter().find(|found| found.name == *instance)?;
            let target = Target::parse(&found.url, &Environment::of_process()).ok()?;
            Some(Place { instance: found.name.clone(), target, password: found.password.clone() })
        })
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.locks.iter().chain(&self.plan).chain(&self.tables).for_each(JoinHandle::abort);
    }
}

/// Starts a question and drops the one before it: nobody waits for that answer any more.
fn replace(
    running: &mut Option<JoinHandle<()>>,
    reports: mpsc::Sender<Report>,
    asked: impl Future<Output = Report> + Send + 'static,
) {
    let task = tokio::spawn(async move {
        // Nobody listens any more: the console is gone.
        let _ = reports.send(asked.await).await;
    });
    if let Some(before) = running.replace(task) {
        before.abort();
    }
}

fn not_to_be_asked(instance: &InstanceName) -> String {
    format!("{instance} is only known from AWS: [dedicated] does not say how to log in to it, or it has no address yet")
}

/// Connects to the database in question: only there its tables have names. An empty name is the one that all share.
async fn open(place: Option<Place>, instance: &InstanceName, database: &Foreign) -> Result<Connection, String> {
    let Some(place) = place else { return Err(not_to_be_asked(instance)) };
    let password = match &place.password {
        Some(secret) => Some(secret.fetch().await.map_err(|error| error.to_string())?),
        None => None,
    };
    let target = match database.raw() {
        "" => place.target,
        database => place.target.with_database(database),
    };
    connect(&target, password, &Timeouts::default()).await.map_err(|error| error.to_string())
}
