//! Reading the top level: scenario, contract, network, clients, expectations.

use std::{collections::BTreeMap, str::from_utf8, time::Duration};

use super::{
    bounds,
    error::{Mistake, ReadError},
    quantity::{DURATION, Span},
    read_step,
    source::Source,
    table::{Table, Value},
};
use crate::{
    scenario::{Addresses, Client, Contract, Network, Resources, Rst, Scenario},
    server_event::{AcceptError, ServerAction, ServerEvent},
    step::Step,
    story::Story,
    verdict::Verdict,
};

const FIELDS: [&str; 15] = [
    "name",
    "title",
    "source",
    "links",
    "theme",
    "seed",
    "happened",
    "must_hold",
    "verified",
    "contract",
    "network",
    "server",
    "expect",
    "client",
    "server_event",
];
const CLIENTS: &str = "one or more tables [[client]]";
const EVENTS: &str = "any number of tables [[server_event]]";

pub(super) fn scenario(file: &str, text: &[u8]) -> Result<Scenario, ReadError> {
    if text.len() > bounds::FILE_BYTES_MAX {
        return Err(ReadError::without_line(file, Mistake::FileTooLong));
    }
    let text = from_utf8(text).map_err(|error| {
        let before = &text[..error.valid_up_to()];
        let text = from_utf8(before).unwrap_or_default();
        Source { file, text }.error(before.len(), "", Mistake::NotUtf8)
    })?;
    let source = Source { file, text };
    let fields = source.parse()?;
    let root = Table::root(source, &fields);

    root.only(&FIELDS)?;
    Ok(Scenario {
        name: name(&root)?,
        title: text_or_empty(&root, "title")?,
        source: text_or_empty(&root, "source")?,
        story: story(&root)?,
        seed: match root.get("seed") {
            Some(seed) => seed.integer(0..=u64::MAX)?,
            None => 1,
        },
        contract: contract(&root)?,
        network: network(&root)?,
        server: resources(&root)?,
        expect: expect(&root)?,
        clients: clients(&root)?,
        server_events: server_events(&root)?,
    })
}

fn name(root: &Table<'_>) -> Result<String, ReadError> {
    let allowed = format!(
        "a string of 1 to {} letters, digits, -, _ and ., not beginning with .",
        bounds::NAME_CHARS_MAX
    );
    let value = root.need("name", &allowed)?;
    let name = value.text(&allowed)?;
    let of_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !(1..=bounds::NAME_CHARS_MAX).contains(&name.len()) {
        return Err(value.malformed("too short or too long", &allowed));
    }
    if !name.chars().all(of_allowed) || name.starts_with('.') {
        return Err(value.malformed("it is also a file name", &allowed));
    }
    Ok(name.to_owned())
}

fn text_or_empty(root: &Table<'_>, key: &str) -> Result<String, ReadError> {
    match root.get(key) {
        Some(value) => Ok(value.text("a string")?.to_owned()),
        None => Ok(String::new()),
    }
}

fn story(root: &Table<'_>) -> Result<Story, ReadError> {
    let allowed = "an array of addresses that begin with https://";
    let links = match root.get("links") {
        None => Vec::new(),
        Some(links) => links
            .elements(allowed)?
            .map(|link| {
                let address = link.text(allowed)?;
                if !address.starts_with("https://") {
                    return Err(link.malformed("no address", allowed));
                }
                Ok(address.to_owned())
            })
            .collect::<Result<_, _>>()?,
    };
    Ok(Story {
        links,
        theme: text_or_empty(root, "theme")?,
        happened: text_or_empty(root, "happened")?,
        must_hold: text_or_empty(root, "must_hold")?,
        verified: text_or_empty(root, "verified")?,
    })
}

fn contract(root: &Table<'_>) -> Result<Contract, ReadError> {
    let fields = [
        "stall",
        "residence",
        "drain",
        "shutdown",
        "buffer",
        "rate",
        "vanished",
    ];
    let Some(value) = root.get("contract") else {
        return Ok(Contract::default());
    };
    let table = value.table(&format!("a table of {}", fields.join(", ")))?;
    table.only(&fields)?;
    let duration = |key| table.get(key).map(|value| value.duration()).transpose();
    Ok(Contract {
        stall: duration("stall")?,
        residence: duration("residence")?,
        drain: duration("drain")?,
        shutdown: duration("shutdown")?,
        buffer: table
            .get("buffer")
            .map(|value| value.size(bounds::HOARD_MAX))
            .transpose()?,
        rate: table
            .get("rate")
            .map(|value| value.integer(1..=bounds::SENT_BYTES_MAX))
            .transpose()?,
        vanished: duration("vanished")?,
    })
}

