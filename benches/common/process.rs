//! Servers as processes of their own, so that their CPU time and memory are their own: this binary
//! again, with a role.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;

/// A server's process. Dropping it ends it.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts this binary in a role.
    pub(crate) fn start(role: &str, arguments: &[String]) -> anyhow::Result<Self> {
        // Freed again before the child binds it; nothing else on this machine picks ports meanwhile.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let child = Command::new(std::env::current_exe()?)
            .arg(role)
            .arg(port.to_string())
            .args(arguments)
            // The child ends with this pipe, however this process ends.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .context("the server's process cannot be started")?;
        Ok(Self { child, address: (Ipv4Addr::LOCALHOST, port).into() })
    }

    /// Waits until it accepts connections.
    pub(crate) fn wait(&self) -> anyhow::Result<()> {
        for _ in 0..10_000 {
            if std::net::TcpStream::connect(self.address).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        anyhow::bail!("the server did not start within ten seconds")
    }

    /// CPU time of its living threads.
    pub(crate) fn cpu(&self) -> anyhow::Result<Cpu> {
        Cpu::of(&format!("/proc/{}/task", self.child.id()))
    }

    /// Waits until it has nothing left to do, such as writing down that 100,000 keys were used.
    pub(crate) fn settle(&self) -> anyhow::Result<()> {
        for _ in 0..100 {
            let before = self.cpu()?;
            std::thread::sleep(Duration::from_millis(300));
            if self.cpu()?.since(&before) < Duration::from_millis(6) {
                return Ok(());
            }
        }
        anyhow::bail!("the server does not come to rest")
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        self.status("VmRSS:")
    }

    /// One of its amounts of memory, in bytes.
    fn status(&self, name: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such amount")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// Forgets how much memory it has had at most, so that [`Process::peak`] counts from now on.
    pub(crate) fn forget_peak(&self) -> anyhow::Result<()> {
        Ok(std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5")?)
    }

    /// Most resident memory so far, in bytes.
    pub(crate) fn peak(&self) -> anyhow::Result<u64> {
        self.status("VmHWM:")
    }

    /// Asks it to stop and waits until it did, so that its store is closed and free.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In a child: ends the process when its parent lets go of it.
pub(crate) fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::TERM);
    });
}

/// CPU time by thread, or by process, in nanoseconds.
#[derive(Default)]
pub(crate) struct Cpu(HashMap<String, u64>);

impl Cpu {
    /// Of all threads in a `task` folder of `/proc`. Exact for threads that sleep, else as of the last tick.
    fn of(folder: &str) -> anyhow::Result<Self> {
        let mut threads = HashMap::new();
        for thread in std::fs::read_dir(folder)? {
            let thread = thread?;
            // A thread that ends meanwhile has no file any more.
            if let Ok(text) = std::fs::read_to_string(thread.path().join("schedstat")) {
                let ran = text.split_whitespace().next().context("an empty schedstat")?.parse()?;
                threads.insert(thread.file_name().to_string_lossy().into_owned(), ran);
            }
        }
        Ok(Self(threads))
    }

    /// Of all processes that one has started. Each has a single thread, as PostgreSQL's have.
    pub(crate) fn of_children(parent: u32) -> anyhow::Result<Self> {
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
        let mut processes = HashMap::new();
        for child in children.split_whitespace() {
            // One that ends meanwhile has no file any more.
            if let Ok(text) = std::fs::read_to_string(format!("/proc/{child}/schedstat")) {
                let ran = text.split_whitespace().next().context("an empty schedstat")?.parse()?;
                processes.insert(child.to_owned(), ran);
            }
        }
        Ok(Self(processes))
    }

    /// Since an earlier look. Threads that ended in between are lost, which favours nobody: those of the
    /// pools live for ten seconds, and rounds are shorter.
    pub(crate) fn since(&self, earlier: &Self) -> Duration {
        let spent = self
            .0
            .iter()
            .map(|(thread, now)| now.saturating_sub(earlier.0.get(thread).copied().unwrap_or(0)));
        Duration::from_nanos(spent.sum())
    }
}

/// CPU time of the calling thread so far.
pub(crate) fn own_cpu() -> anyhow::Result<Duration> {
    // The kernel books a running thread's time when it is scheduled.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(Duration::from_nanos(text.split_whitespace().next().context("an empty schedstat")?.parse()?))
}
