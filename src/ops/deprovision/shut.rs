//! Nobody gets into a schema any more but its owner's members: its role may not log in, and whoever was granted something on
//! the schema has it no more. What there was is given back in the same order, so that the list is the same again.
//!
//! Revoking does not stop whoever is in already: the drain after it does.

use std::fmt;

use futures::future::BoxFuture;
use postgres_protocol::escape::escape_identifier;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clients::postgres::QueryError;
use crate::ops::hands::Eyes;
use crate::ops::script::Script;
use crate::ops::step::{Check, Safety, Step, StepError, Undo};
use crate::ops::tenancy::{self, Names};

/// What somebody may do with a schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Who; `None`: everybody.
    pub grantee: Option<String>,
    /// What, as `GRANT` takes it.
    pub privileges: String,
    /// Whether it may be granted on.
    pub grantable: bool,
    /// Whether the owner granted it.
    pub by_owner: bool,
}

impl Grant {
    fn who(&self) -> String {
        self.grantee.as_deref().map_or_else(|| "PUBLIC".to_owned(), escape_identifier)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = if self.grantable { " WITH GRANT OPTION" } else { "" };
        write!(out, "{} TO {}{on}", self.privileges, self.grantee.as_deref().unwrap_or("PUBLIC"))
    }
}

/// Looks who may do what with a schema, beside its owner.
pub(super) async fn grants(schema: &str, target: usize, eyes: &mut Eyes) -> Result<Vec<Grant>, StepError> {
    let sql = include_str!("../../../assets/sql/ops/schema_acl.sql");
    let rows = eyes.desk(target).await?.rows(sql, &[&schema]).await?;
    let read = |row: &tokio_postgres::Row| -> Result<Grant, tokio_postgres::Error> {
        let everybody: bool = row.try_get("everybody")?;
        Ok(Grant {
            grantee: if everybody { None } else { Some(row.try_get("grantee")?) },
            privileges: row.try_get("privileges")?,
            grantable: row.try_get("grantable")?,
            by_owner: row.try_get("by_owner")?,
        })
    };
    Ok(rows.iter().map(read).collect::<Result<_, _>>().map_err(QueryError::from)?)
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutOut {
    /// Which of the plan's targets.
    pub target: usize,
    /// The names.
    pub names: Names,
    /// Whether its role may log in.
    pub can_login: bool,
    /// Who may do what with the schema.
    pub grants: Vec<Grant>,
}

/// How far the door is open.
#[derive(Debug, PartialEq, Eq)]
enum Door {
    AsBefore,
    Shut,
    Otherwise(String),
}

impl ShutOut {
    async fn door(&self, eyes: &mut Eyes) -> Result<Door, StepError> {
        let now = tenancy::look(&self.names, self.target, eyes).await?;
        let granted = grants(&self.names.schema, self.target, eyes).await?;
        Ok(if !now.schema_there {
            Door::Otherwise(format!("the schema {} is gone", self.names.schema))
        } else if now.can_login == self.can_login && granted == self.grants {
            // Nobody was let in: then both are the same.
            if self.can_login || !self.grants.is_empty() { Door::AsBefore } else { Door::Shut }
        } else if !now.can_login && granted.is_empty() {
            Door::Shut
        } else {
            Door::Otherwise(format!("somebody changed who may use {} meanwhile", self.names.schema))
        })
    }
}

impl Step for ShutOut {
    fn title(&self) -> String {
        format!("shut everybody out of {}", self.names.schema)
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let schema = escape_identifier(&self.names.schema);
        let mut statements = Vec::new();
        if self.can_login {
            statements.push(format!("ALTER ROLE {} NOLOGIN", escape_identifier(&self.names.role)));
        }
        statements
            .extend(self.grants.iter().map(|grant| format!("REVOKE ALL ON SCHEMA {schema} FROM {}", grant.who())));
        Script::sql(self.target, statements)
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        let schema = escape_identifier(&self.names.schema);
        let mut statements = Vec::new();
        for grant in &self.grants {
            let on = if grant.grantable { " WITH GRANT OPTION" } else { "" };
            statements.push(format!("GRANT {} ON SCHEMA {schema} TO {}{on}", grant.privileges, grant.who()));
        }
        if self.can_login {
            statements.push(format!("ALTER ROLE {} LOGIN", escape_identifier(&self.names.role)));
        }
        Ok(Some(Script::sql(self.target, statements)))
    }

    fn check<'a>(&'a self, _: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            Ok(match self.door(eyes).await? {
                Door::AsBefore => {
                    let granted: Vec<String> = self.grants.iter().map(ToString::to_string).collect();
                    Check::Ready { before: json!({ "may_log_in": self.can_login, "granted": granted }) }
                }
                Door::Shut => Check::Already { output: json!({ "shut": true }) },
                Door::Otherwise(why) => Check::Blocked(why),
            })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            match self.door(eyes).await? {
                Door::Shut => Ok(json!({ "shut": true })),
                Door::AsBefore => Err(StepError::NotVerified("it is as open as before".to_owned())),
                Door::Otherwise(why) => Err(StepError::NotVerified(why)),
            }
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async move {
            Ok(match self.door(eyes).await? {
                Door::AsBefore => Undo::Done,
                Door::Shut => Undo::Needed,
                Door::Otherwise(why) => Undo::Blocked(why),
            })
        })
    }
}
