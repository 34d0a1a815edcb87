//! The file of our server's flight recorder (`hangup_server::flight` describes it).
//!
//! It has times and sizes, and of a head only what frames it. What was sent is made up from that: heads of the same length and kind, bodies of as
//! many bytes. Request targets are not in it, so what has a body goes to `/echo` and what has none to `/`. Where the file has the first bytes of a
//! connection, those are used.

mod line;
mod stream;

use super::{Choice, Imported, Unreadable, imported};
use hangup_scenario::file::bounds::CLIENTS_MAX;
use line::{Line, Title};
use std::io::{BufRead, BufReader, Read};

/// The longest line: far more than the events that a recorder keeps of a connection.
const LINE_MAX: u64 = 64 << 20;

/// How a file begins.
pub(super) fn is_flight_record(beginning: &[u8]) -> bool {
    beginning.starts_with(b"{\"hangup_flight\":")
}

/// What is wrong in a line.
fn wrong(line: usize, what: impl ToString) -> Unreadable {
    let what = what.to_string();
    Unreadable::Line { line, what }
}

/// Reads a record.
pub(super) fn read(file: impl Read, choice: &Choice) -> Result<Imported, Unreadable> {
    if choice.port.is_some() {
        return Err(Unreadable::Nothing(
            "--port: a flight record is of one port; allowed with captures".to_owned(),
        ));
    }
    let mut file = BufReader::new(file);
    let mut text = Vec::new();
    let mut next = || -> Result<Option<Vec<u8>>, Unreadable> {
        text.clear();
        let read = file.by_ref().take(LINE_MAX).read_until(b'\n', &mut text);
        Ok((read.map_err(Unreadable::Io)? > 0).then(|| text.clone()))
    };
    let first = next()?.unwrap_or_default();
    let title: Title = serde_json::from_slice(&first).map_err(|error| wrong(1, error))?;
    if title.hangup_flight != 1 {
        let version = title.hangup_flight;
        return Err(wrong(1, format!("hangup_flight is {version}; allowed: 1")));
    }
    let (mut all, mut opened, mut partial, mut sent) = (Vec::new(), 0_u64, 0_u64, 0);
    for number in 2.. {
        let Some(text) = next()? else { break };
        if text.trim_ascii().is_empty() {
            continue;
        }
        let line: Line = serde_json::from_slice(&text).map_err(|error| wrong(number, error))?;
        opened += 1;
        if choice
            .connection
            .is_some_and(|only| only != line.connection)
        {
            continue;
        }
        if line.is_partial() {
            if choice.connection.is_some() {
                return Err(wrong(
                    number,
                    "the middle of this connection was not kept (skipped); allowed: another one",
                ));
            }
            partial += 1;
            continue;
        }
        if all.len() as u64 == CLIENTS_MAX {
            let much = format!("more than {CLIENTS_MAX} connections");
            return Err(Unreadable::TooMuch(much));
        }
        let talk = line.talk(number)?;
        sent += talk.sent.len() as u64;
        if sent > super::SENT_MAX {
            let much = format!("more than {} bytes of clients", super::SENT_MAX);
            return Err(Unreadable::TooMuch(much));
        }
        all.push(talk);
    }
    if all.is_empty() {
        return Err(Unreadable::Nothing(match choice.connection {
            Some(number) => {
                format!("there is no connection {number} in it, which has {opened}")
            }
            None if partial > 0 => {
                "there is no connection in it of which everything was kept".to_owned()
            }
            None => "there is no connection in it".to_owned(),
        }));
    }
    let mut notes = Vec::new();
    for (count, what) in [
        (
            partial,
            "connections are left out: their middle was not kept",
        ),
        (
            title.missed,
            "connections are not in the record: the recorder was full of open ones",
        ),
    ] {
        if count > 0 {
            notes.push(format!("{count} {what}"));
        }
    }
    all.sort_by_key(|talk| talk.opened);
    imported("flight record", &all, choice, notes)
}
