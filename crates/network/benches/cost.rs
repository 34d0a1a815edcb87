//! What a client costs, in microseconds of real time, for 10 to 3,000 of them: it must not grow with their number.
//!
//! Each client starts at its own moment of the first second, connects, makes its exchanges of 200 bytes against 500,
//! each after up to a second of thought, and closes. `cargo bench -p hangup-network`.

use hangup_network::{Config, TcpListener, TcpStream, World};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);

async fn serve(mut stream: TcpStream) {
    let mut request = [0; 200];
    while stream.read_exact(&mut request).await.is_ok() {
        stream.write_all(&[b'r'; 500]).await.unwrap();
    }
}

async fn client(thoughts: impl Iterator<Item = u64>, exchanges: usize) {
    let mut thoughts = thoughts.map(Duration::from_millis);
    let mut think = async || tokio::time::sleep(thoughts.next().unwrap()).await;
    think().await;
    let mut stream = TcpStream::connect(SERVER).await.unwrap();
    for exchange in 0..exchanges {
        if exchange > 0 {
            think().await;
        }
        stream.write_all(&[b'q'; 200]).await.unwrap();
        stream.read_exact(&mut [0; 500]).await.unwrap();
    }
}

/// All clients once; when it took how long.
fn run(clients: u64, exchanges: usize) -> Duration {
    let start = std::time::Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let world = World::enter(
            Config {
                latency: Duration::from_millis(5),
                ..Config::default()
            },
            Box::new(()),
        );
        tokio::spawn(world.run());
        let listener = TcpListener::bind(SERVER).await.unwrap();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream));
            }
        });
        let clients: Vec<_> = (0..clients)
            .map(|n| {
                // Scattered, and the same in every run.
                let thoughts = (n * 7919..).step_by(104_729).map(|t| t % 997);
                tokio::spawn(client(thoughts, exchanges))
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(world.sockets().is_empty());
    });
    start.elapsed()
}

fn main() {
    println!(
        "{:>8} {:>10} {:>16}",
        "clients", "exchanges", "us per client"
    );
    for exchanges in [1, 4] {
        for clients in [1, 10, 100, 1000, 3000] {
            let runs = (10_000 / clients).clamp(5, 1000);
            run(clients, exchanges);
            let best = (0..runs).map(|_| run(clients, exchanges)).min().unwrap();
            println!(
                "{clients:>8} {exchanges:>10} {:>16.2}",
                best.as_secs_f64() * 1e6 / clients as f64
            );
        }
    }
}