fn network(root: &Table<'_>) -> Result<Network, ReadError> {
    let fields = [
        "latency",
        "jitter",
        "mtu",
        "loss",
        "rst",
        "send_buffer",
        "receive_buffer",
    ];
    let mut network = Network::default();
    let Some(value) = root.get("network") else {
        return Ok(network);
    };
    let table = value.table(&format!("a table of {}", fields.join(", ")))?;
    table.only(&fields)?;
    if let Some(value) = table.get("latency") {
        network.latency = value.duration()?;
    }
    if let Some(value) = table.get("jitter") {
        network.jitter = value.duration()?;
    }
    if let Some(value) = table.get("mtu") {
        network.mtu = value.integer(1..=bounds::MTU_MAX)? as usize;
    }
    if let Some(value) = table.get("loss") {
        network.loss = value.probability()?;
    }
    if let Some(value) = table.get("rst") {
        let allowed = "\"keep\" or \"erase\"";
        network.rst = match value.text(allowed)? {
            "keep" => Rst::Keep,
            "erase" => Rst::Erase,
            other => return Err(value.unknown("rst", other, allowed)),
        };
    }
    if let Some(value) = table.get("send_buffer") {
        network.send_buffer = buffer(&value)?;
    }
    if let Some(value) = table.get("receive_buffer") {
        network.receive_buffer = buffer(&value)?;
    }
    Ok(network)
}

fn resources(root: &Table<'_>) -> Result<Resources, ReadError> {
    let Some(value) = root.get("server") else {
        return Ok(Resources::default());
    };
    let table = value.table("a table of descriptors")?;
    table.only(&["descriptors"])?;
    let descriptors = table
        .get("descriptors")
        .map(|value| value.integer(1..=bounds::DESCRIPTORS_MAX))
        .transpose()?;
    Ok(Resources {
        descriptors: descriptors.map(|count| count as u32),
    })
}

/// A size, or none for one that the host chooses.
fn buffer(value: &Value<'_>) -> Result<Option<usize>, ReadError> {
    if value.is_text() && value.text("")? == "auto" {
        return Ok(None);
    }
    let size = value.size(bounds::BUFFER_MAX)?;
    Ok(Some(size as usize))
}

fn expect(root: &Table<'_>) -> Result<BTreeMap<String, Verdict>, ReadError> {
    let Some(value) = root.get("expect") else {
        return Ok(BTreeMap::new());
    };
    let table = value.table("a table of server = \"verdict\"")?;
    let verdicts = Verdict::ALL.map(Verdict::name).join(", ");
    let verdict = |value: &Value<'_>| {
        let word = value.text(&format!("one of {verdicts}, as a string"))?;
        word.parse()
            .map_err(|_| value.unknown("verdict", word, verdicts.as_str()))
    };
    table
        .entries()
        .map(|(server, value)| Ok((server.to_owned(), verdict(&value)?)))
        .collect()
}

/// The clients, and what they may do together at most.
fn clients(root: &Table<'_>) -> Result<Vec<Client>, ReadError> {
    let value = root.need("client", CLIENTS)?;
    let tables = value.elements(CLIENTS)?;
    if tables.len() == 0 {
        let allowed = CLIENTS.to_owned();
        return Err(value.error(Mistake::Missing { allowed }));
    }
    let (mut clients, mut sums) = (Vec::new(), Sums::default());
    for value in tables {
        let client = client(&value.table(CLIENTS)?)?;
        sums.add(&client);
        sums.check(&value)?;
        clients.push(client);
    }
    Ok(clients)
}

/// What all clients of a scenario do together, each counted as often as its `count` says.
#[derive(Default)]
struct Sums {
    clients: u64,
    steps: u64,
    connections: u64,
    bytes: u64,
    writes: u64,
}

impl Sums {
    fn add(&mut self, client: &Client) {
        let times = u64::from(client.count);
        let mut add = |sum: fn(&mut Self) -> &mut u64, each: u64| {
            let sum = sum(self);
            *sum = sum.saturating_add(each.saturating_mul(times));
        };
        add(|sums| &mut sums.clients, 1);
        add(|sums| &mut sums.steps, client.steps.len() as u64);
        for step in &client.steps {
            match step {
                Step::Connect | Step::Reconnect { .. } => add(|sums| &mut sums.connections, 1),
                Step::Send(send) => {
                    // What is cut away by `part` is rendered, too.
                    add(|sums| &mut sums.bytes, send.whole_len());
                    add(|sums| &mut sums.writes, send.write_count());
                }
                Step::Read(read) => add(|sums| &mut sums.writes, read.piece_count()),
                _ => {}
            }
        }
    }

