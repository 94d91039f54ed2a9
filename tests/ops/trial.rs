//! Every kind of operation, and what is asked of each whatever happens to it: gone on with, the world is what an undisturbed run
//! leaves; rolled back, it is what it was at the start; nothing is held any more, and nothing is left behind.

use std::path::Path;
use std::time::Duration;

use tierdeck::ops::act::{Aim, Intent, Quarantining, Signal, Signalling, Vacuuming};
use tierdeck::ops::plan::Plan;
use tierdeck::ops::{Ended, OpsError, TakeOver, Way};
use tokio_postgres::Client;

use super::tenancy::{Town, deprovision, provision};
use super::world::{Machine, key_of, new_id, shared, signal, tenant, throttle};
use crate::support::watcher::session;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Cancel,
    Terminate,
    TerminateIdle,
    Throttle,
    Quarantine,
    Fence,
    Vacuum,
    Guardrails,
    Prove,
    Provision,
    Deprovision,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::Terminate => "terminate",
            Self::TerminateIdle => "terminate idle",
            Self::Throttle => "throttle",
            Self::Quarantine => "quarantine",
            Self::Fence => "quarantine by fence",
            Self::Vacuum => "vacuum",
            Self::Guardrails => "guardrails",
            Self::Prove => "prove",
            Self::Provision => "provision",
            Self::Deprovision => "deprovision",
        }
    }

    /// Whether it goes back from its very end.
    pub fn is_reversible(self) -> bool {
        !self.is_signal() && self != Self::Deprovision
    }

    /// Whether it leaves anything but its report.
    pub fn leaves(self) -> bool {
        self != Self::Prove
    }

    /// Whether it asks Vault for anything.
    pub fn asks_vault(self) -> bool {
        matches!(self, Self::Provision | Self::Deprovision)
    }

    fn is_signal(self) -> bool {
        matches!(self, Self::Cancel | Self::Terminate | Self::TerminateIdle)
    }

    /// Makes the world ready for one, as if no operation had ever been; whoever it is aimed at stays while the client is kept.
    async fn stage(self, town: &Town, folder: &Path) -> (Intent, Option<Client>) {
        let world = &town.world;
        world.forget().await;
        let gone = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'role_acme'";
        world.until_zero(gone).await;
        match self {
            Self::Throttle => (throttle("acme"), None),
            Self::Fence => {
                super::fenced::bring_back(world).await;
                let own = session(world.server.port, "initech_app", "portarium").await;
                (super::fenced::quarantine(), Some(own))
            }
            Self::Guardrails => {
                super::guardrails::unguard(world).await;
                (super::guardrails::guard(&[]), None)
            }
            Self::Prove => {
                super::prove::guarded(world).await;
                (super::prove::prove("acme", Some(50)), None)
            }
            Self::Vacuum => {
                let sql = "SELECT pg_stat_reset_single_table_counters('tenant_acme.orders'::regclass)";
                world.boss.batch_execute(sql).await.unwrap();
                let counted =
                    "SELECT vacuum_count FROM pg_stat_user_tables WHERE relid = 'tenant_acme.orders'::regclass";
                world.until_zero(counted).await;
                let (schema, table) = ("tenant_acme".to_owned(), "orders".to_owned());
                (Intent::Vacuum(Vacuuming { instance: shared(), database: None, schema, table }), None)
            }
            Self::Provision => {
                town.forget(folder).await;
                (provision("hooli", true), None)
            }
            Self::Deprovision => {
                town.settle(folder).await;
                (deprovision("hooli"), None)
            }
            Self::Cancel => {
                let victim = session(world.server.port, "role_acme", "portarium").await;
                let key = key_of(&victim).await;
                let sleep = victim.batch_execute("SELECT pg_sleep(600)");
                tokio::select! {
                    _ = sleep => panic!("it slept 600 s"),
                    // Dropped, the question goes on at the server.
                    () = world.until_zero("SELECT (count(*) = 0)::int::int8 FROM pg_stat_activity WHERE usename = 'role_acme' AND wait_event = 'PgSleep'") => {}
                }
                (signal(Signal::Cancel, vec![key], None), Some(victim))
            }
            Self::Terminate | Self::TerminateIdle | Self::Quarantine => {
                let victim = session(world.server.port, "role_acme", "portarium").await;
                let key = key_of(&victim).await;
                victim.batch_execute("BEGIN; UPDATE tenant_acme.orders SET total = 0 WHERE id = 1").await.unwrap();
                let intent = match self {
                    Self::Quarantine => Intent::Quarantine(Quarantining { tenant: tenant("acme"), instance: shared() }),
                    Self::Terminate => signal(Signal::Terminate, vec![key], None),
                    _ => Intent::Signal(Signalling {
                        signal: Signal::Terminate,
                        instance: shared(),
                        aim: Aim::Idle { tenant: tenant("acme"), longer_than: 0 },
                        even_system: false,
                    }),
                };
                (intent, Some(victim))
            }
        }
    }
}

/// One kind of operation in a world of its own, and what the world is before and after an undisturbed one.
pub struct Trial {
    pub town: Town,
    pub kind: Kind,
    pub home: tempfile::TempDir,
    start: String,
    done: String,
}

/// How it went on, and the world is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    Forward,
    Back,
}

