//! Answers that are meant to fill memory, or to have no end.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;

use super::{Frames, MOST_LISTED_BYTES, told_tables, within};
use crate::model::table::TableName;
use crate::remote::error::RemoteError;
use crate::wire::frame::{FrameKind, FrameWriter, RowSum};
use crate::wire::session::AskedTally;
use crate::wire::tally::Prefix;

/// What comes of an answer of one listing for each of `sizes`.
async fn listed(sizes: &[usize]) -> Result<(), RemoteError> {
    let mut frames = FrameWriter::new(true);
    let mut answer = frames.frame(FrameKind::Head, 0, vec![Bytes::from_static(b"{}")]);
    for size in sizes {
        let listing = Bytes::from(vec![0; *size]);
        answer.extend(frames.frame(FrameKind::Keys, 0, vec![listing]));
    }
    answer.extend(frames.end(RowSum::default()));
    let response = axum::http::Response::new(reqwest::Body::from(answer.concat()));
    let mut frames = Frames::of("hq".to_owned(), response.into(), None);
    told_tables(&mut frames, &[rows_of(sizes.len())])
        .await
        .map(drop)
}

fn rows_of(nodes: usize) -> AskedTally {
    AskedTally {
        table: TableName::bare("notes"),
        agreed: None,
        level: None,
        prefixes: vec![Prefix::ROOT; nodes],
    }
}

#[tokio::test]
async fn signs_of_life_alone_are_no_answer() {
    let mut frames = FrameWriter::new(false);
    let signs = stream::repeat_with(move || {
        let sign = vec![Bytes::from_static(b"{}")];
        frames.frame(FrameKind::Progress, 0, sign).concat()
    });
    let signs = futures_util::StreamExt::then(signs, async |sign| {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Bytes::from(sign))
    });
    let response = axum::http::Response::new(reqwest::Body::wrap_stream(signs));
    let mut frames = Frames::of("hq".to_owned(), response.into(), None);
    let asked = [rows_of(1)];
    let told = within(
        Duration::from_millis(20),
        "hq",
        told_tables(&mut frames, &asked),
    );
    let stuck = told.await.unwrap_err();
    assert!(matches!(stuck, RemoteError::Stuck { .. }), "{stuck}");
}

#[tokio::test]
async fn all_listings_of_an_answer_together_have_a_bound() {
    let half = MOST_LISTED_BYTES / 2;
    for (name, sizes, is_taken) in [
        ("none", vec![], true),
        ("as much as is taken", vec![half, half], true),
        ("a byte more", vec![half, half, 1], false),
        ("a little many times", vec![half / 8; 17], false),
    ] {
        let taken = listed(&sizes).await;
        assert_eq!(taken.is_ok(), is_taken, "{name}");
        if let Err(err) = taken {
            assert!(matches!(err, RemoteError::Protocol { .. }), "{name}: {err}");
        }
    }
}
