//! What a server cannot know is not asked of it: links that lose segments, or swallow them, between it and its client. And what
//! it does know, it is held to there as anywhere.

use hangup::Bed;
use hangup::cell::Cell;
use hangup::contract::Contract;
use hangup::engine::Engine;
use hangup::net::{TcpListener, TcpStream};
use hangup::run::Detail;
use hangup::server::{self, Server, Serving, Shutdown, app};
use hangup::transport::Listener;
use hangup_scenario::{Scenario, Verdict};
use hangup_tests::scenario;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

const HELD: [Verdict; 3] = [Verdict::Hung, Verdict::Leftover, Verdict::Late];

/// A minute for a connection, and within it a half-close is no end: what the client asked for is still sent.
fn bounded() -> Arc<dyn Server> {
    Bed::new("bounded", |listener: TcpListener, _| async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut builder = http1::Builder::new();
            builder
                .half_close(true)
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30));
            let connection =
                builder.serve_connection(TokioIo::new(stream), service_fn(app::answer));
            tokio::spawn(timeout(Duration::from_secs(60), connection));
        }
    })
    .into()
}

/// It answers whatever comes, says a word when nothing more does, and then stays for so long.
fn lingers(after_the_end: Option<Duration>) -> Arc<dyn Server> {
    let talk = move |mut stream: TcpStream| async move {
        let mut bytes = [0; 100];
        while let Ok(Ok(1..)) = timeout(Duration::from_secs(30), stream.read(&mut bytes)).await {
            // What goes wrong with it shows at the next read.
            let _ = stream.write_all(b"ok\n").await;
        }
        let _ = stream.write_all(b"bye\n").await;
        match after_the_end {
            Some(time) => sleep(time).await,
            None => pending().await,
        }
    };
    Bed::new("lingers", move |listener: TcpListener, _| async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(talk(stream));
        }
    })
    .not_http("hello\n")
    .into()
}

fn judged(scenario: &Arc<Scenario>, server: &dyn Server) -> Cell {
    Cell::of(Engine::Leap, scenario, server, Detail::default())
}

/// The first finding about a connection that was held, over so many seeds.
fn held(server: &dyn Server, seeds: u64, text: &str) -> Option<(u64, String)> {
    (0..seeds).find_map(|seed| {
        let mut scenario = Scenario::clone(&scenario(text));
        scenario.seed = seed;
        let cell = judged(&Arc::new(scenario), server);
        let found = cell
            .findings
            .iter()
            .find(|finding| HELD.contains(&finding.kind));
        found.map(|finding| (seed, finding.says.clone()))
    })
}

const CLOSED_WHILE_LOSING: &str = r#"
    name = "closed-while-losing"
    [network]
    loss = 0.5
    send_buffer = "256KiB"
    receive_buffer = "256KiB"
    [[client]]
    steps = [
      { do = "connect" },
      { do = "send", head = { method = "GET", target = "/big/3000000" } },
      { do = "close" },
    ]
"#;

/// The FIN of a close says no more than that of a half-close. That the client is gone only its reset tells, which answers what
/// the server sends; and that may be long on its way.
#[test]
fn a_close_is_not_known_while_the_answer_to_it_is_under_way() {
    assert_eq!(held(&*bounded(), 200, CLOSED_WHILE_LOSING), None);
    let hole = CLOSED_WHILE_LOSING.replace(
        r#"{ do = "close" }"#,
        r#"{ do = "network", blackhole = "to_client" }, { do = "close" }"#,
    );
    assert_eq!(held(&*bounded(), 50, &hole), None);
}

/// Acknowledgements that are held up are news when they come.
#[test]
fn a_server_that_waits_for_acknowledgements_is_not_late() {
    const MINUTE: Duration = Duration::from_secs(60);
    let server: Arc<dyn Server> = Bed::new("patient", |listener: TcpListener, _| async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // Each piece fills the client's window, and has a minute.
                loop {
                    timeout(MINUTE, stream.write_all(&[b'x'; 64 * 1024])).await??;
                }
                #[expect(unreachable_code, reason = "it says what the task's output is")]
                std::io::Result::Ok(())
            });
        }
    })
    .not_http("go\n")
    .into();
    let text = r#"
        name = "held-up"
        [network]
        send_buffer = "64KiB"
        receive_buffer = "64KiB"
        [[client]]
        steps = [
          { do = "connect" },
          { do = "network", blackhole = "to_server" },
          { do = "stall", for = "20s" },
          { do = "network", heal = true },
        ]
    "#;
    let cell = judged(&scenario(text), &*server);
    assert!(cell.findings.is_empty(), "{:#?}", cell.findings);
    // It had the minute from when it heard, which is more than its contract from when the bytes arrived.
    let held = cell.run.connections[0].released.expect("it ends");
    assert!(held > Duration::from_secs(80), "{held:?}");
}

