//! What a person types after `connect`, `request` and `connections`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::SignedDuration;

use crate::cli::arguments::GivenTables;
use crate::cli::help;
use crate::model::table::TableName;

/// `connect …`
#[derive(Debug, Args)]
pub struct ConnectArguments {
    /// Where the peer is reached, such as `https://hq.example.com`
    pub url: String,
    /// The tables.
    #[command(flatten)]
    pub given: GivenTables,
    /// What to call the connection here [default: the peer's host]
    #[arg(long)]
    pub name: Option<String>,
    /// Wait until the peer's administrator has approved, at most D (30s, 10m, 2h) [default: without end]
    #[arg(long, value_name = "D", num_args = 0..=1, require_equals = true, value_parser = patience)]
    #[expect(
        clippy::option_option,
        reason = "absent, without a bound, and with one"
    )]
    pub wait: Option<Option<SignedDuration>>,
    /// Give nothing to a peer that does not sign its requests
    #[arg(long)]
    pub require_signed: bool,
    /// A file whose first line is the password the peer asks for
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// `request …`
#[derive(Debug, Args)]
pub struct RequestArguments {
    /// Where the peer is reached, such as `https://hq.example.com`
    pub url: String,
    /// The tables this site would like to read, separated by commas [default: the peer chooses]
    #[arg(long, value_delimiter = ',', value_name = "TABLES")]
    pub tables: Vec<TableName>,
    /// What to call the connection here [default: the peer's host]
    #[arg(long)]
    pub name: Option<String>,
    /// Wait until the peer's administrator has decided, at most D (30s, 10m, 2h) [default: without end]
    #[arg(long, value_name = "D", num_args = 0..=1, require_equals = true, value_parser = patience)]
    #[expect(
        clippy::option_option,
        reason = "absent, without a bound, and with one"
    )]
    pub wait: Option<Option<SignedDuration>>,
    /// A file whose first line is the password the peer asks for
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}

/// `connections …`
#[derive(Debug, Subcommand)]
pub enum ConnectionCommand {
    /// Show everything about it
    Show {
        /// Its name or id
        id: String,
    },
    /// Let a pending connection begin
    #[command(after_help = help::APPROVE)]
    Approve {
        /// Its name or id
        id: String,
        /// The tables.
        #[command(flatten)]
        given: GivenTables,
        /// Approve although the peer did not prove who it is
        #[arg(long)]
        unproved: bool,
    },
    /// Print what both sites signed of its tables, newest first, one JSON object a line
    #[command(after_help = help::RECEIPTS)]
    Receipts {
        /// Its name or id
        id: String,
        /// Only of this table, as it is called here
        #[arg(long)]
        table: Option<TableName>,
        /// Receipts at most
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
    },
    /// Turn a pending connection down
    Reject {
        /// Its name or id
        id: String,
    },
    /// Change its name, URL or grant
    #[command(after_help = help::EDIT)]
    Edit {
        /// Its name or id
        id: String,
        /// The new name
        #[arg(long)]
        name: Option<String>,
        /// The new URL
        #[arg(long)]
        url: Option<String>,
        /// The tables.
        #[command(flatten)]
        given: GivenTables,
    },
    /// Halt it until it is reactivated; nothing is pulled meanwhile
    Suspend {
        /// Its name or id
        id: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a suspended connection go on
    Reactivate {
        /// Its name or id
        id: String,
    },
    /// End it for good, but keep it in the list
    Revoke {
        /// Its name or id
        id: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// End it for good and forget it; tables and rows stay
    Delete {
        /// Its name or id
        id: String,
    },
    /// Ask the peer whether it still knows the connection
    Verify {
        /// Its name or id
        id: String,
    },
    /// Change the key with which both sites sign, while everything goes on
    Rotate {
        /// Its name or id
        id: String,
    },
}

/// A span of time above nothing.
fn patience(text: &str) -> Result<SignedDuration, String> {
    text.parse()
        .ok()
        .filter(SignedDuration::is_positive)
        .ok_or_else(|| "write 30s, 10m or 2h".to_owned())
}
