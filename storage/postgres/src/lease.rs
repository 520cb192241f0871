//! Which process may write: a lease in one row, since a session's lock would not outlive a pooler.
//!
//! Nobody compares clocks. A holder counts up while it lives; whoever wants the lease waits until the counter has not
//! moved for a while of his own, and a holder that could not count up for less than that serves nothing any more. Whoever
//! takes over raises the epoch, and every commit names its own: one that was paused can write no more. The one shortcut: of
//! a process of this very machine the system says whether it has ended, and then nobody waits.
//!
//! **Invariant:** two processes never write (`a_node_that_was_paused_writes_nothing_after_another_took_over`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use sequel_store::{Fence, Holder, OpenError, Standing};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, Row as Columns};

use crate::address::{Address, refused};
use crate::connections::Database;
use crate::fault;

/// How often a holder counts up.
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// How long it waits for that, connecting anew included, and how soon it tries again: two more attempts fit into what is
/// left of `HELD`.
const RENEW_WAIT: Duration = Duration::from_millis(1_500);
const RETRY_EVERY: Duration = Duration::from_millis(250);
/// How long a holder serves after it began to count up for the last time.
const HELD: Duration = Duration::from_secs(6);
/// How long the counter must stand still before somebody else takes over: longer than `HELD`, by more than two clocks drift
/// apart in that time and a pause between asking for the time and using it.
const DEAD: Duration = Duration::from_secs(8);
/// How often who waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long whoever ends waits for the database.
const GIVE_BACK_WAIT: Duration = Duration::from_secs(2);
/// Locks out commits while the epoch changes; the commits' function shares it. Whoever waits for it holds commits up,
/// so that the server itself ends the wait.
const EXCLUDE_COMMITS: &str =
    "SET LOCAL lock_timeout = '20s'; SELECT pg_catalog.pg_advisory_xact_lock(7308332046121136492)";

