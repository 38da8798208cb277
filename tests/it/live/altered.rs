//! A migration of an application waits less than ten seconds for a session, on either side, whatever a run is at.
//!
//! The link stalls in the middle of a run, so that the giver holds its session and the taker may have a transaction open.
//! Then tables are altered and truncated. Nothing that was half seen is taken for what the source has.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{is_over, sync, triggered};
use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;
use crate::support::proxy::Link;
use crate::support::wait;

/// What an application may have to wait at most.
const PROMISED: Duration = Duration::from_secs(10);
const ROWS: u32 = 20_000;
/// Where the link stalls: in the middle of the rows, which are some four times as many bytes, squeezed.
const STALLED_AFTER: u64 = 150_000;

const BULK: &str = "create table bulk (id int not null primary key, body varchar(300) not null)";

/// Texts that cannot be squeezed much.
fn filled() -> String {
    let mut sql = format!("{BULK};");
    let mut random = 1_u64;
    let mut word = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        format!("{random:016x}")
    };
    let rows: Vec<String> = (1..=ROWS)
        .map(|id| format!("({id}, '{} {} {}')", word(), word(), word()))
        .collect();
    for rows in rows.chunks(1_000) {
        sql.push_str(&format!("insert into bulk values {};", rows.join(",")));
    }
    sql
}

macro_rules! pairs {
    ($($name:ident: $from:ident => $to:ident;)+) => {
        $(#[test]
        fn $name() {
            nobody_waits_for_a_session(Kind::$from, Kind::$to);
        })+
    };
}

pairs! {
    a_migration_waits_for_no_session_from_postgresql_to_sqlite: Postgres => Sqlite;
    a_migration_waits_for_no_session_from_sqlite_to_mariadb: Sqlite => Mariadb;
    a_migration_waits_for_no_session_from_mariadb_to_postgresql: Mariadb => Postgres;
}

fn nobody_waits_for_a_session(from: Kind, to: Kind) {
    let pair = Pair::builder(Database::with(from, &filled()), Database::with(to, BULK)).start();
    let mapping =
        ["id", "body"].map(|name| json!({"source_column": name, "destination_field": name}));
    let tables = json!([{"source_table": "bulk", "field_mapping": mapping}]);
    let fields = json!({"sync_mode": "mirror", "guard": {"percent": 100, "rows": 1_000_000}});
    let sync = sync(&pair, &tables, &fields);
    let mut waited = Vec::new();

    // While the table is copied as a whole, and while rows are picked.
    for stage in ["copied", "picked"] {
        if stage == "picked" {
            pair.source
                .execute("update bulk set body = concat(body, ' again')");
        }
        let run = stalled(&pair, &sync);
        for (side, database) in [("here", &pair.destination), ("there", &pair.source)] {
            let alteration = format!("alter table bulk add column {stage} int");
            let time = took(|| database.execute(&alteration));
            assert!(
                time < PROMISED,
                "{stage}, {side}: the application waited {time:?}"
            );
            waited.push(format!("{stage} {side} {:.2} s", time.as_secs_f64()));
        }
        pair.link.set(Link::Whole);
        let run = pair.run_until(&run, "the run is over", is_over);
        assert_eq!(run["status"], "completed", "{stage}: {run:#}");
        assert_eq!(run["tables"][0]["proved_equal"], true, "{stage}: {run:#}");
        equal(&pair, stage);
        waited.push(format!("attempt {}", run["attempt"]));
    }

    // What is emptied while it is looked at is not taken for empty, nor for what was seen of it by then.
    pair.source
        .execute("update bulk set body = concat(body, ' and again')");
    let run = stalled(&pair, &sync);
    let statement = match from {
        Kind::Sqlite => "delete from bulk",
        Kind::Postgres | Kind::Mariadb => "truncate table bulk",
    };
    let time = took(|| pair.source.execute(statement));
    assert!(time < PROMISED, "truncate: the application waited {time:?}");
    waited.push(format!("truncate there {:.2} s", time.as_secs_f64()));
    pair.link.set(Link::Whole);
    let run = pair.run_until(&run, "the run ends or asks", |run| {
        is_over(run) || run["status"] == "needs_approval"
    });
    if from == Kind::Sqlite {
        // Its session saw the moment before, to the end.
        assert_eq!(run["status"], "completed", "{run:#}");
    } else {
        assert_eq!(run["error"]["code"], "needs_approval", "{run:#}");
    }
    assert_eq!(pair.destination.count("bulk"), u64::from(ROWS), "{run:#}");

    // A column that the destination lacks, of a sync that leaves none out.
    pair.source.execute("alter table bulk add column more int");
    let refused = pair.pull(&["bulk"]).run;
    assert_eq!(refused["error"]["code"], "missing_column", "{refused:#}");
    assert!(refused["error"]["hint"].is_string(), "{refused:#}");
    println!("{from:?} to {to:?}: {}", waited.join(", "));
}

/// A run that the link stalls while rows are on their way.
fn stalled(pair: &Pair, sync: &str) -> String {
    let much = pair.link.passed() + STALLED_AFTER;
    pair.link.set(Link::StallAt(much));
    let run = triggered(pair, sync);
    wait::until("rows are on their way", wait::LONG, || {
        let now = pair.run(&run);
        assert!(!is_over(&now), "{now:#}");
        (pair.link.passed() >= much).then_some(())
    });
    run
}

fn took(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn equal(pair: &Pair, stage: &str) {
    let rows = |database: &Database| database.query("select id, body from bulk order by id");
    assert!(rows(&pair.source) == rows(&pair.destination), "{stage}");
}
