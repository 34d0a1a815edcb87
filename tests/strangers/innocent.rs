//! Innocent servers, each with one habit.

pub(crate) mod admission;
pub(crate) mod beside;
pub(crate) mod closing;
pub(crate) mod drawing;
mod refusing;
pub(crate) mod serving;
mod wording;

use crate::Stranger;
use crate::base::{Plain, run};
use admission::*;
use beside::*;
use closing::*;
use drawing::*;
use refusing::*;
use serving::*;
use std::time::Duration;
use wording::*;

pub(crate) fn all() -> Vec<Stranger> {
    vec![
        Stranger::new("base", "the base itself", run::<Plain>),
        Stranger::new(
            "closes-always",
            "closes after every response",
            run::<ClosesAlways>,
        ),
        Stranger::new(
            "five-requests",
            "closes after five responses",
            run::<FiveRequests>,
        ),
        Stranger::new(
            "strict-lines",
            "refuses a bare LF with 400",
            run::<StrictLines>,
        ),
        Stranger::new(
            "no-old-keep-alive",
            "closes behind HTTP/1.0",
            run::<NoOldKeepAlive>,
        ),
        Stranger::new(
            "refuses-old",
            "answers HTTP/1.0 with 505",
            run::<RefusesOld>,
        ),
        Stranger::new(
            "refuses-expect",
            "answers expectations with 417",
            run::<RefusesExpect>,
        ),
        Stranger::new(
            "final-before-body",
            "answers expectations with the final status",
            run::<FinalBeforeBody>,
        ),
        Stranger::new(
            "always-continues",
            "sends `100 Continue` also when the body has begun",
            run::<AlwaysContinues>,
        ),
        Stranger::new(
            "timeout-is-told",
            "sends 408 to idle connections before it closes them",
            run::<TimeoutIsTold>,
        ),
        Stranger::new(
            "resets-on-timeout",
            "resets connections whose clock is over, unless a response is under way",
            run::<ResetsOnTimeout>,
        ),
        Stranger::new("short-clocks", "has clocks of 2 to 5 s", run::<ShortClocks>),
        Stranger::new(
            "long-idle",
            "keeps idle connections for 10 min, and says so",
            run::<LongIdle>,
        )
        .stall(Duration::from_secs(620)),
        Stranger::new(
            "send-timeout",
            "has 60 s for each write, as nginx, and says so",
            run::<SendTimeout>,
        )
        .no_residence(),
        Stranger::new(
            "minute-old",
            "closes connections that are a minute old between requests",
            run::<MinuteOld>,
        ),
        Stranger::new(
            "writes-pieces",
            "writes 40 bytes at a time",
            run::<WritesPieces>,
        ),
        Stranger::new(
            "writes-vectored",
            "writes head and body at once",
            run::<WritesVectored>,
        ),
        Stranger::new(
            "reads-bytes",
            "reads heads a byte at a time",
            run::<ReadsBytes>,
        ),
        Stranger::new("reads-much", "reads a MiB at a time", run::<ReadsMuch>),
        Stranger::new("early-hints", "sends `103 Early Hints`", run::<EarlyHints>),
        Stranger::new(
            "chunk-extensions",
            "answers in chunks with extensions",
            run::<ChunkExtensions>,
        ),
        Stranger::new(
            "trailers",
            "answers in chunks with trailers",
            run::<Trailers>,
        ),
        Stranger::new(
            "lower-case",
            "writes names of fields in lower case",
            run::<LowerCase>,
        ),
        Stranger::new(
            "ends-by-close",
            "ends responses with the connection",
            run::<EndsByClose>,
        ),
        Stranger::new(
            "answers-batches",
            "answers pipelined requests in one write",
            run::<AnswersBatches>,
        ),
        Stranger::new(
            "staged-close",
            "waits 50 ms before the FIN",
            run::<StagedClose>,
        ),
        Stranger::new(
            "drains-a-little",
            "drains 64 KiB behind the last response, then resets",
            run::<DrainsALittle>,
        ),
        Stranger::new(
            "slow-handler",
            "takes a second for each answer",
            run::<SlowHandler>,
        )
        // It works on one more request before it learns that nobody takes the answers: 3 s for each.
        .drain(Duration::from_secs(10)),
        Stranger::new("small-bodies", "takes bodies of a KiB", run::<SmallBodies>),
        Stranger::new(
            "read-only",
            "answers everything but GET and HEAD with 405",
            run::<ReadOnly>,
        ),
        Stranger::new(
            "wants-length",
            "answers chunked requests with 411",
            run::<WantsLength>,
        ),
        Stranger::new(
            "paced-writes",
            "sends 64 KiB every 10 ms",
            run::<PacedWrites>,
        ),
        Stranger::new(
            "clocked-upgrade",
            "echoes upgraded connections for a minute at most",
            run::<ClockedUpgrade>,
        )
        .upgrades(),
        Stranger::new(
            "farewell",
            "answers 503 at shutdown to clients that have not asked",
            run::<Farewell>,
        ),
        Stranger::new("ticker", "runs a background ticker", run::<Ticker>),
        Stranger::new(
            "ticker-at-first",
            "runs a ticker of 10 s that the first connection starts",
            run::<TickerAtFirst>,
        ),
        Stranger::new(
            "fast-ticker",
            "runs a background ticker of 1 ms",
            run::<FastTicker>,
        ),
        Stranger::new(
            "metrics-at-first",
            "starts a metrics task at the first connection",
            run::<MetricsAtFirst>,
        ),
        Stranger::new(
            "janitor-at-upload",
            "starts a janitor at the first upload",
            run::<JanitorAtUpload>,
        ),
        Stranger::new(
            "log-task",
            "writes its log in a task that the first response starts",
            run::<LogTask>,
        ),
        Stranger::new(
            "job-behind",
            "works for a minute behind a 202, and says so",
            run::<JobBehind>,
        )
        .background("strangers/job.rs"),
        Stranger::new(
            "handler-goes-on",
            "lets handlers go on for 4 s without their client",
            run::<HandlerGoesOn>,
        ),
        Stranger::new(
            "workers",
            "has 512 workers that take connections from a channel",
            run::<Workers>,
        ),
        Stranger::new(
            "workers-on-demand",
            "starts workers on demand, which idle for two minutes",
            run::<WorkersOnDemand>,
        ),
        Stranger::new(
            "one-task",
            "serves all connections in one task",
            run::<OneTask>,
        ),
        Stranger::new(
            "hands-back",
            "hands idle connections back through the accept loop",
            run::<HandsBack>,
        ),
        Stranger::new(
            "two-tasks",
            "has a reader's and a writer's task for each connection",
            run::<TwoTasks>,
        ),
        Stranger::new(
            "waits-for-place",
            "accepts only where one of 256 places is free",
            run::<WaitsForPlace>,
        ),
        Stranger::new(
            "evicts-idle",
            "closes the longest idle of more than 8 connections",
            run::<EvictsIdle>,
        ),
        Stranger::new(
            "refuses",
            "answers 503 to more than 100 connections",
            run::<Refuses>,
        ),
        Stranger::new(
            "rate-limit",
            "answers 429 to more than 50 requests in 10 s",
            run::<RateLimit>,
        ),
        Stranger::new(
            "bans-abusers",
            "does not answer an address for 10 min behind 20 failed connections in a row",
            run::<BansAbusers>,
        ),
        Stranger::new(
            "catches-panics",
            "answers panics with 500",
            run::<CatchesPanics>,
        ),
        Stranger::new(
            "registry",
            "keeps a registry of its connections",
            run::<Registry>,
        ),
        Stranger::new(
            "watchdog",
            "has a watchdog task for each connection",
            run::<Watchdog>,
        ),
        Stranger::new(
            "upstream",
            "asks a backend over pooled connections",
            run::<Upstream>,
        ),
        Stranger::new(
            "four-acceptors",
            "accepts in four tasks",
            run::<FourAcceptors>,
        ),
        Stranger::new(
            "draws-ids",
            "draws an `X-Request-Id` of changing length for each response",
            run::<DrawsIds>,
        ),
        Stranger::new(
            "tells-elapsed",
            "answers with a time that std's clock has measured",
            run::<TellsElapsed>,
        ),
        Stranger::new(
            "offloads",
            "reads files and looks up names on threads of their own",
            run::<Offloads>,
        ),
        Stranger::new("lines", "speaks a line protocol", lines).lines(),
    ]
}
