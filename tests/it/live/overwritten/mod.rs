//! An application that writes at the destination while runs carry out changes there: no write of its own is lost.
//!
//! Each of its writes leaves a token of its own in the row, which also says when it began: before a run was seen to have
//! compared both sides, or after. A trigger notes every write of the table with what the row was and what it became, and
//! who wrote. So it shows in SQL whether a run ever replaced or deleted a row that it cannot have seen when it compared:
//! one with a token from after that. And every row that a run did write is, as a whole, what the source has.

mod writers;

use serde_json::{Value, json};

use self::writers::{Writers, prepared};
use super::{is_over, sync, triggered};
use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;

/// Rows of the source.
const ROWS: u32 = 1_500;
/// Rows that only the source, and that only the destination has at the beginning of a run, at least.
const OTHERS: u32 = 100;

const GOODS: &str = "create table goods (
    id int not null primary key, token varchar(60) not null, a varchar(60), b varchar(60), c varchar(60))";

/// What a run wrote, and what it must not have.
struct Check {
    what: &'static str,
    /// Of the run's own entries in the journal; none may be so.
    wrong: String,
}

/// What is counted over all runs of a test.
#[derive(Default)]
struct Counts {
    runs: u32,
    written: u64,
    moved: u64,
}

#[test]
fn no_write_of_an_application_on_postgresql_is_lost_to_a_run() {
    no_write_is_lost(Kind::Sqlite, Kind::Postgres);
}

#[test]
fn no_write_of_an_application_on_mariadb_is_lost_to_a_run() {
    no_write_is_lost(Kind::Postgres, Kind::Mariadb);
}

#[test]
fn no_write_of_an_application_on_sqlite_is_lost_to_a_run() {
    no_write_is_lost(Kind::Mariadb, Kind::Sqlite);
}

fn no_write_is_lost(from: Kind, to: Kind) {
    let source = Database::with(from, GOODS);
    let destination = Database::with(to, &prepared(to));
    let login = writers::login_of_the_daemon(&destination);
    let pair = Pair::builder(source, destination)
        .taker("apply.transaction_rows", 150)
        .taker("site.database", login)
        .start();
    let open = json!({"guard": {"percent": 100, "rows": 1_000_000}});
    let sync = sync(&pair, &json!(["goods"]), &open);
    fill(&pair.source, 1);
    triggered_and_over(&pair, &sync);

    let mut counts = Counts::default();
    let writers = Writers::begin(&pair.destination);
    let rules = [
        ("upsert", "overwrite"),
        ("mirror", "overwrite"),
        ("upsert", "merge"),
        ("mirror", "merge"),
        ("upsert", "skip"),
        ("mirror", "overwrite"),
    ];
    for (number, (mode, conflict)) in (2..).zip(rules) {
        let edited = json!({"sync_mode": mode, "conflict_strategy": conflict});
        let target = format!("/syncs/{sync}");
        pair.taker.admin("PUT", &target, Some(&edited)).expect(200);
        fill(&pair.source, number);
        beside_writers(&pair, &sync, &writers, (number, conflict), &mut counts);
    }
    let writes = writers.end();
    let Counts {
        runs,
        written,
        moved,
    } = counts;
    journal_is_whole(&pair.destination);
    let after = pair
        .destination
        .query("select count(*) from journal where who = 'local' and new_token like 'l%.after.%'");
    let after: u64 = after.parse().unwrap();
    assert!(
        moved > 0 && written > 0 && after > 0,
        "{moved} {written} {after}"
    );
    println!(
        "{from:?} to {to:?}: {runs} runs wrote {written} rows beside {writes} writes of an application, {after} of them \
         after the comparison; {moved} rows had moved; 0 writes lost, 0 rows half overwritten"
    );
}

/// Every row of the source is another than before; some are gone, some are new. Of each third row one column is NULL.
fn fill(source: &Database, number: u32) {
    let first = number * OTHERS;
    let rows: Vec<String> = (first..first + ROWS)
        .map(|id| {
            let token = format!("s{number}.{id}");
            let c = match id % 3 {
                0 => "null".to_owned(),
                _ => format!("'{token}c'"),
            };
            format!("({id}, '{token}', '{token}a', '{token}b', {c})")
        })
        .collect();
    let mut sql = "delete from goods;".to_owned();
    for rows in rows.chunks(500) {
        sql.push_str(&format!("insert into goods values {};", rows.join(",")));
    }
    source.execute(&sql);
}

