//! The `sequel` program: everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sequel::cli::main_entry()
}
