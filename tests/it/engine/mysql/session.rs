//! Sessions on a server whose own settings are all wrong.

use evenkeel::engine::driver::Driver;

use super::{driver, lines};
use crate::engine::work::{everything, table};
use crate::support::mariadb::{self, Mariadb};

#[tokio::test(flavor = "multi_thread")]
async fn the_server_s_own_settings_do_not_change_what_is_read() {
    let server = Mariadb::with_settings(&[
        "--default-time-zone=+09:00",
        "--character-set-server=latin1",
        "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,PIPES_AS_CONCAT",
        "--autocommit=0",
        "--transaction-isolation=READ-UNCOMMITTED",
        "--wait-timeout=5",
        "--max-statement-time=1",
        "--lower-case-table-names=1",
    ]);
    let url = server.database();
    mariadb::query(
        &url,
        "create table T (id int primary key, c char(5), v varchar(9) character set utf8mb4, ts timestamp null);
         insert into t values (1, 'ab', 'größe\\\\', '2024-02-29 12:00:00'), (2, '', '', null); commit",
    );
    let site = driver(&url, &[]);
    let found = table(&site, "t").await;
    assert_eq!(site.tables().await.unwrap().len(), 1);
    let mut rows = lines(&site, &everything(&found)).await;
    rows.sort_unstable();
    assert_eq!(
        rows,
        ["1|ab|größe\\\\|2024-02-29 12:00:00.000000Z", "2|||null"],
        "{}",
        mariadb::query(&url, "select * from t")
    );
}
