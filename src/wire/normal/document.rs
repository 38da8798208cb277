//! The normal form of a JSON document: no spaces, members sorted by the UTF-8 bytes of their names, strings with no
//! escapes but those that JSON needs, numbers digit for digit.
//!
//! A document with a member twice, one that is nested too deep, and one with a string that is no text (half a surrogate
//! pair) mean different things to different databases; and MariaDB takes for JSON what is none (`-00`). Such text is not
//! brought into order: a byte that begins no document and the text as it stands are its form, so that it equals only
//! itself. Where the destination refuses it, its row is found to differ, and quarantined.
//! Invariant: the text is read once, and copied once more at most for each level of nesting; memory is in proportion to
//! its size.

use std::borrow::Cow;
use std::ops::Range;

use crate::model::table::NeutralType;
use crate::wire::{InvalidValue, field};

/// Databases differ in how deep they let documents be nested; this is where `serde_json` stops.
const DEEPEST: usize = 128;
const AS_IT_STANDS: u8 = 0;

/// The normal form of a json or jsonb.
///
/// # Errors
/// When it is a jsonb of another version.
pub(super) fn normal(kind: NeutralType, bytes: &[u8]) -> Result<Vec<u8>, InvalidValue> {
    let as_it_stands = field::json_bytes(kind, bytes)?;
    let in_order = field::json(kind, bytes).ok().and_then(|json| {
        let mut reader = Reader {
            rest: json.get(),
            out: Vec::with_capacity(json.get().len()),
        };
        reader.value(DEEPEST)?;
        reader.rest.is_empty().then_some(reader.out)
    });
    Ok(in_order.unwrap_or_else(|| [&[AS_IT_STANDS], as_it_stands].concat()))
}

/// A jsonb with this normal form.
pub(super) fn restored(normal: &[u8]) -> Vec<u8> {
    let text = normal.strip_prefix(&[AS_IT_STANDS]).unwrap_or(normal);
    [&[field::JSONB_VERSION], text].concat()
}

/// Reads text that is known to be JSON. `None` of its methods: the document has no order.
struct Reader<'a> {
    rest: &'a str,
    out: Vec<u8>,
}

/// A member that was written.
struct Member<'a> {
    name: Cow<'a, str>,
    /// Its name and value in the output.
    written: Range<usize>,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => self.string().map(drop),
            _ => {
                let ends = |letter: char| {
                    matches!(letter, ',' | ']' | '}') || letter.is_ascii_whitespace()
                };
                let end = self.rest.find(ends).unwrap_or(self.rest.len());
                let word = self.advance(end)?;
                self.out.extend_from_slice(word.as_bytes());
                Some(())
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        self.copy(b'[')?;
        if self.peek()? == b']' {
            return self.copy(b']');
        }
        loop {
            self.value(depth)?;
            if self.peek()? != b',' {
                return self.copy(b']');
            }
            self.copy(b',')?;
        }
    }

    fn object(&mut self, depth: usize) -> Option<()> {
        self.copy(b'{')?;
        let first = self.out.len();
        let mut members: Vec<Member<'a>> = Vec::new();
        if self.peek()? != b'}' {
            loop {
                let start = self.out.len();
                let name = self.string()?;
                self.copy(b':')?;
                self.value(depth)?;
                members.push(Member {
                    name,
                    written: start..self.out.len(),
                });
                if self.peek()? != b',' {
                    break;
                }
                self.copy(b',')?;
            }
        }
        self.sort(first, members)?;
        self.copy(b'}')
    }

    /// Brings the members, written from `first` on, in the order of their names.
    fn sort(&mut self, first: usize, mut members: Vec<Member<'a>>) -> Option<()> {
        let in_order =
            |members: &[Member<'_>]| members.is_sorted_by(|one, next| one.name < next.name);
        if in_order(&members) {
            return Some(());
        }
        members.sort_by(|one, other| one.name.cmp(&other.name));
        if !in_order(&members) {
            // One name stands twice.
            return None;
        }
        let written = self.out.split_off(first);
        for member in &members {
            if self.out.len() > first {
                self.out.push(b',');
            }
            let range =
                member.written.start.checked_sub(first)?..member.written.end.checked_sub(first)?;
            self.out.extend_from_slice(written.get(range)?);
        }
        Some(())
    }

    /// Writes a string; what it says.
    fn string(&mut self) -> Option<Cow<'a, str>> {
        if self.peek()? != b'"' {
            return None;
        }
        let (mut end, mut escaped) = (1, false);
        loop {
            let rest = self.rest.as_bytes().get(end..)?;
            let at = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            end = end.checked_add(at)?.checked_add(1)?;
            if rest.get(at) == Some(&b'"') {
                break;
            }
            escaped = true;
            end = end.checked_add(1)?;
        }
        let quoted = self.advance(end)?;
        if !escaped {
            self.out.extend_from_slice(quoted.as_bytes());
            return quoted
                .strip_prefix('"')?
                .strip_suffix('"')
                .map(Cow::Borrowed);
        }
        let said: String = serde_json::from_str(quoted).ok()?;
        serde_json::to_writer(&mut self.out, &said).ok()?;
        Some(Cow::Owned(said))
    }

    /// The next byte that is no space.
    fn peek(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.as_bytes().first().copied()
    }

    /// Takes and writes the next byte that is no space, which has to be this one.
    fn copy(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.advance(1)?;
        self.out.push(byte);
        Some(())
    }

    fn advance(&mut self, length: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }
}
