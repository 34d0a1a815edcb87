//! Results as one page that needs nothing else: the matrix, and the story of every cell with its picture.
//!
//! Whatever comes from a file or a network passes through the template's escaping; the page loads nothing, and says so
//! in its content security policy. Without scripts it still shows everything: a cell is a link to its story.

mod axis;
mod lanes;
mod swimlane;

use super::Results;
use super::aspect::{Aspect, explain};
use super::fold::printable;
use super::story::{self, Line};
use crate::cell::Cell;
use crate::finding::{Finding, spell};
use crate::trace::Actor;
use hangup_scenario::Verdict;
use maud::{DOCTYPE, Markup, PreEscaped, html};

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");
/// Nothing is loaded from anywhere.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/// The page.
pub fn page(results: &Results<'_>) -> String {
    let table = Table::of(results);
    let alone = results.cells.len() == 1;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { (printable(&results.title)) }
                style { (PreEscaped(STYLE)) }
            }
            body class=(if alone { "alone" } else { "many" }) {
                main id="matrix" {
                    @if alone {
                        p.summary { (printable(&results.title)) ": " (printable(&results.summary)) }
                    } @else {
                        header {
                            h1 { (printable(&results.title)) }
                            p.summary { (printable(&results.summary)) }
                        }
                        @if results.cells.is_empty() {
                            p.nothing { span.mark.good { "✓" } " Nothing was found." }
                        } @else {
                            (legend(results))
                            (table.markup())
                        }
                    }
                }
                @if let Some(coverage) = results.coverage { (coverage.markup()) }
                @for (cell, id) in results.cells.iter().zip(&table.ids) {
                    (story_of(cell, id, alone))
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// Rows are scenarios, columns servers, in the order in which they come first.
struct Table<'a> {
    scenarios: Vec<&'a str>,
    servers: Vec<&'a str>,
    /// By row and column: a cell and the id of its story.
    places: Vec<Option<(&'a Cell, usize)>>,
    ids: Vec<String>,
}

impl<'a> Table<'a> {
    fn of(results: &'a Results<'a>) -> Self {
        let (mut scenarios, mut servers) = (Vec::new(), Vec::new());
        let mut ids: Vec<String> = Vec::new();
        for cell in &results.cells {
            place(&mut scenarios, &cell.scenario.name);
            place(&mut servers, &cell.server);
        }
        let mut places = vec![None; scenarios.len() * servers.len()];
        for (index, cell) in results.cells.iter().enumerate() {
            let row = place(&mut scenarios, &cell.scenario.name);
            let column = place(&mut servers, &cell.server);
            places[row * servers.len() + column] = Some((*cell, index));
            let plain = |letter: char| match letter {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '.' | '_' => letter,
                _ => '-',
            };
            let name: String = cell.scenario.name.chars().map(plain).collect();
            let server: String = cell.server.chars().map(plain).collect();
            let mut id = format!("{name}@{server}");
            if ids.contains(&id) {
                id = format!("{id}-{index}");
            }
            ids.push(id);
        }
        Self {
            scenarios,
            servers,
            places,
            ids,
        }
    }

    /// How many cells of a column have findings.
    fn found(&self, column: usize) -> String {
        let cells = self.places.iter().skip(column).step_by(self.servers.len());
        let found = cells
            .flatten()
            .filter(|(cell, _)| !cell.findings.is_empty());
        match (found.count(), self.untold(column)) {
            (0, 0) => "clean".to_owned(),
            (0, untold) => format!("clean, {untold} not told"),
            (count, _) => format!("{count} found"),
        }
    }

    /// How many cells of a column say nothing of its server.
    fn untold(&self, column: usize) -> usize {
        let cells = self.places.iter().skip(column).step_by(self.servers.len());
        let untold = cells.flatten().filter(|(cell, _)| cell.untold().is_some());
        untold.count()
    }

    fn markup(&self) -> Markup {
        html! {
            div.scroll.matrix {
                table role="grid" aria-label="Scenarios by servers; a cell leads to its story" {
                    thead {
                        tr {
                            th.corner scope="col" { "scenario" }
                            @for (column, server) in self.servers.iter().enumerate() {
                                th scope="col" { (printable(server)) " " span.count { (self.found(column)) } }
                            }
                        }
                    }
                    tbody {
                        @for (row, scenario) in self.scenarios.iter().enumerate() {
                            tr {
                                th scope="row" { (printable(scenario)) }
                                @for column in 0..self.servers.len() {
                                    td { @if let Some((cell, index)) = self.places[row * self.servers.len() + column] {
                                        (pill(cell, &self.ids[index], row == 0 && column == 0))
                                        @if let Some(came) = &cell.came { p.note { (printable(came)) } }
                                    } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Where a name is in the list, to whose end it is put if it is new.
fn place<'a>(names: &mut Vec<&'a str>, name: &'a str) -> usize {
    names
        .iter()
        .position(|known| *known == name)
        .unwrap_or_else(|| {
            names.push(name);
            names.len() - 1
        })
}

/// How grave a kind is, as a class.
fn grade(kind: Verdict) -> &'static str {
    match kind {
        Verdict::Clean => "good",
        Verdict::Protocol | Verdict::Lost | Verdict::Hung | Verdict::Leftover => "bad",
        _ => "poor",
    }
}

/// A kind in a word that fits a cell.
fn short(kind: Verdict) -> &'static str {
    match kind {
        Verdict::Clean => "✓",
        Verdict::StuckShutdown => "stuck",
        Verdict::Nondeterministic => "differs",
        kind => kind.name(),
    }
}

/// A cell of the matrix: its two verdicts, and the way to its story.
fn pill(cell: &Cell, id: &str, first: bool) -> Markup {
    let verdicts = Aspect::BOTH.map(|aspect| (aspect, aspect.verdict(&cell.findings)));
    let news = cell.pinned().is_some_and(|pinned| pinned != cell.verdict());
    let told: Vec<String> = match cell.untold() {
        Some(why) => vec![format!("not told, {why}")],
        None => verdicts
            .iter()
            .map(|(aspect, kind)| format!("{} {kind}", aspect.name()))
            .collect(),
    };
    let label = format!(
        "{} on {}: {}{}",
        cell.scenario.name,
        cell.server,
        told.join(", "),
        if news { "; not what is pinned" } else { "" }
    );
    html! {
        a.pill.news[news] href=(format!("#{id}")) aria-label=(label) title=(label) tabindex=(if first { "0" } else { "-1" }) {
            @if cell.untold().is_some() {
                span.untold { "not told" }
            } @else {
                @for (_, kind) in verdicts {
                    span class=(grade(kind)) { (short(kind)) }
                }
            }
        }
    }
}

/// What the two halves of a cell mean, and the kinds of findings that there are in this page.
fn legend(results: &Results<'_>) -> Markup {
    let found = |kind: &Verdict| {
        results
            .cells
            .iter()
            .flat_map(|cell| &cell.findings)
            .any(|finding| finding.kind == *kind)
    };
    html! {
        details.legend open {
            summary { "How to read a cell" }
            div.halves {
                @for aspect in Aspect::BOTH {
                    section {
                        h2 { (aspect.name()) }
                        p { (aspect.question()) }
                        ul {
                            li { span.mark.good { "✓" } " yes" }
                            @for kind in Verdict::ALL.into_iter().filter(|kind| Aspect::of(*kind) == Some(aspect) && found(kind)) {
                                li { span class=(format!("mark {}", grade(kind))) { (short(kind)) } " " (explain(kind)) }
                            }
                        }
                    }
                }
            }
            @if results.cells.iter().any(|cell| cell.untold().is_some()) {
                p.note { span.mark.untold { "not told" } " The run says nothing of the server; its story says why." }
            }
            p.note { "The left half of a cell is behaviour, the right half close. A cell leads to its story: "
                kbd { "arrow keys" } " move, " kbd { "Enter" } " opens, " kbd { "Esc" } " comes back. A ring marks what is not pinned so." }
        }
    }
}

/// Everything about one cell.
fn story_of(cell: &Cell, id: &str, alone: bool) -> Markup {
    let scenario = &*cell.scenario;
    let heading = format!("{id}-heading");
    let name =
        html! { (printable(&scenario.name)) " " span.on { "on " (printable(&cell.server)) } };
    html! {
        section.story id=(id) role=(if alone { "region" } else { "dialog" }) aria-modal=[(!alone).then_some("true")] aria-labelledby=(heading) tabindex="-1" {
            article {
                @if !alone { a.back href="#matrix" aria-label="Back to the matrix" { "×" } }
                @if alone {
                    h1 id=(heading) { (name) }
                } @else {
                    h2 id=(heading) { (name) }
                }
                @if !scenario.title.is_empty() { p.title { (printable(&scenario.title)) } }
                (verdicts(cell))
                @if let Some(came) = &cell.came { p.note { (printable(came)) } }
                (swimlane::figure(cell))
                (key())
                @if let Some(finding) = cell.findings.iter().find(|finding| finding.task.is_some()) {
                    (stack(cell, finding))
                }
                (timeline(cell))
                (background(cell))
            }
        }
    }
}

fn verdicts(cell: &Cell) -> Markup {
    html! {
        @if let Some(why) = cell.untold() {
            p.verdicts { span.mark.untold { "not told" } " " (printable(why)) }
        } @else {
            dl.verdicts {
                @for aspect in Aspect::BOTH {
                    @let kind = aspect.verdict(&cell.findings);
                    div {
                        dt { (aspect.name()) }
                        dd { span class=(format!("mark {}", grade(kind))) { (kind.name()) } " " (explain(kind)) }
                    }
                }
            }
        }
        @if !cell.findings.is_empty() {
            ul.findings {
                @for finding in cell.findings.iter().take(4) {
                    li { strong class=(grade(finding.kind)) { (finding.kind.name()) } " " (printable(&finding.says)) }
                }
                @if cell.findings.len() > 4 { li.note { "and " (cell.findings.len() - 4) " more like these" } }
            }
        }
    }
}

/// The colours of the picture.
fn key() -> Markup {
    html! {
        ul.key aria-label="Colours of the picture" {
            li { i.read {} "waits for the request" }
            li { i.work {} "the application works" }
            li { i.write {} "sends the response" }
            li { i.rest {} "idle or closing" }
            li { i.due {} "time to its deadline" }
            li { i.over {} "past its deadline" }
            li { i.life {} "its task is alive" }
        }
    }
}

fn stack(cell: &Cell, finding: &Finding) -> Markup {
    html! {
        @if let Some(task) = &finding.task {
            h3 { "Where it is stuck" }
            p {
                "The task was spawned at " code { (task.spawned_at) }
                @if finding.kind == Verdict::Late {
                    " and, at " (spell(finding.at)) ", waited in"
                } @else {
                    " and waits in"
                }
            }
            @match cell.run.no_stacks {
                Some(why) => p.note { (why) },
                None => ol.stack {
                    @for frame in &task.stack {
                        @let (name, place) = frame.rsplit_once(" at ").unwrap_or((frame, ""));
                        li { code { (printable(name)) } " " span.place { (printable(place)) } }
                    }
                },
            }
        }
    }
}

fn timeline(cell: &Cell) -> Markup {
    html! {
        h3 { "Timeline" }
        div.scroll tabindex="0" role="group" aria-label="Timeline" {
            table.timeline {
                thead { tr { th scope="col" { "time" } th scope="col" { "who" } th scope="col" { "what" } } }
                tbody {
                    @for line in story::told(&cell.run) {
                        @match line {
                            Line::Skipped(count) => tr.skipped { td {} td {} td { (count) " lines are left out" } },
                            Line::Said { at, actor, connection, text, more } => {
                                tr.client[actor != Actor::Server] {
                                    td { (format!("{:.3} s", at.as_secs_f64())) }
                                    td { (story::who(actor, connection)) }
                                    td { (printable(&text)) @if more > 0 { span.note { " (and " (more) " times more, alike)" } } }
                                }
                            },
                        }
                    }
                }
            }
        }
    }
}

/// Where the scenario comes from, the contract, and how to see it again.
fn background(cell: &Cell) -> Markup {
    let scenario = &*cell.scenario;
    let contract = &cell.run.contract;
    html! {
        h3 { "Background" }
        dl.facts {
            @for (name, text) in [
                ("source", &scenario.source),
                ("what happened", &scenario.story.happened),
                ("what must hold", &scenario.story.must_hold),
                ("how it was verified", &scenario.story.verified),
            ] {
                @if !text.is_empty() { dt { (name) } dd { (printable(text)) } }
            }
            @for link in scenario.story.links.iter().filter(|link| link.starts_with("https://")) {
                dt { "see" }
                dd { a href=(link) rel="noreferrer" { (printable(link)) } }
            }
            dt { "contract" }
            dd { "at most " (spell(contract.stall)) " after the last byte, " (spell(contract.residence)) " in all, "
                (spell(contract.drain)) " after the client is gone" }
            dt { "run" }
            dd { "engine " (cell.run.engine) ", seed " (scenario.seed) ", trace " code { (format!("{:016x}", cell.run.hash)) } ", "
                (spell(cell.run.end())) " of simulated time" }
            @if let Some(pinned) = cell.pinned() { dt { "pinned" } dd { (pinned.name()) } }
            @for caveat in &cell.run.caveats { dt { "note" } dd { (printable(caveat)) } }
            dt { "again" }
            dd { code { (printable(&cell.replay())) } }
        }
    }
}
