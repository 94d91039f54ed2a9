//! Carries out what the console asks of operations, each in a task of its own: plans, starts, goes on, pauses, lists, follows. The loop
//! waits for none of it; what comes of it goes back as reports.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use super::operations::{assemble, new_id};
use super::told::{self, Besides};
use super::{offers, output};
use crate::app::Report;
use crate::clients::Environment;
use crate::clients::postgres::{Target, Timeouts, connect};
use crate::config::{Config, InstanceConfig, Secret};
use crate::domain::foreign::sanitise;
use crate::domain::operation::{Operation, OperationLine, OperationList, Request, Wish};
use crate::ops::control::{Control, Known};
use crate::ops::plan::Plan;
use crate::ops::step::Working;
use crate::ops::{Ended, OperationId, Operations, OpsError, Progress, TakeOver, Way, journal};

/// Journals that lie here and are listed.
const LISTED: usize = 300;

/// How long a step that is at work is waited for when the console ends.
pub(super) const GOODBYE: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Conductor {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

struct Shared {
    config: Config,
    environment: Environment,
    allow: bool,
    reports: mpsc::Sender<Report>,
    /// Plans that were shown and that nobody has approved yet.
    plans: Mutex<HashMap<String, Plan>>,
    /// What is carried out here, and how to pause it.
    running: Mutex<BTreeMap<String, Arc<AtomicBool>>>,
    /// A session in the control database, to look; kept, because it is asked again and again.
    control: tokio::sync::Mutex<Option<Control>>,
    /// Instances that were found by their tags; none: nobody looks for any.
    found: Mutex<Option<watch::Receiver<Arc<Vec<InstanceConfig>>>>>,
}

impl Conductor {
    pub(super) fn new(config: &Config, environment: &Environment, allow: bool, reports: mpsc::Sender<Report>) -> Self {
        let shared = Shared {
            config: config.clone(),
            environment: environment.clone(),
            allow,
            reports,
            plans: Mutex::default(),
            running: Mutex::default(),
            control: tokio::sync::Mutex::default(),
            found: Mutex::default(),
        };
        Self { shared: Arc::new(shared), tasks: JoinSet::new() }
    }

    /// Acts on those too that are found.
    pub(super) fn know(&self, found: watch::Receiver<Arc<Vec<InstanceConfig>>>) {
        *lock(&self.shared.found) = Some(found);
    }

    /// Makes a plan; changes nothing.
    pub(super) fn prepare(&mut self, ticket: u64, request: Request) {
        self.task(move |shared| async move {
            let answer = shared.plan(&request).await.map(Box::new);
            Some(Report::Prepared(ticket, answer))
        });
    }

    /// Carries out a plan that was shown.
    pub(super) fn start(&mut self, id: String, typed: String) {
        self.task(move |shared| async move {
            let plan = lock(&shared.plans).remove(&id);
            let Some(plan) = plan else {
                return Some(Report::Refused(id, vec!["there is no such plan any more".to_owned()]));
            };
            let name = plan.id.clone();
            shared.carry_out(&name, |operations| async move { operations.start(&plan, &typed).await }).await
        });
    }

    /// Goes on with one that was begun.
    pub(super) fn go_on(&mut self, id: String, wish: Wish, take_over: bool) {
        let way = match wish {
            Wish::Forward => Way::Forward,
            Wish::Back => Way::Back,
            Wish::Abandon => Way::Abandon,
        };
        let take_over = if take_over { TakeOver::Deliberately } else { TakeOver::No };
        self.task(move |shared| async move {
            let name = OperationId::parse(&id)?;
            let goes = name.clone();
            shared.carry_out(&name, |operations| async move { operations.go_on(&goes, way, take_over).await }).await
        });
    }

    /// Pauses one that is carried out here, after the step that is at work.
    pub(super) fn pause(&self, id: &str) {
        if let Some(pause) = lock(&self.shared.running).get(id) {
            pause.store(true, Ordering::SeqCst);
        }
    }

    /// Tells which operations there are.
    pub(super) fn list(&mut self) {
        self.task(|shared| async move { Some(Report::Operations(shared.listed().await)) });
    }

    /// Tells where one stands.
    pub(super) fn follow(&mut self, id: String) {
        self.task(move |shared| async move {
            let name = OperationId::parse(&id)?;
            Some(match shared.stands(&name).await {
                Ok(told) => Report::Operation(Box::new(told)),
                Err(reasons) => Report::Refused(id, reasons),
            })
        });
    }

    /// Pauses whatever runs here, and waits for that, a little: what is cut off is resumable too.
    pub(super) async fn close(mut self) {
        let running = {
            let running = lock(&self.shared.running);
            running.values().for_each(|pause| pause.store(true, Ordering::SeqCst));
            running.len()
        };
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if running > 0 {
            output::say("pausing what runs here after the step that is at work …");
            let _ = tokio::time::timeout(GOODBYE, ended).await;
        }
    }

    fn task<F>(&mut self, work: impl FnOnce(Arc<Shared>) -> F)
    where
        F: Future<Output = Option<Report>> + Send + 'static,
    {
        // What is over is let go of.
        while self.tasks.try_join_next().is_some() {}
        let shared = Arc::clone(&self.shared);
        let work = work(Arc::clone(&shared));
        self.tasks.spawn(async move {
            if let Some(report) = work.await {
                // Nobody listens any more: the console is gone.
                let _ = shared.reports.send(report).await;
            }
        });
    }
}

impl Shared {
    /// The engine, made anew: a password may have been changed since.
    fn operations(
        &self,
        pause: Arc<AtomicBool>,
        listen: impl Fn(&Progress) + Send + Sync + 'static,
    ) -> Result<Operations, String> {
        assemble(&self.instances(), &self.environment, self.allow, Arc::new(listen), pause)
    }

    /// The configuration, with whoever was found by now in it.
    fn instances(&self) -> Cow<'_, Config> {
        let found = lock(&self.found).as_ref().map(|found| Arc::clone(&found.borrow())).unwrap_or_default();
        if found.is_empty() {
            return Cow::Borrowed(&self.config);
        }
        let mut config = self.config.clone();
        config.instances.extend(found.iter().cloned());
        Cow::Owned(config)
    }

    fn quiet(&self) -> Result<Operations, String> {
        self.operations(Arc::default(), |_| {})
    }

    async fn plan(&self, request: &Request) -> Result<Operation, Vec<String>> {
        let one = |error: String| vec![sanitise(&error).into_owned()];
        let operations = self.quiet().map_err(one)?;
        operations.gate.is_open().map_err(|shut| one(shut.to_string()))?;
        let intent = offers::intent(request, &self.instances()).map_err(one)?;
        let plan = operations.plan(&intent, new_id()).await.map_err(|error| reasons(&error))?;
        let told = told::planned(&plan);
        let mut plans = lock(&self.plans);
        // One is looked at; what was left lies here in vain.
        plans.clear();
        plans.insert(told.id.clone(), plan);
        Ok(told)
    }

    /// Runs an operation here; tells whenever something has happened, and how it ended.
    async fn carry_out<F>(self: &Arc<Self>, id: &OperationId, work: impl FnOnce(Arc<Operations>) -> F) -> Option<Report>
    where
        F: Future<Output = Result<Ended, OpsError>>,
    {
        let pause = Arc::new(AtomicBool::new(false));
        let happened = Arc::new(Notify::new());
        let working: Arc<Mutex<Option<(usize, Working)>>> = Arc::default();
        let listen = {
            let (happened, working) = (Arc::clone(&happened), Arc::clone(&working));
            move |progress: &Progress| {
                match progress {
                    Progress::Working { step, working: so_far } => *lock(&working) = Some((*step, so_far.clone())),
                    Progress::Journal(_) => *lock(&working) = None,
                    _ => return,
                }
                happened.notify_one();
            }
        };
        let operations = match self.operations(Arc::clone(&pause), listen) {
            Ok(operations) => Arc::new(operations),
            Err(reason) => return Some(Report::Refused(id.to_string(), vec![reason])),
        };
        lock(&self.running).insert(id.to_string(), pause);
        let mut run = std::pin::pin!(work(Arc::clone(&operations)));
        let ended = loop {
            tokio::select! {
                ended = &mut run => break ended,
                () = happened.notified() => {
                    let so_far = lock(&working).clone();
                    if let Some(told) = here(&operations, id, true, so_far) {
                        let _ = self.reports.send(Report::Operation(Box::new(told))).await;
                    }
                }
            }
        };
        lock(&self.running).remove(id.as_str());
        let stands = self.stands(id).await;
        if let Ok(told) = stands {
            let _ = self.reports.send(Report::Operation(Box::new(told))).await;
        }
        match ended {
            Ok(_) => None,
            Err(error) => Some(Report::Refused(id.to_string(), reasons(&error))),
        }
    }

    /// Where an operation stands, asked of the journal here and of the control database.
    async fn stands(&self, id: &OperationId) -> Result<Operation, Vec<String>> {
        let operations = self.quiet().map_err(|reason| vec![reason])?;
        let running = lock(&self.running).contains_key(id.as_str());
        let story = operations.story(id).await.map_err(|error| reasons(&error))?;
        let row = self.rows(&operations, Some(id)).await.ok().and_then(|rows| rows.into_iter().next());
        let carried = row.filter(|row| row.state == "running" && !running && !died_here(&operations, id, row));
        let besides = Besides {
            here: running,
            silent: carried.as_ref().map(|row| row.silent),
            forsaken: carried.is_some_and(|row| row.silent > operations.estate.stale_after.as_secs_f64()),
            working: None,
        };
        Ok(told::begun(&story, &besides))
    }

    async fn listed(&self) -> OperationList {
        let mut lines: BTreeMap<String, OperationLine> = BTreeMap::new();
        let mut trouble = None;
        match self.quiet() {
            Ok(operations) => {
                let running: Vec<String> = lock(&self.running).keys().cloned().collect();
                let folder = operations.folder.clone();
                let stories = tokio::task::spawn_blocking(move || {
                    let ids = journal::all(&folder).into_iter().take(LISTED);
                    ids.filter_map(|id| journal::look(&folder, &id).ok().flatten()).collect::<Vec<_>>()
                });
                for story in stories.await.unwrap_or_default() {
                    let id = story.header.plan.id.to_string();
                    let line = told::line(&story, running.contains(&id));
                    lines.insert(id, line);
                }
                match self.rows(&operations, None).await {
                    Ok(rows) => {
                        for row in rows {
                            let line = told::known(&row, lines.get(&row.id), running.contains(&row.id));
                            lines.insert(row.id, line);
                        }
                    }
                    Err(reason) => trouble = Some(format!("only those of this machine: {reason}")),
                }
            }
            Err(reason) => trouble = Some(reason),
        }
        let lines = lines.into_values().rev().collect();
        OperationList { lines, trouble: trouble.map(|it| sanitise(&it).into_owned()), at: told::now() }
    }

    /// What the control database knows: of one, or of all.
    async fn rows(&self, operations: &Operations, id: Option<&OperationId>) -> Result<Vec<Known>, String> {
        let mut kept = self.control.lock().await;
        if kept.as_ref().is_none_or(Control::is_closed) {
            *kept = self.look(operations).await?;
        }
        let Some(control) = kept.as_ref() else { return Ok(Vec::new()) };
        let rows = match id {
            Some(id) => control.find(id).await.map(|row| row.into_iter().collect()),
            None => control.all().await,
        };
        rows.map_err(|error| {
            *kept = None;
            error.to_string()
        })
    }

    /// A session in the control database: the admin login's where it may act here, else that of the login that watches.
    async fn look(&self, operations: &Operations) -> Result<Option<Control>, String> {
        let estate = &operations.estate;
        let admin = estate.admin(&estate.control).is_ok();
        if admin && operations.gate.is_open().is_ok() {
            return operations.look_at_control().await.map_err(|error| error.to_string());
        }
        let instance = self.config.instances.iter().find(|instance| instance.name == estate.control);
        let Some(instance) = instance else { return Ok(None) };
        let target = Target::parse(&instance.url, &self.environment).map_err(|error| error.to_string())?;
        let password = instance.password.as_ref().map(Secret::read).transpose().map_err(|error| error.to_string())?;
        let link = connect(&target, password, &Timeouts::default()).await.map_err(|error| error.to_string())?;
        Control::look(link).await.map_err(|error| error.to_string())
    }
}

/// Whether the process that carried it out was one of this machine's, and is dead: nobody has the file's lock, and nobody went on with
/// it elsewhere. Then it needs no taking over.
fn died_here(operations: &Operations, id: &OperationId, row: &Known) -> bool {
    let Ok(Some(journal)) = journal::Journal::open(&operations.folder, id) else { return false };
    journal.story().entries.last().map_or(1, |last| last.fence) == row.fence
}

/// What the journal here says.
fn here(
    operations: &Operations,
    id: &OperationId,
    running: bool,
    working: Option<(usize, Working)>,
) -> Option<Operation> {
    let story = journal::look(&operations.folder, id).ok().flatten()?;
    Some(told::begun(&story, &Besides { here: running, working, ..Besides::default() }))
}

/// Why something was refused, one by one.
fn reasons(error: &OpsError) -> Vec<String> {
    let safe = |words: &String| sanitise(words).into_owned();
    match error {
        OpsError::Refused(refusals) => refusals.0.iter().map(safe).collect(),
        OpsError::Stale(changed) => {
            let first = "the plan is no longer true, nothing was done:".to_owned();
            std::iter::once(first).chain(changed.iter().map(safe)).collect()
        }
        error => vec![sanitise(&error.to_string()).into_owned()],
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
