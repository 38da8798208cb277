//! `serve`: the daemon itself.

use crate::app::Reloads;
use crate::base::telemetry;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};

/// Runs until the daemon is told to stop.
pub(super) async fn run(context: &Context, standby: bool) -> anyhow::Result<Exit> {
    let file = context.config.clone();
    let loaded = crate::config::load(file.as_deref())
        .map_err(|faults| Failure::usage(faults.to_string()))?;
    let log = telemetry::start(&loaded.live.log_level, loaded.config.log.format)
        .map_err(|fault| Failure::usage(format!("log.level: {fault}")))?;
    crate::app::serve(loaded, Reloads { file, log }, standby).await?;
    Ok(Exit::Done)
}
