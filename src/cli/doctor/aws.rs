//! What `tierdeck doctor` says of an AWS account.

use jiff::Timestamp;

use super::{Check, Component, Finding, Verdict};
use crate::clients::aws::Action;
use crate::config::AwsConfig;
use crate::domain::foreign::sanitise;
use crate::domain::quantity::plural;
use crate::sources::aws::{probe, rds};

/// Looks at it.
pub(super) async fn examine(aws: &AwsConfig) -> Component {
    let place = aws.account.place();
    let mut component = Component {
        name: aws.name().to_owned(),
        kind: "aws",
        reachable: false,
        version: Some(place.region.to_string()),
        login: None,
        checks: Vec::new(),
    };
    let missing = |detail: String| Check {
        name: "connection",
        verdict: Verdict::Missing,
        detail: format!("{detail}; left out: figures, backups, and instances that are found by their tags"),
        leaves_out: Vec::new(),
        fix: None,
        narrower: None,
    };
    match aws.account.identity().await {
        Ok(identity) => component.login = Some(sanitise(&identity).into_owned()).filter(|arn| !arn.is_empty()),
        Err(error) => {
            component.checks.push(missing(error.to_string()));
            return component;
        }
    }
    component.reachable = true;
    let refused = match probe::missing(&aws.account, Timestamp::now()).await {
        Ok(refused) => refused,
        Err(error) => {
            component.checks.push(missing(error.to_string()));
            return component;
        }
    };
    let named: Vec<String> =
        refused.iter().map(|error| format!("{} ({})", error.action.name(), error.action.about())).collect();
    let wanted = Action::ALL.iter().filter(|action| action.needs_leave()).count();
    component.checks.push(Check::of(
        "actions",
        refused.is_empty(),
        &format!("our policy allows the {wanted} actions that watching needs"),
        Finding {
            verdict: Verdict::Missing,
            detail: format!("our policy does not allow {}", named.join(", ")),
            leaves_out: &[],
            fix: Some("add these actions to the policy of our role; assets/iam/watch.json has all of them".to_owned()),
        },
    ));
    if let Ok(instances) = rds::instances(&aws.account).await {
        let found = if aws.discover { "; dedicated ones join by their tags" } else { "; discover = false" };
        let detail = format!("{} in {}{found}", plural(instances.len(), "PostgreSQL instance"), place.region);
        component.checks.push(Check::of(
            "instances",
            !instances.is_empty(),
            &detail,
            Finding {
                verdict: Verdict::Warning,
                detail: format!("RDS has no PostgreSQL instance in {}: is that the region?", place.region),
                leaves_out: &[],
                fix: None,
            },
        ));
    }
    component
}
