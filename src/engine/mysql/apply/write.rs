//! Writing one chunk inside an open transaction: straight, or looked up first, halved until the rows at fault are alone.
//!
//! Neither begins nor commits. A statement that fails leaves nothing behind, and rows that need several statements are
//! written under a savepoint. Invariant: after every call the transaction holds exactly the rows that were counted.

use std::collections::HashSet;

use bytes::Bytes;

use crate::engine::chunk::tuples;
use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Refusal, RefusalKind};
use crate::engine::mysql::apply::Work;
use crate::engine::mysql::apply::look::{Image, key_image};
use crate::engine::mysql::apply::seen::Mark;
use crate::engine::mysql::apply::statements::Lock;
use crate::engine::mysql::apply::verdict::Verdict;
use crate::engine::mysql::apply::writer::count;
use crate::engine::transaction::Way;
use crate::model::run::Changes;
use crate::wire::row::split_tuple;

/// After so many statements that did not go straight, the rest is looked up at once.
const STRAIGHT_FAILURES: u32 = 16;

const SAVE: &str = "savepoint evenkeel";
const KEEP: &str = "release savepoint evenkeel";
const UNDO: &str = "rollback to savepoint evenkeel; release savepoint evenkeel";

/// Rows by what is to be done with them; `changes` counts those with which nothing is.
#[derive(Default)]
struct Sorted {
    changes: Changes,
    absent: Vec<Bytes>,
    differing: Vec<Bytes>,
}

impl Work {
    /// How the next rows go.
    pub(super) fn way(&self) -> Way {
        let may = self.writer.destination.began_empty
            && self.writer.destination.exact
            && self.writer.destination.rules.insert();
        if may && self.straight_failures < STRAIGHT_FAILURES {
            Way::Straight
        } else {
            Way::ByKey
        }
    }

    /// Writes whole tuples; rows that do not fit are held back or refused.
    pub(super) async fn write(&mut self, parts: &[Bytes]) -> Result<(), EngineError> {
        let rows = tuples(parts).map_err(|err| self.writer.malformed(&err))?;
        if self.writer.destination.folded {
            self.remember(&rows)?;
        }
        if self.way() == Way::ByKey {
            return self.halve(&rows).await;
        }
        for piece in self.writer.pieces(&rows) {
            match self.writer.insert(piece).await {
                Ok(()) => self.applied.changes.added += count(piece),
                Err(Fault::Engine(err)) => return Err(err),
                Err(Fault::Row(_)) => {
                    self.straight_failures += 1;
                    self.halve(piece).await?;
                }
            }
        }
        Ok(())
    }

    fn remember(&mut self, rows: &[Bytes]) -> Result<(), EngineError> {
        let mut marks = Vec::with_capacity(rows.len());
        for row in rows {
            let (fields, _) = split_tuple(row).map_err(|err| self.writer.malformed(&err))?;
            marks.push(Mark::of(&key_image(
                &fields,
                self.writer.destination.statements.key(),
            )));
        }
        self.seen.add(marks.into_iter())
    }

    /// Writes what can be written of `rows`.
    pub(super) async fn halve(&mut self, rows: &[Bytes]) -> Result<(), EngineError> {
        let mut ranges = vec![rows];
        while let Some(range) = ranges.pop() {
            match self.attempt(range).await {
                Ok(changes) => self.applied.changes.add(&changes),
                Err(Fault::Engine(err)) => return Err(err),
                Err(Fault::Row(refusal)) => match range {
                    [row] if refusal.may_fit_later() => self.held.push(row)?,
                    [row] => self.reject(row, refusal)?,
                    _ => {
                        let (first, second) = range.split_at(range.len() / 2);
                        ranges.extend([second, first].into_iter().filter(|half| !half.is_empty()));
                    }
                },
            }
        }
        Ok(())
    }

    /// Writes `rows` as one, all or none.
    pub(super) async fn attempt(&mut self, rows: &[Bytes]) -> Result<Changes, Fault> {
        let sorted = self.sort(rows, Lock::None).await?;
        if sorted.absent.is_empty() && sorted.differing.is_empty() {
            return Ok(sorted.changes);
        }
        self.writer.run(SAVE).await?;
        match self.put(sorted).await {
            Ok(changes) => {
                self.writer.run(KEEP).await?;
                Ok(changes)
            }
            Err(Fault::Row(refusal)) => {
                self.writer.run(UNDO).await?;
                Err(Fault::Row(refusal))
            }
            Err(Fault::Engine(err)) => Err(Fault::Engine(err)),
        }
    }

