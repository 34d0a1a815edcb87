//! Beneath TLS, too, what counts is what the client's system has acknowledged.

use crate::readers::{HONEST, is_whole, reads};
use crate::scene::{Scene, hastened};
use hangup_server::{Limits, Tls};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A server with a certificate that was made for it, and who trusts it.
async fn site() -> (Scene, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let certificate = made.cert.der().clone();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate).unwrap();
    let trusting = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let acceptor = Arc::new(config).into();
    let limits = hastened(Limits::default());
    let scene = Scene::over(limits, |listener| Tls::new(listener, acceptor)).await;
    (scene, Arc::new(trusting).into())
}

async fn connect(
    scene: &Scene,
    connector: &TlsConnector,
    buffer: Option<u32>,
) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    let socket = scene.connect(buffer).await;
    connector.connect(name, socket).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_honest_reader_is_cut() {
    let (scene, connector) = site().await;
    let mut readers = Vec::new();
    for length in [24_000, 1_000_000_000] {
        for buffer in [None, Some(2_000), Some(16_000)] {
            let mut client = connect(&scene, &connector, buffer).await;
            let request =
                format!("GET /big/{length} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            let most = match (length, buffer) {
                // As long as the window of the system's own buffer may stay closed.
                (1_000_000_000, None) => Duration::from_secs(26),
                _ => Duration::from_secs(10),
            };
            readers.push(tokio::spawn(async move {
                let (got, ended) = reads(&mut client, 300, most).await;
                if length == 24_000 {
                    assert!(ended && is_whole(&got, length), "{buffer:?}: {}", got.len());
                } else {
                    let least = HONEST * most.as_secs() as usize * 9 / 10;
                    assert!(!ended && got.len() > least, "{buffer:?}: {}", got.len());
                }
            }));
        }
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_reader_leaves_nothing_in_the_kernel() {
    let (mut scene, connector) = site().await;
    let mut client = connect(&scene, &connector, Some(2_000)).await;
    let request = b"GET /big/1000000000 HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(request).await.unwrap();
    let start = Instant::now();
    assert_eq!(scene.closed().await.name(), "timeout-response");
    // What it took, and a record that waits in the session, pay for some 4 s behind 250 ms.
    let took = start.elapsed();
    assert!(took < Duration::from_secs(7), "{took:?}");
    scene.kernel_has_nothing().await;
}
