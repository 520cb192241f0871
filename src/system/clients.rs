//! OAuth clients: what registered, what was decided about once, and in which organizations a client may have grants.
//!
//! A grant is its organization's; what is here about grants is a hint, written before the grant and removed when the
//! sweep finds it gone, so that a client that has one is never taken for unused. The hint, the client's last use and the
//! nonce of the decision are one batch: a decision is made once, and no client goes between a decision and its grant.
//!
//! **Invariant:** a decision that was made once is not made again (`a_decision_is_made_once`).
//! **Invariant:** a client that has or is about to have a grant is not removed
//! (`a_client_is_not_removed_under_a_decision`).

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use futures_util::{Stream, TryStreamExt};
use sequel_store::{Expect, Key, KeyRange, Record, Revision, Scope, Store, Write};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::table::{Table, TableError};
use crate::context::{Context, Timestamp};
use crate::credential::secret::{PlainSecret, Purpose};
use crate::credential::{ClientId, Digest, GrantId, Id, OrgId};
use crate::oauth::client::{AuthMethod, Client};
use crate::record::{RecordError, Versioned, decode, encode, versioned};

/// How often a decision is written anew because somebody else authorized the same client meanwhile: each time another one
/// came through.
const TRIES: usize = 32;
/// Most clients that are remembered, 60 bytes each. Past it all are looked up again.
const PROOFS_MAX: usize = 10_000;
/// Records that are read or removed at once: those of clients have up to 6 KiB, and a batch takes 256 operations.
const AT_ONCE: usize = 200;

/// A registered client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientRecord {
    /// What it said of itself.
    pub client: Client,
    /// Digest of its secret, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Digest>,
    /// When it registered.
    pub created_at: Timestamp,
    /// When somebody authorized it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorized_at: Option<Timestamp>,
}

impl ClientRecord {
    /// When it was of use last: somebody authorized it, or it came.
    pub fn used_at(&self) -> Timestamp {
        self.authorized_at.unwrap_or(self.created_at)
    }
}

/// A grant that a client has, or was about to have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClientGrantRecord {
    /// In which organization.
    pub org: OrgId,
    /// Which one.
    pub grant: GrantId,
    /// When its person said yes: the grant itself is written a moment later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
}

/// A decision that was made: its nonce lies in the key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// By which session's reckoning it could be made, until then.
    pub expires_at: Timestamp,
}

versioned! {
    ClientRecord, "OAuth client", 1;
    ClientGrantRecord, "OAuth client's grant", 1;
    DecisionRecord, "decision", 1;
}

/// What identifies one asking of one person: random, and until when it can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionNonce {
    /// Its name.
    pub id: Id<12>,
    /// From when on it is refused.
    pub expires_at: Timestamp,
}

/// Where it is said that a client has a grant.
#[derive(Debug)]
pub struct Hint {
    key: Key,
    /// What is said.
    pub record: ClientGrantRecord,
}

/// All clients. Clones share the table.
#[derive(Clone)]
pub struct Clients {
    table: Table,
    context: Context,
    // How many there are, once somebody has counted.
    count: Arc<Mutex<Option<usize>>>,
    // Of those that came lately.
    proofs: Arc<parking_lot::Mutex<HashMap<ClientId, Proof>>>,
}

/// By what a client shows that it is the one that registered: decided then, for good.
#[derive(Debug, Clone, Copy)]
pub struct Proof {
    /// How.
    pub method: AuthMethod,
    /// Digest of its secret, where it has one.
    pub secret: Option<Digest>,
}

/// A client that was just registered. Its secret is nowhere else.
#[derive(Debug)]
pub struct Registered {
    /// Its id.
    pub id: ClientId,
    /// Its record.
    pub record: ClientRecord,
    /// Its secret, where it has one.
    pub secret: Option<PlainSecret>,
}

impl Clients {
    /// Over the table `system/oauth`.
    pub fn new(store: Arc<dyn Store>, context: Context) -> Self {
        let table = Table::new(store, scope(), context.rng.clone());
        Self { table, context, count: Arc::default(), proofs: Arc::default() }
    }

