//! One peer's published API, call by call.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base::secret::Secret;
use crate::model::connection::Status;
use crate::model::table::TableName;
use crate::model::url::PeerUrl;
use crate::remote::error::RemoteError;
use crate::remote::rows::IncomingRows;
use crate::wire::frame::MEDIA_TYPE;
use crate::wire::messages::{Catalogue, EvenkeelHello, ListedTable, Registered};

/// An answer is read up to this many bytes.
const MAX_ANSWER_BYTES: usize = 64 << 20;
const PREFIXES: [&str; 2] = ["", "/phoenix_kit"];

/// A peer that can be asked.
#[derive(Clone, Debug)]
pub struct Peer {
    http: reqwest::Client,
    url: PeerUrl,
    prefix: Option<String>,
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

/// What `verify-connection` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// The peer knows the connection.
    Exists,
    /// It answered exactly that it does not.
    Gone,
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
        Self { http, url, prefix }
    }

    /// What stands before `/sync/api` at this peer, once a call has found it.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        self.prefix.as_deref()
    }

    /// Finds the API's prefix by `GET status`, unless it is known.
    ///
    /// # Errors
    /// [`RemoteError::NoApi`] when neither place answers as the API does.
    pub async fn find_prefix(&mut self) -> Result<(), RemoteError> {
        if self.prefix.is_some() {
            return Ok(());
        }
        for prefix in PREFIXES {
            let url = self.url.join(&format!("{prefix}/sync/api/status"));
            let response = self
                .http
                .get(url)
                .send()
                .await
                .map_err(|err| self.unreachable(&err))?;
            if !response.status().is_success() {
                continue;
            }
            let body = self.read(response).await?;
            let answer: Result<Value, _> = serde_json::from_slice(&body);
            if answer.is_ok_and(|answer| answer.get("incoming_mode").is_some()) {
                self.prefix = Some(prefix.to_owned());
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
        self.call("register-connection", &body).await
    }

    /// Tells the peer our status of the connection.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub async fn update_status(
        &self,
        own_url: &PeerUrl,
        token_hash: &Secret<String>,
        status: Status,
    ) -> Result<(), RemoteError> {
        let body = json!({
            "sender_url": own_url.to_string(),
            "auth_token_hash": token_hash.expose(),
            "status": status,
        });
        self.call::<Value>("update-status", &body).await.map(drop)
    }

    /// Tells the peer that we deleted the connection.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub async fn delete(
        &self,
        own_url: &PeerUrl,
        token_hash: &Secret<String>,
    ) -> Result<(), RemoteError> {
        self.call::<Value>("delete-connection", &named(own_url, token_hash))
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
        token_hash: &Secret<String>,
    ) -> Result<Verified, RemoteError> {
        let response = self
            .post("verify-connection", &named(own_url, token_hash))
            .await?;
        let status = response.status().as_u16();
        let body = self.read(response).await?;
        let answer: Value =
            serde_json::from_slice(&body).map_err(|_| self.nonsense("it is not JSON"))?;
        if status == 404 && answer == json!({"success": false, "exists": false}) {
            return Ok(Verified::Gone);
        }
        if status == 200 && answer.get("exists") == Some(&Value::Bool(true)) {
            return Ok(Verified::Exists);
        }
        Err(self.refusal(status, &body, None))
    }

    /// The status a sender gives its side of the connection; `None` when it does not know it.
    ///
    /// # Errors
    /// Any other answer, or none.
    pub async fn connection_status(
        &self,
        own_url: &PeerUrl,
        token_hash: &Secret<String>,
    ) -> Result<Option<Status>, RemoteError> {
        let body =
            json!({"receiver_url": own_url.to_string(), "auth_token_hash": token_hash.expose()});
        match self
            .call::<StatusAnswer>("get-connection-status", &body)
            .await
        {
            Ok(answer) => {
                let status = answer
                    .status
                    .parse()
                    .map_err(|_| self.nonsense("an unknown status"))?;
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
    pub async fn tables(
        &self,
        token_hash: &Secret<String>,
    ) -> Result<Vec<ListedTable>, RemoteError> {
        let body = json!({"auth_token_hash": token_hash.expose()});
        self.call::<TablesAnswer>("list-tables", &body)
            .await
            .map(|answer| answer.tables)
    }

    /// A table's published schema and, from an Evenkeel, its catalogue.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub async fn schema(
        &self,
        token_hash: &Secret<String>,
        table: &TableName,
    ) -> Result<(Value, Option<Catalogue>), RemoteError> {
        let body = json!({"auth_token_hash": token_hash.expose(), "table_name": table});
        let answer: SchemaAnswer = self.call("table-schema", &body).await?;
        Ok((answer.schema, answer.evenkeel))
    }

    /// A few rows, as the peer renders them.
    ///
    /// # Errors
    /// The peer's refusal, or why it could not be asked.
    pub async fn records(
        &self,
        token_hash: &Secret<String>,
        table: &TableName,
        limit: u32,
        offset: u64,
    ) -> Result<Vec<Box<serde_json::value::RawValue>>, RemoteError> {
        let body = json!({
            "auth_token_hash": token_hash.expose(), "table_name": table, "limit": limit, "offset": offset,
        });
        self.call::<RecordsAnswer>("table-records", &body)
            .await
            .map(|answer| answer.records)
    }

    /// Opens the stream of a table's rows with just these columns.
    ///
    /// # Errors
    /// The peer's refusal, why it could not be asked, or that it cannot send frames.
    pub async fn rows(
        &self,
        token_hash: &Secret<String>,
        table: &TableName,
        columns: &[String],
        conflict_strategy: &str,
    ) -> Result<IncomingRows, RemoteError> {
        let body = json!({
            "auth_token_hash": token_hash.expose(), "table_name": table,
            "conflict_strategy": conflict_strategy, "columns": columns,
        });
        let request = self
            .request("pull-data", &body)
            .header("accept", MEDIA_TYPE);
        let response = request.send().await.map_err(|err| self.unreachable(&err))?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let is_frames = response
            .headers()
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.starts_with(MEDIA_TYPE));
        if !is_frames {
            return Err(self.nonsense("it sends no frames; is it an Evenkeel?"));
        }
        IncomingRows::begin(self.host(), response).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        endpoint: &str,
        body: &Value,
    ) -> Result<T, RemoteError> {
        let response = self.post(endpoint, body).await?;
        if !response.status().is_success() {
            return Err(self.refused(response).await);
        }
        let status = response.status().as_u16();
        let body = self.read(response).await?;
        // A PhoenixKit site shows refusals only in a 200 with `success: false`.
        if serde_json::from_slice::<Refusal>(&body)
            .is_ok_and(|refusal| refusal.success == Some(false))
        {
            return Err(self.refusal(status, &body, None));
        }
        serde_json::from_slice(&body).map_err(|err| self.nonsense(&format!("in {endpoint}: {err}")))
    }

    async fn post(&self, endpoint: &str, body: &Value) -> Result<reqwest::Response, RemoteError> {
        self.request(endpoint, body)
            .send()
            .await
            .map_err(|err| self.unreachable(&err))
    }

    fn request(&self, endpoint: &str, body: &Value) -> reqwest::RequestBuilder {
        let prefix = self.prefix.as_deref().unwrap_or_default();
        self.http
            .post(self.url.join(&format!("{prefix}/sync/api/{endpoint}")))
            .json(body)
    }

    async fn refused(&self, response: reqwest::Response) -> RemoteError {
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse().ok());
        match self.read(response).await {
            Ok(body) => self.refusal(status, &body, retry_after),
            Err(err) => err,
        }
    }

    fn refusal(&self, status: u16, body: &[u8], retry_after: Option<u64>) -> RemoteError {
        let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
        let words = refusal
            .error
            .unwrap_or_else(|| format!("HTTP status {status}"));
        // A stranger's words are shown to people: short and without control characters.
        let message = words
            .chars()
            .filter(|character| !character.is_control())
            .take(300)
            .collect();
        RemoteError::Refused {
            host: self.host(),
            status,
            message,
            code: refusal.error_code,
            retry_after,
        }
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Vec<u8>, RemoteError> {
        let mut body = Vec::new();
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|err| self.unreachable(&err))?
        {
            if body.len() + piece.len() > MAX_ANSWER_BYTES {
                return Err(self.nonsense("the answer is larger than 64 MiB"));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    fn host(&self) -> String {
        self.url.host().to_owned()
    }

    fn nonsense(&self, reason: &str) -> RemoteError {
        RemoteError::Protocol {
            host: self.host(),
            reason: reason.to_owned(),
        }
    }

    fn unreachable(&self, err: &reqwest::Error) -> RemoteError {
        if let Some(err) = source_of::<RemoteError>(err) {
            return err.clone();
        }
        RemoteError::Unreachable {
            host: self.host(),
            reason: innermost(err),
        }
    }
}

/// The two keys that name a connection.
fn named(own_url: &PeerUrl, token_hash: &Secret<String>) -> Value {
    json!({"sender_url": own_url.to_string(), "auth_token_hash": token_hash.expose()})
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Refusal {
    success: Option<bool>,
    error: Option<String>,
    error_code: Option<String>,
}

fn source_of<'a, E: std::error::Error + 'static>(
    err: &'a (dyn std::error::Error + 'static),
) -> Option<&'a E> {
    std::iter::successors(Some(err), |err| err.source()).find_map(|err| err.downcast_ref())
}

/// The last cause in the chain says what happened; the ones before it only repeat the URL.
pub(super) fn innermost(err: &(dyn std::error::Error + 'static)) -> String {
    std::iter::successors(Some(err), |err| err.source())
        .last()
        .map_or_else(String::new, ToString::to_string)
}
