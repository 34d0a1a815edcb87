//! `cargo bench -p hangup-server --bench sockets`: our server beside hyper and axum, over kernel TCP.
//!
//! Each server is a process of its own on the first core, the client is this one on the second. Servers take turns in short rounds, so that what
//! else the machine does falls on all alike; a figure is the median over the rounds of its ratio to hyper's in the same round, once of the time by the clock, client
//! and kernel included, once of the processor's time that the server's process had.
//! Memory is what a server's process grows by for each idle connection that has been served once.
//!
//! A word as argument runs only the workloads with this word in their name: `-- Expect`.

#[path = "sockets/client.rs"]
mod client;
#[path = "sockets/machine.rs"]
mod machine;
#[path = "sockets/side.rs"]
mod side;

use client::{Takes, Workload};
use side::{SIDES, Server};
use std::time::Duration;

const ROUNDS: usize = 25;
const IDLE: usize = 10_000;

/// What hyper's time and memory are: everything else is told as a ratio to them.
const HYPER: usize = 2;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = &arguments[..]
        && flag == side::FLAG
    {
        machine::pin(0);
        machine::allow_descriptors();
        side::serve(name);
        return;
    }
    let only = arguments.iter().find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| only.is_none_or(|only| name.contains(only.as_str()));
    if !machine::pin(1) {
        println!("there is no second core to pin to: client and server share what there is");
    }
    machine::allow_descriptors();

    print!("{:<18}", "");
    for side in SIDES {
        print!("{:>19}", side.name);
    }
    println!("\n{:<18}", "x hyper, median (quartiles)");
    let servers: Vec<Server> = SIDES.iter().map(|side| Server::start(side.name)).collect();
    for workload in Workload::all()
        .iter()
        .filter(|workload| wanted(workload.name))
    {
        time(workload, &servers);
    }
    drop(servers);
    if wanted("idle memory") {
        idle();
    }
}

fn time(workload: &Workload, servers: &[Server]) {
    let mut rounds: Vec<Vec<Takes>> = vec![Vec::new(); servers.len()];
    for round in 0..=ROUNDS {
        for (server, rounds) in servers.iter().zip(&mut rounds) {
            let takes = workload.run(server);
            // The first warms up.
            if round > 0 {
                rounds.push(takes);
            }
        }
    }
    ratios(workload.name, &rounds, |takes| takes.time);
    ratios("  of the processor", &rounds, |takes| takes.processor);
}

fn ratios(name: &str, rounds: &[Vec<Takes>], of: fn(&Takes) -> Duration) {
    let hyper = &rounds[HYPER];
    print!("{name:<18}");
    for side in rounds {
        let ratio = |(own, hyper)| of(own).as_secs_f64() / of(hyper).as_secs_f64();
        let mut ratios: Vec<f64> = side.iter().zip(hyper).map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        let at = |part: usize| ratios[ratios.len() * part / 4];
        print!(
            "{:>19}",
            format!("{:.2} ({:.2}-{:.2})", at(2), at(1), at(3))
        );
    }
    let mut times: Vec<Duration> = hyper.iter().map(of).collect();
    times.sort();
    println!(
        "   hyper {:.1} us",
        times[times.len() / 2].as_secs_f64() * 1e6
    );
}

/// A fresh process for each, so that nobody grows into what another workload has left.
fn idle() {
    let count = IDLE.min(machine::descriptors().saturating_sub(100));
    if count < IDLE {
        println!(
            "only {count} idle connections: that is how many descriptors there are (ulimit -n)"
        );
    }
    let grown: Vec<u64> = SIDES
        .iter()
        .map(|side| {
            let server = Server::start(side.name);
            // What the first connections make the process keep is not theirs.
            drop(client::idle(server.address, 100));
            let before = server.resident();
            let connections = client::idle(server.address, count);
            let grown = server.resident().saturating_sub(before) / count as u64;
            drop(connections);
            grown
        })
        .collect();
    print!("{:<18}", "idle memory");
    for own in &grown {
        print!(
            "{:>19}",
            format!("{:.2}", *own as f64 / grown[HYPER].max(1) as f64)
        );
    }
    println!("   hyper {} bytes each, {count} connections", grown[HYPER]);
}
