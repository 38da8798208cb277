//! Every way to change rows that is known to be missed by somebody's comparison.

use super::tables::{ITEMS, REGIONS, SHELVES};
use crate::support::database::{Database, Kind};

/// A statement, the words for it, and how many rows it changes; by `id % 20` of `items`, so that none hides another.
const DAMAGE: [(&str, &str); 16] = [
    ("deleted", "delete from items where id % 20 = 0"),
    (
        "inserted",
        "insert into items select id + 100000, word, amount, at from items where id % 20 = 1",
    ),
    (
        "updated",
        "update items set word = 'other' where id % 20 = 2",
    ),
    (
        "NULL became empty",
        "update items set word = '' where id % 20 = 3",
    ),
    (
        "empty became NULL",
        "update items set word = null where id % 20 = 4",
    ),
    (
        "another case",
        "update items set word = upper(word) where id % 20 = 5",
    ),
    (
        "a trailing space more",
        "update items set word = concat(word, ' ') where id % 20 = 6",
    ),
    (
        "a trailing space less",
        "update items set word = rtrim(word) where id % 20 = 7",
    ),
    (
        "1.0 became 1.000",
        "update items set amount = '1.000' where id % 20 = 8",
    ),
    (
        "the last microsecond",
        "update items set at = '2024-01-01 10:00:00.000002' where id % 20 = 9",
    ),
    (
        "a time became NULL",
        "update items set at = null where id % 20 = 10",
    ),
    (
        "a composed character taken apart",
        "update items set word = concat('cafe\u{301} ', id) where id % 20 = 11",
    ),
    (
        "NULL became 0",
        "update items set amount = 0 where id % 20 = 12",
    ),
    (
        "NULL became the epoch",
        "update items set at = '1970-01-01 00:00:00.000000' where id % 20 = 13",
    ),
    (
        "a number",
        "update items set amount = '2.5' where id % 20 = 14",
    ),
    (
        "a leading space",
        "update items set word = concat(' ', word) where id % 20 = 15",
    ),
];

/// Writes that change nothing: to be found by nobody.
const NOTHING: [&str; 2] = [
    "update items set word = word, amount = amount, at = at where id % 20 = 16",
    "update items set word = 'other' where id % 20 = 17; update items set word = concat('row ', id) where id % 20 = 17",
];

/// Changes rows in every way; how many, by the count of what was meant.
pub(super) fn inject(database: &Database) -> usize {
    let each = usize::try_from(ITEMS / 20).unwrap();
    let mut injected = 0;
    for (what, statement) in DAMAGE {
        let before = database.query("select count(*) from touched");
        database.execute(statement);
        let after = database.query("select count(*) from touched");
        let count = |text: String| text.parse::<usize>().unwrap();
        assert_eq!(count(after) - count(before), each, "{what}");
        // MariaDB's columns say how many digits are shown; no value of theirs does.
        if !(what == "1.0 became 1.000" && database.kind() == Kind::Mariadb) {
            injected += each;
        }
    }
    for statement in NOTHING {
        database.execute(statement);
    }
    let [_, upper, padded, umlaut, _] = REGIONS;
    // Keys that others fold, pad or compose to the same: each is a row of its own.
    for statement in [
        format!("delete from shelves where region = '{upper}' and number <= 10"),
        format!("update shelves set word = 'x' where region = '{padded}' and number <= 10"),
        format!(
            "insert into shelves select '\u{c4}', number, word from shelves where region = '{umlaut}' and number <= 10"
        ),
        // One key becomes another: a row that is missing, and one too many.
        format!("update shelves set region = 'a  ' where region = 'a' and number = {SHELVES}"),
    ] {
        database.execute(&statement);
    }
    injected += 10 + 10 + 10 + 2;
    database.execute("delete from touched");
    injected
}
