//! What a person types. Nothing here acts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::cli::help;
use crate::model::role::Role;
use crate::model::table::TableName;
use crate::wire::signing::ReceiptKey;

mod connection;
mod given;
mod run;
mod sync;

pub use connection::{ConnectArguments, ConnectionCommand, RequestArguments};
pub use given::GivenTables;
pub use run::{DiffArguments, PullArguments, RunCommand};
pub use sync::{
    CreateArguments, EditArguments, NewFilter, NewRepair, NewSchedule, PulledTable, SyncCommand,
};

/// Synchronizes database tables between sites that trust each other.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, max_term_width = 100, after_help = help::EVENKEEL)]
pub struct Arguments {
    /// Settings of the daemon [default: /etc/evenkeel/evenkeel.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object a line instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// The daemon to talk to, with EVENKEEL_TOKEN [default: EVENKEEL_SERVER, else the socket of --config]
    #[arg(long, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// Authorities, besides the system's, that may vouch for --server https://... [default: EVENKEEL_CA_FILE]
    #[arg(long, global = true, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the daemon
    Serve {
        /// With a PostgreSQL state: wait while another daemon is active, then take over
        #[arg(long)]
        standby: bool,
    },
    /// Show two sites on this machine finding each other and pulling real tables
    Demo {
        /// Leave both sites running until Ctrl-C
        #[arg(long)]
        keep: bool,
    },
    /// The settings: print the defaults, check what is set
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Tokens for the admin API
    #[command(subcommand)]
    Token(TokenCommand),
    /// Give tables of this site to the site at URL
    #[command(after_help = help::CONNECT)]
    Connect(ConnectArguments),
    /// Ask the site at URL to let this one read its tables
    #[command(after_help = help::REQUEST)]
    Request(RequestArguments),
    /// List connections, or act on one
    Connections {
        /// What to do; lists all when absent.
        #[command(subcommand)]
        command: Option<ConnectionCommand>,
    },
    /// The tables of a connection: the peer's beside ours, or what the peer sees
    #[command(after_help = help::TABLES)]
    Tables {
        /// Its name or id
        connection: String,
    },
    /// A table's columns as the connection shows them
    Schema {
        /// The connection's name or id
        connection: String,
        /// The table
        table: TableName,
    },
    /// The first rows of a table as the connection shows them
    Records {
        /// The connection's name or id
        connection: String,
        /// The table
        table: TableName,
        /// Rows at most, 1 to 100
        #[arg(long, default_value_t = 10, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
    },
    /// Pull tables once, and wait for the end
    #[command(after_help = help::PULL)]
    Pull(PullArguments),
    /// What differs between the peer's tables and ours; changes nothing
    #[command(after_help = help::DIFF)]
    Diff(DiffArguments),
    /// Tables that are pulled by themselves, on a schedule
    #[command(subcommand)]
    Sync(Box<SyncCommand>),
    /// List runs, or act on one
    Runs {
        /// What to do; lists the newest when absent.
        #[command(subcommand)]
        command: Option<RunCommand>,
    },
    /// Check receipts offline: that both sites signed them, and that their sums add up
    #[command(after_help = help::VERIFY_RECEIPT)]
    VerifyReceipt(VerifyReceiptArguments),
    /// Settings that change while the daemon runs
    Settings {
        /// What to do; shows them when absent.
        #[command(subcommand)]
        command: Option<SettingsCommand>,
    },
    /// What is late, failed, waiting, quarantined or unreachable
    #[command(after_help = help::STATUS)]
    Status,
    /// Check the set-up
    Doctor,
}

/// `config …`
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the commented file with every key and its default
    Default,
    /// Print `ok`, or every fault of the settings
    Check,
}

/// `token …`
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it, once
    #[command(after_help = help::TOKEN)]
    Create {
        /// What it may do: admin, operator or viewer
        #[arg(long)]
        role: Role,
        /// Who or what it is for
        #[arg(long)]
        name: String,
        /// When it stops working: 90d, 12h, a date (its first moment in UTC) or a time [default: never]
        #[arg(long, value_name = "D")]
        expires: Option<String>,
    },
    /// List the tokens
    List,
    /// Revoke a token
    Revoke {
        /// Its id, which may be shortened, or its name
        id: String,
    },
}

