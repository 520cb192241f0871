//! The server's certificate while it runs: loaded at the start, loaded again when its files change or at SIGHUP. One
//! that cannot be used leaves the former one in place and is an error in the log, once for each state of the files.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::context::Clock;
use crate::tls::{Certificates, Files, Loaded, TlsError};

/// How often the files are looked at: two `stat` calls, and nobody waits longer for a new certificate.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What serves with TLS, and what keeps its certificate fresh.
pub(super) struct Tls {
    files: Files,
    loaded: Loaded,
    certificates: Arc<Certificates>,
    pub(super) config: Arc<ServerConfig>,
}

impl Tls {
    /// As the configuration says; `None` for plain HTTP. Blocks.
    pub(super) fn load(config: &Config, clock: &Clock) -> anyhow::Result<Option<Self>> {
        let Some((certificate, private_key)) = config.tls.files() else { return Ok(None) };
        let files = Files { certificate: certificate.to_owned(), private_key: private_key.to_owned() };
        let loaded = files.load()?;
        tell(&loaded, clock, &files.certificate);
        let certificates = Certificates::new(&loaded);
        let config = Arc::new(certificates.server_config()?);
        Ok(Some(Self { files, loaded, certificates, config }))
    }

    /// Loads the files again, and serves what is in them from the next handshake on. Whether that is anything else.
    fn reload(&mut self, clock: &Clock) -> Result<bool, TlsError> {
        let fresh = self.files.load()?;
        let changed = !fresh.is_same(&self.loaded);
        if changed {
            self.certificates.exchange(&fresh);
            tell(&fresh, clock, &self.files.certificate);
            self.loaded = fresh;
        }
        Ok(changed)
    }
}

fn tell(loaded: &Loaded, clock: &Clock, file: &Path) {
    let now = clock.now();
    match loaded.validity {
        Some(validity) if validity.until <= now => {
            tracing::error!(file = %file.display(), until = %validity.until, "the TLS certificate has expired; clients refuse it");
        }
        Some(validity) if now < validity.from => {
            tracing::error!(file = %file.display(), from = %validity.from, "the TLS certificate is not valid yet; clients refuse it");
        }
        Some(validity) => {
            tracing::info!(file = %file.display(), until = %validity.until, "a TLS certificate is served");
        }
        None => tracing::warn!(file = %file.display(), "the validity of the TLS certificate cannot be read"),
    }
}

/// SIGHUP, which would end the process if nobody listened for it.
pub(super) fn hangups() -> std::io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Keeps the certificate fresh until it is told to stop; without TLS, only takes note of SIGHUP.
pub(super) async fn keep_fresh(
    mut tls: Option<Tls>,
    mut hangups: Signal,
    clock: Clock,
    stop: CancellationToken,
) {
    let mut seen = tls.as_ref().map(|tls| tls.files.stamp());
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let asked = tokio::select! {
            () = stop.cancelled() => return,
            _ = hangups.recv() => true,
            _ = ticks.tick() => false,
        };
        let Some(mut former) = tls.take() else {
            if asked {
                tracing::info!("SIGHUP: there is no TLS certificate to load again");
            }
            continue;
        };
        let (seen_last, their_clock) = (seen.clone(), clock.clone());
        // Files may lie on a disk that hangs: never on a thread that serves.
        let looked = tokio::task::spawn_blocking(move || {
            // Before it is read: a change that comes meanwhile is seen at the next look.
            let stamp = former.files.stamp();
            let changed = asked || seen_last.as_ref() != Some(&stamp);
            let outcome = if changed { former.reload(&their_clock) } else { Ok(false) };
            (former, stamp, outcome)
        });
        let Ok((same, stamp, outcome)) = looked.await else { return };
        match outcome {
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(
                    error,
                    "the new TLS certificate cannot be used; the former one is still served"
                );
            }
            Ok(true) if asked => tracing::info!("SIGHUP: the TLS certificate was loaded again"),
            Ok(false) if asked => {
                tracing::info!("SIGHUP: the TLS certificate is the one that is served already");
            }
            Ok(_) => {}
        }
        (tls, seen) = (Some(same), Some(stamp));
    }
}
