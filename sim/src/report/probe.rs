//! What a probe of a running server came to, on a terminal and as JSON: verdicts, and what came back and when.

use crate::campaign::probe::{Left, Ordinal, Probed};
use crate::finding::spell;
use crate::incident;
use crate::ledger::Connection;
use crate::report::fold;
use crate::report::json::CellJson;
use crate::report::text;
use hangup_scenario::Verdict;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

/// What one connection of a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    /// Statuses and when their heads came, counted from the connection's opening.
    pub answers: Vec<(u16, Duration)>,
    /// When the server's FIN came.
    pub fin: Option<Duration>,
    /// When an RST came.
    pub reset: Option<Duration>,
    /// When the server let go of its socket, as far as that was seen.
    pub released: Option<Duration>,
    /// Bytes that the server's kernel held behind the server's close, and until when, as far as that was seen.
    pub kernel: Option<(u64, Option<Duration>)>,
    /// When the client left.
    pub left: Option<Duration>,
    /// How long it was watched.
    pub watched: Duration,
    /// It came to a connection, and the server took it.
    pub taken: (bool, bool),
}

impl Came {
    fn of(connection: &Connection, end: Duration) -> Self {
        let opened = connection.opened.unwrap_or(connection.born);
        let since = |at: Duration| at.saturating_sub(opened);
        let responses = connection.responses.list.iter();
        Self {
            answers: responses.map(|one| (one.status, since(one.at))).collect(),
            fin: connection.server_shutdown.map(since),
            reset: connection.client_reset.map(|(at, _)| since(at)),
            released: connection.released.map(since),
            kernel: connection
                .kernel
                .filter(|kernel| {
                    kernel
                        .until
                        .is_none_or(|until| until >= kernel.from + LOOKS)
                })
                .map(|kernel| (kernel.bytes, kernel.until.map(since))),
            left: connection.client_closed.map(since),
            watched: since(end.max(opened)),
            taken: (connection.opened.is_some(), connection.accepted.is_some()),
        }
    }

    /// Is `other` the same with one more answer before it?
    fn is_like_behind_another(&self, other: &Self) -> bool {
        let alike = |one: Duration, other: Duration| one.abs_diff(other) < ALIKE;
        let ends = |came: &Self| [came.fin, came.reset, came.released, came.left];
        let ends_alike = ends(self).iter().zip(ends(other)).all(|pair| match pair {
            (Some(one), Some(other)) => alike(*one, other),
            (None, None) => true,
            _ => false,
        });
        let answers = other.answers.iter().skip(1);
        ends_alike
            && other.answers.len() == self.answers.len() + 1
            && self
                .answers
                .iter()
                .zip(answers)
                .all(|(one, other)| one.0 == other.0 && alike(one.1, other.1))
    }

    /// The same to a person, whatever the milliseconds.
    fn shape(&self) -> (Vec<u16>, [bool; 4]) {
        let ends = [self.fin, self.reset, self.released, self.left];
        (
            self.answers.iter().map(|(status, _)| *status).collect(),
            ends.map(|end| end.is_some()),
        )
    }
}

/// A time to a tenth of a second.
fn about(time: Duration) -> String {
    match time.as_secs() {
        0..=119 => {
            let text = format!("{:.1}", time.as_secs_f64());
            format!("{}s", text.trim_end_matches(".0"))
        }
        _ => spell(Duration::from_secs(time.as_secs())).replace(' ', ""),
    }
}

impl Display for Came {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        for (status, at) in self.answers.iter().take(ANSWERS_MAX) {
            parts.push(format!("{status} at {}", about(*at)));
        }
        if let Some(more @ 1..) = self.answers.len().checked_sub(ANSWERS_MAX) {
            parts.push(format!("{more} more"));
        }
        // An RST is the release, unless that was long before it: then it answers what came for a socket that is gone.
        let long_before = |at: Duration| {
            self.reset
                .is_none_or(|reset| at + LOOKS < reset || reset < at)
        };
        let mut ends = [
            ("FIN", self.fin),
            ("RST", self.reset),
            ("client gone", self.left),
            ("released", self.released.filter(|at| long_before(*at))),
        ];
        ends.sort_by_key(|(_, at)| *at);
        let ends = ends.into_iter().filter_map(|(what, at)| Some((what, at?)));
        parts.extend(ends.map(|(what, at)| format!("{what} at {}", about(at))));
        match (self.taken, self.released) {
            ((false, _), _) => parts.push("not connected".to_owned()),
            (_, Some(_)) => {}
            ((_, false), None) => parts.push(format!("not accepted in {}", about(self.watched))),
            (_, None) if self.fin.is_some() => {
                parts.push(format!("held after {}", about(self.watched)));
            }
            (_, None) => parts.push(format!("open after {}", about(self.watched))),
        }
        match self.kernel {
            Some((_, Some(until))) => parts.push(format!("kernel until {}", about(until))),
            Some((bytes, None)) => parts.push(format!(
                "kernel holds {bytes} bytes after {}",
                about(self.watched)
            )),
            None => {}
        }
        f.write_str(&parts.join(", "))
    }
}

