//! A search finds pending entries exactly once, and takes no lock.

use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use auditx_reader::{Field, Lines, Order, Search};

/// Attempts until a process that aborts leaves pending entries, which it usually but not always does.
const MAX_ATTEMPTS: u64 = 50;

/// Returns the descriptions of all lines found, including control records.
fn descriptions(search: &Search) -> Vec<String> {
    let mut descriptions = Vec::new();
    let summary = search
        .each(|found| {
            descriptions.push(found.row.text(Field::Description).into_owned());
            ControlFlow::Continue(())
        })
        .expect("the trail can be read");
    assert_eq!((summary.errors.lines(), summary.errors.segments()), (0, 0), "{:?}", summary.errors);
    descriptions
}

fn numbers(search: &Search) -> Vec<u64> {
    descriptions(search).iter().filter_map(|description| description.parse().ok()).collect()
}

fn numbers_in_the_trail(directory: &Path) -> BTreeSet<u64> {
    let lines = Lines::all(directory).expect("the trail can be read");
    lines.flatten().filter_map(|line| line.parse().ok()?.description.parse().ok()).collect()
}

#[test]
fn pending_entries_are_found_once_and_in_order() {
    for count in 400..400 + MAX_ATTEMPTS {
        let directory = tempfile::tempdir().expect("a directory");
        let output = Command::new(env!("CARGO_BIN_EXE_steady"))
            .arg(directory.path())
            .arg(count.to_string())
            .output()
            .expect("the program starts");
        let printed = String::from_utf8_lossy(&output.stdout);
        let accepted: Vec<u64> =
            printed.lines().filter_map(|line| line.strip_prefix("accepted ")?.parse().ok()).collect();
        assert_eq!(accepted, (0..count).collect::<Vec<_>>(), "{printed}");
        let files_before = fs::read_dir(directory.path()).expect("the directory can be listed").count();
        let is_complete = numbers_in_the_trail(directory.path()).len() as u64 == count;

        for threads in [1, 2] {
            let search = Search::new(directory.path()).threads(threads);
            assert_eq!(numbers(&search), accepted);
            let mut backwards = numbers(&search.order(Order::NewestFirst));
            backwards.reverse();
            assert_eq!(backwards, accepted);
        }
        let backwards = Search::new(directory.path()).order(Order::NewestFirst);
        let all = descriptions(&backwards);
        assert_eq!(descriptions(&backwards.limit(3)), all[..3]);
        assert_eq!(
            fs::read_dir(directory.path()).expect("the directory can be listed").count(),
            files_before,
            "nothing is written"
        );
        if !is_complete {
            return;
        }
    }
    panic!("no process left a pending entry");
}
