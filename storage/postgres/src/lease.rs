//! Which process may write: a lease in one row, since a session's lock would not outlive a pooler.
//!
//! A holder on this very machine whose process has ended is succeeded at once. Of others nobody compares clocks. A holder counts up while it lives; whoever wants the lease waits until the counter has not
//! moved for a while of his own, and a holder that could not count up for less than that serves nothing any more. Whoever
//! takes over raises the epoch, and every commit names its own: one that was paused can write no more.
//!
//! **Invariant:** two processes never write (`a_node_that_was_paused_writes_nothing_after_another_took_over`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sequel_store::{Fence, Holder, OpenError};
use tokio::time::sleep;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use crate::address::{Address, refused};
use crate::{Database, fault};

/// How often a holder counts up.
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// How long a holder serves after it began to count up for the last time: two more attempts fit.
const HELD: Duration = Duration::from_secs(6);
/// How long the counter must stand still before somebody else takes over: longer than `HELD`, by more than two clocks drift
/// apart in that time and a pause between asking for the time and using it.
const DEAD: Duration = Duration::from_secs(8);
/// How often who waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Locks out commits while the epoch changes; the commits' function shares it.
const EXCLUDE_COMMITS: &str = "SELECT pg_advisory_xact_lock(7308332046121136492)";

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
#[derive(Debug)]
pub(crate) struct Lease {
    pub(crate) epoch: i64,
    // Nanoseconds of `now`.
    held_until: AtomicU64,
    // Somebody else has it: for good.
    lost: AtomicBool,
}

/// The row.
#[derive(Default)]
struct Row {
    epoch: i64,
    counter: i64,
    holder: Option<String>,
    host: String,
    place: String,
    is_there: bool,
}

impl Row {
    async fn read(client: &Client) -> Result<Self, Error> {
        let sql = "SELECT epoch, counter, holder, host, place FROM sequel.lease";
        let row = client.query_typed(sql, &[]).await?;
        let Some(row) = row.first() else {
            // Somebody emptied the table. Nobody holds what is not there.
            return Ok(Self::default());
        };
        Ok(Self {
            epoch: row.try_get(0)?,
            counter: row.try_get(1)?,
            holder: row.try_get(2)?,
            host: row.try_get(3)?,
            place: row.try_get(4)?,
            is_there: true,
        })
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

    /// `(pid 12, serving on db1)`.
    fn described(&self) -> String {
        match self.holder() {
            Some(holder) => format!(" (pid {} on {}, {})", holder.pid, self.host, holder.role),
            None => String::new(),
        }
    }
}

/// Who holds the lease now, as a process that can be talked to here; `None` where nobody does, whatever a crash left
/// behind. Of a process elsewhere nothing is known but that it counts up, which takes two seconds to see.
pub(crate) async fn holder(client: &Client, address: &Address) -> Result<Option<Holder>, OpenError> {
    let row = Row::read(client).await.map_err(|error| fault::open(address, &error))?;
    let Some(holder) = row.holder() else { return Ok(None) };
    if row.is_of_here() {
        return Ok((!row.has_ended()).then_some(holder));
    }
    match moves(client, &row).await.map_err(|error| fault::open(address, &error))? {
        true => Err(OpenError::Locked { path: address.to_string().into(), holder: row.described() }),
        false => Ok(None),
    }
}

/// Whether the row changes within `DEAD`.
async fn moves(client: &Client, before: &Row) -> Result<bool, Error> {
    let since = now();
    while now() - since < DEAD {
        sleep(LOOK_EVERY).await;
        let row = Row::read(client).await?;
        if (row.epoch, row.counter) != (before.epoch, before.counter) {
            return Ok(row.holder.is_some());
        }
        if row.holder.is_none() {
            return Ok(false);
        }
    }
    Ok(false)
}

impl Lease {
    /// Takes the lease, or says who has it. A holder that does not count up for `DEAD` has ended.
    pub(crate) async fn take(
        client: &mut Client,
        address: &Address,
        holder: &Holder,
    ) -> Result<Arc<Self>, OpenError> {
        let failed = |error| fault::open(address, &error);
        let note = serde_json::to_string(holder)
            .map_err(|error| refused(&address.to_string(), &format!("the lease's note: {error}.")))?;
        loop {
            let row = Row::read(client).await.map_err(failed)?;
            if !row.is_there {
                return Err(refused(
                    &address.to_string(),
                    "its table sequel.lease was emptied. Restore a backup.",
                ));
            }
            if row.holder.is_some() && !row.has_ended() {
                if moves(client, &row).await.map_err(failed)? {
                    let holder = row.described();
                    return Err(OpenError::Locked { path: address.to_string().into(), holder });
                }
                let former = row.described();
                tracing::warn!(former, "a lease that was not renewed any more is taken over");
            }
            let begun = now();
            let transaction = client.transaction().await.map_err(failed)?;
            transaction.batch_execute(EXCLUDE_COMMITS).await.map_err(failed)?;
            let taken = transaction
                .query_typed(
                    "UPDATE sequel.lease SET epoch = epoch + 1, counter = 0, holder = $1, host = $2, place = $5
                     WHERE epoch = $3 AND counter = $4 RETURNING epoch",
                    &[
                        (&note, Type::TEXT),
                        (&host_name(), Type::TEXT),
                        (&row.epoch, Type::INT8),
                        (&row.counter, Type::INT8),
                        (&place(), Type::TEXT),
                    ],
                )
                .await
                .map_err(failed)?;
            transaction.commit().await.map_err(failed)?;
            // Else another one was quicker: look who.
            if let Some(row) = taken.first() {
                let lease = Self {
                    epoch: row.try_get(0).map_err(failed)?,
                    held_until: AtomicU64::new(nanoseconds(begun + HELD)),
                    lost: AtomicBool::new(false),
                };
                return Ok(Arc::new(lease));
            }
        }
    }

