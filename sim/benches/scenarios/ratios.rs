//! The table of ratios.

use super::{
    SCALES, SHORT_STALL, crowd, generated, incident_1834, judge, short_1834, tickers, walked,
};
use hangup::engine::leap;
use hangup::server;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;

/// Generated cases of a round.
const CASES: usize = 50;
/// Runs of an incident in a round.
const RUNS: usize = 20;

/// Who takes part, in the order of their turns. Servers that tick, and the crowds, come behind the last of them.
const JUDGED: usize = 0;
const BARE: usize = 1;
const LONG: usize = 2;
const SHORT: usize = 3;
const SHORT_BARE: usize = 4;
const TURMOIL: usize = 5;

/// One that is measured.
struct Contestant<'a> {
    name: String,
    /// How much of what is counted one turn does.
    counts: usize,
    /// One turn; it is told the round.
    turn: Box<dyn Fn(usize) + 'a>,
}

impl<'a> Contestant<'a> {
    fn new(name: impl Into<String>, counts: usize, turn: impl Fn(usize) + 'a) -> Self {
        Self {
            name: name.into(),
            counts,
            turn: Box::new(turn),
        }
    }
}

/// Lets all take turns for so many rounds, and prints what each costs and how they compare.
pub(crate) fn print(rounds: usize) {
    let server = server::named("hangup").expect("it is built in");
    let server = &*server;
    let (cases, long, short) = (generated(server), incident_1834(), short_1834());
    let block = |round: usize| cases.iter().cycle().skip(round * CASES).take(CASES);
    let crowds = SCALES.map(|count| (count, crowd(count)));
    let ticking = tickers::TICKS.map(tickers::server);
    let ticked: Vec<_> = ticking.iter().map(|server| generated(&**server)).collect();
    let mut contestants = vec![
        Contestant::new("generated case, run and judged", CASES, |round| {
            block(round).for_each(|case| judge(case, server));
        }),
        Contestant::new("the same, bare", CASES, |round| {
            block(round).for_each(|case| leap::bare(case, server));
        }),
        Contestant::new("#1834 of 29 hours, run and judged", RUNS, |_| {
            (0..RUNS).for_each(|_| judge(&long, server));
        }),
        Contestant::new("#1834 of 60 s, run and judged", RUNS, |_| {
            (0..RUNS).for_each(|_| judge(&short, server));
        }),
        Contestant::new("#1834 of 60 s, bare", RUNS, |_| {
            (0..RUNS).for_each(|_| leap::bare(&short, server));
        }),
        Contestant::new("#1834 of 60 s, turmoil at 1 ms ticks", 1, |_| {
            black_box(walked::expect_and_stall(SHORT_STALL));
        }),
    ];
    let tick = contestants.len();
    let tickers = ticking.iter().zip(&ticked).zip(tickers::NAMES);
    contestants.extend(tickers.map(|((server, cases), name)| {
        Contestant::new(name, CASES, move |round| {
            let block = cases.iter().cycle().skip(round * CASES).take(CASES);
            block.for_each(|case| judge(case, &**server));
        })
    }));
    let crowd_at = contestants.len();
    contestants.extend(crowds.iter().map(|(count, crowd)| {
        let name = format!("a client among {count}");
        Contestant::new(name, *count as usize, |_| judge(crowd, server))
    }));

    let turns: Vec<Vec<f64>> = (0..rounds)
        .map(|round| contestants.iter().map(|one| micros(one, round)).collect())
        .collect();
    println!(
        "\n{:<38} {:>12}",
        "medians over interleaved rounds", "us each"
    );
    for (index, contestant) in contestants.iter().enumerate() {
        let each = median(turns.iter().map(|turn| turn[index]));
        println!("{:<38} {each:>12.2}", contestant.name);
    }
    let ratio = |one: usize, other: usize| median(turns.iter().map(|turn| turn[one] / turn[other]));
    println!();
    println!(
        "bare / judged                          {:>8.2}   (aim: at least 0.5)",
        ratio(BARE, JUDGED)
    );
    println!(
        "turmoil / leap, judged                 {:>8.0}",
        ratio(TURMOIL, SHORT)
    );
    println!(
        "turmoil / leap, bare                   {:>8.0}",
        ratio(TURMOIL, SHORT_BARE)
    );
    println!(
        "29 hours / 60 s, leap, judged          {:>8.2}",
        ratio(LONG, SHORT)
    );
    println!("\ncost relative to the same server without a ticker (aim: at most 2)");
    for (index, name) in tickers::NAMES.iter().enumerate().skip(1) {
        println!("{name:<38} {:>8.2}", ratio(tick + index, tick));
    }
    println!("\ncost a client relative to one client (see sim/benches/clients.md)");
    for (index, (count, _)) in crowds.iter().enumerate() {
        println!(
            "among {count:<4}                             {:>8.2}",
            ratio(crowd_at + index, crowd_at)
        );
    }
}

/// What one turn cost, for each of what it counts: this thread's time on a core. On a machine that others use, too, a turn that is
/// longer than a slice of the scheduler's would else be charged with what they do meanwhile.
fn micros(contestant: &Contestant<'_>, round: usize) -> f64 {
    let start = on_core_us();
    (contestant.turn)(round);
    (on_core_us() - start) / contestant.counts as f64
}

fn on_core_us() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
