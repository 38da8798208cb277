//! The daemon's whole life, top to bottom: state, database, listeners, tasks; then waiting; then stopping.

mod reload;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::api::{self, Audience, Terms};
use crate::base::certificate::{CertificateError, CertificateFiles, LiveCertificate, authorities};
use crate::base::service;
use crate::base::task::{Tasks, Waker};
use crate::config::{Config, LiveSettings, Loaded, Reading};
use crate::engine::driver::DiskRoom;
use crate::engine::{self, EngineError};
use crate::jobs::alerter::Alerter;
use crate::jobs::healer::Healer;
use crate::jobs::janitor::Janitor;
use crate::jobs::runner::Runner;
use crate::jobs::scheduler::Scheduler;
use crate::remote::{Remote, RemoteError};
use crate::store::{Store, StoreError};
use crate::sync::active::ActiveRuns;
use crate::sync::connections::{self, Nonces};
use crate::sync::serve::{DailyUsage, Sessions};
use crate::sync::throttle::Throttle;
use crate::sync::{Certificates, Ctx};

pub use reload::Reloads;

/// How long closing the state may take once everything else has ended.
const CLOSING: Duration = Duration::from_secs(5);

/// Why the daemon did not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The state, or its key.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `site.database`.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The HTTP client.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A file with certificates that was in order a moment ago.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// TLS itself.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    /// A listener.
    #[error("{key} = {address}: {source}")]
    Listen {
        /// The setting.
        key: &'static str,
        /// Where.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the daemon's own, or a signal handler.
    #[error("{what}: {source}")]
    Io {
        /// What was to be done.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another daemon may take over: this one must not write any more.
    #[error("the lock on the state was lost; stopping, so that a standby can take over")]
    LockLost,
}

/// Runs the daemon until SIGTERM or SIGINT; SIGHUP has it read its settings anew by `reloads`.
///
/// # Errors
/// See [`AppError`].
pub async fn serve(loaded: Loaded, reloads: Reloads, standby: bool) -> Result<(), AppError> {
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    // Unheard it would end the process; one that starts or stands by hears it once it is up.
    let hang_up = signal(SignalKind::hangup()).map_err(no_handler)?;
    let config = loaded.config;
    let key = Store::key(&config.state.url, &config.state.key).await?;
    let store = Store::open_as_daemon(&config.state.url, key, standby).await?;
    let now = Timestamp::now();
    let identity = store.site_identity(now).await?;
    let receipt_key = store.receipt_key().await?;
    let interrupted = store.take_over_running(now).await?;
    store.fail_open_transfers(now).await?;
    if interrupted > 0 {
        tracing::info!(interrupted, "runs that were interrupted go on");
    }

    let room = DiskRoom {
        folder: config.folder().to_owned(),
        bytes: config.compare.spool,
    };
    let driver = engine::open(&config.site.database, &config.site.schemas, room).await?;
    let trusted = match &config.outgoing.ca_file {
        Some(file) => authorities(file)?,
        None => Vec::new(),
    };
    let remote = Remote::new(&config.outgoing, &trusted)?;
    let certificates = Certificates {
        server: shown(config.server.tls.as_ref())?,
        admin: shown(config.admin.tls.as_ref())?,
    };
    let ctx = Arc::new(Ctx {
        config,
        live: LiveSettings::new(loaded.live),
        certificates,
        store,
        driver,
        remote,
        identity,
        receipt_key,
        started_at: now,
        nonces: Nonces::default(),
        throttle: Throttle::default(),
        usage: DailyUsage::default(),
        sessions: Sessions::default(),
        tasks: Tasks::default(),
        runner: Waker::default(),
        scheduler: Waker::default(),
        healer: Waker::default(),
        janitor: Waker::default(),
        alerter: Waker::default(),
        active: ActiveRuns::default(),
    });

    connections::note_own_url(&ctx).await?;
    let listeners = Listeners::bind(&ctx.config).await?;
    listeners.write_down(&ctx.config)?;
    let (server, admin) = (listeners.server_address(), listeners.admin_address());
    let up = listeners.in_words(&ctx.config);
    listeners.serve(&ctx)?;
    ctx.tasks
        .repeat(Arc::new(Runner::new(Arc::clone(&ctx))), ctx.runner.clone());
    let scheduler = Scheduler::new(Arc::clone(&ctx));
    ctx.tasks.repeat(Arc::new(scheduler), ctx.scheduler.clone());
    ctx.tasks
        .repeat(Arc::new(Healer::new(Arc::clone(&ctx))), ctx.healer.clone());
    let janitor = Janitor::new(Arc::clone(&ctx));
    ctx.tasks.repeat(Arc::new(janitor), ctx.janitor.clone());
    ctx.tasks.repeat(
        Arc::new(Alerter::new(Arc::clone(&ctx))),
        ctx.alerter.clone(),
    );
    let socket = ctx.config.admin.socket.display();
    ctx.tasks.spawn("first look", first_look(Arc::clone(&ctx)));
    tracing::info!(site = ctx.config.site.name, server, admin, %socket, "evenkeel is up");

    let ended = wait(&ctx, hang_up, reloads, loaded.reading, &up).await;
    let patience = ctx.live.now().limits.drain_timeout + Duration::from_secs(5);
    tracing::info!("stopping");
    service::stopping(patience + CLOSING);
    if !ctx.tasks.stop(patience).await {
        tracing::warn!(
            ?patience,
            "some work did not stop in time and is cut off; it is taken over at the next start"
        );
    }
    ctx.store.close().await;
    ended
}

/// Says at once what a run or a peer would only find later.
async fn first_look(ctx: Arc<Ctx>) {
    let look = ctx.driver.version();
    if let Some(Err(err)) = ctx.tasks.stopping().run_until_cancelled(look).await {
        tracing::warn!(%err, "the site database does not answer: runs wait and peers are refused until it does; start it or correct site.database, `evenkeel doctor` tells more");
    }
}

fn shown(
    files: Option<&CertificateFiles>,
) -> Result<Option<Arc<LiveCertificate>>, CertificateError> {
    let certificate = files.map(CertificateFiles::load).transpose()?;
    Ok(certificate.map(|certificate| Arc::new(LiveCertificate::new(certificate))))
}

fn no_handler(source: std::io::Error) -> AppError {
    AppError::Io {
        what: "signal handler".to_owned(),
        source,
    }
}

/// Waits for the end; meanwhile tells the service manager that the daemon is ready, and that it lives.
async fn wait(
    ctx: &Arc<Ctx>,
    mut hang_up: Signal,
    reloads: Reloads,
    mut running: Reading,
    up: &str,
) -> Result<(), AppError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(no_handler)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_handler)?;
    let watched = service::watchdog();
    let mut beat = tokio::time::interval(watched.unwrap_or(Duration::from_secs(3_600)));
    let mut ready = pin!(api::until_ready(Arc::clone(ctx)));
    let mut is_ready = false;
    // Polled on, never begun again: it counts how long the state is away.
    let mut lock_lost = pin!(ctx.store.lock_lost());
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            () = &mut lock_lost => return Err(AppError::LockLost),
            () = &mut ready, if !is_ready => {
                is_ready = true;
                service::ready(up);
            }
            _ = hang_up.recv() => {
                service::reloading();
                reloads.reload(ctx, &mut running);
                if is_ready {
                    service::ready(up);
                }
            }
            _ = beat.tick(), if watched.is_some() => {
                // This loop lives; whether the workers do shows when one of them takes a task.
                if ctx.tasks.spawn("sign of life", async {}).await.is_ok() {
                    service::alive();
                }
            }
        }
    }
}

