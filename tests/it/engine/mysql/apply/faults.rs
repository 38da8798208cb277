//! What happens to rows that do not fit, to cut streams, and when the database goes away.

use evenkeel::engine::EngineError;
use evenkeel::engine::driver::{ApplyProgress, Driver, Flow};
use evenkeel::model::table::NeutralType::Int4;
use evenkeel::wire::row::RowWriter;
use tokio::sync::{mpsc, watch};

use super::{database, driver};
use crate::engine::work::{apply, counts, endless, job, numbered, stream, table};
use crate::support::mariadb::{self, Mariadb};
use crate::support::wait;

/// An empty destination takes rows straight, any other after they were looked up.
const BEFORE: [&str; 2] = ["", "insert into t values (5000, 'here')"];
const PLAIN: &str = "create table t (id int primary key, s text)";

/// Sessions of this database with an open transaction.
fn open_transactions(url: &str) -> String {
    mariadb::query(
        url,
        "select count(*) from information_schema.innodb_trx t
         join information_schema.processlist p on p.id = t.trx_mysql_thread_id
         where p.db = database()",
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_are_refused_by_key_and_all_others_written() {
    for before in BEFORE {
        let schema = "create table t (id int primary key, s varchar(8) not null, constraint fit check (s <> 'bad'))";
        let (url, site) = database(&format!("{schema}; {before}"));
        let mut incoming = numbered(1..=2_000);
        incoming[16] = (17, Some("bad"));
        incoming[98] = (99, None);
        incoming[1_999] = (2_000, Some("much too long"));
        let applied = apply(
            &site,
            job(&table(&site, "t").await, 700),
            stream(Int4, &incoming, 300),
        )
        .await
        .unwrap();
        assert_eq!((applied.rows, counts(&applied)), (2_000, (1_997, 0, 0, 0)));
        let mut rejected: Vec<(String, Option<&str>)> = applied
            .rejected
            .iter()
            .map(|row| {
                let key = row.key["id"].as_str().unwrap().to_owned();
                (key, row.column.as_deref())
            })
            .collect();
        rejected.sort();
        let expected = [("17", None), ("2000", Some("s")), ("99", Some("s"))];
        assert_eq!(
            rejected,
            expected.map(|(key, column)| (key.to_owned(), column))
        );
        let reasons = applied.rejected.iter().map(|row| &row.reason);
        assert!(
            reasons.clone().any(|reason| reason.contains("fit")),
            "{before}"
        );
        assert_eq!(
            mariadb::query(&url, "select count(*) from t where id <= 2000"),
            "1997"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_refused_rows_than_allowed_fail_the_table_with_the_first_reasons() {
    let (url, site) =
        database("create table t (id int primary key, s text, constraint fit check (s <> 'bad'))");
    let incoming: Vec<_> = (1..=60)
        .map(|id| (id, Some(if id > 20 { "bad" } else { "fine" })))
        .collect();
    let mut job = job(&table(&site, "t").await, 10);
    job.budget.quarantine_rows = 12;
    let err = apply(&site, job, stream(Int4, &incoming, 5))
        .await
        .unwrap_err();
    let EngineError::TooManyRejected { limit, first, .. } = &err else {
        panic!("{err}")
    };
    assert_eq!(*limit, 12);
    assert_eq!(first.matches("fit").count(), 10, "{first}");
    assert!(first.contains("{\"id\":\"21\"}"), "{first}");
    assert_eq!(
        mariadb::query(&url, "select count(*) from t where id > 20"),
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_without_its_parent_is_refused_at_the_end_and_names_the_constraint() {
    let (url, site) = database(
        "create table p (id int primary key); insert into p values (1);
         create table t (id int primary key, s text, constraint to_p foreign key (id) references p (id))",
    );
    let incoming = [(2, Some("a")), (1, Some("b"))];
    let job = job(&table(&site, "t").await, 10);
    let applied = apply(&site, job, stream(Int4, &incoming, 2)).await.unwrap();
    assert_eq!(
        (counts(&applied), applied.rejected.len()),
        ((1, 0, 0, 0), 1)
    );
    assert!(
        applied.rejected[0].reason.contains("to_p"),
        "{:?}",
        applied.rejected
    );
    assert_eq!(mariadb::query(&url, "select id from t"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trigger_refuses_is_refused_in_its_words_and_what_it_writes_is_undone() {
    let (url, site) = database(
        "create table t (id int primary key, s text); create table log (id int);
         delimiter //
         create trigger watch after insert on t for each row begin
           insert into log values (new.id);
           if new.s = 'bad' then signal sqlstate '45000' set message_text = 'no such deliveries'; end if;
         end //",
    );
    assert_eq!(table(&site, "t").await.triggers, ["watch"]);
    let incoming = [(1, Some("bad")), (2, Some("fine"))];
    let job = job(&table(&site, "t").await, 10);
    let applied = apply(&site, job, stream(Int4, &incoming, 2)).await.unwrap();
    assert_eq!(
        (counts(&applied), applied.rejected.len()),
        ((1, 0, 0, 0), 1)
    );
    assert_eq!(applied.rejected[0].reason, "no such deliveries");
    assert_eq!(mariadb::query(&url, "select id from log"), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_larger_than_the_server_takes_is_refused_and_the_others_written() {
    let server = Mariadb::with_settings(&["--max-allowed-packet=64K"]);
    for before in BEFORE {
        let url = server.database();
        mariadb::query(
            &url,
            &format!("create table t (id int primary key, s longtext); {before}"),
        );
        let site = driver(&url, &[]);
        let (large, fitting) = ("x".repeat(70_000), "y".repeat(30_000));
        let incoming = [
            (1, Some(&*fitting)),
            (2, Some(&*large)),
            (3, Some(&*fitting)),
            (4, Some(&*fitting)),
        ];
        let job = job(&table(&site, "t").await, 10);
        let applied = apply(&site, job, stream(Int4, &incoming, 4)).await.unwrap();
        assert_eq!(
            (counts(&applied), applied.rejected.len()),
            ((3, 0, 0, 0), 1)
        );
        let reason = &applied.rejected[0].reason;
        assert!(reason.contains("max_allowed_packet"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_stream_leaves_whole_transactions_and_says_that_it_was_cut() {
    for before in BEFORE {
        let (url, site) = database(&format!("{PLAIN}; {before}"));
        let (sender, rows) = endless(stream(Int4, &numbered(1..=95), 5)).await;
        drop(sender);
        let err = apply(&site, job(&table(&site, "t").await, 20), rows)
            .await
            .unwrap_err();
        assert!(matches!(err, EngineError::Cut(_)), "{err}");
        assert_eq!(
            mariadb::query(&url, "select count(*) from t where id < 5000"),
            "80"
        );
        wait::until("the session is gone", wait::LONG, || {
            (open_transactions(&url) == "0").then_some(())
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_source_is_passed_on_and_nothing_half_done_stays() {
    let (url, site) = database(PLAIN);
    let (sender, rows) = endless(stream(Int4, &numbered(1..=5), 5)).await;
    sender
        .try_send(Err(EngineError::Lost("the link".into())))
        .unwrap();
    let err = apply(&site, job(&table(&site, "t").await, 100), rows)
        .await
        .unwrap_err();
    assert!(matches!(err, EngineError::Lost(message) if message == "the link"));
    assert_eq!(mariadb::query(&url, "select count(*) from t"), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_stream_keeps_no_transaction_open() {
    let (url, site) = database(PLAIN);
    let (sender, rows) = endless(stream(Int4, &numbered(1..=5), 5)).await;
    let (progress, mut told) = watch::channel(ApplyProgress::default());
    let work = site.apply(job(&table(&site, "t").await, 100), rows, progress);
    let watched = async {
        told.wait_for(|progress| progress.rows_committed == 5)
            .await
            .unwrap();
        assert_eq!(mariadb::query(&url, "select count(*) from t"), "5");
        sender.send(Ok(Flow::End)).await.unwrap();
    };
    let (applied, ()) = tokio::time::timeout(wait::LONG, async { tokio::join!(work, watched) })
        .await
        .unwrap();
    assert_eq!(counts(&applied.unwrap()), (5, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_or_server_ends_the_work_and_the_next_attempt_completes_it() {
    let server = Mariadb::start();
    for (before, dies) in [
        (BEFORE[0], false),
        (BEFORE[1], false),
        (BEFORE[0], true),
        (BEFORE[1], true),
    ] {
        let url = server.database();
        mariadb::query(&url, &format!("{PLAIN}; {before}"));
        let site = driver(&url, &[]);
        let (sender, rows) = endless(stream(Int4, &numbered(1..=450), 10)).await;
        let (progress, mut told) = watch::channel(ApplyProgress::default());
        let work = site.apply(job(&table(&site, "t").await, 100), rows, progress);
        let kill = async {
            told.wait_for(|progress| progress.rows_taken == 450)
                .await
                .unwrap();
            if dies {
                server.kill9();
            } else {
                let sessions = "select group_concat(concat('kill ', id, ';') separator ' ') from information_schema.processlist
                    where db = database() and id <> connection_id()";
                mariadb::query(&url, &mariadb::query(&url, sessions));
            }
            sender.send(Ok(Flow::End)).await.unwrap();
        };
        let (result, ()) = tokio::time::timeout(wait::LONG, async { tokio::join!(work, kill) })
            .await
            .unwrap();
        let err = result.unwrap_err();
        assert!(matches!(err, EngineError::Lost(_)), "{err}");
        if dies {
            server.restart();
        }
        assert_eq!(
            mariadb::query(&url, "select count(*) from t where id < 5000"),
            "400"
        );
        let rows = stream(Int4, &numbered(1..=1_000), 10);
        let applied = apply(&site, job(&table(&site, "t").await, 100), rows)
            .await
            .unwrap();
        assert_eq!(counts(&applied), (600, 0, 0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_call_leaves_only_whole_transactions_and_nothing_else() {
    for before in BEFORE {
        let (url, site) = database(&format!("{PLAIN}; {before}"));
        let (_sender, rows) = endless(stream(Int4, &numbered(1..=150), 10)).await;
        let (progress, mut told) = watch::channel(ApplyProgress::default());
        let work = site.apply(job(&table(&site, "t").await, 100), rows, progress);
        tokio::select! {
            result = work => panic!("{result:?}"),
            told = told.wait_for(|progress| progress.rows_taken == 150) => drop(told.unwrap()),
        }
        wait::until("the session is gone", wait::LONG, || {
            (open_transactions(&url) == "0").then_some(())
        });
        assert_eq!(
            mariadb::query(&url, "select count(*) from t where id < 5000"),
            "100"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_row_is_to_blame_for_ends_the_work_with_its_own_words() {
    let (url, site) = database(&format!(
        "{PLAIN}; create table old (id int primary key, s text) engine=aria;
         create table extra (id int primary key, s text, more int not null)"
    ));
    let schema = url.rsplit('/').next().unwrap();
    mariadb::query(
        &url,
        &format!(
            "create user guest_{schema}@'127.0.0.1'; grant select on {schema}.t to guest_{schema}@'127.0.0.1'"
        ),
    );
    let one = || stream(Int4, &[(1, Some("x"))], 1);
    let t = table(&site, "t").await;
    let guest = driver(&url.replace("root@", &format!("guest_{schema}@")), &[]);
    let err = apply(&guest, job(&t, 10), one()).await.unwrap_err();
    assert!(matches!(err, EngineError::Denied(_)), "{err}");

    let err = apply(&site, job(&table(&site, "old").await, 10), one())
        .await
        .unwrap_err();
    assert!(err.to_string().contains("Aria"), "{err}");

    let mut wanting = job(&table(&site, "extra").await, 10);
    wanting.columns.truncate(2);
    let err = apply(&site, wanting, one()).await.unwrap_err();
    assert!(
        err.to_string().contains("column more exists only here"),
        "{err}"
    );

    let mut wrong_key = job(&t, 10);
    wrong_key.key = vec!["s".into()];
    let err = apply(&site, wrong_key, one()).await.unwrap_err();
    assert!(err.to_string().contains("no unique index on (s)"), "{err}");

    mariadb::query(&url, "alter table t modify s int");
    let err = apply(&site, job(&t, 10), one()).await.unwrap_err();
    assert!(matches!(err, EngineError::SchemaChanged(_)), "{err}");
    mariadb::query(&url, "drop table t");
    let err = apply(&site, job(&t, 10), one()).await.unwrap_err();
    assert!(matches!(err, EngineError::NoTable(_)), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_changed_between_two_transactions_ends_the_work() {
    let (url, site) = database("create table t (id int primary key, s varchar(100))");
    let (sender, rows) = endless(stream(Int4, &numbered(1..=10), 5)).await;
    let (progress, mut told) = watch::channel(ApplyProgress::default());
    let work = site.apply(job(&table(&site, "t").await, 10), rows, progress);
    let change = async {
        told.wait_for(|progress| progress.rows_committed == 10)
            .await
            .unwrap();
        mariadb::query(&url, "alter table t modify s varchar(4)");
        let mut more = stream(Int4, &[(11, Some("long   "))], 1);
        sender.send(more.recv().await.unwrap()).await.unwrap();
        sender.send(Ok(Flow::End)).await.unwrap();
    };
    let (result, ()) = tokio::time::timeout(wait::LONG, async { tokio::join!(work, change) })
        .await
        .unwrap();
    let err = result.unwrap_err();
    assert!(matches!(err, EngineError::SchemaChanged(_)), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_rows_are_an_error_and_change_nothing() {
    let (url, site) = database(PLAIN);
    let mut writer = RowWriter::default();
    writer.begin(2);
    writer.field(Some(&[0, 0, 0, 1]));
    let (sender, rows) = mpsc::channel(2);
    sender.try_send(Ok(Flow::Rows(writer.take()))).unwrap();
    sender.try_send(Ok(Flow::End)).unwrap();
    assert!(
        apply(&site, job(&table(&site, "t").await, 10), rows)
            .await
            .is_err()
    );
    assert_eq!(mariadb::query(&url, "select count(*) from t"), "0");
}
