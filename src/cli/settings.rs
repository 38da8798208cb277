//! `settings`: what can be changed while the daemon runs.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::arguments::SettingsCommand;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::text;
use crate::cli::{connections, password};
use crate::model::policy::IncomingMode;

/// Shows them, or changes one.
pub(super) async fn run(
    context: &Context,
    command: Option<SettingsCommand>,
) -> anyhow::Result<Exit> {
    let client = context.client()?;
    let settings = match command {
        None => client.get(&["settings"]).await?,
        Some(SettingsCommand::Set {
            key,
            value,
            password_file,
        }) => {
            let value = match key.as_str() {
                "incoming_password" => {
                    new_password(context, value.as_deref(), password_file.as_deref())?
                }
                _ => parsed(&key, value.as_deref())?,
            };
            let mut body = json!({});
            if let Some(fields) = body.as_object_mut() {
                fields.insert(key, value);
            }
            client.patch(&["settings"], &body).await?
        }
    };
    connections::show(context.output, &settings)?;
    if needs_password(&settings) {
        context.output.note(
            "No password is set: sites that register are refused until `evenkeel settings set incoming_password`.",
        );
    }
    Ok(Exit::Done)
}

fn needs_password(settings: &Value) -> bool {
    let set = settings
        .get("incoming_password_set")
        .and_then(Value::as_bool);
    text(settings, "incoming_mode") == "require_password" && set == Some(false)
}

fn parsed(key: &str, value: Option<&str>) -> Result<Value, Failure> {
    match (key, value) {
        ("enabled", Some("true")) => Ok(Value::from(true)),
        ("enabled", Some("false")) => Ok(Value::from(false)),
        ("enabled", _) => Err(Failure::usage("enabled is true or false")),
        ("incoming_mode", Some(mode)) if mode.parse::<IncomingMode>().is_ok() => {
            Ok(Value::from(mode))
        }
        ("incoming_mode", _) => Err(Failure::usage(
            "incoming_mode is require_approval, auto_accept, require_password or deny_all",
        )),
        _ => Err(Failure::usage(format!(
            "there is no setting `{key}`: enabled, incoming_mode and incoming_password can be set"
        ))),
    }
}

/// A password never stands on the command line, where every user of the machine can read it.
fn new_password(
    context: &Context,
    value: Option<&str>,
    file: Option<&Path>,
) -> anyhow::Result<Value> {
    match value {
        Some("") => return Ok(Value::Null),
        Some(_) => {
            let words = "a password on the command line can be read by others: leave it out to be asked, or use --password-file or EVENKEEL_PASSWORD";
            return Err(Failure::usage(words).into());
        }
        None => {}
    }
    if let Some(password) = password::given(context, file)? {
        return Ok(Value::from(password.expose().as_str()));
    }
    let first = password::ask(context, "New password for sites that register here:")?;
    let again = password::ask(context, "Again:")?;
    match (first, again) {
        (Some(first), Some(again)) if first == again => Ok(Value::from(first.expose().as_str())),
        (None, _) => {
            Err(Failure::usage("nothing was typed; use \"\" to remove the password").into())
        }
        _ => Err(Failure::usage("the two are not the same").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, Value, parsed};

    #[test]
    fn a_setting_takes_only_what_it_can_be() {
        assert_eq!(parsed("enabled", Some("false")), Ok(Value::from(false)));
        assert_eq!(
            parsed("incoming_mode", Some("deny_all")),
            Ok(Value::from("deny_all"))
        );
        for (key, value) in [
            ("enabled", Some("no")),
            ("incoming_mode", Some("x")),
            ("enabled", None),
            ("colour", Some("x")),
        ] {
            assert_eq!(parsed(key, value).unwrap_err().exit, Exit::Usage, "{key}");
        }
    }
}
