//! Speaks the admin API of a daemon, over its socket or by HTTP with a token.
//!
//! Problem documents (RFC 9457) become failures with the exit code their status stands for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use rustls::CertificateError;
use rustls::pki_types::CertificateDer;
use serde_json::Value;
use url::Url;

use crate::base::cause::{first_cause, last_cause};
use crate::base::secret::Secret;
use crate::base::trust;
use crate::cli::exit::{Exit, Failure};
use crate::cli::fields::{list, text};

const PAGE: usize = 200;

/// A way to one daemon.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    token: Option<Secret<String>>,
    tried: String,
}

impl Client {
    /// By the socket at `path`; the daemon knows callers by their user.
    pub(super) fn over_socket(path: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            http: builder(trust::without_authorities()?)
                .unix_socket(PathBuf::from(path))
                .build()?,
            base: Url::parse("http://localhost")?,
            token: None,
            tried: format!("the socket {}", path.display()),
        })
    }

    /// By HTTP at `server`, with an admin API token if there is one, trusting `authorities` besides the system's.
    /// Who calls makes sure that the token may cross.
    pub(super) fn over_http(
        server: &Url,
        token: Option<Secret<String>>,
        authorities: &[CertificateDer<'static>],
    ) -> anyhow::Result<Self> {
        Ok(Self {
            http: builder(trust::client_config(authorities)?).build()?,
            tried: server.to_string(),
            base: server.clone(),
            token,
        })
    }

    /// Reads one thing; `path` in segments below `/api/v1`.
    pub(super) async fn get(&self, path: &[&str]) -> anyhow::Result<Value> {
        self.get_with(path, &[]).await
    }

    /// Reads one thing, with a query.
    pub(super) async fn get_with(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<Value> {
        self.call(Method::GET, self.url(path, query)?, None).await
    }

    /// Sends `body`.
    pub(super) async fn post(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.call(Method::POST, self.url(path, &[])?, Some(body))
            .await
    }

    /// Changes fields of what takes a whole object elsewhere.
    pub(super) async fn put(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.call(Method::PUT, self.url(path, &[])?, Some(body))
            .await
    }

    /// Changes fields.
    pub(super) async fn patch(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.call(Method::PATCH, self.url(path, &[])?, Some(body))
            .await
    }

    /// Removes.
    pub(super) async fn delete(&self, path: &[&str]) -> anyhow::Result<Value> {
        self.call(Method::DELETE, self.url(path, &[])?, None).await
    }

    /// The items of a list, newest first, page by page up to `most`.
    pub(super) async fn list(
        &self,
        path: &[&str],
        filters: &[(&str, &str)],
        most: usize,
    ) -> anyhow::Result<Vec<Value>> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let limit = most.saturating_sub(items.len()).min(PAGE).to_string();
            let mut query = filters.to_vec();
            query.push(("limit", &limit));
            if let Some(cursor) = &cursor {
                query.push(("cursor", cursor));
            }
            let page = self
                .call(Method::GET, self.url(path, &query)?, None)
                .await?;
            items.extend_from_slice(list(&page, "items"));
            cursor = page
                .get("next_cursor")
                .and_then(Value::as_str)
                .map(str::to_owned);
            if cursor.is_none() || list(&page, "items").is_empty() || items.len() >= most {
                items.truncate(most);
                return Ok(items);
            }
        }
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<Url> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| anyhow::anyhow!("{} cannot have a path", self.tried))?
            .pop_if_empty()
            .extend(["api", "v1"])
            .extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(url)
    }

    async fn call(&self, method: Method, url: Url, body: Option<&Value>) -> anyhow::Result<Value> {
        let mut request = self.http.request(method, url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|err| self.unreachable(&err))?;
        let status = answer.status();
        let bytes = answer.bytes().await.map_err(|err| self.unreachable(&err))?;
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if status.is_success() {
            Ok(body)
        } else {
            Err(failure_of(status, &body).into())
        }
    }

    fn unreachable(&self, err: &(dyn std::error::Error + 'static)) -> Failure {
        Failure::unreachable(format!(
            "the daemon cannot be reached: tried {}: {}\n{}",
            self.tried,
            last_cause(err),
            advice(err)
        ))
    }
}

