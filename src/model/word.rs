//! Enums that are words in JSON, SQL, settings and messages: each word is written once.
//!
//! Invariant: what a value is written as, it is read from.

/// Gives enums their words: `ALL`, `as_str`, `Display`, `FromStr`, and serde's traits.
macro_rules! words {
    ($($name:ident { $($variant:ident = $text:literal),+ $(,)? })+) => {$(
        impl $name {
            /// Every value there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in JSON, SQL and messages.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::model::word::UnknownWord;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::model::word::UnknownWord {
                        found: text.to_owned(),
                        known: &[$($text),+],
                    }),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
pub(crate) use words;

/// A word that is none of those expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is none of {}", known.join(", "))]
pub struct UnknownWord {
    /// What was read.
    pub found: String,
    /// What is expected.
    pub known: &'static [&'static str],
}

#[cfg(test)]
mod tests {
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Way {
        Up,
        FarDown,
    }

    words! { Way { Up = "up", FarDown = "far_down" } }

    #[test]
    fn a_word_is_read_as_it_is_written() {
        assert_eq!(Way::ALL, [Way::Up, Way::FarDown]);
        assert_eq!(serde_json::to_value(Way::FarDown).unwrap(), "far_down");
        let read: Way = serde_json::from_str("\"far_down\"").unwrap();
        assert_eq!(read, Way::FarDown);
        assert_eq!("up".parse(), Ok(Way::Up));
        let unknown = "left".parse::<Way>().unwrap_err();
        assert_eq!(unknown.to_string(), "`left` is none of up, far_down");
    }
}
