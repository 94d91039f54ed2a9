//! The schema goes, then the role. Behind the fence reads go on: whoever still reads is ended first. In the transaction that drops
//! it the schema is locked, and asked once more who outside depends on it: `CASCADE` reaches what is in the schema and nothing else.

use std::path::PathBuf;

use futures::future::BoxFuture;
use postgres_protocol::escape::escape_identifier;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::export::Manifest;
use crate::clients::postgres::QueryError;
use crate::ops::act::literal;
use crate::ops::fence::open_again;
use crate::ops::hands::Eyes;
use crate::ops::id::OperationId;
use crate::ops::script::Script;
use crate::ops::step::{Check, Safety, Step, StepError, Undo};

/// What depends on a schema from outside.
pub(super) const INBOUND: &str = include_str!("../../../assets/sql/ops/schema_inbound.sql");

/// Drops a schema that was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropSchema {
    /// Which of the plan's targets.
    pub target: usize,
    /// The schema.
    pub schema: String,
    /// Which one it is: another of its name is not what was exported.
    pub oid: u32,
    /// The tenant's own logins, which may not log in any more.
    pub logins: Vec<String>,
    /// Where its export is.
    pub folder: PathBuf,
    /// Whose export it is.
    pub operation: OperationId,
}

/// A query in one line, without its comments.
fn line(sql: &str) -> String {
    let code = sql.lines().filter(|line| !line.trim_start().starts_with("--"));
    code.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ")
}

async fn is_there(sql: &'static str, name: &str, target: usize, eyes: &mut Eyes) -> Result<bool, StepError> {
    let rows = eyes.desk(target).await?.rows(sql, &[&name]).await?;
    let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
    Ok(row.try_get::<_, bool>(0).map_err(QueryError::from)?)
}

/// What may have come since.
const REOPENED: &str = "it was made anew, somebody may write there again, or its own login may log in again";

impl DropSchema {
    /// Whether it is another one, or the fence does not stand any more: then there may be rows that nobody exported.
    fn reopened(&self) -> String {
        format!(
            "(SELECT oid FROM pg_namespace WHERE nspname = {}) IS DISTINCT FROM {}::oid OR {}",
            literal(&self.schema),
            self.oid,
            open_again(&self.schema, &self.logins)
        )
    }
}

const SCHEMA_THERE: &str = "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)";
const ROLE_THERE: &str = "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)";

impl Step for DropSchema {
    fn title(&self) -> String {
        format!("drop the schema {} and everything in it", self.schema)
    }

    fn safety(&self) -> Safety {
        Safety::PointOfNoReturn
    }

    fn forward(&self) -> Script {
        let name = literal(&self.schema);
        // By the owner's right to alter it, and altering nothing: the fence left nobody a privilege that would let them LOCK it.
        let lock = format!(
            "DO $tierdeck$ DECLARE r record; BEGIN FOR r IN SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner) AS owner \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {name} AND c.relkind IN ('r', 'p', 'v', 'm') \
             ORDER BY c.oid LOOP EXECUTE format('ALTER TABLE %I.%I OWNER TO %I', r.nspname, r.relname, r.owner); END LOOP; END $tierdeck$"
        );
        let same = format!(
            "DO $tierdeck$ BEGIN IF {} THEN RAISE EXCEPTION '% is not as it was exported: {REOPENED}', {name}; END IF; END $tierdeck$",
            self.reopened()
        );
        let inbound = line(&INBOUND.replace("$1", &name));
        let ask = format!(
            "DO $tierdeck$ DECLARE outside text; BEGIN SELECT string_agg(object, ', ') INTO outside FROM ({inbound}) AS inbound; \
             IF outside IS NOT NULL THEN RAISE EXCEPTION 'outside of the schema this depends on it: %', outside; END IF; END $tierdeck$"
        );
        let end = super::drain::end_users(&self.schema, None);
        Script::sql(
            self.target,
            vec![end, lock, same, ask, format!("DROP SCHEMA {} CASCADE", escape_identifier(&self.schema))],
        )
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(None)
    }

    fn check<'a>(&'a self, before: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            if !is_there(SCHEMA_THERE, &self.schema, self.target, eyes).await? {
                return Ok(match before {
                    Some(_) => Check::Already { output: json!({ "schema": "none" }) },
                    None => Check::Blocked(format!("somebody dropped {} already", self.schema)),
                });
            }
            let rows = eyes.desk(self.target).await?.rows_once(&format!("SELECT {}", self.reopened())).await?;
            let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
            if row.try_get::<_, bool>(0).map_err(QueryError::from)? {
                return Ok(Check::Blocked(format!(
                    "{} is not as it was exported: {REOPENED}; nothing is dropped: abandon this operation, and deprovision anew",
                    self.schema
                )));
            }
            let manifest = match Manifest::examine(&self.folder, &self.operation).await {
                Ok(manifest) => manifest,
                Err(why) => {
                    return Ok(Check::Blocked(format!(
                        "nothing is dropped whose export is not at hand: {why}; go on where it was made, or roll back"
                    )));
                }
            };
            let outside = super::inbound(&self.schema, self.target, eyes).await?;
            if !outside.is_empty() {
                return Ok(Check::Blocked(format!("outside of it this depends on it: {}", outside.join(", "))));
            }
            Ok(Check::Ready { before: json!({ "export": manifest.file, "sha256": manifest.sha256 }) })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            if is_there(SCHEMA_THERE, &self.schema, self.target, eyes).await? {
                return Err(StepError::NotVerified(format!("the schema {} is still there", self.schema)));
            }
            Ok(json!({ "schema": "none" }))
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, _: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async { Ok(Undo::Blocked("what was dropped comes back only from its export".to_owned())) })
    }
}

/// Drops a role that owns nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropRole {
    /// Which of the plan's targets.
    pub target: usize,
    /// The role.
    pub role: String,
}

impl Step for DropRole {
    fn title(&self) -> String {
        format!("drop the role {}", self.role)
    }

    fn safety(&self) -> Safety {
        Safety::PointOfNoReturn
    }

    fn forward(&self) -> Script {
        // No DROP OWNED: it would also take what others granted to it elsewhere. Whatever it still has, PostgreSQL names.
        Script::sql(self.target, vec![format!("DROP ROLE {}", escape_identifier(&self.role))])
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(None)
    }

    fn check<'a>(&'a self, _: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let there = is_there(ROLE_THERE, &self.role, self.target, eyes).await?;
            Ok(if there {
                Check::Ready { before: json!({ "role": self.role }) }
            } else {
                Check::Already { output: json!({ "role": "none" }) }
            })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            if is_there(ROLE_THERE, &self.role, self.target, eyes).await? {
                return Err(StepError::NotVerified(format!("the role {} is still there", self.role)));
            }
            Ok(json!({ "role": "none" }))
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, _: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async { Ok(Undo::Blocked("a dropped role comes back only by hand".to_owned())) })
    }
}
