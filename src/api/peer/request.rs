//! What a peer sent: its body, read within the bounds, and what its headers say about it.

use std::net::IpAddr;
use std::sync::OnceLock;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use http_body_util::{BodyExt, Collected, LengthLimitError};
use jiff::Timestamp;
use serde::Deserialize as _;
use serde::de::DeserializeOwned;

use crate::api::CallerAddress;
use crate::api::peer::answer::Refusal;
use crate::api::peer::form::Form;
use crate::api::stall::Patience;
use crate::base::cause::first_cause;
use crate::model::connection::Connection;
use crate::model::url::is_loopback;
use crate::sync::connections::{Claim, OfferedKey, Proved, incoming_policy, note_proved, prove};
use crate::sync::serve::{
    Admitted, Asking, ClientKind, ServeError, SessionFault, admit, check_request,
};
use crate::sync::{Actor, Ctx};
use crate::wire::frame::MEDIA_TYPE;
use crate::wire::messages::{RotationOffer, StandingWord};
use crate::wire::signing::{Presented, Request as SignedRequest, RootKey, Seal, joined};
use crate::wire::tally::TallyKey;

/// A request with its whole body.
#[derive(Debug)]
pub(super) struct PeerRequest {
    /// Where it came from, when by network.
    pub(super) address: Option<IpAddr>,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    patience: Patience,
    /// Who signed it, once that was asked and found.
    proved: OnceLock<Proved>,
    /// Set once it is held to a rate: that of its connection, or an address's.
    counted: OnceLock<()>,
}

