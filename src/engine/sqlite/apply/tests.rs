//! Applying to real database files.

use tokio::sync::watch;

use crate::engine::driver::{ApplyProgress, Driver};
use crate::engine::error::EngineError;
use crate::engine::sqlite::test_site::{Site, TestRow, int, stream, text};
use crate::model::run::{Changes, ConflictStrategy, SyncMode};

const PEOPLE: &str = "create table people (id integer primary key, name text, note text)";

fn person(id: i64, name: &str, note: Option<&str>) -> TestRow {
    vec![int(id), text(name), note.and_then(text)]
}

fn changes(added: u64, updated: u64, skipped: u64, conflicts: u64) -> Changes {
    Changes {
        added,
        updated,
        skipped,
        conflicts,
        ..Changes::default()
    }
}

#[tokio::test]
async fn every_mode_and_strategy_counts_what_it_does() {
    use ConflictStrategy::{Merge, Overwrite, Skip};
    use SyncMode::{Insert, Update, Upsert};
    // Incoming: 1 equal, 2 another name and no note, 3 absent, 4 only its note is gone.
    let incoming = [
        person(1, "one", None),
        person(2, "TWO", None),
        person(3, "three", None),
        person(4, "four", None),
    ];
    let unchanged = "1:one:- 2:two:b 4:four:d";
    for (mode, conflict, counts, left) in [
        (
            Upsert,
            Overwrite,
            changes(1, 2, 0, 0),
            "1:one:- 2:TWO:- 3:three:- 4:four:-",
        ),
        (
            Upsert,
            Skip,
            changes(1, 0, 2, 2),
            "1:one:- 2:two:b 3:three:- 4:four:d",
        ),
        (
            Upsert,
            Merge,
            changes(1, 1, 1, 1),
            "1:one:- 2:TWO:b 3:three:- 4:four:d",
        ),
        (
            Insert,
            Overwrite,
            changes(1, 0, 2, 2),
            "1:one:- 2:two:b 3:three:- 4:four:d",
        ),
        (
            Update,
            Overwrite,
            changes(0, 2, 1, 0),
            "1:one:- 2:TWO:- 4:four:-",
        ),
        (Update, Skip, changes(0, 0, 3, 2), unchanged),
    ] {
        let site = Site::new(&format!(
            "{PEOPLE}; insert into people values (1, 'one', null), (2, 'two', 'b'), (4, 'four', 'd')"
        ));
        let mut job = site.job("people").await;
        (job.mode, job.conflict) = (mode, conflict);
        let applied = site.apply(job, &incoming).await.unwrap();
        assert_eq!(applied.changes, counts, "{mode:?} {conflict:?}");
        assert_eq!((applied.rows, applied.rejected.len()), (4, 0));
        let query = "select group_concat(id || ':' || name || ':' || coalesce(note, '-'), ' ' order by id) from people";
        assert_eq!(
            site.stored(query),
            format!("Text({left:?})"),
            "{mode:?} {conflict:?}"
        );
    }
}

#[tokio::test]
async fn a_first_copy_inserts_and_a_second_changes_nothing() {
    let site = Site::new(PEOPLE);
    let rows: Vec<TestRow> = (0..5_000)
        .map(|id| person(id, &format!("name {id}"), (id % 2 == 0).then_some("")))
        .collect();
    let applied = site.apply(site.job("people").await, &rows).await.unwrap();
    assert_eq!(applied.changes, changes(5_000, 0, 0, 0));
    let applied = site.apply(site.job("people").await, &rows).await.unwrap();
    assert_eq!((applied.rows, applied.changes), (5_000, Changes::default()));
    assert_eq!(site.rows("people").await.unwrap(), rows);
    assert_eq!(
        site.number("select count(*) from people where note = ''"),
        2_500
    );
    assert_eq!(
        site.number("select count(*) from people where note is null"),
        2_500
    );
}

#[tokio::test]
async fn a_row_written_by_the_application_during_a_first_copy_is_updated_not_doubled() {
    let site = Site::new(PEOPLE);
    let applied = site
        .apply(
            site.job("people").await,
            &[person(1, "a", None), person(1, "b", None)],
        )
        .await
        .unwrap();
    assert_eq!(applied.changes, changes(1, 1, 0, 0));
    assert_eq!(
        site.number("select count(*) from people where name = 'b'"),
        1
    );
}

#[tokio::test]
async fn rows_that_are_all_refused_are_told_as_taken() {
    let site = Site::new("create table t (id integer primary key, b text)");
    let rows: Vec<TestRow> = (0..5).map(|id| vec![int(id), Some(vec![0xff])]).collect();
    let (progress, told) = watch::channel(ApplyProgress::default());
    let job = site.job("t").await;
    let applied = site.driver.apply(job, stream(&rows), progress).await;
    assert_eq!(applied.unwrap().rejected.len(), 5);
    assert_eq!(told.borrow().rows_taken, 5);
}

