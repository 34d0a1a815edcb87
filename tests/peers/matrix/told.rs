//! What `hangup probe --json` says.

use serde::Deserialize;

/// One probe of one server.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Told {
    pub(crate) cells: Vec<Run>,
    pub(crate) not_applicable: Vec<Left>,
    pub(crate) counts: Vec<Count>,
    pub(crate) sockets_seen: bool,
    pub(crate) serves_afterwards: bool,
    pub(crate) wall_s: f64,
}

/// One incident, as the first or the second request.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) scenario: String,
    pub(crate) request: u8,
    pub(crate) verdict: String,
    pub(crate) came: Vec<Came>,
    pub(crate) open_because: Vec<String>,
}

/// One of its connections; times are seconds since it was opened.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Came {
    pub(crate) answers: Vec<Answer>,
    pub(crate) fin_s: Option<f64>,
    pub(crate) rst_s: Option<f64>,
    pub(crate) released_s: Option<f64>,
    pub(crate) client_gone_s: Option<f64>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) status: u16,
}

/// What was not run.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Left {
    pub(crate) scenario: String,
    pub(crate) why: String,
}

/// A count of the server's own.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Count {
    pub(crate) what: String,
    pub(crate) before: f64,
    pub(crate) after: f64,
    pub(crate) back: bool,
}

impl Run {
    /// The verdict, where open for a known reason is one of its own.
    pub(crate) fn verdict(&self) -> &str {
        match (self.verdict.as_str(), self.open_because.is_empty()) {
            ("clean", false) => "timer",
            (verdict, _) => verdict,
        }
    }
}

impl Told {
    /// Verdicts and how many runs have each, the most frequent first.
    pub(crate) fn verdicts(&self) -> Vec<(&str, usize)> {
        let mut verdicts: Vec<(&str, usize)> = Vec::new();
        for run in &self.cells {
            match verdicts
                .iter_mut()
                .find(|(known, _)| *known == run.verdict())
            {
                Some((_, count)) => *count += 1,
                None => verdicts.push((run.verdict(), 1)),
            }
        }
        verdicts.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
        verdicts
    }

    /// A line.
    pub(crate) fn summary(&self, name: &str) -> String {
        let verdicts = self.verdicts();
        let verdicts = verdicts
            .iter()
            .map(|(verdict, count)| format!("{count} {verdict}"));
        format!(
            "{name:14} {} runs in {:.0} s: {}",
            self.cells.len(),
            self.wall_s,
            verdicts.collect::<Vec<_>>().join(", ")
        )
    }
}
