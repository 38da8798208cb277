//! Buffers that are filled, passed on, and filled again once nobody reads them any more.
//!
//! A stream of a million rows then takes no more memory than its stages hold at once: allocated anew each time, pieces
//! of a mebibyte wander between the allocator's arenas and the process grows with the table.
//! Invariant: what was passed on never changes, and keeps no more memory than four times its size; a buffer comes back
//! only after its last reader dropped it.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// The row that reaches a batch's target may cross it.
const SLACK: usize = 64 << 10;

/// A piece of less than this part of a buffer is copied: whoever keeps it would keep all of the buffer, and what follows
/// would be copied for each of many.
const SMALL: usize = 4;

/// The buffers of one stream.
#[derive(Debug)]
pub struct Buffers {
    room: usize,
    /// Handles on what was passed on, oldest first: readers take and drop in that order.
    passed_on: VecDeque<BytesMut>,
}

impl Buffers {
    /// Buffers for batches that are passed on once they hold `target` bytes.
    #[must_use]
    pub fn for_batches_of(target: usize) -> Self {
        Self::with_room(target.saturating_add(SLACK))
    }

    fn with_room(room: usize) -> Self {
        Self {
            room,
            passed_on: VecDeque::new(),
        }
    }

    /// An empty buffer.
    pub fn empty(&mut self) -> BytesMut {
        let is_free = |oldest: &mut BytesMut| oldest.try_reclaim(self.room);
        if self.passed_on.front_mut().is_some_and(is_free)
            && let Some(oldest) = self.passed_on.pop_front()
            // One that had to grow for a large row is given up.
            && oldest.capacity() < self.room.saturating_mul(2)
        {
            return oldest;
        }
        BytesMut::with_capacity(self.room)
    }

    /// The first `length` bytes of `buffer`, to be passed on. What follows them stays in `buffer`, which has no room
    /// at all when nothing does: the next one is taken only when it is needed.
    pub fn pass_on(&mut self, buffer: &mut BytesMut, length: usize) -> Bytes {
        let length = length.min(buffer.len());
        if length < self.room / SMALL {
            let front = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
            buffer.advance(length);
            if buffer.is_empty() {
                self.passed_on.push_front(std::mem::take(buffer));
            }
            return front;
        }
        let front = buffer.split_to(length).freeze();
        let mut rest = BytesMut::new();
        if !buffer.is_empty() {
            rest = self.empty();
            rest.extend_from_slice(buffer);
        }
        let mut handle = std::mem::replace(buffer, rest);
        if self.room > 0 {
            handle.clear();
            self.passed_on.push_back(handle);
        }
        front
    }
}

impl Default for Buffers {
    /// Buffers that grow as they are filled, and are not used again.
    fn default() -> Self {
        Self::with_room(0)
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};

    use super::Buffers;

    fn fill(buffers: &mut Buffers, bytes: &[u8]) -> Bytes {
        let mut buffer = buffers.empty();
        buffer.extend_from_slice(bytes);
        let length = buffer.len();
        buffers.pass_on(&mut buffer, length)
    }

    #[test]
    fn a_buffer_is_used_again_only_after_its_last_reader_has_gone() {
        let mut buffers = Buffers::with_room(16);
        let first = fill(&mut buffers, b"first");
        let reader = first.slice(1..3);
        let place = first.as_ptr();
        drop(first);
        let second = fill(&mut buffers, b"second");
        assert_ne!(second.as_ptr(), place);
        assert_eq!(&*reader, b"ir");
        drop(reader);
        let third = fill(&mut buffers, b"third");
        assert_eq!(third.as_ptr(), place);
        assert_eq!((&*second, &*third), (&b"second"[..], &b"third"[..]));
    }

    #[test]
    fn a_small_piece_keeps_no_buffer_and_moves_nothing_that_follows() {
        let mut buffers = Buffers::with_room(64);
        let mut buffer = buffers.empty();
        buffer.extend_from_slice(b"one, two, three");
        let places = [4, 5].map(|length| {
            let place = buffer.as_ptr().wrapping_add(length);
            let piece = buffers.pass_on(&mut buffer, length);
            assert_eq!(buffer.as_ptr(), place);
            piece
        });
        let last = fill(&mut buffers, b"");
        assert_eq!(
            places.map(|piece| piece.to_vec()),
            [b"one,".to_vec(), b" two,".to_vec()]
        );
        assert_eq!((&*buffer, &*last), (&b" three"[..], &b""[..]));
        let place = buffer.as_ptr();
        assert_eq!(&*buffers.pass_on(&mut buffer, 6), b" three");
        assert!(buffer.capacity() == 0);
        let again = buffers.empty();
        assert!(again.capacity() >= 64 && again.as_ptr() <= place);
    }

    #[test]
    fn what_follows_stays_and_a_buffer_that_grew_is_given_up() {
        let mut buffers = Buffers::with_room(4);
        let mut buffer = BytesMut::from(&b"a row and a half"[..]);
        assert_eq!(&*buffers.pass_on(&mut buffer, 5), b"a row");
        assert_eq!(&*buffer, b" and a half");
        let whole = buffer.len();
        drop(buffers.pass_on(&mut buffer, whole));
        assert!(buffer.is_empty());
        assert!(buffers.empty().capacity() < 8);
    }
}
