//! A run as a picture: for each connection a lane for its client, the packets between, and the server's phases with
//! their deadlines.

use super::axis::Axis;
use super::lanes::{Arrow, Lanes, Waiting};
use crate::cell::Cell;
use crate::finding::spell;
use maud::{Markup, html};
use std::time::Duration;

/// So many connections are drawn; the rest is counted.
const CONNECTIONS_MAX: usize = 4;

const WIDTH: f64 = 1060.0;
/// Names of the lanes are left of this.
const LEFT: f64 = 96.0;
/// What never ends goes on right of this.
const RIGHT: f64 = 960.0;
/// As far as there.
const NEVER: f64 = 970.0;
const HEADER: f64 = 52.0;
const CLIENT: f64 = 22.0;
const WIRE: f64 = 86.0;
const SERVER: f64 = 24.0;
/// Deadlines and the task, below the server's phases.
const BELOW: f64 = 34.0;
const BLOCK: f64 = CLIENT + WIRE + SERVER + BELOW + 22.0;
/// How wide a letter is, nearly, in the picture's two sizes.
const LETTER: f64 = 6.2;
const SMALL: f64 = 5.6;
/// The same for the bold labels of packets.
const BOLD: f64 = 6.6;

/// The picture of a run; a sentence where there is nothing to draw.
pub(super) fn figure(cell: &Cell) -> Markup {
    let chosen = chosen(cell);
    let all = cell
        .run
        .connections
        .iter()
        .filter(|it| it.of_scenario())
        .count();
    if chosen.is_empty() {
        return html! { p.note { "No connection was made, so there is nothing to draw." } };
    }
    let lanes: Vec<Lanes> = chosen.iter().map(|&id| Lanes::of(&cell.run, id)).collect();
    let instants = lanes.iter().flat_map(Lanes::instants);
    let axis = Axis::new(instants.chain([Duration::ZERO]), LEFT, RIGHT);
    let height = HEADER + BLOCK * lanes.len() as f64;
    let dear: Vec<Duration> = lanes.iter().flat_map(Lanes::dear).collect();
    let label = format!(
        "{} on {}: what clients, network and server did over {}",
        cell.scenario.name,
        cell.server,
        spell(axis.end())
    );
    html! {
        // It may be wider than the page; then it is scrolled, with the keyboard too.
        div.scroll tabindex="0" role="group" aria-label="Picture of the run; the timeline below says the same in words" {
            svg.swim role="img" aria-label=(label) viewBox=(format!("0 0 {WIDTH} {height}")) {
                (time(&axis, &dear, height))
                @for (index, lanes) in lanes.iter().enumerate() {
                    (block(&axis, lanes, HEADER + BLOCK * index as f64))
                }
            }
        }
        @if all > chosen.len() {
            p.note { (all - chosen.len()) " more connections are not drawn." }
        }
    }
}

/// The connections to draw: those with findings first.
fn chosen(cell: &Cell) -> Vec<u32> {
    let guilty = cell
        .findings
        .iter()
        .filter_map(|finding| finding.connection);
    let rest = cell.run.connections.iter().filter(|it| it.of_scenario());
    let mut chosen = Vec::new();
    for id in guilty.chain(rest.map(|connection| connection.id)) {
        if chosen.len() == CONNECTIONS_MAX {
            break;
        }
        if !chosen.contains(&id) {
            chosen.push(id);
        }
    }
    chosen.sort_unstable();
    chosen
}

