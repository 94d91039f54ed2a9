//! The fence itself: one transaction, tried again and again within its budget until the writers in flight are waited out.

use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::acl::Acl;
use super::image::{Image, Relation, image};
use super::script::{self, Patience};
use crate::domain::quantity::plural;
use crate::ops::hands::{Eyes, Hands, HandsError};
use crate::ops::roles;
use crate::ops::step::{Check, Safety, Script, Step, StepError, Undo, Working};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// Which of the plan's targets.
    pub target: usize,
    /// What is there before it.
    pub image: Image,
    /// What logins of the tenant's own would be called, whether they exist or not.
    pub own: Vec<String>,
    /// Whether what has no ACL may be left so, because nobody but barred logins reaches it.
    pub spare: bool,
    /// The image once more, as the server compares it in the transaction itself.
    pub fingerprint: String,
    /// How long it may be tried for, and stand unfinished.
    pub budget_ms: u64,
    /// How long locks are waited for.
    pub patience: Patience,
    /// Only if the logins still may log in when it bars them; an earlier version looked a moment before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub guarded: bool,
}

/// What is over by itself if it is tried again: a lock not had in time, a deadlock, somebody's GRANT at the same moment.
fn passes(error: &HandsError) -> bool {
    let HandsError::Query(error) = error else { return false };
    match error.code() {
        Some("55P03" | "40P01" | "57014" | "40001") => true,
        Some("XX000") => error.to_string().contains("tuple concurrently updated"),
        _ => false,
    }
}

impl Fence {
    /// What it leaves.
    pub fn fenced(&self) -> Image {
        script::fenced(&self.image, self.spare)
    }

    /// What taking it away leaves: what was before, as far as the server has a way to it.
    pub fn restored(&self) -> Image {
        script::restored(&self.image, self.spare)
    }

    /// What it leaves without an ACL, as it was.
    pub(super) fn spared(&self) -> impl Iterator<Item = &Relation> {
        self.image.relations.iter().filter(|it| self.spare && !it.acl.explicit)
    }

    async fn now(&self, eyes: &mut Eyes) -> Result<Image, StepError> {
        let schema = &self.image.schema;
        let now = image(schema, &self.own, self.target, eyes).await?;
        now.ok_or_else(|| StepError::NotVerified(format!("the schema {schema} is gone")))
    }

    /// Tries until it is done, or the budget is spent: in between, the tenant has its writes.
    async fn insist(&self, hands: &mut Hands<'_>, script: Script) -> Result<(), StepError> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(50);
        loop {
            match hands.run(&script).await {
                Err(error) if passes(&error) && begun.elapsed() + pause < Duration::from_millis(self.budget_ms) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
                done => return Ok(done?),
            }
        }
    }
}

fn read(before: &Value) -> Result<Image, StepError> {
    serde_json::from_value(before.clone()).map_err(|error| StepError::Values(error.to_string()))
}

fn write(image: &Image) -> Result<Value, StepError> {
    serde_json::to_value(image).map_err(|error| StepError::Values(error.to_string()))
}

/// Whether the fence is not there, whatever else changed: all of it comes at once or none of it.
fn never_came(before: &Image, fenced: &Image, now: &Image) -> bool {
    let (mut open, mut shut) = (false, false);
    let mut see = |was: &Acl, then: &Acl, is: &Acl| {
        if was != then {
            open |= is == was;
            shut |= is == then;
        }
    };
    see(&before.acl, &fenced.acl, &now.acl);
    for (was, then) in before.relations.iter().zip(&fenced.relations) {
        if let Some(is) = now.relations.iter().find(|it| it.name == was.name) {
            see(&was.acl, &then.acl, &is.acl);
        }
    }
    open && !shut
}

impl Step for Fence {
    fn title(&self) -> String {
        let tables = self.image.relations.iter().filter(|it| it.is_table()).count();
        format!("shut every writer out of {}: {}", self.image.schema, plural(tables, "table"))
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let mut statements = script::forward(&self.image, self.spare, &self.fingerprint, &self.own, self.patience);
        if self.guarded {
            // Behind the locks, which take their time; before the look that compares everything with the plan.
            let barred = self.image.logins.iter().filter(|(_, may)| **may);
            statements.splice(2..2, barred.map(|(login, _)| roles::hold(login)));
        }
        Script::sql(self.target, statements)
    }

    fn backward(&self, before: &Value) -> Result<Option<Script>, StepError> {
        let statements = script::backward(&read(before)?, self.spare);
        Ok(Some(Script::sql(self.target, statements)))
    }

    fn fences(&self) -> Option<Duration> {
        Some(Duration::from_millis(self.budget_ms))
    }

    fn check<'a>(&'a self, _: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let (now, fenced) = (self.now(eyes).await?, self.fenced());
            if now == fenced {
                return Ok(Check::Already { output: write(&now)? });
            }
            if now == self.image {
                return Ok(Check::Ready { before: write(&now)? });
            }
            let (from_open, from_fenced) = (self.image.differences(&now, true), fenced.differences(&now, true));
            let changed = if from_open.len() <= from_fenced.len() { from_open } else { from_fenced };
            Ok(Check::Blocked(format!("it is not what the plan was made from: {}", changed.join("; "))))
        })
    }

    fn apply<'a>(&'a self, hands: &'a mut Hands<'_>) -> BoxFuture<'a, Result<(), StepError>> {
        Box::pin(async move { self.insist(hands, self.forward()).await })
    }

    fn progress<'a>(&'a self, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Option<Working>, StepError>> {
        Box::pin(async move {
            let rows = eyes.desk(self.target).await?;
            let sql = include_str!("../../../assets/sql/ops/fence_writers.sql");
            let rows = rows.rows(sql, &[&self.image.schema]).await?;
            let who = rows.iter().filter_map(|row| row.try_get::<_, String>("who").ok()).collect::<Vec<_>>();
            let phase = if who.is_empty() {
                return Ok(None);
            } else {
                format!("waiting for {} to end: {}", plural(who.len(), "writer"), who.join(", "))
            };
            Ok(Some(Working { phase, done: 0, total: 0, unit: "" }))
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let now = self.now(eyes).await?;
            let changed = self.fenced().differences(&now, true);
            if !changed.is_empty() {
                return Err(StepError::NotVerified(format!("the fence does not stand: {}", changed.join("; "))));
            }
            write(&now)
        })
    }

    fn undone<'a>(&'a self, before: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async move {
            let (now, before) = (self.now(eyes).await?, read(before)?);
            // What came into the schema since is not ours, and stays.
            let still = |image: &Image| image.differences(&now, false);
            if still(&before).is_empty() || still(&script::restored(&before, self.spare)).is_empty() {
                return Ok(Undo::Done);
            }
            let fenced = script::fenced(&before, self.spare);
            let changed = still(&fenced);
            Ok(if changed.is_empty() {
                Undo::Needed
            } else if never_came(&before, &fenced, &now) {
                Undo::Done
            } else {
                Undo::Blocked(format!(
                    "somebody changed what the fence had shut, and it is left as it is; bring back what is named, or abandon: {}",
                    changed.join("; ")
                ))
            })
        })
    }

    fn undo<'a>(&'a self, before: &'a Value, hands: &'a mut Hands<'_>) -> BoxFuture<'a, Result<(), StepError>> {
        Box::pin(async move {
            match self.backward(before)? {
                Some(script) => self.insist(hands, script).await,
                None => Ok(()),
            }
        })
    }
}
