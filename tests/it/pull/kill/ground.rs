//! Two sites of any two engines, whose daemons, link and servers can be killed and brought back one by one.

use std::cell::OnceCell;

use serde_json::{Value, json};

use super::rows::{self, Rows, Work};
use crate::support::database::{Database, Kind};
use crate::support::mariadb::{self, Mariadb};
use crate::support::pair::Pair;
use crate::support::postgres::Postgres;
use crate::support::proxy::Link;
use crate::support::wait;

/// Rows of one transaction.
pub(super) const TRANSACTION: u64 = 250;

/// Who is killed; the link is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Victim {
    Giver,
    Taker,
    Link,
    SourceDatabase,
    DestinationDatabase,
}

/// Servers that may be killed, each started when it is first needed.
#[derive(Default)]
pub(super) struct Servers {
    postgres: OnceCell<Postgres>,
    mariadb: OnceCell<Mariadb>,
}

/// One of them.
#[derive(Clone, Copy)]
enum Server<'s> {
    Postgres(&'s Postgres),
    Mariadb(&'s Mariadb),
}

/// Two connected sites; the destination holds what the source holds.
pub(super) struct Ground<'s> {
    pub(super) pair: Pair,
    /// What the source holds.
    pub(super) there: Rows,
    /// Bytes that pass the link while all of it is pulled.
    pub(super) whole: u64,
    /// Where the source is on a server of the trials.
    source: Option<Server<'s>>,
    destination: Option<Server<'s>>,
}

impl Servers {
    fn of(&self, kind: Kind) -> Option<Server<'_>> {
        match kind {
            Kind::Postgres => Some(Server::Postgres(self.postgres.get_or_init(Postgres::start))),
            Kind::Mariadb => Some(Server::Mariadb(self.mariadb.get_or_init(Mariadb::start))),
            Kind::Sqlite => None,
        }
    }

    /// Two sites whose databases are of these kinds. Where both are of one kind, the source is on the server that all tests
    /// share, and is not killed.
    pub(super) fn ground(&self, (source, destination): (Kind, Kind)) -> Ground<'_> {
        let servers = (
            self.of(source).filter(|_| source != destination),
            self.of(destination),
        );
        let there = database(source, servers.0);
        rows::fill(&there);
        let here = database(destination, servers.1);
        rows::make(&here);
        let held = rows::rows(&there);
        let pair = Pair::builder(there, here)
            .taker(
                "apply.transaction_rows",
                i64::try_from(TRANSACTION).unwrap(),
            )
            .start();
        let before = pair.link.passed();
        pair.pull(&["accounts", "ledger"]).completed();
        let whole = pair.link.passed() - before;
        Ground {
            pair,
            there: held,
            whole,
            source: servers.0,
            destination: servers.1,
        }
    }
}

fn database(kind: Kind, server: Option<Server<'_>>) -> Database {
    match server {
        None => Database::empty(kind),
        Some(Server::Postgres(server)) => Database::Postgres(server.database()),
        Some(Server::Mariadb(server)) => {
            let url = server.database();
            mariadb::query(&url, "alter database default collate utf8mb4_nopad_bin");
            Database::Mariadb(url)
        }
    }
}

impl Server<'_> {
    fn kill9(self) {
        match self {
            Self::Postgres(server) => server.kill9(),
            Self::Mariadb(server) => server.kill9(),
        }
    }

    fn restart(self) {
        match self {
            Self::Postgres(server) => server.restart(),
            Self::Mariadb(server) => server.restart(),
        }
    }
}

impl Ground<'_> {
    /// Who can be killed here.
    pub(super) fn victims(&self) -> Vec<Victim> {
        let mut victims = vec![Victim::Giver, Victim::Taker, Victim::Link];
        victims.extend(self.source.map(|_| Victim::SourceDatabase));
        victims.extend(self.destination.map(|_| Victim::DestinationDatabase));
        victims
    }

    /// Orders a run, and approves it if it asks; its id.
    pub(super) fn order(&self, work: Work) -> String {
        let pair = &self.pair;
        let run = pair.ask(&work.order()).expect(201).json();
        let id = run["id"].as_str().unwrap().to_owned();
        if work == Work::Approved {
            let run = pair.run_is(&id, "needs_approval");
            let plan = json!({"plan_hash": run["plan_hash"]});
            let approve = format!("/runs/{id}/approve");
            pair.taker.post(&approve, &plan).expect(200);
        }
        id
    }

    /// Kills, and waits until the attempt of `run` has ended and nobody writes any more. Nothing goes on until
    /// [`Self::mend`].
    pub(super) fn strike(&mut self, victim: Victim, run: &str, note: &str) {
        let pair = &mut self.pair;
        match victim {
            Victim::Giver => pair.giver.kill9(),
            Victim::Taker => pair.taker.kill9(),
            Victim::Link => pair.link.set(Link::CutAfter(0)),
            Victim::SourceDatabase => self.source.unwrap().kill9(),
            Victim::DestinationDatabase => self.destination.unwrap().kill9(),
        }
        if victim != Victim::Taker {
            let run = pair.run_until(run, "the attempt is over", is_over);
            let passes = ["pending", "completed"].map(Value::from);
            assert!(passes.contains(&run["status"]), "{note}: {run:#}");
        }
        if victim == Victim::DestinationDatabase {
            pair.link.set(Link::CutAfter(0));
            self.destination.unwrap().restart();
        }
        nobody_writes(&pair.destination);
    }

    /// Brings back what was killed.
    pub(super) fn mend(&mut self, victim: Victim) {
        match victim {
            Victim::Giver => self.pair.giver.start(),
            Victim::Taker => self.pair.taker.start(),
            Victim::SourceDatabase => self.source.unwrap().restart(),
            Victim::Link | Victim::DestinationDatabase => self.pair.link.set(Link::Whole),
        }
    }
}

/// Whether an attempt was made, and has ended.
fn is_over(run: &Value) -> bool {
    let was_tried = run["attempt"].as_u64() > Some(0);
    run["completed_at"].is_string() || was_tried && run["status"] != "running"
}

/// What a client had begun that is gone is rolled back once the server notices.
fn nobody_writes(destination: &Database) {
    let transactions = match destination {
        Database::Postgres(_) => {
            "select count(*) from pg_stat_activity
             where datname = current_database() and pid <> pg_backend_pid()
               and backend_type = 'client backend' and (xact_start is not null or state = 'active')"
        }
        Database::Mariadb(_) => "select count(*) from information_schema.innodb_trx",
        Database::Sqlite(_) => return destination.execute("begin immediate; rollback"),
    };
    wait::until("nobody writes any more", wait::LONG, || {
        (destination.query(transactions) == "0").then_some(())
    });
}
