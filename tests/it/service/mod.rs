//! The installed service: its unit, its rights, what it tells systemd, and the pages that say how to begin and how
//! to operate it.

mod installed;
mod machine;
mod notify;
mod readme;
mod rights;
mod unit;
