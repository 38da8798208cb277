//! What a person types: one file per command group, all talking to the daemon through the admin API.
//!
//! `arguments` parses, `context` finds the daemon, `client` speaks to it, `print` alone writes to stdout.
//! Only `serve`, `config`, `token`, `verify-receipt` and `demo` do without a running daemon.

mod arguments;
mod client;
mod config;
mod connect;
mod connections;
mod context;
mod demo;
mod differences;
mod doctor;
mod exit;
mod fields;
mod grants;
mod help;
mod owner;
mod password;
mod print;
mod progress;
mod pull;
mod receipts;
mod report;
mod request;
mod resolve;
mod runs;
mod serve;
mod server;
mod settings;
mod status;
mod sync;
mod tables;
mod token;

use std::io;

use arguments::Command;
use context::Context;
use print::Output;

pub use arguments::Arguments;
pub use exit::{Exit, Failure};

/// Runs one command, tells what went wrong on stderr, and says how the process ends.
pub async fn run(arguments: Arguments) -> Exit {
    let output = Output::of_process(arguments.json);
    match dispatch(arguments, output).await {
        Ok(exit) => exit,
        Err(err) if is_closed_pipe(&err) => Exit::Done,
        Err(err) => {
            output.note(&format!("error: {}", told(&err)));
            err.downcast_ref::<Failure>()
                .map_or(Exit::Told, |failure| failure.exit)
        }
    }
}

async fn dispatch(arguments: Arguments, output: Output) -> anyhow::Result<Exit> {
    let context = Context {
        config: arguments.config,
        server: arguments.server,
        ca_file: arguments.ca_file,
        access: crate::config::access(),
        output,
    };
    match arguments.command {
        Command::Serve { standby } => serve::run(&context, standby).await,
        Command::Demo { keep } => demo::run(output, keep).await,
        Command::Config(command) => config::run(&context, command),
        Command::Token(command) => token::run(&context, command).await,
        Command::Connect(arguments) => connect::run(&context, arguments).await,
        Command::Request(arguments) => request::run(&context, arguments).await,
        Command::Connections { command } => connections::run(&context, command).await,
        Command::Tables { connection } => tables::tables(&context, &connection).await,
        Command::Schema { connection, table } => {
            tables::schema(&context, &connection, &table).await
        }
        Command::Records {
            connection,
            table,
            limit,
        } => tables::records(&context, &connection, &table, limit).await,
        Command::Pull(arguments) => pull::run(&context, arguments).await,
        Command::Diff(arguments) => differences::diff(&context, arguments).await,
        Command::Sync(command) => sync::run(&context, *command).await,
        Command::Runs { command } => runs::run(&context, command).await,
        Command::VerifyReceipt(arguments) => receipts::verify(output, &arguments),
        Command::Settings { command } => settings::run(&context, command).await,
        Command::Status => status::run(&context).await,
        Command::Doctor => doctor::run(&context).await,
    }
}

/// The error and its causes, each said once: some messages hold their cause's words already.
fn told(err: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in err.chain().map(ToString::to_string) {
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

/// Whoever read our output has had enough, as `head` does.
fn is_closed_pipe(err: &anyhow::Error) -> bool {
    err.downcast_ref::<io::Error>()
        .is_some_and(|err| err.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context as _;

    use super::told;

    #[test]
    fn a_cause_is_said_once() {
        let cause = || io::Error::other("port taken");
        let again = Err::<(), _>(cause()).context("listen: port taken");
        assert_eq!(told(&again.unwrap_err()), "listen: port taken");
        let apart = Err::<(), _>(cause()).context("listen");
        assert_eq!(told(&apart.unwrap_err()), "listen: port taken");
    }
}
