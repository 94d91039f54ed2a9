//! What this product talks about, as plain values: tenants, instances, sessions, limits, findings, the snapshot.
//!
//! Pure: nothing here reads a clock, a file or a socket, and nothing here knows the other rooms. What the sources
//! deliver is in [`facts`]; what screens and documents are made from is in [`snapshot`].

pub mod acknowledgement;
pub mod chart;
pub mod facts;
pub mod finding;
pub mod foreign;
pub mod history;
pub mod identifier;
pub mod ids;
pub mod inspection;
pub mod lock_graph;
pub mod observed;
pub mod operation;
pub mod playback;
pub mod policy;
pub mod prices;
pub mod psql;
pub mod quantity;
pub mod record;
pub mod server_log;
pub mod session;
pub mod snapshot;
pub mod spelling;
pub mod statement;
pub mod tenant;
pub mod watching;

pub use acknowledgement::{Acknowledgement, Attention};
pub use finding::{Evidence, Finding, Onset, Severity, Signal, Subject, SubjectKind, Unit, Unknown};
pub use foreign::Foreign;
pub use ids::{InstanceName, Naming, TenantId};
pub use observed::Observed;
pub use policy::{Limits, Policy, Thresholds};
pub use record::{Past, Record, Records, Standing};
pub use session::{Attribution, Session, SessionKey, SessionState};
pub use snapshot::{Instance, Layout, Snapshot, Tier};
pub use statement::{TenantStatements, TopStatement};
pub use tenant::Tenant;
