//! The same actors as in a server, for the length of one command, under the store's lock.
//!
//! The administration is served on a private socket, so that a command has one way to what it
//! administers, whether a server runs or not.

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use anyhow::Context as _;
use sequel_store::Holder;
use tokio::sync::oneshot;

use super::assemble::Inside;
use super::serve::admin_server;
use super::{data_dir, log};
use crate::config::Config;

/// A running inside, until it is shut down or dropped.
pub struct Embedded {
    /// Where the admin API is served.
    pub socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Embedded {
    /// Ends it and waits until the store is closed.
    pub fn shutdown(self) {}
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Dropping the sender is the word to stop.
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Starts the actors for one command.
pub fn embedded(config: &Config) -> anyhow::Result<Embedded> {
    data_dir::keep_files_private();
    data_dir::require(&config.data_dir)?;
    log::start(&log::quiet(&config.log))?;
    let folder = tempfile::Builder::new()
        .prefix("sequel-")
        .tempdir()
        .context("a temporary folder for the command's socket cannot be made")?;
    let socket = folder.path().join("admin.sock");
    let (stop, stopped) = oneshot::channel::<()>();
    let (started, outcome) = mpsc::channel();
    let (config, at) = (config.clone(), socket.clone());
    let thread = thread::Builder::new()
        .name("sequel-embedded".into())
        .spawn(move || {
            // Moved in here: the folder goes when the server is gone.
            let _folder = folder;
            actix_rt::System::new().block_on(async move {
                let inside = match Inside::open(&config, Holder::command()).await {
                    Ok(inside) => inside,
                    Err(error) => return drop(started.send(Err(error))),
                };
                match admin_server(inside.admin(&config, None), &at) {
                    Ok(server) => {
                        let handle = server.handle();
                        let server = actix_rt::spawn(server);
                        let _ = started.send(Ok(()));
                        // An error means that the sender is gone, which is the word to stop.
                        let _ = stopped.await;
                        handle.stop(false).await;
                        let _ = server.await;
                    }
                    Err(error) => drop(started.send(Err(error))),
                }
                inside.close().await;
            });
        })
        .context("a thread for the command cannot be started")?;
    outcome.recv().context("the command's own server ended before it began")??;
    Ok(Embedded { socket, stop: Some(stop), thread: Some(thread) })
}
