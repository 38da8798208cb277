//! Structured logs on stderr.

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Added to every level: what these libraries tell at `info` is of no use to an operator.
const QUIET: &str = "sqlx=warn,hyper=warn,reqwest=warn,h2=warn,rustls=warn";

/// The level of a log that runs.
pub struct LogLevel(Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>);

impl LogLevel {
    /// Logs by `level` from now on.
    ///
    /// # Errors
    /// The directive's fault, in words; the level is then as it was.
    pub fn set(&self, level: &str) -> Result<(), String> {
        self.0(filter(level)?)
    }
}

/// Starts logging once for the process; `level` is an `EnvFilter` directive such as `info`.
///
/// # Errors
/// The directive's fault, in words.
pub fn start(level: &str, format: LogFormat) -> Result<LogLevel, String> {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter(level)?)
        .with_writer(std::io::stderr);
    let words = |err: &dyn std::fmt::Display| err.to_string();
    Ok(LogLevel(match format {
        LogFormat::Text => {
            let lines = lines.with_ansi(false).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.try_init().map_err(|err| words(&err))?;
            Box::new(move |filter| handle.reload(filter).map_err(|err| words(&err)))
        }
        LogFormat::Json => {
            let lines = lines.json().with_filter_reloading();
            let handle = lines.reload_handle();
            lines.try_init().map_err(|err| words(&err))?;
            Box::new(move |filter| handle.reload(filter).map_err(|err| words(&err)))
        }
    }))
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(format!("{level},{QUIET}")).map_err(|err| err.to_string())
}
