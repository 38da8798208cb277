//! `connections`: list them, show one, or decide about one.

use serde_json::{Value, json};

use crate::cli::arguments::ConnectionCommand;
use crate::cli::client::Client;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::{at, granted, number, shown, text};
use crate::cli::print::{Column, Output};
use crate::cli::{grants, receipts, resolve};

const COLUMNS: [Column; 8] = [
    ("name", |row| text(row, "name").to_owned()),
    ("direction", |row| text(row, "direction").to_owned()),
    ("status", |row| text(row, "status").to_owned()),
    ("auth", |row| text(row, "auth").to_owned()),
    ("identity", |row| text(row, "identity").to_owned()),
    ("url", |row| text(row, "url").to_owned()),
    ("tables", |row| {
        at(row, "grant").map(granted).unwrap_or_default()
    }),
    ("id", |row| text(row, "id").to_owned()),
];

/// Lists, or does what `command` says.
pub(super) async fn run(
    context: &Context,
    command: Option<ConnectionCommand>,
) -> anyhow::Result<Exit> {
    let (client, output) = (context.client()?, context.output);
    let Some(command) = command else {
        show_all(&client, output).await?;
        return Ok(Exit::Done);
    };
    match command {
        ConnectionCommand::Show { id } => {
            let id = id_of(&client, &id).await?;
            show(output, &client.get(&["connections", &id]).await?)?;
        }
        ConnectionCommand::Approve {
            id,
            given,
            unproved,
        } => {
            let row = resolve::connection(&client, &id).await?;
            let grant = grants::approved(context, &row, given)?;
            approve(&client, output, &row, grant, unproved).await?;
        }
        ConnectionCommand::Receipts { id, table, limit } => {
            let id = id_of(&client, &id).await?;
            let table = table.map(|table| table.to_string());
            let filters: Vec<_> = table
                .iter()
                .map(|table| ("table", table.as_str()))
                .collect();
            let path = ["connections", &id, "receipts"];
            return receipts::print(output, &client.list(&path, &filters, limit).await?);
        }
        ConnectionCommand::Reject { id } => act(&client, output, &id, "reject", json!({})).await?,
        ConnectionCommand::Suspend { id, reason } => {
            act(&client, output, &id, "suspend", json!({"reason": reason})).await?;
        }
        ConnectionCommand::Reactivate { id } => {
            act(&client, output, &id, "reactivate", json!({})).await?;
        }
        ConnectionCommand::Revoke { id, reason } => {
            act(&client, output, &id, "revoke", json!({"reason": reason})).await?;
        }
        ConnectionCommand::Verify { id } => act(&client, output, &id, "verify", json!({})).await?,
        ConnectionCommand::Rotate { id } => rotate(&client, output, &id).await?,
        ConnectionCommand::Edit {
            id,
            name,
            url,
            given,
        } => {
            let changes = [
                ("name", name.map(Value::from)),
                ("url", url.map(Value::from)),
                ("grant", grants::of(&given)?),
            ];
            edit(&client, output, &id, changes).await?;
        }
        ConnectionCommand::Delete { id } => {
            let row = resolve::connection(&client, &id).await?;
            client.delete(&["connections", text(&row, "id")]).await?;
            output.note(&format!("Deleted {}.", text(&row, "name")));
        }
    }
    Ok(Exit::Done)
}

/// All connections, newest first.
pub(super) async fn show_all(client: &Client, output: Output) -> anyhow::Result<()> {
    let rows = client.list(&["connections"], &[], usize::MAX).await?;
    output.list(&rows, &COLUMNS)?;
    if rows.is_empty() {
        output.note(
            "No connections yet: on the site that gives, `evenkeel connect URL --tables a,b`.",
        );
    }
    Ok(())
}

/// Lets a pending connection begin, with another grant than the one it has when `grant` is given.
pub(super) async fn approve(
    client: &Client,
    output: Output,
    row: &Value,
    grant: Option<Value>,
    unproved: bool,
) -> anyhow::Result<()> {
    let mut body = json!({});
    if let Some(fields) = body.as_object_mut() {
        if let Some(grant) = grant {
            fields.insert("grant".to_owned(), grant);
        }
        if unproved {
            fields.insert("unproved".to_owned(), Value::from(true));
        }
    }
    let row = client
        .post(&["connections", text(row, "id"), "approve"], &body)
        .await?;
    tell(output, &row)
}

async fn act(
    client: &Client,
    output: Output,
    id: &str,
    verb: &str,
    body: Value,
) -> anyhow::Result<()> {
    let id = id_of(client, id).await?;
    let answer = client
        .post(&["connections", &id, verb], &without_nulls(body))
        .await?;
    // An answer that is not the row itself is followed by one.
    let row = match text(&answer, "status") {
        "" => client.get(&["connections", &id]).await?,
        _ => answer,
    };
    tell(output, &row)
}

/// Changes the key, and says whether the peer has it.
async fn rotate(client: &Client, output: Output, wanted: &str) -> anyhow::Result<()> {
    let before = resolve::connection(client, wanted).await?;
    let id = text(&before, "id");
    let row = client
        .post(&["connections", id, "rotate"], &json!({}))
        .await?;
    output.list(std::slice::from_ref(&row), &COLUMNS)?;
    let generation = |row| number(row, "key_generation");
    output.note(&if generation(&row) > generation(&before) {
        format!(
            "Both sites sign with key {} now; the one before is forgotten within a day.",
            generation(&row)
        )
    } else {
        "The peer does not have the new key yet; the daemon goes on offering it, and both sites sign with the present one meanwhile.".to_owned()
    });
    Ok(())
}

