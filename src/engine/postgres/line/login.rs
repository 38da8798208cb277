//! How a line is let in: by the names and the password of the URL, as the driver would be.
//!
//! Invariant: a password never crosses a line as it is; a server that asks for that gets none here.

use percent_encoding::percent_decode_str;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, ChannelBinding, ScramSha256};
use postgres_protocol::message::{backend, frontend};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::base::secret::Secret;
use crate::config::is_local;
use crate::engine::postgres::line::socket::Messages;
use crate::engine::postgres::line::{LineFault, Place, refused};

/// What a server is told to be let in.
#[derive(Debug)]
pub(super) struct Login {
    place: Place,
    user: String,
    database: Option<String>,
    options: Option<String>,
    password: Option<Secret<String>>,
}

impl Login {
    /// That of `options`; `None` where the driver would not speak, or might not have to speak, in plain text.
    pub(super) fn plain(options: &PgConnectOptions) -> Option<Self> {
        let (host, port) = (options.get_host(), options.get_port());
        let folder = match options.get_socket() {
            Some(folder) => Some(folder.clone()),
            None => host.starts_with('/').then(|| host.into()),
        };
        let is_plain = match options.get_ssl_mode() {
            PgSslMode::Disable | PgSslMode::Allow => true,
            // Nobody listens between two programs of one machine.
            PgSslMode::Prefer => folder.is_some() || is_local(host),
            _ => false,
        };
        // The only place where the driver tells it, also that of a password file.
        let url = options.to_url_lossy();
        let password = url.password().map(|password| {
            let decoded = percent_decode_str(password).decode_utf8_lossy();
            Secret::new(decoded.into_owned())
        });
        is_plain.then(|| Self {
            place: match folder {
                Some(folder) => Place::Socket(folder.join(format!(".s.PGSQL.{port}"))),
                None => Place::Host(host.trim_matches(['[', ']']).to_owned(), port),
            },
            user: options.get_username().to_owned(),
            database: options.get_database().map(str::to_owned),
            options: options.get_options().map(str::to_owned),
            password,
        })
    }

    /// Connects, and is let in.
    pub(super) fn open(&self) -> Result<Messages, LineFault> {
        let mut messages = Messages::from(&self.place)?;
        let parts = [
            ("user", Some(self.user.as_str())),
            ("database", self.database.as_deref()),
            ("options", self.options.as_deref()),
            ("client_encoding", Some("UTF8")),
        ];
        let parts = parts
            .into_iter()
            .filter_map(|(name, part)| Some((name, part?)));
        messages.send(|message| frontend::startup_message(parts, message))?;
        loop {
            let message = messages.next()?;
            match message.tag {
                backend::AUTHENTICATION_TAG => {
                    let asked = Asked::read(message.body)?;
                    self.answer(&mut messages, asked)?;
                }
                backend::ERROR_RESPONSE_TAG => return Err(refused(message.body)),
                backend::READY_FOR_QUERY_TAG => return Ok(messages),
                _ => {}
            }
        }
    }

    fn answer(&self, messages: &mut Messages, asked: Asked) -> Result<(), LineFault> {
        let password = self.password.as_ref().map(Secret::expose);
        let password = password.map(String::as_bytes).unwrap_or_default();
        match asked {
            Asked::Nothing => Ok(()),
            Asked::Md5(salt) => {
                let hash = md5_hash(self.user.as_bytes(), password, salt);
                Ok(
                    messages
                        .send(|message| frontend::password_message(hash.as_bytes(), message))?,
                )
            }
            Asked::Scram => prove(messages, password),
        }
    }
}

/// What a server wants to know before it lets a line in.
#[derive(Clone, Copy)]
enum Asked {
    Nothing,
    Md5([u8; 4]),
    Scram,
}

/// Kinds of the message `Authentication...` ("Message Formats").
const OK: i32 = 0;
const MD5: i32 = 5;
const SASL: i32 = 10;
const SASL_CONTINUE: i32 = 11;
const SASL_FINAL: i32 = 12;

impl Asked {
    fn read(body: &[u8]) -> Result<Self, LineFault> {
        let unfit = LineFault::Unfit("it wants to know this side in another way");
        let (kind, rest) = kind(body)?;
        match (kind, rest.first_chunk()) {
            (OK, _) => Ok(Self::Nothing),
            (MD5, Some(salt)) => Ok(Self::Md5(*salt)),
            (SASL, _) => {
                let mut offered = rest.split(|byte| *byte == 0);
                let is_known = offered.any(|name| name == sasl::SCRAM_SHA_256.as_bytes());
                is_known.then_some(Self::Scram).ok_or(unfit)
            }
            _ => Err(unfit),
        }
    }
}

/// Shows that both sides know the password, without telling it (RFC 5802).
fn prove(messages: &mut Messages, password: &[u8]) -> Result<(), LineFault> {
    let mut scram = ScramSha256::new(password, ChannelBinding::unsupported());
    messages.send(|message| {
        frontend::sasl_initial_response(sasl::SCRAM_SHA_256, scram.message(), message)
    })?;
    scram.update(told(messages, SASL_CONTINUE)?)?;
    messages.send(|message| frontend::sasl_response(scram.message(), message))?;
    Ok(scram.finish(told(messages, SASL_FINAL)?)?)
}

fn told(messages: &mut Messages, expected: i32) -> Result<&[u8], LineFault> {
    let message = messages.next()?;
    if message.tag == backend::ERROR_RESPONSE_TAG {
        return Err(refused(message.body));
    }
    match kind(message.body)? {
        (kind, rest) if kind == expected => Ok(rest),
        _ => Err(LineFault::Unfit("it breaks off to know this side")),
    }
}

fn kind(body: &[u8]) -> Result<(i32, &[u8]), LineFault> {
    let parts = body.split_first_chunk();
    let (kind, rest) = parts.ok_or(LineFault::Unfit("it asks nothing"))?;
    Ok((i32::from_be_bytes(*kind), rest))
}
