//! The installed service: its unit, its rights, what it tells systemd, and the page that says how to operate it.

mod installed;
mod machine;
mod notify;
mod rights;
mod unit;