impl Trial {
    pub async fn of(kind: Kind, town: Town) -> Self {
        super::fenced::furnish(&town.world).await;
        let home = tempfile::tempdir().unwrap();
        let mut trial = Self { town, kind, home, start: String::new(), done: String::new() };
        let machine = trial.machine("undisturbed");
        let (plan, victim) = trial.staged(&machine).await;
        trial.start = trial.image().await;
        assert_eq!(machine.quiet().start(&plan, &plan.confirm).await.unwrap(), Ended::Succeeded);
        trial.done = trial.image().await;
        assert_eq!(trial.start != trial.done, kind.leaves(), "{}: does it leave anything?", kind.name());
        trial.town.world.nothing_is_held().await;
        drop(victim);
        trial
    }

    /// A machine with a state folder of its own.
    pub fn machine(&self, name: &str) -> Machine {
        let state = self.home.path().join(name.replace(['/', ' '], "-"));
        Machine { vault: Some(self.town.stand.url()), stale_ms: 1_000, ..self.town.world.machine_in(&state, name) }
    }

    pub async fn image(&self) -> String {
        self.town.image(self.home.path()).await
    }

    /// Makes the world ready, and plans from this machine; whoever is aimed at stays while the client is kept.
    pub async fn staged(&self, machine: &Machine) -> (Plan, Option<Client>) {
        let (intent, victim) = self.kind.stage(&self.town, self.home.path()).await;
        let plan = machine.quiet().plan(&intent, new_id()).await;
        (plan.unwrap_or_else(|error| panic!("{}: {error}", self.kind.name())), victim)
    }

    /// Goes on as an operator would, whatever happened, until it is over that way, and holds the world against it.
    pub async fn ends(&self, machine: &Machine, plan: &Plan, way: Way) -> Gone {
        self.ends_from(machine, plan, way, false).await
    }

    /// The same, where it was perhaps taken over from another machine, and perhaps not.
    pub async fn ends_from(&self, machine: &Machine, plan: &Plan, way: Way, elsewhere: bool) -> Gone {
        let operations = machine.quiet();
        let mut ended = operations.go_on(&plan.id, way, TakeOver::No).await;
        // Killed between the counter and the first line under it, where it was never before, nothing there proves that it is dead:
        // it has to fall silent, and is taken over deliberately.
        if elsewhere && matches!(ended, Err(OpsError::Running { .. } | OpsError::Silent { .. })) {
            ended = when_silent(|| operations.go_on(&plan.id, way, TakeOver::Deliberately)).await;
        }
        if matches!(ended, Err(OpsError::Unknown(_))) {
            // It was cut off before anything was begun: nothing is there, and it is begun anew.
            assert_eq!(self.image().await, self.start, "nothing was begun");
            ended = operations.start(plan, &plan.confirm).await;
            if way == Way::Back {
                ended = operations.go_on(&plan.id, way, TakeOver::No).await;
            }
        }
        let gone = match (way, &ended) {
            (Way::Forward, Ok(Ended::Succeeded)) => Gone::Forward,
            (Way::Back, Ok(Ended::RolledBack)) => Gone::Back,
            (Way::Forward, Err(OpsError::Over(_, how))) if how == "succeeded" => Gone::Forward,
            (Way::Back, Err(OpsError::Over(_, how))) if how == "rolled back" => Gone::Back,
            // It was over, and left nothing to undo.
            (Way::Back, Err(OpsError::Over(_, how))) if !self.kind.leaves() && how == "succeeded" => Gone::Forward,
            // Refused before anything was done: as if it had never been asked for.
            (_, Err(OpsError::Over(_, how))) if how == "refused" => Gone::Back,
            // Begun, it has no way back: what is left is to go on.
            (Way::Back, Err(OpsError::NoWayBack { .. })) if !self.kind.is_reversible() => {
                let on = operations.go_on(&plan.id, Way::Forward, TakeOver::No).await;
                let over = matches!(&on, Err(OpsError::Over(_, how)) if how == "succeeded");
                assert!(over || matches!(on, Ok(Ended::Succeeded)), "{ended:?}, then {on:?}");
                Gone::Forward
            }
            _ => panic!("then {way:?}: {ended:?}"),
        };
        self.is(gone, machine).await;
        gone
    }

    /// Whether the world is as it should be.
    pub async fn is(&self, gone: Gone, machine: &Machine) {
        let now = self.image().await;
        match gone {
            Gone::Forward => assert_eq!(now, self.done),
            Gone::Back => assert_eq!(self.but_for_what_stays(&now), self.but_for_what_stays(&self.start)),
        }
        if self.town.world.control().number("SELECT count(*) FROM pg_namespace WHERE nspname = 'tierdeck'").await > 0 {
            self.town.world.nothing_is_held().await;
        }
        let exported = self.kind == Kind::Deprovision && gone == Gone::Forward;
        assert_eq!(files(&machine.work()), if exported { 2 } else { 0 }, "files in {}", machine.work().display());
    }

    /// What no rollback brings back: sessions that were ended, and that a table was vacuumed.
    fn but_for_what_stays(&self, image: &str) -> String {
        let stays = |line: &&str| match self.kind {
            // Rolled back, they were never touched.
            kind if kind.is_signal() => false,
            Kind::Vacuum => line.starts_with("vacuumed"),
            _ => line.starts_with("sessions"),
        };
        image.lines().filter(|line| !stays(line)).collect::<Vec<_>>().join("\n")
    }
}

/// How many files there are below a folder.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { 1 }).sum()
}

/// An operation that fell silent is taken over as soon as it may be.
pub async fn when_silent<F>(mut take: impl FnMut() -> F) -> Result<Ended, OpsError>
where
    F: Future<Output = Result<Ended, OpsError>>,
{
    loop {
        match take().await {
            Err(OpsError::Running { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
            ended => return ended,
        }
    }
}