/// What to try when nobody answers as a daemon does.
fn advice(err: &(dyn std::error::Error + 'static)) -> &'static str {
    match first_cause(err) {
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "If the authority that signed its certificate is your own, name the file with it: --ca-file FILE, or EVENKEEL_CA_FILE."
        }
        Some(rustls::Error::InvalidMessage(_)) => {
            "It does not speak TLS there: has it admin.tls? Without, write http://."
        }
        _ if first_cause::<hyper::Error>(err).is_some_and(hyper::Error::is_parse) => {
            "It does not speak plain HTTP there: if it has admin.tls, write https://."
        }
        _ if is_denied(err) => {
            "Root, the daemon's user and its group may use the socket: try sudo, or --server URL and EVENKEEL_TOKEN."
        }
        _ => {
            "Is it running (`systemctl status evenkeel`; by hand: `evenkeel serve`)? One elsewhere: --config FILE, or --server URL and EVENKEEL_TOKEN."
        }
    }
}

fn is_denied(err: &(dyn std::error::Error + 'static)) -> bool {
    first_cause::<std::io::Error>(err)
        .is_some_and(|err| err.kind() == std::io::ErrorKind::PermissionDenied)
}

fn builder(tls: rustls::ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(Duration::from_secs(120))
}

/// What a problem document says, and the exit code of its status.
fn failure_of(status: StatusCode, problem: &Value) -> Failure {
    let said = [text(problem, "detail"), text(problem, "title")];
    let mut words = match said.into_iter().find(|words| !words.is_empty()) {
        Some(words) => words.to_owned(),
        None if status == StatusCode::NOT_FOUND => {
            "what answers there is no admin API; name the address in admin.listen (server.listen is for peers)".to_owned()
        }
        None => format!("the daemon answered {status}"),
    };
    for error in list(problem, "errors") {
        if words == text(error, "message") {
            continue;
        }
        words.push_str(&format!(
            "\n  {}: {}",
            text(error, "field"),
            text(error, "message")
        ));
    }
    if !text(problem, "hint").is_empty() {
        words.push_str(&format!("\n  {}", text(problem, "hint")));
    }
    if status == StatusCode::UNAUTHORIZED {
        words.push_str("\n  set EVENKEEL_TOKEN to what `evenkeel token create` printed on the daemon's machine");
    }
    let kind = text(problem, "type").rsplit(['/', ':', '#']).next();
    let exit = match (status.as_u16(), kind.unwrap_or_default()) {
        (_, "peer-refused" | "peer-untrusted") => Exit::Refused,
        // Nothing the caller wrote is wrong.
        (_, "peer-unreachable" | "peer-protocol") => Exit::Told,
        (400 | 404 | 412 | 422, _) => Exit::Usage,
        (401 | 403 | 409, _) => Exit::Refused,
        _ => Exit::Told,
    };
    Failure { exit, words }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Client, Exit, Failure, Path, StatusCode, Value, failure_of};

    #[test]
    fn a_problem_is_told_with_its_fields_and_the_exit_code_of_its_status() {
        let problem = json!({"type": "about:blank", "title": "Bad", "detail": "two things are wrong",
            "errors": [{"field": "url", "message": "is not a URL"}]});
        let failure = failure_of(StatusCode::UNPROCESSABLE_ENTITY, &problem);
        assert_eq!(failure.words, "two things are wrong\n  url: is not a URL");
        assert_eq!(failure.exit, Exit::Usage);
        let single =
            json!({"detail": "is no URL", "errors": [{"field": "url", "message": "is no URL"}]});
        assert_eq!(
            failure_of(StatusCode::BAD_REQUEST, &single).words,
            "is no URL"
        );
        let refusal =
            json!({"type": "https://evenkeel.example/problems/peer-refused", "detail": "no"});
        let unreachable =
            json!({"type": "/problems/peer-unreachable", "detail": "no", "hint": "is it up?"});
        assert_eq!(
            failure_of(StatusCode::UNPROCESSABLE_ENTITY, &unreachable).words,
            "no\n  is it up?"
        );
        for (status, problem, exit) in [
            (422, unreachable, Exit::Told),
            (400, json!({}), Exit::Usage),
            (404, json!({}), Exit::Usage),
            (422, refusal, Exit::Refused),
            (401, json!({}), Exit::Refused),
            (403, json!({}), Exit::Refused),
            (409, json!({}), Exit::Refused),
            (429, json!({}), Exit::Told),
            (500, Value::Null, Exit::Told),
        ] {
            let failure = failure_of(StatusCode::from_u16(status).unwrap(), &problem);
            assert_eq!(failure.exit, exit, "{status}");
            assert!(!failure.words.is_empty(), "{status}");
        }
    }

    #[test]
    fn names_are_escaped_in_paths() {
        let server = "http://h:1/base/".parse().unwrap();
        let client = Client::over_http(&server, None, &[]).unwrap();
        let url = client
            .url(&["connections", "1", "tables", "a/b?c"], &[("limit", "5")])
            .unwrap();
        assert_eq!(
            url.as_str(),
            "http://h:1/base/api/v1/connections/1/tables/a%2Fb%3Fc?limit=5"
        );
    }

    #[tokio::test]
    async fn a_daemon_that_is_not_there_is_unreachable_and_named() {
        let client = Client::over_socket(Path::new("/nowhere/admin.sock")).unwrap();
        let err = client.get(&["site"]).await.unwrap_err();
        let failure = err.downcast::<Failure>().unwrap();
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(failure.words.contains("/nowhere/admin.sock"), "{failure}");
    }
}
