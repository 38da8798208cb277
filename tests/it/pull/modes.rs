//! What each mode and each conflict strategy writes, row by row, into each engine.

use crate::support::database::{Database, KINDS, Kind};
use crate::support::pair::Pair;

/// `local` is what stands here before, the source's rows stand in [`SOURCE`].
const SOURCE: &str = "
create table prices (id integer primary key, name text, price numeric(10,2), note text);
insert into prices values
    (1, 'equal', 1.10, 'same'),
    (2, 'theirs', 2.20, 'theirs'),
    (3, 'only there', 3.30, null),
    (4, 'their name', 4.40, null),
    (5, 'same but for the note', 5.50, null);
";

const LOCAL: &str = "
delete from prices;
insert into prices (id, name, price, note) values
    (1, 'equal', 1.10, 'same'),
    (2, 'ours', 2.00, 'ours'),
    (4, 'our name', 4.40, 'our note'),
    (5, 'same but for the note', 5.50, 'our note'),
    (9, 'only here', 9.90, 'ours');
";

struct Case {
    mode: &'static str,
    conflict: &'static str,
    /// added, updated, skipped
    changes: (u64, u64, u64),
    /// Rows that still differ, or are not here, when all is done.
    left: u64,
    /// Rows 2 to 5 afterwards: name and note; 1 and 9 always stay.
    rows: &'static str,
}

const CASES: [Case; 9] = [
    Case {
        mode: "upsert",
        conflict: "overwrite",
        changes: (1, 3, 0),
        left: 0,
        rows: "2|theirs|theirs\n3|only there|\n4|their name|\n5|same but for the note|",
    },
    Case {
        mode: "upsert",
        conflict: "skip",
        changes: (1, 0, 3),
        left: 3,
        rows: "2|ours|ours\n3|only there|\n4|our name|our note\n5|same but for the note|our note",
    },
    Case {
        mode: "upsert",
        conflict: "merge",
        changes: (1, 2, 1),
        left: 2,
        rows: "2|theirs|theirs\n3|only there|\n4|their name|our note\n5|same but for the note|our note",
    },
    Case {
        mode: "insert",
        conflict: "overwrite",
        changes: (1, 0, 3),
        left: 3,
        rows: "2|ours|ours\n3|only there|\n4|our name|our note\n5|same but for the note|our note",
    },
    Case {
        mode: "insert",
        conflict: "skip",
        changes: (1, 0, 3),
        left: 3,
        rows: "2|ours|ours\n3|only there|\n4|our name|our note\n5|same but for the note|our note",
    },
    Case {
        mode: "insert",
        conflict: "merge",
        changes: (1, 0, 3),
        left: 3,
        rows: "2|ours|ours\n3|only there|\n4|our name|our note\n5|same but for the note|our note",
    },
    Case {
        mode: "update",
        conflict: "overwrite",
        changes: (0, 3, 1),
        left: 1,
        rows: "2|theirs|theirs\n4|their name|\n5|same but for the note|",
    },
    Case {
        mode: "update",
        conflict: "skip",
        changes: (0, 0, 4),
        left: 4,
        rows: "2|ours|ours\n4|our name|our note\n5|same but for the note|our note",
    },
    Case {
        mode: "update",
        conflict: "merge",
        changes: (0, 2, 2),
        left: 3,
        rows: "2|theirs|theirs\n4|their name|our note\n5|same but for the note|our note",
    },
];

#[test]
fn each_mode_and_strategy_writes_exactly_its_rows_into_postgresql() {
    each_mode_and_strategy_writes_exactly_its_rows(Kind::Sqlite, Kind::Postgres);
}

#[test]
fn each_mode_and_strategy_writes_exactly_its_rows_into_sqlite() {
    each_mode_and_strategy_writes_exactly_its_rows(Kind::Postgres, Kind::Sqlite);
}

#[test]
fn each_mode_and_strategy_writes_exactly_its_rows_into_mariadb() {
    each_mode_and_strategy_writes_exactly_its_rows(Kind::Mariadb, Kind::Mariadb);
}

fn each_mode_and_strategy_writes_exactly_its_rows(from: Kind, to: Kind) {
    let make =
        "create table prices (id integer primary key, name text, price numeric(10,2), note text)";
    let pair = Pair::builder(Database::with(from, SOURCE), Database::with(to, make)).start();
    for case in CASES {
        let named = format!("{} {}", case.mode, case.conflict);
        pair.destination.execute(LOCAL);
        let arguments = ["prices", "--mode", case.mode, "--conflict", case.conflict];
        let pulled = pair.pull(&arguments).completed();
        assert_eq!(pulled.changes(), case.changes, "{named}: {:#}", pulled.run);
        let only_there = u64::from(case.mode == "update");
        let conflicts = &pulled.run["changes"]["conflicts"];
        assert_eq!(conflicts, case.left - only_there, "{named}");
        let rows = "select id, name, note from prices where id between 2 and 5 order by id";
        assert_eq!(pair.destination.query(rows), case.rows, "{named}");
        let others = "select id, name, note from prices where id in (1, 9) order by id";
        let stayed = "1|equal|same\n9|only here|ours";
        assert_eq!(pair.destination.query(others), stayed, "{named}");

        // What could be written has been: the same again changes nothing.
        let again = pair.pull(&arguments).completed();
        assert_eq!(
            again.changes(),
            (0, 0, case.left),
            "{named} again: {:#}",
            again.run
        );
    }
}

