//! What `tierdeck doctor` says of an AWS account.

use jiff::Timestamp;

use super::{Check, Component, Finding, Verdict};
use crate::clients::aws::Action;
use crate::config::AwsConfig;
use crate::domain::foreign::sanitise;
use crate::domain::quantity::plural;
use crate::sources::aws::probe::{self, Leave};
use crate::sources::aws::rds;

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
    let tried = match probe::leave(&aws.account, Timestamp::now()).await {
        Ok(tried) => tried,
        Err(error) => {
            component.checks.push(missing(error.to_string()));
            return component;
        }
    };
    component.checks.extend(actions(&tried));
    component.checks.push(Check::of(
        "clock",
        aws.account.skew().is_none(),
        "our clock and AWS's agree",
        Finding {
            verdict: Verdict::Warning,
            detail: aws.account.skew().unwrap_or_default(),
            leaves_out: &[],
            fix: Some("IAM tokens are signed by our clock, and RDS takes none that is of another time".to_owned()),
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

/// What our policy allows, as far as it could be tried.
fn actions(tried: &[(Action, Leave)]) -> Vec<Check> {
    let missing: Vec<String> = tried
        .iter()
        .filter(|(_, leave)| matches!(leave, Leave::Missing(_)))
        .map(|(action, _)| format!("{} ({})", action.name(), action.about()))
        .collect();
    let unknown: Vec<String> = tried
        .iter()
        .filter_map(|(action, leave)| match leave {
            Leave::Unknown(reason) => Some(format!("{}: {reason}", action.name())),
            _ => None,
        })
        .collect();
    let given = tried.len() - missing.len() - unknown.len();
    let all = if unknown.is_empty() { "the" } else { "at least" };
    let mut checks = vec![Check::of(
        "actions",
        missing.is_empty(),
        &format!(
            "our policy allows {all} {given} actions that watching asks for; rds-db:connect is tried by each login"
        ),
        Finding {
            verdict: Verdict::Missing,
            detail: format!("our policy does not allow {}", missing.join(", ")),
            leaves_out: &[],
            fix: Some("add these actions to the policy of our role; assets/iam/watch.json has all of them".to_owned()),
        },
    )];
    if !unknown.is_empty() {
        checks.push(Check {
            name: "actions not tried",
            verdict: Verdict::Warning,
            detail: format!("it is not known whether our policy allows {}", unknown.join("; ")),
            leaves_out: Vec::new(),
            fix: None,
            narrower: None,
        });
    }
    checks
}
