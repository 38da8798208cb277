//! Tables of one run that do not point to each other are written side by side, those that do one after the other.

use sqlx::{Connection as _, Executor as _};

use crate::support::database::{Database, Kind};
use crate::support::pair::Pair;
use crate::support::wait;

const TABLES: &str = "
    create table ports (id integer primary key, name text not null);
    create table notes (id integer primary key, body text not null);
    create table ships (id integer primary key, port integer not null references ports, name text not null);";
const ROWS: &str = "
    insert into ports select i, 'port ' || i from generate_series(1, 300) i;
    insert into notes select i, 'note ' || i from generate_series(1, 300) i;
    insert into ships select i, 1 + i % 300, 'ship ' || i from generate_series(1, 300) i;";
/// Lets others read, and nobody write.
const LOCK: &str = "begin; lock table ports in exclusive mode";

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_cannot_be_written_yet_holds_up_only_those_that_point_to_it() {
    let source = Database::with(Kind::Postgres, &format!("{TABLES}{ROWS}"));
    let destination = Database::with(Kind::Postgres, TABLES);
    let pair = Pair::builder(source, destination).start();
    let rows = || ["ports", "notes", "ships"].map(|table| pair.destination.count(table));

    // First into empty tables, then what differs.
    for (damage, before, meanwhile) in [
        ("select", [0, 0, 0], [0, 300, 0]),
        (
            "delete from ships; delete from notes where id > 100; delete from ports where id > 100",
            [100, 100, 0],
            [100, 300, 0],
        ),
    ] {
        pair.destination.execute(damage);
        assert_eq!(rows(), before);
        let mut holder = sqlx::PgConnection::connect(&pair.destination.url())
            .await
            .unwrap();
        holder.execute(sqlx::raw_sql(LOCK)).await.unwrap();
        let run = pair.order(&["ports", "notes", "ships"]);
        wait::until("the notes are there", wait::LONG, || {
            (rows() == meanwhile).then_some(())
        });
        holder.close().await.unwrap();
        pair.run_is(&run, "completed");
        assert_eq!(rows(), [300, 300, 300]);
    }
}
