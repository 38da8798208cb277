//! Our administrator lets a pending connection begin, once its peer has proved who it is.
//!
//! Invariant: a refused approval changes nothing, the grant neither.

use crate::model::connection::{Connection, Decision, Direction, Identity};
use crate::model::grant::{Grant, Withheld};
use crate::model::id::ConnectionId;
use crate::sync::connections::decide::{decide, may_decide};
use crate::sync::connections::edit::{Edit, edit, fitting_grant};
use crate::sync::connections::lookup::existing;
use crate::sync::connections::proving::prove_identity;
use crate::sync::{Actor, Ctx, SyncError};

/// How a connection is approved.
#[derive(Debug)]
pub struct Approval {
    /// What the peer may see, where this site gives; default: the tables it asked for.
    pub grant: Option<Grant>,
    /// Whether the peer has to prove who it is.
    pub proof: Proof,
}

/// What an administrator asks of a peer before it is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It answers at its URL.
    Required,
    /// Nothing: its identity stays claimed.
    Waived,
}

/// Approves a connection. Repeating it changes nothing.
///
/// # Errors
/// [`SyncError::Unproved`] when the peer did not prove who it is, or why the decision or the grant does not fit.
pub async fn approve(
    ctx: &Ctx,
    id: ConnectionId,
    approval: Approval,
    actor: &Actor,
) -> Result<Connection, SyncError> {
    let known = existing(ctx, id).await?;
    may_decide(ctx, id, Decision::Approve).await?;
    let grant = given(&known, approval.grant, &ctx.config.grants.withheld)?;
    if let Some(grant) = &grant {
        fitting_grant(ctx, &known, grant.clone()).await?;
    }
    if approval.proof == Proof::Required && known.is_claim() {
        prove_identity(ctx, &known, actor).await?;
    }
    if grant.is_some() {
        let changes = Edit {
            grant,
            ..Edit::default()
        };
        edit(ctx, id, changes, actor).await?;
    }
    let approved = decide(ctx, id, Decision::Approve, None, actor).await?;
    if known.is_claim() && approved.identity == Identity::Claimed {
        let detail = format!("{} did not have to prove who it is", known.url);
        let subject = id.to_string();
        ctx.audit(actor, "connection.approve_unproved", &subject, Some(detail))
            .await;
    }
    Ok(approved)
}

/// The grant of an approval; `None` where it has one already, or gives nothing.
fn given(
    known: &Connection,
    named: Option<Grant>,
    withheld: &Withheld,
) -> Result<Option<Grant>, SyncError> {
    let gives = known.direction == Direction::Sender;
    if named.is_some() || !gives || !known.grant.is_empty() {
        return Ok(named);
    }
    if known.wanted_tables.is_empty() {
        return Err(SyncError::Invalid {
            field: "grant",
            message: format!(
                "{} asks to read tables and names none; say which it may read",
                known.name
            ),
        });
    }
    let names = known
        .wanted_tables
        .iter()
        .filter(|name| withheld.includes(name));
    let names: Vec<String> = names.map(ToString::to_string).collect();
    if !names.is_empty() {
        return Err(SyncError::Invalid {
            field: "grant",
            message: format!(
                "{} asks for tables that are usually withheld (grants.withheld): {}; name the tables that it may read",
                known.name,
                names.join(", ")
            ),
        });
    }
    Ok(Some(Grant::of(known.wanted_tables.clone())))
}
