//! What a person types after `connections`.

use clap::Subcommand;

use crate::cli::arguments::GivenTables;
use crate::cli::help;

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
