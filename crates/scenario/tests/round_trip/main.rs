//! What was written reads as the same scenario, what was read is written in the same way, and no file, however
//! broken, makes the reader panic.

mod any;

use hangup_scenario::Scenario;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_reads_as_the_same_scenario(scenario in any::scenario()) {
        let text = scenario.to_toml();
        let read = Scenario::from_toml("written.toml", &text);
        prop_assert_eq!(read.as_ref(), Ok(&scenario), "{}", text);
    }

    #[test]
    fn a_step_is_one_line(scenario in any::scenario()) {
        let text = scenario.to_toml();
        for step in scenario.clients.iter().flat_map(|client| &client.steps) {
            let line = format!("\n  {},\n", step.to_toml());
            prop_assert!(text.contains(&line), "{}\n{}", line, text);
        }
    }

    #[test]
    fn a_send_is_as_long_as_it_says(send in any::send()) {
        let mut bytes = Vec::new();
        send.render(&mut bytes);
        prop_assert_eq!(bytes.len() as u64, send.len());
    }

    #[test]
    fn a_broken_file_is_an_error_and_not_a_panic(
        scenario in any::scenario(),
        at in any::<prop::sample::Index>(),
        cut in 0_usize..40,
        put in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..8),
            prop::sample::select(&[
                "\"", "'''", "\\", "[", "]", "{", "}", ",", "=", "\n", "-1", "1e999", "nan", "\"\\q\"", "{ do = \"send\" },", "[[client]]", "é",
            ][..]).prop_map(|text| text.as_bytes().to_vec()),
        ],
    ) {
        let mut text = scenario.to_toml().into_bytes();
        let at = at.index(text.len());
        text.splice(at..(at + cut).min(text.len()), put);
        match Scenario::from_toml("broken.toml", &text) {
            Ok(read) => {
                let again = Scenario::from_toml("again.toml", read.to_toml());
                prop_assert_eq!(again, Ok(read));
            }
            Err(error) => {
                let message = error.to_string();
                prop_assert!(message.starts_with("broken.toml:"), "{}", message);
                prop_assert!(!message.contains('\n'), "{}", message);
                let lines = 1 + text.iter().filter(|byte| **byte == b'\n').count();
                prop_assert!(error.line.is_some_and(|line| (1..=lines).contains(&line)), "{}", message);
            }
        }
    }
}
