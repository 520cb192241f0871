//! How large a statement becomes when every use of a `WITH` name is worked out anew.
//!
//! SQLite copies a common table expression into each place that names it, while it prepares the statement
//! and before anything looks at a clock: twenty expressions of which each names the one before twice are a
//! million copies and gigabytes. Owns the count; knows no engine and refuses nothing.
//!
//! **Invariant:** the count is never smaller than the number of copies
//! (`a_statement_that_doubles_at_each_step_is_refused`).

use std::ops::ControlFlow;

use sqlparser::ast::{ObjectName, Query, Visitor};

/// Queries of a statement and what they name, gathered by one walk over its tree.
#[derive(Default)]
pub(crate) struct Expansion {
    queries: Vec<Node>,
    // From the outermost query to the one that the walk is in.
    open: Vec<usize>,
}

#[derive(Default)]
struct Node {
    parent: Option<usize>,
    // Relations that it reads, in lower case; tables and common table expressions alike.
    names: Vec<String>,
    // Queries inside it that stand where they are used.
    inner: Vec<usize>,
    with: Vec<Named>,
}

struct Named {
    name: String,
    // Where its query lies in the tree, to know it when the walk comes there.
    at: *const Query,
    query: Option<usize>,
}

#[derive(Clone, Copy)]
enum Weight {
    Unknown,
    UnderWay,
    Known(u64),
}

impl Expansion {
    /// Queries and relations of the whole statement after every name was replaced by what it stands for.
    /// Saturates.
    pub(crate) fn weight(&self) -> u64 {
        let mut weights = vec![Weight::Unknown; self.queries.len()];
        match self.queries.is_empty() {
            true => 0,
            false => self.weigh(0, &mut weights),
        }
    }

    fn weigh(&self, query: usize, weights: &mut [Weight]) -> u64 {
        if let Weight::Known(weight) = weights[query] {
            return weight;
        }
        weights[query] = Weight::UnderWay;
        let node = &self.queries[query];
        let mut weight = 1_u64;
        for inner in &node.inner {
            weight = weight.saturating_add(self.weigh(*inner, weights));
        }
        for name in &node.names {
            let named = self.resolve(query, name, weights);
            weight = weight.saturating_add(named.map_or(1, |named| self.weigh(named, weights)));
        }
        weights[query] = Weight::Known(weight);
        weight
    }

    /// The common table expression that a name means inside a query. One that is being weighed is the
    /// recursive use of itself, which copies nothing; or, where names hide each other, one further out.
    fn resolve(&self, query: usize, name: &str, weights: &[Weight]) -> Option<usize> {
        let mut scope = Some(query);
        while let Some(at) = scope {
            let node = &self.queries[at];
            let found = node.with.iter().filter(|named| named.name == name).filter_map(|named| named.query);
            if let Some(found) = found.into_iter().find(|found| !matches!(weights[*found], Weight::UnderWay))
            {
                return Some(found);
            }
            scope = node.parent;
        }
        None
    }
}

impl Visitor for Expansion {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let this = self.queries.len();
        let parent = self.open.last().copied();
        if let Some(parent) = parent.map(|parent| &mut self.queries[parent]) {
            match parent.with.iter_mut().find(|named| std::ptr::eq(named.at, query)) {
                Some(named) => named.query = Some(this),
                None => parent.inner.push(this),
            }
        }
        let with = query.with.iter().flat_map(|with| &with.cte_tables).map(|cte| Named {
            name: cte.alias.name.value.to_lowercase(),
            at: &*cte.query,
            query: None,
        });
        self.queries.push(Node { parent, with: with.collect(), ..Node::default() });
        self.open.push(this);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        self.open.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let name = relation.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.to_lowercase());
        if let (Some(name), Some(query)) = (name, self.open.last()) {
            self.queries[*query].names.push(name);
        }
        ControlFlow::Continue(())
    }
}
