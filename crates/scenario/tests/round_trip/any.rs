//! Any scenario that a file can hold, however unlikely: much wider than what `strategy` makes.

use std::time::Duration;

use hangup_scenario::{
    AcceptError, Addresses, Await, Blackhole, Client, Contract, Head, Host, LinkChange, Network,
    Piece, Read, Resources, Rst, Scenario, Send, ServerAction, ServerEvent, Step, Story, Text,
    Trickle, Until, Verdict, Version,
    file::bounds::{
        AWAITED_BYTES_MAX, BUFFER_MAX, DESCRIPTORS_MAX, DURATION_MAX, HOARD_MAX, MTU_MAX,
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select};

pub(crate) fn scenario() -> impl Strategy<Value = Scenario> {
    let words = (
        "[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,20}",
        text(),
        text(),
        any::<u64>(),
    );
    let words = (words, story());
    let expect = prop::collection::btree_map(text(), select(&Verdict::ALL[..]), 0..3);
    let descriptors = option::of(1..=DESCRIPTORS_MAX as u32);
    let clients = (vec(client(), 1..4), vec(server_event(), 0..4), descriptors);
    (words, contract(), network(), expect, clients).prop_map(
        |(((name, title, source, seed), story), contract, network, expect, clients)| {
            let (clients, server_events, descriptors) = clients;
            Scenario {
                name,
                title,
                source,
                story,
                seed,
                contract,
                network,
                server: Resources { descriptors },
                clients,
                server_events,
                expect,
            }
        },
    )
}

fn story() -> impl Strategy<Value = Story> {
    let links = vec(text().prop_map(|text| format!("https://{text}")), 0..3);
    let told = || {
        prop_oneof![
            text(),
            vec(text(), 20..80).prop_map(|words| words.join(" ")),
            "( {0,2}[a-z\"\\\\é]{0,9}){60}",
        ]
    };
    (links, text(), told(), told(), told()).prop_map(
        |(links, theme, happened, must_hold, verified)| Story {
            links,
            theme,
            happened,
            must_hold,
            verified,
        },
    )
}

/// Text with everything that must be escaped.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z =\"'\\\\#]{0,10}",
        any::<String>(),
        Just(String::from("\u{0}\t\r\n\u{7f}\u{85}\u{feff}"))
    ]
}

fn duration() -> impl Strategy<Value = Duration> {
    let unit = select(
        &[
            1_u64,
            1_000,
            1_000_000,
            1_000_000_000,
            60_000_000_000,
            86_400_000_000_000,
        ][..],
    );
    let round = (unit, 0_u64..400).prop_map(|(unit, count)| Duration::from_nanos(unit * count));
    let nanos = (0..=DURATION_MAX.as_nanos() as u64).prop_map(Duration::from_nanos);
    prop_oneof![round, nanos].prop_map(|duration| duration.min(DURATION_MAX))
}

fn probability() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(1.0), Just(1e-300), 0.0..=1.0]
}

fn contract() -> impl Strategy<Value = Contract> {
    (
        option::of(duration()),
        option::of(duration()),
        option::of(duration()),
        option::of(duration()),
        option::of(1..=HOARD_MAX),
        option::of(1..=1_000_000_u64),
        option::of(duration()),
    )
        .prop_map(
            |(stall, residence, drain, shutdown, buffer, rate, vanished)| Contract {
                stall,
                residence,
                drain,
                shutdown,
                buffer,
                rate,
                vanished,
            },
        )
}

fn server_event() -> impl Strategy<Value = ServerEvent> {
    let lasts = duration().prop_map(|lasts| lasts.max(Duration::from_nanos(1)));
    let error = prop_oneof![
        Just(AcceptError::UntilClose),
        lasts.prop_map(AcceptError::Lasts)
    ];
    let action = prop_oneof![
        select(&ServerAction::ALL[..]),
        error.prop_map(ServerAction::AcceptError)
    ];
    (duration(), action).prop_map(|(at, action)| ServerEvent { at, action })
}

fn network() -> impl Strategy<Value = Network> {
    let fixed = || prop_oneof![(1..=BUFFER_MAX), (1..=64_u64).prop_map(|kib| kib << 10)];
    let buffer = || prop::option::of(fixed());
    let rst = select(&[Rst::Keep, Rst::Erase][..]);
    let given = (
        duration(),
        duration(),
        1..=MTU_MAX,
        probability(),
        rst,
        buffer(),
        buffer(),
    )
        .prop_map(
            |(latency, jitter, mtu, loss, rst, send_buffer, receive_buffer)| Network {
                latency,
                jitter,
                mtu: mtu as usize,
                loss,
                rst,
                send_buffer: send_buffer.map(|size| size as usize),
                receive_buffer: receive_buffer.map(|size| size as usize),
            },
        );
    prop_oneof![Just(Network::default()), given]
}

