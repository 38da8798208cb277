//! `connect`: give tables of this site to another.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::base::secret::Secret;
use crate::cli::arguments::ConnectArguments;
use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::{moment, text};
use crate::cli::print::Output;
use crate::cli::{grants, password};
use crate::model::table::TableName;
use crate::model::url::PeerUrl;
use crate::wire::messages::PublishedRefusal;

const POLL: Duration = Duration::from_secs(1);

/// Registers with the peer; also done when its administrator has yet to approve.
pub(super) async fn run(context: &Context, arguments: ConnectArguments) -> anyhow::Result<Exit> {
    let output = context.output;
    let url = PeerUrl::parse(&arguments.url).map_err(|err| Failure::usage(err.to_string()))?;
    let given = grants::named_or_asked(context, arguments.given)?;
    let grant = grants::of(&given)?.unwrap_or_default();
    output.note(&grants::announcement(url.host(), &grant));
    let client = context.client()?;
    let mut order = Order {
        url: url.to_string(),
        name: arguments.name.unwrap_or_else(|| url.host().to_owned()),
        purpose: Purpose::Give {
            grant,
            require_signed: arguments.require_signed,
        },
        password: password::given(context, arguments.password_file.as_deref())?,
    };
    let connection = carry_out(context, &client, &mut order).await?;
    conclude(&client, output, &connection, arguments.wait).await
}

/// Makes the connection, with the password that the peer turns out to want; gives its row.
pub(super) async fn carry_out(
    context: &Context,
    client: &Client,
    order: &mut Order,
) -> anyhow::Result<Value> {
    match register(client, order).await {
        Err(err)
            if order.password.is_none() && wants_password(&err) && context.output.can_ask() =>
        {
            order.password = password::ask(context, &format!("Password of {}:", order.url))?;
            register(client, order).await
        }
        other => other.map_err(with_way_out),
    }
}

/// Says what became of it, once the peer's administrator has decided where that is waited for.
#[expect(
    clippy::option_option,
    reason = "absent, without a bound, and with one"
)]
pub(super) async fn conclude(
    client: &Client,
    output: Output,
    connection: &Value,
    patience: Option<Option<SignedDuration>>,
) -> anyhow::Result<Exit> {
    match patience {
        Some(bound) if text(connection, "status") == "pending" => {
            output.note("Waiting for the peer's administrator; Ctrl-C ends the waiting only.");
            wait(client, output, text(connection, "id"), bound).await
        }
        _ => {
            tell(output, connection)?;
            Ok(exit_of(connection))
        }
    }
}

/// What is sent to the daemon.
pub(super) struct Order {
    /// The peer.
    pub url: String,
    /// What the connection is called here.
    pub name: String,
    /// What it is for.
    pub purpose: Purpose,
    /// What the peer asks for.
    pub password: Option<Secret<String>>,
}

/// What a connection is for.
pub(super) enum Purpose {
    /// The peer reads here.
    Give {
        /// What it may see.
        grant: Value,
        /// Not without signatures.
        require_signed: bool,
    },
    /// This site reads there.
    Ask {
        /// What it would like to read.
        tables: Vec<TableName>,
    },
}

/// Makes the connection; gives its row.
pub(super) async fn register(client: &Client, order: &Order) -> anyhow::Result<Value> {
    let (url, name) = (&order.url, &order.name);
    let mut body = match &order.purpose {
        Purpose::Give {
            grant,
            require_signed,
        } => json!({
            "url": url, "name": name, "direction": "sender", "grant": grant,
            "require_signed": require_signed,
        }),
        Purpose::Ask { tables } => {
            json!({"url": url, "name": name, "direction": "receiver", "tables": tables})
        }
    };
    if let (Some(password), Some(fields)) = (&order.password, body.as_object_mut()) {
        fields.insert(
            "password".to_owned(),
            Value::from(password.expose().as_str()),
        );
    }
    client.post(&["connections"], &body).await
}

fn wants_password(err: &anyhow::Error) -> bool {
    let failure = err.downcast_ref::<Failure>();
    failure.is_some_and(|failure| {
        failure.exit == Exit::Refused && says(failure, PublishedRefusal::PasswordRequired)
    })
}

/// Whether the daemon passes on this refusal of the peer's, word for word.
fn says(failure: &Failure, refusal: PublishedRefusal) -> bool {
    failure.words.contains(refusal.as_str())
}

