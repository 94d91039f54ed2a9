//! The console's state: model, messages, the pure update function, the one key table, effects as values.
//!
//! Knows the domain only. It draws nothing (that is `ui`), asks nothing of any server and reads no clock: time, data and
//! keys come in as [`Message`]s, and what the world should do comes out as [`Effect`]s.

use std::time::Duration;

use crate::domain::operation::Offer;
use crate::domain::policy::{BackupPolicy, Thresholds};

mod arrange;
pub mod backups;
pub mod chooser;
mod clip;
pub mod columns;
mod dialog;
mod export;
pub mod figures;
pub mod filter;
mod fold;
pub mod form;
mod homes;
pub mod incident;
pub mod inspect;
pub mod instances;
pub mod keys;
pub mod list;
pub mod locks;
pub mod logs;
mod message;
mod model;
mod navigate;
mod offers;
pub mod operations;
pub mod palette;
mod pane;
mod past;
mod pointer;
pub mod preferences;
mod restorable;
mod seen;
pub mod statements;
pub mod table;
pub mod tables;
pub mod theme;
pub mod timeline;
mod update;
pub mod wizard;

pub use arrange::Columns;
pub use dialog::told;
pub use figures::{Figures, InstanceTab};
pub use fold::along;
pub use homes::HomeTables;
pub use keys::{Binding, Command, Context, bindings};
pub use message::{Document, Effect, Exit, Message, Report, Span, Viewport};
pub use model::{
    Fleet, FleetFocus, Held, Kept, Mode, Model, Notice, Prompt, Scroll, SessionId, TenantPage, TenantTab, View, Worst,
};
pub use offers::{Choice, Offers};
pub use operations::{OperationColumn, Works};
pub use pane::Pane;
pub use past::Looking;
pub use pointer::{Spot, Target};
pub use preferences::{Preferences, TablePreferences};
pub use seen::{Seen, is_seen};
pub use theme::Theme;
pub use timeline::Timeline;
pub use wizard::{Confirm, Opened, Page};

/// Why nothing can be done here, and what would let it.
pub const READ_ONLY: &str =
    "read-only: start it with --allow-actions, or set allow_actions = true in the configuration";

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
    /// Whose word it is when a finding is acknowledged: login name and host.
    pub operator: String,
    /// How long everything must have been looked at before it can be called fine.
    pub look: Duration,
    /// How long a session may wait for a lock before that is told.
    pub lock_wait: Duration,
    /// What can be asked for.
    pub offers: Vec<Offer>,
    /// What backups should be like.
    pub backup: BackupPolicy,
    /// What signals compare with: screens draw and colour by the same.
    pub thresholds: Thresholds,
}

impl Settings {
    /// Whether this is where it hurts most.
    pub fn is_production(&self) -> bool {
        self.environment.to_lowercase().contains("prod")
    }
}
