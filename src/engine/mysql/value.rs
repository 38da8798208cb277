//! A parameter of the binary protocol.
//!
//! Invariant: NULL is announced with the type its column's values have, so that a prepared statement stays as it was
//! prepared.

use std::borrow::Cow;

use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::mysql::MySqlTypeInfo;
use sqlx::{MySql, Type};

/// What stands for one `?`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null(Kind),
    Integer(i64),
    Unsigned(u64),
    Float(f32),
    Double(f64),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

/// The type a parameter is announced as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Unsigned,
    Float,
    Double,
    Text,
    Bytes,
}

impl Value<'_> {
    fn kind(&self) -> Kind {
        match self {
            Self::Null(kind) => *kind,
            Self::Integer(_) => Kind::Integer,
            Self::Unsigned(_) => Kind::Unsigned,
            Self::Float(_) => Kind::Float,
            Self::Double(_) => Kind::Double,
            Self::Text(_) => Kind::Text,
            Self::Bytes(_) => Kind::Bytes,
        }
    }

    /// About how many bytes of a packet it takes.
    pub(super) fn size(&self) -> usize {
        // A type and a length stand before each value.
        const AROUND: usize = 12;
        AROUND
            + match self {
                Self::Text(text) => text.len(),
                Self::Bytes(bytes) => bytes.len(),
                _ => 8,
            }
    }
}

impl Type<MySql> for Value<'_> {
    fn type_info() -> MySqlTypeInfo {
        <str as Type<MySql>>::type_info()
    }
}

impl Encode<'_, MySql> for Value<'_> {
    fn encode_by_ref(&self, buffer: &mut Vec<u8>) -> Result<IsNull, BoxDynError> {
        match self {
            Self::Null(_) => Ok(IsNull::Yes),
            Self::Integer(number) => Encode::<MySql>::encode_by_ref(number, buffer),
            Self::Unsigned(number) => Encode::<MySql>::encode_by_ref(number, buffer),
            Self::Float(number) => Encode::<MySql>::encode_by_ref(number, buffer),
            Self::Double(number) => Encode::<MySql>::encode_by_ref(number, buffer),
            Self::Text(text) => Encode::<MySql>::encode_by_ref(&&**text, buffer),
            Self::Bytes(bytes) => Encode::<MySql>::encode_by_ref(&&**bytes, buffer),
        }
    }

    fn produces(&self) -> Option<MySqlTypeInfo> {
        Some(match self.kind() {
            Kind::Integer => <i64 as Type<MySql>>::type_info(),
            Kind::Unsigned => <u64 as Type<MySql>>::type_info(),
            Kind::Float => <f32 as Type<MySql>>::type_info(),
            Kind::Double => <f64 as Type<MySql>>::type_info(),
            Kind::Text => <str as Type<MySql>>::type_info(),
            Kind::Bytes => <[u8] as Type<MySql>>::type_info(),
        })
    }
}