#[test]
fn columns_that_only_the_destination_has_keep_their_values_and_get_their_defaults() {
    let source = "create table items (id integer primary key, name text);
                  insert into items values (1, 'one'), (2, 'two');";
    let here = "create table items (id integer primary key, shelf text not null default 'A1', name text, stock integer);
                insert into items values (1, 'B7', 'old', 5);";
    for to in KINDS {
        let source = Database::with(Kind::Postgres, source);
        let pair = Pair::builder(source, Database::with(to, here)).start();
        let pulled = pair.pull(&["items"]).completed();
        assert_eq!(pulled.changes(), (1, 1, 0), "{to:?}");
        let rows = "select id, shelf, name, stock from items order by id";
        assert_eq!(
            pair.destination.query(rows),
            "1|B7|one|5\n2|A1|two|",
            "{to:?}"
        );
    }
}

#[test]
fn values_of_every_kind_arrive_as_they_were_and_are_equal_the_second_time() {
    let columns = "id bigint primary key, flag boolean, small smallint, whole integer, big bigint, single real,
        twice double precision, exact numeric(30,10), words text, raw bytea, day date, clock time, moment timestamp,
        instant timestamptz, ref uuid, doc jsonb, range int4range, addresses inet[]";
    let rows = r#"
        (1, true, 32767, 2147483647, 9223372036854775807, 3.4028235e38, 1.7976931348623157e308,
         99999999999999999999.9999999999, E'tab\t, quote " '' \\ and \u20ac\U0001F600', '\x00ff10', '2013-02-28',
         '23:59:59.999999', '2013-12-31 23:59:59.999999', '2013-06-01 12:00:00.123456+02',
         '00112233-4455-6677-8899-aabbccddeeff', '{"b": [1, 2.50, null], "a": "x"}', '[1,10)', '{10.0.0.1,::1}'),
        (2, false, -32768, -2147483648, -9223372036854775808, 'NaN', '-Infinity', -0.0000000001, '', '', '0001-01-01',
         '00:00:00', '4713-01-01 00:00:00 BC', 'infinity', '00000000-0000-0000-0000-000000000000', 'null', 'empty', '{}'),
        (3, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null)"#;
    let source = format!("create table kinds ({columns}); insert into kinds values {rows};");
    let source = Database::with(Kind::Postgres, &source);
    let pair = Pair::builder(source, Database::empty(Kind::Postgres)).start();
    let first = pair.pull(&["kinds", "--create", "--yes"]).completed();
    assert_eq!(first.changes(), (3, 0, 0));
    let all = "select * from kinds order by id";
    assert_eq!(pair.destination.query(all), pair.source.query(all));
    assert_eq!(
        pair.destination.column_types("kinds"),
        pair.source.column_types("kinds")
    );
    assert_eq!(pair.pull(&["kinds"]).completed().changes(), (0, 0, 0));

    // A value that is numerically the same is still another value.
    pair.source
        .execute("alter table kinds alter exact type numeric");
    pair.destination
        .execute("alter table kinds alter exact type numeric");
    pair.source
        .execute("update kinds set exact = 1.0 where id = 3");
    assert_eq!(pair.pull(&["kinds"]).completed().changes(), (0, 1, 0));
    pair.source
        .execute("update kinds set exact = 1.00 where id = 3");
    assert_eq!(pair.pull(&["kinds"]).completed().changes(), (0, 1, 0));
    let exact = "select exact from kinds where id = 3";
    assert_eq!(pair.destination.query(exact), "1.00");
}

#[test]
fn a_merged_row_that_still_differs_is_never_called_equal() {
    let source = "create table t (id integer primary key, name text, note text);
                  insert into t values (1, 'theirs', null), (2, 'same', 'same')";
    let here = "create table t (id integer primary key, name text, note text);
                insert into t values (1, 'ours', 'ours'), (2, 'same', 'same')";
    let pair = Pair::builder(
        Database::with(Kind::Sqlite, source),
        Database::with(Kind::Sqlite, here),
    )
    .start();
    for run in ["first", "second"] {
        let merge = ["pull", "berlin", "t", "--conflict", "merge"];
        let merged = pair.taker.cli(&merge);
        assert_eq!(merged.code, 0, "{merged:#?}");
        let told = "every row of the source is here, but for 1 rows that differ and stay";
        assert!(merged.stderr.contains(told), "{run}: {merged:#?}");
        let runs = pair.taker.get("/runs?limit=1");
        assert_eq!(runs["items"][0]["rows_synced"], 1, "{run}: {runs:#}");
        let tables = pair.taker.cli(&["tables", "berlin"]);
        assert!(tables.stdout.contains("different"), "{tables:#?}");
    }
    assert_eq!(
        pair.destination.query("select * from t order by id"),
        "1|theirs|ours\n2|same|same"
    );
}
