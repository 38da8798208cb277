//! Plain values and the rules between them: no IO, no async; `now` is an argument.

pub mod connection;
pub mod filter;
pub mod finding;
pub mod grant;
pub mod id;
pub mod order;
pub mod policy;
pub mod role;
pub mod run;
pub mod schedule;
pub mod sync;
pub mod table;
pub mod url;
pub mod word;
