//! From the type a value travels as to the type its column has: decided before any row, checked per value.
//!
//! The kinds decide by themselves ([`KindMismatch`]); the declared widths only say what is checked of each value.
//! What only the database can judge (an enum's labels, `\u0000` in a jsonb, a check constraint) is left to it.
//! Invariant: a value comes out as it went in, in another form at most; it is never rounded, cut or padded.

use std::borrow::Cow;

use crate::model::table::{Column, Engine, NeutralType};
use crate::wire::InvalidValue;
use crate::wire::fit::{Form, Limit, Target};
use crate::wire::frame::MAX_ROW_BYTES;
use crate::wire::row::{RowWriter, split_tuple};

/// Where values come from and where they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sides {
    /// The engine that sends.
    pub source_engine: Engine,
    /// The engine that stores.
    pub target_engine: Engine,
    /// The source's engine enforces what it declares, so that a declared width holds for every value.
    pub trusted: bool,
}

impl Sides {
    /// Two engines; all but SQLite enforce what they declare.
    #[must_use]
    pub fn between(source_engine: Engine, target_engine: Engine) -> Self {
        Self {
            source_engine,
            target_engine,
            trusted: source_engine != Engine::Sqlite,
        }
    }
}

/// What to do with one field of each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// As it is: the types are one and the width cannot be too small.
    Pass,
    /// Into another form, or only where it fits.
    Checked(Target),
}

/// A kind that cannot hold another, whatever the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{source_type} cannot be stored as {target_type}")]
pub struct KindMismatch {
    /// The source's native type.
    pub source_type: String,
    /// The destination's native type.
    pub target_type: String,
}

/// How values of `source` become values of `target`.
///
/// # Errors
/// When the kind cannot fit.
pub fn conversion(
    source: &Column,
    target: &Column,
    sides: Sides,
) -> Result<Conversion, KindMismatch> {
    let form = form(source, target, sides).ok_or_else(|| KindMismatch {
        source_type: declared(source),
        target_type: declared(target),
    })?;
    let limit = limit(source, target, sides);
    if form == Form::Same && limit == Limit::None {
        return Ok(Conversion::Pass);
    }
    Ok(Conversion::Checked(Target {
        form,
        limit,
        kind: target.kind,
        native: target.native.clone(),
    }))
}

fn declared(column: &Column) -> String {
    match column.native.as_str() {
        "" => "a column without a declared type".to_owned(),
        native => native.to_owned(),
    }
}

impl Conversion {
    /// Converts one value that is not NULL.
    ///
    /// # Errors
    /// When the value does not fit the destination's width; the message says why, without the value.
    pub fn apply<'a>(&self, value: &'a [u8]) -> Result<Cow<'a, [u8]>, InvalidValue> {
        match self {
            Self::Pass => Ok(Cow::Borrowed(value)),
            Self::Checked(target) => target.fit(value),
        }
    }
}

/// The conversions of a row's fields, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowConversion(Vec<Conversion>);

impl RowConversion {
    /// One conversion per field.
    #[must_use]
    pub fn new(fields: Vec<Conversion>) -> Self {
        Self(fields)
    }

    /// Adds the conversion of the next field.
    pub fn push(&mut self, field: Conversion) {
        self.0.push(field);
    }

    /// Whether rows stay as they are, so that whole batches can be handed on.
    #[must_use]
    pub fn is_pass(&self) -> bool {
        self.0
            .iter()
            .all(|conversion| *conversion == Conversion::Pass)
    }

    /// Converts one tuple and adds it to `writer`; a tuple at fault adds nothing.
    ///
    /// # Errors
    /// The first field that does not fit, by its index, and why; 0 when the tuple itself is broken.
    pub fn convert(
        &self,
        tuple: &[u8],
        writer: &mut RowWriter,
    ) -> Result<(), (usize, InvalidValue)> {
        let before = writer.len();
        writer.rewrite(tuple, &self.0, |conversion, field, writer| {
            let converted = field.map(|value| conversion.apply(value)).transpose()?;
            writer.field(converted.as_deref());
            Ok(())
        })?;
        // Once written, it could not be read again.
        let bytes = writer.len() - before;
        if bytes > MAX_ROW_BYTES {
            writer.take_back(before);
            let found = format!("would have {bytes} bytes here, and may have {MAX_ROW_BYTES}");
            return Err((largest_field(tuple), InvalidValue::new("row", found)));
        }
        Ok(())
    }
}

/// Where the largest field of `tuple` is.
fn largest_field(tuple: &[u8]) -> usize {
    let fields = split_tuple(tuple).map(|(fields, _)| fields);
    let lengths = (0..).zip(fields.unwrap_or_default());
    lengths
        .max_by_key(|(_, field)| field.map_or(0, <[u8]>::len))
        .map_or(0, |(at, _)| at)
}

