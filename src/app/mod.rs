//! The console's state: model, messages, the pure update function, the one key table, effects as values.
//!
//! Knows the domain only. It draws nothing (that is `ui`), asks nothing of any server and reads no clock: time, data and
//! keys come in as [`Message`]s, and what the world should do comes out as [`Effect`]s.

use std::time::Duration;

mod clip;
pub mod columns;
pub mod filter;
pub mod inspect;
pub mod keys;
pub mod list;
pub mod locks;
mod message;
mod model;
mod navigate;
pub mod palette;
mod past;
pub mod table;
pub mod tables;
mod update;

pub use keys::{Binding, Command, Context, bindings};
pub use message::{Effect, Exit, Message, Report, Span, Viewport};
pub use model::{
    Fleet, FleetFocus, Kept, Mode, Model, Notice, Prompt, Scroll, SessionId, TenantPage, TenantTab, View, Worst,
};
pub use past::Looking;

/// What the console is told of the configuration; it never sees the rest.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `environment`: how loud the header is.
    pub environment: String,
    /// Whether actions are refused.
    pub read_only: bool,
    /// How often sessions are asked for; `[` and `]` change it.
    pub refresh: Duration,
    /// Names of the configured instances, for the first frame.
    pub instances: Vec<String>,
    /// Every signal with one line about it, for the help.
    pub signals: Vec<(&'static str, &'static str)>,
    /// Which theme to start with.
    pub theme: Theme,
}

impl Settings {
    /// Whether this is where it hurts most.
    pub fn is_production(&self) -> bool {
        self.environment.to_lowercase().contains("prod")
    }
}

/// Which colours to draw with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// For a dark terminal.
    #[default]
    Dark,
    /// For a light terminal.
    Light,
    /// No colour at all.
    Plain,
}

impl Theme {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dark, Self::Light, Self::Plain];

    /// Its name in the palette.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::Plain => "plain",
        }
    }
}