    /// Registers a client.
    pub async fn register(&self, client: Client) -> Result<Registered, TableError> {
        let rng = &self.context.rng;
        let id = ClientId::mint(rng)?;
        let secret = match client.auth_method.has_secret() {
            true => Some(PlainSecret::mint(Purpose::Client, Id::mint(rng)?, id, rng)?),
            false => None,
        };
        let record = ClientRecord {
            client,
            secret: secret.as_ref().map(PlainSecret::digest),
            created_at: self.context.clock.now(),
            authorized_at: None,
        };
        let at = client_at(id);
        self.table.commit(vec![Expect::Absent(at.clone())], vec![Write::Put(at, encode(&record))]).await?;
        if let Some(count) = self.count.lock().await.as_mut() {
            *count += 1;
        }
        Ok(Registered { id, record, secret })
    }

    /// How many there are.
    pub async fn count(&self) -> Result<usize, TableError> {
        let mut count = self.count.lock().await;
        if let Some(count) = *count {
            return Ok(count);
        }
        let mut pages = pin!(self.table.pages(KeyRange::prefix(CLIENTS), AT_ONCE));
        let mut counted = 0;
        while let Some(page) = pages.try_next().await? {
            counted += page.len();
        }
        Ok(*count.insert(counted))
    }

    /// A client's record.
    pub async fn get(&self, id: ClientId) -> Result<Option<ClientRecord>, TableError> {
        Ok(self.table.get::<ClientRecord>(&client_at(id)).await?.map(|(record, _)| record))
    }

    /// By what a client shows who it is. Remembered, because each refresh of each client asks; one that was removed
    /// meanwhile, here or on another node, had no grant, so there is nothing that it could still get.
    pub async fn proof(&self, id: ClientId) -> Result<Option<Proof>, TableError> {
        if let Some(known) = self.proofs.lock().get(&id) {
            return Ok(Some(*known));
        }
        let Some(ClientRecord { client, secret, .. }) = self.get(id).await? else { return Ok(None) };
        let proof = Proof { method: client.auth_method, secret };
        let mut proofs = self.proofs.lock();
        if proofs.len() >= PROOFS_MAX {
            proofs.clear();
        }
        proofs.insert(id, proof);
        Ok(Some(proof))
    }

