//! Writing: small files in the layout of the manual, one step a line, nothing that is the default.

use std::time::Duration;

use super::{
    escape,
    quantity::{Size, Span},
};
use crate::{
    scenario::{Addresses, Client, Contract, Network, Rst, Scenario},
    send::{Head, Host, Piece, Send, Version},
    server_event::{AcceptError, ServerAction, ServerEvent},
    step::{Blackhole, Read, Step, Until},
    story::Story,
};

pub(super) fn scenario(scenario: &Scenario) -> String {
    let mut out = format!("name   = {}\n", text(&scenario.name));
    for (key, value) in [("title ", &scenario.title), ("source", &scenario.source)] {
        if !value.is_empty() {
            out += &format!("{key} = {}\n", text(value));
        }
    }
    story_head(&mut out, &scenario.story);
    out += &format!("seed   = {}\n", scenario.seed);
    if scenario.contract != Contract::default() {
        let Contract {
            stall,
            residence,
            drain,
            shutdown,
            buffer,
            rate,
            vanished,
        } = scenario.contract;
        let mut fields = Fields::default();
        for (key, duration) in [
            ("stall", stall),
            ("residence", residence),
            ("drain", drain),
            ("shutdown", shutdown),
            ("vanished", vanished),
        ] {
            fields.optional(key, duration.map(quoted));
        }
        fields.optional("rate", rate.map(|rate| rate.to_string()));
        fields.optional("buffer", buffer.map(|bytes| format!("\"{}\"", Size(bytes))));
        out += &format!("contract = {}\n", fields.inline());
    }
    story(&mut out, &scenario.story);
    network(&mut out, &scenario.network);
    if let Some(descriptors) = scenario.server.descriptors {
        out += &format!("\n[server]\ndescriptors = {descriptors}\n");
    }
    for one in &scenario.clients {
        client(&mut out, one);
    }
    for event in &scenario.server_events {
        server_event(&mut out, event);
    }
    if !scenario.expect.is_empty() {
        out += "\n[expect]\n";
        let servers: Vec<_> = scenario.expect.keys().map(|server| key(server)).collect();
        let width = servers.iter().map(|server| server.chars().count()).max();
        for (server, verdict) in servers.iter().zip(scenario.expect.values()) {
            out += &format!("{server:0$} = \"{verdict}\"\n", width.unwrap_or(0));
        }
    }
    out
}

/// What stands on one line each, beside the name.
fn story_head(out: &mut String, story: &Story) {
    if !story.links.is_empty() {
        let links: Vec<_> = story.links.iter().map(|link| text(link)).collect();
        *out += &format!("links  = [{}]\n", links.join(", "));
    }
    if !story.theme.is_empty() {
        *out += &format!("theme  = {}\n", text(&story.theme));
    }
}

fn story(out: &mut String, story: &Story) {
    for (key, value) in [
        ("happened ", &story.happened),
        ("must_hold", &story.must_hold),
        ("verified ", &story.verified),
    ] {
        if !value.is_empty() {
            *out += &format!("{key} = {}\n", paragraph(value));
        }
    }
}

fn network(out: &mut String, network: &Network) {
    let default = Network::default();
    if *network == default {
        return;
    }
    *out += "\n[network]\n";
    if network.latency != default.latency {
        *out += &format!("latency = {}\n", quoted(network.latency));
    }
    if network.jitter != default.jitter {
        *out += &format!("jitter  = {}\n", quoted(network.jitter));
    }
    if network.mtu != default.mtu {
        *out += &format!("mtu     = {}\n", network.mtu);
    }
    if network.loss != default.loss {
        *out += &format!("loss    = {:?}\n", network.loss);
    }
    if network.rst != default.rst {
        *out += &format!("rst     = \"{}\"\n", rst(network.rst));
    }
    let buffers = [
        ("send_buffer", network.send_buffer),
        ("receive_buffer", network.receive_buffer),
    ];
    for (name, size) in buffers {
        if let Some(size) = size {
            *out += &format!("{name} = \"{}\"\n", Size(size as u64));
        }
    }
}

fn server_event(out: &mut String, event: &ServerEvent) {
    *out += &format!(
        "\n[[server_event]]\nat = {}\ndo = \"{}\"\n",
        quoted(event.at),
        event.action.name()
    );
    match event.action {
        ServerAction::AcceptError(AcceptError::Lasts(lasts)) => {
            *out += &format!("for = {}\n", quoted(lasts));
        }
        ServerAction::AcceptError(AcceptError::UntilClose) => *out += "until = \"close\"\n",
        _ => {}
    }
}

fn rst(rst: Rst) -> &'static str {
    match rst {
        Rst::Keep => "keep",
        Rst::Erase => "erase",
    }
}

fn client(out: &mut String, client: &Client) {
    *out += "\n[[client]]\n";
    if client.count != 1 {
        *out += &format!("count   = {}\n", client.count);
    }
    if !client.stagger.is_zero() {
        *out += &format!("stagger = {}\n", quoted(client.stagger));
    }
    if !client.start.is_zero() {
        *out += &format!("start   = {}\n", quoted(client.start));
    }
    if client.addresses == Addresses::Own {
        *out += "addresses = \"own\"\n";
    }
    if client.steps.is_empty() {
        *out += "steps = []\n";
        return;
    }
    *out += "steps = [\n";
    for step in &client.steps {
        *out += &format!("  {},\n", step_table(step));
    }
    *out += "]\n";
}

impl Step {
    /// The step as it stands in a file, such as `{ do = "stall", for = "75s" }`.
    pub fn to_toml(&self) -> String {
        step_table(self)
    }
}

