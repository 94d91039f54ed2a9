//! What the console offers, as a table: each with the few inputs that it asks for, and how these become what is asked of the engine.
//! A new wizard is a line here; its plan, its screen, its journal and its way back come by themselves.

use super::arguments::{ActOptions, LoginArgument, Provision, TierArgument};
use crate::config::{Config, duration};
use crate::domain::operation::{Aim, Blank, Kind, Needs, Offer, Question, Request};
use crate::domain::{InstanceName, TenantId};
use crate::ops::act::{Aim as At, Intent, Quarantining, Signal, Signalling, Throttling, Vacuuming};
use crate::ops::deprovision::Deprovisioning;

/// From the answers to what is asked of the engine, or which answer does not do.
type Ask = fn(&Request, &Config) -> Result<Intent, String>;

/// One line.
struct Entry {
    offer: Offer,
    /// `None`: it undoes another, which the console opens instead.
    intent: Option<Ask>,
}

/// All of them, in the order in which they are offered.
static REGISTRY: &[Entry] = &[
    Entry {
        offer: Offer {
            kind: "cancel",
            title: "cancel",
            about: "end the statement that runs; the session stays",
            of: Kind::Sessions,
            needs: Needs::Statement,
            questions: &[],
        },
        intent: Some(|request, _| signal(request, Signal::Cancel)),
    },
    Entry {
        offer: Offer {
            kind: "terminate",
            title: "terminate",
            about: "end the session; its open transaction is rolled back",
            of: Kind::Sessions,
            needs: Needs::Nothing,
            questions: &[],
        },
        intent: Some(|request, _| signal(request, Signal::Terminate)),
    },
    Entry {
        offer: Offer {
            kind: "terminate-idle",
            title: "terminate idle in transaction",
            about: "end the tenant's sessions that sit in an open transaction and do nothing",
            of: Kind::Tenant,
            needs: Needs::Nothing,
            questions: &[Question {
                label: "longer than",
                blank: Blank::Time("5m"),
                hint: "since the session did anything: 30s, 5m, 1h",
            }],
        },
        intent: Some(|request, _| terminate_idle(request)),
    },
    Entry {
        offer: Offer {
            kind: "throttle",
            title: "throttle",
            about: "limit connections and statements of the tenant's own login; undone, it has exactly what it had",
            of: Kind::Tenant,
            needs: Needs::OwnLogin,
            questions: &[
                Question {
                    label: "connections",
                    blank: Blank::Number(""),
                    hint: "CONNECTION LIMIT of its login: new sessions beyond it are refused",
                },
                Question {
                    label: "statement timeout",
                    blank: Blank::Time(""),
                    hint: "30s, 5m; empty leaves it as it is",
                },
            ],
        },
        intent: Some(|request, _| throttle(request)),
    },
    Entry {
        offer: Offer {
            kind: "unthrottle",
            title: "unthrottle",
            about: "undo the throttle: exactly what was before",
            of: Kind::Tenant,
            needs: Needs::InForce("throttle"),
            questions: &[],
        },
        intent: None,
    },
    Entry {
        offer: Offer {
            kind: "quarantine",
            title: "quarantine",
            about: "shut the tenant out until it is released",
            of: Kind::Tenant,
            needs: Needs::NotInForce,
            questions: &[],
        },
        intent: Some(|request, _| {
            let (tenant, instance) = tenant(request)?;
            Ok(Intent::Quarantine(Quarantining { tenant, instance }))
        }),
    },
    Entry {
        offer: Offer {
            kind: "release",
            title: "release",
            about: "undo the quarantine: the tenant may come in again",
            of: Kind::Tenant,
            needs: Needs::InForce("quarantine"),
            questions: &[],
        },
        intent: None,
    },
    Entry {
        offer: Offer {
            kind: "vacuum",
            title: "vacuum",
            about: "VACUUM (ANALYZE) the table; readers and writers go on",
            of: Kind::Table,
            needs: Needs::Nothing,
            questions: &[],
        },
        intent: Some(|request, _| vacuum(request)),
    },
    Entry {
        offer: Offer {
            kind: "guardrails",
            title: "guardrails: apply",
            about: "the policy's limits for the tenant's own login; can be undone",
            of: Kind::Named,
            needs: Needs::OwnLogin,
            questions: &[],
        },
        intent: Some(|request, config| {
            let (tenant, instance) = tenant(request)?;
            super::guardrails::guarding(config, instance, vec![tenant]).map(Intent::Guard)
        }),
    },
    Entry {
        offer: Offer {
            kind: "prove",
            title: "guardrails: prove",
            about: "a temporary login tries what must be refused: evidence",
            of: Kind::Named,
            needs: Needs::Nothing,
            questions: &[Question {
                label: "limits over 1 s",
                blank: Blank::Choice(&[WAIT, "shorten them"]),
                hint: "a proof takes as long as they do; the evidence says what was shortened",
            }],
        },
        intent: Some(|request, config| {
            let (tenant, instance) = tenant(request)?;
            let quick = request.answer("limits over 1 s") != WAIT;
            Ok(Intent::Prove(super::prove::proving(config, instance, tenant, quick, false)))
        }),
    },
    Entry {
        offer: Offer {
            kind: "provision",
            title: "provision",
            about: "role, schema, rights, limits and secret of a new tenant",
            of: Kind::Nothing,
            needs: Needs::Nothing,
            questions: &[
                Question { label: "new tenant", blank: Blank::Id, hint: "its id: lower-case letters, digits, hyphens" },
                Question {
                    label: "works as",
                    blank: Blank::Choice(&["everybody's account", OWN]),
                    hint: "most share an account; a login of its own has a password in Vault",
                },
                Question {
                    label: "secret",
                    blank: Blank::Choice(&["write it to Vault", NO_SECRET]),
                    hint: "where its pods find what they need; without one they find nothing",
                },
                Question {
                    label: "instance",
                    blank: Blank::Maybe(""),
                    hint: "as the configuration calls it; empty: the first shared one",
                },
            ],
        },
        intent: Some(provision),
    },
    Entry {
        offer: Offer {
            kind: "deprovision",
            title: "deprovision",
            about: "export a tenant, then remove it; from the drop on for good",
            of: Kind::Named,
            needs: Needs::Nothing,
            questions: &[Question {
                label: "secret",
                blank: Blank::Choice(&["delete it (it can be brought back)", KEEP]),
                hint: "the tenant's secret in Vault",
            }],
        },
        intent: Some(|request, _| {
            let (tenant, instance) = tenant(request)?;
            let keep_secret = request.answer("secret") == KEEP;
            Ok(Intent::Deprovision(Deprovisioning { tenant, instance, keep_secret }))
        }),
    },
];

