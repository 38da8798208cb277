//! The smallest of many rows, by their bytes, in bounded memory.
//!
//! Invariant: what is kept are the smallest of all that were offered, so that pages of one table fit together.

use std::collections::BinaryHeap;

/// The smallest rows so far.
#[derive(Debug)]
pub(super) struct Smallest {
    heap: BinaryHeap<Vec<u8>>,
    bytes: usize,
    most_rows: usize,
    most_bytes: usize,
    short: bool,
}

impl Smallest {
    /// Keeps so many rows and bytes at most, and one row in any case.
    pub(super) fn new(most_rows: usize, most_bytes: usize) -> Self {
        Self {
            heap: BinaryHeap::new(),
            bytes: 0,
            most_rows: most_rows.max(1),
            most_bytes,
            short: false,
        }
    }

    /// Takes a row into account.
    pub(super) fn offer(&mut self, row: &[u8]) {
        let is_full = self.heap.len() >= self.most_rows || self.short;
        if is_full
            && self
                .heap
                .peek()
                .is_some_and(|largest| row >= largest.as_slice())
        {
            return;
        }
        self.bytes += row.len();
        self.heap.push(row.to_vec());
        while self.heap.len() > self.most_rows || self.bytes > self.most_bytes {
            if self.heap.len() == 1 {
                break;
            }
            self.short |= self.heap.len() <= self.most_rows;
            let largest = self.heap.pop().unwrap_or_default();
            self.bytes -= largest.len();
        }
    }

    /// Whether fewer rows are kept than were wanted, because they are large.
    pub(super) fn is_short(&self) -> bool {
        self.short
    }

    /// The rows in order.
    pub(super) fn into_sorted(self) -> Vec<Vec<u8>> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::Smallest;

    #[test]
    fn the_smallest_are_kept_whatever_the_order_they_come_in() {
        for step in [1_u8, 7, 11, 250] {
            let mut smallest = Smallest::new(5, 1_000);
            for at in 0..=250_u8 {
                smallest.offer(&[at.wrapping_mul(step), 0]);
            }
            assert!(!smallest.is_short());
            let sorted = smallest.into_sorted();
            assert_eq!(sorted.len(), 5);
            assert!(sorted.windows(2).all(|pair| pair[0] <= pair[1]));
            assert_eq!(sorted[0], [0, 0]);
        }
    }

    #[test]
    fn large_rows_are_fewer_and_one_is_always_there() {
        let mut smallest = Smallest::new(5, 10);
        for byte in [3, 1, 2, 0] {
            smallest.offer(&[byte; 4]);
        }
        assert!(smallest.is_short());
        assert_eq!(smallest.into_sorted(), [[0; 4], [1; 4]]);
        let mut smallest = Smallest::new(5, 2);
        smallest.offer(&[1; 4]);
        assert_eq!(smallest.into_sorted(), [[1; 4]]);
    }
}
