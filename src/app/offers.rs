//! `a` and `w`: what can be done to what is selected or marked, and the few things that have to be answered first.

use std::collections::{BTreeMap, VecDeque};

use super::form::{Field, Form, Purpose};
use super::message::Effect;
use super::model::{Mode, Model, TenantTab, View};
use super::pane::Pane;
use super::{READ_ONLY, list::Keyed};
use crate::domain::foreign::sanitise;
use crate::domain::operation::{Aim, Blank, Kind, Needs, Offer, Request};
use crate::domain::snapshot::LimitScope;
use crate::domain::{InstanceName, Session, SessionKey, SubjectKind, TenantId};

/// The tenant that a wizard is for, where none was selected.
const TENANT: &str = "tenant";

/// What is meant by a key: what is marked, else what is under the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Meant {
    sessions: Vec<Target>,
    tenants: Vec<(TenantId, InstanceName)>,
    tables: Vec<Aim>,
}

/// A session that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    instance: InstanceName,
    key: SessionKey,
    /// By strong evidence; nothing else aims.
    tenant: Option<TenantId>,
    busy: bool,
}

/// One line of the chooser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// What is offered.
    pub offer: Offer,
    /// To whom it would be done.
    pub whom: String,
    /// Why it cannot be chosen.
    pub why_not: Option<String>,
    aims: Vec<Aim>,
    /// What it would undo.
    undoes: Option<String>,
}

/// The open chooser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offers {
    /// What stands above it.
    pub title: String,
    /// Its lines: what applies first.
    pub choices: Vec<Choice>,
    /// The chosen one.
    pub at: usize,
    /// What is acted on; `None`: wizards, which need nothing.
    meant: Option<Meant>,
}

/// An offer whose questions are being answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    offer: Offer,
    aims: Vec<Aim>,
}

impl Target {
    fn of(session: &Session) -> Self {
        Self {
            instance: session.instance.clone(),
            key: session.key,
            tenant: session.attribution.strong().cloned(),
            busy: session.state.is_active(),
        }
    }
}

impl Model {
    /// What is marked, else what is under the cursor.
    fn meant_here(&self) -> Meant {
        let shown = &self.shown;
        let mut meant = Meant::default();
        let sessions = |places: Vec<usize>| places.into_iter().filter_map(|at| shown.sessions.get(at)).map(Target::of);
        let tenant = |at: usize| shown.tenants.get(at).map(Keyed::key);
        match self.pane() {
            Some(Pane::Sessions) => meant.sessions = sessions(self.sessions.list.meant(&shown.sessions)).collect(),
            Some(Pane::TenantSessions) => {
                meant.sessions = sessions(self.page.sessions.list.meant(&shown.sessions)).collect();
            }
            Some(pane @ (Pane::Locks | Pane::TenantLocks)) => {
                let trees = if pane == Pane::Locks { &self.locks } else { &self.page.locks };
                let rows = trees.list.meant(&trees.rows);
                let places = rows.into_iter().filter_map(|at| trees.rows.get(at)?.session()).collect();
                meant.sessions = sessions(places).collect();
            }
            Some(Pane::Tenants) => {
                meant.tenants = self.fleet.tenants.list.meant(&shown.tenants).into_iter().filter_map(tenant).collect();
            }
            Some(pane @ (Pane::Tables | Pane::TenantTables)) => {
                let worst = if pane == Pane::Tables { &self.tables } else { &self.page.tables };
                let rows = worst.table.list.meant(&worst.rows);
                let rows: Vec<_> = rows.into_iter().filter_map(|at| worst.rows.get(at)).collect();
                meant.tables = rows.iter().map(|row| table(row)).collect();
                meant.tenants =
                    rows.iter().filter_map(|row| Some((row.tenant.clone()?, row.instance.clone()))).collect();
            }
            _ => match &self.view {
                View::Session(_) => {
                    meant.sessions =
                        self.session.iter().filter(|it| !it.gone).map(|it| Target::of(&it.value)).collect();
                }
                View::Table(_) => {
                    let row = self.table.as_ref().map(|kept| &kept.value);
                    meant.tables = row.map(table).into_iter().collect();
                    meant.tenants =
                        row.and_then(|row| Some((row.tenant.clone()?, row.instance.clone()))).into_iter().collect();
                }
                View::Fleet | View::Finding(_) => self.meant_by_findings(&mut meant),
                _ => {}
            },
        }
        if matches!(self.pane(), Some(Pane::Findings | Pane::TenantFindings)) {
            self.meant_by_findings(&mut meant);
        }
        let own = match &self.view {
            View::Tenant(key) => Some(key.clone()),
            _ => None,
        };
        // Whose the sessions certainly are, if they are all one's.
        let owners: Vec<Option<(TenantId, InstanceName)>> =
            meant.sessions.iter().map(|it| Some((it.tenant.clone()?, it.instance.clone()))).collect();
        if let Some(Some(first)) = owners.first()
            && owners.iter().all(|owner| owner.as_ref() == Some(first))
        {
            meant.tenants.push(first.clone());
        }
        meant.tenants.extend(own);
        let mut known = Vec::new();
        meant.tenants.retain(|tenant| {
            !known.contains(tenant) && {
                known.push(tenant.clone());
                true
            }
        });
        meant
    }

