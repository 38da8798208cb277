//! Plain values and the rules between them: no IO, no async; `now` is an argument.

pub mod absence;
pub mod alert;
pub mod connection;
pub mod difference;
pub mod drift;
pub mod fault;
pub mod filter;
pub mod finding;
pub mod grant;
pub mod guard;
pub mod id;
pub mod order;
pub mod outcome;
pub mod policy;
pub mod repair;
pub mod role;
pub mod rotation;
pub mod run;
pub mod schedule;
pub mod standing;
pub mod sync;
pub mod table;
pub mod trouble;
pub mod url;
pub mod word;

#[cfg(test)]
pub(crate) mod fixture;
