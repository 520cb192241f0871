//! A runtime of a connector's own, so that no caller's thread waits for a disk or a socket. Owns how it ends; what it is
//! made of is each connector's matter.

use std::sync::Arc;

use tokio::runtime::{Handle, Runtime};

/// A runtime that may be dropped anywhere, also inside another runtime. Clones share it.
#[derive(Debug, Clone)]
pub struct OwnRuntime(Arc<Owned>);

#[derive(Debug)]
struct Owned(Option<Runtime>);

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl From<Runtime> for OwnRuntime {
    fn from(runtime: Runtime) -> Self {
        Self(Arc::new(Owned(Some(runtime))))
    }
}

impl OwnRuntime {
    /// To spawn on it.
    pub fn handle(&self) -> &Handle {
        self.0.0.as_ref().expect("the runtime is only taken when it is dropped").handle()
    }
}
