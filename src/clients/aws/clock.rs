//! How far our clock is from AWS's, as each answer says. The clients correct that by themselves; what is signed here, IAM tokens, is
//! signed by our own.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_sdk_rds::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_rds::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_rds::error::BoxError;
use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// No answer yet.
const UNKNOWN: i64 = i64::MIN;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Clock(Arc<AtomicI64>);

impl Default for Clock {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(UNKNOWN)))
    }
}

impl Clock {
    /// How many seconds ours is ahead, as the newest answer has it.
    pub fn ahead(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|ahead| *ahead != UNKNOWN)
    }
}

/// How many seconds our clock is ahead of a `Date`.
pub(super) fn ahead_of(date: Option<&str>) -> Option<i64> {
    let theirs = rfc2822::parse(date?).ok()?.timestamp();
    Some(Timestamp::now().as_second() - theirs.as_second())
}

impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "Clock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(ahead) = ahead_of(context.response().headers().get("date")) {
            self.0.store(ahead, Ordering::Relaxed);
        }
        Ok(())
    }
}
