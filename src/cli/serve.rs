//! `serve`: the daemon itself.

use crate::base::telemetry;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};

/// Runs until the daemon is told to stop.
pub(super) async fn run(context: &Context, standby: bool) -> anyhow::Result<Exit> {
    let config = crate::config::load(context.config.as_deref())
        .map_err(|faults| Failure::usage(faults.to_string()))?;
    telemetry::start(&config.log.level, config.log.format)
        .map_err(|fault| Failure::usage(format!("log.level: {fault}")))?;
    crate::app::serve(config, standby).await?;
    Ok(Exit::Done)
}
