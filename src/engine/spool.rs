//! Entries kept apart by partition while a table is scanned: in memory up to a budget, then in one file.
//!
//! Knows nothing of what an entry is. Invariants: the file has no name, so that nothing of it outlives the process; no
//! more is held in memory or on disk than the budget says, but for eight bytes to find a partition's part of a portion.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Partitions of a spool: so many that to read a few rows again is not to read all.
pub const PARTITIONS: usize = 4_096;
/// Bytes of a portion at most, beside one entry: a portion tells places in 32 bits.
const MAX_PORTION: usize = 1 << 30;
/// Bytes that are written at once.
const WRITTEN_AT_ONCE: usize = 256 << 10;

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
    on_disk: Vec<Portion>,
    written: u64,
}

/// What was in memory when it was written: one partition after the other.
#[derive(Debug)]
struct Portion {
    /// Where in the file it begins.
    at: u64,
    /// The partitions that it has something of, and where in it that ends.
    parts: Vec<(u16, u32)>,
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
            on_disk: Vec::new(),
            written: 0,
        }
    }

    /// Adds an entry to a partition.
    ///
    /// # Errors
    /// [`SpoolError`] when it can be kept neither in memory nor on disk.
    pub fn push(&mut self, partition: u16, entry: &[u8]) -> Result<(), SpoolError> {
        if let Some(memory) = self.in_memory.get_mut(usize::from(partition)) {
            memory.extend_from_slice(entry);
            self.held += entry.len();
        }
        if self.held > self.budget.memory.min(MAX_PORTION) {
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
        partition: u16,
        buffer: &mut Vec<u8>,
        mut see: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if let Some(file) = &self.file {
            let parts = self.on_disk.iter();
            for (at, length) in parts.filter_map(|portion| portion.part(partition)) {
                buffer.resize(length, 0);
                file.read_exact_at(buffer, at)
                    .map_err(|source| self.io(source))?;
                see(buffer)?;
            }
        }
        let memory = self.in_memory.get(usize::from(partition));
        memory.map_or(Ok(()), |memory| see(memory))
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
        let portion = Portion::write(&file, self.written, &self.in_memory);
        self.file = Some(file);
        self.on_disk
            .push(portion.map_err(|source| self.io(source))?);
        for memory in &mut self.in_memory {
            memory.clear();
        }
        self.written = self.written.saturating_add(more);
        self.held = 0;
        Ok(())
    }

    fn io(&self, source: io::Error) -> SpoolError {
        SpoolError::Io {
            folder: self.budget.folder.clone(),
            source,
        }
    }
}

impl Portion {
    /// Writes the partitions where `file` ends, which is at `at`.
    fn write(file: &File, at: u64, partitions: &[Vec<u8>]) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(WRITTEN_AT_ONCE, file);
        let mut parts = Vec::new();
        let mut end = 0_usize;
        for (number, partition) in (0..).zip(partitions) {
            if !partition.is_empty() {
                out.write_all(partition)?;
                end += partition.len();
                parts.push((number, u32::try_from(end).map_err(io::Error::other)?));
            }
        }
        out.flush()?;
        parts.shrink_to_fit();
        Ok(Self { at, parts })
    }

    /// Where in the file this portion's part of a partition is, and how long; `None` where it has none.
    fn part(&self, partition: u16) -> Option<(u64, usize)> {
        let number = |(number, _): &(u16, u32)| *number;
        let at = self.parts.binary_search_by_key(&partition, number).ok()?;
        let (_, end) = self.parts.get(at)?;
        let before = at.checked_sub(1).and_then(|before| self.parts.get(before));
        let begin = before.map_or(0, |(_, end)| *end);
        let length = usize::try_from(end.checked_sub(begin)?).ok()?;
        Some((self.at + u64::from(begin), length))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};
    use proptest::sample::select;

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
            entries in prop::collection::vec((select(&[0_u16, 1, 2, 77, 4_095]), prop::collection::vec(any::<u8>(), 0..20)), 0..500),
        ) {
            let mut spool = spool(memory, 1 << 20);
            let mut expected = vec![Vec::new(); PARTITIONS];
            for (partition, entry) in &entries {
                spool.push(*partition, entry).unwrap();
                expected[usize::from(*partition)].extend_from_slice(entry);
                prop_assert!(spool.in_memory.iter().map(Vec::len).sum::<usize>() <= memory);
            }
            let mut buffer = vec![7; 9];
            for (partition, expected) in (0..).zip(&expected) {
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
