//! `POST /connections/{id}/pull` and the command `pull`: real tables between real sites.

mod altered;
mod bad_input;
mod bad_peer;
mod bad_store;
mod create;
mod filter;
mod first_copy;
mod flights;
mod folded;
mod followed;
mod keyless;
mod kill;
mod mapping;
mod modes;
mod plans;
mod receipts;
mod rights;
mod runs;
mod side_by_side;
mod wide_keys;
