//! Every change against every row it may find.

use std::sync::Arc;

use bytes::Bytes;

use super::{Doomed, Meant, Rules, Verdict};
use crate::engine::driver::{ApplyBudget, ApplyJob, EnactJob};
use crate::engine::enact::target::Local;
use crate::engine::plan::{Change, Ending, Waiting};
use crate::model::fixture::{self, required};
use crate::model::run::{ConflictStrategy, SyncMode};
use crate::model::table::NeutralType;
use crate::wire::InvalidValue;
use crate::wire::row::{RowWriter, split_tuple};
use crate::wire::tally::RowHash;

/// The sum of its bytes, in which empty fields are not told from NULL; a row with an '!' cannot be compared.
fn fingerprint(row: &[u8]) -> Result<RowHash, InvalidValue> {
    let (fields, _) = split_tuple(row)?;
    let mut hash = blake3::Hasher::new();
    for field in fields {
        let field = field.unwrap_or_default();
        if field.contains(&b'!') {
            return Err(InvalidValue::new("text", "it has an exclamation mark"));
        }
        hash.update(field);
        hash.update(b"|");
    }
    let bytes = hash.finalize();
    let head = bytes.as_bytes().first_chunk().unwrap();
    Ok(RowHash(u128::from_le_bytes(*head)))
}

fn rules(mode: SyncMode, conflict: ConflictStrategy) -> Rules {
    let columns = vec![
        required("code", NeutralType::Text),
        required("name", NeutralType::Text),
        required("v", NeutralType::Text),
    ];
    let job = EnactJob {
        target: ApplyJob {
            table: fixture::table("t", columns.clone(), &["code"]),
            columns,
            key: vec!["code".to_owned()],
            mode,
            conflict,
            budget: ApplyBudget {
                transaction_rows: 1,
                transaction_bytes: 1,
                quarantine_rows: 1,
            },
        },
        version_column: Some("v".to_owned()),
        fingerprint: Arc::new(fingerprint),
        waiting: Waiting::default(),
        ending: Ending::Refuse,
    };
    Rules::new(&job).unwrap()
}

/// Words are fields, `-` is NULL.
fn row(text: &str) -> Bytes {
    let fields: Vec<&str> = text.split(' ').collect();
    let mut writer = RowWriter::default();
    writer.begin(u16::try_from(fields.len()).unwrap());
    for field in fields {
        writer.field((field != "-").then_some(field.as_bytes()));
    }
    writer.take().data
}

fn insert(text: &str) -> Change {
    Change::Insert { row: row(text) }
}

fn update(text: &str, here: &str) -> Change {
    Change::Update {
        row: row(text),
        here: fingerprint(&row(here)).unwrap(),
    }
}

fn delete(here: &str) -> Change {
    let rules = rules(SyncMode::Mirror, ConflictStrategy::Overwrite);
    Change::Delete {
        key: rules.key_of(&row(here)).unwrap().into(),
        here: fingerprint(&row(here)).unwrap(),
    }
}

/// The verdict in words: what is written, or what is left.
fn judged(rules: &Rules, change: &Change, local: Option<&str>, doomed: &Doomed) -> String {
    let local = local.map(|text| Local {
        tuple: row(text.trim_start_matches('?')),
        readable: !text.starts_with('?'),
    });
    let shown = |meant: &Meant| {
        let (fields, _) = split_tuple(&meant.row).unwrap();
        let fields: Vec<&str> = fields
            .iter()
            .map(|field| field.map_or("-", |field| std::str::from_utf8(field).unwrap()))
            .collect();
        fields.join(" ")
    };
    match rules.judge(change, local.as_ref(), doomed).unwrap() {
        Verdict::Insert(meant) => format!("insert {}", shown(&meant)),
        Verdict::Update(meant, left) => {
            let other = if left.there.rows > 0 { " (merged)" } else { "" };
            let place = if meant.replaces.is_some() {
                " (replaces)"
            } else {
                ""
            };
            format!("update {}{other}{place}", shown(&meant))
        }
        Verdict::Delete => "delete".to_owned(),
        Verdict::Moved => "moved".to_owned(),
        Verdict::Left(changes, ..) if changes.conflicts > 0 => "conflict".to_owned(),
        Verdict::Left(..) => "left".to_owned(),
        Verdict::Refused(refusal) if refusal.may_fit_later() => "later".to_owned(),
        Verdict::Refused(refusal) => refusal.reason.split(':').next().unwrap().to_owned(),
    }
}

