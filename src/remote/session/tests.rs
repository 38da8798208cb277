//! Answers that are meant to fill memory.

use bytes::Bytes;

use super::{Frames, MOST_LISTED_BYTES, told_tables};
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
    let asked = AskedTally {
        table: TableName::bare("notes"),
        agreed: None,
        level: None,
        prefixes: vec![Prefix::ROOT; sizes.len()],
    };
    let mut frames = Frames::of("hq".to_owned(), response.into(), None);
    told_tables(&mut frames, &[asked]).await.map(drop)
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
