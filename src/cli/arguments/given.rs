//! What is given: tables by name, all of them, or a whole grant.

use std::path::PathBuf;

use clap::Args;

use crate::model::table::TableName;

/// Which tables are given.
#[derive(Clone, Debug, Default, Args)]
#[group(multiple = false)]
pub struct GivenTables {
    /// The tables to give, separated by commas
    #[arg(long, value_delimiter = ',', value_name = "TABLES")]
    pub tables: Vec<TableName>,
    /// Give all tables but those withheld by the settings
    #[arg(long)]
    pub all_tables: bool,
    /// A file (JSON or TOML) with the grant: tables, columns, row_filter, limits
    #[arg(long, value_name = "FILE")]
    pub grant: Option<PathBuf>,
}
