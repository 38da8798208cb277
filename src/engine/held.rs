//! Rows that wait for others: in memory while they are few, else in temporary files without a name.
//!
//! Invariant: some mebibytes of memory, however many the rows and however large.

use std::io::{self, Read, Seek, SeekFrom, Write};

use tempfile::{SpooledTempFile, spooled_tempfile};

use crate::engine::error::EngineError;

/// Bytes of rows kept in memory.
const IN_MEMORY: usize = 8 << 20;
/// Bytes kept in memory of where they begin.
const STARTS_IN_MEMORY: usize = 1 << 20;
/// Of so many rows is read at once where they begin.
const BLOCK: usize = 512;

/// Rows in the order they were pushed.
#[derive(Debug)]
pub struct Held {
    bytes: SpooledTempFile,
    end: u64,
    /// Where each row begins; its length stands before it.
    starts: Starts,
}

/// Numbers in their order.
#[derive(Debug)]
struct Starts {
    /// All whole blocks.
    blocks: SpooledTempFile,
    len: usize,
    /// What follows them.
    last: Vec<u64>,
    /// The block that was read last, and which it is.
    read: Option<(usize, Vec<u64>)>,
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
            starts: Starts::new(),
        }
    }

    /// How many rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
        write()
            .and_then(|()| self.starts.push(self.end))
            .map_err(|err| fault(&err))?;
        self.end = self.end.saturating_add(8).saturating_add(length);
        Ok(())
    }

    /// The row at `at`; empty when there is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn get(&mut self, at: usize) -> Result<Vec<u8>, EngineError> {
        let mut read = || {
            let Some(start) = self.starts.get(at)? else {
                return Ok(Vec::new());
            };
            let mut length = [0; 8];
            self.bytes.seek(SeekFrom::Start(start))?;
            self.bytes.read_exact(&mut length)?;
            let mut tuple = Vec::new();
            (&mut self.bytes)
                .take(u64::from_be_bytes(length))
                .read_to_end(&mut tuple)?;
            Ok(tuple)
        };
        read().map_err(|err: io::Error| fault(&err))
    }

    /// Turns the order around.
    ///
    /// # Errors
    /// As [`Self::push`] and [`Self::get`].
    pub(super) fn reverse(&mut self) -> Result<(), EngineError> {
        let backwards = (0..self.len()).rev();
        self.rearrange(backwards)
    }

    /// Keeps only the rows whose place `keep` wants.
    ///
    /// # Errors
    /// As [`Self::push`] and [`Self::get`].
    pub(super) fn retain(&mut self, keep: impl Fn(usize) -> bool) -> Result<(), EngineError> {
        let kept = (0..self.len()).filter(|at| keep(*at));
        self.rearrange(kept)
    }

    fn rearrange(&mut self, order: impl Iterator<Item = usize>) -> Result<(), EngineError> {
        let arrange = || {
            let mut starts = Starts::new();
            for at in order {
                if let Some(start) = self.starts.get(at)? {
                    starts.push(start)?;
                }
            }
            self.starts = starts;
            Ok(())
        };
        arrange().map_err(|err: io::Error| fault(&err))
    }
}

impl Starts {
    fn new() -> Self {
        Self {
            blocks: spooled_tempfile(STARTS_IN_MEMORY),
            len: 0,
            last: Vec::new(),
            read: None,
        }
    }

    fn push(&mut self, start: u64) -> io::Result<()> {
        self.last.push(start);
        self.len += 1;
        if self.last.len() == BLOCK {
            let block: Vec<u8> = self
                .last
                .iter()
                .flat_map(|start| start.to_be_bytes())
                .collect();
            self.blocks.seek(SeekFrom::End(0))?;
            self.blocks.write_all(&block)?;
            self.last.clear();
        }
        Ok(())
    }

    fn get(&mut self, at: usize) -> io::Result<Option<u64>> {
        let (block, within) = (at / BLOCK, at % BLOCK);
        if block == self.len / BLOCK {
            return Ok(self.last.get(within).copied());
        }
        if block > self.len / BLOCK {
            return Ok(None);
        }
        let read = match self.read.take() {
            Some((number, starts)) if number == block => starts,
            _ => self.block(block)?,
        };
        let start = read.get(within).copied();
        self.read = Some((block, read));
        Ok(start)
    }

    fn block(&mut self, number: usize) -> io::Result<Vec<u64>> {
        let mut bytes = [0; BLOCK * 8];
        let begin = u64::try_from(number * bytes.len()).map_err(io::Error::other)?;
        self.blocks.seek(SeekFrom::Start(begin))?;
        self.blocks.read_exact(&mut bytes)?;
        let (starts, _) = bytes.as_chunks::<8>();
        Ok(starts
            .iter()
            .map(|start| u64::from_be_bytes(*start))
            .collect())
    }
}

fn fault(err: &io::Error) -> EngineError {
    EngineError::of_file("the temporary file for rows that wait for others", err)
}

#[cfg(test)]
mod tests {
    use super::{BLOCK, Held, IN_MEMORY, STARTS_IN_MEMORY};

    #[test]
    fn rows_come_back_in_any_order_also_from_the_file() {
        let mut held = Held::new();
        let large = vec![7; IN_MEMORY];
        for tuple in [b"one".as_slice(), &large, b"", b"four"] {
            held.push(tuple).unwrap();
        }
        assert_eq!(held.get(3).unwrap(), b"four");
        assert_eq!(held.get(0).unwrap(), b"one");
        held.reverse().unwrap();
        assert_eq!(held.get(2).unwrap(), large);
        held.retain(|at| at != 2).unwrap();
        assert_eq!(
            (held.len(), held.get(1).unwrap(), held.get(2).unwrap()),
            (3, b"".to_vec(), b"one".to_vec())
        );
    }

    #[test]
    fn many_rows_keep_their_order_whatever_is_done_with_it() {
        let rows = STARTS_IN_MEMORY / 8 + 3 * BLOCK / 2;
        let (mut held, mut expected) = (Held::new(), Vec::new());
        for row in 0..rows {
            let tuple = row.to_be_bytes().to_vec();
            held.push(&tuple).unwrap();
            expected.push(tuple);
        }
        let same = |held: &mut Held, expected: &[Vec<u8>]| {
            assert_eq!(held.len(), expected.len());
            for (at, tuple) in expected.iter().enumerate().step_by(7) {
                assert_eq!(held.get(at).unwrap(), *tuple, "{at}");
            }
            assert_eq!(held.get(expected.len()).unwrap(), b"");
            assert_eq!(held.get(usize::MAX).unwrap(), b"");
        };
        same(&mut held, &expected);
        held.reverse().unwrap();
        expected.reverse();
        same(&mut held, &expected);
        let keep = |at: usize| !at.is_multiple_of(3);
        held.retain(keep).unwrap();
        let mut at = 0..;
        expected.retain(|_| at.next().is_some_and(keep));
        same(&mut held, &expected);
        held.push(b"one more").unwrap();
        expected.push(b"one more".to_vec());
        same(&mut held, &expected);
        assert_eq!(held.get(expected.len() - 1).unwrap(), b"one more");
    }
}
