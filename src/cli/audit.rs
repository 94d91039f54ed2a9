//! `tierdeck audit verify`: whether the audit log is what was written, line by line, and as far as the control database knows.

use std::path::Path;

use color_eyre::eyre::Result;

use super::operations::operations;
use super::{Exit, output};
use crate::domain::foreign::sanitise;
use crate::domain::quantity::plural;
use crate::ops::audit::{Line, matches};
use crate::ops::{Operations, OpsError};

pub(super) async fn verify(config: Option<&Path>, offline: bool) -> Result<Exit> {
    let Some((_, operations)) = operations(config, false) else { return Ok(Exit::Usage) };
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
    let chain = head.as_ref().map_or("", |head| head.chain.as_str());
    match known(&operations).await.map(|known| compare(&lines, chain, &known)) {
        Ok(Ok(true)) => output::text(&format!("{whole}; the control database knows the same\n")),
        Ok(Ok(false)) => output::text(&format!("{whole}; the control database knows nothing of it\n")),
        Ok(Err(reason)) => {
            output::say(&format!("{path} is not what was written: {}", sanitise(&reason)));
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

/// Whether the control database knows of the chain here, what it knows being the same; and of no other of this operator's.
fn compare(lines: &[Line], chain: &str, known: &[Known]) -> Result<bool, String> {
    if let Some((other, ..)) = known.iter().find(|(name, ..)| name != chain) {
        return Err(format!(
            "the control database knows of a log that was begun by {other}, which is not here; where it was moved away on purpose, or is in another \
             state folder, verify it there"
        ));
    }
    matches(lines, known.iter().map(|(_, seq, hash)| (*seq, hash.as_str())))?;
    Ok(!known.is_empty())
}

/// Chain, line, hash.
type Known = (String, u64, String);

async fn known(operations: &Operations) -> Result<Vec<Known>, OpsError> {
    match operations.look_at_control().await? {
        Some(control) => Ok(control.heads(operations.gate.operator()).await?),
        None => Ok(Vec::new()),
    }
}