/// The change of form between two kinds; `None` where there is none that keeps every value.
fn form(source: &Column, target: &Column, sides: Sides) -> Option<Form> {
    match (source.kind, target.kind) {
        // Two engines may mean different things by one name, and a cast of strange text cuts or rounds.
        (NeutralType::Other, NeutralType::Other) => (source.native == target.native
            && sides.source_engine == sides.target_engine)
            .then_some(Form::Same),
        (from, to) if from == to => Some(Form::Same),
        (from, to) if from.is_integer() && to.is_integer() => Some(Form::Integer(from)),
        (from, NeutralType::Numeric) if from.is_integer() => Some(Form::IntegerToNumeric(from)),
        (NeutralType::Numeric, to) if to.is_integer() && source.scale == Some(0) => {
            Some(Form::NumericToInteger)
        }
        // MySQL has no other type for moments of all years: its datetime holds them in UTC.
        (NeutralType::Timestamptz, NeutralType::Timestamp)
            if sides.target_engine == Engine::Mysql =>
        {
            Some(Form::Same)
        }
        (NeutralType::Float4, NeutralType::Float8) => Some(Form::Float4ToFloat8),
        (NeutralType::Float8, NeutralType::Float4) => Some(Form::Float8ToFloat4),
        (NeutralType::Json, NeutralType::Jsonb) => Some(Form::JsonToJsonb),
        (NeutralType::Jsonb, NeutralType::Json | NeutralType::Text) => Some(Form::JsonbToJson),
        (NeutralType::Json | NeutralType::Other, NeutralType::Text) => Some(Form::Same),
        (NeutralType::Uuid, NeutralType::Text) => Some(Form::UuidToText),
        (
            from @ (NeutralType::Date
            | NeutralType::Time
            | NeutralType::Timestamp
            | NeutralType::Timestamptz),
            NeutralType::Text,
        ) => Some(Form::MomentToText(from)),
        _ => None,
    }
}

/// What has to be checked of each value once it has the target's form.
fn limit(source: &Column, target: &Column, sides: Sides) -> Limit {
    match target.kind {
        NeutralType::Text | NeutralType::Other => text_limit(source, target, sides),
        NeutralType::Numeric => numeric_limit(source, target, sides),
        NeutralType::Time | NeutralType::Timestamp | NeutralType::Timestamptz => {
            let digits = target.precision.filter(|digits| *digits < 6);
            let promised = source
                .precision
                .filter(|_| sides.trusted && source.kind == target.kind);
            match (digits, promised) {
                (None, _) => Limit::None,
                (Some(digits), Some(promised)) if promised <= digits => Limit::None,
                (Some(digits), _) => Limit::Fraction(digits),
            }
        }
        // SQLite takes a NaN for NULL, and drops the sign of zero.
        NeutralType::Float4 | NeutralType::Float8 if sides.target_engine == Engine::Sqlite => {
            Limit::SqliteFloat
        }
        // SQLite stores any text under a declared json; the others refuse the statement it comes in. What MariaDB takes
        // for JSON (`-00`) SQLite would store too, and nobody could read it there.
        NeutralType::Json | NeutralType::Jsonb
            if source.kind == target.kind
                && match sides.source_engine {
                    Engine::Mysql => sides.target_engine == Engine::Sqlite,
                    _ => !sides.trusted && sides.target_engine != Engine::Sqlite,
                } =>
        {
            Limit::Json
        }
        _ => Limit::None,
    }
}

fn text_limit(source: &Column, target: &Column, sides: Sides) -> Limit {
    let promised = source
        .length
        .filter(|_| sides.trusted && source.kind == NeutralType::Text);
    let characters = target.length.filter(|length| {
        target.kind == NeutralType::Text && promised.is_none_or(|promised| promised > *length)
    });
    // Only text of another engine can hold what PostgreSQL's cannot: a NUL, or bytes that are no UTF-8.
    let is_free_text = matches!(
        source.kind,
        NeutralType::Text | NeutralType::Json | NeutralType::Other
    );
    let clean = sides.trusted && sides.source_engine == Engine::Postgres;
    let refuse_nul = sides.target_engine == Engine::Postgres && is_free_text && !clean;
    let refuse_padding = target.is_padded(sides.target_engine)
        && !(sides.trusted && source.is_padded(sides.source_engine));
    if characters.is_none() && !refuse_nul && !refuse_padding {
        return Limit::None;
    }
    Limit::Text {
        characters,
        refuse_nul,
        refuse_padding,
    }
}

fn numeric_limit(source: &Column, target: &Column, sides: Sides) -> Limit {
    let is_numeric = source.kind == NeutralType::Numeric;
    // Only PostgreSQL has numerics that are no numbers, and SQLite where they are text.
    let refuse_special = is_numeric
        && match sides.target_engine {
            Engine::Postgres => false,
            Engine::Mysql => true,
            Engine::Sqlite => !is_declared_text(target),
        };
    let Some(precision) = target.precision else {
        if keeps_only_digits_that_count(target, sides.target_engine) {
            return Limit::Shortest;
        }
        return if refuse_special {
            Limit::NoSpecial
        } else {
            Limit::None
        };
    };
    let scale = target.scale.unwrap_or(0);
    let promised = source.precision.filter(|_| is_numeric && sides.trusted);
    if let Some(promised) = promised
        && !refuse_special
        && source.scale.unwrap_or(0) == scale
        && promised <= precision
    {
        return Limit::None;
    }
    Limit::Numeric {
        precision,
        scale,
        refuse_special,
    }
}

/// A column without declared digits that leans to numbers, in which 1.50 becomes 1.5.
pub(super) fn keeps_only_digits_that_count(numeric: &Column, engine: Engine) -> bool {
    engine == Engine::Sqlite && !is_declared_text(numeric)
}

fn is_declared_text(column: &Column) -> bool {
    column.native.to_ascii_lowercase().contains("text")
}

#[cfg(test)]
mod tests;