/// A coordinate, to a tenth.
fn n(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// As much of a text as there is room for; nothing where that would be too little to read.
fn fit(text: &str, room: f64, letter: f64) -> String {
    let most = (room / letter) as usize;
    match text.chars().count() {
        count if count <= most => text.to_owned(),
        _ if most < 4 => String::new(),
        _ => text.chars().take(most - 1).chain(['…']).collect(),
    }
}

/// A text where there is room for all of it: half of a time would be another time.
fn whole(text: &str, room: f64) -> &str {
    if text.len() as f64 * SMALL <= room {
        text
    } else {
        ""
    }
}

/// The axis, with its breaks.
fn time(axis: &Axis, dear: &[Duration], height: f64) -> Markup {
    let line = HEADER - 12.0;
    html! {
        @for leap in axis.leaps() {
            rect.leap x=(n(leap.from)) y=(n(line)) width=(n(leap.to - leap.from)) height=(n(height - line)) {}
        }
        path.axis d=(format!("M{} {}H{}", n(LEFT), n(line), n(RIGHT))) {}
        @for (x, label) in axis.labels(dear, LETTER) {
            path.grid d=(format!("M{} {}V{}", n(x), n(line - 5.0), n(height))) {}
            text.tick x=(n(x)) y="14" text-anchor="middle" { (label) }
        }
        @for leap in axis.leaps() {
            @let middle = (leap.from + leap.to) / 2.0;
            path.break d=(format!("M{} {}l3 -5l6 10l3 -5", n(middle - 6.0), n(line))) {
                title { (spell(leap.time)) " in little room" }
            }
            @let time = spell(leap.time);
            @let text = whole(&time, leap.to - leap.from - 4.0);
            text.leapt x=(n(middle)) y=(n(line - 8.0)) text-anchor="middle" { (text) }
        }
    }
}

/// One connection.
fn block(axis: &Axis, lanes: &Lanes, top: f64) -> Markup {
    let wire = top + CLIENT;
    let server = wire + WIRE;
    html! {
        text.lane x="0" y=(n(top + 15.0)) { (lanes.client) }
        text.sub x="0" y=(n(wire + 18.0)) { "connection " (lanes.id) }
        text.lane x="0" y=(n(server + 16.0)) { "server" }
        (client(axis, lanes, top))
        (packets(axis, lanes, wire, server))
        (phases(axis, lanes, server))
    }
}

fn client(axis: &Axis, lanes: &Lanes, top: f64) -> Markup {
    html! {
        path.rail d=(format!("M{} {}H{}", n(LEFT), n(top + CLIENT), n(RIGHT))) {}
        @for step in &lanes.steps {
            @let (from, to) = (axis.x(step.from), axis.x(step.to));
            @if to - from > 3.0 {
                g.step {
                    rect x=(n(from)) y=(n(top + 2.0)) width=(n(to - from)) height=(n(CLIENT - 4.0)) rx="3" { title { (step.text) } }
                    text x=(n(from + 5.0)) y=(n(top + 15.0)) { (fit(&step.text, to - from - 8.0, LETTER)) }
                }
            } @else {
                circle.act cx=(n(to)) cy=(n(top + CLIENT)) r="3.5" { title { (step.text) } }
            }
        }
    }
}

fn packets(axis: &Axis, lanes: &Lanes, top: f64, bottom: f64) -> Markup {
    let mut taken: Vec<[f64; 4]> = Vec::new();
    html! {
        path.rail d=(format!("M{} {}H{}", n(LEFT), n(bottom), n(RIGHT))) {}
        @for arrow in &lanes.arrows {
            @let (y0, y1) = if arrow.up { (top, bottom) } else { (bottom, top) };
            @let x0 = axis.x(arrow.at);
            @let (x1, y1) = match arrow.arrives {
                Some(arrives) => (axis.x(arrives), y1),
                None => (x0 + 8.0, (y0 + y1) / 2.0),
            };
            g class=(format!("packet {} {}", if arrow.up { "up" } else { "down" }, arrow.class)) {
                title { (arrow.title) }
                path d=(format!("M{} {}L{} {}", n(x0), n(y0), n(x1), n(y1))) {}
                @if arrow.arrives.is_some() {
                    @let back = if arrow.up { -6.0 } else { 6.0 };
                    path.head d=(format!("M{} {}l-3.5 {back}h7z", n(x1), n(y1))) {}
                } @else {
                    path d=(format!("M{} {}l6 6m0 -6l-6 6", n(x1 - 3.0), n(y1 - 3.0))) {}
                }
                @if let Some((x, y)) = place(arrow, [x0, y0, x1, y1], &mut taken) {
                    text.said x=(n(x)) y=(n(y)) { (arrow.label) }
                }
            }
        }
        @if lanes.undrawn > 0 {
            text.sub x="0" y=(n(top + 34.0)) { (lanes.undrawn) " packets" }
            text.sub x="0" y=(n(top + 46.0)) { "not drawn" }
        }
    }
}

/// Where there is room for an arrow's label: right of it, nearer to its source first.
fn place(
    arrow: &Arrow,
    [x0, y0, x1, y1]: [f64; 4],
    taken: &mut Vec<[f64; 4]>,
) -> Option<(f64, f64)> {
    if arrow.label.is_empty() {
        return None;
    }
    let width = arrow.label.chars().count() as f64 * BOLD;
    for part in [0.25, 0.42, 0.6, 0.78, 0.92] {
        let (x, y) = (x0 + (x1 - x0) * part + 5.0, y0 + (y1 - y0) * part + 4.0);
        let free = |[left, up, right, down]: &[f64; 4]| {
            x + width < *left || x > *right || y < *up || y - 10.0 > *down
        };
        if x + width < WIDTH && taken.iter().all(free) {
            taken.push([x, y - 10.0, x + width, y]);
            return Some((x, y));
        }
    }
    None
}

fn phases(axis: &Axis, lanes: &Lanes, top: f64) -> Markup {
    let deadline_top = top + SERVER + 3.0;
    let task_top = top + SERVER + 18.0;
    let edge = if lanes.stuck { NEVER } else { RIGHT };
    html! {
        @for phase in &lanes.phases {
            @let from = axis.x(phase.from);
            @let to = if phase.to >= axis.end() { edge } else { axis.x(phase.to) };
            g class=(format!("phase {}", phase.class)) {
                title { (told(phase)) }
                rect x=(n(from)) y=(n(top + 1.0)) width=(n((to - from).max(1.0))) height=(n(SERVER - 2.0)) {}
                text x=(n(from + 4.0)) y=(n(top + 16.0)) { (fit(phase.name, to - from - 5.0, LETTER)) }
            }
            @if let Some(deadline) = phase.deadline {
                // A deadline that was not reached is drawn as far as the phase went.
                @let met = deadline <= phase.to;
                @let until = if met { axis.x(deadline) } else { to };
                rect.budget x=(n(from)) y=(n(deadline_top)) width=(n((until - from).max(1.0))) height="5" {
                    title { (phase.name) " is due at " (spell(deadline)) }
                }
                @if met {
                    path.due d=(format!("M{} {}v12", n(until), n(deadline_top - 4.0))) {
                        title { (phase.name) " is due at " (spell(deadline)) }
                    }
                }
            } @else {
                text.sub x=(n(from + 2.0)) y=(n(deadline_top + 7.0)) { (fit("no deadline", to - from, SMALL)) }
            }
        }
        @if let Some(breach) = lanes.breach {
            @let from = axis.x(breach);
            @let to = if lanes.stuck { edge } else { axis.x(lanes.ended) };
            rect.overdue x=(n(from)) y=(n(deadline_top)) width=(n((to - from).max(2.0))) height="7" {
                title { "past its deadline from " (spell(breach)) " on" }
            }
            @let text = format!("overdue since {}", spell(breach));
            text.late x=(n((to - 4.0).min(RIGHT))) y=(n(task_top + 16.0)) text-anchor="end" { (text) }
        }
        @for task in &lanes.tasks {
            @let from = axis.x(task.0);
            @let to = task.1.map_or(edge, |ended| axis.x(ended));
            rect class=(if task.1.is_none() { "task stuck" } else { "task" }) x=(n(from)) y=(n(task_top)) width=(n((to - from).max(1.0))) height="2.5" rx="1" {
                title { "its task" }
            }
        }
        @if lanes.stuck {
            path.never d=(format!("M{} {}l12 {half}l-12 {half}z", n(edge), n(top + 1.0), half = n(SERVER / 2.0 - 1.0))) {}
            text.late x=(n(edge + 16.0)) y=(n(top + 16.0)) { (if lanes.never { "never ends" } else { "still held" }) }
        } @else if let Some(reason) = &lanes.reason {
            @let x = axis.x(lanes.ended) + 5.0;
            text.reason x=(n(x)) y=(n(top + 16.0)) { (fit(reason, WIDTH - x, LETTER)) }
        }
    }
}

fn told(phase: &Waiting) -> String {
    let by = if phase.told {
        "the server says"
    } else {
        "seen from outside"
    };
    let until = phase
        .deadline
        .map_or("without a deadline".to_owned(), |deadline| {
            format!("due at {}", spell(deadline))
        });
    format!(
        "{} from {} to {}, {until} ({by})",
        phase.name,
        spell(phase.from),
        spell(phase.to)
    )
}
