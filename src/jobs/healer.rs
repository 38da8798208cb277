//! The healer: tells peers what they have yet to hear - registrations, decisions, deletions - until they confirm it, and
//! asks those that were silent until they answer.
//!
//! An unreachable peer has a next attempt of its own and delays no other.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;

use crate::base::task::Task;
use crate::sync::{Ctx, connections};

/// Peers told at the same time.
const AT_ONCE: usize = 16;

/// Reconciles connections.
pub struct Healer {
    ctx: Arc<Ctx>,
}

impl Healer {
    /// A healer over `ctx`.
    #[must_use]
    pub fn new(ctx: Arc<Ctx>) -> Self {
        Self { ctx }
    }
}

#[async_trait::async_trait]
impl Task for Healer {
    fn name(&self) -> &'static str {
        "healer"
    }

    async fn pass(&self) -> Duration {
        let now = Timestamp::now();
        match self.ctx.store.connections_to_tell(now).await {
            Ok(connections) => {
                futures_util::stream::iter(connections)
                    .for_each_concurrent(AT_ONCE, |connection| async move {
                        if let Err(err) = connections::tell_peer(&self.ctx, &connection, now).await {
                            tracing::error!(connection = %connection.id, %err, "a peer was not told of a decision");
                        }
                    })
                    .await;
            }
            Err(err) => tracing::error!(%err, "the healer cannot read the connections"),
        }
        self.ctx.alerter.wake();
        self.ctx.config.healing.interval
    }
}
