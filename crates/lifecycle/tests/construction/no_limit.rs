//! No limit is off by being absent: to be unbounded takes a constructor that wants a name.

use hangup_lifecycle::{Limits, Span};

fn main() {
    let _ = Limits { idle: None, ..Limits::default() };
    let _ = Limits { idle: Span::unbounded(), ..Limits::default() };
}
