//! A site that is not Evenkeel: answers registrations as PhoenixKit does and remembers what it was told.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// The stranger, until dropped.
pub struct Stranger {
    runtime: Runtime,
    server: MockServer,
}

impl Stranger {
    /// Takes every registration at once and says yes to all else.
    pub fn start() -> Self {
        let registered = json!({
            "success": true, "message": "Connection registered and activated", "connection_status": "active",
            "connection_uuid": "0192d1c8-3b7e-7000-8000-000000000001",
        });
        Self::answering(200, &registered)
    }

    /// The same, and announces that it signs.
    pub fn signing() -> Self {
        let registered = json!({
            "success": true, "message": "Connection registered and activated", "connection_status": "active",
            "connection_uuid": "0192d1c8-3b7e-7000-8000-000000000001",
            "evenkeel": {
                "protocol": 1, "site_id": "0192d1c8-3b7e-7000-8000-000000000002", "site_name": "hamburg",
                "version": "0.1.0", "receipt_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
            },
        });
        Self::answering(200, &registered)
    }

    /// Answers registrations so.
    pub fn answering(status: u16, body: &Value) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let open =
            json!({"enabled": true, "incoming_mode": "auto_accept", "password_required": false});
        let server = runtime.block_on(async {
            let server = MockServer::start().await;
            for (verb, endpoint, status, body) in [
                ("GET", "status", 200, &open),
                ("POST", "register-connection", status, body),
                (
                    "POST",
                    "update-status",
                    200,
                    &json!({"success": true, "message": "Status updated"}),
                ),
                (
                    "POST",
                    "delete-connection",
                    200,
                    &json!({"success": true, "message": "Connection deleted"}),
                ),
                (
                    "POST",
                    "verify-connection",
                    200,
                    &json!({"success": true, "exists": true}),
                ),
            ] {
                let answer = ResponseTemplate::new(status).set_body_json(body);
                let at = path(format!("/phoenix_kit/sync/api/{endpoint}"));
                Mock::given(method(verb))
                    .and(at)
                    .respond_with(answer)
                    .mount(&server)
                    .await;
            }
            server
        });
        Self { runtime, server }
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        self.server.uri()
    }

    /// The bodies it got at this endpoint, in order.
    pub fn heard(&self, endpoint: &str) -> Vec<Value> {
        let requests = self.runtime.block_on(self.server.received_requests());
        let at = format!("/phoenix_kit/sync/api/{endpoint}");
        requests
            .expect("requests are recorded")
            .iter()
            .filter(|request| request.url.path() == at)
            .map(|request| serde_json::from_slice(&request.body).expect("JSON"))
            .collect()
    }

    /// The hash of the token it was last given.
    pub fn token_hash(&self) -> String {
        hash(&self.token())
    }

    /// The token it was last given.
    pub fn token(&self) -> String {
        let heard = self.heard("register-connection");
        let token = heard.last().expect("a registration")["auth_token"].clone();
        token.as_str().expect("a token").to_owned()
    }
}

/// A token's name in the published protocol.
pub fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}
