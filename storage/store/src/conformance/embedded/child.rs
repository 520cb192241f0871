//! The process that is harmed: a test's own binary, started again for the same test.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Command, ExitStatus, Stdio};

use super::disk::Disk;

/// Says to a test that it is the child, and what it is to do.
const TASK: &str = "SEQUEL_TEST_CHILD";

/// A test by the name that its own binary knows it by.
pub struct Test {
    name: String,
}

impl Test {
    /// What the macro passes: `module_path!()` and the function's name.
    pub fn named(module: &str, function: &str) -> Self {
        // The first part is the binary's own.
        let inside = module.split_once("::").map(|(_, inside)| format!("{inside}::")).unwrap_or_default();
        Self { name: format!("{inside}{function}") }
    }

    /// What to do, where this process is the child.
    pub(super) fn task(&self) -> Option<String> {
        std::env::var(TASK).ok()
    }

    /// Starts the child on a commanded disk.
    pub(super) fn start(&self, disk: &Disk, task: &str, journal: bool, kill: Option<&str>) -> Child {
        let mut command = Command::new(std::env::current_exe().expect("a test has a binary"));
        command.args(["--exact", &self.name, "--nocapture"]).env(TASK, task);
        disk.preload(&mut command, journal, kill);
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a binary that starts again");
        let lines = BufReader::new(process.stderr.take().expect("it is piped"));
        Child { process, lines, said: String::new() }
    }

    /// Runs the child to its end, which has to be a good one.
    pub(super) fn run(&self, disk: &Disk, task: &str, journal: bool) {
        let mut child = self.start(disk, task, journal, None);
        while child.next_ack().is_some() {}
        let (status, said) = child.end();
        assert!(status.success(), "{task}: the child ended by {status}:\n{said}");
    }
}

pub(super) struct Child {
    process: std::process::Child,
    lines: BufReader<std::process::ChildStderr>,
    said: String,
}

impl Child {
    /// The next acknowledgement; `None` once the child has ended and all that it said was read.
    pub(super) fn next_ack(&mut self) -> Option<Ack> {
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).expect("a readable pipe") == 0 {
                return None;
            }
            match Ack::parse(&line) {
                Some(ack) => return Some(ack),
                None => self.said.push_str(&line),
            }
        }
    }

    pub(super) fn kill(&mut self) {
        // It may have ended by itself; its status tells.
        let _ = self.process.kill();
    }

    /// How it ended and what it said beside acknowledgements.
    pub(super) fn end(mut self) -> (ExitStatus, String) {
        (self.process.wait().expect("a child to wait for"), std::mem::take(&mut self.said))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // A test that fails leaves nobody behind; for one that was waited for this does nothing.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A writer was told that its step is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) writer: u64,
    pub(super) step: u64,
}

impl Ack {
    pub(super) fn parse(line: &str) -> Option<Self> {
        // A line that a kill cut off has no end; its step counts as not acknowledged.
        let (writer, step) = line.strip_prefix("ack ")?.strip_suffix('\n')?.split_once(' ')?;
        Some(Self { writer: writer.parse().ok()?, step: step.parse().ok()? })
    }

    /// Says it to whoever started this process, and to the journal, in one call.
    pub(super) fn say(self) {
        let line = format!("ack {} {}\n", self.writer, self.step);
        std::io::stderr().lock().write_all(line.as_bytes()).expect("a parent that listens");
    }
}
