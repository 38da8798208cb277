//! Parses the command line, builds the runtime, and maps the result to an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use evenkeel::cli::{Arguments, Exit};

fn main() -> ExitCode {
    // The first caller decides for the process; it can only fail when there was one before.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(err) => {
            let exit = if err.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            // Nobody is left to tell when the pipe is closed.
            let _ = err.print();
            return ExitCode::from(exit.code());
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let exit = match runtime {
        Ok(runtime) => runtime.block_on(evenkeel::cli::run(arguments)),
        Err(_) => Exit::Told,
    };
    ExitCode::from(exit.code())
}
