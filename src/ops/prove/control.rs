//! A control: what has to be refused, how that is tried, and what follows from the answers. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::foreign::sanitise;
use crate::ops::guest::{Answer, Attempt, seconds};

/// What follows from the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was refused, as it has to be.
    Held,
    /// Neither the one nor the other: the reason says why.
    NotProven,
    /// It was let.
    NotHeld,
}

impl Verdict {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::NotProven => "could not be proven",
            Self::NotHeld => "NOT HELD",
        }
    }
}

/// One control.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Control {
    /// Its name.
    pub name: String,
    /// What has to happen.
    pub expects: String,
    /// How that is tried; all of it has to be refused.
    pub attempts: Vec<Attempt>,
    /// The SQLSTATEs of a refusal.
    pub refusals: Vec<String>,
    /// SQLSTATEs of what only happens where nothing was refused in time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub breaches: Vec<String>,
    /// It is refused, too, when no row comes back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub none: bool,
    /// The limit in milliseconds: a refusal that comes much earlier has another cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_ms: Option<u64>,
    /// What the reader has to know: that a limit was shortened, or that there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A control that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judged {
    /// Its name.
    pub control: String,
    /// What has to happen.
    pub expects: String,
    /// What was run.
    pub ran: Vec<String>,
    /// What the server answered, attempt by attempt.
    pub answers: Vec<Answer>,
    /// What follows.
    pub verdict: Verdict,
    /// Why.
    pub why: String,
    /// What the reader has to know.
    pub note: Option<String>,
}

impl Control {
    /// What follows from the answers.
    pub fn judge(&self, role: &str, answers: &[Answer]) -> Judged {
        let each = self.attempts.iter().zip(answers).map(|(_, answer)| self.one(answer));
        // What was let counts more than what could not be tried, and that more than what was refused.
        let worst = each.max_by_key(|(verdict, _)| *verdict);
        let missing = || (Verdict::NotProven, "it was not tried".to_owned());
        let (verdict, why) = worst.filter(|_| answers.len() == self.attempts.len()).unwrap_or_else(missing);
        Judged {
            control: self.name.clone(),
            expects: self.expects.clone(),
            ran: self.attempts.iter().flat_map(|attempt| attempt.lines(role)).collect(),
            answers: answers.to_vec(),
            verdict,
            why,
            note: self.note.clone(),
        }
    }

    fn one(&self, answer: &Answer) -> (Verdict, String) {
        let took = format!("after {:.1} s", answer.seconds);
        let Some(code) = &answer.code else {
            if self.none && answer.rows.is_empty() {
                return (Verdict::Held, "no row came back".to_owned());
            }
            if self.none {
                return (Verdict::NotHeld, format!("it may: {}", sanitise(&answer.rows.join("; "))));
            }
            return (Verdict::NotHeld, format!("{} {took}", answer.message));
        };
        let said = format!("{code} {took}: {}", sanitise(&answer.message));
        if self.breaches.contains(code) {
            return (Verdict::NotHeld, format!("nothing came in time; what stopped the trial itself was {said}"));
        }
        if !self.refusals.contains(code) {
            return (Verdict::NotProven, format!("another answer than was expected: {said}"));
        }
        let early = self.limit_ms.filter(|limit| answer.seconds * 1_000.0 < *limit as f64 * 0.95 - 50.0);
        match early {
            Some(limit) => (
                Verdict::NotProven,
                format!("it came before the limit of {} s, so it has another cause: {said}", seconds(limit)),
            ),
            None => (Verdict::Held, said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::guest::What;

    fn answer(code: Option<&str>, seconds: f64, rows: &[&str]) -> Answer {
        Answer {
            at: jiff::Timestamp::UNIX_EPOCH,
            seconds,
            code: code.map(str::to_owned),
            message: "said so".to_owned(),
            rows: rows.iter().map(|row| (*row).to_owned()).collect(),
        }
    }

    fn control(attempts: usize) -> Control {
        Control {
            name: "it".to_owned(),
            expects: "refused".to_owned(),
            attempts: vec![Attempt::of(What::Enter); attempts],
            refusals: vec!["42501".to_owned()],
            breaches: vec!["57014".to_owned()],
            none: false,
            limit_ms: None,
            note: None,
        }
    }

    #[test]
    fn what_is_let_is_not_held_and_what_is_strange_is_not_proven() {
        let verdict = |answers: &[Answer]| control(2).judge("t", answers).verdict;
        let (no, strange, late) =
            (answer(Some("42501"), 0.0, &[]), answer(Some("XX000"), 0.0, &[]), answer(Some("57014"), 0.0, &[]));
        let yes = answer(None, 0.0, &[]);
        assert_eq!(verdict(&[no.clone(), no.clone()]), Verdict::Held);
        assert_eq!(verdict(&[no.clone(), strange.clone()]), Verdict::NotProven);
        assert_eq!(verdict(&[strange, yes.clone()]), Verdict::NotHeld);
        assert_eq!(verdict(&[late, no.clone()]), Verdict::NotHeld);
        assert_eq!(verdict(std::slice::from_ref(&no)), Verdict::NotProven, "half of it is nothing");
        assert_eq!(verdict(&[]), Verdict::NotProven);
        let listed = Control { none: true, ..control(1) };
        assert_eq!(listed.judge("t", std::slice::from_ref(&yes)).verdict, Verdict::Held);
        assert_eq!(listed.judge("t", &[answer(None, 0.0, &["tenant_b.x"])]).verdict, Verdict::NotHeld);
        let timed = Control { limit_ms: Some(1_000), ..control(1) };
        assert_eq!(timed.judge("t", &[answer(Some("42501"), 1.0, &[])]).verdict, Verdict::Held);
        let early = timed.judge("t", &[answer(Some("42501"), 0.5, &[])]);
        assert_eq!(early.verdict, Verdict::NotProven, "{}", early.why);
    }
}
