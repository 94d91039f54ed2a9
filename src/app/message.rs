//! What comes into the console and what goes out of it.

use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{KeyEvent, MouseEvent};
use jiff::Timestamp;

use super::model::SessionId;
use super::pointer::Spot;
use super::preferences::Preferences;
use super::theme::Theme;
use crate::domain::facts::TableDebt;
use crate::domain::facts::cloud::{LogEntry, Metrics};
use crate::domain::history::{Curve, Stretch, Whose};
use crate::domain::inspection::{HomeInquiry, Inquiry, Plan, PlanInquiry, SessionLocks};
use crate::domain::operation::{Operation, OperationList, Request, Wish};
use crate::domain::playback::{Order, Playback, Taping};
use crate::domain::watching::{FigureInquiry, Known, LogInquiry};
use crate::domain::{Acknowledgement, Snapshot};

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Message {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse was clicked, or its wheel turned.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// A newer picture.
    Snapshot(Arc<Snapshot>),
    /// Time passed: it is now this.
    Tick(Timestamp),
    /// An effect came to an end.
    Report(Report),
    /// A frame was drawn, with so much room.
    Drawn(Viewport),
}

/// Something that the world should do; carried out by whoever runs the loop, who must not block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Put this text on the clipboard.
    Copy(String),
    /// Ask for sessions this often from now on.
    Refresh(Duration),
    /// Keep that somebody knows of a finding. `by` may be left empty: whoever carries it out knows who works here.
    Acknowledge(Acknowledgement),
    /// Take back what was said about a finding.
    Unacknowledge(Acknowledgement),
    /// Look up the stored history; answered with [`Report::History`].
    History {
        /// Whose.
        whose: Whose,
        /// How far back.
        stretch: Stretch,
        /// From when.
        now: Timestamp,
    },
    /// Begin a recording, or end the one that runs.
    Record,
    /// Do this with the recording that is played.
    Play(Order),
    /// Ask which locks this session holds; answered by [`Report::Locks`].
    Locks(Inquiry),
    /// Ask how the server would carry out this statement; answered by [`Report::Plan`].
    Plan(Box<PlanInquiry>),
    /// Ask for all tables of this tenant; answered by [`Report::Tables`].
    Tables(HomeInquiry),
    /// Ask CloudWatch for figures; answered by [`Report::Figures`].
    Figures(FigureInquiry),
    /// Follow this log and no other, or none; each look is told by [`Report::Log`].
    Tail(Option<LogInquiry>),
    /// Write this file.
    Save(Document),
    /// Keep these choices for the next time.
    Keep(Preferences),
    /// Listen to the mouse, or leave it to the terminal.
    Mouse(bool),
    /// Ask which operations there are; answered by [`Report::Operations`].
    Operations,
    /// Ask for a plan, under a number; answered by [`Report::Prepared`].
    Prepare(u64, Request),
    /// Carry out a plan that was shown, approved by what was typed; [`Report::Operation`] tells how it goes.
    Start {
        /// Its name.
        id: String,
        /// What was typed.
        typed: String,
    },
    /// Go on with an operation that was begun, undo it, or leave it as it is.
    GoOn {
        /// Its name.
        id: String,
        /// Which way.
        wish: Wish,
        /// Whether it is taken from somebody who fell silent: its name was typed.
        take_over: bool,
    },
    /// Pause an operation that is carried out here, after the step that is at work.
    PauseAfterStep(String),
    /// Ask where an operation stands; answered by [`Report::Operation`].
    Follow(String),
    /// The terminal's title; `None`: as it was.
    Title(Option<String>),
    /// Ring: somebody is needed.
    Bell,
    /// Leave.
    Quit,
}

/// A file to be written for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where: as it was typed.
    pub path: String,
    /// What stands in it.
    pub text: Arc<str>,
    /// What it holds, in words for the notice.
    pub what: String,
    /// Whether one that is there already may be replaced.
    pub replace: bool,
}

/// What became of an effect, or of something that is watched beside the loop: one line for the operator, or what was asked
/// for. Safe to print.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// It worked.
    Done(String),
    /// It did not, and why.
    Failed(String),
    /// The stored history of somebody.
    History(Arc<Curve>),
    /// A recording that is being made, or `None` when there is none any more.
    Taping(Option<Taping>),
    /// Where the recording stands that is played.
    Playback(Playback),
    /// The locks of a session, or why they are not known.
    Locks(SessionId, Result<SessionLocks, String>),
    /// The plan of a session's statement, or why there is none.
    Plan(SessionId, Result<Box<Plan>, String>),
    /// All operations.
    Operations(OperationList),
    /// The plan that was asked for under that number, or why there is none.
    Prepared(u64, Result<Box<Operation>, Vec<String>>),
    /// Where an operation stands.
    Operation(Box<Operation>),
    /// What was asked of that operation was refused: why.
    Refused(String, Vec<String>),
    /// The tables of a tenant, or why they are not known.
    Tables(HomeInquiry, Result<Vec<TableDebt>, String>),
    /// Figures that were asked for, or why there are none.
    Figures(FigureInquiry, Result<Arc<Metrics>, String>),
    /// What was written to a log since the last look, or why that is not known.
    Log(Known, Result<Vec<LogEntry>, String>),
    /// A file of that name is there already; nothing was written.
    Exists(Document),
    /// The themes there are now, and what is wrong with others.
    Themes(Vec<Theme>, Option<String>),
}

/// Why the console ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The operator left.
    Quit,
    /// The input was closed: the terminal is gone.
    InputClosed,
    /// A signal asked for it.
    Signal(i32),
    /// A part of the program panicked, and the terminal was given back to say so.
    Panicked,
}

/// How a list was drawn: its first visible row, and how many there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Span {
    /// First visible row.
    pub top: usize,
    /// Rows that fit.
    pub page: usize,
}

/// How much room the newest frame had; scrolling by pages needs it, and lists keep their place by it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Viewport {
    /// The list that the cursor moves in.
    pub list: Option<Span>,
    /// Text that scrolls: its first line and height.
    pub text: Option<Span>,
    /// All lines of that text.
    pub lines: usize,
    /// What can be pointed at, the topmost last.
    pub spots: Vec<Spot>,
}
