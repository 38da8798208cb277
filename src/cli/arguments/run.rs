//! What a person types about runs: `pull`, `diff`, and `runs …`.

use clap::{Args, Subcommand};

use crate::cli::arguments::PulledTable;
use crate::cli::help;
use crate::model::run::{ConflictStrategy, SyncMode};

/// `pull …`
#[derive(Debug, Args)]
pub struct PullArguments {
    /// The connection's name or id
    pub connection: String,
    /// The tables, separated by spaces; TABLE=DESTINATION where one has another name here
    #[arg(required = true, value_name = "TABLE[=DEST]")]
    pub tables: Vec<PulledTable>,
    /// Which rows may be written: upsert, insert, update or mirror
    #[arg(long, default_value_t, value_name = "MODE")]
    pub mode: SyncMode,
    /// What becomes of rows that differ here: overwrite, skip, merge or newest
    #[arg(long, default_value_t, value_name = "STRATEGY")]
    pub conflict: ConflictStrategy,
    /// The column here by which newest tells which row is later
    #[arg(long, value_name = "COLUMN")]
    pub version_column: Option<String>,
    /// Tell what it would do, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Make tables that are missing here, after showing the statements and asking
    #[arg(long, conflicts_with = "dry_run")]
    pub create: bool,
    /// Write although another connection writes these tables
    #[arg(long)]
    pub shared: bool,
    /// Do not ask before making tables
    #[arg(long)]
    pub yes: bool,
}

/// `diff …`
#[derive(Debug, Args)]
pub struct DiffArguments {
    /// The connection's name or id
    pub connection: String,
    /// The tables, separated by spaces; TABLE=DESTINATION where one has another name here
    #[arg(required = true, value_name = "TABLE[=DEST]")]
    pub tables: Vec<PulledTable>,
    /// Rows listed of each table at most, 1 to 10000
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rows: u32,
}

/// `runs …`
#[derive(Debug, Subcommand)]
pub enum RunCommand {
    /// Show one run and its tables
    Show {
        /// Its id, which may be shortened
        id: String,
    },
    /// Ask a run to stop; what it has committed stays
    Cancel {
        /// Its id, which may be shortened
        id: String,
    },
    /// Show what a run would do that waits for a person, ask, and have it done
    #[command(after_help = help::APPROVE_RUN)]
    Approve {
        /// Its id, which may be shortened
        id: String,
        /// Approve only this plan: a run's `plan_hash`
        #[arg(long, value_name = "HASH")]
        plan: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// The rows that a run found to differ, by key
    Differences {
        /// Its id, which may be shortened
        id: String,
    },
    /// Let `status` tell no more of a run that failed or left rows out
    Dismiss {
        /// Its id, which may be shortened
        id: String,
    },
    /// The rows a run could not write, and why
    Errors {
        /// Its id, which may be shortened
        id: String,
    },
    /// Print what both sites signed of a run's tables, one JSON object a line
    #[command(after_help = help::RECEIPTS)]
    Receipt {
        /// Its id, which may be shortened
        id: String,
    },
}
