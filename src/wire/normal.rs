//! The normal form of a row: the bytes that both sides of a contract hash, each from the row as it reads it.
//!
//! Two engines hold one value in different types, so the bytes a row travels as differ where the value does not: an int4
//! beside an int8, 1.5 beside 1.50 in a column that shows two digits, members of a document in another order. For each
//! column the receiver, which knows both sides, decides on a [`NormalForm`] ([`normal_form`]) and says it to the sender.
//! From then on both do the same: [`Normal::new`] holds the forms against the side's own columns, [`Normal::normalise`]
//! makes them. Nothing else of the other side is needed: no engine, native type, width or nullability. The columns are
//! those of the granted view, after the column policy: a pseudonym counts as the uuid or text it travels as.
//!
//! What stands for what: a value that the destination stores as [`crate::wire::convert`] makes it has one form on both
//! sides; values that differ have different forms. A width never matters: a value too wide for its destination has a
//! form too, which no value of the destination has, so that its row counts as different (and is quarantined on apply).
//! A form is also never finer than what applying compares by, else rows would count as different for ever.
//!
//! | form | for | bytes |
//! | --- | --- | --- |
//! | `same` | one type on both sides, or two that travel as the same bytes | as they travel |
//! | `integer` | integers of two widths | an int8 |
//! | `float` | float4 beside float8 | a float8; NaN has one form |
//! | `numeric` | an integer into a numeric that keeps its scale | a numeric, shown as it is |
//! | `shortest` | into a column of SQLite that leans to numbers | a numeric without zeros at its end |
//! | `scaled` | into a numeric(p,s), or an integer | a numeric shown with s digits, or with as many as it needs |
//! | `text` | into text | UTF-8, as [`crate::wire::convert`] writes it |
//! | `document` | JSON, unless both are PostgreSQL's jsonb or the same engine's json | members sorted, numbers digit for digit |
//!
//! Invariant: work and memory for a row are bounded by its size, whatever forms a peer asks for.

mod document;
mod step;

use serde::{Deserialize, Serialize};

use crate::model::table::{Column, Engine, NeutralType};
use crate::wire::InvalidValue;
use crate::wire::convert::{KindMismatch, Sides, conversion, keeps_only_digits_that_count};
use crate::wire::normal::step::Step;
use crate::wire::row::{RowBatch, RowWriter};

/// What both sides make of a column's values before they hash them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NormalForm {
    /// Nothing.
    Same,
    /// An int8.
    Integer,
    /// A float8.
    Float,
    /// A numeric with its digits as they are.
    Numeric,
    /// A numeric without zeros at its end.
    Shortest,
    /// A numeric with so many digits after the point, or with more where it has more that count.
    Scaled(u32),
    /// Text.
    Text,
    /// A JSON document with its members in order.
    Document,
}

/// A form that a column's values cannot take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitForm {
    /// Not one form for each column.
    #[error("{forms} normal forms for {columns} columns")]
    Count {
        /// Forms that were named.
        forms: usize,
        /// Columns there are.
        columns: usize,
    },
    /// A form of another kind of values.
    #[error("column {column}: {kind} has no normal form {form:?}")]
    Kind {
        /// The column.
        column: String,
        /// Its neutral type.
        kind: NeutralType,
        /// What was asked for.
        form: NormalForm,
    },
}

/// The form of a column of a contract.
///
/// # Errors
/// When no value of `source` can be stored in `target`, as [`conversion`] says.
pub fn normal_form(
    source: &Column,
    target: &Column,
    sides: Sides,
) -> Result<NormalForm, KindMismatch> {
    conversion(source, target, sides)?;
    Ok(match (source.kind, target.kind) {
        (
            from @ (NeutralType::Json | NeutralType::Jsonb),
            to @ (NeutralType::Json | NeutralType::Jsonb),
        ) => {
            // Texts that are kept as written; PostgreSQL's own binary form, which it makes the same of equal documents.
            let one_engine = from == to && sides.source_engine == sides.target_engine;
            let one_text = from == NeutralType::Json || sides.source_engine == Engine::Postgres;
            if one_engine && one_text {
                NormalForm::Same
            } else {
                NormalForm::Document
            }
        }
        (from, NeutralType::Text) if from != NeutralType::Text => NormalForm::Text,
        (from, NeutralType::Numeric) => numeric_form(from, source, target, sides),
        (NeutralType::Numeric, _) => NormalForm::Scaled(0),
        (NeutralType::Float4, NeutralType::Float8) | (NeutralType::Float8, NeutralType::Float4) => {
            NormalForm::Float
        }
        (from, to) if from != to && to.is_integer() => NormalForm::Integer,
        _ => NormalForm::Same,
    })
}

