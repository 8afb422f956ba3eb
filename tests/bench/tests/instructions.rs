//! A guard against slow code that no timed test could be: how many instructions a fixed set of events takes.
//!
//! Counted by callgrind in the profile that tests are built in; skipped where valgrind is absent. After a change that is
//! meant to cost or save, the count that the failure names is written into [`RECORDED`].

use std::path::Path;
use std::process::Command;

/// Instructions to read and match an event of the lane `mixed` against the shipped rules for Windows.
const RECORDED: f64 = 27_300.0;
/// The share by which a count may differ: compilers and C libraries differ, too.
const TOLERANCE: f64 = 0.15;
/// Events a pass, as in `counted`.
const EVENTS: f64 = 500.0;

#[test]
fn an_event_takes_as_many_instructions_as_recorded() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("skipped: valgrind is not installed");
        return;
    }
    // The difference of one pass and three is two passes without loading and first use.
    let event = (count(3) - count(1)) / (2.0 * EVENTS);
    let change = event / RECORDED - 1.0;
    assert!(
        change.abs() <= TOLERANCE,
        "{event:.0} instructions an event, {RECORDED} recorded: {:+.0} %",
        change * 100.0
    );
}

fn count(passes: u32) -> f64 {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules/windows");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env!("CARGO_BIN_EXE_counted"))
        .arg(rules)
        .arg(passes.to_string())
        .output()
        .expect("valgrind runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :")).map(|(_, count)| count.trim());
    collected.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no count in: {said}"))
}