/// Says what can be done about the peer's terse words.
fn with_way_out(err: anyhow::Error) -> anyhow::Error {
    let Some(failure) = err.downcast_ref::<Failure>() else {
        return err;
    };
    let hint = match failure {
        failure if says(failure, PublishedRefusal::PasswordRequired) => {
            "ask its administrator for the password; give it with --password-file or EVENKEEL_PASSWORD"
        }
        failure if says(failure, PublishedRefusal::PasswordInvalid) => {
            "ask its administrator for the right password"
        }
        failure if says(failure, PublishedRefusal::ConnectionExists) => {
            "it knows this site already: evenkeel connections shows what is left of it here; where nothing is, ask its administrator to delete what `evenkeel connections` shows of it there, then ask again"
        }
        failure
            if says(failure, PublishedRefusal::IncomingNotAllowed)
                || says(failure, PublishedRefusal::Disabled) =>
        {
            "ask its administrator: there, `evenkeel settings` shows what this site's requests meet"
        }
        _ => return err,
    };
    let words = format!("{}\n  {hint}", failure.words);
    Failure {
        exit: failure.exit,
        words,
    }
    .into()
}

async fn wait(
    client: &Client,
    output: Output,
    id: &str,
    bound: Option<SignedDuration>,
) -> anyhow::Result<Exit> {
    let patience = bound.map(SignedDuration::unsigned_abs);
    let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
    loop {
        let connection = client.get(&["connections", id]).await?;
        let over = deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if text(&connection, "status") != "pending" || over {
            tell(output, &connection)?;
            let pending = text(&connection, "status") == "pending";
            return Ok(if pending {
                Exit::Refused
            } else {
                exit_of(&connection)
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

fn exit_of(connection: &Value) -> Exit {
    match text(connection, "status") {
        "active" | "pending" => Exit::Done,
        _ => Exit::Refused,
    }
}

fn tell(output: Output, connection: &Value) -> anyhow::Result<()> {
    if output.json {
        output.object(connection)?;
    } else {
        let fields = ["name", "status", "id"].map(|field| text(connection, field));
        output.line(&fields.join("\t"))?;
    }
    output.note(&next_step(connection));
    Ok(())
}

/// What has to happen now, and who does it.
fn next_step(connection: &Value) -> String {
    let field = |name| text(connection, name);
    let name = field("name");
    match field("status") {
        "active" if field("direction") == "receiver" => {
            format!("Pull now: `evenkeel tables {name}`, `evenkeel pull {name} TABLE...`.")
        }
        "active" => "The peer can pull now: there, `evenkeel pull CONNECTION TABLE...`.".to_owned(),
        "pending" if !field("unreachable_since").is_empty() => format!(
            "{} cannot be reached yet; the daemon tries again{}. See `evenkeel connections show {name}`.",
            field("url"),
            match moment(connection, "next_attempt_at").as_str() {
                "" => String::new(),
                at => format!(" at {at}"),
            }
        ),
        "pending" => format!(
            "The administrator of {} has to approve it: there, `evenkeel connections`, then `evenkeel connections approve NAME`.",
            field("url")
        ),
        status => format!("The connection is {status}: {}", field("status_reason")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, Failure, exit_of, json, next_step, wants_password};

    #[test]
    fn the_next_step_follows_from_the_state() {
        let row = |status: &str, unreachable: &str| json!({"name": "hq", "url": "https://hq", "status": status, "unreachable_since": unreachable});
        assert!(next_step(&row("active", "")).contains("pull"));
        assert!(next_step(&row("pending", "")).contains("approve"));
        assert!(
            next_step(&row("pending", "2026-11-21T00:00:00Z")).contains("cannot be reached yet")
        );
        assert_eq!(exit_of(&row("pending", "")), Exit::Done);
        assert_eq!(exit_of(&row("severed", "")), Exit::Refused);
    }

    #[test]
    fn only_a_refusal_for_want_of_a_password_asks_for_one() {
        let refused = |words: &str| Failure {
            exit: Exit::Refused,
            words: words.to_owned(),
        };
        assert!(wants_password(&refused("Password required").into()));
        assert!(!wants_password(&refused("Invalid password").into()));
        assert!(!wants_password(&Failure::usage("Password required").into()));
    }
}
