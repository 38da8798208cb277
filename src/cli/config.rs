//! `config default` and `config check`.

use serde_json::{Value, json};

use crate::cli::arguments::ConfigCommand;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::config::ConfigFault;

/// Prints the defaults, or what is wrong with the settings.
pub(super) fn run(context: &Context, command: ConfigCommand) -> anyhow::Result<Exit> {
    let output = context.output;
    match command {
        ConfigCommand::Default => {
            output.text(crate::config::DEFAULT_TEXT)?;
            Ok(Exit::Done)
        }
        ConfigCommand::Check => match crate::config::load(context.config.as_deref()) {
            Ok(loaded) if output.json => {
                let warnings: Vec<Value> = loaded.warnings.iter().map(object).collect();
                output.object(&json!({"ok": true, "warnings": warnings}))?;
                Ok(Exit::Done)
            }
            Ok(loaded) => {
                output.line("ok")?;
                for warning in &loaded.warnings {
                    output.note(&format!("warning: {warning}"));
                }
                Ok(Exit::Done)
            }
            Err(faults) => {
                for fault in &faults.0 {
                    if output.json {
                        output.object(&object(fault))?;
                    } else {
                        output.line(&fault.to_string())?;
                    }
                }
                Ok(Exit::Usage)
            }
        },
    }
}

fn object(fault: &ConfigFault) -> Value {
    json!({"key": fault.key, "place": fault.place, "problem": fault.problem})
}
