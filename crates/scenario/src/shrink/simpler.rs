//! What a step can be replaced with.

use super::{
    Depth,
    reduction::ranges,
    round::{durations, numbers},
};
use crate::{
    send::{Head, Host, Piece, Send, Trickle},
    server_event::{AcceptError, ServerAction},
    step::{Await, LinkChange, Read, Step, Until},
};

/// Steps of the same kind that are simpler than this one, those first that take the most.
pub(super) fn steps(step: &Step, depth: Depth) -> Vec<Step> {
    match step {
        Step::Connect | Step::HalfClose | Step::Close | Step::Reset | Step::Vanish => Vec::new(),
        Step::Send(send) => sends(send, depth).into_iter().map(Step::Send).collect(),
        Step::Await(step) => awaits(*step, depth).into_iter().map(Step::Await).collect(),
        Step::Stall { duration } => durations(*duration, depth)
            .into_iter()
            .map(|duration| Step::Stall { duration })
            .collect(),
        Step::Read(Read::All) => Vec::new(),
        Step::Read(Read::Bytes(bytes)) => numbers(*bytes, 0, depth)
            .into_iter()
            .map(|bytes| Step::Read(Read::Bytes(bytes)))
            .collect(),
        Step::Read(Read::Paced { bytes, pace }) => paced_reads(*bytes, *pace, depth)
            .into_iter()
            .map(Step::Read)
            .collect(),
        Step::Reconnect { after } => {
            let sooner = durations(*after, depth).into_iter();
            let reconnects = sooner.map(|after| Step::Reconnect { after });
            std::iter::once(Step::Connect).chain(reconnects).collect()
        }
        Step::Network(change) => links(*change, depth)
            .into_iter()
            .map(Step::Network)
            .collect(),
    }
}

/// What is simpler than what happens to the server.
pub(super) fn actions(action: ServerAction, depth: Depth) -> Vec<ServerAction> {
    let errors = match action {
        ServerAction::AcceptError(AcceptError::Lasts(lasts)) => {
            let shorter = durations(lasts, depth).into_iter();
            let shorter = shorter
                .filter(|lasts| !lasts.is_zero())
                .map(AcceptError::Lasts);
            std::iter::once(AcceptError::Once).chain(shorter).collect()
        }
        ServerAction::AcceptError(AcceptError::UntilClose) => vec![AcceptError::Once],
        _ => Vec::new(),
    };
    errors.into_iter().map(ServerAction::AcceptError).collect()
}

fn paced_reads(bytes: u64, pace: Trickle, depth: Depth) -> Vec<Read> {
    let mut out = vec![Read::Bytes(bytes)];
    let fewer = numbers(bytes, 0, depth).into_iter();
    out.extend(fewer.map(|bytes| Read::Paced { bytes, pace }));
    if depth == Depth::Fine {
        let sooner = durations(pace.every, depth).into_iter();
        out.extend(sooner.map(|every| Read::Paced {
            bytes,
            pace: Trickle { every, ..pace },
        }));
    }
    out
}

fn awaits(step: Await, depth: Depth) -> Vec<Await> {
    if depth == Depth::Coarse {
        return Vec::new();
    }
    let mut out: Vec<_> = durations(step.within, depth)
        .into_iter()
        .map(|within| Await { within, ..step })
        .collect();
    if let Until::Bytes(bytes) = step.until {
        let fewer = numbers(bytes, 0, depth);
        out.extend(fewer.into_iter().map(|bytes| Await {
            until: Until::Bytes(bytes),
            ..step
        }));
    }
    out
}

fn links(change: LinkChange, depth: Depth) -> Vec<LinkChange> {
    let mut out = Vec::new();
    if change.heal {
        out.push(LinkChange {
            heal: false,
            ..change
        });
    }
    if change.blackhole.is_some() {
        out.push(LinkChange {
            blackhole: None,
            ..change
        });
    }
    if change.loss.is_some() {
        out.push(LinkChange {
            loss: None,
            ..change
        });
    }
    if change.mtu.is_some() {
        out.push(LinkChange {
            mtu: None,
            ..change
        });
    }
    if let Some(jitter) = change.jitter {
        out.push(LinkChange {
            jitter: None,
            ..change
        });
        let less = durations(jitter, depth);
        out.extend(less.into_iter().map(|jitter| LinkChange {
            jitter: Some(jitter),
            ..change
        }));
    }
    if let Some(latency) = change.latency {
        out.push(LinkChange {
            latency: None,
            ..change
        });
        let shorter = durations(latency, depth);
        out.extend(shorter.into_iter().map(|latency| LinkChange {
            latency: Some(latency),
            ..change
        }));
    }
    out
}

