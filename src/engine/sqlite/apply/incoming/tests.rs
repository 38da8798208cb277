//! What waits, in which order, and how much of it.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, Sender};

use super::{Incoming, PIECE_BYTES, Piece, READY_BYTES, WAITING_BYTES};
use crate::engine::driver::{Flow, RowStream};
use crate::engine::error::EngineError;
use crate::engine::sqlite::apply::destination::Destination;
use crate::engine::sqlite::apply::writer::describe;
use crate::engine::sqlite::test_site::{Site, batch, int, text};
use crate::model::table::TableName;
use crate::wire::numeric;

const PATIENCE: Duration = Duration::from_secs(60);
const ROW_BYTES: usize = 64 << 10;

/// Runs `work` on the stream of a job, with its destination.
async fn with_incoming<T: Send + 'static>(
    stream: RowStream,
    work: impl FnOnce(&mut Incoming<'_>, &Destination<'_>) -> T + Send + 'static,
) -> T {
    with_column("text", stream, work).await
}

async fn with_column<T: Send + 'static>(
    kind: &str,
    stream: RowStream,
    work: impl FnOnce(&mut Incoming<'_>, &Destination<'_>) -> T + Send + 'static,
) -> T {
    let site = Site::new(&format!(
        "create table t (id integer primary key, b {kind})"
    ));
    let job = site.job("t").await;
    let connection = site.application();
    tokio::task::spawn_blocking(move || {
        let (described, _) = describe(&connection, &job).unwrap();
        let destination = Destination::new(&connection, &job, &described).unwrap();
        work(&mut Incoming::new(&job, stream), &destination)
    })
    .await
    .unwrap()
}

fn send(sender: &Sender<Result<Flow, EngineError>>, id: i64, bytes: usize) {
    let rows = batch(&[vec![int(id), text(&"x".repeat(bytes))]]);
    sender.try_send(Ok(Flow::Rows(rows))).unwrap();
}

/// The keys of the rows of a piece.
fn ids(piece: &Piece) -> Vec<i64> {
    let Piece::Rows(rows) = piece else {
        return Vec::new();
    };
    let id = |(tuple, _): (&[u8], _)| i64::from_be_bytes(tuple[6..14].try_into().unwrap());
    rows.iter().map(id).collect()
}

#[tokio::test]
async fn what_waits_is_bounded_and_leaves_in_the_order_in_which_it_came() {
    let batches = 2 * WAITING_BYTES / ROW_BYTES;
    let (sender, stream) = mpsc::channel(batches + 1);
    for id in 0..batches {
        send(&sender, i64::try_from(id).unwrap(), ROW_BYTES);
    }
    sender.try_send(Ok(Flow::End)).unwrap();
    with_incoming(stream, move |incoming, destination| {
        for id in 0..batches {
            incoming.make_ready_within(PATIENCE, destination);
            let rest = batches - id;
            let waiting = WAITING_BYTES / ROW_BYTES;
            assert_eq!(incoming.ready.len(), waiting.min(rest + 1), "{id}");
            let piece = incoming.next(destination).unwrap();
            assert_eq!(ids(&piece), [i64::try_from(id).unwrap()]);
        }
        assert!(matches!(incoming.next(destination), Some(Piece::End)));
        assert_eq!((incoming.waiting, incoming.taken), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn a_pause_ends_in_time_whether_or_not_rows_come() {
    let (sender, stream) = mpsc::channel(2);
    with_incoming(stream, move |incoming, destination| {
        for rows in [0, 1] {
            let begun = Instant::now();
            incoming.make_ready_within(Duration::from_millis(20), destination);
            let paused = begun.elapsed();
            assert!(
                paused >= Duration::from_millis(20) && paused < PATIENCE,
                "{paused:?}"
            );
            assert_eq!(incoming.ready.len(), rows);
            send(&sender, 1, 10);
        }
    })
    .await;
}

#[tokio::test]
async fn a_failure_comes_after_the_rows_before_it() {
    let failure = || EngineError::NoTable(TableName::bare("u"));
    for end in [Some(failure()), None] {
        let expected = end.as_ref().map_or_else(
            || EngineError::Cut(TableName::bare("t")).to_string(),
            ToString::to_string,
        );
        let (sender, stream) = mpsc::channel(2);
        send(&sender, 1, 10);
        if let Some(err) = end {
            sender.try_send(Err(err)).unwrap();
        }
        drop(sender);
        with_incoming(stream, move |incoming, destination| {
            incoming.make_ready_within(PATIENCE, destination);
            assert_eq!(ids(&incoming.next(destination).unwrap()), [1]);
            match incoming.next(destination) {
                Some(Piece::Failed(err)) => assert_eq!(err.to_string(), expected),
                other => panic!("{other:?}"),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_row_that_cannot_be_stored_spoils_none_beside_it() {
    let (sender, stream) = mpsc::channel(1);
    let rows = [
        vec![int(1), text("a")],
        vec![int(2), Some(vec![0xff])],
        vec![int(3), None],
    ];
    sender.try_send(Ok(Flow::Rows(batch(&rows)))).unwrap();
    with_incoming(stream, |incoming, destination| {
        let Some(Piece::Rows(rows)) = incoming.next(destination) else {
            panic!("rows");
        };
        let shown: Vec<String> = rows
            .iter()
            .map(|(_, values)| match values {
                Ok(values) => format!("{values:?}"),
                Err(refusal) => refusal.reason,
            })
            .collect();
        assert_eq!(
            shown,
            [
                "[Borrowed(Integer(1)), Borrowed(Text([97]))]",
                "the text is not valid UTF-8",
                "[Borrowed(Integer(3)), Borrowed(Null)]",
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn values_that_grow_are_bounded_by_what_they_take() {
    // 28 bytes of which SQLite gets 147,456 characters.
    let number = numeric::encode("1e131068").unwrap();
    let number = numeric::with_scale(&number, 16_383).unwrap().into_owned();
    let rows: Vec<_> = (0..300)
        .map(|id| vec![int(id), Some(number.clone())])
        .collect();
    let (sender, stream) = mpsc::channel(2);
    sender.try_send(Ok(Flow::Rows(batch(&rows)))).unwrap();
    sender.try_send(Ok(Flow::End)).unwrap();
    with_column("decimal text", stream, |incoming, destination| {
        incoming.make_ready_within(PATIENCE, destination);
        let most = READY_BYTES + 2 * PIECE_BYTES;
        assert!(
            (READY_BYTES..most).contains(&incoming.taken),
            "{}",
            incoming.taken
        );
        let mut found = Vec::new();
        while let Some(piece @ Piece::Rows(_)) = incoming.next(destination) {
            found.extend(ids(&piece));
        }
        assert_eq!(found, (0..300).collect::<Vec<_>>());
    })
    .await;
}
