//! Who calls the admin API and what they may do: a token, or a process on this machine.
//!
//! Invariant: no handler of `/api/v1` runs without a [`Caller`] whose role suffices.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;

use crate::api::accounts;
use crate::api::caller::{CallerAddress, CallerProcess};
use crate::api::problem::Problem;
use crate::base::secret::Secret;
use crate::model::role::Role;
use crate::sync::{Actor, Ctx};

/// Who makes a request. A request extension of every handler below `/api/v1`.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) actor: Actor,
    pub(super) role: Role,
}

/// Finds out who calls, or answers 401 or 403.
pub(super) async fn authenticate(
    State(ctx): State<Arc<Ctx>>,
    mut request: Request,
    next: Next,
) -> Response {
    let credentials = credentials(&request);
    let caller = match credentials {
        Ok(credentials) => caller(&ctx, credentials).await,
        Err(problem) => Err(problem),
    };
    match caller {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Lets through whose role is at least `needed`.
pub(super) async fn require(State(needed): State<Role>, request: Request, next: Next) -> Response {
    match request.extensions().get::<Caller>() {
        Some(caller) if caller.role >= needed => next.run(request).await,
        Some(caller) => Problem::forbidden(format!(
            "{} has the role {}; this needs {needed}",
            caller.actor.name, caller.role
        ))
        .into_response(),
        None => Problem::internal(&"a route without authentication").into_response(),
    }
}

/// What a request brings to say who makes it.
struct Credentials {
    token: Option<Secret<String>>,
    process: Option<CallerProcess>,
    address: Option<IpAddr>,
}

fn credentials(request: &Request) -> Result<Credentials, Problem> {
    let address = request.extensions().get::<CallerAddress>();
    Ok(Credentials {
        token: bearer(request.headers())?.map(|token| Secret::new(token.to_owned())),
        process: request.extensions().get().copied(),
        address: address.map(|address| address.0),
    })
}

async fn caller(ctx: &Ctx, credentials: Credentials) -> Result<Caller, Problem> {
    let Some(token) = credentials.token else {
        return match credentials.process {
            Some(process) => local_caller(process),
            None => Err(Problem::unauthorized(
                "send Authorization: Bearer TOKEN; `evenkeel token create` makes one",
                "Bearer realm=\"evenkeel\"",
            )),
        };
    };
    let found = ctx.store.token(token.expose(), Timestamp::now()).await?;
    let known = found.ok_or_else(|| wrong_token(ctx, credentials.address))?;
    Ok(Caller {
        actor: Actor {
            name: format!("token:{}", known.name),
            address: credentials.address,
        },
        role: known.role,
    })
}

/// Whoever tries token after token is put off; who has a right one is never kept out by that.
fn wrong_token(ctx: &Ctx, address: Option<IpAddr>) -> Problem {
    match ctx.throttle.token(address, &ctx.live.now().rates) {
        Ok(()) => Problem::unauthorized(
            "the token is unknown, revoked or expired",
            "Bearer realm=\"evenkeel\", error=\"invalid_token\"",
        ),
        Err(err) => Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Too many wrong tokens",
            "this address sent too many tokens that are none of this site's",
        )
        .with_retry_after(Some(err.retry_after)),
    }
}

/// The token of the request, if it carries one (RFC 6750 section 2.1).
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        return Ok(None);
    };
    value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| Some(token.trim()))
        .ok_or_else(|| {
            Problem::unauthorized(
                "only Authorization: Bearer TOKEN is understood",
                "Bearer realm=\"evenkeel\", error=\"invalid_request\"",
            )
        })
}

fn local_caller(process: CallerProcess) -> Result<Caller, Problem> {
    let daemon = CallerProcess {
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
    };
    let user = accounts::user_name(process.uid);
    let in_group = accounts::is_member(&user, daemon.gid);
    let name = format!("unix:{user}");
    match local_role(process, daemon, in_group) {
        Some(role) => Ok(Caller {
            actor: Actor {
                name,
                address: None,
            },
            role,
        }),
        None => Err(Problem::forbidden(format!(
            "{name} is neither root, nor the daemon's user, nor in the daemon's group"
        ))
        .with_hint("add the user to the daemon's group, or use a token")),
    }
}

/// Root and the daemon's own user administer, its group operates, others have no business here.
fn local_role(process: CallerProcess, daemon: CallerProcess, in_group: bool) -> Option<Role> {
    if process.uid == 0 || process.uid == daemon.uid {
        return Some(Role::Admin);
    }
    (process.gid == daemon.gid || in_group).then_some(Role::Operator)
}

#[cfg(test)]
mod tests {
    use super::{AUTHORIZATION, CallerProcess, HeaderMap, Role, bearer, local_role};

    #[test]
    fn root_and_the_daemon_administer_its_group_operates_and_others_are_refused() {
        let daemon = CallerProcess { uid: 900, gid: 901 };
        let role = |uid, gid, in_group| local_role(CallerProcess { uid, gid }, daemon, in_group);
        assert_eq!(role(0, 0, false), Some(Role::Admin));
        assert_eq!(role(900, 5, false), Some(Role::Admin));
        assert_eq!(role(1000, 901, false), Some(Role::Operator));
        assert_eq!(role(1000, 1000, true), Some(Role::Operator));
        assert_eq!(role(1000, 1000, false), None);
        assert_eq!(role(901, 900, false), None);
    }

    #[test]
    fn only_a_bearer_token_is_taken_for_one() {
        let read = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            bearer(&headers).map(|token| token.map(str::to_owned))
        };
        assert_eq!(read("Bearer abc"), Ok(Some("abc".to_owned())));
        assert_eq!(read("bearer  abc "), Ok(Some("abc".to_owned())));
        assert_eq!(bearer(&HeaderMap::new()), Ok(None));
        for value in ["Basic YTpi", "Bearer", "abc", ""] {
            assert!(read(value).is_err(), "{value}");
        }
    }
}
