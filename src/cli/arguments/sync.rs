//! `sync …`: what a person types about syncs.

use std::str::FromStr;

use clap::{Args, Subcommand};

use crate::cli::help;
use crate::model::drift::Budget;
use crate::model::filter::Filter;
use crate::model::guard::Guard;
use crate::model::order::TableOrder;
use crate::model::run::{ConflictStrategy, SyncMode};
use crate::model::schedule::Schedule;
use crate::model::table::TableName;

/// `sync …`
#[derive(Debug, Subcommand)]
pub enum SyncCommand {
    /// Define a sync: which tables are pulled by itself, how and when
    #[command(after_help = help::SYNC)]
    Create(CreateArguments),
    /// List the syncs
    List,
    /// Show everything about one
    Show {
        /// Its name or id
        id: String,
    },
    /// Change a sync; what is not named stays
    #[command(after_help = help::SYNC)]
    Edit(EditArguments),
    /// Delete a sync; tables, rows and history stay
    Delete {
        /// Its name or id
        id: String,
    },
    /// Halt it until it is resumed; a run under way goes on
    Pause {
        /// Its name or id
        id: String,
    },
    /// Let it go on with its next planned time, also after a fault that stopped it
    Resume {
        /// Its name or id
        id: String,
    },
    /// Find out what running it would do, for somebody to approve
    Preview {
        /// Its name or id
        id: String,
    },
    /// Run it now, and wait for the end
    Trigger {
        /// Its name or id
        id: String,
    },
}

/// `sync create …`
#[derive(Debug, Args)]
pub struct CreateArguments {
    /// What to call it
    pub name: String,
    /// The connection to pull from: its name or id
    #[arg(long, value_name = "CONNECTION")]
    pub from: String,
    /// A table, or TABLE=DESTINATION where it has another name here; once for each table
    #[arg(long = "table", value_name = "T[=DEST]", required = true)]
    pub tables: Vec<PulledTable>,
    /// Which rows may be written: upsert, insert, update or mirror
    #[arg(long, default_value_t, value_name = "MODE")]
    pub mode: SyncMode,
    /// What becomes of rows that differ here: overwrite, skip, merge or newest
    #[arg(long, default_value_t, value_name = "STRATEGY")]
    pub conflict: ConflictStrategy,
    /// The column here, of each table, by which newest tells which row is later
    #[arg(long, value_name = "COLUMN")]
    pub version_column: Option<String>,
    /// When it runs by itself: hourly, daily@06:00, weekly:monday@06:00, or cron [default: by hand only]
    #[arg(long, value_name = "S")]
    pub schedule: Option<Schedule>,
    /// When it compares besides, written like --schedule [default: never]
    #[arg(long, value_name = "S")]
    pub compare_schedule: Option<Schedule>,
    /// How much of what drifted it repairs by itself: rows, or none [default: 1000]
    #[arg(long, value_name = "ROWS", value_parser = repair)]
    pub repair: Option<NewRepair>,
    /// How much a mirror deletes by itself within a day: a share of the table, rows, or both [default: 10%,10000]
    #[arg(long, value_name = "P%,ROWS", value_parser = guard)]
    pub guard: Option<Guard>,
    /// The time zone of both schedules, such as Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// Only rows that pass, of each table: {"column": "branch", "op": "=", "value": 7}
    #[arg(long, value_name = "JSON", value_parser = Filter::from_json)]
    pub filter: Option<Filter>,
    /// Write although another connection writes these tables
    #[arg(long)]
    pub shared: bool,
}

/// `sync edit …`
#[derive(Debug, Args)]
pub struct EditArguments {
    /// Its name or id
    pub id: String,
    /// The new name
    #[arg(long)]
    pub name: Option<String>,
    /// The new connection to pull from: its name or id
    #[arg(long, value_name = "CONNECTION")]
    pub from: Option<String>,
    /// A table, or TABLE=DESTINATION; together the whole new list
    #[arg(long = "table", value_name = "T[=DEST]")]
    pub tables: Vec<PulledTable>,
    /// Which rows may be written: upsert, insert, update or mirror
    #[arg(long, value_name = "MODE")]
    pub mode: Option<SyncMode>,
    /// What becomes of rows that differ here: overwrite, skip, merge or newest
    #[arg(long, value_name = "STRATEGY")]
    pub conflict: Option<ConflictStrategy>,
    /// The column here, of each table, by which newest tells which row is later
    #[arg(long, value_name = "COLUMN")]
    pub version_column: Option<String>,
    /// When it runs by itself: hourly, daily@06:00, weekly:monday@06:00, cron, or none (by hand only)
    #[arg(long, value_name = "S")]
    pub schedule: Option<NewSchedule>,
    /// When it compares besides, written like --schedule, or none (never)
    #[arg(long, value_name = "S")]
    pub compare_schedule: Option<NewSchedule>,
    /// How much of what drifted it repairs by itself: rows, or none
    #[arg(long, value_name = "ROWS", value_parser = repair)]
    pub repair: Option<NewRepair>,
    /// How much a mirror deletes by itself within a day: a share of the table, rows, or both
    #[arg(long, value_name = "P%,ROWS", value_parser = guard)]
    pub guard: Option<Guard>,
    /// The time zone of the schedules, such as Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// Only rows that pass, of each table, or none (all rows)
    #[arg(long, value_name = "JSON", value_parser = new_filter)]
    pub filter: Option<NewFilter>,
    /// Whether it writes although another connection writes these tables: true or false
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub shared: Option<bool>,
}

