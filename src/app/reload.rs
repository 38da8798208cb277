//! SIGHUP: the settings and certificates are read anew, and what a running daemon can take over holds from then on.
//!
//! Invariant: all or nothing. A fault anywhere leaves everything as it was, and is told; a key that needs a restart is
//! named, each time, until the restart.

use std::path::PathBuf;
use std::sync::Arc;

use crate::base::certificate::{
    Certificate, CertificateError, CertificateFiles, LiveCertificate, authorities,
};
use crate::base::telemetry::LogLevel;
use crate::config::{self, Loaded, Reading};
use crate::sync::Ctx;

/// What a reload goes by.
pub struct Reloads {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// The process's log.
    pub log: LogLevel,
}

impl Reloads {
    /// Reads everything anew; `running` is what holds now, by key. Tells in the log what became of it.
    pub(super) fn reload(&self, ctx: &Ctx, running: &mut Reading) {
        let loaded = match config::load(self.file.as_deref()) {
            Ok(loaded) => loaded,
            Err(faults) => {
                for fault in &faults.0 {
                    tracing::error!("{fault}");
                }
                tracing::error!(
                    "reload: nothing was taken over; correct this and send SIGHUP again"
                );
                return;
            }
        };
        let changes = running.changes(&loaded.reading);
        if let Err(err) = self.take_over(ctx, &loaded) {
            tracing::error!("{err}");
            tracing::error!("reload: nothing was taken over; correct this and send SIGHUP again");
            return;
        }
        running.take_over(&loaded.reading, &changes);
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        for key in &changes.at_restart {
            tracing::warn!("{key} was changed; it takes effect at the next start");
        }
        tracing::info!(changed = ?changes.live, "reloaded: certificates were read anew");
    }

    /// Everything that can fail comes first.
    fn take_over(&self, ctx: &Ctx, loaded: &Loaded) -> Result<(), ReloadError> {
        let config = &loaded.config;
        let renewed = [
            renewed(ctx.certificates.server.as_ref(), config.server.tls.as_ref())?,
            renewed(ctx.certificates.admin.as_ref(), config.admin.tls.as_ref())?,
        ];
        let trusted = match &config.outgoing.ca_file {
            Some(file) => authorities(file)?,
            None => Vec::new(),
        };
        ctx.remote.trust(&trusted)?;
        self.log
            .set(&loaded.live.log_level)
            .map_err(ReloadError::Log)?;
        for (shown, certificate) in renewed.into_iter().flatten() {
            shown.replace(certificate);
        }
        ctx.live.take_over(&loaded.live);
        // Its next pass was planned by the interval of before.
        ctx.healer.wake();
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error(transparent)]
    Remote(#[from] crate::remote::RemoteError),
    #[error("log.level: {0}")]
    Log(String),
}

/// What a listener that has TLS shows from now on; whether it has is decided at its start.
fn renewed<'a>(
    shown: Option<&'a Arc<LiveCertificate>>,
    files: Option<&CertificateFiles>,
) -> Result<Option<(&'a LiveCertificate, Certificate)>, CertificateError> {
    let Some((shown, files)) = shown.zip(files) else {
        return Ok(None);
    };
    Ok(Some((shown, files.load()?)))
}