/// What the daemon listens on.
struct Listeners {
    server: TcpListener,
    admin: Option<TcpListener>,
    socket: UnixListener,
}

impl Listeners {
    async fn bind(config: &Config) -> Result<Self, AppError> {
        let fault = |key: &'static str, address: String| {
            move |source| AppError::Listen {
                key,
                address,
                source,
            }
        };
        let server = TcpListener::bind(config.server.listen)
            .await
            .map_err(fault("server.listen", config.server.listen.to_string()))?;
        let admin = match config.admin.listen {
            Some(address) => Some(
                TcpListener::bind(address)
                    .await
                    .map_err(fault("admin.listen", address.to_string()))?,
            ),
            None => None,
        };
        let path = config.admin.socket.as_path();
        let socket =
            api::bind_unix(path).map_err(fault("admin.socket", path.display().to_string()))?;
        Ok(Self {
            server,
            admin,
            socket,
        })
    }

    fn server_address(&self) -> Option<String> {
        self.server
            .local_addr()
            .ok()
            .map(|address| address.to_string())
    }

    fn admin_address(&self) -> Option<String> {
        self.admin
            .as_ref()?
            .local_addr()
            .ok()
            .map(|address| address.to_string())
    }

    /// For the service manager's status line.
    fn in_words(&self, config: &Config) -> String {
        let peers = self.server_address().unwrap_or_default();
        let socket = config.admin.socket.display();
        match self.admin_address() {
            Some(admin) => format!("peers on {peers}, people on {admin} and {socket}"),
            None => format!("peers on {peers}, people on {socket}"),
        }
    }

    /// Writes the bound addresses beside the socket, for scripts that let the system choose a port.
    fn write_down(&self, config: &Config) -> Result<(), AppError> {
        let Some(path) = listening_file(&config.admin.socket) else {
            return Ok(());
        };
        let text = serde_json::json!({
            "server": self.server_address(),
            "admin": self.admin_address(),
            "socket": config.admin.socket,
        });
        std::fs::write(&path, text.to_string()).map_err(|source| AppError::Io {
            what: format!("cannot write {}", path.display()),
            source,
        })
    }

    fn serve(self, ctx: &Arc<Ctx>) -> Result<(), AppError> {
        let peers = api::peer_router(Arc::clone(ctx));
        let people = api::admin_router(Arc::clone(ctx));
        let to_peers = terms(ctx, Audience::Peers)?;
        let to_people = terms(ctx, Audience::People)?;
        let (tasks, stop) = (&ctx.tasks, ctx.tasks.stopping());
        let own = || (tasks.clone(), stop.clone());
        let (owner, stopping) = own();
        let started_at = ctx.started_at;
        tasks.spawn("peers", async move {
            // What was signed in the second of the start is refused; who comes then waits for its end.
            tokio::time::sleep(rest_of_second(started_at, Timestamp::now())).await;
            api::serve_tcp(self.server, peers, to_peers, stopping, &owner).await;
        });
        if let Some(admin) = self.admin {
            let (people, terms, (owner, stopping)) = (people.clone(), to_people.clone(), own());
            tasks.spawn("admin", async move {
                api::serve_tcp(admin, people, terms, stopping, &owner).await;
            });
        }
        let (owner, stopping) = own();
        tasks.spawn("socket", async move {
            api::serve_unix(self.socket, people, to_people, stopping, &owner).await;
        });
        Ok(())
    }
}

/// How long from `now` until the second of `started_at` has passed.
fn rest_of_second(started_at: Timestamp, now: Timestamp) -> Duration {
    let next = Timestamp::from_second(started_at.as_second().saturating_add(1));
    next.map(|next| Duration::try_from(next.duration_since(now)).unwrap_or_default())
        .unwrap_or_default()
}

fn terms(ctx: &Ctx, audience: Audience) -> Result<Terms, rustls::Error> {
    let (config, certificates) = (&ctx.config, &ctx.certificates);
    let (max_connections, shown) = match audience {
        Audience::Peers => (config.server.max_connections, &certificates.server),
        Audience::People => (config.admin.max_connections, &certificates.admin),
    };
    Ok(Terms {
        audience,
        max_connections,
        settings: ctx.live.clone(),
        tls: shown.clone().map(api::acceptor).transpose()?,
    })
}

/// `listening.json` beside the socket.
fn listening_file(socket: &Path) -> Option<PathBuf> {
    Some(socket.parent()?.join("listening.json"))
}
