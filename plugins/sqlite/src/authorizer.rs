//! What a prepared statement may touch: deny by default.

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use sequel_connector::{Dialect, refused_function};

/// Pragmas that only describe. They are reached through the table-valued functions `pragma_…`;
/// `data_version` and `page_size` are what full-text tables ask of themselves.
const DESCRIBING_PRAGMAS: &[&str] = &[
    "collation_list",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "table_info",
    "table_list",
    "table_xinfo",
];
const BARE_PRAGMAS: &[&str] = &["data_version", "page_size"];

/// SQLite's authorizer: reading, selecting, recursion and functions that are not on the guard's list.
pub(crate) fn authorize(context: AuthContext<'_>) -> Authorization {
    let allowed = match context.action {
        AuthAction::Select | AuthAction::Recursive | AuthAction::Read { .. } => true,
        AuthAction::Function { function_name } => refused_function(function_name, Dialect::Sqlite).is_none(),
        AuthAction::Pragma { pragma_name, pragma_value } => {
            DESCRIBING_PRAGMAS.contains(&pragma_name)
                || pragma_value.is_none() && BARE_PRAGMAS.contains(&pragma_name)
        }
        _ => false,
    };
    if allowed { Authorization::Allow } else { Authorization::Deny }
}
