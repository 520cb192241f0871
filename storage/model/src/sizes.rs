//! How large a model is and what may happen in it, and the models that are checked.

use crate::Clocks;

/// How large a model is and what may happen in it.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Nodes, at most [`crate::NODES_MAX`].
    pub nodes: usize,
    /// Scopes, at most [`crate::SCOPES_MAX`].
    pub scopes: usize,
    /// How many of them nodes hold; the others are only narrowed.
    pub held: usize,
    /// Narrowing changes of each scope.
    pub narrowings: u8,
    /// How many of the nodes revoke.
    pub revokers: usize,
    /// Leases and drift.
    pub clocks: Clocks,
    /// Whether a floor keeps what lies below it from being published, so that it may be acknowledged
    /// before anything is. Without, a load is waited for until it has published, which is all that
    /// the trait of `sequel-store` can say.
    pub floors: bool,
    /// Whether t0 is taken when the lease row is committed instead of before. What counts is that it
    /// is taken before the narrowings are read.
    pub late_t0: bool,
    /// Whether an acknowledgement may take its time, until after its node has a lease on a new primary.
    pub slow_acks: bool,
    /// Whether requests are modelled step by step.
    pub calls: bool,
    /// Whether somebody revokes what is revoked already.
    pub repeats: bool,
    /// Whether nodes forget scopes.
    pub evictions: bool,
    /// Whether rows of `narrowing` are removed when their revoke was answered.
    pub pruning: bool,
    /// Whether nodes crash; they may start again.
    pub crashes: bool,
    /// Whether nodes leave in good order; they may start again.
    pub departures: bool,
    /// Whether the primary is replaced, once.
    pub failover: bool,
    /// Whether that may lose a commit that has not returned, but was read.
    pub unreplicated: bool,
}

impl Sizes {
    /// Two nodes, one scope, one narrowing by the first node; no faults but delay, loss and drift.
    ///
    /// The fastest clock runs twice as fast as the slowest. The exaggeration keeps numbers small;
    /// what counts is that the wait is D times that factor.
    pub const BASE: Self = Self {
        nodes: 2,
        scopes: 1,
        held: 1,
        narrowings: 1,
        revokers: 1,
        clocks: Clocks { lease: 2, slowest: 1, fastest: 2 },
        floors: true,
        late_t0: false,
        slow_acks: false,
        calls: false,
        repeats: false,
        evictions: false,
        pruning: false,
        crashes: false,
        departures: false,
        failover: false,
        unreplicated: false,
    };
    /// Loads, evictions, repeated revokes, and narrowings that are removed.
    pub const LOADS: Self =
        Self { evictions: true, repeats: true, pruning: true, ..Self::BASE }.with_lease(1);
    /// The same as far as the trait of `sequel-store` can say it.
    pub const TRAIT: Self = Self { floors: false, ..Self::LOADS };
    /// A longer lease, so that small differences of drift show; t0 is taken as late as it may be.
    pub const DRIFT: Self = Self { late_t0: true, ..Self::BASE }.with_lease(3);
    /// Two narrowings of one scope, by two nodes at once.
    pub const RIVALS: Self = Self { narrowings: 2, revokers: 2, ..Self::BASE }.with_lease(1);
    /// Nodes crash, leave and start.
    pub const MEMBERS: Self = Self { crashes: true, departures: true, pruning: true, ..Self::BASE };
    /// Two scopes whose narrowings commit in either order; nodes hold the first. No drift, to keep it small.
    pub const SCOPES: Self = Self { scopes: 2, revokers: 2, ..Self::BASE }.without_drift();
    /// Requests step by step.
    pub const CALLS: Self = Self { calls: true, ..Self::BASE }.with_lease(1);
    /// A new primary that has all that was committed.
    pub const FAILOVER: Self = Self { failover: true, ..Self::BASE }.with_lease(1);
    /// The same, with nodes that crash, and start without knowing when the primary was replaced.
    pub const RESTARTS: Self = Self { crashes: true, ..Self::FAILOVER };
    /// A new primary that may miss what was read and not acknowledged. No drift, to keep it small.
    pub const UNREPLICATED: Self =
        Self { unreplicated: true, slow_acks: true, revokers: 2, ..Self::FAILOVER }.without_drift();
    /// Three nodes.
    pub const THREE: Self = Self { nodes: 3, ..Self::BASE }.with_lease(1);

    /// The same with another D.
    pub const fn with_lease(self, lease: u8) -> Self {
        Self { clocks: Clocks { lease, ..self.clocks }, ..self }
    }

    const fn without_drift(self) -> Self {
        Self { clocks: Clocks { fastest: self.clocks.slowest, ..self.clocks }, ..self }
    }
}

/// What the tests check: each in some seconds.
pub const SMALL: [(&str, Sizes); 12] = [
    ("base", Sizes::BASE),
    ("loads", Sizes::LOADS),
    ("trait", Sizes::TRAIT),
    ("drift", Sizes::DRIFT),
    ("rivals", Sizes::RIVALS),
    ("members", Sizes::MEMBERS),
    ("scopes", Sizes::SCOPES),
    ("calls", Sizes::CALLS),
    ("failover", Sizes::FAILOVER),
    ("restarts", Sizes::RESTARTS),
    ("unreplicated", Sizes::UNREPLICATED),
    ("three", Sizes::THREE),
];

/// What takes minutes and some gigabytes: longer leases, more at once.
pub const LARGE: [(&str, Sizes); 9] = [
    ("loads", Sizes::LOADS.with_lease(2)),
    ("trait", Sizes { crashes: true, ..Sizes::TRAIT.with_lease(2) }),
    ("rivals", Sizes::RIVALS.with_lease(2)),
    ("calls", Sizes::CALLS.with_lease(2)),
    ("scopes", Sizes { clocks: Sizes::BASE.clocks, ..Sizes::SCOPES }),
    ("failover", Sizes::FAILOVER.with_lease(2)),
    ("restarts", Sizes::RESTARTS.with_lease(2)),
    ("unreplicated", Sizes { crashes: true, clocks: Sizes::FAILOVER.clocks, ..Sizes::UNREPLICATED }),
    ("three", Sizes { evictions: true, crashes: true, ..Sizes::THREE }),
];
