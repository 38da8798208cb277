//! The two tables of the trials: what the source holds, how the destination is damaged, and what is still to be done.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::random::Random;
use crate::support::database::Database;

/// Rows of `accounts`, to which those of `ledger` point.
const ACCOUNTS: u64 = 200;
/// Rows of `ledger`.
pub(super) const LEDGER: u64 = 9_000;
/// Bytes of a memo, as random as letters can be: what compresses well would pass the link before anything is written.
const MEMO: u64 = 2_000;
/// A row of `ledger` in the row layout has about so many bytes, those without a memo aside.
pub(super) const ROW_BYTES: u64 = MEMO + 40;
/// Rows of `ledger` beyond this are only at the destination.
const EXTRA: u64 = 1_000_000;

const TABLES: &str = "
    create table accounts (id integer not null primary key, name varchar(40) not null);
    create table ledger (
        id bigint not null primary key, account integer not null, amount bigint not null, memo text,
        foreign key (account) references accounts (id)
    );";

/// What a trial finds at the destination, and what its run is to do there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Nothing is there: both tables are copied.
    Copy,
    /// Rows of both tables are missing, changed and too many; a mirror repairs all of it.
    Mirror,
    /// The same, once it was looked at and approved.
    Approved,
    /// Rows of `ledger` are missing and changed; those that are too many stay.
    Upsert,
}

/// All rows of both tables, by table and key.
pub(super) type Rows = BTreeMap<(&'static str, u64), String>;

/// Rows that have to be written or deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Todo {
    pub(super) added: u64,
    pub(super) updated: u64,
    pub(super) deleted: u64,
}

impl Todo {
    /// Rows that have to travel for it.
    pub(super) fn sent(self) -> u64 {
        self.added + self.updated
    }

    /// How many in all.
    pub(super) fn rows(self) -> u64 {
        self.sent() + self.deleted
    }

    pub(super) fn add(&mut self, other: Self) {
        self.added += other.added;
        self.updated += other.updated;
        self.deleted += other.deleted;
    }

    /// Whether nothing of it is more than in `other`.
    pub(super) fn is_within(self, other: Self) -> bool {
        self.added <= other.added && self.updated <= other.updated && self.deleted <= other.deleted
    }

    /// What was done of it until only `left` was to do.
    pub(super) fn until(self, left: Self) -> Self {
        Self {
            added: self.added - left.added,
            updated: self.updated - left.updated,
            deleted: self.deleted - left.deleted,
        }
    }
}

