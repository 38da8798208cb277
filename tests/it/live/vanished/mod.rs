//! A source that is empty, fails, is cut or is seen in part deletes nothing at a mirror's destination.
//!
//! Every case spoils what the taker sees of rows that are all still meant to be there. After the run the destination is, by
//! its own SQL, what it was, and the run says why it stopped and what to do. Then the source is mended, and the next run
//! proves both sides equal. But for the cases of the guard itself the syncs have none: what else stops them is shown.

mod cases;
mod engines;
mod guard;
mod link;

use std::path::PathBuf;

use serde_json::{Value, json};

use self::cases::{GONE, SHOWN};
use self::engines::{FILES, MARIADB, POSTGRES};
use super::{completes, first_attempt, sync};
use crate::support::database::{Database, Kind};
use crate::support::is_thorough;
use crate::support::pair::{Pair, connection};
use crate::support::postgres::{self, Postgres};
use crate::support::sqlite;

/// Rows of `stock`; each second one lies in the north.
const ROWS: u32 = 120;
const STOCK: &str = "(id integer not null primary key, city varchar(20), word varchar(40))";
/// Rows that are so few that no guard looks at them.
const CODES: &str = "create table codes (code varchar(20) not null primary key, word varchar(40));
    insert into codes values ('a', 'one'), ('b', 'two'), ('c', 'three'), ('d', 'four'), ('e', 'five');";

/// Two sites whose second mirrors the first.
struct Scene {
    pair: Pair,
    sync: String,
    /// The source's own server.
    server: Option<Postgres>,
}

/// A way in which rows vanish that nobody deleted.
struct Case {
    name: &'static str,
    guard: Guard,
    spoil: fn(&mut Scene),
    mend: fn(&mut Scene),
    ends: Ends,
}

/// What keeps a mirror from deleting much.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// As every sync has it.
    Usual,
    /// So much that it never asks but for an empty source.
    Open,
}

/// How the run ends.
#[derive(Clone, Copy)]
enum Ends {
    /// With this code (or one of these, by what the destination is), and these words.
    With(&'static str, &'static str),
    /// It completes, since it is about other rows or columns.
    Well,
}

/// `stock`, filled, and the same rows once more to mend it with.
fn filled() -> String {
    let row = |id| {
        let city = if id % 2 == 0 { "north" } else { "south" };
        format!("({id}, '{city}', 'word {id}')")
    };
    let rows: Vec<String> = (1..=ROWS).map(row).collect();
    let rows = rows.join(", ");
    format!(
        "create table stock {STOCK}; insert into stock values {rows};
         create table kept {STOCK}; insert into kept values {rows}; {CODES}"
    )
}

fn rows_of(database: &Database) -> [String; 2] {
    [
        "select id, city, word from stock order by id",
        "select code, word from codes order by code",
    ]
    .map(|query| database.query(query))
}

impl Scene {
    /// Both sites equal by the first run of the mirror.
    fn start(source: Database, to: Kind, server: Option<Postgres>) -> Self {
        // On a server of its own it is read by a login without further rights.
        let login = source.url().replace("postgres@", "reader@");
        let mut builder = Pair::builder(source, Database::empty(to));
        if server.is_some() {
            builder = builder.giver("site.database", login);
        }
        let pair = builder.start();
        let create = json!({"tables": ["stock", "codes"], "create_missing": true});
        let run = pair.pull_as(&create);
        assert_eq!(run["status"], "completed", "{run:#}");
        let tables = json!(["stock", "codes"]);
        let sync = sync(&pair, &tables, &json!({"sync_mode": "mirror"}));
        let scene = Self { pair, sync, server };
        scene.is_equal();
        scene
    }

    /// A run that completes, and leaves both sides equal by SQL.
    fn is_equal(&self) {
        completes(&self.pair, &self.sync);
        let here = rows_of(&self.pair.destination);
        assert_eq!(here, rows_of(&self.pair.source));
    }

    fn edit(&self, fields: &Value) {
        let target = format!("/syncs/{}", self.sync);
        self.pair
            .taker
            .admin("PUT", &target, Some(fields))
            .expect(200);
    }

