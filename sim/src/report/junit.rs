//! Runs as JUnit XML, in the form that Jenkins and most other CI systems read: a suite a server, a test case a cell.
//! A finding is a failure of its cell; it carries the report.

use super::Results;
use super::text::Report;
use crate::cell::Cell;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// The document. What XML has no way to say (control characters) is left out of the texts.
pub fn xml(results: &Results<'_>) -> String {
    let mut suites: Vec<TestSuite> = Vec::new();
    for cell in &results.cells {
        let place = suites
            .iter()
            .position(|suite| suite.name.as_str() == cell.server);
        let suite = match place {
            Some(place) => &mut suites[place],
            None => {
                suites.push(TestSuite::new(&*cell.server));
                suites.last_mut().expect("one was pushed just now")
            }
        };
        suite.add_test_case(case(cell));
    }
    if suites.is_empty() {
        // A campaign that found nothing is one test that passed.
        let mut suite = TestSuite::new(&*results.title);
        let mut case = TestCase::new(&*results.summary, TestCaseStatus::success());
        case.set_classname(&*results.title);
        suite.add_test_case(case);
        suites.push(suite);
    }
    for suite in &mut suites {
        let times = suite.test_cases.iter().filter_map(|case| case.time);
        let time = times.sum::<Duration>();
        suite.set_time(time);
    }
    let mut report = quick_junit::Report::new(&*results.title);
    report.add_test_suites(suites);
    report
        .to_string()
        .expect("a report of texts and numbers, written to memory, does not fail")
}

fn case(cell: &Cell) -> TestCase {
    let mut case = TestCase::new(&*cell.scenario.name, status(cell));
    case.set_classname(&*cell.server).set_time(cell.wall);
    case
}

fn status(cell: &Cell) -> TestCaseStatus {
    let Some(finding) = cell.findings.first() else {
        let Some(why) = cell.untold() else {
            return TestCaseStatus::success();
        };
        let mut skipped = TestCaseStatus::skipped();
        skipped.set_message(why);
        return skipped;
    };
    let mut failure = TestCaseStatus::non_success(NonSuccessKind::Failure);
    let report = anstream::adapter::strip_str(&Report(cell).to_string()).to_string();
    failure
        .set_type(finding.kind.name())
        .set_message(format!("{}: {}", finding.kind, finding.says))
        .set_description(report);
    failure
}