async fn edit(
    client: &Client,
    output: Output,
    id: &str,
    changes: [(&str, Option<Value>); 3],
) -> anyhow::Result<()> {
    let named = changes
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let body: serde_json::Map<String, Value> = named.collect();
    if body.is_empty() {
        return Err(Failure::usage(
            "nothing to change: use --name, --url, --tables, --all-tables or --grant",
        )
        .into());
    }
    let id = id_of(client, id).await?;
    let row = client
        .patch(&["connections", &id], &Value::from(body))
        .await?;
    tell(output, &row)
}

async fn id_of(client: &Client, wanted: &str) -> anyhow::Result<String> {
    let row = resolve::connection(client, wanted).await?;
    Ok(text(&row, "id").to_owned())
}

fn without_nulls(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    body
}

fn tell(output: Output, row: &Value) -> anyhow::Result<()> {
    output.list(std::slice::from_ref(row), &COLUMNS)?;
    for note in [blocked(row), not_known(row)].into_iter().flatten() {
        output.note(&note);
    }
    Ok(())
}

/// Who keeps the connection from being active, if anybody does.
fn blocked(row: &Value) -> Option<String> {
    let (local, remote) = (text(row, "local_status"), text(row, "remote_status"));
    match (text(row, "status"), local, remote) {
        ("active", ..) => None,
        // What the peer said before is not what keeps it from being active.
        ("severed", "active", _) if at(row, "unknown").is_some() => None,
        ("expired", "active", _) => {
            Some("Its time is over: the grant's limits.expires_at has passed.".to_owned())
        }
        (_, "active", remote) if !remote.is_empty() => {
            Some(format!("Active on this side; the peer says {remote}."))
        }
        (status, ..) => Some(format!("It is {status} by this site's administrator.")),
    }
}

/// That the peer does not know the connection, if it said so.
fn not_known(row: &Value) -> Option<String> {
    let unknown = at(row, "unknown").filter(|unknown| unknown.is_object())?;
    let times = match number(unknown, "times") {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    let what = match text(row, "status") {
        "severed" => "it goes on by itself when the peer knows it again",
        _ => "three times over ten minutes count as severed",
    };
    Some(format!(
        "The peer answered {times}, since {}, that it does not know this connection; {what}. Ask its administrator whether its state was restored from an older backup.",
        shown(at(unknown, "since")?)
    ))
}

/// One object as lines of field and value, or as JSON.
pub(super) fn show(output: Output, row: &Value) -> anyhow::Result<()> {
    if output.json {
        return Ok(output.object(row)?);
    }
    let mut rows = Vec::new();
    fields_of("", &grants::readable(row), &mut rows);
    Ok(output.table(&["field", "value"], &rows)?)
}

fn fields_of(prefix: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    let Some(fields) = value.as_object() else {
        rows.push(vec![prefix.to_owned(), shown(value)]);
        return;
    };
    for (name, value) in fields {
        let path = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        fields_of(&path, value, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::{blocked, fields_of, json, not_known, without_nulls};

    #[test]
    fn an_object_shows_as_its_fields() {
        let mut rows = Vec::new();
        fields_of(
            "",
            &json!({"name": "hq", "grant": {"tables": ["a", "b"]}, "error": null}),
            &mut rows,
        );
        rows.sort();
        assert_eq!(
            rows,
            [
                vec!["error", ""],
                vec!["grant.tables", "a, b"],
                vec!["name", "hq"]
            ]
        );
        assert_eq!(without_nulls(json!({"reason": null})), json!({}));
    }

    #[test]
    fn it_is_said_whose_decision_blocks_a_connection() {
        let row = |status: &str, local: &str, remote: &str| json!({"status": status, "local_status": local, "remote_status": remote});
        assert_eq!(blocked(&row("active", "active", "active")), None);
        assert!(
            blocked(&row("pending", "active", "pending"))
                .unwrap()
                .contains("the peer says pending")
        );
        assert!(
            blocked(&row("expired", "active", "active"))
                .unwrap()
                .contains("expires_at")
        );
        assert!(
            blocked(&row("suspended", "suspended", "active"))
                .unwrap()
                .contains("this site")
        );
    }

    #[test]
    fn it_is_said_how_often_the_peer_did_not_know_a_connection_and_what_follows() {
        let mut row = json!({
            "status": "active", "local_status": "active", "remote_status": "active",
            "unknown": {"times": 2, "since": "2026-11-21T10:00:00Z"},
        });
        let said = not_known(&row).unwrap();
        for part in ["2 times, since 2026-11-21T10:00:00Z", "three times"] {
            assert!(said.contains(part), "{said}");
        }
        (row["status"], row["remote_status"]) = ("severed".into(), "severed".into());
        assert!(not_known(&row).unwrap().contains("by itself"));
        assert_eq!(blocked(&row), None);
        row["unknown"] = json!(null);
        assert_eq!(not_known(&row), None);
        assert!(blocked(&row).unwrap().contains("the peer says severed"));
    }
}
