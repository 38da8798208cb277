//! The ways in which a source of one engine does: its server, its files, its rights and its partitions.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};

use super::Ends::With;
use super::Guard::{Open, Usual};
use super::cases::restore;
use super::{Case, STOCK, Scene, sqlite};

const TRUNCATED: Case = Case {
    name: "the table was truncated",
    guard: Open,
    spoil: |scene| scene.execute("truncate stock"),
    mend: restore,
    ends: With("needs_approval", "the source has no rows in scope"),
};

const HIDDEN_BY_A_VIEW: Case = Case {
    name: "a view stands in the table's place",
    guard: Open,
    spoil: |scene| {
        scene.execute("drop table stock; create view stock as select * from kept where id < 50");
    },
    mend: |scene| {
        scene.execute("drop view stock");
        restore(scene);
    },
    ends: With("unknown_table", "no table of this name"),
};

pub(super) const POSTGRES: [Case; 9] = [
    TRUNCATED,
    Case {
        name: "the login sees some of the rows",
        guard: Open,
        spoil: |scene| {
            scene.execute(
                "alter table stock enable row level security;
                 create policy north on stock using (city = 'north')",
            );
        },
        mend: restore,
        ends: With("read_denied", "does not let it read"),
    },
    Case {
        name: "the login sees none of the rows",
        guard: Open,
        spoil: |scene| scene.execute("alter table stock enable row level security"),
        mend: restore,
        ends: With("read_denied", "does not let it read"),
    },
    Case {
        name: "the login may not read",
        guard: Open,
        spoil: |scene| scene.execute("revoke pg_read_all_data from reader"),
        mend: |scene| scene.execute("grant pg_read_all_data to reader"),
        ends: With("read_denied", "may not read table "),
    },
    Case {
        name: "a partition is detached",
        guard: Usual,
        spoil: |scene| {
            scene.execute(&format!(
                "drop table stock; create table stock {STOCK} partition by range (id);
                 create table early partition of stock for values from (1) to (101);
                 create table late partition of stock for values from (101) to (1000);
                 insert into stock select * from kept; alter table stock detach partition late"
            ));
        },
        mend: |scene| {
            scene.execute("drop table late");
            restore(scene);
        },
        ends: With("needs_approval", "20 of 120 rows would be deleted"),
    },
    HIDDEN_BY_A_VIEW,
    Case {
        name: "the server is down",
        guard: Open,
        spoil: |scene| scene.server.as_ref().unwrap().stop(),
        mend: |scene| scene.server.as_ref().unwrap().restart(),
        ends: With("peer_refused", "The site database cannot be reached"),
    },
    Case {
        name: "the file of the table was cut short",
        guard: Usual,
        spoil: |scene| damage(scene, |file| file.set_len(0).unwrap()),
        mend: restore,
        ends: With("needs_approval", "the source has no rows in scope"),
    },
    Case {
        name: "a page of the table cannot be read",
        guard: Open,
        spoil: |scene| {
            damage(scene, |file| file.write_all(&[0xa5; 8_192]).unwrap());
        },
        mend: restore,
        ends: With("read_failed", ""),
    },
];

/// Does something to the file of `stock` while the server is down.
fn damage(scene: &mut Scene, change: impl FnOnce(&mut File)) {
    scene.execute("checkpoint");
    let path = scene
        .pair
        .source
        .query("select current_setting('data_directory') || '/' || pg_relation_filepath('stock')");
    let server = scene.server.as_ref().unwrap();
    server.stop();
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    change(&mut file);
    server.restart();
}

pub(super) const MARIADB: [Case; 3] = [
    TRUNCATED,
    Case {
        name: "a partition was dropped",
        guard: Usual,
        spoil: |scene| {
            scene.execute(&format!(
                "drop table stock; create table stock {STOCK}
                   partition by range (id) (partition early values less than (101), partition late values less than maxvalue);
                 insert into stock select * from kept; alter table stock drop partition late"
            ));
        },
        mend: restore,
        ends: With("needs_approval", "20 of 120 rows would be deleted"),
    },
    HIDDEN_BY_A_VIEW,
];

/// The file of a SQLite source.
pub(super) const FILES: [Case; 6] = [
    Case {
        name: "the file is gone",
        guard: Open,
        spoil: |scene| std::fs::rename(scene.file(), scene.file().with_extension("away")).unwrap(),
        mend: bring_back,
        ends: With("peer_refused", "The site database cannot be reached"),
    },
    Case {
        name: "the file was cut in the middle",
        guard: Open,
        spoil: |scene| alter_file(scene, |file, length| file.set_len(length / 2).unwrap()),
        mend: bring_back,
        ends: With("peer_refused|database_lost", ""),
    },
    Case {
        name: "the file has no bytes",
        guard: Open,
        spoil: |scene| alter_file(scene, |file, _| file.set_len(0).unwrap()),
        mend: bring_back,
        ends: With("unknown_table", "no table of this name"),
    },
    Case {
        name: "pages of the file cannot be read",
        guard: Open,
        spoil: |scene| {
            alter_file(scene, |file, length| {
                file.seek(SeekFrom::Start(4_096)).unwrap();
                let rest = usize::try_from(length - 4_096).unwrap();
                file.write_all(&vec![0xa5; rest]).unwrap();
            });
        },
        mend: bring_back,
        ends: With("peer_refused|database_lost", ""),
    },
    Case {
        name: "an empty database lies in its place",
        guard: Open,
        spoil: |scene| {
            forget(scene);
            let empty = format!(
                "create table stock {STOCK}; create table codes (code varchar(20) not null primary key, word varchar(40))"
            );
            sqlite::execute(&scene.file(), &empty);
        },
        mend: bring_back,
        ends: With("needs_approval", "the source has no rows in scope"),
    },
    HIDDEN_BY_A_VIEW,
];

/// Removes the file and what belongs to it.
fn forget(scene: &Scene) {
    for extension in ["db", "db-wal", "db-shm"] {
        drop(std::fs::remove_file(scene.file().with_extension(extension)));
    }
}

fn bring_back(scene: &mut Scene) {
    forget(scene);
    std::fs::copy(scene.file().with_extension("kept"), scene.file()).unwrap();
}

fn alter_file(scene: &Scene, change: impl FnOnce(&mut File, u64)) {
    sqlite::execute(&scene.file(), "pragma wal_checkpoint(truncate)");
    let mut file = OpenOptions::new().write(true).open(scene.file()).unwrap();
    let length = file.metadata().unwrap().len();
    change(&mut file, length);
}