    /// Whether what was read may be served: nobody else can have written since. Does not block.
    pub(crate) fn holds(&self) -> bool {
        !self.lost.load(Ordering::SeqCst) && nanoseconds(now()) < self.held_until.load(Ordering::SeqCst)
    }

    /// The same as the store's fence.
    pub(crate) fn fence(self: &Arc<Self>) -> Fence {
        let lease = Arc::clone(self);
        Fence::when(move || lease.holds())
    }

    /// Notes that somebody else has it.
    pub(crate) fn lose(&self) {
        if !self.lost.swap(true, Ordering::SeqCst) {
            tracing::error!(
                "another Sequel process has taken over this database; this one serves and writes no more"
            );
        }
    }

    /// Counts up until the store is dropped or the lease is lost.
    pub(crate) async fn keep(self: Arc<Self>, database: Arc<Database>) {
        while !self.lost.load(Ordering::SeqCst) {
            sleep(RENEW_EVERY).await;
            let begun = now();
            match self.count_up(&database).await {
                Ok(true) => {
                    // Nobody else had it in between, since the epoch is the same: what was read before still holds.
                    self.held_until.store(nanoseconds(begun + HELD), Ordering::SeqCst);
                }
                Ok(false) => self.lose(),
                Err(error) => tracing::warn!(error, "the lease on the database could not be renewed"),
            }
        }
    }

    async fn count_up(&self, database: &Database) -> Result<bool, String> {
        let renewing = async {
            let client = database.client().await.map_err(|error| error.to_string())?;
            let sql = "UPDATE sequel.lease SET counter = counter + 1 WHERE epoch = $1 AND holder IS NOT NULL";
            let counted = client.execute_typed(sql, &[(&self.epoch, Type::INT8)]).await;
            counted.map(|rows| rows == 1).map_err(|error| error.to_string())
        };
        tokio::time::timeout(RENEW_EVERY, renewing).await.unwrap_or(Err(fault::Silent.to_string()))
    }

    /// Gives it back, so that the next one need not wait.
    pub(crate) async fn give_back(&self, database: &Database) {
        let giving = async {
            let client = database.client().await.ok()?;
            let sql = "UPDATE sequel.lease SET holder = NULL, counter = counter + 1 WHERE epoch = $1";
            client.execute_typed(sql, &[(&self.epoch, Type::INT8)]).await.ok()
        };
        // Nobody has to wait for a database that is away: the lease runs out by itself.
        let _ = tokio::time::timeout(Duration::from_secs(1), giving).await;
        self.lost.store(true, Ordering::SeqCst);
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
