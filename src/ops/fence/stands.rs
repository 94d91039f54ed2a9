//! Whether the fence stands: what no lock waits for is waited for, a write is tried as whoever may be tried, and the catalogue
//! gets a fingerprint, which whoever switches something behind the fence compares right before.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::raise::Fence;
use super::spell::{block, identifier, qualified, raise, still_may_write};
use super::{Around, milliseconds};
use crate::clients::postgres::QueryError;
use crate::ops::hands::Eyes;
use crate::ops::step::{Check, Safety, Script, Step, StepError, Undo};

/// A write that has to be refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// As whom.
    pub role: String,
    /// It changes nothing, and is rolled back should it be let through.
    pub statement: String,
}

/// The step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stands {
    /// Which of the plan's targets.
    pub target: usize,
    /// The schema.
    pub schema: String,
    /// Everything that the fence stands around.
    pub relations: Vec<String>,
    /// Who could write before.
    pub writers: Vec<String>,
    /// What is tried.
    pub trials: Vec<Trial>,
    /// The tenant's own logins.
    pub logins: Vec<String>,
    /// How long to wait.
    pub budget_ms: u64,
}

impl Stands {
    /// The step that comes behind a fence.
    pub(super) fn behind(around: &Around, fence: &Fence, may_try: impl Fn(&str) -> bool) -> Self {
        let image = &fence.image;
        let mut writers: BTreeMap<&str, Option<String>> = BTreeMap::new();
        let on_schema = image.acl.items.iter().filter(|it| image.acl.explicit && it.may.contains_key("CREATE"));
        for role in on_schema.filter_map(|it| it.to.as_deref()) {
            writers.insert(role, Some(format!("CREATE TABLE {} ()", qualified(&image.schema, "tierdeck_try"))));
        }
        for relation in image.relations.iter().filter(|it| it.acl.explicit || !fence.spare) {
            let name = qualified(&image.schema, &relation.name);
            for item in &relation.acl.items {
                let Some(role) = item.to.as_deref() else { continue };
                let may = |right: &str| relation.is_table() && item.may.contains_key(right);
                let statement = if may("DELETE") {
                    Some(format!("DELETE FROM {name} WHERE false"))
                } else {
                    may("INSERT").then(|| format!("INSERT INTO {name} DEFAULT VALUES"))
                };
                if statement.is_some() || item.may.keys().any(|right| right != "SELECT") {
                    let known = writers.entry(role).or_default();
                    // Rows say more than the schema.
                    if statement.is_some() && known.as_ref().is_none_or(|it| it.starts_with("CREATE")) {
                        *known = statement;
                    }
                }
            }
        }
        let tried = writers.iter().filter(|(role, _)| may_try(role));
        let trials = tried
            .filter_map(|(role, statement)| Some(Trial { role: (*role).to_owned(), statement: statement.clone()? }));
        Self {
            target: around.target,
            schema: image.schema.clone(),
            relations: image.relations.iter().map(|it| it.name.clone()).collect(),
            trials: trials.collect(),
            writers: writers.keys().map(|role| (*role).to_owned()).collect(),
            logins: around.logins.clone(),
            budget_ms: milliseconds(around.budget),
        }
    }

    /// Who could write before and is not tried.
    pub(super) fn untried(&self) -> Vec<String> {
        let tried = |role: &String| self.trials.iter().any(|trial| trial.role == *role);
        self.writers.iter().filter(|role| !tried(role)).cloned().collect()
    }

    /// Whose transactions, from before the fence, hold what no table's lock waits for: a sequence, or something that they make.
    async fn before_it(
        &self,
        since: Option<Timestamp>,
        eyes: &mut Eyes,
    ) -> Result<(Timestamp, Vec<String>), StepError> {
        let desk = eyes.desk(self.target).await?;
        let sql = include_str!("../../../assets/sql/ops/fence_before.sql");
        let rows = desk.rows(sql, &[&self.schema, &since]).await?;
        let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
        let now = row.try_get("now").map_err(QueryError::from)?;
        Ok((since.unwrap_or(now), row.try_get("who").map_err(QueryError::from)?))
    }

    async fn holds(&self, eyes: &mut Eyes) -> Result<(), StepError> {
        let desk = eyes.desk(self.target).await?;
        let sql = include_str!("../../../assets/sql/ops/fence_stands.sql");
        let rows = desk.rows(sql, &[&self.schema, &self.relations, &self.writers, &self.logins]).await?;
        let holes: Vec<String> =
            rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(QueryError::from)?;
        if holes.is_empty() {
            return Ok(());
        }
        Err(StepError::NotVerified(format!("the fence around {} has holes: {}", self.schema, holes.join("; "))))
    }
}

/// A number over the catalogue of a schema and the values of its sequences: behind a fence it stays what it is.
pub async fn fingerprint(schema: &str, target: usize, eyes: &mut Eyes) -> Result<String, StepError> {
    let desk = eyes.desk(target).await?;
    let rows = desk.rows(include_str!("../../../assets/sql/ops/fence_catalogue.sql"), &[&schema]).await?;
    let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
    Ok(row.try_get(0).map_err(QueryError::from)?)
}

impl Step for Stands {
    fn title(&self) -> String {
        match self.trials.len() {
            0 => format!("see that nobody may write in {}", self.schema),
            trials => format!(
                "see in {} that {} refused",
                self.schema,
                if trials == 1 { "a write is".to_owned() } else { format!("{trials} writes are") }
            ),
        }
    }

    /// It changes nothing.
    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let open = raise(&format!("somebody may write in {}", self.schema), "55000");
        let mut statements = vec![block(&format!("IF {} THEN {open}; END IF;", still_may_write(&self.schema)))];
        statements.extend(self.trials.iter().map(|Trial { role, statement }| {
            let words = format!("{role} was not refused: {statement}");
            block(&format!(
                "SET LOCAL ROLE {}; BEGIN {statement}; EXCEPTION WHEN insufficient_privilege THEN RESET ROLE; RETURN; END; {};",
                identifier(role),
                raise(&words, "55000")
            ))
        }));
        Script::sql(self.target, statements)
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(None)
    }

    fn check<'a>(&'a self, _: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let (_, who) = self.before_it(None, eyes).await?;
            Ok(Check::Ready { before: json!({ "open": who }) })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let begun = Instant::now();
            let (since, mut who) = self.before_it(None, eyes).await?;
            while !who.is_empty() {
                if begun.elapsed() > Duration::from_millis(self.budget_ms) {
                    return Err(StepError::NotVerified(format!(
                        "what began before the fence is still open, and may have drawn from a sequence or make something: {}; end it \
                         (tierdeck act terminate), and go on",
                        who.join(", ")
                    )));
                }
                tokio::time::sleep(Duration::from_millis(30)).await;
                (_, who) = self.before_it(Some(since), eyes).await?;
            }
            self.holds(eyes).await?;
            let refused: Vec<_> =
                self.trials.iter().map(|it| format!("{}: {}: 42501", it.role, it.statement)).collect();
            let fingerprint = fingerprint(&self.schema, self.target, eyes).await?;
            Ok(json!({ "refused": refused, "by_privileges": self.untried(), "fingerprint": fingerprint }))
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, _: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async { Ok(Undo::Done) })
    }
}