    fn guarded_by(&self, guard: Guard) {
        let guard = match guard {
            Guard::Usual => json!({"percent": 10, "rows": 10_000}),
            Guard::Open => json!({"percent": 100, "rows": 1_000_000}),
        };
        self.edit(&json!({"guard": guard}));
    }

    /// Has the giver grant this instead.
    fn grant(&self, grant: &Value) {
        let id = connection(&self.pair.giver, self.pair.taker.name())["id"].clone();
        let target = format!("/connections/{}", id.as_str().unwrap());
        let body = json!({ "grant": grant });
        self.pair
            .giver
            .admin("PATCH", &target, Some(&body))
            .expect(200);
    }

    fn execute(&self, sql: &str) {
        self.pair.source.execute(sql);
    }

    /// The file of a SQLite source.
    fn file(&self) -> PathBuf {
        PathBuf::from(self.pair.source.url().replace("sqlite://", ""))
    }

    /// What is wrong with a case; nothing, if all is as it should be.
    fn show(&mut self, case: &Case) -> Option<String> {
        let name = case.name;
        self.guarded_by(case.guard);
        (case.spoil)(self);
        let before = rows_of(&self.pair.destination);
        let run = first_attempt(&self.pair, &self.sync);
        let kept = rows_of(&self.pair.destination) == before;
        let text = |field: &str| run["error"][field].as_str().unwrap_or_default();
        let as_said = match case.ends {
            Ends::Well => run["status"] == "completed",
            Ends::With(code, words) => {
                code.split('|').any(|code| text("code") == code)
                    && text("message").contains(words)
                    && !text("hint").is_empty()
            }
        };
        println!("  {name}: {} {}", run["status"], text("message"));
        (case.mend)(self);
        self.is_equal();
        let fault = match (kept, as_said) {
            (true, true) => return None,
            (true, false) => "ended otherwise",
            (false, _) => "the destination is another",
        };
        Some(format!(
            "{name}: {fault}: {} {:#}",
            run["changes"], run["error"]
        ))
    }

    fn show_all(mut self, what: &str, cases: &[&[Case]]) {
        let cases: Vec<&Case> = cases.iter().copied().flatten().collect();
        let faults: Vec<String> = cases.iter().filter_map(|case| self.show(case)).collect();
        assert!(faults.is_empty(), "{}", faults.join("\n"));
        let transfers = self.pair.taker.get("/transfers?limit=200");
        let transfers = transfers["items"].as_array().unwrap();
        let is_over = |transfer: &Value| transfer["status"] != "running";
        assert!(transfers.iter().all(is_over), "{transfers:#?}");
        println!(
            "{what}: {} ways to lose sight of rows, 0 rows deleted or changed",
            cases.len()
        );
    }
}

#[test]
fn a_postgresql_source_that_is_half_seen_deletes_nothing() {
    let server = Postgres::start();
    let url = server.database();
    let login = "create role reader login; grant pg_read_all_data to reader;";
    postgres::query(&url, &format!("{login}{}", filled()));
    let source = Database::Postgres(url);
    let scene = Scene::start(source, Kind::Sqlite, Some(server));
    scene.show_all("PostgreSQL to SQLite", &[&GONE, &SHOWN, &POSTGRES]);
}

/// They are of no engine: once is enough, but for who wants to know.
fn shown() -> &'static [Case] {
    if is_thorough() { &SHOWN } else { &[] }
}

#[test]
fn a_mariadb_source_that_is_half_seen_deletes_nothing() {
    let source = Database::with(Kind::Mariadb, &filled());
    let scene = Scene::start(source, Kind::Postgres, None);
    scene.show_all("MariaDB to PostgreSQL", &[&GONE, shown(), &MARIADB]);
}

#[test]
fn a_sqlite_source_that_is_half_seen_deletes_nothing() {
    let source = Database::with(Kind::Sqlite, &filled());
    let scene = Scene::start(source, Kind::Mariadb, None);
    // Whatever is in the log is in the file.
    sqlite::execute(&scene.file(), "pragma wal_checkpoint(truncate)");
    std::fs::copy(scene.file(), scene.file().with_extension("kept")).unwrap();
    scene.show_all("SQLite to MariaDB", &[&GONE, shown(), &FILES]);
}