/// All that it had sent had arrived, or was refused: from then on it is held to its contract.
#[test]
fn who_stays_though_he_knows_is_convicted_where_segments_are_lost_too() {
    let text = r#"
        name = "goes"
        [network]
        loss = 0.1
        [[client]]
        steps = [ { do = "connect" }, { do = "send", bytes = "hello\n" }, { do = "close" } ]
    "#;
    for seed in 0..50 {
        let mut scenario = Scenario::clone(&scenario(text));
        scenario.seed = seed;
        let scenario = Arc::new(scenario);
        let kind = |server: Arc<dyn Server>| judged(&scenario, &*server).verdict();
        assert_eq!(kind(lingers(None)), Verdict::Leftover, "seed {seed}");
        let minutes = Duration::from_secs(300);
        assert_eq!(kind(lingers(Some(minutes))), Verdict::Late, "seed {seed}");
        let second = lingers(Some(Duration::from_secs(1)));
        let findings = judged(&scenario, &*second).findings;
        assert!(findings.is_empty(), "seed {seed}: {findings:#?}");
    }
}

/// The same where the link was changed and is whole again, and where the client's host is gone without a word.
#[test]
fn who_stays_is_convicted_behind_a_disturbed_link() {
    for (step, verdict) in [
        (
            r#"{ do = "network", latency = "300ms" }, { do = "close" }"#,
            Verdict::Leftover,
        ),
        (r#"{ do = "vanish" }"#, Verdict::Hung),
        (
            r#"{ do = "network", blackhole = "both" }, { do = "close" }"#,
            Verdict::Hung,
        ),
    ] {
        let text = format!(
            "name = \"goes\"\n[[client]]\nsteps = [ {{ do = \"connect\" }}, {{ do = \"send\", bytes = \"hello\\n\" }}, \
             {{ do = \"stall\", for = \"1s\" }}, {step} ]\n"
        );
        let cell = judged(&scenario(&text), &*lingers(None));
        assert_eq!(cell.verdict(), verdict, "{step}: {:?}", cell.findings);
    }
}

/// What is lost on the way of a scenario's clients is not lost on that of the fresh one; where nobody accepts, it notices.
#[test]
fn the_fresh_client_has_a_path_of_its_own() {
    let text = "name = \"silent\"\n[network]\nloss = 0.9\n[[client]]\nsteps = [ { do = \"stall\", for = \"1s\" } ]\n";
    let well = lingers(Some(Duration::ZERO));
    let deaf: Arc<dyn Server> = Bed::new("deaf", |listener: TcpListener, _| async move {
        pending::<()>().await;
        drop(listener);
    })
    .not_http("hello\n")
    .into();
    for seed in 0..50 {
        let mut scenario = Scenario::clone(&scenario(text));
        scenario.seed = seed;
        let scenario = Arc::new(scenario);
        let findings = judged(&scenario, &*well).findings;
        assert!(findings.is_empty(), "seed {seed}: {findings:?}");
        assert_eq!(judged(&scenario, &*deaf).verdict(), Verdict::Deaf);
    }
}

/// Our server, for whose health one asks with a HEAD.
struct AskedForHead(Arc<dyn Server>);

impl Server for AskedForHead {
    fn name(&self) -> &str {
        "asked-for-head"
    }

    fn about(&self) -> &str {
        self.0.about()
    }

    fn contract(&self) -> Contract {
        self.0.contract()
    }

    fn fresh_request(&self) -> Option<Vec<u8>> {
        Some(b"HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".to_vec())
    }

    fn serve(&self, listener: Listener, shutdown: Shutdown) -> Serving {
        self.0.serve(listener, shutdown)
    }
}

/// The answer has no body, whatever length it names.
#[test]
fn a_fresh_client_that_asks_for_a_head_is_served() {
    let text =
        "name = \"silent\"\n[[client]]\nsteps = [ { do = \"connect\" }, { do = \"close\" } ]\n";
    let server = AskedForHead(server::named("hangup").expect("it is built in"));
    let findings = judged(&scenario(text), &server).findings;
    assert!(findings.is_empty(), "{findings:?}");
}

/// However short a contract is, what is stuck is judged, also where the deadline passes before the connection has come.
#[test]
fn a_contract_shorter_than_a_handshake_still_convicts() {
    let text = r#"
        name = "short"
        contract = { stall = "1ms" }
        [[client]]
        steps = [
          { do = "connect" },
          { do = "send", head = { method = "POST", target = "/echo", length = 1000 } },
        ]
    "#;
    let hyper = server::named("hyper").expect("it is built in");
    let cell = judged(&scenario(text), &*hyper);
    assert_eq!(cell.verdict(), Verdict::Hung, "{:?}", cell.findings);
    assert!(cell.findings[0].never_ends, "{:?}", cell.findings);
}