    /// Looks `rows` up and decides.
    async fn sort(&mut self, rows: &[Bytes], lock: Lock) -> Result<Sorted, Fault> {
        let rules = self.writer.destination.rules;
        let mut sorted = Sorted::default();
        for piece in self.writer.pieces(rows) {
            let images = self.writer.look(piece, lock).await?;
            self.refuse_collisions(&images)?;
            let statements = &self.writer.destination.statements;
            for (row, image) in piece.iter().zip(&images) {
                let Some(image) = image else {
                    if rules.insert() {
                        sorted.absent.push(row.clone());
                    } else {
                        sorted.changes.skipped += 1;
                    }
                    continue;
                };
                let (incoming, _) = split_tuple(row).map_err(|err| self.writer.malformed(&err))?;
                let local = image.local().map_err(|err| self.writer.malformed(&err))?;
                let (places, forms) = (statements.compared(), statements.forms());
                match rules.verdict(&local, &incoming, places, &forms) {
                    Verdict::Equal => {}
                    Verdict::Update => sorted.differing.push(row.clone()),
                    Verdict::Stays => {
                        sorted.changes.skipped += 1;
                        sorted.changes.conflicts += 1;
                    }
                }
            }
        }
        Ok(sorted)
    }

    /// Updates, then inserts: a unique value may become free by the first.
    async fn put(&mut self, sorted: Sorted) -> Result<Changes, Fault> {
        let Sorted {
            mut changes,
            mut absent,
            mut differing,
        } = sorted;
        if !differing.is_empty() {
            // Once more, as nobody else can change them any longer.
            let locked = self.sort(&differing, Lock::Update).await?;
            changes.add(&locked.changes);
            absent.extend(locked.absent);
            differing = locked.differing;
            self.writer.update(&differing).await?;
            changes.updated += count(&differing);
        }
        for piece in self.writer.pieces(&absent) {
            self.writer.insert(piece).await?;
        }
        changes.added += count(&absent);
        if !self.writer.destination.exact {
            self.read_back(&differing).await?;
            self.read_back(&absent).await?;
        }
        Ok(changes)
    }

    /// Rows that are not stored as they came are at fault, with the column that changed them.
    async fn read_back(&mut self, rows: &[Bytes]) -> Result<(), Fault> {
        for piece in self.writer.pieces(rows) {
            let images = self.writer.look(piece, Lock::None).await?;
            let statements = &self.writer.destination.statements;
            for (row, image) in piece.iter().zip(&images) {
                let (incoming, _) = split_tuple(row).map_err(|err| self.writer.malformed(&err))?;
                let altered = match image {
                    None => statements.key().first().copied(),
                    Some(image) => {
                        let local = image.local().map_err(|err| self.writer.malformed(&err))?;
                        let rules = self.writer.destination.rules;
                        rules.altered(&local, &incoming, &statements.forms())
                    }
                };
                if let Some(column) = altered.map(|at| statements.columns().get(at)) {
                    let native = column.map_or("", |column| &column.native);
                    return Err(Fault::Row(Refusal {
                        column: column.map(|column| column.name.clone()),
                        reason: format!("{native} stores the value as another"),
                        kind: RefusalKind::Final,
                    }));
                }
            }
        }
        Ok(())
    }

    /// Two incoming keys that the destination calls equal would replace each other.
    pub(super) fn refuse_collisions(&mut self, images: &[Option<Image>]) -> Result<(), Fault> {
        let strange = images.iter().flatten().filter_map(|image| image.strange);
        let wanted: HashSet<Mark> = strange.collect();
        if wanted.is_empty() || self.seen.among(&wanted)?.is_empty() {
            return Ok(());
        }
        Err(Fault::Row(Refusal {
            column: None,
            reason:
                "key_collision: this database calls the key equal to that of another incoming row"
                    .to_owned(),
            kind: RefusalKind::Final,
        }))
    }
}
