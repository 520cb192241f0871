//! One command's connection to the admin API: of the server that runs on the data folder, or of the
//! same actors started inside this process for the length of the command. The commands cannot tell.

use std::path::PathBuf;
use std::time::Duration;

use super::World;
use super::answer::Answer;
use super::client::{Client, segment};
use super::failure::Failure;
use crate::api;
use crate::config::{Config, StoreLocation};
use crate::run;

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
    let StoreLocation::Sqlite(store) = config.store();
    for _ in 0..WAITS {
        match sequel_store::StoreLock::holder(&store)? {
            None => break,
            Some(holder) => match holder.admin_socket {
                Some(socket) => return Ok(Reached { socket, end: None }),
                // Another command at work, which ends soon, or a server that does not listen yet.
                None => std::thread::sleep(WAIT),
            },
        }
    }
    let embedded = run::embedded(config).map_err(Failure::Run)?;
    Ok(Reached { socket: embedded.socket.clone(), end: Some(Box::new(|| embedded.shutdown())) })
}

/// A connection and what the commands share.
pub(super) struct Session {
    pub(super) client: Client,
}

impl Session {
    /// Runs one command with a session, and ends what was started for it however it went.
    pub(super) fn with<'w>(
        config: &Config,
        world: &mut World<'w>,
        command: impl AsyncFnOnce(&mut Session, &mut World<'w>) -> Result<Answer, Failure>,
    ) -> Result<Answer, Failure> {
        let reached = (world.reach)(config)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::Run(error.into()))?;
        let answer = runtime.block_on(async {
            let mut session = Session { client: Client::connect(&reached.socket).await? };
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
                message: "there is no organization yet. Make one with: sequel org create NAME".to_owned(),
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
