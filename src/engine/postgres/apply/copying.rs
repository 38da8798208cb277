//! Binary COPY into a table: tuples framed by header and trailer, in messages of a size that the client copies cheaply.
//!
//! Knows nothing of savepoints. Invariant: only [`Copying::finish`] makes the database keep the rows; one that is dropped
//! makes it refuse them.

use bytes::{Bytes, BytesMut};
use sqlx::postgres::{PgConnection, PgCopyIn};

use crate::engine::postgres::connect::Session;
use crate::engine::postgres::cutter::{HEADER, TRAILER};
use crate::engine::sql::Sql;

/// Small pieces are joined to messages of this size, large ones cut: the client keeps a copy of each message.
const MESSAGE_BYTES: usize = 64 << 10;

/// A COPY under way.
pub(super) struct Copying<'s> {
    copy: PgCopyIn<&'s mut PgConnection>,
    message: BytesMut,
}

impl<'s> Copying<'s> {
    /// Begins `statement`, a `copy ... from stdin (format binary)`.
    pub(super) async fn begin(
        session: &'s mut Session,
        statement: &Sql,
    ) -> Result<Self, sqlx::Error> {
        Ok(Self {
            copy: session.raw()?.copy_in_raw(statement.text()).await?,
            message: BytesMut::from(HEADER),
        })
    }

    /// Sends whole tuples. What the database thinks of them is said at the end.
    pub(super) async fn send(&mut self, tuples: &[u8]) -> Result<(), sqlx::Error> {
        if self.message.len() + tuples.len() > MESSAGE_BYTES {
            self.copy.send(self.message.split()).await?;
        }
        if tuples.len() < MESSAGE_BYTES {
            self.message.extend_from_slice(tuples);
            return Ok(());
        }
        for piece in tuples.chunks(MESSAGE_BYTES) {
            self.copy.send(piece).await?;
        }
        Ok(())
    }

    /// How many rows the database took.
    pub(super) async fn finish(mut self) -> Result<u64, sqlx::Error> {
        self.message.extend_from_slice(TRAILER);
        self.copy.send(self.message).await?;
        self.copy.finish().await
    }
}

/// One COPY of `parts`. How many rows it took.
pub(super) async fn copy_in(
    session: &mut Session,
    statement: &Sql,
    parts: &[Bytes],
) -> Result<u64, sqlx::Error> {
    let mut copying = Copying::begin(session, statement).await?;
    for part in parts {
        copying.send(part).await?;
    }
    copying.finish().await
}
