//! The rules that Linux showed, one test each.

mod buffers;
mod closing;
mod faults;
mod flow;
mod handshake;
mod hosts;
mod options;
mod orphans;
mod process;
mod scene;
mod shape;
mod world;