fn client() -> impl Strategy<Value = Client> {
    let count = prop_oneof![Just(1), 1..100_u32];
    let addresses = prop_oneof![Just(Addresses::Shared), Just(Addresses::Own)];
    let times = (duration(), duration());
    (count, times, addresses, vec(step(), 0..8)).prop_map(
        |(count, (stagger, start), addresses, steps)| Client {
            count,
            // Not longer in all than a client may live.
            stagger: stagger / 100,
            start,
            addresses,
            steps,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let within =
        (until(), duration()).prop_map(|(until, within)| Step::Await(Await { until, within }));
    prop_oneof![
        select(
            &[
                Step::Connect,
                Step::HalfClose,
                Step::Close,
                Step::Reset,
                Step::Vanish,
                Step::Read(Read::All)
            ][..]
        ),
        send().prop_map(Step::Send),
        within,
        duration().prop_map(|duration| Step::Stall { duration }),
        (0..=AWAITED_BYTES_MAX).prop_map(|bytes| Step::Read(Read::Bytes(bytes))),
        paced().prop_map(Step::Read),
        duration().prop_map(|after| Step::Reconnect { after }),
        link().prop_map(Step::Network),
    ]
}

fn paced() -> impl Strategy<Value = Read> {
    // Few pauses, so that no client lives longer than it may.
    (0..3000_u64, 200..5000_u64, duration()).prop_map(|(bytes, size, every)| Read::Paced {
        bytes,
        pace: Trickle {
            size,
            every: every / 10,
        },
    })
}

fn until() -> impl Strategy<Value = Until> {
    prop_oneof![
        (100..=999_u16).prop_map(Until::Status),
        Just(Until::Final),
        Just(Until::Eof),
        (0..=AWAITED_BYTES_MAX).prop_map(Until::Bytes),
    ]
}

fn link() -> impl Strategy<Value = LinkChange> {
    let blackhole = select(&[Blackhole::Both, Blackhole::ToServer, Blackhole::ToClient][..]);
    let loss = option::of(probability());
    (
        any::<bool>(),
        option::of(duration()),
        option::of(duration()),
        option::of(1..=65_535_usize),
        loss,
        option::of(blackhole),
    )
        .prop_map(|(heal, latency, jitter, mtu, loss, blackhole)| LinkChange {
            heal,
            latency,
            jitter,
            mtu,
            loss,
            blackhole,
        })
}

pub(crate) fn send() -> impl Strategy<Value = Send> {
    let part = (0..2000_u64, 0..2000_u64).prop_map(|(from, length)| (from, from + length));
    // Few pauses, so that no client lives longer than it may.
    let trickle = (200..5000_u64, duration()).prop_map(|(size, every)| Trickle {
        size,
        every: every / 10,
    });
    (vec(piece(), 0..4), option::of(part), option::of(trickle)).prop_map(|(what, part, trickle)| {
        Send {
            what,
            part,
            trickle,
        }
    })
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        head().prop_map(Piece::Head),
        (0..3000_u64).prop_map(Piece::Body),
        (0..3000_u64).prop_map(Piece::Chunk),
        Just(Piece::LastChunk),
        vec(any::<u8>(), 0..20).prop_map(Piece::Bytes),
        "[ -~\r\n\t]{0,20}".prop_map(|text| Piece::Bytes(text.into_bytes())),
    ]
}

fn head() -> impl Strategy<Value = Head> {
    let host = prop_oneof![
        Just(Host::Default),
        Just(Host::Absent),
        text().prop_map(Host::Text)
    ];
    let text = || text().prop_map(Text::from);
    let line = (
        text(),
        text(),
        select(&[Version::Http10, Version::Http11][..]),
        host,
    );
    let framing = (option::of(any::<u64>()), any::<bool>());
    let fields = (
        option::of(text()),
        option::of(text()),
        vec((text(), text()), 0..3),
    );
    (line, framing, fields).prop_map(
        |((method, target, version, host), (length, chunked), (expect, connection, headers))| {
            Head {
                method,
                target,
                version,
                host,
                length,
                chunked,
                expect,
                connection,
                headers,
            }
        },
    )
}
