//! Checks the models and prints what it took:
//! `cargo run -p sequel-store-model --example check -- [--large] [NAME]`.

#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock itself")]

use std::process::ExitCode;
use std::time::Instant;

use sequel_store_model::{LARGE, PROMISE, PROMISE_OF_CALLS, Protocol, SMALL};
use stateright::{Checker, HasDiscoveries, Model};

fn main() -> ExitCode {
    let (options, names): (Vec<_>, Vec<_>) =
        std::env::args().skip(1).partition(|argument| argument == "--large");
    let models = if options.is_empty() { &SMALL[..] } else { &LARGE[..] };
    let mut code = ExitCode::SUCCESS;
    for (name, sizes) in models {
        if !names.is_empty() && !names.iter().any(|wanted| wanted == name) {
            continue;
        }
        let began = Instant::now();
        let checker = Protocol::right(*sizes).checker();
        let checker = checker.threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        println!(
            "{name}: {} states, {} steps, {} deep, {:.1?}",
            checker.unique_state_count(),
            checker.state_count(),
            checker.max_depth(),
            began.elapsed()
        );
        for (property, path) in checker.discoveries() {
            if property == PROMISE || property == PROMISE_OF_CALLS {
                println!("  broken: {property}");
                path.into_actions().iter().for_each(|action| println!("    {action:?}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