/// So much later than it was, at most, a release is seen.
const LOOKS: Duration = Duration::from_millis(300);

/// Statuses of one connection that are told.
const ANSWERS_MAX: usize = 4;

/// What the connections of a run came to, those alike together.
pub fn came(probed: &Probed) -> String {
    let run = &probed.cell.run;
    let mut shapes: Vec<(Came, usize)> = Vec::new();
    for connection in run.connections.iter().filter(|one| !one.probe) {
        let came = Came::of(connection, run.search.from);
        match shapes
            .iter_mut()
            .find(|(known, _)| known.shape() == came.shape())
        {
            Some((_, count)) => *count += 1,
            None => shapes.push((came, 1)),
        }
    }
    let told = shapes.iter().map(|(came, count)| match count {
        1 => came.to_string(),
        count => format!("{count} x {came}"),
    });
    told.collect::<Vec<_>>().join("; ")
}

/// The same, and the timers that explain it.
pub fn told(probed: &Probed) -> String {
    let mut parts = vec![came(probed)];
    parts.extend(probed.excused.iter().map(|reason| format!("({reason})")));
    parts.join(" ")
}

/// So far apart two runs are when they count as the same.
const ALIKE: Duration = Duration::from_millis(700);

/// Did the second one come to the same behind the response to its first request?
fn same(first: &Probed, second: &Probed) -> bool {
    let all = |probed: &Probed| -> Vec<Came> {
        let run = &probed.cell.run;
        let own = run.connections.iter().filter(|one| !one.probe);
        own.map(|one| Came::of(one, run.search.from)).collect()
    };
    let (first, second) = (all(first), all(second));
    first.len() == second.len()
        && first
            .iter()
            .zip(&second)
            .all(|(one, other)| one.taken == other.taken && one.is_like_behind_another(other))
}

/// The cell as `hangup run --json` has it, with what came and when.
pub fn json(probed: &Probed) -> Value {
    let mut cell = json!(CellJson::from(&probed.cell));
    let seconds = |time: Duration| (time.as_secs_f64() * 1000.0).round() / 1000.0;
    let run = &probed.cell.run;
    let came = run.connections.iter().filter(|one| !one.probe).map(|one| {
        let came = Came::of(one, run.search.from);
        let answers = came.answers.iter();
        json!({
            "id": one.id,
            "answers": answers.map(|(status, at)| json!({ "status": status, "at_s": seconds(*at) })).collect::<Vec<_>>(),
            "fin_s": came.fin.map(seconds),
            "rst_s": came.reset.map(seconds),
            "released_s": came.released.map(seconds),
            "kernel_bytes": came.kernel.map(|(bytes, _)| bytes),
            "kernel_until_s": came.kernel.and_then(|(_, until)| until).map(seconds),
            "client_gone_s": came.left.map(seconds),
            "watched_s": seconds(came.watched),
        })
    });
    let came: Vec<Value> = came.collect();
    if let Some(fields) = cell.as_object_mut() {
        fields.insert("request".to_owned(), json!(probed.ordinal as u8 + 1));
        fields.insert("healthy".to_owned(), json!(probed.healthy));
        fields.insert("came".to_owned(), json!(came));
        fields.insert("open_because".to_owned(), json!(probed.excused));
    }
    cell
}

/// What is left out, as JSON.
pub fn left_json(left: &Left) -> Value {
    json!({
        "scenario": left.name,
        "request": left.ordinal.map(|ordinal| ordinal as u8 + 1),
        "why": left.why,
    })
}