    fn check(&self, value: &Value<'_>) -> Result<(), ReadError> {
        for (sum, max, what, product) in [
            (self.clients, bounds::CLIENTS_MAX, "clients", "count"),
            (
                self.steps,
                bounds::STEPS_IN_ALL_MAX,
                "steps",
                "count x steps",
            ),
            (
                self.connections,
                bounds::CONNECTIONS_MAX,
                "connections",
                "count x connect and reconnect steps",
            ),
            (
                self.bytes,
                bounds::SENT_BYTES_MAX,
                "bytes to send",
                "count x bytes of send steps",
            ),
            (
                self.writes,
                bounds::WRITES_MAX,
                "writes and reads",
                "count x pieces of send and read steps",
            ),
        ] {
            let what = format!("{what} ({product}, summed over the clients up to here)");
            at_most(value, sum, max, &what)?;
        }
        Ok(())
    }
}

fn at_most(value: &Value<'_>, count: u64, max: u64, what: &str) -> Result<(), ReadError> {
    if count <= max {
        return Ok(());
    }
    let (got, allowed) = (format!("{count} {what}"), format!("at most {max}"));
    Err(value.error(Mistake::TooMany { got, allowed }))
}

fn client(table: &Table<'_>) -> Result<Client, ReadError> {
    table.only(&["count", "stagger", "start", "addresses", "steps"])?;
    let mut client = Client::default();
    if let Some(value) = table.get("count") {
        client.count = value.integer(1..=bounds::CLIENTS_MAX)? as u32;
    }
    if let Some(value) = table.get("stagger") {
        client.stagger = value.duration()?;
    }
    if let Some(value) = table.get("start") {
        client.start = value.duration()?;
    }
    if let Some(value) = table.get("addresses") {
        let allowed = "\"shared\" or \"own\"";
        client.addresses = match value.text(allowed)? {
            "shared" => Addresses::Shared,
            "own" => Addresses::Own,
            other => return Err(value.unknown("addresses", other, allowed)),
        };
    }
    let allowed = "an array of steps such as [{ do = \"connect\" }]";
    let steps = table.need("steps", allowed)?;
    let elements = steps.elements(allowed)?;
    at_most(
        &steps,
        elements.len() as u64,
        bounds::STEPS_MAX as u64,
        "steps",
    )?;
    client.steps = elements
        .map(|value| read_step::step(&value))
        .collect::<Result<_, _>>()?;

    let last_start = client
        .start
        .saturating_add(client.stagger.saturating_mul(client.count - 1));
    let end = client
        .steps
        .iter()
        .fold(last_start, |end, step| end.saturating_add(step.duration()));
    if end > bounds::CLIENT_DURATION_MAX {
        let got = format!("{}s from start to last step", end.as_secs());
        let allowed = format!("at most {}", Span(bounds::CLIENT_DURATION_MAX));
        return Err(steps.error(Mistake::OutOfBounds { got, allowed }));
    }
    Ok(client)
}

fn server_events(root: &Table<'_>) -> Result<Vec<ServerEvent>, ReadError> {
    let Some(value) = root.get("server_event") else {
        return Ok(Vec::new());
    };
    let tables = value.elements(EVENTS)?;
    at_most(
        &value,
        tables.len() as u64,
        bounds::SERVER_EVENTS_MAX,
        "server events",
    )?;
    tables
        .map(|value| server_event(&value.table(EVENTS)?))
        .collect()
}

fn server_event(table: &Table<'_>) -> Result<ServerEvent, ReadError> {
    table.only(&["at", "do", "for", "until"])?;
    let names = ServerAction::ALL.map(ServerAction::name).join(", ");
    let word = table.need("do", &names)?;
    let name = word.text(&format!("one of {names}, as a string"))?;
    let action = ServerAction::ALL
        .into_iter()
        .find(|action| action.name() == name)
        .ok_or_else(|| word.unknown("server event", name, names.as_str()))?;
    let action = match action {
        ServerAction::AcceptError(_) => ServerAction::AcceptError(accept_error(table)?),
        other => {
            // Only an accept error has a duration.
            table.only(&["at", "do"])?;
            other
        }
    };
    Ok(ServerEvent {
        at: table.need("at", DURATION)?.duration()?,
        action,
    })
}

fn accept_error(table: &Table<'_>) -> Result<AcceptError, ReadError> {
    if table.get("for").is_some() && table.get("until").is_some() {
        table.one_of(&["for", "until"])?;
    }
    if let Some(value) = table.get("for") {
        let lasts = value.duration()?;
        if lasts.is_zero() {
            return Err(value.malformed("it lasts no time", "a duration of more than 0s"));
        }
        return Ok(AcceptError::Lasts(lasts));
    }
    let Some(value) = table.get("until") else {
        return Ok(AcceptError::Once);
    };
    let allowed = "\"close\": until the server closes a connection";
    match value.text(allowed)? {
        "close" => Ok(AcceptError::UntilClose),
        other => Err(value.unknown("end", other, allowed)),
    }
}

/// Zero where a duration is left out that has no other default.
pub(super) fn duration_or_zero(table: &Table<'_>, key: &str) -> Result<Duration, ReadError> {
    table
        .get(key)
        .map_or(Ok(Duration::ZERO), |value| value.duration())
}
