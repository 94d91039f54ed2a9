//! A page of facts: each with its name before it, wrapped under itself; heads between them.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::text;
use crate::domain::Observed;
use crate::domain::foreign::sanitise;
use crate::domain::quantity::duration;
use crate::ui::pen::Pen;

/// Lines below each other, each with what it is about at its first.
pub(crate) struct Sheet<'p> {
    pen: &'p Pen<'p>,
    width: usize,
    /// Cells before a value.
    lead: usize,
    pub(crate) lines: Vec<Line<'static>>,
}

impl<'p> Sheet<'p> {
    pub(crate) fn new(pen: &'p Pen<'p>, width: usize, lead: usize) -> Self {
        Self { pen, width, lead, lines: Vec::new() }
    }

    pub(crate) fn head(&mut self, words: &str) {
        if !self.lines.is_empty() {
            self.lines.push(Line::default());
        }
        self.lines.push(Line::from(Span::styled(words.to_owned(), self.pen.look.strong)));
    }

    pub(crate) fn field(&mut self, name: &str, words: &str, style: Style) {
        let wrapped = text::wrap_in(words, self.width.saturating_sub(self.lead), 4);
        for (row, words) in wrapped.into_iter().enumerate() {
            let lead = text::fit(if row == 0 { name } else { "" }, self.lead);
            self.lines.push(Line::from(vec![Span::styled(lead, self.pen.look.faint), Span::styled(words, style)]));
        }
    }

    /// A field whose name has a colour of its own.
    pub(crate) fn signed(&mut self, (name, sign): (&str, Style), words: &str, style: Style) {
        let before = self.lines.len();
        self.field(name, words, style);
        if let Some(lead) = self.lines.get_mut(before).and_then(|line| line.spans.first_mut()) {
            lead.style = sign;
        }
    }

    /// What is not known of a part, and why; whether it is known at all.
    pub(crate) fn doubt<T>(&mut self, name: &str, observed: &Observed<T>) -> bool {
        let moment = self.pen.model.moment();
        if let Some(why) = observed.missing(moment) {
            let age = observed.age(moment).map(|age| format!("as of {} ago: ", duration(age.as_secs_f64().floor())));
            let style = if observed.error.is_some() { self.pen.look.warning } else { self.pen.look.dim };
            let lead = if observed.value.is_some() { age.unwrap_or_default() } else { "— ".to_owned() };
            self.field(name, &format!("{lead}{}", sanitise(&why)), style);
        }
        observed.value.is_some()
    }
}