impl PeerRequest {
    /// Reads the body, which the listener bounds in size and time.
    ///
    /// # Errors
    /// 413 for a body over the bound, 400 for one that breaks off.
    pub(super) async fn read(request: Request) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|err| refused(&err))?;
        Ok(Self {
            address: parts
                .extensions
                .get::<CallerAddress>()
                .map(|caller| caller.0),
            patience: parts
                .extensions
                .get::<Patience>()
                .cloned()
                .unwrap_or_default(),
            method: parts.method,
            path: parts.uri.path().to_owned(),
            headers: parts.headers,
            body: body.to_bytes(),
            proved: OnceLock::new(),
            counted: OnceLock::new(),
        })
    }

    /// The fields, once the peer API is known to be enabled and the request's signature, where it has one, to hold: that
    /// comes first on every endpoint but `status` and `register-connection`.
    ///
    /// # Errors
    /// 503 when it is disabled, 401 for a signature that does not hold, 400 for what is no JSON object.
    pub(super) async fn form(&self, ctx: &Ctx) -> Result<Form, Refusal> {
        let policy = incoming_policy(ctx)
            .await
            .map_err(|err| Refusal::internal(&err, "Internal error"))?;
        if !policy.enabled {
            return Err(Refusal::disabled());
        }
        self.check_signature(ctx).await?;
        let form = self.fields()?;
        if let Some(proved) = self.proved.get().filter(|_| offer_in(&form).is_none()) {
            note_proved(ctx, proved, Timestamp::now())
                .await
                .map_err(|err| Refusal::internal(&err, "Internal error"))?;
        }
        Ok(form)
    }

    /// The key that the peer of a signed connection offers in `form`, by this request.
    ///
    /// # Errors
    /// 400 for what is no such key.
    pub(super) fn offered_key(&self, form: &Form) -> Result<Option<OfferedKey>, Refusal> {
        let (Some(value), Some(proved)) = (offer_in(form), self.proved.get()) else {
            return Ok(None);
        };
        let refusal = || {
            let words = "Invalid evenkeel.rotate: generation and a key of 32 bytes are expected";
            Refusal::new(StatusCode::BAD_REQUEST, words)
        };
        let offer: RotationOffer = serde::Deserialize::deserialize(value).map_err(|_| refusal())?;
        Ok(Some(OfferedKey {
            generation: offer.generation,
            root_key: RootKey::from_offer(offer.key.expose()).ok_or_else(refusal)?,
            signed_with: proved.generation(),
        }))
    }

    async fn check_signature(&self, ctx: &Ctx) -> Result<(), Refusal> {
        let Some(presented) =
            Presented::read(|name| self.header(name)).map_err(Refusal::unsigned)?
        else {
            return Ok(());
        };
        let request = SignedRequest {
            method: self.method.as_str(),
            path: &self.path,
            connection: &presented.connection,
            body: &self.body,
        };
        let proved = prove(ctx, &presented, request, Timestamp::now())
            .await
            .map_err(|err| Refusal::of_proof(&err))?;
        if let Some(proved) = proved {
            // Asked once: it is the first to be set.
            drop(self.proved.set(proved));
        }
        Ok(())
    }

    fn header(&self, name: &str) -> Option<String> {
        joined(self.headers.get_all(name).iter().map(HeaderValue::to_str))
    }

    /// The connection that the body names by `token_hash`.
    ///
    /// # Errors
    /// 401 when somebody else's signature is on it.
    pub(super) fn claim<'a>(&self, token_hash: &'a str) -> Result<Claim<'a>, Refusal> {
        match self.proved.get() {
            Some(proved) => proved
                .claim(token_hash)
                .map(|claim| Claim {
                    from: self.address,
                    ..claim
                })
                .map_err(|err| Refusal::of_lookup(&err, "Internal error")),
            None => Ok(Claim {
                token_hash,
                proved: None,
                from: self.address,
            }),
        }
    }

    /// How the peer says it stands: what anybody else but a peer that signs says there is ignored.
    ///
    /// # Errors
    /// 400 for what is none.
    pub(super) fn standing(&self, form: &Form) -> Result<Option<StandingWord>, Refusal> {
        let Some(value) = standing_in(form).filter(|_| self.proved.get().is_some()) else {
            return Ok(None);
        };
        StandingWord::deserialize(value).map(Some).map_err(|_| {
            let words = "Invalid evenkeel: status, epoch and seen_epoch are expected";
            Refusal::new(StatusCode::BAD_REQUEST, words)
        })
    }

    /// The active connection that a request for data names.
    ///
    /// # Errors
    /// 401 when there is none, 403 when it is not active; `words` where the fault is ours.
    pub(super) async fn admit(
        &self,
        ctx: &Ctx,
        token_hash: &str,
        words: &'static str,
    ) -> Result<Admitted, Refusal> {
        self.admit_as(ctx, token_hash, Asking::Anew, words).await
    }

    /// The same, for a request in a session or one that opens one: a signed connection.
    ///
    /// # Errors
    /// Also 403 when it is not signed.
    pub(super) async fn admit_to_session(
        &self,
        ctx: &Ctx,
        token_hash: &str,
        asking: Asking,
        words: &'static str,
    ) -> Result<Admitted, Refusal> {
        let admitted = self.admit_as(ctx, token_hash, asking, words).await?;
        match self.proved.get() {
            Some(_) => Ok(admitted),
            None => Err(Refusal::of_session(&SessionFault::NeedsSigning)),
        }
    }

    async fn admit_as(
        &self,
        ctx: &Ctx,
        token_hash: &str,
        asking: Asking,
        words: &'static str,
    ) -> Result<Admitted, Refusal> {
        let claim = self.claim(token_hash)?;
        let admitted = admit(ctx, claim, asking, self.address, Timestamp::now()).await;
        if !matches!(
            admitted,
            Err(ServeError::UnknownConnection | ServeError::Signature(_))
        ) {
            self.is_counted();
        }
        admitted.map_err(|err| Refusal::of_serving(&err, words))
    }

    /// Holds a request that speaks of `connection` to what its grant says of every request.
    ///
    /// # Errors
    /// 403 from another network than the grant's, 429 when it asks too often.
    pub(super) fn is_of(&self, ctx: &Ctx, connection: &Connection) -> Result<(), Refusal> {
        self.is_counted();
        check_request(ctx, connection, self.address).map_err(|fault| Refusal::limited(&fault))
    }

    /// Holds a request without a known connection to what an address may ask.
    ///
    /// # Errors
    /// 429 when it asks too often.
    pub(super) fn is_a_strangers(&self, ctx: &Ctx) -> Result<(), Refusal> {
        self.is_counted();
        let counted = ctx.throttle.stranger(self.address, &ctx.live.now().rates);
        counted.map_err(Refusal::too_often)
    }

    fn is_counted(&self) {
        self.counted.get_or_init(|| ());
    }

    /// `answer`, or a refusal where nothing of the request led to a connection and its address asks too often. That the
    /// API is switched off anybody may hear.
    pub(super) fn held_to_a_rate(&self, ctx: &Ctx, answer: Response) -> Response {
        if self.counted.get().is_some() || answer.status() == StatusCode::SERVICE_UNAVAILABLE {
            return answer;
        }
        match self.is_a_strangers(ctx) {
            Ok(()) => answer,
            Err(refusal) => refusal.into_answer(),
        }
    }

    /// What both sides hash rows with in a session that this request opens, where it was signed.
    pub(super) fn tally_key(&self) -> Option<TallyKey> {
        self.proved.get().map(Proved::tally_key)
    }

    /// What stands in the body besides its texts.
    ///
    /// # Errors
    /// 400 for what has another form.
    pub(super) fn parsed<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body).map_err(|err| {
            let words = format!("The body has not the form of this request: {err}");
            Refusal::new(StatusCode::BAD_REQUEST, &words)
        })
    }

    /// What seals the frames of the answer, where the request was signed.
    pub(super) fn seal(&self) -> Option<Seal> {
        self.proved.get().map(Proved::seal)
    }

    /// `answer`, signed where the request was and it is no stream of frames, each of which has its authenticator.
    pub(super) async fn sign(&self, answer: Response) -> Response {
        let is_json = answer
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        let Some(proved) = self.proved.get().filter(|_| is_json) else {
            return answer;
        };
        let (mut parts, body) = answer.into_parts();
        // It is in memory already; a failure would leave no body, and a signature of none.
        let body = body
            .collect()
            .await
            .map(Collected::to_bytes)
            .unwrap_or_default();
        for (name, value) in proved.sign_answer(parts.status.as_u16(), &body, Timestamp::now()) {
            if let Ok(value) = HeaderValue::try_from(value) {
                parts.headers.insert(name, value);
            }
        }
        Response::from_parts(parts, Body::from(body))
    }

    /// The fields, for an endpoint that has looked at the policy itself.
    ///
    /// # Errors
    /// 400 for what is no JSON object.
    pub(super) fn fields(&self) -> Result<Form, Refusal> {
        Form::parse(&self.body)
    }

    /// Which kind of program asks.
    pub(super) fn client(&self) -> ClientKind {
        // Such a site signs nothing, and whoever is on the way could set the header of one that does.
        if self.proved.get().is_some() {
            return ClientKind::Any;
        }
        let agent = self.headers.get(USER_AGENT);
        if agent.is_some_and(|agent| agent.as_bytes().starts_with(b"PhoenixKit-Sync/")) {
            ClientKind::PhoenixKit
        } else {
            ClientKind::Any
        }
    }

    /// It asks for frames.
    pub(super) fn wants_frames(&self) -> bool {
        self.headers.get_all(ACCEPT).iter().any(|accept| {
            accept.to_str().is_ok_and(|accept| {
                accept
                    .split([',', ';'])
                    .any(|part| part.trim().eq_ignore_ascii_case(MEDIA_TYPE))
            })
        })
    }

    /// Frames may be compressed: not on loopback, and not for a caller that asks for none.
    pub(super) fn may_compress(&self) -> bool {
        let asks_for_none = self
            .headers
            .get("evenkeel-compression")
            .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"none"));
        !asks_for_none && !self.address.is_some_and(is_loopback)
    }

    /// The answer may wait long for its caller, who writes down what it receives.
    pub(super) fn is_received_slowly(&self) {
        self.patience.lengthen();
    }

    /// The peer as an actor, under the name its connection has here.
    pub(super) fn actor(&self, connection: &str) -> Actor {
        Actor::peer(connection, self.address)
    }
}

/// The offer of a key in the fields of a request, read or not.
/// The object may also be there for an offer of a key alone.
fn standing_in(form: &Form) -> Option<&serde_json::Value> {
    form.value("evenkeel")
        .filter(|said| said.get("status").is_some())
}

fn offer_in(form: &Form) -> Option<&serde_json::Value> {
    form.value("evenkeel")?
        .get("rotate")
        .filter(|offer| !offer.is_null())
}

fn refused(err: &(dyn std::error::Error + 'static)) -> Refusal {
    if first_cause::<LengthLimitError>(err).is_some() {
        Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "The body is longer than allowed",
        )
    } else {
        Refusal::new(StatusCode::BAD_REQUEST, "The body did not arrive")
    }
}

#[cfg(test)]
mod tests;
