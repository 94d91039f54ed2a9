//! The questions that are asked before something is written down, and what becomes of the answers: exports, the incident
//! report, acknowledging findings.

use jiff::{SignedDuration, Timestamp};

use super::export::Format;
use super::fold::along;
use super::form::{Field, Form, Purpose};
use super::incident::Incident;
use super::message::{Document, Effect};
use super::model::{Mode, Model};
use super::pane::Pane;
use crate::domain::foreign::sanitise;
use crate::domain::{Acknowledgement, Attention, Finding, quantity};

const FORMAT: &str = "format";
const FILE: &str = "file";
const FORMATS: [&str; 2] = ["CSV", "JSON"];

const WHAT: &str = "what";
const LONG: &str = "for";
const WHY: &str = "why";
const WHATS: [&str; 2] =
    ["acknowledge: this one is shown dimmed, after the others", "mute: this and the next are counted, not shown"];

/// The longest that a finding can be acknowledged for: what is longer is a threshold to change.
const LONGEST: SignedDuration = SignedDuration::from_hours(90 * 24);

/// The question whose answer cannot be taken, and why.
type Refusal = (&'static str, String);

impl Model {
    pub(super) fn ask(&mut self, title: String, about: Vec<String>, fields: Vec<Field>, purpose: Purpose) {
        let mut form = Form { title, about, fields, at: 0, error: None, purpose };
        form.go_to_words();
        self.mode = Mode::Form(form);
    }

    /// A file's name that says what, of which environment, of when.
    fn file_name(&self, what: &str, ending: &str) -> String {
        let environment = self.settings.environment.chars();
        let environment: String = environment.filter(|char| char.is_alphanumeric() || *char == '-').take(40).collect();
        format!("tierdeck-{what}-{environment}-{}.{ending}", self.moment().strftime("%Y%m%dT%H%M%SZ"))
    }

    pub(super) fn ask_to_export(&mut self) {
        let Some((rows, name)) = self.sheet().map(|sheet| (sheet.len(), sheet.name)) else {
            self.say("no rows to export here; E writes a report", true);
            return;
        };
        let marked = self.pane().map_or(0, |pane| self.marked(pane));
        let which = if marked > 0 { "marked, whatever is filtered" } else { "as filtered and sorted" };
        let about = format!("{}, {which}", quantity::plural(rows, "row"));
        let fields = vec![
            Field::choice(FORMAT, &FORMATS, 0, "CSV: columns as shown · JSON: all columns"),
            Field::text(FILE, &self.file_name(name, "csv"), "in the folder where tierdeck was started"),
        ];
        self.ask(format!("EXPORT {}", name.to_uppercase()), vec![about], fields, Purpose::Export);
    }

    pub(super) fn ask_for_incident(&mut self) {
        let found = quantity::plural(self.shown.findings.len(), "finding");
        let events = quantity::plural(self.timeline.events.len(), "event");
        let about = format!("{found} with evidence, tenants and sessions involved, {events} seen by this console");
        let field = Field::text(FILE, &self.file_name("incident", "md"), "in the folder where tierdeck was started");
        self.ask("INCIDENT REPORT".to_owned(), vec![about], vec![field], Purpose::Incident);
    }

    pub(super) fn ask_to_replace(&mut self, document: Document) {
        let about = vec![format!("{} is there already.", sanitise(&document.path)), "Replace it?".to_owned()];
        // Whatever is open now was opened after the file was named: it is not torn from under the hands.
        if matches!(self.mode, Mode::Normal | Mode::Help) {
            self.ask("FILE EXISTS".to_owned(), about, Vec::new(), Purpose::Replace(document));
        } else {
            self.say(format!("{} is there already: nothing was written", sanitise(&document.path)), true);
        }
    }

    pub(super) fn ask_to_acknowledge(&mut self) {
        let findings = self.meant();
        let [first, rest @ ..] = &findings[..] else {
            self.say("no finding under the cursor: Tab leads to the findings", true);
            return;
        };
        let mut about = vec![format!("{} {}: {}", first.severity, first.signal, first.summary)];
        if !rest.is_empty() {
            about.push(format!("and {} more", rest.len()));
        }
        if let Some(known) = &first.acknowledged {
            about.push(format!("now: {}; X takes that back", told(known)));
        }
        let muted = first.acknowledged.as_ref().is_some_and(|known| known.attention == Attention::Muted);
        let fields = vec![
            Field::text(WHY, "", "for whoever looks next; ⏎ does it"),
            Field::text(LONG, "1h", "30m  1h  4h  1d  7d  or 1h 30m"),
            Field::choice(WHAT, &WHATS, usize::from(muted), ""),
        ];
        let by = sanitise(&self.settings.operator).into_owned();
        about.push(format!("as {by}"));
        self.ask("ACKNOWLEDGE OR MUTE".to_owned(), about, fields, Purpose::Acknowledge(findings, self.shown.taken_at));
    }

    /// The findings that a command is about: those marked, else the one under the cursor.
    fn meant(&self) -> Vec<Finding> {
        let list = match self.pane() {
            Some(Pane::Findings) => Some(&self.fleet.findings),
            Some(Pane::TenantFindings) => Some(&self.page.findings),
            _ => None,
        };
        let findings = &self.shown.findings;
        let meant: Vec<&Finding> = match list.filter(|list| list.marked() > 0) {
            Some(list) => list.chosen(findings).into_iter().filter_map(|at| findings.get(at)).collect(),
            None => self.finding_under_cursor().into_iter().collect(),
        };
        // What is told in one row is meant with it.
        let along = |lead: &&Finding| along(findings, lead).filter(|_| self.pane() == Some(Pane::Findings));
        let more: Vec<usize> = meant.iter().filter_map(along).collect();
        meant.into_iter().chain(more.into_iter().filter_map(|at| findings.get(at))).cloned().collect()
    }

    pub(super) fn unacknowledge(&mut self) -> Vec<Effect> {
        let known: Vec<Acknowledgement> =
            self.meant().iter().filter_map(|finding| finding.acknowledged.as_deref().cloned()).collect();
        match known.len() {
            0 => self.say("nobody has acknowledged or muted that", true),
            1 => self.say("taken back: it counts again", false),
            more => self.say(format!("taken back for {more} findings"), false),
        }
        known.into_iter().map(Effect::Unacknowledge).collect()
    }

    pub(super) fn show_muted(&mut self) {
        self.unmuted = !self.unmuted;
        let count = self.muted();
        let words = match (count, self.unmuted) {
            (0, _) => "nothing is muted".to_owned(),
            (_, true) => format!("{} shown as well", quantity::plural(count, "muted finding")),
            (_, false) => format!("{} hidden", quantity::plural(count, "muted finding")),
        };
        self.say(words, false);
        self.refill_lists();
    }

    /// Another answer; with another format the file ends differently.
    pub(super) fn turn_choice(&mut self, later: bool) {
        let Mode::Form(form) = &mut self.mode else { return };
        if form.turn(later) == Some(FORMAT) {
            let file = form.value(FILE).to_owned();
            let (from, to) = if form.value(FORMAT) == FORMATS[0] { (".json", ".csv") } else { (".csv", ".json") };
            if let Some(stem) = file.strip_suffix(from) {
                form.set(FILE, &format!("{stem}{to}"));
            }
        }
    }

    /// Does what was asked for; a form whose answers cannot be taken stays open, at the question that wants another one.
    pub(super) fn answered(&mut self, form: Form) -> Vec<Effect> {
        match self.outcome(&form) {
            Ok(effects) => effects,
            Err((question, error)) => {
                let at = form.fields.iter().position(|field| field.label == question).unwrap_or(form.at);
                self.mode = Mode::Form(Form { at, error: Some(error), ..form });
                Vec::new()
            }
        }
    }

    fn outcome(&mut self, form: &Form) -> Result<Vec<Effect>, Refusal> {
        match &form.purpose {
            Purpose::Replace(document) => Ok(vec![Effect::Save(Document { replace: true, ..document.clone() })]),
            Purpose::Export => {
                let sheet = self.sheet().ok_or((FILE, "the rows are not there any more".to_owned()))?;
                let format = if form.value(FORMAT) == FORMATS[0] { Format::Csv } else { Format::Json };
                let text = sheet.written(format, &self.settings.environment, self.shown.taken_at);
                Ok(vec![Effect::Save(Document {
                    path: path(form)?,
                    text: text.into(),
                    what: quantity::plural(sheet.len(), "row"),
                    replace: false,
                })])
            }
            Purpose::Incident => {
                let incident = Incident {
                    snapshot: &self.shown,
                    timeline: &self.timeline,
                    moment: self.moment(),
                    operator: &self.settings.operator,
                };
                Ok(vec![Effect::Save(Document {
                    path: path(form)?,
                    text: incident.markdown().into(),
                    what: "the report".to_owned(),
                    replace: false,
                })])
            }
            Purpose::Acknowledge(findings, seen) => self.acknowledged(form, findings, *seen),
            Purpose::Offer(asked) => self.offer_answered(form, asked).map(|()| Vec::new()),
            Purpose::Leave => Ok(vec![Effect::Quit]),
        }
    }

    fn acknowledged(&mut self, form: &Form, findings: &[Finding], seen: Timestamp) -> Result<Vec<Effect>, Refusal> {
        if form.value(WHY).trim().is_empty() {
            return Err((WHY, "say why: whoever looks next wonders".to_owned()));
        }
        let until = until(form.value(LONG), self.now).map_err(|error| (LONG, error))?;
        let attention = if form.value(WHAT) == WHATS[0] { Attention::Acknowledged } else { Attention::Muted };
        let acknowledge = |finding: &Finding| {
            Effect::Acknowledge(Acknowledgement {
                signal: finding.signal,
                kind: finding.subject.kind,
                id: finding.subject.id.clone(),
                instance: finding.subject.instance.to_string(),
                attention,
                by: self.settings.operator.clone(),
                why: sanitise(form.value(WHY).trim()).into_owned(),
                at: self.now,
                seen: Some(seen),
                cause: finding.onset.and_then(|onset| onset.cause),
                until,
            })
        };
        let effects = findings.iter().map(acknowledge).collect();
        let word = if attention == Attention::Muted { "muted" } else { "acknowledged" };
        self.unmark();
        self.say(format!("{word} until {}", clock(until, self.now)), false);
        Ok(effects)
    }
}

/// What was said of a finding, in words.
pub fn told(known: &Acknowledgement) -> String {
    let word = if known.attention == Attention::Muted { "muted" } else { "acknowledged" };
    let why = if known.why.is_empty() { String::new() } else { format!(": {}", sanitise(&known.why)) };
    format!("{word} by {} until {}{why}", sanitise(&known.by), clock(known.until, known.at))
}

/// A time of day, with the day where that is another.
fn clock(at: Timestamp, now: Timestamp) -> String {
    let near = at.duration_since(now) < SignedDuration::from_hours(12);
    at.strftime(if near { "%H:%MZ" } else { "%Y-%m-%d %H:%MZ" }).to_string()
}

fn path(form: &Form) -> Result<String, Refusal> {
    let path = form.value(FILE).trim();
    if path.is_empty() { Err((FILE, "name a file".to_owned())) } else { Ok(path.to_owned()) }
}

impl Model {
    /// Asks before the console is left while something runs in it.
    pub(super) fn ask_to_leave(&mut self) {
        let mut about: Vec<String> = self.works.running().into_iter().map(|it| format!("running here: {it}")).collect();
        about.push(
            "⏎ leaves: it pauses after the step that is at work, holds its tenant, and stays resumable".to_owned(),
        );
        about.push("from here or from any other console · Esc stays here".to_owned());
        self.ask("LEAVE WHILE AN OPERATION RUNS?".to_owned(), about, Vec::new(), Purpose::Leave);
    }
}

/// When a typed time is over: `30m`, `1h`, `7d`, `1h 30m`.
fn until(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let long = span(text)?;
    if long > LONGEST {
        return Err("at most 90d: what is longer is a threshold to change".to_owned());
    }
    now.checked_add(long).map_err(|_| format!("{:?} is no time: write 30m, 1h, 4h, 1d or 7d", sanitise(text)))
}

/// A typed time: `30m`, `1h`, `7d`, `1h 30m`.
pub(super) fn span(text: &str) -> Result<SignedDuration, String> {
    let wrong = || format!("{:?} is no time: write 30m, 1h, 4h, 1d or 7d", sanitise(text));
    let mut seconds: i64 = 0;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = rest.split_at(digits);
        let number: i64 = number.parse().map_err(|_| wrong())?;
        let times = match unit.chars().next() {
            Some('s') => 1,
            Some('m') => 60,
            Some('h') => 3_600,
            Some('d') => 86_400,
            Some('w') => 604_800,
            _ => return Err(wrong()),
        };
        seconds = number.checked_mul(times).and_then(|more| seconds.checked_add(more)).ok_or_else(wrong)?;
        rest = unit.get(1..).unwrap_or_default().trim_start();
    }
    let long = SignedDuration::from_secs(seconds);
    if long.is_zero() {
        return Err(wrong());
    }
    Ok(long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now: Timestamp = "2026-11-21T14:03:22Z".parse().unwrap();
        let after = |text: &str| until(text, now).map(|at| at.duration_since(now).as_secs());
        assert_eq!(
            [after("30m"), after("1h 30m"), after(" 7d "), after("1h30m")].map(Result::unwrap),
            [1_800, 5_400, 604_800, 5_400]
        );
        for text in ["", "1", "h", "0m", "1y", "-1h", "99999999999999999999d", "9223372036854775807w", "1.5h", "é"] {
            assert!(after(text).is_err(), "{text:?}");
        }
        assert!(after("91d").unwrap_err().contains("threshold"));
        assert_eq!(clock(now, now), "14:03Z");
        assert_eq!(clock(until("1d", now).unwrap(), now), "2026-11-22 14:03Z");
    }
}