    /// Whom findings blame: a session by its pid, a tenant by its name.
    fn meant_by_findings(&self, meant: &mut Meant) {
        let Some(finding) = self.finding_under_cursor() else { return };
        meant.tenants.extend(self.blamed(finding));
        if finding.subject.kind == SubjectKind::Session {
            let pid = finding.subject.id.parse::<i32>().ok();
            let of = |session: &&Session| Some(session.key.pid) == pid && session.instance == finding.subject.instance;
            meant.sessions.extend(self.shown.sessions.iter().find(of).map(Target::of));
        }
    }

    /// Opens the list of what can be done here.
    pub(super) fn offer_actions(&mut self) {
        if self.playback.is_some() {
            self.say("this is a recording: nothing can be done any more", true);
            return;
        }
        let meant = self.meant_here();
        let choices = self.choices_for(&meant);
        if choices.is_empty() {
            self.say("nothing to act on here: select a tenant, a session or a table", true);
            return;
        }
        // What is in force may have changed since.
        self.ask_operations(true);
        let title = title(&meant);
        self.mode = Mode::Offers(Offers { title, choices, at: 0, meant: Some(meant) });
    }

    /// What applies first.
    fn choices_for(&self, meant: &Meant) -> Vec<Choice> {
        let offers = self.settings.offers.iter();
        let mut choices: Vec<Choice> = offers.filter_map(|offer| self.choice(offer, meant)).collect();
        choices.sort_by_key(|choice| choice.why_not.is_some());
        choices
    }

    /// What is in force became known: what applies may be another; the cursor stays on what it was on.
    pub(super) fn offer_anew(&mut self) {
        let Mode::Offers(offers) = &self.mode else { return };
        let Some(meant) = offers.meant.clone() else { return };
        let on = offers.choices.get(offers.at).map(|choice| choice.offer.kind);
        let choices = self.choices_for(&meant);
        if let Mode::Offers(offers) = &mut self.mode {
            offers.at = choices.iter().position(|it| Some(it.offer.kind) == on).unwrap_or(0);
            offers.choices = choices;
        }
    }

    /// Opens the list of wizards that can be started without anything selected.
    pub(super) fn offer_wizards(&mut self) {
        if self.playback.is_some() {
            self.say("this is a recording: nothing can be done any more", true);
            return;
        }
        let wizard = |offer: &&Offer| {
            matches!(offer.of, Kind::Tenant | Kind::Named | Kind::Nothing) && !matches!(offer.needs, Needs::InForce(_))
        };
        let choice = |offer: &Offer| Choice {
            offer: *offer,
            whom: String::new(),
            why_not: None,
            aims: Vec::new(),
            undoes: None,
        };
        let mut choices: Vec<Choice> = self.settings.offers.iter().filter(wizard).map(choice).collect();
        // What can also be done to a selected tenant comes after what is only here.
        choices.sort_by_key(|choice| choice.offer.of == Kind::Tenant);
        if choices.is_empty() {
            self.say("no wizard is known here", true);
            return;
        }
        self.mode = Mode::Offers(Offers { title: "WIZARDS".to_owned(), choices, at: 0, meant: None });
    }

