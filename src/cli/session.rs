//! One command's connection to the admin API: of the server that runs on the data folder, or of the
//! same actors started inside this process for the length of the command. The commands cannot tell.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use super::World;
use super::answer::Answer;
use super::client::{Client, segment};
use super::failure::Failure;
use crate::config::Config;
use crate::run;
use crate::{api, backends};

/// How often and how long to wait for another command or a starting server: together five seconds,
/// several times what either takes.
const WAITS: u32 = 50;
const WAIT: Duration = Duration::from_millis(100);

/// Where the admin API is.
pub(super) struct Reached {
    /// Its socket.
    pub(super) socket: PathBuf,
    /// Ends what was started for the command, and waits until it has ended.
    pub(super) end: Option<Box<dyn FnOnce()>>,
}

/// Finds the server that holds the store, or starts the actors here under the store's lock.
pub(super) fn reach(config: &Config) -> Result<Reached, Failure> {
    let mut server = None;
    for _ in 0..WAITS {
        server = match backends::lock_holder(config)? {
            // A server takes the lock before it listens, and another command ends soon: both are worth a wait.
            Some(holder) => holder.admin_socket,
            None => match start(config) {
                // Another command was quicker since we looked.
                Err(error) if is_locked(&error) => None,
                started => return started.map_err(Failure::Run),
            },
        };
        if server.as_ref().is_some_and(|socket| UnixStream::connect(socket).is_ok()) {
            break;
        }
        std::thread::sleep(WAIT);
    }
    match server {
        // Where it still does not answer, connecting says so.
        Some(socket) => Ok(Reached { socket, end: None }),
        None => start(config).map_err(Failure::Run),
    }
}

/// Starts the actors here.
fn start(config: &Config) -> anyhow::Result<Reached> {
    let embedded = run::embedded(config)?;
    Ok(Reached { socket: embedded.socket.clone(), end: Some(Box::new(|| embedded.shutdown())) })
}

fn is_locked(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(sequel_store::OpenError::Locked { .. }))
}

/// A connection and what the commands share.
pub(super) struct Session {
    pub(super) client: Client,
    /// What a suggested next command ends with, so that it reaches the same server when it is pasted.
    pub(super) repeated: String,
    /// What this command's own configuration says of a rotation where no overlap is named.
    pub(super) rotate_overlap_seconds: u64,
}

impl Session {
    /// Runs one command with a session, and ends what was started for it however it went.
    pub(super) fn with<'w>(
        config: &Config,
        repeated: String,
        world: &mut World<'w>,
        command: impl AsyncFnOnce(&mut Session, &mut World<'w>) -> Result<Answer, Failure>,
    ) -> Result<Answer, Failure> {
        let reached = (world.reach)(config)?;
        let rotate_overlap_seconds = config.keys.rotate_overlap_seconds;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::Run(error.into()))?;
        let answer = runtime.block_on(async {
            let mut session =
                Session { client: Client::connect(&reached.socket).await?, repeated, rotate_overlap_seconds };
            command(&mut session, world).await
        });
        // The connection's task ends with the runtime, before the server that it talks to.
        drop(runtime);
        if let Some(end) = reached.end {
            end();
        }
        answer
    }

    /// The organization that a command is about: the named one, or the only one. Returns how to call
    /// it, and the path of what is below it.
    pub(super) async fn org(&mut self, named: Option<String>) -> Result<(String, String), Failure> {
        let name = match named {
            Some(name) => name,
            None => self.only_org().await?,
        };
        let path = format!("/orgs/{}", segment(&name));
        Ok((name, path))
    }

    async fn only_org(&mut self) -> Result<String, Failure> {
        // A name that a path cannot tell from an id does not matter here: the name came from the list.
        let mut orgs = self.client.get::<api::Orgs>("/orgs").await?.orgs;
        match orgs.len() {
            1 => Ok(orgs.remove(0).name),
            0 => Err(Failure::Usage {
                code: "no_org",
                message: format!(
                    "there is no organization yet. Make one with: sequel org create NAME{}",
                    self.repeated
                ),
            }),
            count => {
                // A handful of names helps, ten thousand would not.
                let more = if count > 10 { ", …" } else { "" };
                let names: Vec<_> = orgs.iter().take(10).map(|org| org.name.as_str()).collect();
                let names = names.join(", ");
                let message =
                    format!("there are {count} organizations ({names}{more}): name one with --org.");
                Err(Failure::Usage { code: "org_missing", message })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use sequel_store::{Holder, StoreLock};

    use super::*;

    #[test]
    fn the_server_that_the_lock_names_is_reached() {
        let folder = tempfile::Builder::new().prefix("sequel").tempdir_in("/tmp").unwrap();
        let config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
        let socket = folder.path().join("elsewhere.sock");
        let holder = Holder::serving(Some(socket.clone()));
        let _lock = StoreLock::acquire(&folder.path().join("sequel.db"), &holder).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        let reached = reach(&config).unwrap();
        assert_eq!((reached.socket, reached.end.is_none()), (socket, true));
    }
}
