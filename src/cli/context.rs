//! What every command is given: how to print, and how the daemon is found.

use std::path::PathBuf;

use crate::cli::client::Client;
use crate::cli::exit::Failure;
use crate::cli::print::Output;
use crate::cli::server;
use crate::config::Access;

/// The command line's common part and the environment's.
pub(super) struct Context {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--server`.
    pub server: Option<String>,
    /// `--ca-file`.
    pub ca_file: Option<PathBuf>,
    /// `EVENKEEL_SERVER`, `EVENKEEL_TOKEN`, `EVENKEEL_CA_FILE`, `EVENKEEL_PASSWORD`.
    pub access: Access,
    /// How to print.
    pub output: Output,
}

impl Context {
    /// The daemon: `--server`, `EVENKEEL_SERVER`, else the socket of `--config`, else the default socket.
    pub(super) fn client(&self) -> anyhow::Result<Client> {
        match self.server() {
            Some(server) => server::client(
                server,
                self.access.token.clone(),
                self.config.as_deref(),
                self.ca_file.as_deref().or(self.access.ca_file.as_deref()),
            ),
            None => {
                let socket = crate::config::admin_socket(self.config.as_deref())
                    .map_err(|faults| Failure::usage(faults.to_string()))?;
                Client::over_socket(&socket)
            }
        }
    }

    /// The daemon's URL, when one is named.
    pub(super) fn server(&self) -> Option<&str> {
        self.server.as_deref().or(self.access.server.as_deref())
    }
}
