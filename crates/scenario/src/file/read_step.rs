//! Reading the steps.

use super::{
    bounds::{AWAITED_BYTES_MAX, MTU_MAX, SENT_BYTES_MAX},
    error::{Mistake, ReadError},
    quantity::DURATION,
    read::duration_or_zero,
    table::{Table, Value},
};
use crate::{
    send::{Head, Host, Piece, Send, Text, Trickle, Version},
    step::{Await, Blackhole, LinkChange, Read, Step, Until},
};

const PIECES: [&str; 5] = ["head", "body", "chunk", "last_chunk", "bytes"];
const ALL: &str = "an array of pieces such as [{ head = {} }, { body = 10 }]";
const UNTIL: [&str; 3] = ["status", "eof", "bytes"];

pub(super) fn step(value: &Value<'_>) -> Result<Step, ReadError> {
    let table = value.table("a table such as { do = \"connect\" }")?;
    let names = Step::NAMES.join(", ");
    let name = table.need("do", &names)?;
    let word = name.text(&format!("a string, one of {names}"))?;
    match word {
        "connect" => alone(&table, Step::Connect),
        "half_close" => alone(&table, Step::HalfClose),
        "close" => alone(&table, Step::Close),
        "reset" => alone(&table, Step::Reset),
        "vanish" => alone(&table, Step::Vanish),
        "send" => Ok(Step::Send(send(&table)?)),
        "await" => Ok(Step::Await(until(&table)?)),
        "stall" => {
            table.only(&["do", "for"])?;
            let duration = table.need("for", DURATION)?.duration()?;
            Ok(Step::Stall { duration })
        }
        "read" => Ok(Step::Read(read(&table)?)),
        "reconnect" => {
            table.only(&["do", "after"])?;
            let after = duration_or_zero(&table, "after")?;
            Ok(Step::Reconnect { after })
        }
        "network" => Ok(Step::Network(link(&table)?)),
        other => Err(name.unknown("step", other, names)),
    }
}

/// A step that has no fields of its own.
fn alone(table: &Table<'_>, step: Step) -> Result<Step, ReadError> {
    table.only(&["do"])?;
    Ok(step)
}

fn send(table: &Table<'_>) -> Result<Send, ReadError> {
    let fields = [
        "do",
        "head",
        "body",
        "chunk",
        "last_chunk",
        "bytes",
        "all",
        "part",
        "size",
        "every",
    ];
    table.only(&fields)?;
    let (key, value) = table.one_of(&["head", "body", "chunk", "last_chunk", "bytes", "all"])?;
    let what = match key {
        "all" => value
            .elements(ALL)?
            .map(|value| lone_piece(&value))
            .collect::<Result<_, _>>()?,
        key => vec![piece(key, &value)?],
    };
    let part = table.get("part").map(|value| part(&value)).transpose()?;
    Ok(Send {
        what,
        part,
        trickle: trickle(table)?,
    })
}

/// `size` and `every`: both, or neither.
fn trickle(table: &Table<'_>) -> Result<Option<Trickle>, ReadError> {
    match (table.get("size"), table.get("every")) {
        (None, None) => Ok(None),
        (Some(size), Some(every)) => Ok(Some(Trickle {
            size: size.integer(1..=SENT_BYTES_MAX)?,
            every: every.duration()?,
        })),
        (Some(_), None) => {
            let allowed = format!("with size, {DURATION}");
            Err(table.error("every", Mistake::Missing { allowed }))
        }
        (None, Some(_)) => {
            let allowed = format!("with every, an integer from 1 to {SENT_BYTES_MAX}");
            Err(table.error("size", Mistake::Missing { allowed }))
        }
    }
}

/// An element of `all`.
fn lone_piece(value: &Value<'_>) -> Result<Piece, ReadError> {
    let table = value.table(&format!("a table with one of {}", PIECES.join(", ")))?;
    table.only(&PIECES)?;
    let (key, value) = table.one_of(&PIECES)?;
    piece(key, &value)
}

fn piece(key: &str, value: &Value<'_>) -> Result<Piece, ReadError> {
    Ok(match key {
        "head" => Piece::Head(head(value)?),
        "body" => Piece::Body(value.integer(0..=SENT_BYTES_MAX)?),
        "chunk" => Piece::Chunk(value.integer(0..=SENT_BYTES_MAX)?),
        "last_chunk" => {
            value.only_true()?;
            Piece::LastChunk
        }
        _ => Piece::Bytes(value.bytes()?),
    })
}

fn part(value: &Value<'_>) -> Result<(u64, u64), ReadError> {
    let allowed = "[from, to], two integers, the second not smaller";
    let mut elements = value.elements(allowed)?;
    let (Some(from), Some(to), None) = (elements.next(), elements.next(), elements.next()) else {
        return Err(value.malformed("not two elements", allowed));
    };
    let (from, to) = (
        from.integer(0..=SENT_BYTES_MAX)?,
        to.integer(0..=SENT_BYTES_MAX)?,
    );
    if from > to {
        return Err(value.malformed("it ends before it begins", allowed));
    }
    Ok((from, to))
}

