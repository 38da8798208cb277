//! Our own double of a PhoenixKit site, over a PostgreSQL database: what it answers (`api`), how it writes values as a
//! sender (`values`), and how it asks and imports as a receiver (`client`). Built from what the peer protocol says such
//! a site needs, not from our code.

mod api;
mod client;
mod values;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// How much a version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Up to 0.1.6: cuts off in silence and in any order, says no key, knows no filters.
    Old,
    /// Later: says `truncated` and `filtered`, orders by the key and names it, and adds keys nobody asked for.
    New,
}

/// One of its rows.
#[derive(Clone, Debug)]
pub struct Row {
    /// `sender` or `receiver`.
    pub direction: &'static str,
    /// The other site.
    pub url: String,
    pub hash: String,
    pub status: String,
    pub name: String,
}

/// What it answers from.
struct State {
    version: Version,
    /// The URL of its database.
    database: String,
    /// Rows of one answer at most.
    most: u64,
    rows: Mutex<Vec<Row>>,
    /// What happens after each page that was asked for.
    after_page: Mutex<Option<AfterPage>>,
    /// Its pages come in another order each time.
    is_unordered: AtomicBool,
    /// What becomes of the answers of one endpoint.
    spoilt: Mutex<Option<(&'static str, Spoil)>>,
    /// Columns and primary key of tables, asked for once: they stay as they are.
    shapes: Mutex<BTreeMap<String, Shape>>,
}

/// Columns and primary key.
type Shape = (Vec<values::Column>, Vec<String>);

/// Alters an answer.
pub type Spoil = fn(&mut Value);

/// Alters the database; gets the offset that was asked for.
type AfterPage = Box<dyn FnMut(u64) + Send>;

/// The site, until dropped.
pub struct Phoenix {
    runtime: Runtime,
    server: MockServer,
    state: Arc<State>,
}

impl Phoenix {
    /// A site over the PostgreSQL database at this URL.
    pub fn start(version: Version, database: &str) -> Self {
        Self::giving_at_most(version, database, 10_000)
    }

    /// The same, with so many rows in one answer.
    pub fn giving_at_most(version: Version, database: &str, most: u64) -> Self {
        let state = Arc::new(State {
            version,
            database: database.to_owned(),
            most,
            rows: Mutex::new(Vec::new()),
            after_page: Mutex::new(None),
            is_unordered: AtomicBool::new(false),
            spoilt: Mutex::new(None),
            shapes: Mutex::new(BTreeMap::new()),
        });
        let runtime = Runtime::new().expect("a runtime");
        let answering = Arc::clone(&state);
        let server = runtime.block_on(async {
            let server = MockServer::start().await;
            let answer = move |request: &Request| answered(&answering, request);
            Mock::given(any()).respond_with(answer).mount(&server).await;
            server
        });
        Self {
            runtime,
            server,
            state,
        }
    }

    /// Where it is reached.
    pub fn url(&self) -> String {
        self.server.uri()
    }

    /// Its only row.
    pub fn row(&self) -> Row {
        let rows = self.state.rows();
        assert_eq!(rows.len(), 1, "{rows:?}");
        rows[0].clone()
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.state.rows().len()
    }

    /// Forgets all its rows, as when its administrator deleted them while the other side was away.
    pub fn forget(&self) {
        self.state.rows().clear();
    }

    /// From now on `change` is called after each page of `table-records`.
    pub fn after_page(&self, change: impl FnMut(u64) + Send + 'static) {
        let mut after = self.state.after_page.lock().unwrap();
        *after = Some(Box::new(change));
    }

    /// From now on its pages come in another order each time.
    pub fn forget_order(&self) {
        self.state.is_unordered.store(true, Ordering::Relaxed);
    }

    /// From now on the answers of `endpoint`, and of no other, are altered so.
    pub fn spoil(&self, endpoint: &'static str, with: Spoil) {
        *self.state.spoilt.lock().unwrap() = Some((endpoint, with));
    }

    /// The bodies it got at this endpoint, in order.
    pub fn heard(&self, endpoint: &str) -> Vec<Value> {
        self.requests()
            .iter()
            .filter(|request| request.url.path() == format!("/phoenix_kit/sync/api/{endpoint}"))
            .map(|request| serde_json::from_slice(&request.body).expect("JSON"))
            .collect()
    }

    /// All requests it got.
    pub fn requests(&self) -> Vec<Request> {
        let requests = self.runtime.block_on(self.server.received_requests());
        requests.expect("requests are recorded")
    }
}

impl State {
    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No columns where there is no such table.
    fn shape(&self, table: &str) -> Shape {
        let mut shapes = self.shapes.lock().unwrap();
        if let Some(known) = shapes.get(table) {
            return known.clone();
        }
        let columns = values::columns(&self.database, table);
        if columns.is_empty() {
            return Shape::default();
        }
        let shape = (columns, values::primary_key(&self.database, table));
        shapes.insert(table.to_owned(), shape.clone());
        shape
    }
}

fn answered(state: &State, request: &Request) -> ResponseTemplate {
    // Content negotiation: what takes no JSON gets none.
    let accept = request.headers.get("accept");
    let accept = accept.map_or("*/*", |value| value.to_str().expect("text"));
    if !accept.contains("*/*") && !accept.contains("json") {
        return ResponseTemplate::new(406);
    }
    let endpoint = request.url.path().strip_prefix("/phoenix_kit/sync/api/");
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let (status, mut answer) = match (request.method.as_str(), endpoint) {
        ("GET", Some("status")) => api::status(),
        ("POST", Some(endpoint)) => api::answer(state, endpoint, &body),
        _ => return ResponseTemplate::new(404).set_body_string("Not Found"),
    };
    if let Some((spoilt, with)) = *state.spoilt.lock().unwrap()
        && endpoint == Some(spoilt)
    {
        with(&mut answer);
    }
    ResponseTemplate::new(status).set_body_json(answer)
}

/// A token's name in the published protocol.
fn hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}