/// The matrix: a row an incident, a column for each place of its request, and what came back.
#[derive(Debug)]
pub struct Matrix<'a> {
    /// What was run.
    pub probed: &'a [Probed],
    /// What was not.
    pub left: &'a [Left],
}

/// Widths of the verdict columns.
const WIDTH: usize = 9;

impl Display for Matrix<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names = self.probed.iter().map(|one| one.cell.scenario.name.len());
        let first = names.max().unwrap_or(0);
        writeln!(
            f,
            "{:first$}  {:WIDTH$}{:WIDTH$}what came back, and when (as 2nd request, where that differs)",
            "", "1st", "2nd"
        )?;
        let mut part = String::new();
        let mut rows: Vec<(&str, [Option<&Probed>; 2])> = Vec::new();
        for one in self.probed {
            let name = one.cell.scenario.name.as_str();
            let place = one.ordinal as usize;
            match rows.last_mut() {
                Some((last, cells)) if *last == name => cells[place] = Some(one),
                _ => {
                    let mut cells = [None, None];
                    cells[place] = Some(one);
                    rows.push((name, cells));
                }
            }
        }
        for (name, cells) in rows {
            let Some(any) = cells[0].or(cells[1]) else {
                continue;
            };
            let heading = match any.healthy {
                true => "Healthy clients",
                false => {
                    let theme = &any.cell.scenario.story.theme;
                    incident::heading(theme).unwrap_or(theme)
                }
            };
            if heading != part {
                heading.clone_into(&mut part);
                writeln!(f, "{}", text::dim(heading))?;
            }
            row(f, first, name, cells)?;
        }
        self.rest(f)
    }
}

fn row(
    f: &mut Formatter<'_>,
    first: usize,
    name: &str,
    cells: [Option<&Probed>; 2],
) -> fmt::Result {
    write!(f, "{name:first$}  ")?;
    for cell in cells {
        match cell {
            Some(probed) => {
                let (word, coloured) = word(probed);
                write!(f, "{coloured}{:1$}", "", WIDTH.saturating_sub(word.len()))?;
            }
            None => write!(f, "{:WIDTH$}", "-")?,
        }
    }
    let told = cells.map(|cell| cell.map(came));
    let told = match (told, cells) {
        ([Some(one), Some(_)], [Some(first), Some(second)]) if same(first, second) => {
            [Some(one), None]
        }
        (told, _) => told,
    };
    let start = " ".repeat(first + 2 + 2 * WIDTH);
    let lines = match told {
        [Some(one), Some(other)] => vec![one, format!("2nd: {other}")],
        [Some(one), None] => vec![one],
        [None, Some(other)] => vec![format!("2nd: {other}")],
        [None, None] => Vec::new(),
    };
    for (index, line) in lines.iter().enumerate() {
        let folded = fold::behind(&start, line);
        match index {
            0 => writeln!(f, "{}", folded.trim_start())?,
            _ => writeln!(f, "{folded}")?,
        }
    }
    let mut said: Vec<&str> = Vec::new();
    for reason in cells.into_iter().flatten().flat_map(|one| &one.excused) {
        if !said.contains(&reason.as_str()) {
            said.push(reason);
            writeln!(f, "{}", fold::behind(&start, &format!("({reason})")))?;
        }
    }
    Ok(())
}

/// A verdict in a word, plain and coloured; open for a known reason is neither clean nor found.
fn word(probed: &Probed) -> (String, String) {
    let verdict = probed.cell.verdict();
    if verdict == Verdict::Clean && !probed.excused.is_empty() {
        return ("timer".to_owned(), text::dim("timer"));
    }
    (verdict.to_string(), text::verdict(verdict))
}

impl Matrix<'_> {
    /// What was not run: by reason.
    fn rest(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for left in self.left {
            let place = match left.ordinal {
                None => String::new(),
                Some(Ordinal::First) => " (1st)".to_owned(),
                Some(Ordinal::Second) => " (2nd)".to_owned(),
            };
            let names = reasons.entry(&left.why).or_default();
            names.push(format!("{}{place}", left.name));
        }
        if !reasons.is_empty() {
            writeln!(f, "\nnot applicable")?;
        }
        for (why, names) in reasons {
            let line = format!("{}: {}", fold::printable(why), names.join(", "));
            writeln!(f, "{}", fold::behind("  ", &line))?;
        }
        Ok(())
    }
}
