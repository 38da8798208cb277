//! The daemon's whole life, top to bottom: state, database, listeners, tasks; then waiting; then stopping.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};

use crate::api::{self, Audience, ListenLimits};
use crate::base::secret::{MasterKey, SecretError};
use crate::base::service;
use crate::base::task::{Tasks, Waker};
use crate::config::Config;
use crate::engine::{self, EngineError};
use crate::jobs::alerter::Alerter;
use crate::jobs::healer::Healer;
use crate::jobs::runner::Runner;
use crate::remote::{Remote, RemoteError};
use crate::store::{Store, StoreError};
use crate::sync::Ctx;
use crate::sync::active::ActiveRuns;

/// How long closing the state may take once everything else has ended.
const CLOSING: Duration = Duration::from_secs(5);

/// Why the daemon did not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The key file.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The state.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// `site.database`.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The HTTP client.
    #[error(transparent)]
    Remote(#[from] RemoteError),
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

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// See [`AppError`].
pub async fn serve(config: Config, standby: bool) -> Result<(), AppError> {
    let key = MasterKey::load(&config.state.key)?;
    let store = Store::open_as_daemon(&config.state.url, key, standby).await?;
    let now = Timestamp::now();
    let identity = store.site_identity(now).await?;
    let interrupted = store.take_over_running(now).await?;
    store.fail_open_transfers(now).await?;
    if interrupted > 0 {
        tracing::info!(interrupted, "runs that were interrupted go on");
    }

    let driver = engine::open(&config.site.database, &config.site.schemas).await?;
    let outgoing = &config.outgoing;
    let remote = Remote::new(
        &outgoing.allowed_networks,
        outgoing.connect_timeout,
        outgoing.idle_timeout,
    )?;
    let ctx = Arc::new(Ctx {
        config,
        store,
        driver,
        remote,
        identity,
        tasks: Tasks::default(),
        runner: Waker::default(),
        healer: Waker::default(),
        alerter: Waker::default(),
        active: ActiveRuns::default(),
    });

    let alerter = Alerter::new(Arc::clone(&ctx))?;
    let listeners = Listeners::bind(&ctx.config).await?;
    listeners.write_down(&ctx.config)?;
    let (server, admin) = (listeners.server_address(), listeners.admin_address());
    let up = listeners.in_words(&ctx.config);
    listeners.serve(&ctx);
    ctx.tasks
        .repeat(Arc::new(Runner::new(Arc::clone(&ctx))), ctx.runner.clone());
    ctx.tasks
        .repeat(Arc::new(Healer::new(Arc::clone(&ctx))), ctx.healer.clone());
    ctx.tasks.repeat(Arc::new(alerter), ctx.alerter.clone());
    let socket = ctx.config.admin.socket.display();
    ctx.tasks.spawn("first look", first_look(Arc::clone(&ctx)));
    tracing::info!(site = ctx.config.site.name, server, admin, %socket, "evenkeel is up");

    let ended = wait(&ctx, &up).await;
    let patience = ctx.config.limits.drain_timeout + Duration::from_secs(5);
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

/// Waits for the end; meanwhile tells the service manager that the daemon is ready, and that it lives.
async fn wait(ctx: &Arc<Ctx>, up: &str) -> Result<(), AppError> {
    let handler = |source| AppError::Io {
        what: "signal handler".to_owned(),
        source,
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(handler)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(handler)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(handler)?;
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
                tracing::warn!("SIGHUP: this version reads its settings only at its start; restart it for changed ones");
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

    fn serve(self, ctx: &Arc<Ctx>) {
        let peers = api::peer_router(Arc::clone(ctx));
        let people = api::admin_router(Arc::clone(ctx));
        let limits = |audience| ListenLimits::of(&ctx.config, audience);
        let (to_peers, to_people) = (limits(Audience::Peers), limits(Audience::People));
        let (tasks, stop) = (&ctx.tasks, ctx.tasks.stopping());
        let own = || (tasks.clone(), stop.clone());
        let (owner, stopping) = own();
        tasks.spawn("peers", async move {
            api::serve_tcp(self.server, peers, to_peers, stopping, &owner).await;
        });
        if let Some(admin) = self.admin {
            let (people, (owner, stopping)) = (people.clone(), own());
            tasks.spawn("admin", async move {
                api::serve_tcp(admin, people, to_people, stopping, &owner).await;
            });
        }
        let (owner, stopping) = own();
        tasks.spawn("socket", async move {
            api::serve_unix(self.socket, people, to_people, stopping, &owner).await;
        });
    }
}

/// `listening.json` beside the socket.
fn listening_file(socket: &Path) -> Option<PathBuf> {
    Some(socket.parent()?.join("listening.json"))
}