/// Choices that are answered by themselves.
const WAIT: &str = "wait for them";
const OWN: &str = "a login of its own";
const NO_SECRET: &str = "write none";
const KEEP: &str = "keep it";

/// Everything that can be offered.
pub(super) fn all() -> Vec<Offer> {
    REGISTRY.iter().map(|entry| entry.offer).collect()
}

/// What a request asks of the engine.
pub(super) fn intent(request: &Request, config: &Config) -> Result<Intent, String> {
    let entry = REGISTRY.iter().find(|entry| entry.offer.kind == request.kind);
    let intent = entry.and_then(|entry| entry.intent);
    intent.ok_or_else(|| format!("nobody knows how to plan {}", request.kind))?(request, config)
}

fn signal(request: &Request, signal: Signal) -> Result<Intent, String> {
    let Aim::Sessions { instance, keys, tenant } = &request.aim else { return Err(unaimed(request)) };
    let aim = At::Sessions { keys: keys.clone(), tenant: tenant.clone() };
    Ok(Intent::Signal(Signalling { signal, instance: instance.clone(), aim, even_system: false }))
}

fn terminate_idle(request: &Request) -> Result<Intent, String> {
    let (tenant, instance) = tenant(request)?;
    let longer_than = duration(request.answer("longer than"))?.as_secs();
    let aim = At::Idle { tenant, longer_than };
    Ok(Intent::Signal(Signalling { signal: Signal::Terminate, instance, aim, even_system: false }))
}