fn triggered_and_over(pair: &Pair, sync: &str) -> Value {
    let run = triggered(pair, sync);
    pair.run_until(&run, "the run is over", is_over)
}

/// One run beside the writers, and what the journal shows of it.
fn beside_writers(
    pair: &Pair,
    sync: &str,
    writers: &Writers<'_>,
    (number, conflict): (u32, &str),
    counts: &mut Counts,
) {
    let here = &pair.destination;
    writers.say(&format!("{number}.before"));
    let last = here.query("select coalesce(max(number), 0) from journal");
    let id = triggered(pair, sync);
    // Both sides were compared once it is told how many rows differ. Whatever the application begins from here on, the
    // run cannot have seen.
    pair.run_until(&id, "both sides were compared", |run| {
        is_over(run) || run["tables"][0]["drift_before"].is_u64()
    });
    writers.say(&format!("{number}.after"));
    let run = pair.run_until(&id, "the run is over", is_over);
    writers.say(&format!("{number}.between"));
    let note = format!("{:?}, run {number}, {conflict}: {run:#}", here.kind());
    let status = run["status"].as_str().unwrap();
    assert!(
        ["completed", "completed_with_errors"].contains(&status),
        "{note}"
    );
    let own = format!("from journal where who = 'daemon' and number > {last}");
    for (op, told) in [
        ("insert", "added"),
        ("update", "updated"),
        ("delete", "deleted"),
    ] {
        let noted = here.query(&format!("select count(*) {own} and op = '{op}'"));
        assert_eq!(noted, run["changes"][told].to_string(), "{op}: {note}");
    }
    for Check { what, wrong } in checks(number, conflict) {
        let found = here.query(&format!(
            "select * {own} and ({wrong}) order by number limit 3"
        ));
        assert_eq!(found, "", "{what}: {note}");
    }
    let half = "select * from goods where a <> concat(token, 'a') or b <> concat(token, 'b') or a is null or b is null";
    assert_eq!(here.query(half), "", "half of a row: {note}");
    let changes = &run["changes"];
    let count = |name: &str| changes[name].as_u64().unwrap();
    let moved = count("moved");
    assert_eq!(moved > 0, status == "completed_with_errors", "{note}");
    counts.runs += 1;
    counts.written += count("added") + count("updated") + count("deleted");
    counts.moved += moved;
}

/// What no entry of the run `number` may be.
fn checks(number: u32, conflict: &str) -> Vec<Check> {
    let token = format!("concat('s{number}.', new_id)");
    let c = match conflict {
        // Where NULL comes, what was there stays.
        "merge" => {
            "coalesce(new_id % 3 = 0 and op = 'update' and coalesce(new_c, '') <> coalesce(old_c, ''), false)"
        }
        _ => "new_id % 3 = 0 and new_c is not null",
    };
    let mut checks = vec![
        Check {
            what: "the run replaced what it cannot have seen",
            wrong: format!("old_token like 'l{number}.after.%'"),
        },
        Check {
            what: "the run wrote half of a row",
            wrong: format!(
                "op <> 'delete' and (new_token <> {token} or new_a <> concat({token}, 'a') or new_b <> concat({token}, 'b')
                   or new_a is null or new_b is null or (new_id % 3 <> 0 and coalesce(new_c, '') <> concat({token}, 'c')))"
            ),
        },
        Check {
            what: "the run wrote another value than its rules say",
            wrong: format!("op <> 'delete' and {c}"),
        },
    ];
    if conflict == "skip" {
        checks.push(Check {
            what: "the run updated a row",
            wrong: "op = 'update'".to_owned(),
        });
    }
    checks
}

/// Nobody wrote but was noted: each row is what the last entry about it says.
fn journal_is_whole(here: &Database) {
    let differing = here.query(
        "select count(*) from goods g where not exists (
             select 1 from journal j where j.new_id = g.id and j.new_token = g.token
               and j.number = (select max(k.number) from journal k where k.new_id = g.id or k.old_id = g.id))",
    );
    assert_eq!(differing, "0");
}
