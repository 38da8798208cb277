//! Carrying out a plan: rows looked at and locked by their keys, written by statements of bounded size.
//!
//! Which rows are written is decided in `engine::enact`. Invariant: as for `apply`.

use std::time::Duration;

use bytes::Bytes;
use sqlx::mysql::MySqlPool;
use tokio::sync::watch;

use crate::engine::driver::{ApplyJob, ApplyProgress, EnactJob, Enacted};
use crate::engine::enact;
use crate::engine::enact::target::{Effect, Local, Look, Pointer, Target};
use crate::engine::error::EngineError;
use crate::engine::fault::{Fault, Refusal};
use crate::engine::mysql::apply::open;
use crate::engine::mysql::apply::statements::{Lock, Pointing};
use crate::engine::mysql::apply::writer::Writer;
use crate::engine::mysql::schemas::Schemas;
use crate::engine::plan::PlanStream;
use crate::engine::transaction::LONGEST;

/// Carries out `plan` as `job` says.
pub(in crate::engine::mysql) async fn enact(
    pool: &MySqlPool,
    schemas: &Schemas,
    job: EnactJob,
    plan: PlanStream,
    progress: watch::Sender<ApplyProgress>,
) -> Result<Enacted, EngineError> {
    let mut writer = open(pool, schemas, job.target.clone()).await?;
    let ready = async {
        writer.make_stage().await;
        let parkable = writer.parkable().await?;
        Ok((parkable, writer.pointing().await?))
    };
    let outcome = match ready.await {
        Ok((parkable, pointing)) => {
            let mut target = MysqlTarget {
                writer,
                parkable,
                pointing,
            };
            let outcome = enact::enact(&mut target, job, plan, progress).await;
            writer = target.writer;
            outcome
        }
        Err(err) => Err(err),
    };
    // Closed also after success: the temporary table and the prepared statements are of no use to anybody else.
    writer.session.abandon().await;
    outcome
}

struct MysqlTarget {
    writer: Writer,
    parkable: Vec<String>,
    pointing: Vec<Pointing>,
}

impl Target for MysqlTarget {
    const LONGEST: Duration = LONGEST;
    const PATIENCE: Duration = LONGEST;
    const PIECE_ROWS: usize = 4_000;

    fn job(&self) -> &ApplyJob {
        &self.writer.job
    }

    fn is_folded(&self) -> bool {
        self.writer.destination.folded
    }

    // A login without the right to triggers does not see that there are any.
    fn inserts_plainly(&self) -> bool {
        false
    }

    fn can_park(&self) -> bool {
        !self.parkable.is_empty()
    }

    async fn begin(&mut self) -> Result<(), EngineError> {
        self.writer.begin().await
    }

    async fn commit(&mut self) -> Result<(), EngineError> {
        self.writer.run("commit").await
    }

    async fn run(&mut self, statements: &'static str) -> Result<(), EngineError> {
        self.writer.run(statements).await
    }

    async fn look(&mut self, why: Look, rows: &[Bytes]) -> Result<Vec<Option<Local>>, Fault> {
        let lock = match why {
            Look::Decide => Lock::Update,
            Look::ReadBack => Lock::None,
        };
        let pieces: Vec<Vec<Bytes>> = self
            .writer
            .pieces(rows)
            .into_iter()
            .map(<[_]>::to_vec)
            .collect();
        let mut found = Vec::with_capacity(rows.len());
        for piece in pieces {
            let images = self.writer.look(&piece, lock).await?;
            found.extend(images.into_iter().map(|image| image.map(Into::into)));
        }
        Ok(found)
    }

    async fn write(&mut self, effect: Effect, rows: &[Bytes]) -> Result<Option<Vec<Local>>, Fault> {
        match effect {
            Effect::Insert => {
                for piece in self.writer.pieces(rows) {
                    self.writer.insert(piece).await?;
                }
            }
            Effect::Update if self.writer.destination.statements.compared().is_empty() => {}
            Effect::Update => self.writer.update(rows).await?,
            Effect::Park => {
                for row in rows {
                    self.writer.park(row, &self.parkable).await?;
                }
            }
            Effect::Delete => {
                for piece in self.writer.pieces(rows) {
                    self.writer.delete(piece).await.map_err(still_referenced)?;
                }
            }
        }
        Ok(None)
    }

    async fn pointing(&mut self, rows: &[Bytes]) -> Result<Vec<(usize, Pointer)>, Fault> {
        let mut found = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            for by in &self.pointing {
                let pointers = self.writer.pointers(row, by, rows.len() + 1).await?;
                found.extend(pointers.into_iter().map(|pointer| (place, pointer)));
            }
        }
        Ok(found)
    }

    async fn finish(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}

/// The refusal of a deletion for the rows that point to what is deleted.
fn still_referenced(fault: Fault) -> Fault {
    match fault {
        Fault::Row(refusal) if refusal.reason.contains("foreign key") => Fault::Row(Refusal {
            reason: format!("still_referenced: {}", refusal.reason),
            ..refusal
        }),
        fault => fault,
    }
}
