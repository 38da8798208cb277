//! `config default` and `config check`.

use serde_json::json;

use crate::cli::arguments::ConfigCommand;
use crate::cli::context::Context;
use crate::cli::exit::Exit;

/// Prints the defaults, or what is wrong with the settings.
pub(super) fn run(context: &Context, command: ConfigCommand) -> anyhow::Result<Exit> {
    let output = context.output;
    match command {
        ConfigCommand::Default => {
            output.text(crate::config::DEFAULT_TEXT)?;
            Ok(Exit::Done)
        }
        ConfigCommand::Check => match crate::config::load(context.config.as_deref()) {
            Ok(_) if output.json => {
                output.object(&json!({"ok": true}))?;
                Ok(Exit::Done)
            }
            Ok(_) => {
                output.line("ok")?;
                Ok(Exit::Done)
            }
            Err(faults) => {
                for fault in &faults.0 {
                    if output.json {
                        output.object(&json!({"key": fault.key, "place": fault.place, "problem": fault.problem}))?;
                    } else {
                        output.line(&fault.to_string())?;
                    }
                }
                Ok(Exit::Usage)
            }
        },
    }
}
