//! How a peer is asked: one request, one bounded answer, and every refusal in the peer's own words.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::cause::{first_cause, last_cause};
use crate::model::url::PeerUrl;
use crate::remote::certificate::{fault_of_certificate, fault_of_handshake};
use crate::remote::error::{RemoteError, error_code, quoted};
use crate::remote::signing::{Expected, sign};
use crate::wire::signing::{Credentials, Seal};

/// The way to one peer's API.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    pub(super) http: reqwest::Client,
    pub(super) url: PeerUrl,
    pub(super) prefix: Option<String>,
}

/// An answer under way, and what it has to prove.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) response: reqwest::Response,
    expected: Option<Expected>,
}

impl Exchange {
    /// What the frames of the answer are sealed with, on a signed connection.
    pub(super) fn seal(&self) -> Option<Seal> {
        self.expected.as_ref().map(Expected::seal)
    }
}

impl Transport {
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        endpoint: &str,
        body: &Value,
        credentials: Option<&Credentials>,
    ) -> Result<T, RemoteError> {
        let exchange = self.post(endpoint, body, credentials).await?;
        if !exchange.response.status().is_success() {
            return Err(self.refused(exchange).await);
        }
        let (status, body) = self.finish(exchange, most_bytes(endpoint)).await?;
        // A PhoenixKit site shows refusals only in a 200 with `success: false`.
        if serde_json::from_slice::<Refusal>(&body)
            .is_ok_and(|refusal| refusal.success == Some(false))
        {
            return Err(self.refusal(status, &body, None));
        }
        serde_json::from_slice(&body).map_err(|err| self.nonsense(&format!("in {endpoint}: {err}")))
    }

    pub(super) async fn post(
        &self,
        endpoint: &str,
        body: &Value,
        credentials: Option<&Credentials>,
    ) -> Result<Exchange, RemoteError> {
        self.ask(endpoint, body, credentials, None).await
    }

    /// Asks, with a signature where the connection is signed. `accept` names the form of the answer, unless it is JSON.
    pub(super) async fn ask(
        &self,
        endpoint: &str,
        body: &Value,
        credentials: Option<&Credentials>,
        accept: Option<&'static str>,
    ) -> Result<Exchange, RemoteError> {
        let prefix = self.prefix.as_deref().unwrap_or_default();
        let mut request = self
            .http
            .post(self.url.join(&format!("{prefix}/sync/api/{endpoint}")))
            .json(body);
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let mut request = request.build().map_err(|err| self.unreachable(&err))?;
        let expected = match credentials {
            Some(credentials) => sign(&mut request, credentials).map_err(RemoteError::Setup)?,
            None => None,
        };
        let response = self
            .http
            .execute(request)
            .await
            .map_err(|err| self.unreachable(&err))?;
        Ok(Exchange { response, expected })
    }

    /// The whole answer, whose signature holds where there has to be one: its status and body.
    pub(super) async fn finish(
        &self,
        exchange: Exchange,
        most_bytes: usize,
    ) -> Result<(u16, Vec<u8>), RemoteError> {
        let Exchange { response, expected } = exchange;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = self.read(response, most_bytes).await?;
        let checked = expected.map_or(Ok(()), |expected| expected.check(status, &headers, &body));
        match checked {
            Ok(()) => Ok((status, body)),
            Err(reason) => Err(self.unproved(status, reason, &body)),
        }
    }

    fn unproved(&self, status: u16, reason: &str, body: &[u8]) -> RemoteError {
        let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
        let words = refusal.error.unwrap_or_default();
        RemoteError::Unproved {
            host: self.host(),
            reason: quoted(&format!("{reason}; HTTP status {status} {words}")),
        }
    }

    pub(super) async fn refused(&self, exchange: Exchange) -> RemoteError {
        let retry_after = exchange
            .response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.parse().ok());
        match self.finish(exchange, MAX_BYTES).await {
            Ok((status, body)) => self.refusal(status, &body, retry_after),
            Err(err) => err,
        }
    }

    pub(super) fn refusal(
        &self,
        status: u16,
        body: &[u8],
        retry_after: Option<u64>,
    ) -> RemoteError {
        let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
        let mut words = refusal
            .error
            .unwrap_or_else(|| format!("HTTP status {status}"));
        for (before, more) in [
            (": ", refusal.reason),
            ("; its clock: ", refusal.server_time),
        ] {
            if let Some(more) = more {
                words.extend([before, more.as_str()]);
            }
        }
        RemoteError::Refused {
            host: self.host(),
            status,
            message: quoted(&words),
            code: refusal.error_code.and_then(error_code),
            retry_after,
        }
    }

    pub(super) async fn read(
        &self,
        mut response: reqwest::Response,
        most_bytes: usize,
    ) -> Result<Vec<u8>, RemoteError> {
        let mut body = Vec::new();
        while let Some(piece) = response
            .chunk()
            .await
            .map_err(|err| self.unreachable(&err))?
        {
            if body.len() + piece.len() > most_bytes {
                return Err(self.nonsense(&format!("the answer has more than {most_bytes} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    pub(super) fn host(&self) -> String {
        self.url.host().to_owned()
    }

    pub(super) fn nonsense(&self, reason: &str) -> RemoteError {
        RemoteError::Protocol {
            host: self.host(),
            reason: quoted(reason),
        }
    }

    pub(super) fn unreachable(&self, err: &reqwest::Error) -> RemoteError {
        if let Some(err) = first_cause::<RemoteError>(err) {
            return err.clone();
        }
        let host = self.host();
        let of_tls = first_cause::<rustls::Error>(err);
        if let Some(reason) = of_tls.and_then(|err| fault_of_certificate(&host, err)) {
            return RemoteError::Untrusted {
                host,
                reason: quoted(&reason),
            };
        }
        let reason = match of_tls.and_then(fault_of_handshake) {
            Some(words) => words.to_owned(),
            None => last_cause(err),
        };
        RemoteError::Unreachable { host, reason }
    }
}

/// An answer without data has at most this many bytes.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// How much of an answer is read. JSON in memory takes many times its bytes, so the bounds lie near what is real.
fn most_bytes(endpoint: &str) -> usize {
    match endpoint {
        "table-records" => 64 << 20,
        "list-tables" | "open-session" => 16 << 20,
        "table-schema" => 4 << 20,
        _ => MAX_BYTES,
    }
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Refusal {
    success: Option<bool>,
    error: Option<String>,
    error_code: Option<String>,
    /// Of a signature that is not believed.
    reason: Option<String>,
    server_time: Option<String>,
}