    fn choice(&self, offer: &Offer, meant: &Meant) -> Option<Choice> {
        let mut undoes = None;
        let (aims, mut why_not): (Vec<Aim>, Option<String>) = match offer.of {
            Kind::Sessions if !meant.sessions.is_empty() => {
                let idle = meant.sessions.iter().filter(|it| !it.busy).count();
                let idle = (offer.needs == Needs::Statement && idle > 0).then(|| {
                    if meant.sessions.len() == 1 {
                        "it runs no statement".to_owned()
                    } else {
                        format!("{idle} run no statement")
                    }
                });
                (by_instance(&meant.sessions), idle)
            }
            Kind::Tenant if !meant.tenants.is_empty() => {
                let aim = |(tenant, instance): &(TenantId, InstanceName)| Aim::Tenant {
                    tenant: tenant.clone(),
                    instance: instance.clone(),
                };
                (meant.tenants.iter().map(aim).collect(), None)
            }
            Kind::Table if !meant.tables.is_empty() => (meant.tables.clone(), None),
            _ => return None,
        };
        let moment = self.moment();
        let sees_roles = |name: &InstanceName| {
            let instance = self.shown.instances.iter().find(|instance| instance.name == *name);
            instance.is_some_and(|instance| instance.roles.fresh(moment).is_some())
        };
        if offer.of == Kind::Tenant {
            for (id, instance) in &meant.tenants {
                let known = self.shown.tenants.iter().find(|it| it.id == *id && it.instance == *instance);
                let force =
                    |kind: &str| self.works.in_force(id).find(|line| line.kind == kind).map(|line| line.id.clone());
                let why = match offer.needs {
                    // Before roles were seen nobody knows: whoever plans says so.
                    Needs::OwnLogin
                        if sees_roles(instance)
                            && known.is_some_and(|it| it.limit_scope == LimitScope::ServiceAccount) =>
                    {
                        Some(format!("{id} works as the account that all share: no limit of its own would bind it"))
                    }
                    Needs::NotInForce if force(offer.kind).is_some() => Some(format!("{id}: in force already")),
                    Needs::InForce(kind) => {
                        undoes = undoes.or_else(|| force(kind));
                        match (self.works.at, &undoes) {
                            (_, Some(_)) => None,
                            (None, None) => Some("what is in force is not known yet".to_owned()),
                            (Some(_), None) => Some(format!("{id}: no {kind} is in force")),
                        }
                    }
                    _ => None,
                };
                why_not = why_not.or(why);
            }
        }
        let whom = match aims.as_slice() {
            [one] => one.words(),
            many => format!("{} and {} more", many.first().map(Aim::words).unwrap_or_default(), many.len() - 1),
        };
        Some(Choice { offer: *offer, whom, why_not, aims, undoes })
    }

    /// Takes the line under the cursor: asks what has to be answered, or for the plan at once.
    pub(super) fn take_offer(&mut self, mut offers: Offers) -> Vec<Effect> {
        if offers.choices.is_empty() {
            return Vec::new();
        }
        let choice = offers.choices.swap_remove(offers.at.min(offers.choices.len() - 1));
        if self.settings.read_only {
            self.say(READ_ONLY, true);
            return Vec::new();
        }
        if let Some(why) = choice.why_not {
            self.say(why, true);
            return Vec::new();
        }
        if let Some(id) = choice.undoes {
            self.follow(id);
            return Vec::new();
        }
        let asked = Asked { offer: choice.offer, aims: choice.aims };
        let mut fields: Vec<Field> = choice.offer.questions.iter().map(field).collect();
        if asked.aims.is_empty() && matches!(choice.offer.of, Kind::Tenant | Kind::Named) {
            // For what is done to somebody who is named, nobody is offered who is only under the cursor.
            let offered = choice.offer.of == Kind::Tenant || matches!(self.view, View::Tenant(_));
            let known = self.some_tenant().filter(|_| offered).unwrap_or_default();
            fields.insert(0, Field::text(TENANT, &known, "its id, in full"));
        }
        if fields.is_empty() {
            self.request(requests(&asked, &[]));
            return Vec::new();
        }
        let about = if choice.whom.is_empty() {
            choice.offer.about.to_owned()
        } else {
            format!("{}: {}", choice.whom, choice.offer.about)
        };
        let title = choice.offer.title.to_uppercase();
        let mut about = vec![sanitise(&about).into_owned()];
        about.extend(self.now_of(&asked.aims));
        about.push("⏎ makes the plan; nothing is done before you approve it".to_owned());
        self.ask(title, about, fields, Purpose::Offer(Box::new(asked)));
        Vec::new()
    }

    /// How a tenant stands now, where it is one: what limits are chosen by.
    fn now_of(&self, aims: &[Aim]) -> Option<String> {
        let [Aim::Tenant { tenant, instance }] = aims else { return None };
        let known = self.shown.tenants.iter().find(|it| it.id == *tenant && it.instance == *instance)?;
        let sessions = known.connections.map_or("—".to_owned(), |count| count.to_string());
        let limit = known.limits.effective.connection_limit.map_or("—".to_owned(), |limit| limit.to_string());
        Some(format!("now: {sessions} sessions, CONNECTION LIMIT {limit}"))
    }

    fn some_tenant(&self) -> Option<String> {
        let here = match &self.view {
            View::Tenant((id, _)) => Some(id.to_string()),
            View::Fleet => {
                self.fleet.tenants.list.selected().and_then(|at| self.shown.tenants.get(at)).map(|it| it.id.to_string())
            }
            _ => None,
        };
        here.or_else(|| self.tenant.as_ref().map(|kept| kept.value.id.to_string()))
    }

