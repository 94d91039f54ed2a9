//! A few questions in a box: words to type and choices to make, answered with one key.

use jiff::Timestamp;
use tui_input::Input;

use super::message::Document;
use super::offers::Asked;
use crate::domain::Finding;

/// What is asked.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Words.
    Text(Input),
    /// One of these.
    Choice {
        /// What there is.
        options: &'static [&'static str],
        /// The chosen one.
        at: usize,
    },
}

/// One question.
#[derive(Debug, Clone)]
pub struct Field {
    /// What is asked.
    pub label: &'static str,
    /// The answer so far.
    pub answer: Answer,
    /// What may be answered, in few words.
    pub hint: &'static str,
}

impl Field {
    /// A question for words.
    pub fn text(label: &'static str, value: &str, hint: &'static str) -> Self {
        Self { label, answer: Answer::Text(Input::new(value.to_owned())), hint }
    }

    /// A question for one of several.
    pub fn choice(label: &'static str, options: &'static [&'static str], at: usize, hint: &'static str) -> Self {
        Self { label, answer: Answer::Choice { options, at }, hint }
    }

    /// The answer as words.
    pub fn value(&self) -> &str {
        match &self.answer {
            Answer::Text(input) => input.value(),
            Answer::Choice { options, at } => options.get(*at).copied().unwrap_or_default(),
        }
    }
}

/// What the answers are for.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// The rows of the view as a file.
    Export,
    /// The incident report as a file.
    Incident,
    /// A file is there already: may it be replaced?
    Replace(Document),
    /// The inputs of something that is to be planned.
    Offer(Box<Asked>),
    /// The console is left while an operation runs in it.
    Leave,
    /// That somebody knows of these findings.
    Acknowledge(Vec<Finding>, Timestamp),
}

/// The open box.
#[derive(Debug, Clone)]
pub struct Form {
    /// What it is about.
    pub title: String,
    /// What has to be known to answer, above the questions.
    pub about: Vec<String>,
    /// The questions.
    pub fields: Vec<Field>,
    /// The question that is answered now.
    pub at: usize,
    /// Why the answers cannot be taken.
    pub error: Option<String>,
    /// What they are for.
    pub purpose: Purpose,
}

impl Form {
    /// Goes to another question, round the end.
    pub fn step(&mut self, by: isize) {
        let count = isize::try_from(self.fields.len()).unwrap_or(0);
        if count > 0 {
            let at = isize::try_from(self.at).unwrap_or(0);
            self.at = usize::try_from((at + by.clamp(-1, 1)).rem_euclid(count)).unwrap_or(0);
        }
    }

    /// Whether the question is one of choice.
    pub fn chooses(&self) -> bool {
        matches!(self.fields.get(self.at), Some(Field { answer: Answer::Choice { .. }, .. }))
    }

    /// Chooses the next answer or the one before, round the end; says which question that was.
    pub fn turn(&mut self, later: bool) -> Option<&'static str> {
        let field = self.fields.get_mut(self.at)?;
        let Answer::Choice { options, at } = &mut field.answer else { return None };
        let count = options.len().max(1);
        *at = if later { (*at + 1) % count } else { (*at + count - 1) % count };
        self.error = None;
        Some(field.label)
    }

    /// Goes to the first question for words: that is where typing begins.
    pub fn go_to_words(&mut self) {
        self.at = self.fields.iter().position(|field| matches!(field.answer, Answer::Text(_))).unwrap_or(0);
    }

    /// The input that is typed into. At a choice nothing can be typed: the letters go where typing begins.
    pub fn input(&mut self) -> Option<&mut Input> {
        self.error = None;
        if self.chooses() {
            self.go_to_words();
        }
        match self.fields.get_mut(self.at) {
            Some(Field { answer: Answer::Text(input), .. }) => Some(input),
            _ => None,
        }
    }

    /// The answer to a question.
    pub fn value(&self, label: &str) -> &str {
        self.fields.iter().find(|field| field.label == label).map_or("", Field::value)
    }

    /// Answers a question.
    pub fn set(&mut self, label: &str, value: &str) {
        if let Some(field) = self.fields.iter_mut().find(|field| field.label == label)
            && let Answer::Text(input) = &mut field.answer
        {
            *input = Input::new(value.to_owned());
        }
    }
}
