//! `status`: one line per thing that is late, failed, waiting, quarantined or unreachable, with what to type.
//!
//! Decides nothing: the daemon tells it. Nothing to tell is good news.

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::fields::{moment, text};
use crate::cli::print::Column;

const COLUMNS: [Column; 5] = [
    ("about", |item| text(item, "what").to_owned()),
    ("what", |item| text(item, "message").to_owned()),
    ("since", |item| moment(item, "since")),
    ("next attempt", |item| moment(item, "next_attempt_at")),
    ("what to do", |item| text(item, "hint").to_owned()),
];

/// Prints what there is to tell; exit code 1 if anything.
pub(super) async fn run(context: &Context) -> anyhow::Result<Exit> {
    let told = context.client()?.list(&["status"], &[], usize::MAX).await?;
    if told.is_empty() {
        context.output.note("Nothing to tell: all is well.");
        return Ok(Exit::Done);
    }
    context.output.list(&told, &COLUMNS)?;
    Ok(Exit::Told)
}
