//! `list_data_sources`: what the credential reaches.

use crate::mcp::{DataSourceEntry, ToolOutcome};
use crate::org::CallGuard;

pub(super) fn list(guard: &CallGuard) -> ToolOutcome {
    ToolOutcome::data_sources(guard.sources().map(|source| {
        let record = source.record();
        DataSourceEntry { name: &record.name, kind: &record.kind, description: record.description.as_deref() }
    }))
}
