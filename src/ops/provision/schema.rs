//! The schema of a tenant: its role's own; the service account may use it and whatever is ever made in it by those who make
//! tables there; nobody else may.

use futures::future::BoxFuture;
use postgres_protocol::escape::escape_identifier;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::TenantId;
use crate::domain::quantity::plural;
use crate::ops::act::literal;
use crate::ops::hands::Eyes;
use crate::ops::id::OperationId;
use crate::ops::script::Script;
use crate::ops::step::{Check, Safety, Step, StepError, Undo};
use crate::ops::tenancy::{self, Names, Tenancy, mark};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MakeSchema {
    /// Which of the plan's targets.
    pub target: usize,
    /// Whose.
    pub tenant: TenantId,
    /// Which operation makes it.
    pub operation: OperationId,
    /// The names.
    pub names: Names,
    /// Who makes tables in it: default privileges bind only what these make.
    pub creators: Vec<String>,
}

impl MakeSchema {
    fn mark(&self) -> String {
        mark(&self.tenant, &self.operation)
    }

    async fn now(&self, eyes: &mut Eyes) -> Result<Tenancy, StepError> {
        tenancy::look(&self.names, self.target, eyes).await
    }
}

impl Step for MakeSchema {
    fn title(&self) -> String {
        format!("make the schema {} of {}, for {} to use", self.names.schema, self.names.role, self.names.service)
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let (role, schema) = (escape_identifier(&self.names.role), escape_identifier(&self.names.schema));
        let service = escape_identifier(&self.names.service);
        let mut statements = vec![
            format!("CREATE SCHEMA {schema} AUTHORIZATION {role}"),
            format!("COMMENT ON SCHEMA {schema} IS {}", literal(&self.mark())),
            format!("GRANT USAGE ON SCHEMA {schema} TO {service}"),
        ];
        for creator in &self.creators {
            let made = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {} IN SCHEMA {schema}", escape_identifier(creator));
            statements.push(format!("{made} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {service}"));
            statements.push(format!("{made} GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO {service}"));
        }
        Script::sql(self.target, statements)
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        // RESTRICT: what somebody put into it meanwhile is not ours to drop.
        let statement = format!("DROP SCHEMA {} RESTRICT", escape_identifier(&self.names.schema));
        Ok(Some(Script::sql(self.target, vec![statement])))
    }

    fn check<'a>(&'a self, before: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            let now = self.now(eyes).await?;
            Ok(if !now.schema_there {
                Check::Ready { before: json!({ "schema": "none" }) }
            } else if before.is_some() && now.schema_mark == self.mark() {
                // Made in one transaction: there at all, it is whole.
                Check::Already { output: json!({ "schema": self.names.schema }) }
            } else {
                let schema = &self.names.schema;
                Check::Foreign(format!("there is a schema {schema} that this operation did not make: it is left alone"))
            })
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let now = self.now(eyes).await?;
            let wrong = |what: &str| Err(StepError::NotVerified(format!("the schema {}: {what}", self.names.schema)));
            if !now.schema_there || now.schema_mark != self.mark() || now.owner != self.names.role {
                return wrong("it is not there with our mark and its owner");
            }
            if !now.service_usage {
                return wrong("the service account may not use it");
            }
            if let Some(creator) = self.creators.iter().find(|creator| !now.creators.contains(creator)) {
                return wrong(&format!("there are no default privileges for what {creator} makes"));
            }
            Ok(json!({ "schema": self.names.schema, "owner": now.owner, "default_privileges_for": now.creators }))
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async move {
            let now = self.now(eyes).await?;
            if !now.schema_there || now.schema_mark != self.mark() {
                return Ok(Undo::Done);
            }
            if now.objects > 0 {
                let objects = plural(usize::try_from(now.objects).unwrap_or_default(), "object");
                return Ok(Undo::Blocked(format!(
                    "somebody made {objects} in {} meanwhile: deprovision the tenant instead, which exports them first",
                    self.names.schema
                )));
            }
            Ok(Undo::Needed)
        })
    }
}
