//! The first call with a key, for the page that waits for it.
//!
//! Calls are not recorded one by one. So a page that waits says which key it waits for, and the endpoint notes the next
//! tool call with one of those; a request costs one relaxed read while no page waits. In this process's memory: on
//! another node, and after a restart, the key's usage says that it was called, and no longer by what.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use crate::context::Timestamp;
use crate::credential::{KeyId, OrgId};
use crate::install::TOOLS;

/// Most keys that are waited for; the one that was asked for longest ago makes room.
const WAITED_MAX: usize = 1_024;
/// Most characters of a client's name.
const CLIENT_CHARS_MAX: usize = 60;

/// A tool call that a page waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// What the client calls itself.
    pub(super) client: String,
    /// The tool.
    pub(super) tool: String,
    /// When.
    pub(super) at: Timestamp,
}

#[derive(Default)]
struct Waited {
    asked: u64,
    call: Option<Call>,
}

/// The keys that pages wait for. Clones share them.
#[derive(Clone, Default)]
pub struct FirstCalls(Arc<Shared>);

#[derive(Default)]
struct Shared {
    // Keys without a call: nothing is locked while there are none.
    open: AtomicUsize,
    waited: Mutex<Waiting>,
}

/// What is waited for, and how often somebody has asked.
#[derive(Default)]
struct Waiting {
    turn: u64,
    keys: Keys,
}

type Keys = HashMap<(OrgId, KeyId), Waited>;

impl FirstCalls {
    /// The call that was made since somebody first asked; from now on one is waited for.
    pub(super) fn ask(&self, org: OrgId, key: KeyId) -> Option<Call> {
        let mut waiting = self.0.waited.lock();
        waiting.turn += 1;
        let Waiting { turn, keys: waited } = &mut *waiting;
        if waited.len() >= WAITED_MAX
            && !waited.contains_key(&(org, key))
            && let Some(oldest) = waited.iter().min_by_key(|(_, one)| one.asked).map(|(at, _)| *at)
        {
            waited.remove(&oldest);
        }
        let one = waited.entry((org, key)).or_default();
        one.asked = *turn;
        let call = one.call.clone();
        self.count(waited);
        call
    }

    fn count(&self, waited: &Keys) {
        let open = waited.values().filter(|one| one.call.is_none()).count();
        self.0.open.store(open, Ordering::Relaxed);
    }

    /// Whether any page waits.
    pub(in crate::http) fn is_anybody_waiting(&self) -> bool {
        self.0.open.load(Ordering::Relaxed) > 0
    }

    /// Notes a tool call, if it is the first one that is waited for.
    pub(in crate::http) fn note(&self, (org, key): (OrgId, KeyId), agent: &str, tool: &str, at: Timestamp) {
        let mut waiting = self.0.waited.lock();
        let waited = &mut waiting.keys;
        let Some(one) = waited.get_mut(&(org, key)).filter(|one| one.call.is_none()) else { return };
        one.call = Some(Call { client: client_of(agent), tool: tool.to_owned(), at });
        self.count(waited);
    }
}

/// What a client calls itself: the first product of its `User-Agent`, under the name that people know it by.
fn client_of(agent: &str) -> String {
    let product = agent.split(['/', ' ']).next().unwrap_or_default();
    let same = |tool: &&crate::install::Tool| {
        let known = [tool.id, tool.name].map(|name| name.replace(' ', "-").to_lowercase());
        known.contains(&product.replace('_', "-").to_lowercase())
    };
    match TOOLS.iter().find(same) {
        Some(tool) => tool.name.to_owned(),
        None if product.is_empty() => "A client".to_owned(),
        None => product.chars().filter(|c| !c.is_control()).take(CLIENT_CHARS_MAX).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Rng;
    use crate::credential::Id;

    #[test]
    fn the_first_call_that_is_waited_for_is_kept_and_no_other() {
        let (calls, rng) = (FirstCalls::default(), Rng::system());
        let (org, key, other) = (Id::mint(&rng).unwrap(), Id::mint(&rng).unwrap(), Id::mint(&rng).unwrap());
        assert!(!calls.is_anybody_waiting());
        calls.note((org, key), "early", "run_query", Timestamp(1));
        assert_eq!(calls.ask(org, key), None);
        assert!(calls.is_anybody_waiting());
        calls.note((org, other), "other", "run_query", Timestamp(2));
        calls.note((org, key), "claude-code/2.1.0 (cli)", "list_data_sources", Timestamp(3));
        calls.note((org, key), "late", "run_query", Timestamp(4));
        let call = calls.ask(org, key).unwrap();
        assert_eq!(
            (call.client.as_str(), call.tool.as_str(), call.at),
            ("Claude Code", "list_data_sources", Timestamp(3))
        );
        assert!(!calls.is_anybody_waiting());
        assert_eq!(calls.ask(Id::mint(&rng).unwrap(), key), None, "the same key id in another organization");
    }

    #[test]
    fn a_client_is_told_by_its_first_product() {
        let agents = ["Cursor/1.7 (linux)", "python-httpx/0.28", "", "a\u{7}b"];
        assert_eq!(agents.map(client_of), ["Cursor", "python-httpx", "A client", "ab"]);
    }

    #[test]
    fn those_who_wait_are_bounded() {
        let (calls, rng) = (FirstCalls::default(), Rng::system());
        let org = Id::mint(&rng).unwrap();
        for _ in 0..WAITED_MAX + 10 {
            calls.ask(org, Id::mint(&rng).unwrap());
        }
        assert_eq!(calls.0.waited.lock().keys.len(), WAITED_MAX);
    }
}
