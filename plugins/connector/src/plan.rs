//! How a database would carry a query out.

/// A query plan, outermost step first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In the database's order.
    pub steps: Vec<PlanStep>,
    /// Whether limits left steps out.
    pub truncated: bool,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanStep {
    /// How many steps it stands below.
    pub depth: u32,
    /// The database's own words, which may hold names and values from the query and the schema.
    pub detail: String,
}
