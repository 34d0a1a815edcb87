//! The `hangup` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    hangup::command::main()
}
