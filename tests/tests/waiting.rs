//! Entries that a process accepted and its trail does not hold yet are found by a search, once, without anybody's lock.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use auditx_reader::{Field, Lines, Order, Search};

/// A process that dies often leaves entries in its journal, but not always.
const MOST_TRIES: u64 = 50;

fn numbers(search: &Search) -> Vec<u64> {
    let mut numbers = Vec::new();
    let summary = search
        .each(|found| {
            numbers.extend(found.row.text(Field::Description).parse::<u64>());
            ControlFlow::Continue(())
        })
        .expect("the trail is there");
    assert_eq!(
        (summary.complaints.lines(), summary.complaints.segments()),
        (0, 0),
        "{:?}",
        summary.complaints
    );
    numbers
}

fn in_the_trail(directory: &Path) -> BTreeSet<u64> {
    let lines = Lines::all(directory).expect("the trail is there");
    lines.flatten().filter_map(|line| line.parse().ok()?.description.parse().ok()).collect()
}

#[test]
fn what_a_process_accepted_and_did_not_write_is_found_once_and_in_its_place() {
    for count in 400..400 + MOST_TRIES {
        let directory = tempfile::tempdir().expect("a directory");
        let output = Command::new(env!("CARGO_BIN_EXE_steady"))
            .arg(directory.path())
            .arg(count.to_string())
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let accepted: Vec<u64> =
            said.lines().filter_map(|line| line.strip_prefix("accepted ")?.parse().ok()).collect();
        assert_eq!(accepted, (0..count).collect::<Vec<_>>(), "{said}");
        let files_before = fs::read_dir(directory.path()).expect("it is there").count();
        let is_complete = in_the_trail(directory.path()).len() as u64 == count;

        for threads in [1, 2] {
            let search = Search::new(directory.path()).threads(threads);
            assert_eq!(numbers(&search), accepted);
            let mut backwards = numbers(&search.order(Order::NewestFirst));
            backwards.reverse();
            assert_eq!(backwards, accepted);
        }
        let last = Search::new(directory.path()).order(Order::NewestFirst).limit(3);
        assert_eq!(numbers(&last), [count - 1, count - 2, count - 3]);
        assert_eq!(
            fs::read_dir(directory.path()).expect("it is there").count(),
            files_before,
            "nothing is written"
        );
        if !is_complete {
            return;
        }
    }
    panic!("no process left an entry in its journal: nothing was tried");
}
