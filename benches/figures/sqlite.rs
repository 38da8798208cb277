//! The table `orders` in SQLite files.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// As `--create` makes it from the same table of a PostgreSQL site.
pub const ORDERS: &str = "create table orders (
    id integer primary key, customer_id integer, ref uuid text, status text, total decimal(12,2), note text,
    tags json text, paid boolean, created_at timestamptz text, updated_at timestamptz text)";

/// The file that a URL names.
pub fn file_of(url: &str) -> PathBuf {
    url.strip_prefix("sqlite://").expect("a SQLite file").into()
}

/// Makes the file anew, with the empty table.
pub fn empty(path: &Path, mode: &str) {
    remove(path);
    let file = open(path);
    file.pragma_update(None, "journal_mode", mode)
        .expect("the journal mode");
    file.execute_batch(ORDERS).expect("the table");
}

/// Makes the file anew with so many rows, always the same, of the values that the other figures have.
pub fn fill(path: &Path, mode: &str, rows: u64) {
    empty(path, mode);
    let moment = |first: u32, step: u32| {
        format!("strftime('%Y-%m-%d %H:%M:%S', {first} + i * {step}, 'unixepoch') || '.000000Z'")
    };
    let statement = format!(
        "insert into orders
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
         select i, i * 7919 % 50000,
             printf('%08x-%04x-%04x-%04x-%012x', i * 2654435761 % 4294967296, i % 65536, i * 7 % 65536,
                 i * 13 % 65536, i * 11400714819 % 281474976710656),
             case i % 4 when 0 then 'new' when 1 then 'paid' when 2 then 'shipped' else 'cancelled' end,
             (i * 37 % 1000000) / 100.0,
             case when i % 3 > 0 then 'leave it with the neighbour, no. ' || i % 100 end,
             json_object('gift', json(iif(i % 2 = 0, 'true', 'false')), 'lane', i % 12), i % 4 > 0, {}, {}
         from n",
        moment(1_356_998_400, 13),
        moment(1_357_084_800, 17)
    );
    open(path).execute_batch(&statement).expect("the rows");
}

/// Opens it as it is.
pub fn open(path: &Path) -> Connection {
    Connection::open(path).expect("a SQLite file")
}

/// Removes it with what lies beside it.
pub fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        drop(std::fs::remove_file(name));
    }
}