/// `verify-receipt …`
#[derive(Debug, Args)]
pub struct VerifyReceiptArguments {
    /// What `runs receipt` printed; - is standard input
    pub file: PathBuf,
    /// The public key of the site that gave, as you know it from elsewhere
    #[arg(long, value_name = "KEY", value_parser = public_key)]
    pub source_key: Option<String>,
    /// The public key of the site that received
    #[arg(long, value_name = "KEY", value_parser = public_key)]
    pub destination_key: Option<String>,
}

fn public_key(text: &str) -> Result<String, String> {
    if ReceiptKey::is_public(text) {
        Ok(text.to_owned())
    } else {
        Err("it is no Ed25519 public key in base64 (44 characters)".to_owned())
    }
}

/// `settings …`
#[derive(Debug, Subcommand)]
pub enum SettingsCommand {
    /// Change one: enabled, incoming_mode or incoming_password
    #[command(after_help = help::SETTINGS)]
    Set {
        /// Which
        key: String,
        /// To what; a password is asked for instead, and "" removes it
        value: Option<String>,
        /// A file whose first line is the password
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::Arguments;

    #[test]
    fn the_arguments_fit_together() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_the_documents_show_is_understood() {
        for line in [
            "serve --standby",
            "demo --keep",
            "config default",
            "--config /x.toml config check",
            "token create --role admin --name backup --expires 90d",
            "token list --json",
            "connect https://hq.example.com --tables orders,items,shop.prices --name hq",
            "connect https://hq.example.com --all-tables --wait",
            "connect https://hq.example.com --all-tables --wait=10m",
            "connect https://hq.example.com --all-tables --require-signed",
            "request https://hq.example.com --tables orders,items --name hq --wait=10m",
            "connections",
            "connections approve hq --tables a,b --unproved",
            "connections edit hq --name hq2",
            "connections edit hq --grant hq.toml",
            "connections revoke hq --reason done",
            "connections rotate hq",
            "tables hq",
            "schema hq orders",
            "records hq orders --limit 3",
            "pull hq orders items=hq_items --create --mode insert --conflict skip --shared --yes --json",
            "pull hq orders --mode mirror --dry-run",
            "pull hq orders --conflict newest --version-column changed_at",
            "diff hq orders items=hq_items --rows 100",
            "runs errors 0193",
            "runs differences 0193",
            "runs approve 0193",
            "runs approve 0193 --plan 5f00 --yes",
            "runs dismiss 0193",
            "runs receipt 0193",
            "verify-receipt receipts.json",
            "verify-receipt - --source-key 11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
            "connections receipts hq --table orders --limit 5",
            "sync create nightly --from hq --table orders --table items=hq_items --schedule daily@06:00 --timezone Europe/Berlin",
            "sync create week --from hq --table orders --schedule weekly:monday@06:00 --mode insert --conflict skip --shared",
            "sync create heal --from hq --table orders --mode mirror --compare-schedule daily@04:00 --repair 500 --guard 5%",
            "sync edit heal --compare-schedule none --repair none --guard 5%,1000",
            "sync preview heal",
            "sync list --json",
            "sync edit nightly --schedule none --shared=false",
            "sync trigger nightly",
            "settings set incoming_mode deny_all",
            "status --server http://127.0.0.1:7441",
            "doctor",
        ] {
            let words = ["evenkeel"].into_iter().chain(line.split(' '));
            if let Err(err) = Arguments::try_parse_from(words) {
                panic!("{line}: {err}");
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            "",
            "pull hq",
            "pull hq orders --mode replace",
            "pull hq orders --dry-run --create",
            "diff hq",
            "diff hq orders --rows 0",
            "sync create nightly --from hq --table orders --guard 101%",
            "connect https://a --all-tables --wait=10",
            "connect https://a --tables x --all-tables",
            "connect https://a --tables x --grant y.json",
            "records hq orders --limit 0",
            "sync create nightly --from hq",
            "sync create nightly --from hq --table orders --schedule yearly",
            "token create --role root --name x",
            "verify-receipt receipts.json --source-key 11qYAYKxCrfVS",
        ] {
            let words = ["evenkeel"].into_iter().chain(line.split_whitespace());
            assert!(Arguments::try_parse_from(words).is_err(), "{line}");
        }
    }
}