    /// Asks for plans with these answers, or says which answer cannot be taken.
    pub(super) fn offer_answered(&mut self, form: &Form, asked: &Asked) -> Result<(), (&'static str, String)> {
        let mut asked = asked.clone();
        if form.fields.iter().any(|field| field.label == TENANT) {
            let id = form.value(TENANT).trim();
            let tenants = self.shown.tenants.iter().filter(|tenant| tenant.id.as_str() == id);
            let aims: Vec<Aim> =
                tenants.map(|it| Aim::Tenant { tenant: it.id.clone(), instance: it.instance.clone() }).collect();
            if aims.is_empty() {
                return Err((TENANT, format!("no tenant is called {:?}", sanitise(id))));
            }
            asked.aims = aims;
        }
        let mut answers = Vec::new();
        for question in asked.offer.questions {
            let answer = form.value(question.label).trim();
            acceptable(question.blank, answer).map_err(|error| (question.label, error))?;
            answers.push((question.label, answer.to_owned()));
        }
        self.request(requests(&asked, &answers));
        Ok(())
    }
}

/// Whether an answer is of the kind that is asked for.
fn acceptable(blank: Blank, answer: &str) -> Result<(), String> {
    match blank {
        Blank::Words(_) if answer.is_empty() => Err("it has to be said".to_owned()),
        Blank::Id => TenantId::parse(answer).map(|_| ()).map_err(|error| error.to_string()),
        Blank::Number(_) if answer.parse::<u32>().is_err() => Err(format!("{:?} is no whole number", sanitise(answer))),
        Blank::Time(offered) if answer.is_empty() && offered.is_empty() => Ok(()),
        Blank::Time(_) => super::dialog::span(answer).map(|_| ()),
        Blank::Words(_) | Blank::Maybe(_) | Blank::Number(_) | Blank::Choice(_) => Ok(()),
    }
}

fn field(question: &crate::domain::operation::Question) -> Field {
    match question.blank {
        Blank::Words(offered) | Blank::Maybe(offered) | Blank::Number(offered) | Blank::Time(offered) => {
            Field::text(question.label, offered, question.hint)
        }
        Blank::Id => Field::text(question.label, "", question.hint),
        Blank::Choice(options) => Field::choice(question.label, options, 0, question.hint),
    }
}

fn requests(asked: &Asked, answers: &[(&'static str, String)]) -> VecDeque<Request> {
    let nothing = [Aim::Nothing];
    let aims = if asked.aims.is_empty() { &nothing[..] } else { &asked.aims };
    aims.iter().map(|aim| Request { kind: asked.offer.kind, aim: aim.clone(), answers: answers.to_vec() }).collect()
}

fn table(row: &super::tables::TableRow) -> Aim {
    Aim::Table { instance: row.instance.clone(), name: (*row.name).clone() }
}

/// Sessions by their instance; a tenant is named where all of them certainly are its.
fn by_instance(sessions: &[Target]) -> Vec<Aim> {
    let mut on: BTreeMap<&InstanceName, Vec<&Target>> = BTreeMap::new();
    for session in sessions {
        on.entry(&session.instance).or_default().push(session);
    }
    on.into_iter()
        .map(|(instance, sessions)| {
            let tenant = sessions.first().and_then(|first| first.tenant.clone());
            let tenant = tenant.filter(|tenant| sessions.iter().all(|it| it.tenant.as_ref() == Some(tenant)));
            Aim::Sessions {
                instance: instance.clone(),
                keys: sessions.iter().map(|session| session.key).collect(),
                tenant,
            }
        })
        .collect()
}

/// What is acted on, in words.
fn title(meant: &Meant) -> String {
    let sessions = by_instance(&meant.sessions);
    let words = match (sessions.as_slice(), meant.tables.as_slice(), meant.tenants.as_slice()) {
        ([one], ..) | ([], [one], _) => one.words(),
        ([], [], [(tenant, instance)]) => format!("{tenant} on {instance}"),
        ([], [], tenants) => format!("{} tenants", tenants.len()),
        ([], tables, _) => format!("{} tables", tables.len()),
        _ => format!("{} sessions", meant.sessions.len()),
    };
    format!("ACTIONS on {words}")
}

impl Model {
    /// Whether the tenant's page shows its operations.
    pub(super) fn shows_operations(&self) -> bool {
        matches!(self.view, View::Tenant(_)) && self.page.tab == TenantTab::Operations
    }
}