#[tokio::test]
async fn rows_that_exchange_a_unique_value_all_get_in() {
    let site = Site::new(
        "create table t (id integer primary key, code text unique);
         insert into t values (1, 'a'), (2, 'b'), (3, 'c'), (9, 'z')",
    );
    let rows = [
        vec![int(1), text("b")],
        vec![int(2), text("c")],
        vec![int(3), text("a")],
        // Taken by a row that does not move.
        vec![int(4), text("z")],
    ];
    let applied = site.apply(site.job("t").await, &rows).await.unwrap();
    assert_eq!(applied.changes, changes(0, 3, 0, 0));
    assert_eq!(applied.rejected.len(), 1);
    assert_eq!(applied.rejected[0].key, serde_json::json!({"id": "4"}));
    assert_eq!(applied.rejected[0].column.as_deref(), Some("code"));
    assert_eq!(
        site.number(
            "select count(*) from t where (id, code) in ((1, 'b'), (2, 'c'), (3, 'a'), (9, 'z'))"
        ),
        4
    );
}

#[tokio::test]
async fn children_may_come_before_their_parents() {
    for deferred in ["", " deferrable initially deferred"] {
        let site = Site::new(&format!(
            "create table t (id integer primary key, boss int references t{deferred})"
        ));
        // Each row points to the next one, and the last to itself; the one before last to nobody.
        let mut rows: Vec<TestRow> = (1..2_000).map(|id| vec![int(id), int(id + 1)]).collect();
        rows.push(vec![int(2_000), int(2_000)]);
        rows.push(vec![int(2_001), int(9_999)]);
        let applied = site.apply(site.job("t").await, &rows).await.unwrap();
        assert_eq!(applied.changes, changes(2_000, 0, 0, 0), "{deferred}");
        assert_eq!(applied.rejected.len(), 1);
        assert_eq!(applied.rejected[0].key, serde_json::json!({"id": "2001"}));
        assert_eq!(
            site.number("select count(*) from pragma_foreign_key_check"),
            0
        );
    }
}

#[tokio::test]
async fn a_refused_row_is_named_and_the_others_get_in() {
    let site = Site::new(
        "create table t (id integer primary key, a text not null, b int check (b < 10), c real)",
    );
    let row = |id, a: Option<&str>, b, c: f64| {
        vec![
            int(id),
            a.and_then(text),
            int(b),
            Some(c.to_be_bytes().to_vec()),
        ]
    };
    let rows = [
        row(1, Some("x"), 1, 0.5),
        row(2, None, 1, 0.5),
        row(3, Some("x"), 10, 0.5),
        row(4, Some("x"), 1, f64::NAN),
        row(5, Some("x"), 1, f64::INFINITY),
    ];
    let applied = site.apply(site.job("t").await, &rows).await.unwrap();
    assert_eq!(applied.changes, changes(2, 0, 0, 0));
    let told: Vec<(String, Option<String>)> = applied
        .rejected
        .into_iter()
        .map(|row| (row.key.to_string(), row.column))
        .collect();
    let expected = [
        ("{\"id\":\"2\"}", Some("a")),
        ("{\"id\":\"3\"}", None),
        ("{\"id\":\"4\"}", Some("c")),
    ];
    assert_eq!(
        told,
        expected.map(|(key, column)| (key.to_owned(), column.map(str::to_owned)))
    );
}

#[tokio::test]
async fn too_many_refused_rows_fail_the_table() {
    let site = Site::new("create table t (id integer primary key, a text not null)");
    let rows: Vec<TestRow> = (0..20).map(|id| vec![int(id), None]).collect();
    let err = site.apply(site.job("t").await, &rows).await.unwrap_err();
    let EngineError::TooManyRejected {
        limit: 10, first, ..
    } = err
    else {
        panic!("{err}")
    };
    assert!(
        first.contains("{\"id\":\"0\"}") && first.contains("NOT NULL"),
        "{first}"
    );
}

#[tokio::test]
async fn a_strict_table_refuses_by_its_own_words() {
    let site = Site::new("create table t (id integer primary key, a any, b text) strict");
    let applied = site
        .apply(site.job("t").await, &[vec![int(1), text("007"), text("x")]])
        .await
        .unwrap();
    assert_eq!(applied.changes, changes(1, 0, 0, 0));
    assert_eq!(site.stored("select a from t"), "Text(\"007\")");
}

