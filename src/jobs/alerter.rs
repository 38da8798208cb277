//! The alerter: notes what `status` tells, and lets the administrator know of it.
//!
//! Woken when a run ends or a peer was told, and by timer; without a command or web address it only notes since when
//! things are as they are.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::base::task::Task;
use crate::remote::RemoteError;
use crate::sync::Ctx;
use crate::sync::alerts::{Channel, look};

/// How long the alerter sleeps at most.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);
/// And at least, so that it never spins.
const SHORTEST_SLEEP: Duration = Duration::from_millis(200);

/// Looks after alerts.
pub struct Alerter {
    ctx: Arc<Ctx>,
    channel: Option<Channel>,
}

impl Alerter {
    /// An alerter over `ctx`.
    ///
    /// # Errors
    /// When TLS for a web address cannot be set up.
    pub fn new(ctx: Arc<Ctx>) -> Result<Self, RemoteError> {
        let channel = Channel::of(&ctx.config)?;
        Ok(Self { ctx, channel })
    }
}

#[async_trait::async_trait]
impl Task for Alerter {
    fn name(&self) -> &'static str {
        "alerter"
    }

    async fn pass(&self) -> Duration {
        match look(&self.ctx, self.channel.as_ref(), Timestamp::now()).await {
            Ok(next) => next
                .and_then(|next| Duration::try_from(next - Timestamp::now()).ok())
                .unwrap_or(if next.is_some() {
                    SHORTEST_SLEEP
                } else {
                    LONGEST_SLEEP
                })
                .clamp(SHORTEST_SLEEP, LONGEST_SLEEP),
            Err(err) => {
                tracing::error!(%err, "the alerter cannot read or write the state");
                LONGEST_SLEEP
            }
        }
    }
}