#[test]
fn a_change_is_made_only_to_the_row_it_was_planned_for() {
    use ConflictStrategy::{Merge, Newest, Overwrite, Skip};
    use SyncMode::{Insert, Mirror, Update, Upsert};
    for (mode, conflict, change, local, expected) in [
        (Upsert, Overwrite, insert("a new 2"), None, "insert a new 2"),
        (Update, Overwrite, insert("a new 2"), None, "left"),
        (
            Upsert,
            Overwrite,
            insert("a new 2"),
            Some("a new 2"),
            "moved",
        ),
        (
            Upsert,
            Overwrite,
            insert("a ! 2"),
            None,
            "the row cannot be compared",
        ),
        (
            Upsert,
            Overwrite,
            update("a new 2", "a old 1"),
            Some("a old 1"),
            "update a new 2",
        ),
        (
            Upsert,
            Overwrite,
            update("a new 2", "a old 1"),
            Some("a other 1"),
            "moved",
        ),
        (
            Upsert,
            Overwrite,
            update("a new 2", "a old 1"),
            Some("?a old 1"),
            "moved",
        ),
        (
            Upsert,
            Overwrite,
            update("a new 2", "a old 1"),
            None,
            "moved",
        ),
        (
            Upsert,
            Skip,
            update("a new 2", "a old 1"),
            Some("a old 1"),
            "conflict",
        ),
        (
            Upsert,
            Skip,
            update("a new 2", "a old 1"),
            Some("a other 1"),
            "moved",
        ),
        (
            Insert,
            Overwrite,
            update("a new 2", "a old 1"),
            Some("a old 1"),
            "conflict",
        ),
        (
            Upsert,
            Merge,
            update("a - 2", "a old 1"),
            Some("a old 1"),
            "update a old 2 (merged)",
        ),
        (
            Upsert,
            Merge,
            update("a new 2", "a old 1"),
            Some("a old 1"),
            "update a new 2",
        ),
        (
            Upsert,
            Merge,
            update("a - 1", "a old 1"),
            Some("a old 1"),
            "conflict",
        ),
        (
            Upsert,
            Newest,
            update("a new 2", "a old 1"),
            Some("a old 1"),
            "update a new 2",
        ),
        (
            Upsert,
            Newest,
            update("a new 1", "a old 1"),
            Some("a old 1"),
            "conflict",
        ),
        (
            Upsert,
            Newest,
            update("a new -", "a old 1"),
            Some("a old 1"),
            "conflict",
        ),
        (
            Upsert,
            Newest,
            update("a new 1", "a old -"),
            Some("a old -"),
            "update a new 1",
        ),
        (Mirror, Skip, delete("a old 1"), Some("a old 1"), "delete"),
        (Mirror, Skip, delete("a old 1"), Some("a other 1"), "moved"),
        (Mirror, Skip, delete("a old 1"), None, "moved"),
        (
            Upsert,
            Overwrite,
            delete("a old 1"),
            Some("a old 1"),
            "left",
        ),
    ] {
        let found = judged(&rules(mode, conflict), &change, local, &Doomed::default());
        assert_eq!(found, expected, "{mode} {conflict} {change:?} {local:?}");
    }
}

#[test]
fn a_row_takes_the_place_of_another_key_s_only_where_the_plan_deletes_that() {
    let (mode, conflict) = (SyncMode::Upsert, ConflictStrategy::Overwrite);
    let rules = rules(mode, conflict);
    let mut doomed = Doomed::default();
    let verdict = |doomed: &Doomed, local| judged(&rules, &insert("A new 2"), Some(local), doomed);
    assert_eq!(verdict(&doomed, "a old 1"), "later");
    doomed.complete = true;
    assert_eq!(verdict(&doomed, "a old 1"), "key_collision");
    let Change::Delete { key, here } = delete("a old 1") else {
        panic!("it is one")
    };
    doomed.keys.insert(key.to_vec(), here);
    assert_eq!(verdict(&doomed, "a old 1"), "update A new 2 (replaces)");
    assert_eq!(verdict(&doomed, "a other 1"), "moved");
}

#[test]
fn a_value_that_is_another_is_told_by_its_column_in_the_fingerprint_s_own_terms() {
    let rules = rules(SyncMode::Upsert, ConflictStrategy::Overwrite);
    let meant = Meant {
        hash: fingerprint(&row("a b c")).unwrap(),
        row: row("a b c"),
        replaces: None,
    };
    for (found, expected) in [("a b c", vec![]), ("a x c", vec![1]), ("x b -", vec![0, 2])] {
        let local = Local {
            tuple: row(found),
            readable: true,
        };
        assert_eq!(rules.differing(&meant, &local), expected, "{found}");
    }
    // An empty text is here what NULL is.
    let meant = Meant {
        row: row("a  c"),
        hash: fingerprint(&row("a  c")).unwrap(),
        replaces: None,
    };
    let local = Local {
        tuple: row("a - c"),
        readable: true,
    };
    assert!(rules.differing(&meant, &local).is_empty());
}

#[test]
fn two_rows_whose_values_together_are_too_many_bytes_are_not_merged() {
    let long = "x".repeat(9 << 20);
    let (here, there) = (format!("a {long} -"), format!("a - {long}"));
    for (conflict, expected) in [
        (ConflictStrategy::Merge, "merged, the row would have"),
        (ConflictStrategy::Overwrite, "update"),
    ] {
        let rules = rules(SyncMode::Upsert, conflict);
        let change = update(&there, &here);
        let verdict = judged(&rules, &change, Some(&here), &Doomed::default());
        assert!(verdict.starts_with(expected), "{conflict}");
    }
}
