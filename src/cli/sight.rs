//! What `tierdeck doctor` says of things that `pg_monitor` alone does not show, of the sources that read them.

use std::collections::BTreeMap;

use super::doctor::{Check, Finding, Verdict};
use crate::clients::postgres::QueryError;
use crate::config::InstanceConfig;
use crate::domain::facts::{Bloat, Catalog, Fragment, Roles, Source};
use crate::domain::identifier::quoted;
use crate::domain::{Foreign, Layout, Signal};
use crate::sources::postgres::bloat::narrow_grant;
use crate::sources::postgres::{Desk, Privileges, ask};

/// The settings that everybody has whose own value is not set: those that limits are about.
const DEFAULTS: [&str; 3] = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];

/// What the dear sources saw, asked once.
pub(super) struct Sight {
    layout: Layout,
    /// The database that we are in.
    database: Foreign,
    catalog: Result<Catalog, String>,
    bloat: Result<Bloat, String>,
}

impl Sight {
    pub async fn of(desk: &Desk, instance: &InstanceConfig, privileges: &Privileges) -> Self {
        let said = |error: &QueryError| error.to_string();
        let source = |source| ask(desk, source, &instance.name, instance.layout);
        // Where tenants have databases, ours shows nothing of theirs: whether we could see it is a matter of one privilege.
        let around = instance.layout == Layout::Database;
        let catalog = match source(Source::Catalog).await {
            Ok(Fragment::Catalog(catalog)) => Ok(catalog),
            Ok(_) => Ok(Catalog::default()),
            Err(error) => Err(said(&error)),
        };
        let bloat = match if around { None } else { Some(source(Source::Bloat).await) } {
            Some(Ok(Fragment::Bloat(bloat))) => Ok(bloat),
            Some(Err(error)) => Err(said(&error)),
            _ => Ok(Bloat { hidden: u32::from(!privileges.reads_all_data), ..Bloat::default() }),
        };
        Self { layout: instance.layout, database: Foreign::from(desk.database()), catalog, bloat }
    }

    pub fn checks(&self, privileges: &Privileges) -> Vec<Check> {
        vec![self.sequences(privileges), self.statistics(privileges), audit(privileges)]
    }

    fn sequences(&self, privileges: &Privileges) -> Check {
        const LEFT_OUT: &[Signal] = &[Signal::SequenceExhaustion];
        let login = quoted(privileges.login.raw());
        let (hidden, whose) = match (&self.catalog, self.layout) {
            (Err(error), _) => return unanswered("sequences", error, LEFT_OUT),
            (Ok(_), Layout::Database) => {
                (u32::from(!privileges.reads_all_data), "sequences of tenants' databases".to_owned())
            }
            (Ok(catalog), Layout::Schema) => {
                (catalog.hidden_sequences, counted(catalog.hidden_sequences, "sequence", "sequences"))
            }
        };
        Check::of(
            "sequences",
            hidden == 0,
            "their last values are shown to us",
            Finding {
                verdict: Verdict::Warning,
                detail: format!(
                    "the last value of {whose} is not shown to {login}: one near its end is only noticed by the rows \
                     inserted into its table"
                ),
                leaves_out: LEFT_OUT,
                fix: Some(reading_all(&login)),
            },
        )
    }

    fn statistics(&self, privileges: &Privileges) -> Check {
        const LEFT_OUT: &[Signal] = &[Signal::Bloat];
        let login = quoted(privileges.login.raw());
        let (hidden, whose) = match (&self.bloat, self.layout) {
            (Err(error), _) => return unanswered("statistics", error, LEFT_OUT),
            (Ok(bloat), Layout::Database) => (bloat.hidden, "tables of tenants' databases".to_owned()),
            (Ok(bloat), Layout::Schema) => (bloat.hidden, counted(bloat.hidden, "large table", "large tables")),
        };
        let narrower = (self.layout == Layout::Schema && !privileges.reads_all_data && hidden > 0)
            .then(|| narrow_grant(&login, &quoted(self.database.raw())));
        let fix = if privileges.reads_all_data {
            "ANALYZE them: they have no statistics yet".to_owned()
        } else {
            reading_all(&login)
        };
        let check = Check::of(
            "statistics",
            hidden == 0,
            "the planner's statistics of large tables are shown to us",
            Finding {
                verdict: Verdict::Warning,
                detail: format!("the planner's statistics of {whose} are not shown to {login}: their bloat is unknown"),
                leaves_out: LEFT_OUT,
                fix: Some(fix),
            },
        );
        Check { narrower, ..check }
    }
}

fn audit(privileges: &Privileges) -> Check {
    let login = quoted(privileges.login.raw());
    Check::of(
        "libraries",
        privileges.reads_all_settings,
        "which libraries are loaded is shown to us",
        Finding {
            verdict: Verdict::Warning,
            detail: format!("{login} may not read every setting: whether pgaudit is loaded stays hidden"),
            leaves_out: &[Signal::AuditMissing],
            fix: Some(format!("GRANT pg_monitor TO {login};")),
        },
    )
}

/// A setting on our own login hides what everybody else gets: which statement uncovers it.
pub(super) fn settings(login: &Foreign, database: &Foreign, roles: &Roles) -> Check {
    let us = roles.roles.iter().find(|role| role.name == *login);
    let nothing = BTreeMap::new();
    let everywhere = us.map_or(&nothing, |us| &us.settings);
    let here = us.and_then(|us| us.in_databases.get(database.raw())).unwrap_or(&nothing);
    let all = roles.databases.get(database.raw()).unwrap_or(&nothing);
    let (login, database) = (quoted(login.raw()), quoted(database.raw()));
    let mut hidden = Vec::new();
    let mut fixes = Vec::new();
    for setting in DEFAULTS.iter().filter(|setting| !roles.defaults.contains_key(**setting)) {
        hidden.push(*setting);
        if everywhere.contains_key(*setting) {
            fixes.push(format!("ALTER ROLE {login} RESET {setting};"));
        }
        if here.contains_key(*setting) {
            fixes.push(format!("ALTER ROLE {login} IN DATABASE {database} RESET {setting};"));
        }
        if all.contains_key(*setting) {
            // What is set for all of our database is everybody's value there, and hides only what holds elsewhere.
            fixes.push(format!("ALTER DATABASE {database} RESET {setting};"));
        }
    }
    Check::of(
        "settings",
        hidden.is_empty(),
        "the server's own timeouts are shown to us",
        Finding {
            verdict: Verdict::Warning,
            detail: format!(
                "{} is set on our own login or database, which hides the server's own value: what roles have without \
                 a value of their own is unknown",
                hidden.join(", ")
            ),
            leaves_out: &[Signal::LimitMissing, Signal::LimitDrift],
            fix: (!fixes.is_empty()).then(|| fixes.join(" ")),
        },
    )
}

fn reading_all(login: &str) -> String {
    format!("GRANT pg_read_all_data TO {login};")
}

fn counted(count: u32, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

fn unanswered(name: &'static str, error: &str, leaves_out: &'static [Signal]) -> Check {
    let leaves_out = leaves_out.to_vec();
    Check { name, verdict: Verdict::Warning, detail: error.to_owned(), leaves_out, fix: None, narrower: None }
}
