//! The server over the kernel's TCP: what a pipe in memory does not have. Acknowledgements, resets, orphans, probes.
#![cfg(target_os = "linux")]

#[cfg(feature = "tls")]
#[path = "kernel/encrypted.rs"]
mod encrypted;
#[path = "kernel/gone.rs"]
mod gone;
#[path = "kernel/readers.rs"]
mod readers;
#[path = "kernel/scene.rs"]
mod scene;
#[path = "kernel/stopping.rs"]
mod stopping;
