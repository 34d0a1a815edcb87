//! The incidents of the regression suite are files that this crate reads, writes and reads again.

use std::{fs, path::PathBuf, time::Duration};

use hangup_scenario::{Await, Contract, Head, Scenario, Step, Story, Until};

fn incidents() -> Vec<(PathBuf, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/incidents");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn every_incident_is_read_written_and_read_again() {
    let incidents = incidents();
    assert!(incidents.len() >= 73, "only {} incidents", incidents.len());
    for (path, text) in incidents {
        let file = path.display().to_string();
        let scenario = Scenario::from_toml(&file, &text).unwrap_or_else(|error| panic!("{error}"));
        let written = scenario.to_toml();
        let again = Scenario::from_toml("written.toml", &written)
            .unwrap_or_else(|error| panic!("{error}\n{written}"));
        assert_eq!(again, scenario, "{file}");
        assert_eq!(again.to_toml(), written, "{file}");
    }
}

#[test]
fn every_incident_says_what_happened_where_and_what_must_hold() {
    for (path, text) in incidents() {
        let scenario =
            Scenario::from_toml("x.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(
            path.file_stem().unwrap().to_str(),
            Some(scenario.name.as_str())
        );
        assert_ne!(scenario.title, "", "{}", scenario.name);
        assert_ne!(scenario.source, "", "{}", scenario.name);
        let story = &scenario.story;
        for told in [
            &story.theme,
            &story.happened,
            &story.must_hold,
            &story.verified,
        ] {
            assert_ne!(told, "", "{}", scenario.name);
        }
        assert_ne!(story.links, [""; 0], "{}", scenario.name);
    }
}

#[test]
fn an_incident_is_written_as_it_stands() {
    for (path, text) in incidents() {
        let scenario =
            Scenario::from_toml("x.toml", &text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(scenario.to_toml(), text, "{}", path.display());
    }
}

#[test]
fn the_first_incident_is_the_one_of_the_manual() {
    let (_, text) = incidents()
        .into_iter()
        .find(|(path, _)| path.ends_with("fasthttp-1834.toml"))
        .unwrap();
    let steps = vec![
        Step::Connect,
        Step::Send(
            Head {
                length: Some(1000),
                expect: Some("100-continue".into()),
                ..Head::new("POST", "/echo")
            }
            .into(),
        ),
        Step::Await(Await {
            until: Until::Status(100),
            within: Duration::from_secs(2),
        }),
        Step::Stall {
            duration: Duration::from_secs(1757 * 60),
        },
    ];
    let mut read = Scenario::from_toml("x.toml", text).unwrap();
    read.expect.clear();
    read.story = Story::default();
    let scenario = Scenario {
        title: "100 Continue is answered, the body never comes".into(),
        source: "fasthttp issue 1834".into(),
        contract: Contract {
            stall: Some(Duration::from_secs(75)),
            residence: Some(Duration::from_secs(600)),
            drain: Some(Duration::from_secs(5)),
            ..Contract::default()
        },
        ..Scenario::of("fasthttp-1834", steps)
    };
    assert_eq!(read, scenario);
}
