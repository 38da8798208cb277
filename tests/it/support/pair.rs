//! Two sites that are connected: `berlin` gives, `paris` pulls, through a link that a test can spoil.

use serde_json::{Value, json};

use super::daemon::{Output, Site, SiteBuilder};
use super::database::Database;
use super::http::Answer;
use super::proxy::Proxy;
use super::tls::Authority;
use super::wait;

/// A pair in the making.
pub struct PairBuilder {
    giver: SiteBuilder,
    taker: SiteBuilder,
    source: Database,
    destination: Database,
    grant: Value,
    direct: bool,
    scheme: &'static str,
}

/// Two running sites with an active connection, called by the other's name on each side.
pub struct Pair {
    /// The site that gives: `berlin`.
    pub giver: Site,
    /// The site that pulls: `paris`.
    pub taker: Site,
    /// The giver's database.
    pub source: Database,
    /// The taker's database.
    pub destination: Database,
    /// What the taker's requests to the giver go through.
    pub link: Proxy,
}

/// A pull by the command, and the run as its last line tells it.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The command's end.
    pub output: Output,
    /// The run; null when there was none.
    pub run: Value,
}

impl PairBuilder {
    /// Sets a key of the giver.
    pub fn giver(mut self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.giver = self.giver.with(key, value);
        self
    }

    /// Sets a key of the taker.
    pub fn taker(mut self, key: &str, value: impl Into<toml::Value>) -> Self {
        self.taker = self.taker.with(key, value);
        self
    }

    /// Grants this instead of everything.
    pub fn grant(mut self, grant: Value) -> Self {
        self.grant = grant;
        self
    }

    /// Leaves the link out, for measuring: the taker's requests go straight to the giver.
    pub fn direct(mut self) -> Self {
        self.direct = true;
        self
    }

    /// Has both sites speak TLS, at 127.0.0.1 and 127.0.0.2, with certificates of `authority`.
    pub fn encrypted(mut self, authority: &Authority) -> Self {
        self.giver = self.giver.encrypted(authority, "127.0.0.1");
        self.taker = self.taker.encrypted(authority, "127.0.0.2");
        self.scheme = "https";
        self
    }

    /// Starts both sites and connects them.
    pub fn start(self) -> Pair {
        let link = Proxy::to(self.giver.port());
        let mut giver = self.giver;
        if !self.direct {
            giver = giver.with("site.url", link.url().replacen("http", self.scheme, 1));
        }
        let pair = Pair {
            giver: giver.start(),
            taker: self.taker.start(),
            source: self.source,
            destination: self.destination,
            link,
        };
        connect(&pair.giver, &pair.taker, &self.grant);
        pair
    }
}

impl Pair {
    /// A pair over these databases; everything is granted.
    pub fn builder(source: Database, destination: Database) -> PairBuilder {
        PairBuilder {
            giver: Site::builder("berlin").database(&source.url()),
            taker: Site::builder("paris").database(&destination.url()),
            source,
            destination,
            grant: json!({"tables": "*"}),
            direct: false,
            scheme: "http",
        }
    }

    /// Pulls from the giver by the command, `arguments` being tables and options; waits for the end.
    pub fn pull(&self, arguments: &[&str]) -> Pulled {
        pull(&self.taker, self.giver.name(), arguments)
    }

    /// Orders a pull by the admin API and returns the run's id without waiting.
    pub fn order(&self, tables: &[&str]) -> String {
        let made = self.ask(&json!({ "tables": tables }));
        let run = made.expect(201).json();
        run["id"].as_str().expect("an id").to_owned()
    }

    /// Asks the admin API for a pull and returns its answer.
    pub fn ask(&self, body: &Value) -> Answer {
        let id = connection(&self.taker, self.giver.name())["id"].clone();
        let target = format!("/connections/{}/pull", id.as_str().expect("an id"));
        self.taker.post(&target, body)
    }

    /// Pulls by the admin API, `body` saying what; returns the run as it ended.
    pub fn pull_as(&self, body: &Value) -> Value {
        let run = self.ask(body).expect(201).json();
        let id = run["id"].as_str().expect("an id");
        let is_over = |run: &Value| !run["completed_at"].is_null();
        self.run_until(id, "the run is over", is_over)
    }

    /// The run as it stands.
    pub fn run(&self, id: &str) -> Value {
        self.taker.get(&format!("/runs/{id}"))
    }

    /// Waits until the run is as `is` says, and returns it.
    pub fn run_until(&self, id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let found = wait::within(wait::LONG, || Some(self.run(id)).filter(|run| is(run)));
        found.unwrap_or_else(|| panic!("{what}: never came true of {:#}", self.run(id)))
    }

    /// Waits until the run has this status, and returns it.
    pub fn run_is(&self, id: &str, status: &str) -> Value {
        self.run_until(id, status, |run| run["status"] == status)
    }
}

impl Pulled {
    /// What became of one table.
    pub fn table(&self, name: &str) -> &Value {
        let tables = self.run["tables"].as_array();
        let found = tables.and_then(|tables| tables.iter().find(|table| table["table"] == name));
        found.unwrap_or_else(|| panic!("no table {name} in {self:#?}"))
    }

    /// Rows of the whole run that were (added, updated, skipped).
    pub fn changes(&self) -> (u64, u64, u64) {
        changes(&self.run)
    }

    /// This pull, having made sure that it completed and that the command says so.
    pub fn completed(self) -> Self {
        assert_eq!(self.run["status"], "completed", "{self:#?}");
        assert_eq!(self.output.code, 0, "{self:#?}");
        self
    }
}

/// Rows of a run, or of a table of one, that were (added, updated, skipped).
pub fn changes(of: &Value) -> (u64, u64, u64) {
    let count = |what: &str| of["changes"][what].as_u64().expect("a count");
    (count("added"), count("updated"), count("skipped"))
}

/// Pulls by the command over a connection of `site`; waits for the end.
pub fn pull(site: &Site, connection: &str, arguments: &[&str]) -> Pulled {
    let output = site.cli(&[&["--json", "pull", connection], arguments].concat());
    let last = output.stdout.lines().last().unwrap_or("null");
    let run = serde_json::from_str(last).unwrap_or_else(|err| panic!("{err}: {output:#?}"));
    Pulled { output, run }
}

/// Connects two running sites: the giver offers, the taker's administrator approves, both see it as active.
pub fn connect(giver: &Site, taker: &Site, grant: &Value) {
    let offer = json!({"url": taker.url(), "name": taker.name(), "grant": grant});
    giver.post("/connections", &offer).expect(201);
    let pending = connection(taker, giver.name());
    assert_eq!(pending["status"], "pending", "{pending:#}");
    let id = pending["id"].as_str().expect("an id");
    let approved = taker.post(&format!("/connections/{id}/approve"), &json!({}));
    approved.expect(200);
    for (site, other) in [(giver, taker), (taker, giver)] {
        wait::until("the connection is active", wait::LONG, || {
            (connection(site, other.name())["status"] == "active").then_some(())
        });
    }
}

/// The connection of this name as `site` shows it.
pub fn connection(site: &Site, name: &str) -> Value {
    let all = site.get("/connections");
    let items = all["items"].as_array().expect("items");
    let found = items.iter().find(|item| item["name"] == name);
    found
        .unwrap_or_else(|| panic!("{} has no connection {name}: {all:#}", site.name()))
        .clone()
}
