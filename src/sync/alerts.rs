//! Alerts: what stands is noted, and the administrator's command or web address is told what is due.
//!
//! Told first and noted as told then: killed in between, the next start tells it once more. What is to be told stands in
//! `model/alert.rs`. Invariant: a notice holds what `status` shows, and nothing else.

use futures_util::StreamExt as _;
use jiff::Timestamp;

use crate::base::backoff::{jittered, random_fraction};
use crate::base::command::{Program, ProgramFault, run};
use crate::config::{AlertChannel, Config};
use crate::model::alert::{Alert, Next, Notice, track};
use crate::model::trouble::Event;
use crate::remote::{RemoteError, Webhook};
use crate::store::StoreError;
use crate::sync::Ctx;
use crate::sync::status::status;

/// Calls at the same time.
const AT_ONCE: usize = 4;

/// The way to the administrator.
pub enum Channel {
    /// A program of theirs.
    Command(Program),
    /// A web address of theirs.
    Webhook(Webhook),
}

impl Channel {
    /// The one in the settings, if there is one.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn of(config: &Config) -> Result<Option<Self>, RemoteError> {
        Ok(match &config.alerts.channel {
            None => None,
            Some(AlertChannel::Command {
                program,
                arguments,
                environment,
            }) => Some(Self::Command(Program {
                name: program.clone(),
                arguments: arguments.clone(),
                environment: environment.clone(),
            })),
            Some(AlertChannel::Url(url)) => Some(Self::Webhook(Webhook::new(
                url,
                &config.outgoing.allowed_networks,
                config.alerts.timeout,
            )?)),
        })
    }

    /// Hands `notice` over; the fault in words for `status`.
    async fn tell(&self, notice: &Notice, config: &Config) -> Result<(), String> {
        match self {
            Self::Webhook(webhook) => webhook.post(notice).await.map_err(|err| err.to_string()),
            Self::Command(program) => {
                let mut line = serde_json::to_vec(notice).map_err(|err| err.to_string())?;
                line.push(b'\n');
                let done = run(program, &line, config.alerts.timeout).await;
                done.map_err(|err| {
                    if let ProgramFault::Failed { said, .. } = &err {
                        tracing::warn!(program = program.name, said, "the alert command failed");
                    }
                    err.to_string()
                })
            }
        }
    }
}

/// Notes what stands at `now` and tells what is due. Returns when the next thing is.
///
/// # Errors
/// When the state cannot be read or written; nothing counts as over then.
pub async fn look(
    ctx: &Ctx,
    channel: Option<&Channel>,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let mut troubles = status(ctx, now).await?;
    // Nobody can be told by the way that does not work.
    troubles.retain(|trouble| trouble.event != Event::AlertsUndelivered);
    let patience = channel.map(|_| ctx.config.alerts.after);
    let tracked = track(&ctx.store.alerts().await?, &troubles, now, patience);
    for cause in &tracked.gone {
        ctx.store.remove_alert(cause).await?;
    }
    for alert in &tracked.changed {
        ctx.store.put_alert(alert).await?;
    }
    match channel {
        Some(channel) => tell_due(ctx, channel, now).await,
        None => Ok(None),
    }
}

async fn tell_due(
    ctx: &Ctx,
    channel: &Channel,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    let patience = ctx.config.alerts.after;
    let moment = |alert: &Alert| match alert.next(patience) {
        Next::Began(moment) | Next::Over(moment) => Some(moment),
        Next::Nothing => None,
    };
    let alerts = ctx.store.alerts().await?;
    let is_due = |alert: &Alert| moment(alert).is_some_and(|moment| moment <= now);
    let due = alerts.into_iter().filter(is_due);
    let told: Vec<Result<(), StoreError>> = futures_util::stream::iter(due)
        .map(|alert| tell(ctx, channel, alert))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    told.into_iter().collect::<Result<(), _>>()?;
    Ok(ctx.store.alerts().await?.iter().filter_map(moment).min())
}

async fn tell(ctx: &Ctx, channel: &Channel, alert: Alert) -> Result<(), StoreError> {
    let next = alert.next(ctx.config.alerts.after);
    let Some(notice) = alert.notice(next) else {
        return Ok(());
    };
    // A state that cannot be written is found out now, not after each of many calls.
    let begun = alert.being_said(Timestamp::now(), ctx.config.alerts.timeout);
    ctx.store.put_alert(&begun).await?;
    let told = tokio::select! {
        told = channel.tell(&notice, &ctx.config) => told,
        () = ctx.tasks.stopping().cancelled_owned() => return ctx.store.put_alert(&alert).await,
    };
    let cause = alert.cause.clone();
    let left = match told {
        Ok(()) => {
            tracing::info!(cause, event = notice.event, "an alert was delivered");
            alert.said(next)
        }
        Err(fault) => {
            tracing::warn!(
                cause,
                event = notice.event,
                fault,
                "an alert was not delivered"
            );
            let spread = |pause| jittered(pause, random_fraction());
            Some(alert.unsaid(fault, Timestamp::now(), spread))
        }
    };
    match left {
        Some(alert) => ctx.store.put_alert(&alert).await,
        None => ctx.store.remove_alert(&cause).await,
    }
}
