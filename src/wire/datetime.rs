//! Dates and times: PostgreSQL's binary forms and ISO 8601 text.

use crate::wire::InvalidValue;

/// Days since 2000-01-01 as `YYYY-MM-DD` (` BC` where before year 1; `infinity`, `-infinity`).
pub fn date_to_text(bytes: &[u8]) -> Result<String, InvalidValue> {
    let _ = bytes;
    todo!()
}
/// The reverse.
pub fn date_from_text(text: &str) -> Result<[u8; 4], InvalidValue> {
    let _ = text;
    todo!()
}
/// Microseconds of the day as `HH:MM:SS.ffffff`, `24:00:00.000000` included.
pub fn time_to_text(bytes: &[u8]) -> Result<String, InvalidValue> {
    let _ = bytes;
    todo!()
}
/// The reverse; fewer fractional digits or none are read too.
pub fn time_from_text(text: &str) -> Result<[u8; 8], InvalidValue> {
    let _ = text;
    todo!()
}
/// Microseconds since 2000-01-01 as `YYYY-MM-DD{separator}HH:MM:SS.ffffff`, always six digits, without zone.
pub fn timestamp_to_text(bytes: &[u8], separator: char) -> Result<String, InvalidValue> {
    let _ = (bytes, separator);
    todo!()
}
/// The reverse: separator ` ` or `T`; a zone (`Z`, `+02`, `+02:00`, `+0200`) is applied when `zoned`, refused otherwise;
/// without one the text counts as UTC.
pub fn timestamp_from_text(text: &str, zoned: bool) -> Result<[u8; 8], InvalidValue> {
    let _ = (text, zoned);
    todo!()
}
