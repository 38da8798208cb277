//! `[alerts]`: whom the daemon calls when there is something to tell, and how soon.

use std::ffi::OsString;
use std::time::Duration;

use config::ValueKind;
use url::Url;

use crate::base::secret::Secret;
use crate::config::environment::passed_on;
use crate::config::reader::{Reader, duration, list, text};

/// `[alerts]`
#[derive(Clone, Debug)]
pub struct Alerts {
    /// `None`: nobody is called.
    pub channel: Option<AlertChannel>,
    /// How long a thing must stand, and be gone, before that is told.
    pub after: Duration,
    /// How long a call may take.
    pub timeout: Duration,
}

/// Whom the daemon calls.
#[derive(Clone, Debug)]
pub enum AlertChannel {
    /// A program, with the JSON on its standard input.
    Command {
        /// Its path or name.
        program: String,
        /// What it is given.
        arguments: Vec<String>,
        /// All variables it sees: none of this daemon's settings is among them.
        environment: Vec<(OsString, OsString)>,
    },
    /// An http or https URL, with the JSON by POST; as good as a password.
    Url(Secret<String>),
}

/// Takes the section's keys.
pub(super) fn read_alerts(reader: &mut Reader) -> Alerts {
    let command = reader.value("alerts.command", Vec::new(), command);
    let both = !command.is_empty();
    let url = reader.value("alerts.url", None, |value| {
        let url = web_address(value)?;
        if both && url.is_some() {
            return Err("is set beside alerts.command; keep one of them".to_owned());
        }
        Ok(url)
    });
    let program = command.split_first().map(|(program, arguments)| {
        let (program, arguments) = (program.clone(), arguments.to_vec());
        AlertChannel::Command {
            program,
            arguments,
            environment: passed_on(),
        }
    });
    Alerts {
        channel: program.or(url.map(AlertChannel::Url)),
        after: reader.value("alerts.after", Duration::ZERO, span_or_none),
        timeout: reader.value("alerts.timeout", Duration::from_secs(1), duration),
    }
}

fn command(value: &ValueKind) -> Result<Vec<String>, String> {
    let fault = || {
        "must be a program and its arguments, such as [\"/usr/local/bin/alert\", \"ops\"]; no shell reads it"
            .to_owned()
    };
    let words = list(value).map_err(|_| fault())?;
    match words.first() {
        Some(program) if program.trim().is_empty() => Err(fault()),
        _ => Ok(words),
    }
}

/// The fault does not quote the address: it may be a password.
fn web_address(value: &ValueKind) -> Result<Option<Secret<String>>, String> {
    let text = text(value)?;
    if text.is_empty() {
        return Ok(None);
    }
    Url::parse(&text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .map(|_| Some(Secret::new(text)))
        .ok_or_else(|| "must be a URL such as https://chat.example.com/hooks/evenkeel".to_owned())
}

fn span_or_none(value: &ValueKind) -> Result<Duration, String> {
    match value {
        ValueKind::String(text) if text.trim() == "0s" => Ok(Duration::ZERO),
        _ => duration(value),
    }
}

#[cfg(test)]
mod tests {
    use super::{ValueKind, command, span_or_none, web_address};

    fn quoted(text: &str) -> ValueKind {
        ValueKind::String(text.to_owned())
    }

    #[test]
    fn a_command_is_words_and_a_url_is_one_that_can_be_posted_to() {
        assert_eq!(command(&quoted("")), Ok(vec![]));
        assert_eq!(command(&quoted("/bin/a,b c")).unwrap(), ["/bin/a", "b c"]);
        assert!(command(&ValueKind::I64(1)).is_err());
        let empty_program = vec![config::Value::from(" "), config::Value::from("x")];
        assert!(command(&ValueKind::Array(empty_program)).is_err());

        assert!(web_address(&quoted("")).unwrap().is_none());
        assert!(
            web_address(&quoted("http://10.0.0.1:9/a?b=c"))
                .unwrap()
                .is_some()
        );
        for wrong in [
            "hq/hunter2",
            "ftp://hq/hunter2",
            "https://?hunter2",
            "mailto:hunter2@hq",
        ] {
            let fault = web_address(&quoted(wrong)).unwrap_err();
            assert!(!fault.contains("hunter2"), "{fault}");
        }
        assert!(span_or_none(&quoted("0s")).unwrap().is_zero());
        assert_eq!(span_or_none(&quoted("2m")).unwrap().as_secs(), 120);
        assert!(span_or_none(&quoted("0m")).is_err());
    }
}
