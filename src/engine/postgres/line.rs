//! Lines: connections of this program's own, on which whole tables are read at the speed at which the server sends them.
//!
//! The driver that everything else goes by takes 8 KiB off its socket at a time, is woken for each, and makes a future of
//! each row: on a busy machine that costs as much again as reading. A line is a blocking socket on a thread of its own,
//! and only ever reads a COPY. It leads where the driver would speak in plain text; to any other server, or where a line
//! is refused, there is none, and the driver reads.
//! Invariant: a line is used for one COPY; its socket is closed with it.

mod login;
mod socket;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use postgres_protocol::message::{backend, frontend};
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::postgres::connect::{NOTICE_DISCONNECT, SETTINGS};
use crate::engine::postgres::line::login::Login;
use crate::engine::postgres::line::socket::{Cut, Messages};
use crate::engine::sql::Sql;

/// Lines open at once; whoever finds none left reads by the driver, whose connections have a bound of their own.
const MAX_LINES: usize = 8;
/// A table of less is read without a pause.
const SOON: usize = 64 << 10;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Socket(PathBuf),
    Host(String, u16),
}

/// Why a line is of no use any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineFault {
    /// It broke.
    #[error(transparent)]
    Broken(#[from] std::io::Error),
    /// The server refused something.
    #[error("{message} ({code})")]
    Refused {
        /// As its appendix A lists them.
        code: String,
        /// Its primary message.
        message: String,
    },
    /// The server wants or says what is not understood here.
    #[error("{0}")]
    Unfit(&'static str),
}

impl LineFault {
    /// Whether another try would end alike: whom the server lets in, and by what, is written in its settings.
    fn is_lasting(&self) -> bool {
        match self {
            Self::Broken(_) => false,
            Self::Refused { code, .. } => code.starts_with("28"),
            Self::Unfit(_) => true,
        }
    }
}

/// The lines to one database.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    login: Option<Arc<Login>>,
    free: Arc<Semaphore>,
    is_refused: Arc<AtomicBool>,
}

/// An open line.
pub(super) struct Line {
    messages: Messages,
    _place: OwnedSemaphorePermit,
}

impl Lines {
    /// Lines to where `options` lead. Opens nothing.
    pub(super) fn new(options: &PgConnectOptions) -> Self {
        Self {
            login: Login::plain(options).map(Arc::new),
            free: Arc::new(Semaphore::new(MAX_LINES)),
            is_refused: Arc::default(),
        }
    }

    /// Whether there may be lines to this server.
    pub(super) fn are_there(&self) -> bool {
        self.login.is_some() && !self.is_refused.load(Ordering::Relaxed)
    }

    /// A line in a transaction that `statements` begin; `None` where there is to be none: then the driver is to be used,
    /// which also tells what is wrong.
    pub(super) async fn open(&self, statements: Vec<Sql>) -> Option<Line> {
        let login = self.login.clone().filter(|_| self.are_there())?;
        let place = Arc::clone(&self.free).try_acquire_owned().ok()?;
        let opened = tokio::task::spawn_blocking(move || Line::open(&login, &statements, place));
        match opened.await.ok()? {
            Ok(line) => Some(line),
            Err(fault) => {
                tracing::debug!(%fault, "PostgreSQL gives no plain line; its driver reads");
                self.is_refused
                    .fetch_or(fault.is_lasting(), Ordering::Relaxed);
                None
            }
        }
    }
}

impl Line {
    fn open(
        login: &Login,
        statements: &[Sql],
        place: OwnedSemaphorePermit,
    ) -> Result<Self, LineFault> {
        let mut line = Self {
            messages: login.open()?,
            _place: place,
        };
        line.run(SETTINGS)?;
        match line.run(NOTICE_DISCONNECT) {
            // As with the driver's connections: some servers cannot.
            Ok(()) | Err(LineFault::Refused { .. }) => {}
            Err(fault) => return Err(fault),
        }
        for statement in statements {
            line.run(statement.text())?;
        }
        line.messages.wait_for_ever()?;
        Ok(line)
    }

    /// What ends this line from elsewhere, at once, when it is dropped.
    pub(super) fn cut(&self) -> Result<Cut, LineFault> {
        Ok(self.messages.cut()?)
    }

    /// Reads what the COPY of `statement` gives; `see` is shown each message.
    pub(super) fn copy_out<E: From<LineFault>>(
        &mut self,
        statement: &Sql,
        mut see: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.ask(statement.text())?;
        let mut seen = 0_usize;
        loop {
            let message = self.messages.next().map_err(LineFault::Broken)?;
            match message.tag {
                backend::COPY_DATA_TAG => {
                    seen = seen.saturating_add(message.body.len());
                    see(message.body)?;
                    self.messages.gather(seen > SOON);
                }
                backend::ERROR_RESPONSE_TAG => return Err(refused(message.body).into()),
                backend::READY_FOR_QUERY_TAG => {
                    // All is read: a server that is gone by now is none the worse.
                    let _ = self.messages.end();
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    /// Runs statements; what they answer is of no interest.
    fn run(&mut self, statements: &str) -> Result<(), LineFault> {
        self.ask(statements)?;
        let mut outcome = Ok(());
        loop {
            let message = self.messages.next()?;
            match message.tag {
                backend::ERROR_RESPONSE_TAG => outcome = Err(refused(message.body)),
                backend::READY_FOR_QUERY_TAG => return outcome,
                _ => {}
            }
        }
    }

    fn ask(&mut self, statements: &str) -> Result<(), LineFault> {
        Ok(self
            .messages
            .send(|message| frontend::query(statements, message))?)
    }
}

/// What an error says: fields that each begin with a letter and end with a zero.
fn refused(body: &[u8]) -> LineFault {
    let field = |letter: u8| {
        let mut fields = body.split(|byte| *byte == 0);
        let text = fields.find_map(|field| field.strip_prefix(&[letter]));
        String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
    };
    LineFault::Refused {
        code: field(b'C'),
        message: field(b'M'),
    }
}