fn numeric_form(from: NeutralType, source: &Column, target: &Column, sides: Sides) -> NormalForm {
    let is_numeric = from == NeutralType::Numeric;
    match target.precision {
        None if keeps_only_digits_that_count(target, sides.target_engine) => NormalForm::Shortest,
        None if is_numeric => NormalForm::Same,
        None => NormalForm::Numeric,
        Some(_) => {
            let scale = target.scale.unwrap_or(0);
            if is_numeric && source.scale == Some(scale) {
                NormalForm::Same
            } else {
                NormalForm::Scaled(scale)
            }
        }
    }
}

/// How one side of a contract gets from its rows to their normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normal(Vec<Step>);

impl Normal {
    /// For this side's columns in the contract's order; the forms may come from a stranger.
    ///
    /// # Errors
    /// When they are not as many, or one does not fit its column.
    pub fn new(columns: &[Column], forms: &[NormalForm]) -> Result<Self, UnfitForm> {
        if columns.len() != forms.len() {
            return Err(UnfitForm::Count {
                forms: forms.len(),
                columns: columns.len(),
            });
        }
        let step = |(column, form): (&Column, &NormalForm)| {
            Step::of(column, *form).ok_or_else(|| UnfitForm::Kind {
                column: column.name.clone(),
                kind: column.kind,
                form: *form,
            })
        };
        columns
            .iter()
            .zip(forms)
            .map(step)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether rows are their own normal form, so that whole batches can be taken as they are.
    #[must_use]
    pub fn is_pass(&self) -> bool {
        self.0.iter().all(|step| *step == Step::Keep)
    }

    /// Adds the normal form of one tuple to `writer`; a tuple at fault adds nothing.
    ///
    /// # Errors
    /// The first field that has no normal form, by its index, and why; 0 when the tuple itself is broken.
    pub fn normalise(
        &self,
        tuple: &[u8],
        writer: &mut RowWriter,
    ) -> Result<(), (usize, InvalidValue)> {
        writer.rewrite(tuple, &self.0, |step, field, writer| match field {
            Some(value) => step.put(value, writer),
            None => {
                writer.field(None);
                Ok(())
            }
        })
    }

    /// The normal forms of the rows of `batch`, in their order, by way of `writer`, which is left empty. Rows that are
    /// their own normal form are not looked at.
    ///
    /// # Errors
    /// As [`Self::normalise`], before it the row's place in the batch.
    pub fn normalise_batch(
        &self,
        batch: &RowBatch,
        writer: &mut RowWriter,
    ) -> Result<RowBatch, (usize, usize, InvalidValue)> {
        if self.is_pass() {
            return Ok(batch.clone());
        }
        for (row, tuple) in batch.tuples().enumerate() {
            let done = match tuple {
                Ok(tuple) => self.normalise(tuple, writer),
                Err(err) => Err((0, err)),
            };
            if let Err((at, err)) = done {
                writer.take();
                return Err((row, at, err));
            }
        }
        Ok(writer.take())
    }

    /// A value of this side's column `at` that has this normal form, to look a key up by: equal, if not always shown
    /// alike, to every value that has it. `None` when the column holds no such value.
    ///
    /// # Errors
    /// When the bytes are no such form, or the form does not tell the value, as that of a json does not.
    pub fn restore(&self, at: usize, normal: &[u8]) -> Result<Option<Vec<u8>>, InvalidValue> {
        let step = self.0.get(at);
        step.ok_or_else(|| InvalidValue::new("row", "it has no such field"))?
            .restore(normal)
    }
}

#[cfg(test)]
mod tests;
