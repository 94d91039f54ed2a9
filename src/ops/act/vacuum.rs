//! `VACUUM (ANALYZE)` a table. Where we may not, PostgreSQL only warns and does nothing: so it is looked at before and after.

use std::time::Duration;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Action, Intent, held, identifier};
use crate::attribution::Directory;
use crate::clients::postgres::QueryError;
use crate::domain::InstanceName;
use crate::domain::quantity;
use crate::ops::hands::Eyes;
use crate::ops::id::OperationId;
use crate::ops::plan::{Fact, Plan, PlannedStep, Refusals, SCHEMA, Subject, Target};
use crate::ops::step::{Check, Safety, Script, Step, StepError, Undo, Working};

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vacuuming {
    /// Where.
    pub instance: InstanceName,
    /// In which database; `None`: the configuration's.
    pub database: Option<String>,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub table: String,
}

/// What is known of a table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    kind: String,
    owner: String,
    may: bool,
    bytes: i64,
    dead: i64,
    vacuums: i64,
}

/// Looks at a table; `None`: there is none.
pub(super) async fn look(intent: &Vacuuming, eyes: &mut Eyes) -> Result<Option<Table>, StepError> {
    table(&intent.schema, &intent.table, 0, eyes).await
}

async fn table(schema: &str, name: &str, target: usize, eyes: &mut Eyes) -> Result<Option<Table>, StepError> {
    let desk = eyes.desk(target).await?;
    let rows = desk.rows(include_str!("../../../assets/sql/ops/table.sql"), &[&schema, &name]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let read = || -> Result<Table, tokio_postgres::Error> {
        Ok(Table {
            kind: row.try_get("kind")?,
            owner: row.try_get("owner")?,
            may: row.try_get("may")?,
            bytes: row.try_get("bytes")?,
            dead: row.try_get("dead")?,
            vacuums: row.try_get("vacuums")?,
        })
    };
    Ok(Some(read().map_err(QueryError::from)?))
}

/// Plans, or says why not. Pure.
pub(super) fn plan(
    intent: &Vacuuming,
    table: Option<&Table>,
    directory: &Directory,
    target: Target,
    id: OperationId,
) -> Result<Plan, Refusals> {
    let Vacuuming { instance, schema, table: name, .. } = intent;
    let Some(table) = table else {
        let database = &target.database;
        return Err(Refusals::one(format!(
            "there is no table {schema}.{name} in the database {database} on {instance}"
        )));
    };
    if !matches!(table.kind.as_str(), "r" | "m" | "t") {
        return Err(Refusals::one(format!("{schema}.{name} is no table that VACUUM works on")));
    }
    if !table.may {
        let (owner, login) = (&table.owner, &target.login);
        let grant =
            format!("GRANT {owner} TO {login} WITH INHERIT TRUE (from 16 on), or MAINTAIN on the table (from 17 on)");
        return Err(Refusals::one(format!(
            "{login} may not vacuum it, PostgreSQL would only warn and skip it: {grant}"
        )));
    }
    let step = Vacuum { target: 0, schema: schema.clone(), table: name.clone() };
    identifier(schema)?;
    identifier(name)?;
    let tenant = directory.by_schema(schema).or_else(|| directory.by_account("", &target.database));
    let full = format!("{}/{schema}.{name}", target.database);
    Ok(Plan {
        schema: SCHEMA,
        id,
        kind: "vacuum".to_owned(),
        summary: format!("vacuum and analyse {schema}.{name} on {instance}"),
        subjects: held(tenant.as_ref(), Subject::Table { instance: instance.clone(), name: full }),
        affects: vec![format!(
            "reads all of it (~{}, {} dead rows); readers and writers go on; no ALTER TABLE and no other vacuum of it meanwhile",
            quantity::bytes(u64::try_from(table.bytes).unwrap_or_default()),
            table.dead
        )],
        facts: vec![Fact { name: format!("{schema}.{name}: owner"), value: table.owner.clone() }],
        warnings: Vec::new(),
        steps: vec![PlannedStep::new(Action::Vacuum(step), &Value::Null)?],
        confirm: format!("{schema}.{name}"),
        targets: vec![target],
        intent: Intent::Vacuum(intent.clone()),
    })
}

/// The step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vacuum {
    /// Which of the plan's targets.
    pub target: usize,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub table: String,
}

/// The server counts a vacuum a moment after it.
const COUNTED_WITHIN: Duration = Duration::from_secs(10);

impl Vacuum {
    async fn now(&self, eyes: &mut Eyes) -> Result<Table, StepError> {
        let table = table(&self.schema, &self.table, self.target, eyes).await?;
        table.ok_or_else(|| StepError::NotVerified(format!("the table {}.{} is gone", self.schema, self.table)))
    }

    fn happened(before: &Value, now: &Table) -> bool {
        before["vacuums"].as_i64().is_some_and(|before| now.vacuums > before)
    }
}

fn output(before: &Value, now: &Table) -> Value {
    json!({ "dead_rows_before": before["dead_rows"], "dead_rows_after": now.dead, "vacuums": now.vacuums })
}

impl Step for Vacuum {
    fn title(&self) -> String {
        format!("vacuum {}.{}", self.schema, self.table)
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let quoted = postgres_protocol::escape::escape_identifier;
        let statement = format!("VACUUM (ANALYZE) {}.{}", quoted(&self.schema), quoted(&self.table));
        Script::alone(self.target, statement)
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(None)
    }

    fn check<'a>(&'a self, before: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let now = self.now(eyes).await?;
            Ok(match before {
                Some(before) if Self::happened(before, &now) => Check::Already { output: output(before, &now) },
                _ => Check::Ready { before: json!({ "vacuums": now.vacuums, "dead_rows": now.dead }) },
            })
        })
    }

    fn progress<'a>(&'a self, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Option<Working>, StepError>> {
        Box::pin(async move {
            let desk = eyes.desk(self.target).await?;
            let sql = include_str!("../../../assets/sql/ops/vacuum_progress.sql");
            let rows = desk.rows(sql, &[&self.schema, &self.table]).await?;
            let Some(row) = rows.first() else { return Ok(None) };
            let count = |name| row.try_get::<_, i64>(name).map_err(QueryError::from);
            let phase = row.try_get::<_, String>("phase").map_err(QueryError::from)?;
            Ok(Some(Working { phase, done: count("done")?, total: count("total")?, unit: "blocks" }))
        })
    }

    fn verify<'a>(&'a self, before: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let deadline = tokio::time::Instant::now() + COUNTED_WITHIN;
            loop {
                let now = self.now(eyes).await?;
                if Self::happened(before, &now) {
                    return Ok(output(before, &now));
                }
                if tokio::time::Instant::now() > deadline {
                    return Err(StepError::NotVerified(
                        "the server has not counted a vacuum of it: was it skipped?".to_owned(),
                    ));
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, _: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        // The rows are the same: there is nothing to bring back.
        Box::pin(async { Ok(Undo::Done) })
    }
}