fn head(value: &Value<'_>) -> Result<Head, ReadError> {
    let fields = [
        "method",
        "target",
        "version",
        "host",
        "length",
        "chunked",
        "expect",
        "connection",
        "headers",
    ];
    let table = value.table(&format!("a table of {}", fields.join(", ")))?;
    table.only(&fields)?;
    let text = |key| -> Result<Option<Text>, ReadError> {
        table
            .get(key)
            .map(|value| value.text("a string").map(|text| text.to_owned().into()))
            .transpose()
    };
    let default = Head::default();
    Ok(Head {
        method: text("method")?.unwrap_or(default.method),
        target: text("target")?.unwrap_or(default.target),
        version: match table.get("version") {
            None => Version::Http11,
            Some(value) => version(&value)?,
        },
        host: match table.get("host") {
            None => Host::Default,
            Some(value) => host(&value)?,
        },
        length: table
            .get("length")
            .map(|value| value.integer(0..=u64::MAX))
            .transpose()?,
        chunked: table
            .get("chunked")
            .map_or(Ok(false), |value| value.truth())?,
        expect: text("expect")?,
        connection: text("connection")?,
        headers: match table.get("headers") {
            None => Vec::new(),
            Some(value) => headers(&value)?,
        },
    })
}

fn version(value: &Value<'_>) -> Result<Version, ReadError> {
    let allowed = "\"1.0\" or \"1.1\" (others with bytes)";
    match value.text(allowed)? {
        "1.0" => Ok(Version::Http10),
        "1.1" => Ok(Version::Http11),
        other => Err(value.unknown("version", other, allowed)),
    }
}

fn host(value: &Value<'_>) -> Result<Host, ReadError> {
    let allowed = "a string, or false to leave it out";
    if value.is_text() {
        return Ok(Host::Text(value.text(allowed)?.to_owned()));
    }
    match value.truth() {
        Ok(false) => Ok(Host::Absent),
        Ok(true) => Err(value.malformed("there is no such host", allowed)),
        Err(_) => Err(value
            .text(allowed)
            .err()
            .unwrap_or_else(|| value.malformed("wrong type", allowed))),
    }
}

fn headers(value: &Value<'_>) -> Result<Vec<(Text, Text)>, ReadError> {
    let allowed = "an array of pairs such as [[\"name\", \"value\"]]";
    let pair = |value: Value<'_>| {
        let mut elements = value.elements(allowed)?;
        match (elements.next(), elements.next(), elements.next()) {
            (Some(name), Some(text), None) => {
                let own =
                    |value: Value<'_>| value.text("a string").map(|text| text.to_owned().into());
                Ok((own(name)?, own(text)?))
            }
            _ => Err(value.malformed("not a pair", allowed)),
        }
    };
    value.elements(allowed)?.map(pair).collect()
}

fn until(table: &Table<'_>) -> Result<Await, ReadError> {
    table.only(&["do", "status", "eof", "bytes", "within"])?;
    let (key, value) = table.one_of(&UNTIL)?;
    let until = match key {
        "status" if value.is_text() => match value.text("\"final\"")? {
            "final" => Until::Final,
            other => {
                return Err(value.unknown(
                    "status",
                    other,
                    "\"final\", or an integer from 100 to 999",
                ));
            }
        },
        "status" => Until::Status(value.integer_or(100..=999, "\"final\"")? as u16),
        "eof" => {
            value.only_true()?;
            Until::Eof
        }
        _ => Until::Bytes(value.integer(0..=AWAITED_BYTES_MAX)?),
    };
    let within = table.need("within", DURATION)?.duration()?;
    Ok(Await { until, within })
}

fn read(table: &Table<'_>) -> Result<Read, ReadError> {
    table.only(&["do", "bytes", "size", "every"])?;
    let pace = trickle(table)?;
    let or = "\"all\"";
    let value = table.need(
        "bytes",
        &format!("an integer from 0 to {AWAITED_BYTES_MAX}, or {or}"),
    )?;
    if !value.is_text() {
        let bytes = value.integer_or(0..=AWAITED_BYTES_MAX, or)?;
        return Ok(match pace {
            Some(pace) => Read::Paced { bytes, pace },
            None => Read::Bytes(bytes),
        });
    }
    match value.text(or)? {
        "all" if pace.is_some() => {
            let allowed = format!("with size and every, an integer from 0 to {AWAITED_BYTES_MAX}");
            Err(value.malformed("a rate needs an end", &allowed))
        }
        "all" => Ok(Read::All),
        other => Err(value.unknown(
            "amount",
            other,
            format!("an integer from 0 to {AWAITED_BYTES_MAX}, or {or}"),
        )),
    }
}

fn link(table: &Table<'_>) -> Result<LinkChange, ReadError> {
    table.only(&[
        "do",
        "latency",
        "jitter",
        "mtu",
        "loss",
        "blackhole",
        "heal",
    ])?;
    Ok(LinkChange {
        heal: table.get("heal").map_or(Ok(false), |value| value.truth())?,
        latency: table
            .get("latency")
            .map(|value| value.duration())
            .transpose()?,
        jitter: table
            .get("jitter")
            .map(|value| value.duration())
            .transpose()?,
        mtu: table
            .get("mtu")
            .map(|value| value.integer(1..=MTU_MAX))
            .transpose()?
            .map(|mtu| mtu as usize),
        loss: table
            .get("loss")
            .map(|value| value.probability())
            .transpose()?,
        blackhole: table
            .get("blackhole")
            .map(|value| blackhole(&value))
            .transpose()?,
    })
}

fn blackhole(value: &Value<'_>) -> Result<Blackhole, ReadError> {
    let allowed = "\"both\", \"to_server\" or \"to_client\"";
    match value.text(allowed)? {
        "both" => Ok(Blackhole::Both),
        "to_server" => Ok(Blackhole::ToServer),
        "to_client" => Ok(Blackhole::ToClient),
        other => Err(value.unknown("direction", other, allowed)),
    }
}
