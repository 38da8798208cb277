//! Giving: what a peer may see of this site's tables, and the stream of their rows.
//!
//! Knows the case, neither HTTP nor SQL. Invariant: every name a peer sends is looked up in the catalogue, and what is
//! read is what the catalogue calls it, after the grant was asked about that very name.

mod access;
mod cursor;
mod fault;
mod filter;
mod framing;
mod gaps;
mod history;
mod life;
mod limits;
mod places;
mod pull;
mod records;
mod schema;
mod sending;
mod session_fault;
mod sessions;
mod sieve;
mod sorted;
mod stream;
mod tables;
mod told;
mod usage;
mod view;

pub use access::{Admitted, Asking, ClientKind, admit};
pub use fault::{FilterFault, ServeError};
pub use filter::{KeyFilter, WantedRows};
pub use gaps::gaps;
pub use life::Ending;
pub use limits::{LimitFault, check_request};
pub use pull::{PullOrder, PulledRows, pull_rows};
pub use records::{JsonRows, RecordsPage, given_records, visible_records};
pub use schema::{PublishedColumn, PublishedSchema, VisibleSchema, visible_schema};
pub use session_fault::SessionFault;
pub use sessions::{
    SessionStream, Sessions, TallyAnswer, TallyOrder, WantedInSession, answer_tally, close_session,
    open_session, open_session_stream, renew_session,
};
pub use stream::{StreamOrder, open_stream};
pub use tables::{VisibleColumn, VisibleTable, visible_tables};
pub use usage::DailyUsage;
