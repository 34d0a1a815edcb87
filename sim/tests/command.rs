//! The command line, as scripts use it: exit status, JSON, one line for a mistake, replay.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn hangup(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hangup"))
        .args(arguments)
        .output()
        .expect("the program was built for this test")
}

fn status(output: &Output) -> Option<i32> {
    output.status.code()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).expect("JSON is UTF-8");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn one(arguments: &[&str]) -> (Option<i32>, Value) {
    let output = hangup(arguments);
    let mut lines = lines(&output);
    assert_eq!(
        lines.len(),
        1,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (status(&output), lines.remove(0))
}

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("cargo gives tests a folder to write in");
    folder
}

#[test]
fn run_convicts_hyper_with_a_proof_and_a_stack() {
    let (status, cell) = one(&[
        "run",
        "fasthttp-1834",
        "--server",
        "hyper-timeouts",
        "--json",
    ]);
    assert_eq!(status, Some(1));
    assert_eq!(cell["verdict"], "hung");
    let finding = &cell["findings"][0];
    assert_eq!(finding["kind"], "hung");
    assert_eq!(finding["never_ends"], true);
    assert!(
        finding["alive_for_s"].as_f64() > Some(105_000.0),
        "{finding}"
    );
    if cfg!(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )) {
        let stack = finding["task"]["stack"].as_array().expect("a stack");
        assert!(
            stack.iter().any(|frame| frame
                .as_str()
                .is_some_and(|frame| frame.contains("hyper::proto::h1"))),
            "{stack:?}"
        );
        assert!(
            stack
                .iter()
                .all(|frame| !frame.as_str().unwrap_or_default().contains(env!("HOME"))),
            "{stack:?}"
        );
    }
    let connection = &cell["connections"][0];
    assert_eq!(connection["opened_s"], 0.06);
    assert_eq!(connection["closed_s"], Value::Null);
    assert_eq!(connection["statuses"], serde_json::json!([100]));
    assert_eq!(
        cell["tasks"],
        serde_json::json!({ "spawned": 1, "ended": 0, "alive": 1 })
    );
}

#[test]
fn run_acquits_our_server_which_closes_at_the_deadline() {
    let (status, cell) = one(&["run", "fasthttp-1834", "--server", "hangup", "--json"]);
    assert_eq!((status, &cell["verdict"]), (Some(0), &Value::from("clean")));
    let connection = &cell["connections"][0];
    // The head is there at 0.06 s, so is the 100; five seconds without a byte of body are the limit, then comes 408,
    // its FIN, and behind the acknowledgement of that the linger for the client's, two seconds.
    assert_eq!(connection["statuses"], serde_json::json!([100, 408]));
    assert_eq!(connection["closed_s"], 7.1);
}

#[test]
fn run_says_which_server_it_is_about_where_none_is_named() {
    for command in ["run", "replay"] {
        let unnamed = hangup(&[command, "fasthttp-1834"]);
        let told = String::from_utf8_lossy(&unnamed.stderr);
        assert!(
            told.contains("no --server is named, so this is about hangup"),
            "{told}"
        );
        let named = hangup(&[command, "fasthttp-1834", "--server", "hangup"]);
        assert_eq!(named.stderr, b"");
        assert_eq!(named.stdout, unnamed.stdout);
    }
}

#[test]
fn the_json_of_run_has_every_promised_field() {
    let (_, cell) = one(&["run", "fasthttp-1834", "--server", "hyper", "--json"]);
    for field in [
        "scenario",
        "server",
        "engine",
        "seed",
        "verdict",
        "findings",
        "connections",
        "tasks",
        "sim_s",
        "wall_us",
        "trace_hash",
        "replay",
    ] {
        assert!(!cell[field].is_null(), "{field}");
    }
    for field in [
        "kind",
        "client",
        "connection",
        "at_s",
        "alive_for_s",
        "never_ends",
        "task",
        "says",
    ] {
        assert!(!cell["findings"][0][field].is_null(), "{field}");
    }
    let replay = cell["replay"].as_str().expect("a command");
    assert_eq!(replay, "hangup replay fasthttp-1834 --server hyper");
    let arguments: Vec<&str> = replay.split(' ').skip(1).chain(["--json"]).collect();
    let (_, again) = one(&arguments);
    assert_eq!(again["trace_hash"], cell["trace_hash"]);
}

