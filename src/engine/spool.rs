//! Entries kept apart by partition while a table is scanned: in memory up to a budget, then in one file.
//!
//! Knows nothing of what an entry is. Invariants: the file has no name, so that nothing of it outlives the process; no
//! more is held in memory or on disk than the budget says.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Partitions of a spool.
pub const PARTITIONS: usize = 256;

/// What a spool may take.
#[derive(Clone, Debug)]
pub struct SpoolBudget {
    /// Bytes in memory.
    pub memory: usize,
    /// Bytes on disk.
    pub disk: u64,
    /// Where the file is made.
    pub folder: PathBuf,
}

/// Why an entry cannot be kept or read again.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The budget on disk is used up.
    #[error("comparing needs more than the {0} bytes on disk that it may take (compare.spool)")]
    Full(u64),
    /// The file cannot be made, written or read.
    #[error("the file for comparing in {folder}: {source}", folder = folder.display())]
    Io {
        /// Where it is.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Entries by partition. Reading gives back what was pushed, in that order.
#[derive(Debug)]
pub struct Spool {
    budget: SpoolBudget,
    in_memory: Vec<Vec<u8>>,
    held: usize,
    file: Option<File>,
    /// Where in the file the parts of each partition are.
    on_disk: Vec<Vec<Part>>,
    written: u64,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    at: u64,
    length: usize,
}

impl Spool {
    /// An empty one.
    #[must_use]
    pub fn new(budget: SpoolBudget) -> Self {
        Self {
            budget,
            in_memory: vec![Vec::new(); PARTITIONS],
            held: 0,
            file: None,
            on_disk: vec![Vec::new(); PARTITIONS],
            written: 0,
        }
    }

    /// Adds an entry to a partition.
    ///
    /// # Errors
    /// [`SpoolError`] when it can be kept neither in memory nor on disk.
    pub fn push(&mut self, partition: u8, entry: &[u8]) -> Result<(), SpoolError> {
        if let Some(memory) = self.in_memory.get_mut(usize::from(partition)) {
            memory.extend_from_slice(entry);
            self.held += entry.len();
        }
        if self.held > self.budget.memory {
            self.write_out()?;
        }
        Ok(())
    }

    /// Shows all entries of a partition in their order, some at a time; the file's by way of `buffer`.
    ///
    /// # Errors
    /// [`SpoolError::Io`] when the file cannot be read, and what `see` says.
    pub fn read<E: From<SpoolError>>(
        &self,
        partition: u8,
        buffer: &mut Vec<u8>,
        mut see: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let at = usize::from(partition);
        if let (Some(parts), Some(file)) = (self.on_disk.get(at), &self.file) {
            for part in parts {
                buffer.resize(part.length, 0);
                file.read_exact_at(buffer, part.at)
                    .map_err(|source| self.io(source))?;
                see(buffer)?;
            }
        }
        self.in_memory.get(at).map_or(Ok(()), |memory| see(memory))
    }

    /// Nothing more is pushed: what is in memory goes to the file, but for `keep` bytes at most, and the memory is free.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn settle(&mut self, keep: usize) -> Result<(), SpoolError> {
        if self.held > keep {
            self.write_out()?;
        }
        for memory in &mut self.in_memory {
            memory.shrink_to_fit();
        }
        Ok(())
    }

    /// Bytes in the file.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    fn write_out(&mut self) -> Result<(), SpoolError> {
        let more = u64::try_from(self.held).unwrap_or(u64::MAX);
        if self.written.saturating_add(more) > self.budget.disk {
            return Err(SpoolError::Full(self.budget.disk));
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile_in(&self.budget.folder).map_err(|source| self.io(source))?,
        };
        let mut fault = None;
        for (memory, parts) in self.in_memory.iter_mut().zip(&mut self.on_disk) {
            if memory.is_empty() {
                continue;
            }
            if let Err(source) = file.write_all_at(memory, self.written) {
                fault = Some(source);
                break;
            }
            let length = memory.len();
            parts.push(Part {
                at: self.written,
                length,
            });
            self.written = self
                .written
                .saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
            memory.clear();
        }
        self.held = 0;
        self.file = Some(file);
        fault.map_or(Ok(()), |source| Err(self.io(source)))
    }

    fn io(&self, source: io::Error) -> SpoolError {
        SpoolError::Io {
            folder: self.budget.folder.clone(),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

    use super::{PARTITIONS, Spool, SpoolBudget, SpoolError};

    fn spool(memory: usize, disk: u64) -> Spool {
        let folder = std::env::temp_dir();
        Spool::new(SpoolBudget {
            memory,
            disk,
            folder,
        })
    }

    proptest! {
        #[test]
        fn what_is_pushed_is_read_in_its_order_from_memory_and_from_disk(
            memory in 0_usize..2_000,
            entries in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..20)), 0..500),
        ) {
            let mut spool = spool(memory, 1 << 20);
            let mut expected = vec![Vec::new(); PARTITIONS];
            for (partition, entry) in &entries {
                spool.push(*partition, entry).unwrap();
                expected[usize::from(*partition)].extend_from_slice(entry);
                prop_assert!(spool.in_memory.iter().map(Vec::len).sum::<usize>() <= memory);
            }
            let mut buffer = vec![7; 9];
            for (partition, expected) in (0..=u8::MAX).zip(&expected) {
                let mut read = Vec::new();
                let see = |entries: &[u8]| {
                    read.extend_from_slice(entries);
                    Ok::<_, SpoolError>(())
                };
                spool.read(partition, &mut buffer, see).unwrap();
                prop_assert_eq!(&read, expected);
            }
        }
    }

    #[test]
    fn what_would_take_more_of_the_disk_than_allowed_is_refused() {
        let mut spool = spool(100, 250);
        let entry = [7_u8; 60];
        let outcomes: Vec<bool> = (0..8).map(|at| spool.push(at, &entry).is_ok()).collect();
        assert_eq!(
            outcomes,
            [true, true, true, true, true, false, false, false]
        );
        assert!(spool.written() <= 250);
        assert!(matches!(spool.push(0, &entry), Err(SpoolError::Full(250))));
    }
}
