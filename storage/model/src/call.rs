//! One request, step by step, while everything else goes on.
//!
//! Requests do not touch each other, so one at a time finds what many would. Where a model has no
//! calls ([`crate::Sizes::calls`] is false), a request begins, is checked and succeeds in one
//! moment, and the property looks at each state whether one would.

use crate::lease::Served;
use crate::node::Seen;
use crate::{Mistake, Protocol, State};

/// How far the request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Call {
    /// There is none.
    #[default]
    None,
    /// Its first byte was sent.
    Begun(Request),
    /// Its head was read and the deadline held.
    Admitted(Request),
    /// It entered the running calls and was held against this view.
    Verified(Request, Seen),
    /// It was dispatched, and is being answered chunk by chunk.
    Running(Request, Seen),
    /// It began after the answer to the revoke of its credential, and succeeded.
    Succeeded,
    /// It began before, but was dispatched, or went on, after the answer.
    WentOn,
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Where it goes to.
    pub at: At,
    /// The newest revision whose revoke had been answered when it began.
    pub since: u8,
    /// Whether it is a tool call or a stream, so that a sweep finds it.
    pub registered: bool,
}

/// A node and a scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct At {
    /// The node.
    pub node: u8,
    /// The scope.
    pub scope: u8,
}

impl Call {
    /// Ends the call if a sweep of this scope finds it.
    pub(crate) fn sweep(&mut self, node: usize, scope: usize) {
        let swept = At { node: node as u8, scope: scope as u8 };
        if let Self::Verified(request, _) | Self::Running(request, _) = self
            && request.registered
            && request.at == swept
        {
            *self = Self::None;
        }
    }

    /// Ends the call of a node that is gone.
    pub(crate) fn lose_node(&mut self, node: usize) {
        if let Self::Begun(request)
        | Self::Admitted(request)
        | Self::Verified(request, _)
        | Self::Running(request, _) = self
            && usize::from(request.at.node) == node
        {
            *self = Self::None;
        }
    }
}

/// What a request does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallStep {
    /// Its head was read: the deadline is checked.
    Admit,
    /// It enters the running calls and is held against the view.
    Verify,
    /// It is carried out; a registered one looks at the deadline again.
    Dispatch,
    /// The next chunk of its answer leaves, if the deadline holds.
    Chunk,
    /// It ends, or is refused.
    End,
}

impl Protocol {
    /// The first byte of a request is sent.
    pub(crate) fn begin_call(&self, state: &mut State, at: At, registered: bool) -> Option<()> {
        let up = state.nodes[usize::from(at.node)].up;
        (self.sizes.calls && state.call == Call::None && up).then_some(())?;
        let since = state.answered[usize::from(at.scope)];
        state.call = Call::Begun(Request { at, since, registered });
        Some(())
    }

    /// The request takes its next step.
    pub(crate) fn go_on_with_call(&self, state: &mut State, step: CallStep) -> Option<()> {
        let late = self.breaks(Mistake::ViewBeforeDeadline);
        state.call = match (state.call, step) {
            (Call::Begun(request), CallStep::Admit) => {
                (late || self.deadline_holds(state, request.at)).then_some(())?;
                Call::Admitted(request)
            }
            (Call::Admitted(request), CallStep::Verify) => {
                let At { node, scope } = request.at;
                let view = state.nodes[usize::from(node)].places[usize::from(scope)].view?;
                Call::Verified(request, view)
            }
            (Call::Verified(request, view), CallStep::Dispatch) => {
                let asks = late || (request.registered && !self.breaks(Mistake::DispatchUnchecked));
                (!asks || self.deadline_holds(state, request.at)).then_some(())?;
                match view.truth() {
                    truth if truth < request.since => Call::Succeeded,
                    _ if !request.registered => Call::None,
                    _ => goes_on(state, request, view),
                }
            }
            (Call::Running(request, view), CallStep::Chunk) => {
                let asks = !self.breaks(Mistake::ChunkUnchecked);
                (!asks || self.deadline_holds(state, request.at)).then_some(())?;
                goes_on(state, request, view)
            }
            (Call::None | Call::Succeeded | Call::WentOn, _) => return None,
            (_, CallStep::End) => Call::None,
            _ => return None,
        };
        Some(())
    }

    fn deadline_holds(&self, state: &State, at: At) -> bool {
        self.serving(&state.nodes[usize::from(at.node)]) == Served::Views
    }
}

fn goes_on(state: &State, request: Request, view: Seen) -> Call {
    if view.truth() < state.answered[usize::from(request.at.scope)] {
        Call::WentOn
    } else {
        Call::Running(request, view)
    }
}
