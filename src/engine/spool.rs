//! Entries kept apart by partition while a table is scanned: in memory up to a budget, then in one file.
//!
//! In memory they stand as they came, in one piece; they are sorted when they are written, or first asked for. A buffer
//! for each partition would have the processor wait for its memory, and leave holes in that.
//! Knows nothing of what an entry is. Invariants: the file has no name, so that nothing of it outlives the process; no
//! more is held in memory or on disk than the budget says, but for eight bytes to find a partition's part of a portion.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Partitions of a spool: so many that to read a few rows again is not to read all.
pub const PARTITIONS: usize = 4_096;
/// Bytes of a portion at most, beside one entry: a portion tells places in 32 bits.
const MAX_PORTION: usize = 1 << 30;
/// Bytes that room is made for before they come: what grows is copied, and stands twice meanwhile. Room that nothing comes
/// to takes no memory.
const MAX_ROOM: usize = 64 << 20;
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
    in_memory: Held,
    file: Option<File>,
    on_disk: Vec<Portion>,
    written: u64,
}

/// What is in memory.
#[derive(Debug)]
struct Held {
    /// One entry after the other, in the order in which they came.
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    sorted: OnceLock<Sorted>,
    /// What was sorted last: its room is used again.
    spare: Sorted,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    partition: u16,
    /// Where it ends.
    end: u32,
}

/// Entries by partition, in their order within.
#[derive(Debug, Default)]
struct Sorted {
    /// Where each begins and ends.
    places: Vec<(u32, u32)>,
    /// Where among these each partition ends.
    ends: Vec<u32>,
}

/// Bytes that an entry takes beside its own: to be found, and to be sorted.
const PER_ENTRY: usize = size_of::<Entry>() + size_of::<(u32, u32)>();

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
            in_memory: Held::with_room(budget.memory.min(MAX_ROOM)),
            budget,
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
        self.in_memory.push(partition, entry);
        if self.in_memory.size() > self.budget.memory.min(MAX_PORTION) {
            self.write_out()?;
        }
        Ok(())
    }

    /// Shows all entries of a partition in their order, some at a time, by way of `buffer`.
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
        buffer.clear();
        for entry in self.in_memory.of(partition) {
            buffer.extend_from_slice(entry);
        }
        see(buffer)
    }

    /// Nothing more is pushed: what is in memory goes to the file, but for `keep` bytes at most, and the memory is free.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn settle(&mut self, keep: usize) -> Result<(), SpoolError> {
        if self.in_memory.size() > keep {
            self.write_out()?;
        }
        self.in_memory.shrink();
        Ok(())
    }

    /// Bytes in the file.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    fn write_out(&mut self) -> Result<(), SpoolError> {
        let more = u64::try_from(self.in_memory.bytes.len()).unwrap_or(u64::MAX);
        if self.written.saturating_add(more) > self.budget.disk {
            return Err(SpoolError::Full(self.budget.disk));
        }
        let file = match self.file.take() {
            Some(file) => file,
            None => tempfile::tempfile_in(&self.budget.folder).map_err(|source| self.io(source))?,
        };
        self.in_memory.sort();
        let portion = Portion::write(&file, self.written, &self.in_memory);
        self.file = Some(file);
        self.on_disk
            .push(portion.map_err(|source| self.io(source))?);
        self.in_memory.clear();
        self.written = self.written.saturating_add(more);
        Ok(())
    }

    fn io(&self, source: io::Error) -> SpoolError {
        SpoolError::Io {
            folder: self.budget.folder.clone(),
            source,
        }
    }
}

impl Held {
    fn with_room(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            entries: Vec::with_capacity(bytes / PER_ENTRY / 2),
            sorted: OnceLock::new(),
            spare: Sorted::default(),
        }
    }

    /// Bytes, with what it takes to find and to sort them.
    fn size(&self) -> usize {
        self.bytes.len() + self.entries.len() * PER_ENTRY
    }

    fn push(&mut self, partition: u16, entry: &[u8]) {
        self.bytes.extend_from_slice(entry);
        // It is written long before it is so long.
        let end = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        self.entries.push(Entry { partition, end });
        self.sorted.take();
    }

    fn sort(&mut self) {
        let spare = std::mem::take(&mut self.spare);
        self.sorted = spare.of(&self.entries).into();
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.spare = self.sorted.take().unwrap_or_default();
    }

    fn shrink(&mut self) {
        self.bytes.shrink_to_fit();
        self.entries.shrink_to_fit();
        self.spare = Sorted::default();
    }

    /// The entries of a partition.
    fn of(&self, partition: u16) -> impl Iterator<Item = &[u8]> {
        let sorted = self
            .sorted
            .get_or_init(|| Sorted::default().of(&self.entries));
        let places = sorted.of_partition(partition).iter();
        places.filter_map(|(begin, end)| {
            let begin = usize::try_from(*begin).ok()?;
            self.bytes.get(begin..usize::try_from(*end).ok()?)
        })
    }
}

impl Sorted {
    /// Counts first how many entries each partition has, so that the place of each is known.
    fn of(self, entries: &[Entry]) -> Self {
        let Self {
            mut places,
            mut ends,
        } = self;
        ends.clear();
        ends.resize(PARTITIONS, 0_u32);
        for entry in entries {
            if let Some(count) = ends.get_mut(usize::from(entry.partition)) {
                *count += 1;
            }
        }
        let mut before = 0;
        for end in &mut ends {
            let count = std::mem::replace(end, before);
            before += count;
        }
        places.clear();
        // A little more than now, so that the next portion's fit too.
        places.reserve_exact(entries.len() + entries.len() / 16);
        places.resize(entries.len(), (0, 0));
        let mut begin = 0;
        for entry in entries {
            // Each partition ends where its last entry so far does.
            let Some(end) = ends.get_mut(usize::from(entry.partition)) else {
                continue;
            };
            let place = usize::try_from(*end).ok();
            if let Some(place) = place.and_then(|place| places.get_mut(place)) {
                *place = (begin, entry.end);
            }
            begin = entry.end;
            *end += 1;
        }
        Self { places, ends }
    }

    fn of_partition(&self, partition: u16) -> &[(u32, u32)] {
        let partition = usize::from(partition);
        let end = |at: usize| self.ends.get(at).and_then(|end| usize::try_from(*end).ok());
        let begin = partition.checked_sub(1).map_or(Some(0), end);
        let range = begin.zip(end(partition));
        let places = range.and_then(|(begin, end)| self.places.get(begin..end));
        places.unwrap_or_default()
    }
}

impl Portion {
    /// Writes what is held where `file` ends, which is at `at`.
    fn write(file: &File, at: u64, held: &Held) -> io::Result<Self> {
        let mut out = BufWriter::with_capacity(WRITTEN_AT_ONCE, file);
        let mut parts = Vec::with_capacity(PARTITIONS);
        let (mut begin, mut end) = (0, 0);
        for partition in (0..).take(PARTITIONS) {
            for entry in held.of(partition) {
                out.write_all(entry)?;
                end += entry.len();
            }
            if end > begin {
                parts.push((partition, u32::try_from(end).map_err(io::Error::other)?));
                begin = end;
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
                prop_assert!(spool.in_memory.size() <= memory);
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
