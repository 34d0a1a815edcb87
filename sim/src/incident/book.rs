use super::{THEMES, all, named};
use crate::server;
use hangup_scenario::{Scenario, Verdict};
use std::fmt::Write;

/// A behaviour that was also measured over loopback: what it is, its incident, what came of it on hyper, on hyper with
/// its timeout for heads and on axum, and why the verdict differs where it does.
struct Measured {
    behaviour: &'static str,
    incident: &'static str,
    found: [&'static str; 3],
    note: &'static str,
}

/// The servers that were measured.
const MEASURED_SERVERS: [&str; 3] = ["hyper", "hyper-timeouts", "axum"];

const fn measured(
    behaviour: &'static str,
    incident: &'static str,
    found: [&'static str; 3],
    note: &'static str,
) -> Measured {
    Measured {
        behaviour,
        incident,
        found,
        note,
    }
}

const OPEN: &str = "open";
const CLOSED: &str = "closed";
const NOT_MEASURED: &str = "not measured";

/// hyper 1.12.0 (with a timeout of 3 s), axum 0.8.9, over loopback for 40 s; one connection each unless the note says otherwise.
const MEASURED: [Measured; 28] = [
    measured(
        "connect, send nothing",
        "connect-silence",
        [OPEN, CLOSED, OPEN],
        "",
    ),
    measured("half a head", "half-head", [OPEN, CLOSED, OPEN], ""),
    measured(
        "a head, a line a second",
        "head-trickle",
        [OPEN, CLOSED, OPEN],
        "",
    ),
    measured("a body stops", "body-ten-bytes", [OPEN, OPEN, OPEN], ""),
    measured(
        "a body, a byte a second",
        "body-trickle",
        [OPEN, OPEN, OPEN],
        "this body is whole after 1003 s; then hyper's timeout closes the idle connection",
    ),
    measured(
        "Expect, 100, silence",
        "fasthttp-1834",
        [OPEN, OPEN, OPEN],
        "",
    ),
    measured(
        "chunked, no last chunk",
        "body-chunked",
        [OPEN, OPEN, OPEN],
        "",
    ),
    measured(
        "idle after a response",
        "idle-keep-alive",
        [OPEN, CLOSED, OPEN],
        "",
    ),
    measured(
        "half of the second head",
        "second-head-half",
        [OPEN, CLOSED, OPEN],
        "",
    ),
    measured(
        "a big response, never read",
        "response-never-read",
        [OPEN, OPEN, OPEN],
        "",
    ),
    measured(
        "Expect, 403, silence",
        "expect-refused-silence",
        [CLOSED, CLOSED, CLOSED],
        "",
    ),
    measured(
        "Expect in HTTP/1.0",
        "expect-http10",
        ["no 100", "no 100", "no 100"],
        "",
    ),
    measured(
        "Expect: something else",
        "expect-unknown",
        ["200", "200", "200"],
        "417 is a MAY",
    ),
    measured(
        "Expect without a body",
        "expect-without-body",
        ["no 100", "no 100", "no 100"],
        "",
    ),
    measured(
        "the next request after an early 403",
        "expect-next-instead",
        [CLOSED, CLOSED, CLOSED],
        "",
    ),
    measured(
        "`close` and a second request in one segment",
        "close-then-request",
        ["one answer", "one answer", "one answer"],
        "",
    ),
    measured(
        "Content-Length and Transfer-Encoding",
        "length-and-chunked",
        [CLOSED, CLOSED, CLOSED],
        "",
    ),
    measured(
        "Transfer-Encoding in HTTP/1.0",
        "chunked-in-http10",
        ["400", "400", "400"],
        "",
    ),
    measured(
        "no Host",
        "host-missing",
        ["200", "200", "200"],
        "a MUST of RFC 9112; hyper leaves it to its application",
    ),
    measured(
        "GET, then FIN at once",
        "half-close-after-request",
        ["0 of 5 lost", NOT_MEASURED, "2 of 5 lost"],
        "over loopback it is chance whether one poll sees both; here it always does",
    ),
    measured(
        "FIN within a body",
        "half-close-mid-body",
        ["400", "400", "400"],
        "",
    ),
    measured(
        "an early 403 to a long upload",
        "early-reply-erased",
        ["no linger", "no linger", "no linger"],
        "Linux still hands out what an RST overtakes; here the client's stack erases it",
    ),
    measured(
        "shutdown, a silent connection",
        "shutdown-silence",
        [NOT_MEASURED, NOT_MEASURED, "returns"],
        "",
    ),
    measured(
        "shutdown, an idle connection",
        "shutdown-idle",
        [NOT_MEASURED, NOT_MEASURED, "returns"],
        "",
    ),
    measured(
        "shutdown, half of the second head",
        "shutdown-second-head",
        [NOT_MEASURED, NOT_MEASURED, "returns"],
        "",
    ),
    measured(
        "shutdown, half of the first head",
        "shutdown-first-head",
        [NOT_MEASURED, NOT_MEASURED, "waits"],
        "",
    ),
    measured(
        "shutdown, a body has stopped",
        "shutdown-body",
        [NOT_MEASURED, NOT_MEASURED, "waits"],
        "",
    ),
    measured(
        "shutdown, Expect and silence",
        "shutdown-expect",
        [NOT_MEASURED, NOT_MEASURED, "waits"],
        "",
    ),
];

/// The book as a page of Markdown, made from the files: `hangup list --book` prints it.
pub fn page() -> String {
    let incidents = all();
    let mut page = String::from(
        "# The incident book\n\n\
        <!-- Made from the files beside it by `hangup list --book`; a test compares. -->\n\n",
    );
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "{} things that clients did to servers in the real world, each a scenario that every built-in server is put \
        through. `hangup check` prints who is convicted of what, `hangup run NAME --server NAME` tells the story of one \
        of them. What each server comes to is pinned in the files, and a test holds the pins: a change is news.\n\n\
        How a finding is read stands in the project's README. A server that is not named under *Convicted* is clean.\n",
        incidents.len()
    );
    totals(&mut page, incidents);
    comparison(&mut page);
    for (theme, heading) in THEMES {
        let mut of_theme = incidents
            .iter()
            .filter(|incident| incident.story.theme == theme)
            .peekable();
        if of_theme.peek().is_some() {
            let _ = writeln!(page, "## {heading}\n");
            of_theme.for_each(|incident| tell(&mut page, incident));
        }
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// How many incidents convict each server.
fn totals(page: &mut String, incidents: &[impl AsRef<Scenario>]) {
    page.push_str("| server | convicted in | of |\n|---|---|---|\n");
    for server in server::built_in() {
        let mut kinds: Vec<(Verdict, usize)> = Vec::new();
        for kind in Verdict::ALL {
            let count = incidents
                .iter()
                .filter(|incident| incident.as_ref().expect.get(server.name()) == Some(&kind))
                .count();
            if kind != Verdict::Clean && count > 0 {
                kinds.push((kind, count));
            }
        }
        let all: usize = kinds.iter().map(|(_, count)| count).sum();
        let kinds: Vec<String> = kinds
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let _ = writeln!(
            page,
            "| `{}` | {all} | {} |",
            server.name(),
            kinds.join(", ")
        );
    }
    page.push('\n');
}

/// The verdicts beside what was measured.
fn comparison(page: &mut String) {
    page.push_str(
        "## Beside real sockets\n\n\
        What hyper 1.12.0, the same with a timeout of 3 s for heads, and axum 0.8.9 did over loopback, 40 s each, and what \
        they come to here. *open*: open after 40 s with no timer that could fire; *waits*: not back 25 s after the signal.\n\n\
        | client | incident | hyper | hyper-timeouts | axum | |\n|---|---|---|---|---|---|\n",
    );
    for row in &MEASURED {
        let Some(incident) = named(row.incident) else {
            continue;
        };
        let _ = write!(page, "| {} | `{}` |", row.behaviour, row.incident);
        for (server, found) in MEASURED_SERVERS.iter().zip(row.found) {
            let verdict = incident
                .expect
                .get(*server)
                .map_or("", |verdict| verdict.name());
            let _ = write!(page, " {found}: {verdict} |");
        }
        let _ = writeln!(page, " {} |", row.note);
    }
    page.push('\n');
}

fn tell(page: &mut String, incident: &Scenario) {
    let story = &incident.story;
    let source = match story.links.as_slice() {
        [link] => format!("[{}]({link})", incident.source),
        links => {
            let links: Vec<String> = links
                .iter()
                .enumerate()
                .map(|(index, link)| format!("[{}]({link})", index + 1))
                .collect();
            format!("{} ({})", incident.source, links.join(", "))
        }
    };
    let convicted: Vec<String> = server::built_in()
        .iter()
        .filter_map(|server| {
            let verdict = incident.expect.get(server.name())?;
            (*verdict != Verdict::Clean).then(|| format!("`{}` {verdict}", server.name()))
        })
        .collect();
    let convicted = match convicted.as_slice() {
        [] => "nobody".to_owned(),
        convicted => convicted.join(", "),
    };
    let _ = writeln!(
        page,
        "### {}\n\n`{}`, from {source}\n\n{}\n\n*Must hold:* {}\n\n*Convicted:* {convicted}\n\n*Verified:* {}\n",
        incident.title, incident.name, story.happened, story.must_hold, story.verified
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_measurement_has_its_incident() {
        for row in &MEASURED {
            assert!(named(row.incident).is_some(), "{}", row.incident);
        }
    }

    #[test]
    fn the_page_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/incidents/README.md");
        let written = std::fs::read_to_string(path).expect("the page is part of the checkout");
        assert!(
            written == page(),
            "cargo run --release -- list --book > tests/incidents/README.md"
        );
    }
}
