//! The keys a job has taken, for destinations where equal keys may differ in bytes.
//!
//! A row that is here under an incoming key of other bytes is either one from before, which is updated, or one that this
//! job itself has written under a key that the destination takes for the same: those two must not replace each other.
//! Invariant: eight bytes a key, of which [`IN_MEMORY`] are kept in memory and the rest in a file without a name.

use std::collections::HashSet;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};

use tempfile::{SpooledTempFile, spooled_tempfile};

use crate::engine::error::EngineError;

/// Bytes kept in memory.
const IN_MEMORY: usize = 4 << 20;

/// What stands for a key: equal for equal bytes, and practically never for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Mark([u8; 8]);

impl Mark {
    /// Of a key's bytes.
    pub(super) fn of(key: &[u8]) -> Self {
        let hash = blake3::hash(key);
        Self(hash.as_bytes().first_chunk().copied().unwrap_or_default())
    }
}

/// Marks in the order they came.
pub(super) struct Seen(SpooledTempFile);

impl Seen {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(spooled_tempfile(IN_MEMORY))
    }

    /// Adds marks.
    pub(super) fn add(&mut self, marks: impl Iterator<Item = Mark>) -> Result<(), EngineError> {
        let bytes: Vec<u8> = marks.flat_map(|mark| mark.0).collect();
        let mut write = || {
            self.0.seek(SeekFrom::End(0))?;
            self.0.write_all(&bytes)
        };
        write().map_err(|err| fault(&err))
    }

    /// Which of `wanted` were added before. Reads them all: to be asked rarely.
    pub(super) fn among(&mut self, wanted: &HashSet<Mark>) -> Result<HashSet<Mark>, EngineError> {
        let mut read = || {
            self.0.seek(SeekFrom::Start(0))?;
            let (mut reader, mut found) = (BufReader::new(&mut self.0), HashSet::new());
            let mut bytes = [0; 8];
            loop {
                match reader.read_exact(&mut bytes) {
                    Ok(()) => found.extend(wanted.get(&Mark(bytes))),
                    Err(err) if err.kind() == std::io::ErrorKind::UnexpectedEof => {
                        return Ok(found);
                    }
                    Err(err) => return Err(err),
                }
            }
        };
        read().map_err(|err: std::io::Error| fault(&err))
    }
}

fn fault(err: &std::io::Error) -> EngineError {
    EngineError::of_file("the temporary file for keys that were taken", err)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{IN_MEMORY, Mark, Seen};

    #[test]
    fn what_was_added_is_found_also_in_the_file() {
        let mut seen = Seen::new();
        let wanted: HashSet<Mark> = [b"first", b"other"].map(|key| Mark::of(key)).into();
        assert!(seen.among(&wanted).unwrap().is_empty());
        seen.add([Mark::of(b"first")].into_iter()).unwrap();
        let many = u32::try_from(IN_MEMORY / 8).unwrap();
        seen.add((0..many).map(|number| Mark::of(&number.to_be_bytes())))
            .unwrap();
        assert_eq!(seen.among(&wanted).unwrap(), [Mark::of(b"first")].into());
    }
}