    /// All clients with their revisions, page by page: together they may have tens of megabytes. One that cannot be read
    /// is left out and told in the log.
    pub fn pages(
        &self,
    ) -> impl Stream<Item = Result<Vec<(ClientId, ClientRecord, Revision)>, TableError>> + '_ {
        let read = |stored: Record| Some((id_of(&stored.key)?, readable(&stored)?, stored.revision));
        let pages = self.table.pages(KeyRange::prefix(CLIENTS), AT_ONCE);
        pages.map_ok(move |page| page.into_iter().filter_map(read).collect())
    }

    /// Notes that somebody says yes, before the grant is made. False where this was decided already, or the client is
    /// gone.
    pub async fn approve(
        &self,
        nonce: DecisionNonce,
        id: ClientId,
        (org, grant): (OrgId, GrantId),
    ) -> Result<bool, TableError> {
        let (at, decided) = (client_at(id), decision_at(nonce));
        for _ in 0..TRIES {
            let Some((mut record, revision)) = self.table.get::<ClientRecord>(&at).await? else {
                return Ok(false);
            };
            let now = self.context.clock.now();
            record.authorized_at = Some(now);
            let expects = vec![Expect::Absent(decided.clone()), Expect::At(at.clone(), revision)];
            let writes = vec![
                Write::Put(decided.clone(), encode(&DecisionRecord { expires_at: nonce.expires_at })),
                Write::Put(
                    client_grant_at(id, org, grant),
                    encode(&ClientGrantRecord { org, grant, decided_at: Some(now) }),
                ),
                Write::Put(at.clone(), encode(&record)),
            ];
            match self.table.commit(expects, writes).await {
                Err(TableError::Conflict) => {}
                outcome => return outcome.map(|()| true),
            }
            // Either this was decided, or somebody else has authorized the same client at this moment.
            if self.table.get::<DecisionRecord>(&decided).await?.is_some() {
                return Ok(false);
            }
        }
        Err(TableError::Conflict)
    }

    /// Notes that somebody says no. False where this was decided already.
    pub async fn refuse(&self, nonce: DecisionNonce) -> Result<bool, TableError> {
        let at = decision_at(nonce);
        let write = Write::Put(at.clone(), encode(&DecisionRecord { expires_at: nonce.expires_at }));
        match self.table.commit(vec![Expect::Absent(at)], vec![write]).await {
            Err(TableError::Conflict) => Ok(false),
            outcome => outcome.map(|()| true),
        }
    }

    /// Whether a client may have a grant.
    pub async fn has_grant(&self, id: ClientId) -> Result<bool, TableError> {
        Ok(!self.table.first(&format!("{CLIENT_GRANTS}{id}/"), 1).await?.is_empty())
    }

    /// The grants that clients may have, page by page. What cannot be read is left out and told in the log.
    pub fn grants(&self) -> impl Stream<Item = Result<Vec<Hint>, TableError>> + '_ {
        let pages = self.table.pages(KeyRange::prefix(CLIENT_GRANTS), AT_ONCE);
        let read = |stored: Record| Some(Hint { record: readable(&stored)?, key: stored.key });
        pages.map_ok(move |page| page.into_iter().filter_map(read).collect())
    }

    /// Forgets grants that are gone: as many as one page had at most. A failure leaves them to the next round.
    pub async fn forget_grants(&self, gone: Vec<Hint>) -> Result<(), TableError> {
        let writes: Vec<Write> = gone.into_iter().map(|hint| Write::Delete(hint.key)).collect();
        if writes.is_empty() {
            return Ok(());
        }
        self.table.commit(Vec::new(), writes).await
    }

    /// Removes a client that was read at this revision. False where it was authorized since.
    pub async fn remove(&self, id: ClientId, at: Revision) -> Result<bool, TableError> {
        let expects = vec![Expect::At(client_at(id), at)];
        match self.table.commit(expects, vec![Write::Delete(client_at(id))]).await {
            Err(TableError::Conflict) => return Ok(false),
            outcome => outcome?,
        }
        self.proofs.lock().remove(&id);
        if let Some(count) = self.count.lock().await.as_mut() {
            *count = count.saturating_sub(1);
        }
        Ok(true)
    }

    /// Removes the nonces of decisions that could not be made any more. Returns how many.
    pub async fn prune_decisions(&self) -> Result<usize, TableError> {
        let now = self.context.clock.now();
        let KeyRange { start, .. } = KeyRange::prefix(DECISIONS);
        let end = std::ops::Bound::Excluded(format!("{DECISIONS}{}", sortable(now)).into());
        let mut pages = pin!(self.table.pages(KeyRange { start, end }, AT_ONCE));
        let mut removed = 0;
        while let Some(over) = pages.try_next().await? {
            removed += over.len();
            let writes: Vec<Write> = over.into_iter().map(|stored| Write::Delete(stored.key)).collect();
            if !writes.is_empty() {
                self.table.commit(Vec::new(), writes).await?;
            }
        }
        Ok(removed)
    }
}

/// Where the table is.
pub fn scope() -> Scope {
    Scope::system("oauth").expect("a constant that is a legal scope name")
}

/// The prefix of all clients.
pub const CLIENTS: &str = "client/";
/// The prefix of all grants of clients.
pub const CLIENT_GRANTS: &str = "client-grant/";
/// The prefix of all decisions.
pub const DECISIONS: &str = "decision/";

fn stored(text: String) -> Key {
    Key::new(text).expect("record keys are built from fixed prefixes, ids and digits, all short")
}

fn client_at(id: ClientId) -> Key {
    stored(format!("{CLIENTS}{id}"))
}

fn client_grant_at(id: ClientId, org: OrgId, grant: GrantId) -> Key {
    stored(format!("{CLIENT_GRANTS}{id}/{org}/{grant}"))
}