/// Time on a clock that counts sleep: a lease must not outlive a night in a closed laptop.
fn now() -> Duration {
    #[cfg(target_os = "linux")]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Boottime;
    #[cfg(not(target_os = "linux"))]
    const CLOCK: rustix::time::ClockId = rustix::time::ClockId::Monotonic;
    let time = rustix::time::clock_gettime(CLOCK);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// The lease of this process.
pub(crate) struct Lease {
    pub(crate) epoch: i64,
    // Of its own: waiting behind a crowd of commits must not cost the lease.
    connection: Mutex<Option<ClientWrapper>>,
    // Nanoseconds of `now`.
    held_until: AtomicU64,
    // Somebody else has it: for good.
    lost: AtomicBool,
}

/// The row.
struct Row {
    epoch: i64,
    counter: i64,
    holder: Option<String>,
    host: String,
    place: String,
    since: String,
}

impl Row {
    async fn read(client: &Client, address: &Address) -> Result<Self, OpenError> {
        let sql = "SELECT epoch, counter, holder, host, place, since::text FROM sequel.lease";
        let rows = client.query_typed(sql, &[]).await.map_err(|error| fault::open(address, &error))?;
        match rows.first() {
            Some(columns) => Self::from(columns).map_err(|error| fault::open(address, &error)),
            None => Err(refused(
                &address.to_string(),
                "its table sequel.lease is empty. Put its row back: INSERT INTO sequel.lease (id, epoch, counter) VALUES (1, \
                 1000000, 0), with an epoch that was never reached.",
            )),
        }
    }

    fn from(columns: &Columns) -> Result<Self, Error> {
        Ok(Self {
            epoch: columns.try_get(0)?,
            counter: columns.try_get(1)?,
            holder: columns.try_get(2)?,
            host: columns.try_get(3)?,
            place: columns.try_get(4)?,
            since: columns.try_get::<_, Option<String>>(5)?.unwrap_or_default(),
        })
    }

    /// The refusal of whoever else wants it.
    fn held(&self, address: &Address) -> OpenError {
        OpenError::Locked { path: address.to_string().into(), holder: self.described() }
    }

    /// Whether its pid means something here.
    fn is_of_here(&self) -> bool {
        !self.place.is_empty() && self.place == place()
    }

    /// Whether its process has certainly ended. Another one may have its pid by now, so the opposite is not certain.
    fn has_ended(&self) -> bool {
        self.is_of_here() && self.holder().is_some_and(|holder| !is_alive(holder.pid))
    }

    fn holder(&self) -> Option<Holder> {
        self.holder.as_deref().and_then(|note| serde_json::from_str(note).ok())
    }

    /// ` (pid 12 on db1, serving, since 2026-01-01 12:00:00+00)`.
    fn described(&self) -> String {
        match self.holder() {
            Some(holder) => {
                format!(" (pid {} on {}, {}, since {})", holder.pid, self.host, holder.role, self.since)
            }
            None => String::new(),
        }
    }
}

/// Who holds the lease now, as a process that can be talked to here; `None` where nobody does, whatever a crash left
/// behind. Of a process elsewhere nothing is known but that it counts up, which takes two seconds to see.
pub(crate) async fn holder(client: &Client, address: &Address) -> Result<Option<Holder>, OpenError> {
    let row = Row::read(client, address).await?;
    let Some(holder) = row.holder() else { return Ok(None) };
    if row.is_of_here() {
        return Ok((!row.has_ended()).then_some(holder));
    }
    match watch(client, address, &row).await? {
        Seen::Alive(row) => Err(row.held(address)),
        Seen::Free | Seen::Still => Ok(None),
    }
}

/// What a holder was seen to do.
enum Seen {
    /// It counts up, or another one holds it now.
    Alive(Row),
    /// It gave the lease back.
    Free,
    /// Nothing, for `DEAD`.
    Still,
}

/// Looks at the row until it tells something.
async fn watch(client: &Client, address: &Address, before: &Row) -> Result<Seen, OpenError> {
    let since = now();
    while now() - since < DEAD {
        sleep(LOOK_EVERY).await;
        let row = Row::read(client, address).await?;
        if row.holder.is_none() {
            return Ok(Seen::Free);
        }
        if (row.epoch, row.counter) != (before.epoch, before.counter) {
            return Ok(Seen::Alive(row));
        }
    }
    Ok(Seen::Still)
}

/// The epoch of a lease that was taken, and when that began.
pub(crate) struct Taken {
    epoch: i64,
    begun: Duration,
}

/// Takes the lease, or says who has it. A holder that does not count up for `DEAD` has ended.
pub(crate) async fn take(
    client: &mut Client,
    address: &Address,
    holder: &Holder,
) -> Result<Taken, OpenError> {
    let failed = |error| fault::open(address, &error);
    let note = serde_json::to_string(holder)
        .map_err(|error| refused(&address.to_string(), &format!("the lease's note: {error}.")))?;
    loop {
        let row = Row::read(client, address).await?;
        if row.holder.is_some() && !row.has_ended() {
            match watch(client, address, &row).await? {
                Seen::Alive(row) => return Err(row.held(address)),
                Seen::Free => continue,
                Seen::Still => {
                    let former = row.described();
                    tracing::warn!(former, "a lease that is not renewed any more is taken over");
                }
            }
        }
        let begun = now();
        let transaction = client.transaction().await.map_err(failed)?;
        transaction.batch_execute(EXCLUDE_COMMITS).await.map_err(failed)?;
        let taken = transaction
            .query_typed(
                "UPDATE sequel.lease
                 SET epoch = epoch + 1, counter = 0, holder = $1, host = $2, place = $3, since = now()
                 WHERE epoch = $4 AND counter = $5 RETURNING epoch",
                &[
                    (&note, Type::TEXT),
                    (&host_name(), Type::TEXT),
                    (&place(), Type::TEXT),
                    (&row.epoch, Type::INT8),
                    (&row.counter, Type::INT8),
                ],
            )
            .await
            .map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        // Else another one was quicker: look who.
        if let Some(row) = taken.first() {
            return Ok(Taken { epoch: row.try_get(0).map_err(failed)?, begun });
        }
    }
}

impl Lease {
    /// A lease that was taken on this connection.
    pub(crate) fn new(taken: Taken, connection: ClientWrapper) -> Self {
        Self {
            epoch: taken.epoch,
            connection: Mutex::new(Some(connection)),
            held_until: AtomicU64::new(nanoseconds(taken.begun + HELD)),
            lost: AtomicBool::new(false),
        }
    }

    /// Whether what was read may be served: nobody else can have written since. Does not block.
    fn standing(&self) -> Standing {
        if self.lost.load(Ordering::SeqCst) {
            Standing::Lost
        } else if nanoseconds(now()) < self.held_until.load(Ordering::SeqCst) {
            Standing::Holds
        } else {
            Standing::Lapsed
        }
    }

    /// The same as the store's fence.
    pub(crate) fn fence(self: &Arc<Self>) -> Fence {
        let lease = Arc::clone(self);
        Fence::when(move || lease.standing())
    }

    /// Notes that somebody else has it.
    pub(crate) fn lose(&self) {
        if !self.lost.swap(true, Ordering::SeqCst) {
            tracing::error!(
                "another Sequel process has taken over this database, or an older state of it was put back; this process \
                 serves and writes no more"
            );
        }
    }

    /// Counts up until the store is dropped or the lease is lost.
    pub(crate) async fn keep(self: Arc<Self>, database: Arc<Database>) {
        let mut is_away = false;
        while !self.lost.load(Ordering::SeqCst) {
            let begun = now();
            let mut connection = self.connection.lock().await;
            match self.count_up(&database, &mut connection).await {
                Ok(true) => {
                    // Nobody else had it in between, since the epoch is the same: what was read before still holds.
                    self.held_until.store(nanoseconds(begun + HELD), Ordering::SeqCst);
                    if std::mem::take(&mut is_away) {
                        tracing::info!("the lease on the database is renewed again");
                    }
                    drop(connection);
                    sleep(RENEW_EVERY).await;
                }
                Ok(false) => self.lose(),
                Err(error) => {
                    *connection = None;
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!(error, "the lease on the database could not be renewed; trying again");
                    }
                    drop(connection);
                    sleep(RETRY_EVERY).await;
                }
            }
        }
    }

    async fn count_up(
        &self,
        database: &Database,
        connection: &mut Option<ClientWrapper>,
    ) -> Result<bool, String> {
        let counting = async {
            let client = match connection {
                Some(client) if !client.is_closed() => client,
                _ => connection.insert(database.apart(RENEW_WAIT).await.map_err(|error| error.to_string())?),
            };
            let sql = "UPDATE sequel.lease SET counter = counter + 1 WHERE epoch = $1 AND holder IS NOT NULL";
            let counted = client.execute_typed(sql, &[(&self.epoch, Type::INT8)]).await;
            counted.map(|rows| rows == 1).map_err(|error| fault::told(&error))
        };
        timeout(RENEW_WAIT, counting).await.unwrap_or(Err(fault::Silent.to_string()))
    }

    /// Gives it back, so that the next one need not wait. What this process has sent and the server has not begun yet is
    /// refused once somebody else has taken it.
    pub(crate) async fn give_back(&self) {
        // First, so that nothing is served meanwhile, and nobody takes the empty row for a loss.
        if self.lost.swap(true, Ordering::SeqCst) {
            return;
        }
        let giving = async {
            // Without a connection the database is away, and nobody has to wait for it: the lease runs out by itself.
            if let Some(client) = &*self.connection.lock().await {
                let sql = "UPDATE sequel.lease SET holder = NULL, counter = counter + 1 WHERE epoch = $1";
                let _ = client.execute_typed(sql, &[(&self.epoch, Type::INT8)]).await;
            }
        };
        let _ = timeout(GIVE_BACK_WAIT, giving).await;
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What a pid is one of: this boot of this kernel, and the namespace of pids in it. Empty where the system does not tell.
fn place() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let pids = std::fs::read_link("/proc/self/ns/pid");
    match (boot, pids) {
        (Ok(boot), Ok(pids)) => format!("{} {}", boot.trim(), pids.display()),
        _ => String::new(),
    }
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    pid.is_some_and(|pid| match rustix::process::test_kill_process(pid) {
        Ok(()) | Err(rustix::io::Errno::PERM) => true,
        Err(_) => false,
    })
}