fn sends(send: &Send, depth: Depth) -> Vec<Send> {
    let mut out = Vec::new();
    if send.what.len() > 1 {
        // From the end: what comes first is what the server sees first.
        for index in (0..send.what.len()).rev() {
            let mut what = send.what.clone();
            what.remove(index);
            out.push(Send {
                what,
                ..send.clone()
            });
        }
    }
    if let Some(trickle) = send.trickle {
        out.push(Send {
            trickle: None,
            ..send.clone()
        });
        if depth == Depth::Fine {
            let paces = durations(trickle.every, depth)
                .into_iter()
                .map(|every| Trickle { every, ..trickle });
            let sizes = numbers(trickle.size, 1, depth)
                .into_iter()
                .map(|size| Trickle { size, ..trickle });
            out.extend(paces.chain(sizes).map(|trickle| Send {
                trickle: Some(trickle),
                ..send.clone()
            }));
        }
    }
    if let Some((from, to)) = send.part {
        out.push(Send {
            part: None,
            ..send.clone()
        });
        let parts = numbers(from, 0, depth)
            .into_iter()
            .map(|from| (from, to))
            .chain(numbers(to, from, depth).into_iter().map(|to| (from, to)));
        out.extend(parts.map(|part| Send {
            part: Some(part),
            ..send.clone()
        }));
    }
    for (index, piece) in send.what.iter().enumerate() {
        for simpler in pieces(piece, depth) {
            let mut send = send.clone();
            send.what[index] = simpler;
            out.push(send);
        }
    }
    out
}

fn pieces(piece: &Piece, depth: Depth) -> Vec<Piece> {
    match piece {
        Piece::Head(head) => heads(head, depth).into_iter().map(Piece::Head).collect(),
        Piece::Body(length) => numbers(*length, 0, depth)
            .into_iter()
            .map(Piece::Body)
            .collect(),
        // A chunk of nothing would be the last chunk.
        Piece::Chunk(length) => numbers(*length, 1, depth)
            .into_iter()
            .map(Piece::Chunk)
            .collect(),
        Piece::LastChunk => Vec::new(),
        Piece::Bytes(bytes) if depth == Depth::Fine => without(bytes).map(Piece::Bytes).collect(),
        Piece::Bytes(_) => Vec::new(),
    }
}

/// The bytes without their second half, their first half, each quarter, and so on; single bytes only if there are few.
fn without(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    const FEW: usize = 512;
    let least = if bytes.len() <= FEW {
        1
    } else {
        bytes.len() / 16
    };
    ranges(bytes.len())
        .filter(move |range| range.len() >= least)
        .map(|range| [&bytes[..range.start], &bytes[range.end..]].concat())
}

fn heads(head: &Head, depth: Depth) -> Vec<Head> {
    let plain = Head::default();
    let mut out = Vec::new();
    if *head != plain {
        out.push(plain.clone());
    }
    let mut with = |change: &dyn Fn(&mut Head)| {
        let mut simpler = head.clone();
        change(&mut simpler);
        if simpler != *head {
            out.push(simpler);
        }
    };
    with(&|head| head.headers.clear());
    for index in 0..head.headers.len() {
        with(&|head| drop(head.headers.remove(index)));
    }
    with(&|head| head.connection = None);
    with(&|head| head.expect = None);
    with(&|head| head.host = Host::Default);
    with(&|head| head.version = plain.version);
    with(&|head| head.chunked = false);
    with(&|head| head.length = None);
    with(&|head| head.target.clone_from(&plain.target));
    with(&|head| head.method.clone_from(&plain.method));
    if depth == Depth::Fine {
        for length in head
            .length
            .into_iter()
            .flat_map(|length| numbers(length, 0, depth))
        {
            with(&|head| head.length = Some(length));
        }
        // `/big/4711` and `/slow/37` have their number at the end.
        let digits = head.target.len()
            - head
                .target
                .trim_end_matches(|c: char| c.is_ascii_digit())
                .len();
        let (path, number) = head.target.split_at(head.target.len() - digits);
        for number in number
            .parse()
            .into_iter()
            .flat_map(|number| numbers(number, 0, depth))
        {
            with(&|head| head.target = format!("{path}{number}").into());
        }
        for (index, (name, value)) in head.headers.iter().enumerate() {
            for length in numbers(value.chars().count() as u64, 0, depth) {
                let shorter: String = value.chars().take(length as usize).collect();
                with(&|head| head.headers[index] = (name.clone(), shorter.clone().into()));
            }
        }
    }
    out
}
