//! Lifecycle coverage: which cells of a connection's life a campaign has reached, and that what is not reached is told.

use hangup::campaign::walk::{Cases, Walk, walk};
use hangup::coverage::possible::{is_rare, possible};
use hangup::coverage::{Action, Coverage, Place};
use hangup::engine::Engine;
use hangup::report::coverage::Table;
use hangup::server;
use hangup_lifecycle::{Clock, Phase};
use hangup_scenario::Scenario;
use hangup_scenario::strategy::{self, Options};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Command, Output};

fn hangup(command: &str) -> Output {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("coverage");
    Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(command.split(' '))
        .arg("--out")
        .arg(out)
        .output()
        .expect("the command runs")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The last line of `fuzz --json`.
fn totals(command: &str) -> Value {
    let text = text(&hangup(&format!("{command} --json")));
    let last = text.lines().last().expect("totals");
    serde_json::from_str::<Value>(last).expect("JSON")["totals"].take()
}

/// Cases by phase, clock and action.
fn cells(totals: &Value) -> BTreeMap<String, u64> {
    let mut cells = BTreeMap::new();
    for row in totals["coverage"]["rows"].as_array().expect("rows") {
        for (action, cases) in row["cases"].as_object().expect("cells") {
            let name = format!("{} {} {action}", row["phase"], row["clock"]);
            cells.insert(name, cases.as_u64().expect("a count"));
        }
    }
    cells
}

#[test]
fn the_table_follows_from_the_cases_on_any_number_of_cores_and_machines() {
    let command = "fuzz --server hangup --seed 3 --cases 1500 --coverage";
    let whole = cells(&totals(&format!("{command} --jobs 1")));
    assert!(whole.values().filter(|cases| **cases > 0).count() > 100);
    assert_eq!(cells(&totals(&format!("{command} --jobs 2"))), whole);
    let mut sum = BTreeMap::new();
    for shard in 1..=3 {
        for (cell, cases) in cells(&totals(&format!("{command} --shard {shard}/3"))) {
            *sum.entry(cell).or_insert(0) += cases;
        }
    }
    assert_eq!(sum, whole);
}

#[test]
fn a_cell_that_was_never_reached_is_named_and_fails_the_run_that_requires_all() {
    let few = "fuzz --server hangup --cases 200";
    let asked = hangup(&format!("{few} --coverage"));
    assert_eq!(asked.status.code(), Some(0));
    let required = hangup(&format!("{few} --require-coverage"));
    assert_eq!(required.status.code(), Some(1));
    let told = text(&required);
    for line in [
        "never  idle, age: says, drips, takes",
        "\nclean: 200 cases",
        "\nnot covered: ",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert!(
        told.lines().all(|line| line.chars().count() <= 100),
        "{told}"
    );
    assert!(!text(&hangup(few)).contains("never"));
}

#[test]
fn the_page_has_the_table_too() {
    let page = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("coverage.html");
    let html = |flag: &str| {
        let command = format!(
            "fuzz --server hangup --cases 100{flag} --html {}",
            page.display()
        );
        assert_eq!(hangup(&command).status.code(), Some(0));
        std::fs::read_to_string(&page).expect("a page")
    };
    assert!(!html("").contains("Lifecycle coverage"));
    let page = html(" --coverage");
    assert!(page.contains("Lifecycle coverage") && page.contains(r#"<td class="poor">never</td>"#));
}

#[test]
fn what_is_no_server_of_ours_tells_no_clocks_and_cannot_be_required_to() {
    let told = text(&hangup("fuzz --server twin --cases 200 --coverage"));
    assert!(told.contains("it tells no phases"), "{told}");
    assert!(told.contains("\nhandler "), "{told}");
    assert!(told.lines().all(|line| line.len() <= 100), "{told}");
    for (command, says) in [
        (
            "--server twin --require-coverage",
            "twin: it tells no phases",
        ),
        (
            "--server twin --server hangup --coverage",
            "one server at a time",
        ),
        ("--engine turmoil --coverage", "allowed: --engine leap"),
    ] {
        let wrong = hangup(&format!("fuzz {command}"));
        let error = String::from_utf8_lossy(&wrong.stderr);
        assert_eq!(wrong.status.code(), Some(2), "{command}: {error}");
        assert!(error.contains(says), "{command}: {error}");
    }
}

/// Cases by their case seeds.
struct Chosen {
    case_seeds: Vec<u64>,
    options: Options,
}

impl Cases for Chosen {
    fn count(&self) -> u64 {
        self.case_seeds.len() as u64
    }

    fn scenario(&self, index: u64) -> Scenario {
        strategy::generate(self.case_seeds[index as usize], &self.options)
    }
}

fn everything() -> Options {
    Options {
        vanish: true,
        network: true,
        server_events: true,
        last_seconds: true,
        ..Options::default()
    }
}

fn covered(case_seeds: Vec<u64>, options: Options) -> (Coverage, Table) {
    let server = server::named("hangup").expect("it is built in");
    let plan = Walk {
        jobs: 2,
        shard: Default::default(),
        keep_going: true,
    };
    let cases = Chosen {
        case_seeds,
        options,
    };
    let (totals, _) = walk(Engine::Leap, &*server, &cases, plan, |_| {});
    let table = Table::of(&totals.coverage, &*server);
    (totals.coverage, table)
}

/// Every place that there is, and whether a cell of it can be reached.
fn possible_places() -> impl Iterator<Item = (Phase, Clock)> {
    let all = Phase::ALL
        .into_iter()
        .flat_map(|phase| Clock::ALL.map(move |clock| (phase, clock)));
    all.filter(|(phase, clock)| possible(*phase, *clock, Action::Silence).is_ok())
        .filter(|(phase, clock)| !is_rare(*phase, *clock))
}

#[test]
fn a_generator_that_leaves_something_out_leaves_its_cells_out() {
    let vanished = |coverage: &Coverage| -> u64 {
        let places = possible_places().map(|(phase, clock)| Place::Told(phase, Some(clock)));
        places
            .map(|place| coverage.count(place, Action::Vanish))
            .sum()
    };
    let (coverage, _) = covered((0..4000).collect(), everything());
    assert!(vanished(&coverage) > 50);
    let crippled = Options {
        vanish: false,
        ..everything()
    };
    let (coverage, table) = covered((0..4000).collect(), crippled);
    assert_eq!(vanished(&coverage), 0);
    let never = table.never();
    for (phase, clock) in possible_places() {
        let row = format!("{phase}, {clock}: ");
        let row = never.iter().find(|line| line.starts_with(&row));
        let row = row.unwrap_or_else(|| panic!("{phase}, {clock} is not among {never:#?}"));
        assert!(row.contains("vanish"), "{row}");
    }
    assert!(!table.is_covered());
}

/// The cases that are made for it come to every phase in which a connection can be when its age, or a shutdown, is what ends it.
#[test]
fn connections_in_their_last_seconds_are_everywhere() {
    let plain = Options {
        last_seconds: false,
        ..everything()
    };
    let is_one = |case_seed: &u64| {
        strategy::generate(*case_seed, &everything()) != strategy::generate(*case_seed, &plain)
    };
    let case_seeds: Vec<u64> = (0..).filter(is_one).take(400).collect();
    let (coverage, table) = covered(case_seeds, everything());
    for (phase, clock) in possible_places() {
        if matches!(clock, Clock::Age | Clock::Shutdown) {
            let count = coverage.count(Place::Told(phase, Some(clock)), Action::Silence);
            assert!(count > 0, "{phase}, {clock}\n{table}");
        }
    }
    assert_eq!(table.surprises(), [""; 0]);
}

#[test]
fn what_cannot_be_says_why_and_every_phase_that_the_probe_app_has_can() {
    for phase in Phase::ALL {
        let has = Clock::ALL.map(|clock| possible(phase, clock, Action::Says).is_ok());
        let none = phase == Phase::Handshake;
        assert_eq!(has.contains(&true), !none, "{phase}");
        for clock in Clock::ALL {
            // The last response may still be taken while the next request is waited for.
            let takes = phase == Phase::Idle && matches!(clock, Clock::Gap | Clock::Rate);
            if !phase.clocks().contains(&clock) && !takes {
                let why = possible(phase, clock, Action::Says).expect_err("there is none");
                assert_eq!(why, "the phase has no such clock");
            }
        }
    }
    assert!(possible(Phase::Opening, Clock::Total, Action::Takes).is_err());
}
