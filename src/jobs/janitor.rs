//! The janitor: has peers prove who they are where nobody waits for it, offers them new keys until they have them, and
//! clears away what has had its time.
//!
//! A peer that does not answer has a next attempt of its own and delays no other.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;

use crate::base::task::Task;
use crate::sync::{Ctx, connections, pull, receipt};

/// Peers asked at the same time.
const AT_ONCE: usize = 16;

/// Keeps connections in order that nobody looks after.
pub struct Janitor {
    ctx: Arc<Ctx>,
}

impl Janitor {
    /// A janitor over `ctx`.
    #[must_use]
    pub fn new(ctx: Arc<Ctx>) -> Self {
        Self { ctx }
    }

    async fn prove(&self, now: Timestamp) {
        let due = match self.ctx.store.connections_to_prove(now).await {
            Ok(due) => due,
            Err(err) => {
                tracing::error!(%err, "the janitor cannot read the connections");
                return;
            }
        };
        futures_util::stream::iter(due)
            .for_each_concurrent(AT_ONCE, |connection| async move {
                if let Err(err) = connections::prove_due(&self.ctx, &connection, now).await {
                    tracing::error!(connection = %connection.id, %err, "a peer could not be asked who it is");
                }
            })
            .await;
    }

    async fn offer(&self, now: Timestamp) {
        let due = match self.ctx.store.connections_to_offer(now).await {
            Ok(due) => due,
            Err(err) => {
                tracing::error!(%err, "the janitor cannot read the keys to be offered");
                return;
            }
        };
        futures_util::stream::iter(due)
            .for_each_concurrent(AT_ONCE, |id| async move {
                if let Err(err) = connections::offer_again(&self.ctx, id, now).await {
                    tracing::error!(connection = %id, %err, "a new key could not be offered");
                }
            })
            .await;
    }
}

#[async_trait::async_trait]
impl Task for Janitor {
    fn name(&self) -> &'static str {
        "janitor"
    }

    async fn pass(&self) -> Duration {
        let now = Timestamp::now();
        tokio::join!(self.prove(now), self.offer(now));
        if let Err(err) = connections::forget_old_keys(&self.ctx, Timestamp::now()).await {
            tracing::error!(%err, "the janitor cannot forget old keys");
        }
        if let Err(err) = connections::expire_claims(&self.ctx, now).await {
            tracing::error!(%err, "the janitor cannot remove old claims");
        }
        if let Err(err) = pull::forget_old(&self.ctx, now).await {
            tracing::error!(%err, "the janitor cannot remove old differences");
        }
        if let Err(err) = receipt::forget_old(&self.ctx, now).await {
            tracing::error!(%err, "the janitor cannot remove old receipts");
        }
        self.ctx.live.now().healing.interval
    }
}
