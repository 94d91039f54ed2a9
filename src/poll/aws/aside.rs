//! What else RDS is asked about all instances, beside their description: what changes by the day. Each question is a task of its
//! own, so that one that hangs holds up nobody; the newest answer is put beside the description, and why there is none.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::{Voice, again};
use crate::clients::aws::{Account, AwsError};
use crate::domain::facts::Source;
use crate::domain::facts::cloud::{Maintenance, Rds};
use crate::sources::aws::rds;

/// Asked this much more rarely than the instances themselves.
const RARER: u32 = 5;

/// What one question came to: the newest answer, which an error leaves standing.
#[derive(Debug, Clone, Default)]
struct Newest<T> {
    answer: Option<T>,
    error: Option<Arc<str>>,
}

/// By ARN: identifiers are taken again, and mean somebody else in another region.
type ByArn<T> = HashMap<String, T>;

/// See the module.
pub(super) struct Asides {
    maintenance: watch::Receiver<Newest<ByArn<Vec<Maintenance>>>>,
    earliest: watch::Receiver<Newest<ByArn<Timestamp>>>,
    _tasks: JoinSet<()>,
}

impl Asides {
    /// Asks, until it is dropped.
    pub fn start(voice: &Voice) -> Self {
        let mut tasks = JoinSet::new();
        let maintenance = asking(&mut tasks, voice, |account| async move { rds::maintenance(&account).await });
        let earliest = asking(&mut tasks, voice, |account| async move { rds::earliest(&account).await });
        Self { maintenance, earliest, _tasks: tasks }
    }

    /// Waits until there is something new to tell.
    pub async fn changed(&mut self) {
        tokio::select! {
            Ok(()) = self.maintenance.changed() => {}
            Ok(()) = self.earliest.changed() => {}
            // Nobody asks any more.
            else => std::future::pending().await,
        }
    }

    /// Adds what is known to a description, and why something is not.
    pub fn complete(&self, mut rds: Rds) -> Rds {
        let (maintenance, earliest) = (self.maintenance.borrow(), self.earliest.borrow());
        let pending = maintenance.answer.as_ref();
        rds.maintenance = pending.map(|pending| pending.get(rds.arn.raw()).cloned().unwrap_or_default());
        rds.earliest_restorable = earliest.answer.as_ref().and_then(|earliest| earliest.get(rds.arn.raw()).copied());
        let parts = [("pending maintenance", &maintenance.error), ("restore windows", &earliest.error)];
        let refused =
            parts.into_iter().filter_map(|(part, error)| Some((Arc::from(part), Arc::clone(error.as_ref()?))));
        rds.refused = refused.collect();
        rds
    }
}

/// Asks again and again; what came of it.
fn asking<T, A>(
    tasks: &mut JoinSet<()>,
    voice: &Voice,
    ask: impl Fn(Account) -> A + Send + 'static,
) -> watch::Receiver<Newest<T>>
where
    T: Send + Sync + 'static,
    A: Future<Output = Result<T, AwsError>> + Send,
{
    let (tell, told) = watch::channel(Newest { answer: None, error: None });
    let voice = voice.clone();
    tasks.spawn(async move {
        let mut failures = 0;
        loop {
            let (began, every) = (Instant::now(), voice.every(Source::Rds) * RARER);
            match ask(voice.account.clone()).await {
                Ok(answer) => {
                    failures = 0;
                    tell.send_replace(Newest { answer: Some(answer), error: None });
                }
                Err(error) => {
                    failures += 1;
                    tell.send_modify(|newest| newest.error = Some(Arc::from(error.to_string())));
                }
            }
            if !voice.until(began + again(every, failures)).await {
                return;
            }
        }
    });
    told
}
