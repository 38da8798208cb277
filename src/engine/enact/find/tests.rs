//! Plans with deletions of rows that are there, are there more often, or are gone.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::{AT_ONCE, Finder, PASSED_AT_ONCE, Sought, find};
use crate::engine::error::EngineError;
use crate::engine::plan::{Change, Fingerprint, Planned};
use crate::wire::InvalidValue;
use crate::wire::tally::RowHash;

/// Rows of one byte, each at the place of its number.
struct Rows(Vec<u8>);

impl Finder for Rows {
    const NOWHERE: &'static [u8] = b"nowhere";

    async fn find(&mut self, sought: &mut Sought) -> Result<(), EngineError> {
        for (place, row) in self.0.iter().enumerate() {
            sought.show(&[*row], || Bytes::from(place.to_string()));
        }
        Ok(())
    }
}

/// What a row is; none is told of zero.
fn fingerprint() -> Fingerprint {
    Arc::new(|row| match row {
        [0] => Err(InvalidValue::new("row", "it is zero")),
        [row, ..] => Ok(RowHash(u128::from(*row))),
        [] => Err(InvalidValue::new("row", "it is none")),
    })
}

fn delete(here: u8, key: &str) -> Change {
    Change::Delete {
        key: Bytes::copy_from_slice(key.as_bytes()),
        here: RowHash(u128::from(here)),
    }
}

/// Everything that is passed on, and whether the end was.
async fn passed(rows: Vec<u8>, plan: Vec<Planned>) -> (Vec<Change>, bool) {
    let (give, take) = mpsc::channel(plan.len().max(1));
    for planned in plan {
        give.send(Ok(planned)).await.unwrap();
    }
    drop(give);
    let (sink, mut out) = mpsc::channel(1);
    let finding = find(take, sink, fingerprint(), Rows(rows));
    let gathering = async {
        let (mut changes, mut ended) = (Vec::new(), false);
        while let Some(planned) = out.recv().await {
            match planned.unwrap() {
                Planned::Changes(some) => changes.extend(some),
                Planned::Unfit(_) => {}
                Planned::End => ended = true,
            }
        }
        (changes, ended)
    };
    tokio::join!(finding, gathering).1
}

#[tokio::test]
async fn each_deletion_is_told_where_one_of_the_equal_rows_is() {
    let row = Change::Insert { row: "new".into() };
    let plan = vec![
        Planned::Changes(vec![delete(7, ""), row.clone(), delete(9, "")]),
        Planned::Changes(vec![delete(7, ""), delete(8, "")]),
        Planned::End,
    ];
    let (mut changes, ended) = passed(vec![0, 7, 9, 7, 5, 7], plan).await;
    assert_eq!((changes.remove(0), ended), (row, true));
    let expected = [
        delete(7, "1"),
        delete(9, "2"),
        delete(7, "3"),
        delete(8, "nowhere"),
    ];
    assert_eq!(changes, expected);
}

#[tokio::test]
async fn many_are_passed_on_in_pieces_and_a_plan_that_is_cut_stays_so() {
    let many = PASSED_AT_ONCE * 2 + 3;
    let plan = vec![Planned::Changes(vec![delete(7, ""); many]), Planned::End];
    let (changes, ended) = passed(vec![7; many + 1], plan).await;
    assert_eq!((changes.len(), ended), (many, true));
    let cut = vec![Planned::Changes(vec![delete(7, "")])];
    assert_eq!(passed(vec![7], cut).await, (Vec::new(), false));
}

#[tokio::test]
async fn equal_rows_are_found_in_one_reading_however_many_they_are() {
    let many = usize::try_from(AT_ONCE).unwrap();
    let plan = vec![
        Planned::Changes(vec![delete(7, ""); many]),
        Planned::Changes(vec![delete(7, ""), delete(7, ""), delete(9, "")]),
        Planned::End,
    ];
    let rows = [vec![7; many + 2], vec![9]].concat();
    let (changes, ended) = passed(rows, plan).await;
    let places: HashSet<&Bytes> = changes.iter().map(Change::tuple).collect();
    assert_eq!(
        (changes.len(), places.len(), ended),
        (many + 3, many + 3, true)
    );
}