#[test]
fn check_prints_a_cell_for_every_incident_and_server() {
    let (status, all) = one(&["check", "--server", "hangup", "--server", "hyper", "--json"]);
    assert_eq!(status, Some(1));
    let incidents = hangup::incident::all().len();
    assert_eq!(all["cells"].as_array().map(Vec::len), Some(2 * incidents));
    let output = hangup(&["check", "--server", "hangup"]);
    assert_eq!(
        self::status(&output),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn the_bare_tour_explains_the_gravest_finding_and_exits_0() {
    let output = hangup(&[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(status(&output), Some(0), "{text}");
    // The sentence is broken where the terminal ends.
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("nothing is armed that could end it"),
        "{text}"
    );
    assert!(text.contains("hangup replay "), "{text}");
}

#[test]
fn fuzz_finds_a_small_hang_and_both_replays_show_it() {
    let out = folder("fuzz");
    let fuzz = [
        "fuzz",
        "--server",
        "hyper-timeouts",
        "--seed",
        "1",
        "--cases",
        "10000",
        "--json",
        "--out",
    ];
    let output = hangup(&[&fuzz[..], &[out.to_str().expect("UTF-8")]].concat());
    assert_eq!(status(&output), Some(1));
    let lines = lines(&output);
    let (finding, totals) = (&lines[0], &lines[1]["totals"]);
    assert_eq!(finding["kind"], "hung");
    assert_eq!(totals["by_kind"], serde_json::json!({ "hung": 1 }));
    for field in [
        "server",
        "engine",
        "seed",
        "cases",
        "findings",
        "sim_s",
        "wall_s",
        "cases_per_s",
    ] {
        assert!(!totals[field].is_null(), "{field}");
    }

    let file = finding["file"].as_str().expect("a path");
    let scenario = hangup_scenario::Scenario::read(file).expect("fuzz writes what replay reads");
    let steps: usize = scenario
        .clients
        .iter()
        .map(|client| client.steps.len())
        .sum();
    assert!(steps <= 4, "{}", scenario.to_toml());

    let case_seed = finding["case_seed"].to_string();
    let (_, by_file) = one(&["replay", file, "--server", "hyper-timeouts", "--json"]);
    let (_, by_seed) = one(&["replay", &case_seed, "--server", "hyper-timeouts", "--json"]);
    for field in [
        "kind",
        "at_s",
        "alive_for_s",
        "never_ends",
        "phase",
        "task",
        "says",
    ] {
        assert_eq!(by_file["findings"][0][field], finding[field], "{field}");
        assert_eq!(by_seed["findings"][0][field], finding[field], "{field}");
    }
    assert_eq!(by_file["trace_hash"], by_seed["trace_hash"]);
}

/// Each canary has a line, and what was found shows itself again from its file: also what takes several runs to see.
#[test]
fn fuzz_of_several_servers_is_a_line_each() {
    let out = folder("several");
    let out = out.to_str().expect("a path of this test");
    let arguments = [
        "fuzz",
        "--server",
        "canary-e*",
        "--cases",
        "20000",
        "--jobs",
        "1",
        "--out",
        out,
    ];
    let output = hangup(&[&arguments[..], &["--json"]].concat());
    assert_eq!(status(&output), Some(1));
    let totals: Vec<Value> = lines(&output)
        .iter()
        .map(|line| line["totals"].clone())
        .collect();
    let names: Vec<&str> = totals
        .iter()
        .filter_map(|line| line["server"].as_str())
        .collect();
    assert_eq!(names, ["canary-endless-head", "canary-evicts"]);
    for (line, (kind, part)) in totals
        .iter()
        .zip([("hoard", None), ("protocol", Some("company"))])
    {
        assert_eq!(
            (&line["by_kind"][kind], &line["findings"]),
            (&1.into(), &1.into()),
            "{line}"
        );
        let (file, server) = (&line["files"][0], &line["server"]);
        let named = |value: &Value| value.as_str().expect("it is a name").to_owned();
        let (status, cell) = one(&["replay", &named(file), "--server", &named(server), "--json"]);
        assert_eq!((status, &cell["verdict"]), (Some(1), &kind.into()));
        assert_eq!(cell["findings"][0]["part"].as_str(), part);
    }
    let table = String::from_utf8(hangup(&arguments).stdout).expect("it is text");
    let rows = table.lines().filter(|line| line.starts_with("canary-"));
    assert_eq!(rows.count(), 2, "{table}");
}

#[test]
fn a_mistake_is_one_line_and_exit_2() {
    let file = folder("mistakes").join("typo.toml");
    std::fs::write(
        &file,
        "name = \"typo\"\n[[client]]\nsteps = [ { do = \"conect\" } ]\n",
    )
    .expect("a file");
    let file = file.to_str().expect("UTF-8");
    for (arguments, says) in [
        (
            vec!["run", file],
            "typo.toml:3: client[0].steps[0].do: unknown step \"conect\"; allowed: connect,",
        ),
        (
            vec!["run", "no-such-incident"],
            "\"no-such-incident\" is no incident",
        ),
        (vec!["run", "no/such/file.toml"], "no/such/file.toml"),
        (
            vec!["run", "fasthttp-1834", "--server", "hypr"],
            "unknown server \"hypr\"; allowed: hangup, hangup-article,",
        ),
        (
            vec!["run", "fasthttp-1834", "--engine", "leaf"],
            "possible values: leap",
        ),
        (
            vec!["run", "fasthttp-1834", "--seal", "--engine", "turmoil"],
            "--seal: only the leap engine can be sealed, not turmoil",
        ),
        (vec!["fuzz", "--cases", "many"], "--cases"),
        (vec!["chek"], "chek"),
        (vec!["run"], "INCIDENT_OR_FILE"),
    ] {
        let output = hangup(&arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(status(&output), Some(2), "{arguments:?}: {error}");
        assert_eq!(error.lines().count(), 1, "{arguments:?}: {error}");
        assert!(
            error.starts_with("hangup: ") && error.contains(says),
            "{arguments:?}: {error}"
        );
    }
}

#[test]
fn list_names_what_there_is() {
    let output = hangup(&["list"]);
    let text = String::from_utf8_lossy(&output.stdout);
    for name in [
        "fasthttp-1834",
        "hyper-timeouts",
        "hangup-unbounded",
        "canary-task-leak",
        "leap",
    ] {
        assert!(text.contains(name), "{name}: {text}");
    }
}

#[test]
fn a_seal_acquits_who_depends_on_hash_order_or_on_the_time_of_day() {
    for canary in ["canary-hash-order", "canary-wall-clock"] {
        let run = ["run", "idle-keep-alive", "--server", canary, "--json"];
        let (open, cell) = one(&run);
        assert_eq!(open, Some(1), "{cell}");
        assert_eq!(cell["verdict"], "nondeterministic");
        assert!(
            cell["findings"][0]["task"]["spawned_at"].is_string(),
            "{cell}"
        );
        let output = hangup(&[&run[..], &["--seal"]].concat());
        if cfg!(not(all(target_os = "linux", target_env = "gnu"))) {
            assert_eq!(status(&output), Some(2));
            continue;
        }
        assert_eq!(status(&output), Some(0));
        let sealed = lines(&output).remove(0);
        assert_eq!(sealed["sealed"], true);
        let replay = sealed["replay"].as_str().expect("a command");
        assert!(replay.ends_with(" --seal"), "{replay}");
        // The replay line is the run again, in another process, also for what is drawn from the system.
        let arguments: Vec<&str> = replay.split(' ').skip(1).chain(["--json"]).collect();
        let (again, same) = one(&arguments);
        assert_eq!(again, Some(0));
        assert_eq!(same["trace_hash"], sealed["trace_hash"]);
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn check_takes_the_names_of_incidents() {
    let names = ["half-head", "connect-silence", "half-head"];
    let arguments = ["check", "--server", "hangup", "--json"];
    let (status, line) = one(&[&arguments[..], &names].concat());
    assert_eq!(status, Some(0));
    let cells = line["cells"].as_array().expect("cells");
    let names: Vec<_> = cells.iter().map(|cell| &cell["scenario"]).collect();
    assert_eq!(names, ["connect-silence", "half-head"]);

    let output = hangup(&["check", "half-haed"]);
    assert_eq!(status_and_line(&output), (Some(2), 1));
    let expected = "\"half-haed\" is no incident (see `hangup list`); did you mean \"half-head\"?";
    assert!(told(&output).contains(expected), "{}", told(&output));
}

fn status_and_line(output: &Output) -> (Option<i32>, usize) {
    (status(output), told(output).lines().count())
}

#[test]
fn a_name_that_is_nearly_right_is_told() {
    for (arguments, meant) in [
        (&["run", "fasthttp-1843"][..], "fasthttp-1834"),
        (&["run", "1834"], "fasthttp-1834"),
        (&["check", "--server", "hyper-timeout"], "hyper-timeouts"),
        (&["sweep", "kep-alive"], "keep-alive"),
    ] {
        let output = hangup(arguments);
        assert_eq!(status_and_line(&output), (Some(2), 1), "{}", told(&output));
        let expected = format!("; did you mean \"{meant}\"?\n");
        assert!(told(&output).ends_with(&expected), "{}", told(&output));
    }
    let output = hangup(&["run", "nothing-like-it"]);
    assert!(!told(&output).contains("did you mean"), "{}", told(&output));
}

#[test]
fn help_names_a_command() {
    let by_word = hangup(&["help", "fuzz"]);
    let by_flag = hangup(&["fuzz", "--help"]);
    assert_eq!(status(&by_word), Some(0));
    assert_eq!(by_word.stdout, by_flag.stdout);
}

#[test]
fn counts_may_have_underscores() {
    let (_, line) = one(&["fuzz", "--cases", "1_0", "--json"]);
    assert_eq!(line["totals"]["cases"], 10);
    for wrong in ["1_", "_1", "ten", "-1", "1.5"] {
        let output = hangup(&["fuzz", &format!("--cases={wrong}")]);
        assert_eq!(status_and_line(&output), (Some(2), 1), "{wrong}");
        assert!(told(&output).contains("allowed: an integer"), "{wrong}");
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_the_campaign() {
    let file = folder("unwritable").join("file");
    std::fs::write(&file, "").expect("the folder is there");
    let below = file.join("below").display().to_string();
    let file = file.display().to_string();
    for command in [
        &["fuzz", "--cases", "20000"][..],
        &["hunt", "--phase", "body", "--cases", "20000"],
        &["sweep", "echo"],
        &["exhaust"],
        &["attack", "--cases", "20000"],
    ] {
        for out in [&file, &below] {
            let output = hangup(&[command, &["--out", out]].concat());
            let line = format!("hangup: --out: nothing can be written in {out}: ");
            assert_eq!(status_and_line(&output), (Some(2), 1), "{command:?}");
            assert!(told(&output).starts_with(&line), "{}", told(&output));
            assert!(output.stdout.is_empty(), "{command:?}");
        }
    }
}

#[test]
fn a_seed_that_no_campaign_has_drawn_is_told_to_be_made_up() {
    let output = hangup(&["replay", "7", "--server", "hangup"]);
    assert_eq!(status(&output), Some(0));
    assert!(
        told(&output).contains("7 is hardly a case seed"),
        "{}",
        told(&output)
    );
    let output = hangup(&["replay", "9463530416811468311", "--server", "hangup"]);
    assert_eq!(told(&output), "");
}
