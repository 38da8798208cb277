//! Looking rows up by key, in the form they travel in.
//!
//! A row found under an incoming key by the database's own `=`, but with other bytes, is that key's row all the same: it
//! is found by asking for that key alone. Invariant: one answer per row asked for, in their order.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures_util::TryStreamExt;
use sqlx::AssertSqlSafe;
use sqlx::mysql::MySqlRow;

use crate::engine::enact::target::Local;
use crate::engine::fault::{Fault, Refusal, RefusalKind};
use crate::engine::mysql::apply::seen::Mark;
use crate::engine::mysql::apply::statements::Lock;
use crate::engine::mysql::apply::verdict;
use crate::engine::mysql::apply::writer::Writer;
use crate::engine::mysql::fault::{fault, writing};
use crate::engine::mysql::image::put;
use crate::engine::mysql::read::raw;
use crate::engine::mysql::types::Form;
use crate::engine::mysql::value::Value;
use crate::engine::sql::Sql;
use crate::wire::InvalidValue;
use crate::wire::row::{Fields, RowWriter, split_tuple};

/// A row that was found.
#[derive(Clone, Debug)]
pub(super) struct Image {
    tuple: Bytes,
    /// Where values stand that have no place in the row layout.
    unreadable: Vec<usize>,
    /// Set when its key has other bytes than the one it was found by.
    pub(super) strange: Option<Mark>,
}

impl Image {
    /// For comparing.
    ///
    /// # Errors
    /// Never: the tuple was made here.
    pub(super) fn local(&self) -> Result<verdict::Local<'_>, InvalidValue> {
        let (fields, _) = split_tuple(&self.tuple)?;
        Ok(verdict::Local {
            fields,
            unreadable: &self.unreadable,
        })
    }
}

impl From<Image> for Local {
    fn from(image: Image) -> Self {
        Self {
            readable: image.unreadable.is_empty(),
            tuple: image.tuple,
        }
    }
}

/// A key's bytes, one field after the other, so that equal bytes mean equal fields.
pub(super) fn key_image(fields: &Fields<'_>, places: &[usize]) -> Vec<u8> {
    let mut writer = RowWriter::default();
    for &at in places {
        writer.field(fields.get(at).copied().flatten());
    }
    writer.take().data.to_vec()
}

impl Writer {
    /// The rows that have the keys of `piece`.
    pub(super) async fn look(
        &mut self,
        piece: &[Bytes],
        lock: Lock,
    ) -> Result<Vec<Option<Image>>, Fault> {
        let mut keys = Vec::with_capacity(piece.len());
        for row in piece {
            let (fields, _) = split_tuple(row).map_err(|err| self.malformed(&err))?;
            keys.push(key_image(&fields, self.destination.statements.key()));
        }
        let known: HashSet<&Vec<u8>> = keys.iter().collect();
        let (mut found, mut strangers) = (HashMap::new(), Vec::new());
        for (key, image) in self.fetch(piece, lock).await? {
            if known.contains(&key) {
                found.insert(key, image);
            } else {
                strangers.push((key, image));
            }
        }
        let mut images: Vec<Option<Image>> = Vec::with_capacity(piece.len());
        for (row, key) in piece.iter().zip(&keys) {
            images.push(match found.get(key) {
                Some(image) => Some(image.clone()),
                None if strangers.is_empty() => None,
                None if piece.len() == 1 => strange(&mut strangers)?,
                None => {
                    let alone = Box::pin(self.look(std::slice::from_ref(row), lock)).await?;
                    alone.into_iter().next().flatten()
                }
            });
        }
        Ok(images)
    }

    async fn fetch(&mut self, piece: &[Bytes], lock: Lock) -> Result<Vec<(Vec<u8>, Image)>, Fault> {
        let statement = self.destination.statements.look(piece.len(), lock);
        let images = self.images(&statement, piece).await?;
        let keyed = images.into_iter().map(|image| {
            let (fields, _) = split_tuple(&image.tuple)?;
            let key = key_image(&fields, self.destination.statements.key());
            Ok((key, image))
        });
        let keyed: Result<_, InvalidValue> = keyed.collect();
        keyed.map_err(|err| Fault::Engine(self.malformed(&err)))
    }

    /// The rows that `statement` finds by the keys of `piece`.
    pub(super) async fn images(
        &mut self,
        statement: &Sql,
        piece: &[Bytes],
    ) -> Result<Vec<Image>, Fault> {
        let arguments = self.arguments(statement, self.keys(piece)?)?;
        let table = self.job.table.name.clone();
        let connection = self.session.raw().map_err(|err| fault(err, &table))?;
        let forms = self.destination.statements.forms();
        let query = sqlx::query_with(AssertSqlSafe(statement.text().to_owned()), arguments);
        let mut rows = query.fetch(connection);
        let mut found = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(|err| writing(err, &table))? {
            found.push(image(&row, &forms).map_err(|err| fault(err, &table))?);
        }
        Ok(found)
    }

    /// The parameters of the keys of `rows`.
    pub(super) fn keys<'r>(&self, rows: &'r [Bytes]) -> Result<Vec<Value<'r>>, Fault> {
        let statements = &self.destination.statements;
        let mut values = Vec::with_capacity(rows.len() * statements.key().len());
        for row in rows {
            let (fields, _) = split_tuple(row).map_err(|err| self.malformed(&err))?;
            for &at in statements.key() {
                let field = fields.get(at).copied().flatten();
                if let Some(encoder) = statements.encoders().get(at) {
                    values.push(encoder.encode(field).map_err(Fault::Row)?);
                }
            }
        }
        Ok(values)
    }
}

fn strange(strangers: &mut Vec<(Vec<u8>, Image)>) -> Result<Option<Image>, Fault> {
    match (strangers.pop(), strangers.is_empty()) {
        (Some((key, image)), true) => Ok(Some(Image {
            strange: Some(Mark::of(&key)),
            ..image
        })),
        _ => Err(Fault::Row(Refusal {
            column: None,
            reason: "several rows here have a key that this database calls equal".to_owned(),
            kind: RefusalKind::Final,
        })),
    }
}

fn image(row: &MySqlRow, forms: &[Form]) -> Result<Image, sqlx::Error> {
    let (mut writer, mut unreadable) = (RowWriter::default(), Vec::new());
    writer.begin(u16::try_from(forms.len()).unwrap_or(u16::MAX));
    for (at, form) in forms.iter().enumerate() {
        match raw(row, at)? {
            None => writer.field(None),
            Some(bytes) => {
                if put(*form, bytes, &mut writer).is_err() {
                    writer.field(None);
                    unreadable.push(at);
                }
            }
        }
    }
    Ok(Image {
        tuple: writer.take().data,
        unreadable,
        strange: None,
    })
}
