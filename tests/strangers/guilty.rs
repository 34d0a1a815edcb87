//! Guilty servers, each with one defect.

pub(crate) mod accept;
pub(crate) mod clocks;
pub(crate) mod libraries;
pub(crate) mod messages;
pub(crate) mod stopping;
pub(crate) mod tasks;

use crate::Stranger;
use crate::base::run;
use accept::*;
use clocks::*;
use hangup_scenario::Verdict::{self, *};
use messages::*;
use stopping::*;
use tasks::*;

/// A guilty server, and as what its defect may be found.
pub(crate) type Guilty = (Stranger, &'static [Verdict]);

pub(crate) fn all() -> Vec<Guilty> {
    let held: &[Verdict] = &[Hung, Late];
    vec![
        (
            Stranger::new(
                "head-clock-once",
                "the head clock runs for the first request only",
                run::<HeadClockOnce>,
            ),
            held,
        ),
        (
            Stranger::new(
                "first-byte-clock",
                "a head has no clock behind its first byte",
                run::<FirstByteClock>,
            ),
            held,
        ),
        (
            Stranger::new(
                "head-clock-per-read",
                "each read of a head restarts its clock",
                run::<HeadClockPerRead>,
            ),
            held,
        ),
        (
            Stranger::new(
                "stale-head-clock",
                "a clock that was started at the accept drops the request that is under way when it is over",
                run::<StaleHeadClock>,
            ),
            &[Protocol, Lost],
        ),
        (
            Stranger::new(
                "idle-clock-behind-body",
                "the idle clock is not started behind a response to HEAD",
                run::<IdleClockBehindBody>,
            ),
            held,
        ),
        (
            Stranger::new(
                "continue-stops-clock",
                "`100 Continue` stops the clocks of the body",
                run::<ContinueStopsClock>,
            ),
            held,
        ),
        (
            Stranger::new(
                "empty-lines-restart",
                "each empty line before a request restarts the idle clock",
                run::<EmptyLinesRestart>,
            ),
            held,
        ),
        (
            Stranger::new(
                "unclocked-write",
                "a response is written without a clock",
                run::<UnclockedWrite>,
            ),
            held,
        ),
        (
            Stranger::new(
                "unclocked-flush",
                "it waits without a clock until a response is acknowledged",
                run::<UnclockedFlush>,
            ),
            held,
        ),
        (
            Stranger::new(
                "unclocked-response",
                "a response as a whole has no clock",
                run::<UnclockedResponse>,
            ),
            held,
        ),
        (
            Stranger::new(
                "unclocked-linger",
                "a closed connection lingers until its client ends it",
                run::<UnclockedLinger>,
            ),
            held,
        ),
        (
            Stranger::new(
                "linger-per-read",
                "each read restarts the clock of the linger",
                run::<LingerPerRead>,
            ),
            held,
        ),
        (
            Stranger::new(
                "unclocked-drain",
                "an unread body is drained without a clock",
                run::<UnclockedDrain>,
            ),
            held,
        ),
        (
            Stranger::new(
                "unclocked-trailers",
                "trailers have no clock",
                run::<UnclockedTrailers>,
            ),
            held,
        ),
        (
            Stranger::new(
                "body-clock-per-read",
                "a body as a whole has no clock",
                run::<BodyClockPerRead>,
            ),
            held,
        ),
        (
            Stranger::new(
                "unclocked-upgrade",
                "an upgraded connection has no clock",
                run::<UnclockedUpgrade>,
            )
            .upgrades(),
            held,
        ),
        (
            Stranger::new(
                "no-pongs",
                "an upgraded connection gets pings, and nobody looks for pongs",
                run::<NoPongs>,
            )
            .upgrades(),
            held,
        ),
        (
            Stranger::new(
                "processing-restarts",
                "each `102 Processing` restarts the clock of the handler",
                run::<ProcessingRestarts>,
            ),
            held,
        ),
        (
            Stranger::new(
                "inline-sniff",
                "the accept loop waits up to 10 s for the first byte of each connection",
                run::<InlineSniff>,
            ),
            &[Deaf],
        ),
        (
            Stranger::new(
                "inline-preface",
                "the accept loop waits for the first five bytes, without a clock",
                run::<InlinePreface>,
            ),
            &[Deaf, Hung],
        ),
        (
            Stranger::new(
                "slots-while-idle",
                "each of four slots is held while its connection is idle",
                run::<SlotsWhileIdle>,
            ),
            &[Deaf, Late, Protocol],
        ),
        (
            Stranger::new(
                "slot-leaks",
                "a slot is not given back behind an error",
                run::<SlotLeaks>,
            ),
            &[Deaf],
        ),
        (
            Stranger::new(
                "panic-stays-counted",
                "a request whose handler panics counts as under way for ever",
                run::<PanicStaysCounted>,
            ),
            &[Deaf],
        ),
        (
            Stranger::new(
                "error-stays-counted",
                "a connection that fails counts as open for ever",
                run::<ErrorStaysCounted>,
            ),
            &[Deaf],
        ),
        (
            Stranger::new(
                "accept-error-ends",
                "the accept loop ends at an error",
                run::<AcceptErrorEnds>,
            ),
            &[Deaf],
        ),
        (
            Stranger::new(
                "accept-error-spins",
                "the accept loop tries again at once behind an error",
                run::<AcceptErrorSpins>,
            ),
            &[Spin],
        ),
        (
            Stranger::new(
                "panic-ends-accept",
                "a panic in a handler ends the accept loop",
                run::<PanicEndsAccept>,
            ),
            &[Deaf],
        ),
        (
            Stranger::new(
                "address-never-forgotten",
                "an address may make 100 connections in all",
                run::<AddressNeverForgotten>,
            ),
            &[Deaf],
        ),
        (
            Stranger::new(
                "bans-everybody",
                "20 failed connections in a row ban all addresses for 10 min",
                run::<BansEverybody>,
            ),
            &[Deaf],
        ),
        (
            Stranger::new(
                "lock-across-write",
                "all connections share a lock that is held across writes",
                run::<LockAcrossWrite>,
            ),
            &[Deaf, Late, Hung],
        ),
        (
            Stranger::new(
                "one-worker",
                "connections are served one after the other",
                run::<OneWorker>,
            ),
            &[Deaf, Late, Hung],
        ),
        (
            Stranger::new(
                "registry-grows",
                "64 KiB of each connection that fails are kept",
                run::<RegistryGrows>,
            ),
            &[Hoard],
        ),
        (
            Stranger::new(
                "keeps-failed-sockets",
                "the socket of a connection that fails is kept",
                run::<KeepsFailedSockets>,
            ),
            &[Leftover, Hung],
        ),
        (
            Stranger::new(
                "refuses-inline",
                "the accept loop waits for the end of those that it refuses",
                run::<RefusesInline>,
            ),
            &[Deaf, Hung, Late],
        ),
        (
            Stranger::new(
                "watcher-stays",
                "a task of each connection waits for the shutdown",
                run::<WatcherStays>,
            ),
            &[Leftover, Hung],
        ),
        (
            Stranger::new(
                "reaper-stays",
                "a task of each request sleeps an hour",
                run::<ReaperStays>,
            ),
            &[Leftover, Late],
        ),
        (
            Stranger::new(
                "select-drops-head",
                "a tick drops the part of a head that was read",
                run::<SelectDropsHead>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "lost-wake-up",
                "a handler that is done at once is waited for in vain",
                run::<LostWakeUp>,
            ),
            &[Hung, Leftover, Protocol],
        ),
        (
            Stranger::new(
                "detached-handler",
                "a handler without a clock goes on when its client is gone",
                run::<DetachedHandler>,
            ),
            &[Leftover, Hung],
        ),
        (
            Stranger::new(
                "writer-in-list",
                "the writer's task of each connection waits on a channel that a list keeps open",
                run::<WriterInList>,
            ),
            &[Leftover, Hung],
        ),
        (
            Stranger::new(
                "half-close-aborts",
                "a half-close behind a request ends it",
                run::<HalfCloseAborts>,
            ),
            &[Protocol, Lost],
        ),
        (
            Stranger::new(
                "half-close-ignored",
                "behind a half-close it reads again every second",
                run::<HalfCloseIgnored>,
            ),
            &[Late, Leftover, Hung],
        ),
        (
            Stranger::new(
                "reads-past-the-end",
                "behind the end of the stream it reads on for a body",
                run::<ReadsPastTheEnd>,
            ),
            &[Spin],
        ),
        (
            Stranger::new(
                "lock-across-handler",
                "all connections share a lock that is held across handlers",
                run::<LockAcrossHandler>,
            ),
            &[Deaf, Late, Protocol],
        ),
        (
            Stranger::new(
                "audit-blocks",
                "behind a 503 each response waits for an audit task that takes nothing more",
                run::<AuditBlocks>,
            ),
            &[Deaf, Hung, Leftover],
        ),
        (
            Stranger::new(
                "spool-waits",
                "a body that fails leaves its connection waiting for a spool",
                run::<SpoolWaits>,
            ),
            &[Hung, Leftover],
        ),
        (
            Stranger::new(
                "waits-for-idle",
                "a shutdown waits for idle connections",
                run::<WaitsForIdle>,
            ),
            &[StuckShutdown],
        ),
        (
            Stranger::new(
                "no-grace-bound",
                "a shutdown waits for what is under way, as long as that takes",
                run::<NoGraceBound>,
            ),
            &[StuckShutdown],
        ),
        (
            Stranger::new(
                "kills-busy",
                "a shutdown ends what is under way",
                run::<KillsBusy>,
            ),
            &[Lost, Protocol],
        ),
        (
            Stranger::new(
                "drops-read-request",
                "a request that was read when the shutdown came is dropped",
                run::<DropsReadRequest>,
            ),
            &[Lost, Protocol],
        ),
        (
            Stranger::new(
                "cuts-response",
                "a shutdown cuts the response that is being written",
                run::<CutsResponse>,
            ),
            &[Lost, Protocol],
        ),
        (
            Stranger::new(
                "keeps-listening",
                "a shutdown keeps the listener, and nobody accepts",
                run::<KeepsListening>,
            ),
            &[Deaf],
        ),
        (
            Stranger::new(
                "stops-at-next-client",
                "a shutdown is noticed when the next client comes",
                run::<StopsAtNextClient>,
            ),
            &[StuckShutdown],
        ),
        (
            Stranger::new(
                "half-a-farewell",
                "a shutdown tells idle clients a response that is cut",
                run::<HalfAFarewell>,
            ),
            &[Protocol, Lost],
        ),
        (
            Stranger::new(
                "cut-at-64k",
                "of a response only its length modulo 64 KiB is sent",
                run::<CutAt64K>,
            ),
            &[Lost, Protocol],
        ),
        (
            Stranger::new(
                "length-in-16-bits",
                "Content-Length is the length modulo 64 KiB",
                run::<LengthIn16Bits>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "answers-expect-twice",
                "a request that expects 100 is answered twice",
                run::<AnswersExpectTwice>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "continue-is-all",
                "a request that expects 100 gets nothing else",
                run::<ContinueIsAll>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "no-linger",
                "the socket is dropped right behind the last response",
                run::<NoLinger>,
            ),
            &[Lost],
        ),
        (
            Stranger::new(
                "drops-pipelined",
                "what was read behind a request is dropped",
                run::<DropsPipelined>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "goes-on-behind-400",
                "behind a malformed head it goes on",
                run::<GoesOnBehind400>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "continue-twice",
                "`100 Continue` is sent twice",
                run::<ContinueTwice>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "continue-to-old",
                "`100 Continue` goes to HTTP/1.0",
                run::<ContinueToOld>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "head-with-body",
                "HEAD is answered with a body",
                run::<HeadWithBody>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "chunked-to-old",
                "HTTP/1.0 is answered in chunks",
                run::<ChunkedToOld>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "dirty-buffers",
                "a request begins with what another client left in a pooled buffer",
                run::<DirtyBuffers>,
            ),
            &[Protocol, Lost, Deaf],
        ),
        (
            Stranger::new(
                "shared-slot",
                "an answer may be that of another connection",
                run::<SharedSlot>,
            ),
            &[Protocol, Lost],
        ),
        (
            Stranger::new(
                "endless-head",
                "a head may be of any length",
                run::<EndlessHead>,
            )
            .buffer(2 << 20),
            &[Hoard],
        ),
        (
            Stranger::new(
                "endless-body",
                "a chunked body may be of any length",
                run::<EndlessBody>,
            )
            .buffer(2 << 20),
            &[Hoard],
        ),
        (
            Stranger::new(
                "last-length-counts",
                "of several lengths the last one counts",
                run::<LastLengthCounts>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "no-extensions",
                "a chunk with an extension is refused",
                run::<NoExtensions>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "no-framing",
                "a response has no framing, and the connection stays open",
                run::<NoFraming>,
            ),
            &[Protocol, Hung, Lost],
        ),
        (
            Stranger::new(
                "close-overlooked",
                "`close` is overlooked behind a GET",
                run::<CloseOverlooked>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "byte-too-few",
                "the last byte of a body is left for the next request",
                run::<ByteTooFew>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "fields-in-hash-order",
                "the fields of a response stand in the order of a `HashMap`",
                run::<FieldsInHashOrder>,
            ),
            &[Nondeterministic],
        ),
        (
            Stranger::new(
                "draws-status",
                "the status of a response is drawn",
                run::<crate::innocent::drawing::DrawsStatus>,
            ),
            &[Nondeterministic],
        ),
        (
            Stranger::new(
                "draws-delay",
                "a response waits for a time that is drawn",
                run::<crate::innocent::drawing::DrawsDelay>,
            ),
            &[Nondeterministic],
        ),
        (
            Stranger::new(
                "refused-body-is-request",
                "an unread body is read as the next request",
                run::<RefusedBodyIsRequest>,
            ),
            &[Protocol],
        ),
        (
            Stranger::new(
                "half-of-a-file",
                "what a client does not take of a response in a second is given up",
                run::<HalfOfAFile>,
            ),
            &[Lost],
        ),
        (
            Stranger::new(
                "resets-with-response",
                "resets connections whose clock is over, with a response under way",
                run::<crate::innocent::closing::ResetsWithResponse>,
            ),
            &[Lost],
        ),
        (
            Stranger::new(
                "plain-axum",
                "`axum::serve` has no clocks",
                libraries::plain_axum,
            ),
            held,
        ),
        (
            Stranger::new(
                "hyper-header-clock",
                "hyper has a clock for heads and none for bodies",
                libraries::hyper_header_clock,
            )
            .dies(),
            held,
        ),
        (
            Stranger::new(
                "line-writer",
                "a line protocol's answers are written without a clock",
                libraries::line_writer,
            )
            .lines()
            .dies(),
            held,
        ),
        (
            Stranger::new(
                "hyper-no-host",
                "hyper behind clocks answers requests without a Host",
                crate::innocent::serving::hyper_clocked,
            ),
            &[Protocol],
        ),
    ]
}
