//! `token`: admin API tokens, made on the state itself, also before the daemon first ran.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, civil};
use serde_json::{Value, json};

use crate::cli::arguments::TokenCommand;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::{moment, text};
use crate::cli::print::{Column, Output};
use crate::cli::resolve::pick;
use crate::store::{AdminToken, NewAdminToken, Store};

const COLUMNS: [Column; 5] = [
    ("name", |token| text(token, "name").to_owned()),
    ("role", |token| text(token, "role").to_owned()),
    ("created", |token| moment(token, "created_at")),
    ("expires", |token| moment(token, "expires_at")),
    ("id", |token| text(token, "id").to_owned()),
];

/// Makes, lists or revokes.
pub(super) async fn run(context: &Context, command: TokenCommand) -> anyhow::Result<Exit> {
    if context.server.is_some() {
        return Err(Failure::usage(
            "tokens are made on the daemon's own machine: leave out --server",
        )
        .into());
    }
    let now = Timestamp::now();
    let store = open(context).await?;
    match command {
        TokenCommand::Create {
            role,
            name,
            expires,
        } => {
            let expires_at = expires.map(|text| expiry(&text, now)).transpose()?;
            let new = NewAdminToken {
                name,
                role,
                expires_at,
            };
            create(&store, context.output, &new, now).await?;
        }
        TokenCommand::List => context.output.list(&listed(&store).await?, &COLUMNS)?,
        TokenCommand::Revoke { id } => {
            let tokens = listed(&store).await?;
            let token = pick("token", &id, &tokens)?;
            store.revoke_token(text(token, "id").parse()?).await?;
            context
                .output
                .note(&format!("Revoked {}.", text(token, "name")));
        }
    }
    Ok(Exit::Done)
}

async fn open(context: &Context) -> anyhow::Result<Store> {
    let state = crate::config::state(context.config.as_deref())
        .map_err(|faults| Failure::usage(faults.to_string()))?;
    crate::cli::owner::become_owner(&state)?;
    let key = Store::key(&state.url, &state.key).await?;
    Ok(Store::open_beside(&state.url, key).await?)
}

async fn create(
    store: &Store,
    output: Output,
    new: &NewAdminToken,
    now: Timestamp,
) -> anyhow::Result<()> {
    let (token, characters) = store.create_token(new, now).await?;
    if output.json {
        let mut object = object_of(&token);
        if let Some(fields) = object.as_object_mut() {
            fields.insert(
                "token".to_owned(),
                Value::from(characters.expose().as_str()),
            );
        }
        output.object(&object)?;
    } else {
        output.line(characters.expose())?;
    }
    output.note("Keep the token: it cannot be shown again.");
    Ok(())
}

async fn listed(store: &Store) -> anyhow::Result<Vec<Value>> {
    Ok(store.tokens().await?.iter().map(object_of).collect())
}

fn object_of(token: &AdminToken) -> Value {
    json!({
        "id": token.id, "name": token.name, "role": token.role,
        "created_at": token.created_at, "expires_at": token.expires_at,
    })
}

/// A span from now (`90d`, `12h`), a date (its first moment in UTC), or a time with its offset.
fn expiry(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let after = |span: Span| now.to_zoned(TimeZone::UTC).checked_add(span).ok();
    let span = || Some(after(text.parse().ok()?)?.timestamp());
    let date = || {
        let date: civil::Date = text.parse().ok()?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    // A time also reads as a date, and would lose its hour.
    let time = text.parse().ok().or_else(date).or_else(span);
    time.filter(|time: &Timestamp| *time > now).ok_or_else(|| {
        Failure::usage(format!(
            "`{text}` is no time to come; write 90d, 12h or 2027-01-31"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, expiry};

    #[test]
    fn an_expiry_is_a_span_a_date_or_a_time_to_come() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("90d", "2027-02-19T10:00:00Z"),
            ("12h", "2026-11-21T22:00:00Z"),
            ("2027-01-31", "2027-01-31T00:00:00Z"),
            ("2027-01-31T12:00:00+01:00", "2027-01-31T11:00:00Z"),
        ] {
            assert_eq!(expiry(text, now).unwrap().to_string(), expected, "{text}");
        }
        for wrong in ["", "soon", "-1d", "2020-01-01"] {
            assert!(expiry(wrong, now).is_err(), "{wrong}");
        }
    }
}
