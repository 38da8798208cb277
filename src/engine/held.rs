//! Rows that wait for others: in memory while they are few, else in a temporary file without a name.
//!
//! Invariant: eight bytes of memory per row and some mebibytes in all, however large the rows.

use std::io::{Read, Seek, SeekFrom, Write};

use tempfile::{SpooledTempFile, spooled_tempfile};

use crate::engine::error::EngineError;

/// Bytes of rows kept in memory.
const IN_MEMORY: usize = 8 << 20;

/// Rows in the order they were pushed.
#[derive(Debug)]
pub struct Held {
    bytes: SpooledTempFile,
    end: u64,
    /// Where each row begins; its length stands before it.
    starts: Vec<u64>,
}

impl Default for Held {
    fn default() -> Self {
        Self::new()
    }
}

impl Held {
    /// No rows.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bytes: spooled_tempfile(IN_MEMORY),
            end: 0,
            starts: Vec::new(),
        }
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Bytes that were taken for rows so far, in memory or in the file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.end
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn push(&mut self, tuple: &[u8]) -> Result<(), EngineError> {
        let length = u64::try_from(tuple.len()).unwrap_or(u64::MAX);
        let mut write = || {
            self.bytes.seek(SeekFrom::Start(self.end))?;
            self.bytes.write_all(&length.to_be_bytes())?;
            self.bytes.write_all(tuple)
        };
        write().map_err(|err| fault(&err))?;
        self.starts.push(self.end);
        self.end = self.end.saturating_add(8).saturating_add(length);
        Ok(())
    }

    /// The row at `at`; empty when there is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn get(&mut self, at: usize) -> Result<Vec<u8>, EngineError> {
        let Some(start) = self.starts.get(at).copied() else {
            return Ok(Vec::new());
        };
        let mut read = || {
            let mut length = [0; 8];
            self.bytes.seek(SeekFrom::Start(start))?;
            self.bytes.read_exact(&mut length)?;
            let mut tuple = Vec::new();
            (&mut self.bytes)
                .take(u64::from_be_bytes(length))
                .read_to_end(&mut tuple)?;
            Ok(tuple)
        };
        read().map_err(|err: std::io::Error| fault(&err))
    }

    /// Turns the order around.
    pub(super) fn reverse(&mut self) {
        self.starts.reverse();
    }

    /// Keeps only the rows whose place `keep` wants.
    pub(super) fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut at = 0;
        self.starts.retain(|_| {
            at += 1;
            keep(at - 1)
        });
    }
}

fn fault(err: &std::io::Error) -> EngineError {
    let message = format!("the temporary file for rows that wait for others: {err}");
    if err.kind() == std::io::ErrorKind::StorageFull {
        EngineError::Full(message)
    } else {
        EngineError::Lost(message)
    }
}

#[cfg(test)]
mod tests {
    use super::{Held, IN_MEMORY};

    #[test]
    fn rows_come_back_in_any_order_also_from_the_file() {
        let mut held = Held::new();
        let large = vec![7; IN_MEMORY];
        for tuple in [b"one".as_slice(), &large, b"", b"four"] {
            held.push(tuple).unwrap();
        }
        assert_eq!(held.get(3).unwrap(), b"four");
        assert_eq!(held.get(0).unwrap(), b"one");
        held.reverse();
        assert_eq!(held.get(2).unwrap(), large);
        held.retain(|at| at != 2);
        assert_eq!(
            (held.len(), held.get(1).unwrap(), held.get(2).unwrap()),
            (3, b"".to_vec(), b"one".to_vec())
        );
    }
}
