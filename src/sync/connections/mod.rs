//! Making, deciding and telling: the life of a connection on this side.
//!
//! Invariant: only our administrator moves `local_status`, only the peer's word moves `remote_status`,
//! and whatever the peer has yet to hear is stored before it is told.

mod address;
mod announce;
mod approve;
mod claims;
mod contact;
mod decide;
mod edit;
mod give;
mod grant;
mod heard;
mod introduce;
mod lookup;
mod moved;
mod name;
mod naming;
mod password;
mod policy;
mod proof;
mod proving;
mod register;
mod request;
mod rotate;
mod take;
mod tell;
mod verify;

pub use approve::{Approval, Proof, approve};
pub use claims::expire_claims;
pub use contact::{note_absence, note_contact, note_no_answer, note_presence};
pub use decide::{decide, delete};
pub(in crate::sync) use edit::checked_name;
pub use edit::{Edit, edit};
pub use give::{NewConnection, give};
pub use heard::{HeardError, Said, Told, hear, hear_deletion, tell_status};
pub use introduce::Introduction;
pub use lookup::{Claim, LookupError, by_token_hash, by_url_and_token_hash, existing};
pub use moved::note_own_url;
pub(in crate::sync) use name::cleaned;
pub use password::hash_password;
pub use policy::{ENABLED_KEY, IncomingPolicy, MODE_KEY, PASSWORD_KEY, incoming_policy};
pub use proof::{Nonces, ProofError, Proved, note_proved, prove};
pub use proving::prove_due;
pub use register::{Registration, RegistrationRefusal, register};
pub use request::{Wish, request};
pub use rotate::{CROSSED, OfferedKey, forget_old_keys, offer_again, rotate, take_offer};
pub use tell::{Healed, heal};
pub use verify::verify;