fn step_table(step: &Step) -> String {
    let mut fields = Fields::default();
    fields.put("do", format!("\"{}\"", step.name()));
    match step {
        Step::Connect | Step::HalfClose | Step::Close | Step::Reset | Step::Vanish => {}
        Step::Send(send) => send_fields(&mut fields, send),
        Step::Await(step) => {
            match step.until {
                Until::Status(status) => fields.put("status", status.to_string()),
                Until::Final => fields.put("status", "\"final\"".into()),
                Until::Eof => fields.put("eof", "true".into()),
                Until::Bytes(bytes) => fields.put("bytes", bytes.to_string()),
            }
            fields.put("within", quoted(step.within));
        }
        Step::Stall { duration } => fields.put("for", quoted(*duration)),
        Step::Read(Read::Bytes(bytes)) => fields.put("bytes", bytes.to_string()),
        Step::Read(Read::All) => fields.put("bytes", "\"all\"".into()),
        Step::Read(Read::Paced { bytes, pace }) => {
            fields.put("bytes", bytes.to_string());
            fields.put("size", pace.size.to_string());
            fields.put("every", quoted(pace.every));
        }
        Step::Reconnect { after } => {
            fields.optional("after", (!after.is_zero()).then(|| quoted(*after)))
        }
        Step::Network(link) => {
            fields.optional("heal", link.heal.then(|| "true".into()));
            fields.optional("latency", link.latency.map(quoted));
            fields.optional("jitter", link.jitter.map(quoted));
            fields.optional("mtu", link.mtu.map(|mtu| mtu.to_string()));
            fields.optional("loss", link.loss.map(|loss| format!("{loss:?}")));
            fields.optional(
                "blackhole",
                link.blackhole
                    .map(|hole| format!("\"{}\"", blackhole(hole))),
            );
        }
    }
    fields.inline()
}

fn blackhole(direction: Blackhole) -> &'static str {
    match direction {
        Blackhole::Both => "both",
        Blackhole::ToServer => "to_server",
        Blackhole::ToClient => "to_client",
    }
}

fn send_fields(fields: &mut Fields, send: &Send) {
    match send.what.as_slice() {
        [one] => piece(fields, one),
        several => {
            let tables = several.iter().map(|one| {
                let mut fields = Fields::default();
                piece(&mut fields, one);
                fields.inline()
            });
            fields.put(
                "all",
                format!("[{}]", tables.collect::<Vec<_>>().join(", ")),
            );
        }
    }
    fields.optional(
        "part",
        send.part.map(|(from, to)| format!("[{from}, {to}]")),
    );
    if let Some(trickle) = send.trickle {
        fields.put("size", trickle.size.to_string());
        fields.put("every", quoted(trickle.every));
    }
}

fn piece(fields: &mut Fields, piece: &Piece) {
    match piece {
        Piece::Head(one) => fields.put("head", head(one)),
        Piece::Body(length) => fields.put("body", length.to_string()),
        Piece::Chunk(length) => fields.put("chunk", length.to_string()),
        Piece::LastChunk => fields.put("last_chunk", "true".into()),
        Piece::Bytes(bytes) => fields.put("bytes", escape::encode(bytes)),
    }
}

fn head(head: &Head) -> String {
    let mut fields = Fields::default();
    fields.put("method", text(&head.method));
    fields.put("target", text(&head.target));
    fields.optional(
        "version",
        (head.version == Version::Http10).then(|| "\"1.0\"".into()),
    );
    match &head.host {
        Host::Default => {}
        Host::Text(host) => fields.put("host", text(host)),
        Host::Absent => fields.put("host", "false".into()),
    }
    fields.optional("length", head.length.map(|length| length.to_string()));
    fields.optional("chunked", head.chunked.then(|| "true".into()));
    fields.optional("expect", head.expect.as_deref().map(text));
    fields.optional("connection", head.connection.as_deref().map(text));
    if !head.headers.is_empty() {
        let pairs = head
            .headers
            .iter()
            .map(|(name, value)| format!("[{}, {}]", text(name), text(value)));
        fields.put(
            "headers",
            format!("[{}]", pairs.collect::<Vec<_>>().join(", ")),
        );
    }
    fields.inline()
}

/// The fields of an inline table.
#[derive(Default)]
struct Fields(Vec<String>);

impl Fields {
    fn put(&mut self, key: &str, value: String) {
        self.0.push(format!("{key} = {value}"));
    }

    fn optional(&mut self, key: &str, value: Option<String>) {
        if let Some(value) = value {
            self.put(key, value);
        }
    }

    fn inline(self) -> String {
        format!("{{ {} }}", self.0.join(", "))
    }
}

fn quoted(duration: Duration) -> String {
    format!("\"{}\"", Span(duration))
}

/// A key of TOML, with quotes where it needs them.
fn key(key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if bare { key.to_owned() } else { text(key) }
}

/// A string of TOML, over several lines where it is long. It is cut at single spaces only, since TOML drops all that
/// follow the `\\` at the end of a line.
fn paragraph(value: &str) -> String {
    const COLUMNS_MAX: usize = 110;
    let line = text(value);
    if line.chars().count() <= COLUMNS_MAX || line.starts_with("\" ") {
        return line;
    }
    let inner = &line[1..line.len() - 1];
    let mut out = String::from("\"\"\"");
    let mut column = usize::MAX;
    for word in inner.split_inclusive(' ') {
        let width = word.chars().count();
        // A space that follows another one must not begin a line.
        if word != " " && column.saturating_add(width) > COLUMNS_MAX {
            out.push_str("\\\n  ");
            column = 2;
        }
        out.push_str(word);
        column += width;
    }
    out + "\"\"\""
}

/// A string of TOML on one line, with its quotes.
fn text(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
