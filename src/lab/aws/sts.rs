//! STS: who calls.

use super::core::Core;
use super::http::{Call, unknown};
use super::names::ACCOUNT;
use super::wire::{Answer, Fields};

/// Answers a call.
pub fn answer(call: &Call) -> Answer {
    match call.action.as_str() {
        "GetCallerIdentity" => Ok(Fields::new()
            .with("Arn", Core::caller())
            .with("UserId", "AIDAESTATE0000000000")
            .with("Account", ACCOUNT)),
        _ => Err(unknown(call)),
    }
}
