//! Keys so long that few rows fill what one answer may list.

use crate::support::database::{Database, Kind};
use crate::support::pair::{Pair, changes};

/// 14,000 keys of 1,000 bytes, of which one listing would have some 10 MB, and 40 of a megabyte each.
fn filled(number: i32) -> Database {
    let sql = format!(
        "create table wide (k text primary key, v integer not null);
         with recursive n (i) as (select 1 union all select i + 1 from n where i < 14000)
             insert into wide select printf('%.1000c', 'x') || i, {number} from n;
         create table huge (k text primary key, v integer not null);
         insert into huge select printf('%.1000000c', 'x') || v, {number} from (select rowid as v from wide limit 40);"
    );
    Database::with(Kind::Sqlite, &sql)
}

#[test]
fn tables_of_wide_keys_are_equal_after_a_pull_however_many_rows_differed() {
    let pair = Pair::builder(filled(1), filled(2)).start();
    let pulled = pair.pull(&["wide", "huge"]).completed();
    assert_eq!(changes(pulled.table("wide")), (0, 14_000, 0));
    assert_eq!(changes(pulled.table("huge")), (0, 40, 0));
    let again = pair.pull(&["wide", "huge"]).completed();
    assert_eq!(again.changes(), (0, 0, 0));
}
