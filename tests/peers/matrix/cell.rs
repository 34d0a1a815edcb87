//! Several runs of one incident against one server, in a few words.

use crate::told::{Came, Run};
use std::fmt::{self, Display, Formatter};

/// So many seconds apart two ends are the same to a reader.
const ALIKE: f64 = 1.0;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The server holds it.
    Open,
    /// The server said FIN, and let go of its socket then.
    Closed,
    /// The server said FIN, and let go of its socket later.
    Lingered,
    /// The server said FIN, and has not let go of its socket.
    Held,
    /// The server let go of it, and data that it had sent was not read yet.
    Dropped,
    /// The server's RST.
    Reset,
    /// The client left, and the server let go of it then.
    Served,
    /// The client left, and the server holds it.
    Left,
}

/// Connections that went the same way.
#[derive(Clone, Debug)]
struct Way {
    count: usize,
    statuses: Vec<u16>,
    end: End,
    /// When the server ended it, and when it let go of its socket.
    at: [f64; 2],
    /// An RST came, at once or behind a FIN.
    reset: bool,
}

impl Way {
    fn of(came: &Came) -> Self {
        let (fin, rst) = (came.fin_s, came.rst_s);
        let (released, gone) = (came.released_s, came.client_gone_s);
        let before = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => one <= other + ALIKE / 2.0,
            (one, _) => one.is_some(),
        };
        let (end, at) = match (fin, rst, released) {
            // An RST behind a FIN answers what came for a socket that is gone.
            (Some(fin), _, _) if before(Some(fin), gone) && before(Some(fin), rst) => {
                match released {
                    Some(at) if at - fin > ALIKE => (End::Lingered, [fin, at]),
                    Some(at) => (End::Closed, [fin, at]),
                    None => (End::Held, [fin, fin]),
                }
            }
            (_, Some(rst), _) if before(Some(rst), gone) => (End::Reset, [rst, rst]),
            (_, _, Some(at)) if gone.is_none() => (End::Dropped, [at, at]),
            (_, _, Some(at)) => (End::Served, [gone.unwrap_or(at), at]),
            _ if gone.is_some() => (End::Left, [0.0; 2]),
            _ => (End::Open, [0.0; 2]),
        };
        Self {
            count: 1,
            statuses: came.answers.iter().map(|answer| answer.status).collect(),
            end,
            at,
            reset: came.rst_s.is_some(),
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        let near = |index: usize| (self.at[index] - other.at[index]).abs() <= ALIKE;
        // Whether the FIN is seen that an RST comes behind of is a matter of milliseconds.
        let cut = |way: &Self| way.reset && matches!(way.end, End::Closed | End::Reset);
        let ends = self.end == other.end || (cut(self) && cut(other));
        self.statuses == other.statuses && ends && near(0) && near(1)
    }

    /// Is it the same as `first` behind another response?
    fn is_behind_another(&self, first: &Self) -> bool {
        let without = Self {
            statuses: self.statuses.iter().skip(1).copied().collect(),
            ..self.clone()
        };
        self.count == first.count && !self.statuses.is_empty() && without.is_like(first)
    }
}

/// Statuses that are told.
const STATUSES_MAX: usize = 3;

impl Display for Way {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.count > 1 {
            write!(f, "{} × ", self.count)?;
        }
        for status in self.statuses.iter().take(STATUSES_MAX) {
            write!(f, "{status} ")?;
        }
        if self.statuses.len() > STATUSES_MAX {
            f.write_str("… ")?;
        }
        let [at, released] = self.at.map(|at| format!("{at:.0} s"));
        match self.end {
            End::Open => write!(f, "open"),
            End::Closed => write!(f, "FIN {at}"),
            End::Lingered => write!(f, "FIN {at}, released {released}"),
            End::Held => write!(f, "FIN {at}, not released"),
            End::Dropped => write!(f, "released {at}"),
            End::Reset => write!(f, "RST {at}"),
            End::Served => write!(f, "client leaves"),
            End::Left => write!(f, "client leaves, open"),
        }
    }
}

/// What an incident came to in one run.
fn ways(run: &Run) -> Vec<Way> {
    let mut ways: Vec<Way> = Vec::new();
    for way in run.came.iter().map(Way::of) {
        match ways.iter_mut().find(|known| known.is_like(&way)) {
            Some(known) => known.count += 1,
            None => ways.push(way),
        }
    }
    ways.sort_by_key(|way| std::cmp::Reverse(way.count));
    ways
}

fn alike(one: &[Way], other: &[Way]) -> bool {
    let pairs = || one.iter().zip(other);
    one.len() == other.len()
        && pairs().all(|(one, other)| one.count == other.count && one.is_like(other))
}

/// What an incident came to in all runs.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    pub(crate) verdict: String,
    ways: Vec<Way>,
    /// Not every run came to the same.
    pub(crate) differs: bool,
}

