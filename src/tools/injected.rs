//! Tools that do not belong to the product, carried out like its own; see `mcp::Injected`. The product mounts
//! none.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use crate::mcp::ToolOutcome;
use crate::org::CallGuard;

/// Carries out what was mounted.
pub trait InjectedTools: Debug + Send + Sync {
    /// Carries out the tool of this name.
    fn carry_out<'a>(
        &'a self,
        name: &'a str,
        guard: &'a CallGuard,
    ) -> Pin<Box<dyn Future<Output = ToolOutcome> + 'a>>;
}
