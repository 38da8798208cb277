//! Values and keys of every type of PostgreSQL, given to its statements as parameters.

use super::{Plan, Row, Site, int, refused, text, written};
use crate::engine::postgres::apply::{EVERY_TYPE, EVERY_VALUE};
use crate::support::database::Kind::Postgres;
use evenkeel::engine::plan::Change;
use evenkeel::wire::frame::MAX_ROW_BYTES;

/// A trigger that changes nothing: what it might have done is looked at all the same.
const WATCHED: &str = "
create function watch() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger watching before insert on t for each row execute function watch();";

/// All rows of `t`, with what the database prints of them.
async fn rows(site: &Site) -> (Vec<Row>, String) {
    let scanned = site.scan("t").await;
    let rows = scanned.iter().map(|tuple| super::row(tuple)).collect();
    (rows, site.query("select t::text from t order by 1"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_is_inserted_changed_emptied_and_deleted() {
    let every = EVERY_TYPE.replace("table every", "table t");
    let values = EVERY_VALUE
        .replace("into every", "into t")
        .replace("update every", "update t");
    for watched in ["", WATCHED] {
        let source = Site::with(Postgres, &format!("{every}{values}")).await;
        let site = Site::with(Postgres, &format!("{every}{watched}")).await;
        let columns = site.query(
            "select string_agg(quote_ident(attname) || ' = null', ', ') from pg_attribute
             where attrelid = 't'::regclass and attnum > 1 and attgenerated = ''",
        );
        let empty = format!("update t set {columns}");
        let steps = [
            ("inserted", "", (3, 0, 0, 0)),
            ("emptied", &empty, (0, 2, 0, 0)),
            (
                "changed",
                &values.replace("insert into t select g from generate_series(1, 3) g;", ""),
                (0, 2, 0, 0),
            ),
            ("deleted", "delete from t where id > 1", (0, 0, 2, 0)),
            ("all deleted", "delete from t", (0, 0, 1, 0)),
        ];
        for (step, statement, expected) in steps {
            source.database.execute(statement);
            let (wanted, there) = rows(&source).await;
            let enacted = site.enact(site.plan(&wanted).await).await.unwrap();
            assert_eq!(refused(&enacted), [], "{step} {watched}");
            assert_eq!(written(&enacted.changes), expected, "{step} {watched}");
            assert_eq!(rows(&site).await.1, there, "{step} {watched}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_type_find_their_rows() {
    let types = "
create extension citext;
create type mood as enum ('sad', 'ok', 'glad');
create domain code as varchar(8);
create domain padded as char(8);
create domain amount as numeric(12,2);";
    for (key, values) in [
        ("smallint", ["-1", "2", "3"]),
        ("int", ["-1", "2", "3"]),
        ("real", ["-1.5", "2", "3"]),
        ("double precision", ["-1.5", "2", "3"]),
        ("numeric", ["-1.50", "2", "3"]),
        ("numeric(12,2)", ["-1.50", "2", "3"]),
        ("amount", ["-1.50", "2", "3"]),
        ("text", ["", "B", "c "]),
        ("varchar(8)", ["", "B", "c "]),
        ("code", ["", "B", "c "]),
        ("char(8)", ["", "B", "c"]),
        ("bpchar", ["", "B", "c"]),
        ("padded", ["", "B", "c"]),
        ("name", ["a", "B", "c"]),
        ("\"char\"", ["a", "B", "c"]),
        ("citext", ["a", "B", "c"]),
        ("code[]", ["{}", "{B,NULL}", "{c}"]),
        ("mood", ["sad", "ok", "glad"]),
        ("bytea", ["\\x", "\\x00ff", "\\x01"]),
        ("date", ["-infinity", "2013-01-01", "2013-01-02"]),
        ("time", ["00:00", "24:00", "12:00:00.000001"]),
        (
            "timestamp(3)",
            ["4713-01-01 BC", "2013-01-01", "2013-01-02"],
        ),
        ("timestamptz", ["infinity", "2013-01-01Z", "2013-01-02Z"]),
        (
            "uuid",
            [
                "6a2f41a3-c54c-fce8-32d2-0324e1c32e22",
                "00000000-0000-0000-0000-000000000000",
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
            ],
        ),
        ("jsonb", ["{\"a\": 1}", "[]", "null"]),
        ("inet", ["10.0.0.1/8", "10.0.0.1", "::1"]),
        ("int4range", ["[1,5)", "empty", "(,3)"]),
        ("interval", ["1 day", "1 mon", "-00:00:00.000001"]),
    ] {
        let schema = format!("{types} create table t (k {key} primary key, v text);");
        let with =
            |value: &str, at: usize| format!("insert into t values ('{}', '{value}');", values[at]);
        let source = Site::with(
            Postgres,
            &format!("{schema}{}{}", with("new", 0), with("new", 1)),
        )
        .await;
        let site = Site::with(
            Postgres,
            &format!("{schema}{}{}", with("old", 1), with("old", 2)),
        )
        .await;
        let (wanted, there) = rows(&source).await;
        let enacted = site.enact(site.plan(&wanted).await).await.unwrap();
        assert_eq!(refused(&enacted), [], "{key}");
        assert_eq!(written(&enacted.changes), (1, 1, 1, 0), "{key}");
        assert_eq!(rows(&site).await.1, there, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_up_to_the_largest_are_inserted_and_changed() {
    let schema = "create table t (id bigint primary key, b bytea, m money)";
    let source = Site::with(Postgres, schema).await;
    let site = Site::with(Postgres, schema).await;
    let largest = MAX_ROW_BYTES - 64;
    for (letter, expected) in [
        ("x", (3, 0, 0, 0)),
        ("y", (0, 2, 0, 0)),
        ("y", (0, 0, 0, 0)),
    ] {
        source.database.execute(&format!(
            "truncate t; insert into t values (1, repeat('{letter}', {largest})::bytea, null),
             (2, repeat('{letter}', 5000000)::bytea, 1), (3, '', 2)"
        ));
        let (wanted, there) = rows(&source).await;
        let enacted = site.enact(site.plan(&wanted).await).await.unwrap();
        assert_eq!(
            (refused(&enacted), written(&enacted.changes)),
            (vec![], expected)
        );
        assert!(rows(&site).await.1 == there);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_does_not_fit_is_told_by_its_column() {
    let schema = "create domain small as int check (value < 10);
        create table t (id bigint primary key, name varchar(3), price numeric(4,2), d small)";
    let row = |id: i64, name: &str, price: Option<&[u8]>, d: i32| -> Row {
        vec![
            int(id),
            text(name),
            price.map(<[u8]>::to_vec),
            Some(d.to_be_bytes().to_vec()),
        ]
    };
    // 1234
    let large: &[u8] = &[0, 1, 0, 0, 0, 0, 0, 0, 0x04, 0xd2];
    for others in [0, 60] {
        for here in [
            "",
            "; insert into t select i, 'old' from generate_series(1, 100) i",
        ] {
            let site = Site::with(Postgres, &format!("{schema}{here}")).await;
            let mut wanted: Vec<Row> = (0..others).map(|id| row(10 + id, "ok", None, 1)).collect();
            wanted.push(row(1, "long", None, 1));
            let mut plan = site.plan(&wanted).await;
            for bad in [row(2, "ok", Some(large), 1), row(3, "ok", None, 10)] {
                plan.changes
                    .extend(site.plan(&[bad]).await.changes.into_iter().take(1));
            }
            plan.changes
                .retain(|change| !matches!(change, Change::Delete { .. }));
            let enacted = site.enact(Plan { ..plan }).await.unwrap();
            let told: Vec<_> = refused(&enacted)
                .into_iter()
                .map(|(key, column, _)| (key, column))
                .collect();
            let expected = [("1", "name"), ("2", "price"), ("3", "d")];
            assert_eq!(
                told,
                expected.map(|(key, name)| (key.to_owned(), Some(name))),
                "{others} {here}"
            );
            assert_eq!(
                site.query("select count(*) from t where name = 'ok'"),
                others.to_string()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_was_altered_since_the_last_plan_is_written_as_it_is() {
    let site = Site::with(Postgres, "create table t (id bigint primary key, v int)").await;
    let four = |number: i32| Some(number.to_be_bytes().to_vec());
    for (alter, one, other) in [
        ("alter table t alter v type int", four(1), four(2)),
        ("alter table t alter v type bigint", int(3), int(4)),
        ("alter table t alter v type text", text("five"), text("six")),
        (
            "alter table t drop v; alter table t add v inet",
            text("10.0.0.1/32"),
            text("::1/128"),
        ),
        ("alter table t alter v type text using '7'", text("8"), None),
    ] {
        site.database.execute(alter);
        for value in [one, other] {
            let rows = [vec![int(1), value.clone()], vec![int(2), value]];
            let enacted = site.enact(site.plan(&rows).await).await.unwrap();
            assert_eq!(refused(&enacted), [], "{alter}");
            assert_eq!(site.plan(&rows).await.changes, [], "{alter}");
        }
    }
}