/// A table to pull as a command names it: `T` or `T=DEST`.
#[derive(Clone, Debug)]
pub struct PulledTable(pub TableOrder);

impl FromStr for PulledTable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = |text: &str| text.parse::<TableName>();
        // A quoted name may hold the sign itself.
        let (source, destination) = match text.split_once('=') {
            Some((source, destination)) if name(source).is_ok() || !text.starts_with('"') => {
                (source, Some(destination))
            }
            _ => (text, None),
        };
        let fault = |err: crate::model::table::InvalidTableName| err.to_string();
        let mut table = TableOrder::of(name(source).map_err(fault)?);
        table.destination_table = destination.map(name).transpose().map_err(fault)?;
        Ok(Self(table))
    }
}

/// A schedule, or that there is none.
#[derive(Clone, Debug)]
pub enum NewSchedule {
    /// By hand only.
    None,
    /// By itself.
    Is(Schedule),
}

impl FromStr for NewSchedule {
    type Err = crate::model::schedule::InvalidSchedule;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self::None);
        }
        text.parse().map(Self::Is)
    }
}

/// How much is repaired, or that nothing is.
#[derive(Clone, Copy, Debug)]
pub enum NewRepair {
    /// Nothing.
    None,
    /// As much.
    Is(Budget),
}

fn repair(text: &str) -> Result<NewRepair, String> {
    if text == "none" {
        return Ok(NewRepair::None);
    }
    let rows = text
        .parse()
        .map_err(|_| "write a number of rows, or none".to_owned())?;
    Ok(NewRepair::Is(Budget {
        rows,
        ..Budget::default()
    }))
}

/// `5%`, `1000` or `5%,1000`; what is not said is as if nothing were.
fn guard(text: &str) -> Result<Guard, String> {
    let mut guard = Guard::default();
    for part in text.split(',') {
        let read = match part.strip_suffix('%') {
            Some(share) => share.parse().map(|percent| guard.percent = percent),
            None => part.parse().map(|rows| guard.rows = rows),
        };
        if read.is_err() || guard.percent > 100 {
            return Err("write 5%, 1000 or 5%,1000".to_owned());
        }
    }
    Ok(guard)
}

/// A filter, or that there is none.
#[derive(Clone, Debug)]
pub enum NewFilter {
    /// All rows.
    None,
    /// Rows that pass.
    Is(Filter),
}

fn new_filter(text: &str) -> Result<NewFilter, crate::model::filter::InvalidFilter> {
    if text == "none" {
        return Ok(NewFilter::None);
    }
    Filter::from_json(text).map(NewFilter::Is)
}

#[cfg(test)]
mod tests {
    use super::{Guard, PulledTable, guard};

    #[test]
    fn a_guard_is_a_share_or_rows_or_both() {
        let default = Guard::default();
        for (text, percent, rows) in [
            ("5%", 5, default.rows),
            ("0", default.percent, 0),
            ("100%,7", 100, 7),
        ] {
            assert_eq!(guard(text), Ok(Guard { percent, rows }), "{text}");
        }
        for wrong in ["", "%", "101%", "5%,", "-1", "5%;7"] {
            assert!(guard(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_table_may_go_elsewhere() {
        let read = |text: &str| text.parse::<PulledTable>().map(|table| table.0);
        let plain = read("shop.orders").unwrap();
        assert_eq!(plain.destination_table, None);
        let elsewhere = read("orders=berlin.orders").unwrap();
        assert_eq!(elsewhere.source_table.to_string(), "orders");
        assert_eq!(elsewhere.destination().to_string(), "berlin.orders");
        assert_eq!(read("\"a=b\"").unwrap().source_table.name, "a=b");
        for wrong in ["", "=b", "a=", "a=b.c.d"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
