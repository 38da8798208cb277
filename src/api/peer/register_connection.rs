//! `POST register-connection`: a stranger offers its data, or asks for ours. The only request that carries a raw token.

use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::api::peer::answer::{Refusal, ok};
use crate::api::peer::request::PeerRequest;
use crate::base::secret::Secret;
use crate::model::connection::{Auth, Direction, Status};
use crate::model::policy::IncomingMode;
use crate::sync::Ctx;
use crate::sync::connections::{
    IncomingPolicy, Registration, RegistrationRefusal, incoming_policy, register,
};
use crate::sync::throttle::TooOften;
use crate::wire::messages::{EvenkeelHello, PublishedRefusal, WANTS_RECEIVER};

/// When somebody whose block of addresses has too many claims may try again.
const CROWDED_SECONDS: u64 = 3_600;

const FAILED: &str = "Failed to create connection";
/// Registrations whose password is looked at, or waits for that: more would only wait longer.
static WAITING: Semaphore = Semaphore::const_new(16);
const WAIT_SECONDS: u64 = 5;

/// Answers `register-connection`.
pub(super) async fn answer(ctx: &Ctx, request: &PeerRequest) -> Result<Response, Refusal> {
    let policy = incoming_policy(ctx)
        .await
        .map_err(|err| Refusal::internal(&err, FAILED))?;
    if !policy.enabled {
        return Err(Refusal::disabled());
    }
    if policy.mode == IncomingMode::DenyAll {
        let words = PublishedRefusal::IncomingNotAllowed.as_str();
        return Err(Refusal::new(StatusCode::FORBIDDEN, words));
    }
    request.is_a_strangers(ctx)?;
    let registration = read(request)?;
    let _place = place(ctx, &policy, &registration)?;
    let connection = register(ctx, &policy, registration, Timestamp::now())
        .await
        .map_err(|refusal| refused(&refusal))?;
    // Ours alone: what the peer itself decided it knows.
    let status = connection.local_status;
    let message = if status == Status::Active {
        "Connection registered and activated"
    } else {
        "Connection registered and waiting for approval"
    };
    let mut hello = ctx.hello();
    if connection.auth == Auth::TokenHash {
        // Said to a site that did not announce it, or not when the row was made, it would promise what does not hold.
        hello.receipt_key = None;
    }
    // So that it knows that it was understood: another program would have made a row of the other kind.
    hello.wants = (connection.direction == Direction::Sender).then(|| WANTS_RECEIVER.to_owned());
    Ok(ok(&json!({
        "success": true,
        "message": message,
        "connection_status": status,
        "connection_uuid": connection.id,
        "evenkeel": hello,
    })))
}

/// The right to have a password looked at, which takes long. Attempts are counted before: nobody learns by a refusal that
/// came too late that the password was right.
fn place(
    ctx: &Ctx,
    policy: &IncomingPolicy,
    registration: &Registration,
) -> Result<Option<SemaphorePermit<'static>>, Refusal> {
    if policy.mode != IncomingMode::RequirePassword || registration.password.is_none() {
        return Ok(None);
    }
    let rates = &ctx.live.now().rates;
    let counted = ctx.throttle.password(registration.from, rates);
    counted.map_err(Refusal::too_often)?;
    let place = WAITING.try_acquire();
    place.map(Some).map_err(|_| {
        Refusal::too_often(TooOften {
            retry_after: WAIT_SECONDS,
        })
    })
}

fn read(request: &PeerRequest) -> Result<Registration, Refusal> {
    let form = request.fields()?;
    let [url, name, token] = form.required(["sender_url", "connection_name", "auth_token"])?;
    let password = form.text("password")?;
    let evenkeel = form.value("evenkeel").map(hello).transpose()?;
    Ok(Registration {
        url: url.to_owned(),
        name: name.to_owned(),
        token: Secret::new(token.to_owned()),
        password: password.map(|password| Secret::new(password.to_owned())),
        evenkeel,
        from: request.address,
    })
}

fn hello(value: &serde_json::Value) -> Result<EvenkeelHello, Refusal> {
    serde::Deserialize::deserialize(value).map_err(|_| {
        let words = "Invalid evenkeel: protocol, site_id, site_name and version are expected";
        Refusal::new(StatusCode::BAD_REQUEST, words)
    })
}

fn refused(refusal: &RegistrationRefusal) -> Refusal {
    let status = match refusal {
        RegistrationRefusal::Invalid(_) => StatusCode::BAD_REQUEST,
        RegistrationRefusal::PasswordRequired | RegistrationRefusal::PasswordInvalid => {
            StatusCode::UNAUTHORIZED
        }
        RegistrationRefusal::Exists => StatusCode::CONFLICT,
        RegistrationRefusal::Crowded => {
            return Refusal::new(StatusCode::TOO_MANY_REQUESTS, &refusal.to_string())
                .with("error_code", "too_many_registrations".into())
                .retry_after(CROWDED_SECONDS);
        }
        RegistrationRefusal::Sync(err) => return Refusal::internal(err, FAILED),
    };
    Refusal::new(status, &refusal.to_string())
}
