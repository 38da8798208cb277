//! One peer's published API, call by call.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::base::secret::Secret;
use crate::model::connection::Status;
use crate::model::filter::Filter;
use crate::model::table::TableName;
use crate::model::url::PeerUrl;
use crate::remote::catalogue::excess;
use crate::remote::error::RemoteError;
use crate::remote::rows::{EndSum, IncomingRows};
use crate::remote::transport::{MAX_BYTES, Transport};
use crate::wire::messages::{Catalogue, EvenkeelHello, ListedTable, Registered, StandingWord};
use crate::wire::signing::Credentials;

const PREFIXES: [&str; 2] = ["", "/phoenix_kit"];

/// A peer that can be asked.
#[derive(Clone, Debug)]
pub struct Peer {
    pub(super) transport: Transport,
}

/// What `register-connection` sends.
#[derive(Debug)]
pub struct RegisterRequest<'a> {
    /// This site's own URL.
    pub sender_url: String,
    /// This site's name.
    pub connection_name: String,
    /// The raw token; the only time it crosses.
    pub auth_token: &'a Secret<String>,
    /// Where the peer asks for one.
    pub password: Option<&'a Secret<String>>,
    /// What this site is.
    pub evenkeel: EvenkeelHello,
}

/// What a stream of rows is asked for.
#[derive(Clone, Copy, Debug)]
pub struct RowsRequest<'a> {
    /// As the peer names it.
    pub table: &'a TableName,
    /// Just these, in this order, as the peer names them.
    pub columns: &'a [String],
    /// Only the rows that pass.
    pub filter: Option<&'a Filter>,
    /// Only told.
    pub conflict_strategy: &'a str,
}

/// What `verify-connection` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The peer knows the connection.
    Exists,
    /// It answered exactly that it does not.
    Gone,
}

/// The part of an answer in which a signed peer says how it stands.
#[derive(Debug, Deserialize)]
struct StandingAnswer {
    evenkeel: Option<StandingWord>,
}

/// What `get-connection-status` says.
#[derive(Debug, Deserialize)]
struct StatusAnswer {
    status: String,
}

#[derive(Debug, Deserialize)]
struct TablesAnswer {
    tables: Vec<ListedTable>,
}

#[derive(Debug, Deserialize)]
struct SchemaAnswer {
    schema: Value,
    evenkeel: Option<Catalogue>,
}

#[derive(Debug, Deserialize)]
struct RecordsAnswer {
    records: Vec<Box<serde_json::value::RawValue>>,
}

impl Peer {
    pub(super) fn new(http: reqwest::Client, url: PeerUrl, prefix: Option<String>) -> Self {
        Self {
            transport: Transport { http, url, prefix },
        }
    }

