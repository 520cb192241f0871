//! Waiting for what another process does: its lines, or a question that is asked again.

use std::io::{BufRead, BufReader};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use sequel::context::Clock;

/// Longest wait for a process or a line. Far above what is expected, so that only a hang meets it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Within what time a revoke, a cancel or a disconnect stops a query (THREATS 22).
pub(crate) const PROMISED: Duration = Duration::from_secs(1);

/// Lines of a child, gathered while it runs.
#[derive(Default)]
pub(crate) struct Lines {
    text: Mutex<(String, bool)>,
    grew: Condvar,
}

impl Lines {
    pub(crate) fn gather(from: impl std::io::Read + Send + 'static) -> Arc<Self> {
        let lines = Arc::new(Self::default());
        let theirs = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n') {
                let Ok(line) = line else { break };
                let mut text = theirs.text.lock().unwrap();
                text.0.push_str(&String::from_utf8_lossy(&line));
                text.0.push('\n');
                theirs.grew.notify_all();
            }
            theirs.text.lock().unwrap().1 = true;
            theirs.grew.notify_all();
        });
        lines
    }

    /// What there is so far.
    pub(crate) fn so_far(&self) -> String {
        self.text.lock().unwrap().0.clone()
    }

    /// The text once it satisfies the question; an `Err` with the text where it ended before.
    pub(crate) fn until(&self, satisfied: impl Fn(&str) -> bool) -> Result<String, String> {
        let text = self.text.lock().unwrap();
        let (text, _) = self
            .grew
            .wait_timeout_while(text, PATIENCE, |(text, ended)| !*ended && !satisfied(text))
            .unwrap();
        if satisfied(&text.0) { Ok(text.0.clone()) } else { Err(text.0.clone()) }
    }
}

/// Asks again until the answer is yes. The pause only spares the processor.
pub(crate) fn poll(within: Duration, what: &str, mut question: impl FnMut() -> bool) {
    let clock = Clock::system();
    while !question() {
        assert!(clock.elapsed() < within, "{what}: not within {within:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for something that has to come in the promised time.
#[track_caller]
pub(crate) fn promptly<T>(wait: impl FnOnce() -> T) -> T {
    let clock = Clock::system();
    let came = wait();
    let elapsed = clock.elapsed();
    assert!(elapsed < PROMISED, "it took {elapsed:?}");
    came
}
