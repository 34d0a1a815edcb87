//! The incident book against the built-in servers.

use hangup::campaign::check::check;
use hangup::cell::Cell;
use hangup::engine::Engine;
use hangup::report::matrix::Matrix;
use hangup::run::Detail;
use hangup::{incident, server};
use hangup_scenario::Verdict;
use hangup_tests::{judged, plain};

/// Timeline and verdict of every incident, for hyper with its timeouts and for our server.
#[test]
fn every_incident_reads_like_its_story() {
    for incident in incident::all() {
        for server in ["hyper-timeouts", "hangup"] {
            let report = plain(&judged(incident, server));
            insta::assert_snapshot!(format!("{}@{server}", incident.name), report);
        }
    }
}

/// Every incident file says what it comes to on every server, and that is what it comes to.
#[test]
fn every_verdict_is_the_one_that_is_pinned() {
    let mut surprises = Vec::new();
    for incident in incident::all() {
        for server in server::built_in() {
            let verdict = judged(incident, server.name()).verdict();
            let pinned = incident.expect.get(server.name());
            if pinned != Some(&verdict) {
                surprises.push(format!(
                    "{} on {}: {verdict}, pinned {pinned:?}",
                    incident.name,
                    server.name()
                ));
            }
        }
    }
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
}

/// The book has the size that it had once, and its matrix a terminal's width.
#[test]
fn the_matrix_of_the_built_in_servers_fits_a_terminal() {
    let servers = server::built_in();
    let names: Vec<&str> = servers.iter().map(|server| server.name()).collect();
    let cells = check(
        Engine::Leap,
        incident::all(),
        &servers,
        Detail::default(),
        |_| {},
    );
    let matrix = Matrix {
        servers: names,
        cells: &cells,
    };
    let matrix = anstream::adapter::strip_str(&matrix.to_string()).to_string();
    let widest = matrix.lines().map(|line| line.chars().count()).max();
    assert!(widest.is_some_and(|width| width <= 100), "{matrix}");
    let rows = matrix.lines().filter(|line| line.contains("  clean"));
    assert!(rows.count() >= 60, "not one row an incident:\n{matrix}");
}

/// The server that the test bed was built around survives the whole book.
#[test]
fn our_server_is_clean_on_every_incident() {
    for incident in incident::all() {
        assert_eq!(
            judged(incident, "hangup").verdict(),
            Verdict::Clean,
            "{}",
            incident.name
        );
    }
}

/// The incident that it began with, as the issue describes it.
#[test]
fn fasthttp_1834_never_ends_in_hyper_and_ends_at_the_deadline_in_ours() {
    let incident = incident::named("fasthttp-1834").expect("it is in the book");

    let hyper = judged(&incident, "hyper-timeouts");
    let finding = &hyper.findings[0];
    assert_eq!(
        (finding.kind, finding.never_ends, finding.phase),
        (Verdict::Hung, true, Some("body"))
    );
    assert!(
        finding
            .alive_for
            .is_some_and(|alive| alive.as_secs() > 105_000)
    );
    assert_eq!(
        finding.at.as_secs_f64(),
        75.08,
        "75 s after the 100 Continue reached the client"
    );

    // The report shows where it waits: in a read of the network's, for hyper's body decoder.
    let server = server::named("hyper-timeouts").expect("it is built in");
    let told = Cell::of(Engine::Leap, &incident, &*server, Detail::TOLD);
    let stacks: Vec<_> = told.run.stacks.values().collect();
    assert!(
        stacks.iter().any(|stack| {
            stack[0].starts_with("hangup_network::stream::TcpStream::poll_read at ")
                && stack.iter().any(|frame| frame.contains("Decoder::decode"))
        }),
        "{stacks:#?}"
    );

    let unbounded = judged(&incident, "hangup-unbounded");
    let finding = &unbounded.findings[0];
    assert_eq!(
        (finding.kind, finding.never_ends, finding.phase),
        (Verdict::Hung, true, Some("body"))
    );
}
