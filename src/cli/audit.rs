//! `tierdeck audit verify`: whether the audit log is what was written, line by line, and as far as the control database knows.

use std::path::Path;

use color_eyre::eyre::Result;

use super::operations::operations;
use super::{Exit, output};
use crate::domain::foreign::sanitise;
use crate::domain::quantity::plural;
use crate::ops::audit::{Head, matches};
use crate::ops::{Operations, OpsError};

pub(super) async fn verify(config: Option<&Path>, offline: bool) -> Result<Exit> {
    let Some((_, operations)) = operations(config, false)? else { return Ok(Exit::Usage) };
    let audit = operations.gate.audit();
    let (lines, head) = match audit.verify() {
        Ok(verified) => verified,
        Err(error) => {
            output::say(&error.to_string());
            return Ok(Exit::Found);
        }
    };
    let path = audit.path().display();
    let whole = format!("{path}: {}, each follows the one before", plural(lines.len(), "line"));
    if offline {
        return output::text(&format!("{whole}; not compared with the control database\n"));
    }
    // Without a line there is no name of a chain to ask for; what is known of this operator's machine cannot be told.
    let known = match &head {
        Some(head) => known(&operations, head).await,
        None => Ok(None),
    };
    match known.map(|known| known.map(|known| matches(&lines, &known))) {
        Ok(Some(Ok(()))) => output::text(&format!("{whole}; the control database knows the same\n")),
        Ok(None) => output::text(&format!("{whole}; the control database knows nothing of it\n")),
        Ok(Some(Err(reason))) => {
            output::say(&format!("{path} is not what was written: {reason}"));
            Ok(Exit::Found)
        }
        Err(error) => {
            let reason = sanitise(&error.to_string()).into_owned();
            output::say(&format!(
                "{whole}, but it could not be compared with the control database: {reason} (--offline leaves that out)"
            ));
            Ok(Exit::Found)
        }
    }
}

async fn known(operations: &Operations, head: &Head) -> Result<Option<Head>, OpsError> {
    match operations.look_at_control().await? {
        Some(control) => Ok(control.head(&head.chain).await?),
        None => Ok(None),
    }
}