#[tokio::test]
async fn a_folded_key_matches_as_the_table_does_and_collisions_are_refused() {
    let site = Site::new(
        "create table t (code text collate nocase primary key not null, n int); insert into t values ('abc', 1), ('x', 1)",
    );
    let rows = [
        vec![text("ABC"), int(1)],
        vec![text("abC"), int(2)],
        vec![text("x"), int(1)],
        vec![text("new"), int(1)],
    ];
    let applied = site.apply(site.job("t").await, &rows).await.unwrap();
    assert_eq!(applied.changes, changes(1, 1, 0, 0));
    assert_eq!(applied.rejected.len(), 1);
    assert!(applied.rejected[0].reason.starts_with("key_collision"));
    assert_eq!(
        site.number("select n from t where code = 'ABC' collate binary"),
        1
    );
    let applied = site.apply(site.job("t").await, &rows[..1]).await.unwrap();
    assert_eq!(applied.changes, Changes::default());
}

#[tokio::test]
async fn an_on_conflict_clause_of_the_table_decides_nothing() {
    let site = Site::new(
        "create table t (id integer primary key, code text unique on conflict replace); insert into t values (1, 'a')",
    );
    let applied = site
        .apply(site.job("t").await, &[vec![int(2), text("a")]])
        .await
        .unwrap();
    assert_eq!(
        (applied.changes, applied.rejected.len()),
        (Changes::default(), 1)
    );
    assert_eq!(site.number("select id from t"), 1);
}

#[tokio::test]
async fn what_a_trigger_does_is_undone_with_the_row_it_refuses() {
    let site = Site::new(
        "create table t (id integer primary key, a int);
         create table log (id int);
         create trigger t_written after insert on t begin
             insert into log values (new.id);
             select raise(fail, 'secret value') where new.a = 2;
             select raise(ignore) where new.a = 3;
         end",
    );
    let rows = [
        vec![int(1), int(1)],
        vec![int(2), int(2)],
        vec![int(4), int(1)],
    ];
    let applied = site.apply(site.job("t").await, &rows).await.unwrap();
    assert_eq!(applied.changes, changes(2, 0, 0, 0));
    assert_eq!(applied.rejected.len(), 1);
    assert!(!applied.rejected[0].reason.contains("secret"));
    assert_eq!(site.number("select count(*) from t"), 2);
    assert_eq!(site.number("select count(*) from log"), 2);
    let site = Site::new(
        "create table t (id integer primary key, a int);
         create trigger t_written after insert on t when new.a = 2 begin select raise(rollback, 'no'); end",
    );
    let err = site.apply(site.job("t").await, &rows).await.unwrap_err();
    assert!(matches!(err, EngineError::Statement { .. }), "{err}");
    assert_eq!(site.number("select count(*) from t"), 0);
}

#[tokio::test]
async fn a_negative_zero_is_refused_because_its_sign_would_be_lost() {
    let site = Site::new("create table t (id integer primary key, a real, b float4 real)");
    let rows = [
        vec![int(1), Some((-0.0_f64).to_be_bytes().to_vec()), None],
        vec![int(2), None, Some((-0.0_f32).to_be_bytes().to_vec())],
        vec![int(3), Some(0.0_f64.to_be_bytes().to_vec()), None],
    ];
    let applied = site.apply(site.job("t").await, &rows).await.unwrap();
    assert_eq!(applied.changes, changes(1, 0, 0, 0));
    let columns: Vec<_> = applied
        .rejected
        .iter()
        .map(|row| row.column.as_deref())
        .collect();
    assert_eq!(columns, [Some("a"), Some("b")]);
}

#[tokio::test]
async fn the_applications_own_spelling_of_an_equal_value_stays() {
    let site = Site::new(
        "create table t (id integer primary key, at datetime, price numeric, ref uuid, total decimal(10,2));
         insert into t values (1, '2024-01-01T10:00:00', 12.5, x'abababababababababababababababab', 0.1 + 0.2)",
    );
    let numeric = |text: &str| Some(crate::wire::numeric::encode(text).unwrap());
    let at = crate::wire::datetime::timestamp_from_text("2024-01-01 10:00:00", false)
        .unwrap()
        .to_vec();
    let row = vec![
        int(1),
        Some(at),
        numeric("12.50"),
        Some(vec![0xab; 16]),
        numeric("0.30"),
    ];
    let applied = site.apply(site.job("t").await, &[row]).await.unwrap();
    assert_eq!(
        (applied.changes, applied.rejected),
        (Changes::default(), vec![])
    );
    assert_eq!(
        site.stored("select at from t"),
        "Text(\"2024-01-01T10:00:00\")"
    );
}

mod ending;
mod keys;
