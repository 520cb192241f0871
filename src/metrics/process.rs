//! What the operating system says of this process (proc(5)). Elsewhere than on Linux it says nothing here.

/// Of this process; `None` where it cannot be told.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Process {
    /// Memory that is in use, in bytes.
    pub(super) resident_bytes: Option<u64>,
    /// Address space, in bytes.
    pub(super) virtual_bytes: Option<u64>,
    /// Threads.
    pub(super) threads: Option<u64>,
    /// Time on processors, in seconds.
    pub(super) cpu_seconds: Option<f64>,
    /// When it began, in seconds since the epoch.
    pub(super) started_seconds: Option<f64>,
    /// Open files, sockets among them.
    pub(super) open_fds: Option<u64>,
    /// Most that it may have open.
    pub(super) max_fds: Option<u64>,
}

impl Process {
    /// Asks now.
    pub(super) fn read() -> Self {
        let mut process = Self::default();
        if let Ok(stat) = std::fs::read_to_string("/proc/self/stat") {
            process.read_stat(&stat);
        }
        if let (Some(ticks), Ok(stat)) = (process.started_seconds, std::fs::read_to_string("/proc/stat")) {
            let boot = stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok());
            process.started_seconds = boot.map(|boot| boot + ticks);
        }
        process.open_fds = std::fs::read_dir("/proc/self/fd")
            // Reading the folder opens one.
            .map(|entries| (entries.count() as u64).saturating_sub(1))
            .ok();
        if let Ok(limits) = std::fs::read_to_string("/proc/self/limits") {
            let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
            process.max_fds = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        }
        process
    }

    /// Takes over what `/proc/self/stat` says; the start is in seconds since the machine's.
    fn read_stat(&mut self, stat: &str) {
        // The second field is a name in brackets, which may hold anything.
        let Some((_, rest)) = stat.rsplit_once(") ") else { return };
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // Fields are numbered from 1, and the third one is the first here.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let page = rustix::param::page_size() as u64;
        self.cpu_seconds = field(14).zip(field(15)).map(|(user, system)| (user + system) as f64 / ticks);
        self.threads = field(20);
        self.started_seconds = field(22).map(|since_boot| since_boot as f64 / ticks);
        self.virtual_bytes = field(23);
        self.resident_bytes = field(24).map(|pages| pages * page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_itself() {
        let process = Process::read();
        if cfg!(target_os = "linux") {
            assert!(process.resident_bytes.unwrap() > 100_000, "{process:?}");
            assert!(process.open_fds.unwrap() >= 3 && process.max_fds.unwrap() >= process.open_fds.unwrap());
            let now = crate::context::Clock::system().now().0 as f64 / 1_000.0;
            let age = now - process.started_seconds.unwrap();
            assert!((-5.0..86_400.0).contains(&age), "{age}");
        }
    }

    #[test]
    fn a_name_with_brackets_and_spaces_moves_no_field() {
        let mut process = Process::default();
        let zeros = "0 ".repeat(40);
        process.read_stat(&format!("7 (a) b (c) S {zeros}"));
        assert_eq!(process.threads, Some(0));
        process.read_stat("nonsense");
    }
}
