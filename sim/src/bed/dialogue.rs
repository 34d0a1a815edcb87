//! Servers that do not speak HTTP: what a client of theirs says in place of a request.

use hangup_scenario::{Await, Piece, Scenario, Step, Until};

/// One whole request of a protocol that is not HTTP, to which the server answers with at least a byte.
#[derive(Clone, Debug)]
pub(super) struct Dialogue {
    pub(super) request: Vec<u8>,
}

impl Dialogue {
    /// Every request head is this protocol's request, and a body so many bytes of further ones, the last of which may be
    /// cut off.
    pub(super) fn fit_piece(&self, piece: &mut Piece) {
        let bytes = match piece {
            Piece::Head(_) => self.request.clone(),
            Piece::Body(count) | Piece::Chunk(count) => {
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                self.request.iter().copied().cycle().take(count).collect()
            }
            Piece::LastChunk => Vec::new(),
            Piece::Bytes(_) => return,
        };
        *piece = Piece::Bytes(bytes);
    }

    /// There are no statuses to wait for: any answer will do.
    pub(super) fn fit_await(&self, wait: &mut Await) {
        if let Until::Status(_) | Until::Final = wait.until {
            wait.until = Until::Bytes(1);
        }
    }
}

/// Is a scenario about connections, and not about what is special to HTTP: bodies, expectations, malformed requests?
pub(super) fn is_about_connections(scenario: &Scenario) -> bool {
    let steps = scenario.clients.iter().flat_map(|client| &client.steps);
    let mut pieces = steps
        .filter_map(|step| match step {
            Step::Send(send) => Some(&send.what),
            _ => None,
        })
        .flatten();
    pieces.all(|piece| match piece {
        Piece::Head(head) => {
            head.expect.is_none() && !head.chunked && head.length.is_none() && head.target == "/"
        }
        _ => false,
    })
}
