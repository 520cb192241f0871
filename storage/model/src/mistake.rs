//! The protocol broken on purpose: each of these must be caught, or the model shows nothing.

/// One thing that an implementation may get wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mistake {
    /// A notice is acknowledged while the view that it outdates is still published.
    AckBeforePublish,
    /// A notice is acknowledged after publishing, but before running calls were ended.
    AckBeforeSweep,
    /// The lease counts from the moment at which everything is done, not from before it began.
    LeaseCountedFromTheEnd,
    /// A renewal reads only the narrowings whose sequence number it has not yet seen.
    NarrowingsSinceSequence,
    /// A renewal reads narrowings and revisions in the snapshot of the transaction that writes its lease row.
    NarrowingsInTheSnapshotOfTheLease,
    /// A renewal makes the lease valid before it has published what it read.
    LeaseBeforePublish,
    /// A load registers only when it publishes, after it has read.
    LoadRegisteredLate,
    /// What was read is published although it lies below the floor.
    PublishBelowTheFloor,
    /// A revoke reads the lease rows before its COMMIT.
    LeasesReadBeforeCommit,
    /// A revoke reads the lease rows on another server than the one that it committed on.
    LeasesReadOnTheFormer,
    /// A revoke counts its wait from before its COMMIT.
    WaitCountedFromBeforeCommit,
    /// A revoke waits D on its own clock, as if all clocks were the same.
    DriftLeftOut,
    /// ρ is the drift against real time, and is taken for that of two clocks.
    DriftAgainstRealTime,
    /// What is revoked already is answered at once.
    RepeatAnsweredAtOnce,
    /// The deadline is not looked at.
    DeadlineNeverChecked,
    /// A request takes the view first, and asks only then whether it may use it.
    ViewBeforeDeadline,
    /// The deadline is checked when the head was read, and not again when the call is dispatched.
    DispatchUnchecked,
    /// A streaming answer goes on without looking at the deadline.
    ChunkUnchecked,
    /// A node that stops removes its lease row first and goes on serving for a while.
    RowRemovedBeforeTheLastRequest,
    /// After a lapse, only narrowings are read, of which old ones have been removed.
    LapseNotCompared,
    /// Whether the lease has lapsed is decided when the renewal begins, not after its read.
    LapseJudgedEarly,
    /// Acknowledgements count at once on a new primary.
    AcksTrustedAfterFailover,
    /// Acknowledgements are ignored for D after a failover, as if all clocks were the same.
    AcksTrustedAfterD,
    /// A node that starts trusts acknowledgements: it cannot know that there was no failover.
    AcksTrustedAfterStart,
    /// A node goes on reading from the former primary after it took a lease on the new one.
    FormerPrimaryStillRead,
    /// What a node acknowledged stays over a failover, where its revision may be given anew.
    AcksKeptOverFailover,
    /// An acknowledgement that is under way during a failover lands on the lease row that its node has since then.
    AcksLandOnTheNewRow,
    /// A node keeps its views over a failover, unless the stored revision is below the published one.
    ViewsKeptOverFailover,
}
