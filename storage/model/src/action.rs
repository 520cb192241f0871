//! The steps of the model: which there are, and which function carries each out.
//!
//! A step that cannot happen now is offered all the same and answers `None`: the guard stands where
//! the step is, and nowhere else.

use crate::call::{At, CallStep};
use crate::node::By;
use crate::{NODES_MAX, Protocol, State};

/// One step of one node, of the store, of a client or of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Real time goes on; how far each node's clock goes meanwhile.
    Tick([u8; NODES_MAX]),
    /// What a node does with a scope.
    Of(At, OfScope),
    /// What a node does.
    By(u8, OfNode),
    /// The row of `narrowing` of a scope is removed.
    Prune(u8),
    /// The primary is replaced; the node whose commit is missing on the new one.
    FailOver(Option<u8>),
    /// The request goes on.
    Call(CallStep),
}

/// What a node does with a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfScope {
    /// A notice arrives.
    Notice,
    /// A load registers.
    Load,
    /// It reads.
    Read,
    /// It reads on the former primary.
    ReadFormer,
    /// It publishes.
    Publish,
    /// It ends the calls that are now forbidden.
    Sweep,
    /// It acknowledges.
    Acknowledge,
    /// Its acknowledgement arrives.
    Land,
    /// It forgets the scope.
    Evict,
    /// It is asked to revoke.
    BeginRevoke,
    /// It is asked to revoke what is revoked already.
    RepeatRevoke,
    /// A client sends the first byte of a tool call.
    BeginCall,
    /// A client sends the first byte of a request that is not registered among the running calls.
    BeginPlain,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfNode {
    /// A renewal takes t0.
    BeginRenewal,
    /// It commits the lease row.
    CommitLease,
    /// It reads the narrowings.
    ReadNarrowings,
    /// It moves the deadline.
    MoveDeadline,
    /// The transaction of a revoke commits.
    CommitRevoke,
    /// Its COMMIT returns.
    AwaitSettling,
    /// A revoke has settled and is answered.
    Answer(By),
    /// The node dies.
    Crash,
    /// It stops in good order.
    Leave,
    /// It starts.
    Start,
}

const OF_SCOPE: [OfScope; 13] = [
    OfScope::Notice,
    OfScope::Load,
    OfScope::Read,
    OfScope::ReadFormer,
    OfScope::Publish,
    OfScope::Sweep,
    OfScope::Acknowledge,
    OfScope::Land,
    OfScope::Evict,
    OfScope::BeginRevoke,
    OfScope::RepeatRevoke,
    OfScope::BeginCall,
    OfScope::BeginPlain,
];

const OF_NODE: [OfNode; 10] = [
    OfNode::BeginRenewal,
    OfNode::CommitLease,
    OfNode::ReadNarrowings,
    OfNode::MoveDeadline,
    OfNode::CommitRevoke,
    OfNode::AwaitSettling,
    OfNode::Answer(By::Acks),
    OfNode::Answer(By::Deadline),
    OfNode::Crash,
    OfNode::Leave,
];

const OF_CALL: [CallStep; 5] =
    [CallStep::Admit, CallStep::Verify, CallStep::Dispatch, CallStep::Chunk, CallStep::End];

impl Protocol {
    /// All steps that may be possible in a state.
    pub(crate) fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible_ticks(state, actions);
        for node in 0..self.sizes.nodes {
            let name = node as u8;
            if !state.nodes[node].up {
                actions.push(Action::By(name, OfNode::Start));
                continue;
            }
            actions.extend(OF_NODE.map(|step| Action::By(name, step)));
            for scope in 0..self.sizes.held {
                let at = At { node: name, scope: scope as u8 };
                actions.extend(OF_SCOPE.map(|step| Action::Of(at, step)));
            }
            for scope in self.sizes.held..self.sizes.scopes {
                let at = At { node: name, scope: scope as u8 };
                actions.push(Action::Of(at, OfScope::BeginRevoke));
            }
        }
        actions.extend((0..self.sizes.scopes).map(|scope| Action::Prune(scope as u8)));
        if self.sizes.failover {
            actions.push(Action::FailOver(None));
            actions.extend((0..self.sizes.nodes).map(|node| Action::FailOver(Some(node as u8))));
        }
        if self.sizes.calls {
            actions.extend(OF_CALL.map(Action::Call));
        }
    }

    /// Each clock at each rate; one rate for a node on which nothing is counted.
    fn possible_ticks(&self, state: &State, actions: &mut Vec<Action>) {
        let clocks = self.sizes.clocks;
        if !state.nodes.iter().any(crate::Node::timed) {
            return;
        }
        let mut rates = vec![[0; NODES_MAX]];
        for node in (0..self.sizes.nodes).filter(|node| state.nodes[*node].timed()) {
            let each = rates.into_iter().flat_map(|before: [u8; NODES_MAX]| {
                (clocks.slowest..=clocks.fastest).map(move |rate| {
                    let mut rates = before;
                    rates[node] = rate;
                    rates
                })
            });
            rates = each.collect();
        }
        actions.extend(rates.into_iter().map(Action::Tick));
    }

    /// Carries a step out; `None` where it is not possible.
    pub(crate) fn act(&self, state: &mut State, action: Action) -> Option<()> {
        match action {
            Action::Tick(rates) => self.tick(state, rates),
            Action::Of(at, step) => self.act_of_scope(state, at, step),
            Action::By(node, step) => self.act_of_node(state, usize::from(node), step),
            Action::Prune(scope) => self.prune(state, usize::from(scope)),
            Action::FailOver(lost) => self.fail_over(state, lost.map(usize::from)),
            Action::Call(step) => self.go_on_with_call(state, step),
        }
    }

    fn act_of_scope(&self, state: &mut State, at: At, step: OfScope) -> Option<()> {
        let (node, scope) = (usize::from(at.node), usize::from(at.scope));
        match step {
            OfScope::Notice => self.notice(state, node, scope),
            OfScope::Load => self.load(state, node, scope),
            OfScope::Read => self.read(state, node, scope, false),
            OfScope::ReadFormer => self.read(state, node, scope, true),
            OfScope::Publish => self.publish(state, node, scope),
            OfScope::Sweep => self.sweep(state, node, scope),
            OfScope::Acknowledge => self.acknowledge(state, node, scope),
            OfScope::Land => self.land(state, node, scope),
            OfScope::Evict => self.evict(state, node, scope),
            OfScope::BeginRevoke => self.begin_revoke(state, node, scope),
            OfScope::RepeatRevoke => self.repeat_revoke(state, node, scope),
            OfScope::BeginCall => self.begin_call(state, at, true),
            OfScope::BeginPlain => self.begin_call(state, at, false),
        }
    }

    fn act_of_node(&self, state: &mut State, node: usize, step: OfNode) -> Option<()> {
        match step {
            OfNode::BeginRenewal => self.begin_renewal(state, node),
            OfNode::CommitLease => self.commit_lease(state, node),
            OfNode::ReadNarrowings => self.read_narrowings(state, node),
            OfNode::MoveDeadline => self.move_deadline(state, node),
            OfNode::CommitRevoke => self.commit_revoke(state, node),
            OfNode::AwaitSettling => self.await_settling(state, node),
            OfNode::Answer(by) => self.answer(state, node, by),
            OfNode::Crash => self.crash(state, node),
            OfNode::Leave => self.leave(state, node),
            OfNode::Start => self.start(state, node),
        }
    }
}
