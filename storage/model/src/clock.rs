//! Clocks that drift, as countdowns.
//!
//! The protocol never compares two nodes' clocks and never asks what time it is: it asks whether a
//! span has passed on a node's own clock. So a span is kept as what is left of it, and the model
//! needs no bound on time. With each tick of real time every clock goes on by any rate between the
//! slowest and the fastest, chosen anew each time: that is harsher than a constant drift.
//!
//! Steps take no time, any number of them fits between two ticks, and a node that is paused takes
//! none while ticks pass. Clocks are read exactly, so ε of the protocol is 0 here.

/// The lease and the rates of clocks. Units are those of a node's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// D: how long a lease lasts on the clock of the node that holds it.
    pub lease: u8,
    /// What the slowest clock counts in a tick, at least 1.
    pub slowest: u8,
    /// What the fastest clock counts in a tick.
    pub fastest: u8,
}

impl Clocks {
    /// D(1+ρ), rounded up, where 1+ρ is what the fastest clock counts while the slowest counts 1.
    ///
    /// So ρ bounds the drift of two clocks against *each other*.
    pub(crate) fn wait(self) -> u8 {
        (self.lease * self.fastest).div_ceil(self.slowest)
    }

    /// The same, but with the ρ by which each clock may be off from real time: too short, because
    /// the lease may run on a slow clock and the wait on a fast one.
    pub(crate) fn wait_by_real_time(self) -> u8 {
        // Rates 1−ρ and 1+ρ: 1+ρ is the fastest against the mean of both.
        (self.lease * 2 * self.fastest).div_ceil(self.slowest + self.fastest)
    }
}

/// Lets `rate` units of a countdown pass.
pub(crate) fn pass(left: &mut u8, rate: u8) {
    *left = left.saturating_sub(rate);
}