/// Decisions sort by when they could be made last.
fn decision_at(nonce: DecisionNonce) -> Key {
    stored(format!("{DECISIONS}{}/{}", sortable(nonce.expires_at), nonce.id))
}

fn sortable(time: Timestamp) -> String {
    format!("{:016x}", u64::try_from(time.0).unwrap_or(0))
}

/// A record among many, of which one that cannot be read must not keep the others from being looked at.
fn readable<T: Versioned>(stored: &Record) -> Option<T> {
    let told = |error: &RecordError| {
        let (key, error) = (String::from_utf8_lossy(stored.key.as_bytes()), error as &dyn std::error::Error);
        tracing::warn!(%key, error, "a record of OAuth clients cannot be read");
    };
    decode(&stored.value).inspect_err(told).ok()
}

fn id_of(key: &Key) -> Option<ClientId> {
    std::str::from_utf8(key.as_bytes()).ok()?.strip_prefix(CLIENTS)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sequel_store::MemoryStore;

    use super::*;
    use crate::context::{Clock, Rng};

    fn clients() -> Clients {
        let context = Context { clock: Clock::starting_at(Timestamp(1_000_000)), rng: Rng::system() };
        Clients::new(Arc::new(MemoryStore::new()), context)
    }

    fn client(method: &str) -> Client {
        let body =
            format!(r#"{{"redirect_uris":["http://localhost/cb"],"token_endpoint_auth_method":"{method}"}}"#);
        Client::register(body.as_bytes()).unwrap()
    }

    fn nonce(clients: &Clients) -> DecisionNonce {
        let context = &clients.context;
        let expires_at = context.clock.now().plus(Duration::from_secs(600));
        DecisionNonce { id: Id::mint(&context.rng).unwrap(), expires_at }
    }

    fn grant() -> (OrgId, GrantId) {
        let rng = Rng::system();
        (OrgId::mint(&rng).unwrap(), GrantId::mint(&rng).unwrap())
    }

    async fn all(clients: &Clients) -> Vec<(ClientId, ClientRecord, Revision)> {
        clients.pages().try_concat().await.unwrap()
    }

    #[tokio::test]
    async fn a_client_has_a_secret_where_it_wants_one_and_the_record_its_digest() {
        let clients = clients();
        let public = clients.register(client("none")).await.unwrap();
        assert!(public.secret.is_none() && public.record.secret.is_none());
        let confidential = clients.register(client("client_secret_post")).await.unwrap();
        let secret = confidential.secret.unwrap();
        let stored = clients.get(confidential.id).await.unwrap().unwrap();
        assert!(stored.secret.unwrap().matches(&secret.digest()));
        assert_eq!((clients.count().await.unwrap(), all(&clients).await.len()), (2, 2));
    }

    #[tokio::test]
    async fn a_decision_is_made_once() {
        let clients = clients();
        let id = clients.register(client("none")).await.unwrap().id;
        let (yes, no) = (nonce(&clients), nonce(&clients));
        assert!(clients.approve(yes, id, grant()).await.unwrap());
        assert!(!clients.approve(yes, id, grant()).await.unwrap() && !clients.refuse(yes).await.unwrap());
        assert!(clients.refuse(no).await.unwrap());
        assert!(!clients.approve(no, id, grant()).await.unwrap());
        assert!(clients.has_grant(id).await.unwrap());
        assert_eq!(clients.prune_decisions().await.unwrap(), 0);
        clients.context.clock.advance(Duration::from_secs(601));
        assert_eq!(clients.prune_decisions().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_client_is_not_removed_under_a_decision() {
        let clients = clients();
        clients.register(client("none")).await.unwrap();
        let (id, _, revision) = all(&clients).await.remove(0);
        assert!(clients.approve(nonce(&clients), id, grant()).await.unwrap());
        assert!(!clients.remove(id, revision).await.unwrap(), "it was looked at before the decision");
        let (_, _, revision) = all(&clients).await.remove(0);
        assert!(clients.remove(id, revision).await.unwrap());
        assert!(!clients.approve(nonce(&clients), id, grant()).await.unwrap(), "it is gone");
        assert_eq!(clients.count().await.unwrap(), 0);
    }
}