fn throttle(request: &Request) -> Result<Intent, String> {
    let (tenant, instance) = tenant(request)?;
    let connections = request.answer("connections");
    let connections = connections.parse().map_err(|_| format!("connections: {connections:?} is no number"))?;
    let statement_timeout_ms = match request.answer("statement timeout") {
        "" => None,
        time => Some(super::act::milliseconds(duration(time)?)?),
    };
    Ok(Intent::Throttle(Throttling { tenant, instance, connections, statement_timeout_ms }))
}

/// With what the configuration says of it, as the command line has it.
fn provision(request: &Request, config: &Config) -> Result<Intent, String> {
    let Aim::Nothing = &request.aim else { return Err(unaimed(request)) };
    let said = |label| Some(request.answer(label).to_owned()).filter(|answer| !answer.is_empty());
    let own = request.answer("works as") == OWN;
    let asked = Provision {
        tenant: request.answer("new tenant").to_owned(),
        tier: TierArgument::Shared,
        login: if own { LoginArgument::Own } else { LoginArgument::Shared },
        creators: Vec::new(),
        host: None,
        port: None,
        no_secret: request.answer("secret") == NO_SECRET,
        options: ActOptions { plan: false, json: false, confirm: None, instance: said("instance") },
    };
    super::provision::provisioning(config, &asked).map(Intent::Provision)
}

fn vacuum(request: &Request) -> Result<Intent, String> {
    let Aim::Table { instance, name: [database, schema, table] } = &request.aim else { return Err(unaimed(request)) };
    Ok(Intent::Vacuum(Vacuuming {
        instance: instance.clone(),
        database: Some(database.raw().to_owned()).filter(|name| !name.is_empty()),
        schema: schema.raw().to_owned(),
        table: table.raw().to_owned(),
    }))
}

fn tenant(request: &Request) -> Result<(TenantId, InstanceName), String> {
    match &request.aim {
        Aim::Tenant { tenant, instance } => Ok((tenant.clone(), instance.clone())),
        _ => Err(unaimed(request)),
    }
}

fn unaimed(request: &Request) -> String {
    format!("{} is not done to {}", request.kind, request.aim.words())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offer_is_known_by_one_name_and_leads_somewhere() {
        let text = "[[instance]]\nname = \"shared\"\nurl = \"postgresql://tierdeck@127.0.0.1:5432/portarium\"\n";
        let config = crate::config::parse(text, std::path::Path::new("tierdeck.toml")).unwrap();
        for entry in REGISTRY {
            let kind = entry.offer.kind;
            assert_eq!(REGISTRY.iter().filter(|other| other.offer.kind == kind).count(), 1, "{kind}");
            assert_eq!(entry.intent.is_none(), matches!(entry.offer.needs, Needs::InForce(_)), "{kind}");
            // Aimed at nothing, it refuses rather than guesses.
            let request = Request { kind, aim: Aim::Nothing, answers: Vec::new() };
            assert!(intent(&request, &config).is_err(), "{kind}");
            if let Needs::InForce(of) = entry.offer.needs {
                assert!(REGISTRY.iter().any(|other| other.offer.kind == of), "{kind} undoes {of}");
            }
        }
        let tenant = Aim::Tenant { tenant: TenantId::parse("acme").unwrap(), instance: InstanceName::new("shared") };
        let answers = vec![("connections", "7".to_owned()), ("statement timeout", " 5s ".to_owned())];
        let Ok(Intent::Throttle(asked)) = intent(&Request { kind: "throttle", aim: tenant, answers }, &config) else {
            panic!()
        };
        assert_eq!((asked.connections, asked.statement_timeout_ms), (7, Some(5_000)));
    }
}