    /// What stands before `/sync/api` at this peer, once a call has found it.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.transport.prefix.as_deref()
    }

    /// The peer's host, for messages.
    #[must_use]
    pub fn host(&self) -> String {
        self.transport.host()
    }

    /// Finds the API's prefix by `GET status`, unless it is known.
    ///
    /// # Errors
    /// [`RemoteError::NoApi`] when neither place answers as the API does.
    pub(super) async fn find_prefix(&mut self) -> Result<(), RemoteError> {
        if self.transport.prefix.is_some() {
            return Ok(());
        }
        for prefix in PREFIXES {
            let url = self
                .transport
                .url
                .join(&format!("{prefix}/sync/api/status"));
            let response = self
                .transport
                .http
                .get(url)
                .send()
                .await
                .map_err(|err| self.transport.unreachable(&err))?;
            if !response.status().is_success() {
                continue;
            }
            let body = self.transport.read(response, MAX_BYTES).await?;
            let answer: Result<Value, _> = serde_json::from_slice(&body);
            if answer.is_ok_and(|answer| answer.get("incoming_mode").is_some()) {
                self.transport.prefix = Some(prefix.to_owned());
                return Ok(());
            }
        }
        Err(RemoteError::NoApi { host: self.host() })
    }

    /// Registers this site as a sender.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub async fn register(&self, request: &RegisterRequest<'_>) -> Result<Registered, RemoteError> {
        let mut body = json!({
            "sender_url": request.sender_url,
            "connection_name": request.connection_name,
            "auth_token": request.auth_token.expose(),
            "evenkeel": request.evenkeel,
        });
        if let (Some(password), Some(fields)) = (request.password, body.as_object_mut()) {
            fields.insert("password".into(), password.expose().as_str().into());
        }
        self.transport
            .call("register-connection", &body, None)
            .await
    }

    /// Tells the peer our status of the connection, and a signed one how we stand; how it stands, where it says so.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub async fn update_status(
        &self,
        own_url: &PeerUrl,
        credentials: &Credentials,
        status: Status,
        ours: Option<&StandingWord>,
    ) -> Result<Option<StandingWord>, RemoteError> {
        let mut body = named(own_url, credentials, ours);
        if let Some(fields) = body.as_object_mut() {
            fields.insert("status".into(), json!(status));
        }
        self.transport
            .call::<StandingAnswer>("update-status", &body, Some(credentials))
            .await
            .map(|answer| answer.evenkeel)
    }

    /// Tells the peer that we deleted the connection.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub async fn delete(
        &self,
        own_url: &PeerUrl,
        credentials: &Credentials,
    ) -> Result<(), RemoteError> {
        self.transport
            .call::<Value>(
                "delete-connection",
                &named(own_url, credentials, None),
                Some(credentials),
            )
            .await
            .map(drop)
    }

    /// Asks whether the peer knows the connection. Only the exact negative answer means it is gone.
    ///
    /// # Errors
    /// Any other answer, or none.
    pub async fn verify(
        &self,
        own_url: &PeerUrl,
        credentials: &Credentials,
    ) -> Result<Verified, RemoteError> {
        let (verified, _) = self.exchange(own_url, credentials, None).await?;
        Ok(verified)
    }

    /// As [`Self::verify`], and tells a signed peer how we stand; how it stands, where it says so.
    ///
    /// # Errors
    /// Any other answer, or none.
    pub async fn exchange(
        &self,
        own_url: &PeerUrl,
        credentials: &Credentials,
        ours: Option<&StandingWord>,
    ) -> Result<(Verified, Option<StandingWord>), RemoteError> {
        let body = named(own_url, credentials, ours);
        let (verified, answer) = self.verified(&body, credentials).await?;
        if verified == Verified::Gone {
            return Ok((verified, None));
        }
        let theirs = ours
            .map(|_| StandingAnswer::deserialize(&answer))
            .transpose();
        let theirs = theirs.map_err(|err| self.transport.nonsense(&err.to_string()))?;
        Ok((verified, theirs.and_then(|answer| answer.evenkeel)))
    }

    pub(super) async fn verified(
        &self,
        body: &Value,
        credentials: &Credentials,
    ) -> Result<(Verified, Value), RemoteError> {
        let exchange = self
            .transport
            .post("verify-connection", body, Some(credentials))
            .await?;
        let (status, body) = self.transport.finish(exchange, MAX_BYTES).await?;
        let answer: Value =
            serde_json::from_slice(&body).map_err(|_| self.transport.nonsense("it is not JSON"))?;
        if status == 404 && answer == json!({"success": false, "exists": false}) {
            return Ok((Verified::Gone, answer));
        }
        if status == 200 && answer.get("exists") == Some(&Value::Bool(true)) {
            return Ok((Verified::Exists, answer));
        }
        Err(self.transport.refusal(status, &body, None))
    }

    /// The status a sender gives its side of the connection; `None` when it does not know it.
    ///
    /// # Errors
    /// Any other answer, or none.
    pub async fn connection_status(
        &self,
        own_url: &PeerUrl,
        credentials: &Credentials,
    ) -> Result<Option<Status>, RemoteError> {
        let body = json!({"receiver_url": own_url.to_string(), "auth_token_hash": credentials.token_hash.expose()});
        match self
            .transport
            .call::<StatusAnswer>("get-connection-status", &body, Some(credentials))
            .await
        {
            Ok(answer) => {
                let status = answer
                    .status
                    .parse()
                    .map_err(|_| self.transport.nonsense("an unknown status"))?;
                Ok(Some(status))
            }
            Err(RemoteError::Refused { status: 404, .. }) => Ok(None),
            Err(err) => Err(err),
        }
    }

    /// The tables the peer grants.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub async fn tables(&self, credentials: &Credentials) -> Result<Vec<ListedTable>, RemoteError> {
        let body = json!({"auth_token_hash": credentials.token_hash.expose()});
        self.transport
            .call::<TablesAnswer>("list-tables", &body, Some(credentials))
            .await
            .map(|answer| answer.tables)
    }

    /// A table's published schema and, from an Evenkeel, its catalogue.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub async fn schema(
        &self,
        credentials: &Credentials,
        table: &TableName,
    ) -> Result<(Value, Option<Catalogue>), RemoteError> {
        let body = json!({"auth_token_hash": credentials.token_hash.expose(), "table_name": table});
        let answer: SchemaAnswer = self
            .transport
            .call("table-schema", &body, Some(credentials))
            .await?;
        match answer.evenkeel.as_ref().and_then(excess) {
            Some(reason) => Err(self.transport.nonsense(reason)),
            None => Ok((answer.schema, answer.evenkeel)),
        }
    }

    /// A few rows, as the peer renders them.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub async fn records(
        &self,
        credentials: &Credentials,
        table: &TableName,
        limit: u32,
        offset: u64,
    ) -> Result<Vec<Box<serde_json::value::RawValue>>, RemoteError> {
        let body = json!({
            "auth_token_hash": credentials.token_hash.expose(), "table_name": table, "limit": limit, "offset": offset,
        });
        self.transport
            .call::<RecordsAnswer>("table-records", &body, Some(credentials))
            .await
            .map(|answer| answer.records)
    }

    /// Opens the stream of a table's rows.
    ///
    /// # Errors
    /// The peer's refusal, why it could not be asked, that it cannot send frames, or that it does not filter.
    pub async fn rows(
        &self,
        credentials: &Credentials,
        asked: RowsRequest<'_>,
    ) -> Result<IncomingRows, RemoteError> {
        let mut body = json!({
            "auth_token_hash": credentials.token_hash.expose(), "table_name": asked.table,
            "conflict_strategy": asked.conflict_strategy, "columns": asked.columns,
        });
        if let (Some(filter), Some(fields)) = (asked.filter, body.as_object_mut()) {
            fields.insert("filter".into(), json!(filter));
        }
        let frames = self.frames("pull-data", credentials, &body).await?;
        let rows = IncomingRows::begin(frames, EndSum::Bytes).await?;
        // A version that knows no filters leaves one out like any key it does not know, and sends every row.
        if rows.head().filter.as_ref() != asked.filter {
            return Err(self
                .transport
                .nonsense("it does not keep to the row filter; is it of an older version?"));
        }
        Ok(rows)
    }
}

/// The two keys that name a connection, and how we stand.
pub(super) fn named(
    own_url: &PeerUrl,
    credentials: &Credentials,
    ours: Option<&StandingWord>,
) -> Value {
    let mut body = json!({"sender_url": own_url.to_string(), "auth_token_hash": credentials.token_hash.expose()});
    if let (Some(ours), Some(fields)) = (ours, body.as_object_mut()) {
        fields.insert("evenkeel".into(), json!(ours));
    }
    body
}
