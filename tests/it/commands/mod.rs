//! The commands as a person types them: what they print, and how they end.

mod exit_codes;
mod flow;
mod receipts;