impl Cell {
    /// The first run is told, and whether the others differ. None where there are none.
    pub(crate) fn of(runs: &[&Run]) -> Option<Self> {
        let all: Vec<(&str, Vec<Way>)> =
            runs.iter().map(|run| (run.verdict(), ways(run))).collect();
        let (verdict, first) = all.first()?;
        let same = |(other, ways): &(&str, Vec<Way>)| other == verdict && alike(first, ways);
        Some(Self {
            verdict: (*verdict).to_owned(),
            ways: first.clone(),
            differs: !all.iter().all(same),
        })
    }

    /// Is there nothing to say of it that is not said of `first`, for which a request was the first one?
    pub(crate) fn says_no_more_than(&self, first: &Self) -> bool {
        let behind = |(own, first): (&Way, &Way)| own.is_behind_another(first);
        self.verdict == first.verdict
            && self.differs == first.differs
            && self.ways.len() == first.ways.len()
            && self.ways.iter().zip(&first.ways).all(behind)
    }
}

impl Display for Cell {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.verdict.as_str() {
            "clean" => {}
            "timer" => f.write_str("*timer:* ")?,
            verdict => write!(f, "**{verdict}:** ")?,
        }
        let ways: Vec<String> = self.ways.iter().take(2).map(ToString::to_string).collect();
        f.write_str(&ways.join("; "))?;
        if self.ways.len() > 2 {
            f.write_str("; …")?;
        }
        f.write_str(if self.differs { " ≠" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(json: &str) -> Run {
        let text = format!(
            r#"{{"scenario": "x", "request": 1, "verdict": "clean", "open_because": [], "came": [{json}]}}"#
        );
        serde_json::from_str(&text).expect("it is a run")
    }

    fn told(runs: &[&str]) -> String {
        let runs: Vec<Run> = runs.iter().map(|json| run(json)).collect();
        Cell::of(&runs.iter().collect::<Vec<_>>())
            .expect("there are some")
            .to_string()
    }

    #[test]
    fn the_ends_are_told_apart() {
        for (json, due) in [
            (r#"{"answers": []}"#, "open"),
            (
                r#"{"answers": [], "fin_s": 5.1, "released_s": 5.2}"#,
                "FIN 5 s",
            ),
            (
                r#"{"answers": [], "fin_s": 5.1, "released_s": 5.2, "rst_s": 8.0}"#,
                "FIN 5 s",
            ),
            (
                r#"{"answers": [], "fin_s": 0.1, "released_s": 5.1}"#,
                "FIN 0 s, released 5 s",
            ),
            (r#"{"answers": [], "fin_s": 0.1}"#, "FIN 0 s, not released"),
            (
                r#"{"answers": [{"status": 408}], "rst_s": 3.0, "released_s": 3.0}"#,
                "408 RST 3 s",
            ),
            (
                r#"{"answers": [{"status": 200}], "released_s": 5.0}"#,
                "200 released 5 s",
            ),
            (
                r#"{"answers": [], "client_gone_s": 1.0, "released_s": 1.1}"#,
                "client leaves",
            ),
            (
                r#"{"answers": [], "client_gone_s": 1.0}"#,
                "client leaves, open",
            ),
            (
                r#"{"answers": [], "client_gone_s": 9.0, "fin_s": 5.0, "released_s": 5.1}"#,
                "FIN 5 s",
            ),
            (r#"{"answers": []}, {"answers": []}"#, "2 × open"),
        ] {
            assert_eq!(told(&[json]), due, "{json}");
        }
    }

    #[test]
    fn runs_that_differ_are_marked() {
        let open = r#"{"answers": []}"#;
        let at =
            |time: &str| format!(r#"{{"answers": [], "fin_s": {time}, "released_s": {time}}}"#);
        assert_eq!(told(&[open, open]), "open");
        assert_eq!(told(&[open, &at("5.0")]), "open ≠");
        assert_eq!(told(&[&at("5.0"), &at("5.9")]), "FIN 5 s");
        assert_eq!(told(&[&at("5.0"), &at("6.1")]), "FIN 5 s ≠");
        let reset = r#"{"answers": [], "rst_s": 0.1, "released_s": 0.1}"#;
        let behind = r#"{"answers": [], "fin_s": 0.1, "rst_s": 0.1, "released_s": 0.1}"#;
        assert_eq!(told(&[reset, behind]), "RST 0 s");
        assert_eq!(told(&[reset, &at("0.1")]), "RST 0 s ≠");
    }

    #[test]
    fn what_comes_behind_another_response_is_not_told_twice() {
        let cell = |json| Cell::of(&[&run(json)]).expect("there is one");
        let first = cell(r#"{"answers": [{"status": 408}], "fin_s": 5.0, "released_s": 5.0}"#);
        let same =
            r#"{"answers": [{"status": 200}, {"status": 408}], "fin_s": 5.2, "released_s": 5.2}"#;
        let other = r#"{"answers": [{"status": 200}], "fin_s": 5.2, "released_s": 5.2}"#;
        assert!(cell(same).says_no_more_than(&first));
        assert!(!cell(other).says_no_more_than(&first));
    }
}
