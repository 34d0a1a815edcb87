//! The `hangup` command.

use std::process::ExitCode;

// A run takes some hundred small pieces of memory, and gives them back at once.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hangup::command::main()
}
