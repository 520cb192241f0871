//! Looking at a store from outside, also while a process holds it: who that is, of which version the store is. Changes
//! nothing.

use futures_util::future::BoxFuture;
use sequel_store::{Holder, Inspection, OpenError};
use tokio_postgres::Client;

use crate::address::Address;
use crate::connections::{Database, OPENING_WAIT};
use crate::schema::{self, Found, KNOWN};
use crate::threads::Threads;
use crate::{fault, lease, server, within};

/// Inspects the store; `None` where there is none yet. Blocks.
pub fn inspect(address: &Address) -> Result<Option<Inspection>, OpenError> {
    let own = address.clone();
    ask(address, move |client| {
        Box::pin(async move {
            Ok(match schema::look(client, &own).await? {
                Found::Nothing | Found::Empty => None,
                // Whether the server's files are whole is for the server to say.
                Found::Ours(version) => Some(Inspection { version, known: KNOWN, damage: None }),
            })
        })
    })
}

/// Which process of this host holds the store, if any does. Blocks, for up to eight seconds where a holder may have ended
/// without saying so. [`OpenError::Locked`] where it is a process of another host, which nobody here can talk to.
pub fn holder(address: &Address) -> Result<Option<Holder>, OpenError> {
    let own = address.clone();
    ask(address, move |client| {
        Box::pin(async move {
            match schema::look(client, &own).await? {
                Found::Nothing | Found::Empty => Ok(None),
                Found::Ours(_) => lease::holder(client, &own).await,
            }
        })
    })
}

fn ask<T: Send>(
    address: &Address,
    question: impl for<'a> FnOnce(&'a Client) -> BoxFuture<'a, Result<T, OpenError>> + Send,
) -> Result<T, OpenError> {
    let threads = Threads::start(address, 1)?;
    let database = Database::new(address, 1, OPENING_WAIT)?;
    let asking = async {
        let client = database.apart(OPENING_WAIT).await.map_err(|why| fault::unreached(address, &why))?;
        server::check(&client, address).await?;
        question(&client).await
    };
    threads.block_on(within(address, asking))
}
