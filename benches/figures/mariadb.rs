//! The table `orders` in MariaDB, and copying it by MariaDB's own programs.

use std::process::{Command, Stdio};

use crate::support::mariadb::{self, Mariadb};

/// MariaDB's defaults (durable: every commit is flushed), but with room for a bulk load. Both sides of a comparison use
/// the same server.
pub const SETTINGS: [&str; 3] = [
    "--innodb-buffer-pool-size=512M",
    "--innodb-log-file-size=1G",
    "--max-allowed-packet=16M",
];

/// As `--create` makes what `measures` defines.
const ORDERS: &str = "create table orders (
    id bigint primary key, customer_id int, ref uuid, status longtext, total decimal(12,2), note longtext null, tags json,
    paid tinyint(1), created_at datetime(6), updated_at datetime(6)) default character set utf8mb4 collate utf8mb4_bin";

/// A server with [`SETTINGS`].
pub fn server() -> Mariadb {
    Mariadb::with_settings(&SETTINGS)
}

/// Makes the empty table.
pub fn make(url: &str) {
    mariadb::query(url, ORDERS);
}

/// Makes the table and fills it with `rows` rows, always the same. MariaDB's uuid takes no others than those of RFC 4122.
pub fn fill(url: &str, rows: u64) {
    make(url);
    mariadb::query(
        url,
        &format!(
            "insert into orders
             select seq, seq * 7919 % 50000, insert(insert(md5(seq), 13, 1, '4'), 17, 1, 'a'),
                 elt(1 + seq % 4, 'new', 'paid', 'shipped', 'cancelled'), (seq * 37 % 1000000) / 100,
                 if(seq % 3 > 0, concat('leave it with the neighbour, no. ', seq % 100), null),
                 json_object('gift', seq % 2 = 0, 'lane', seq % 12), seq % 4 > 0,
                 timestamp '2013-01-01 00:00:00' + interval seq * 13 second,
                 timestamp '2013-01-02 00:00:00' + interval seq * 17 second
             from seq_1_to_{rows};
             analyze table orders"
        ),
    );
}

/// `mariadb-dump --single-transaction --quick | mariadb`.
pub fn dump(from: &str, to: &str) {
    let script = r#"mariadb-dump --no-defaults -h 127.0.0.1 -u root -P "$0" --single-transaction --quick "$1" orders | mariadb --no-defaults -h 127.0.0.1 -u root -P "$0" "$2""#;
    let (port, from) = port_and_name(from);
    let (_, to) = port_and_name(to);
    let status = Command::new("sh")
        .args(["-c", script, &port, &from, &to])
        .stdin(Stdio::null())
        .status()
        .expect("sh starts");
    assert!(status.success(), "mariadb-dump | mariadb");
}

fn port_and_name(url: &str) -> (String, String) {
    let url = url::Url::parse(url).expect("a URL");
    let port = url.port().expect("a port").to_string();
    (port, url.path().trim_start_matches('/').to_owned())
}