impl Work {
    fn tables(self) -> &'static [&'static str] {
        match self {
            Self::Copy | Self::Mirror | Self::Approved => &["accounts", "ledger"],
            Self::Upsert => &["ledger"],
        }
    }

    fn mode(self) -> &'static str {
        match self {
            Self::Copy | Self::Upsert => "upsert",
            Self::Mirror | Self::Approved => "mirror",
        }
    }

    /// The order of its run.
    pub(super) fn order(self) -> Value {
        let apply = match self {
            Self::Approved => "ask",
            Self::Copy | Self::Mirror | Self::Upsert => "yes",
        };
        json!({"tables": self.tables(), "sync_mode": self.mode(), "apply": apply})
    }

    /// Makes the destination, which holds all rows of the source, what the trial finds.
    pub(super) fn prepare(self, destination: &Database) {
        let extra = format!(
            "insert into ledger select id + {EXTRA}, account, amount, memo from ledger where id <= 30;"
        );
        let damage = match self {
            Self::Copy => "delete from ledger; delete from accounts;".to_owned(),
            // Some rows point to an account that has to go: they are changed first, and others deleted before it.
            Self::Mirror | Self::Approved => format!(
                "{extra}
                insert into accounts values (1001, 'extra'), (1002, 'extra');
                update ledger set account = 1001 where id > {EXTRA} or id % 100 = 5;
                update accounts set name = 'other' where id % 10 = 3;
                delete from ledger where account % 20 = 7;
                delete from accounts where id % 20 = 7;
                update ledger set amount = amount + 1 where id % 4 = 1 and id < {EXTRA};
                delete from ledger where id % 4 = 3 and id < {EXTRA};"
            ),
            // Few enough that the source looks them up by their keys.
            Self::Upsert => format!(
                "{extra}
                update ledger set amount = amount + 1 where id % 10 = 1 and id < {EXTRA};
                delete from ledger where id % 50 = 7 and id < {EXTRA};"
            ),
        };
        destination.execute(&format!("delete from ledger where id > {EXTRA};{damage}"));
    }

    /// What makes `here` what it is to become beside `there`.
    pub(super) fn todo(self, here: &Rows, there: &Rows) -> Todo {
        let mut todo = Todo::default();
        for (key, row) in there {
            match here.get(key) {
                None => todo.added += 1,
                Some(local) if local != row => todo.updated += 1,
                Some(_) => {}
            }
        }
        if matches!(self, Self::Mirror | Self::Approved) {
            let extra = here.keys().filter(|key| !there.contains_key(key));
            todo.deleted = u64::try_from(extra.count()).unwrap();
        }
        todo
    }

    /// Makes sure that each row is what it was or what it is to become; so none is lost that both sides have, and none
    /// is there that neither has.
    pub(super) fn nothing_else(self, before: &Rows, there: &Rows, now: &Rows, note: &str) {
        for key in before.keys().chain(there.keys()).chain(now.keys()) {
            let (before, there, now) = (before.get(key), there.get(key), now.get(key));
            let meant = match (there, self) {
                (None, Self::Copy | Self::Upsert) => before,
                _ => there,
            };
            assert!(
                now == before || now == meant,
                "{note}: row {key:?} was {before:?}, is to become {meant:?}, and is {now:?}"
            );
        }
    }
}

/// How many rows of `ledger` are there and not here.
pub(super) fn missing(here: &Rows, there: &Rows) -> u64 {
    let missing = |key: &&(&str, u64)| key.0 == "ledger" && !here.contains_key(key);
    u64::try_from(there.keys().filter(missing).count()).unwrap()
}

/// All rows of `database`; no key stands there twice.
pub(super) fn rows(database: &Database) -> Rows {
    let mut rows = Rows::new();
    for (table, columns) in [
        ("accounts", "id, name"),
        ("ledger", "id, account, amount, memo"),
    ] {
        let lines = database.query(&format!("select {columns} from {table}"));
        for line in lines.lines() {
            let (key, rest) = line.split_once('|').unwrap();
            let before = rows.insert((table, key.parse().unwrap()), rest.to_owned());
            assert_eq!(before, None, "{table} has {key} twice");
        }
    }
    rows
}

/// What `of`, a run or a transfer, says was written.
pub(super) fn told(of: &Value) -> Todo {
    let count = |what: &str| of["changes"][what].as_u64().unwrap();
    Todo {
        added: count("added"),
        updated: count("updated"),
        deleted: count("deleted"),
    }
}

/// Makes both tables, empty.
pub(super) fn make(database: &Database) {
    database.execute(TABLES);
}

/// Makes both tables and fills them.
pub(super) fn fill(database: &Database) {
    make(database);
    let accounts = (1..=ACCOUNTS).map(|id| format!("({id}, 'account {id}')"));
    let accounts: Vec<String> = accounts.collect();
    let mut sql = format!("insert into accounts values {};", accounts.join(","));
    let ledger: Vec<String> = (1..=LEDGER).map(entry).collect();
    for rows in ledger.chunks(500) {
        sql.push_str(&format!("insert into ledger values {};", rows.join(",")));
    }
    database.execute(&sql);
}

fn entry(id: u64) -> String {
    let mut random = Random::of(id);
    let letters = (0..MEMO / 8).flat_map(|_| {
        let eight = random.next().to_le_bytes();
        eight.map(|byte| char::from(b"abcdefghijklmnopqrstuvwxyzABCDEF"[usize::from(byte % 32)]))
    });
    let memo = match id % 16 {
        0 => "null".to_owned(),
        _ => format!("'{}'", letters.collect::<String>()),
    };
    format!(
        "({id}, {}, {}, {memo})",
        id % ACCOUNTS + 1,
        id * 7 % 100_000
    )
}
