//! Checks docs/QUERY.md: runs its queries on its entries, and parses its invalid queries.
//!
//! `AUDITX_BLESS=1` writes the answers and the error messages into the document.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use auditx_reader::{Moment, Query, Search};
use tempfile::TempDir;

const ENTRIES: &str = "```json\n";
const MISTAKES: &str = "```text\n";
const END: &str = "```\n";

fn document() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/QUERY.md")
}

fn now() -> Moment {
    Moment::parse("2026-11-24T15:24:54Z").unwrap()
}

/// Returns the text between `begin` and [`END`].
fn block<'t>(text: &'t str, begin: &str) -> &'t str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("no {begin:?} in the document"));
    rest.split_once(END).unwrap().0
}

fn trail(lines: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("audit.jsonl"), lines).unwrap();
    directory
}

/// Returns the seqs of the entries that a query finds.
fn answer(trail: &TempDir, query: &str) -> String {
    let query = Query::parse(query, now()).unwrap_or_else(|error| panic!("{error}"));
    let mut found = Vec::new();
    let summary = Search::new(trail.path())
        .query(query)
        .each(|entry| {
            found.push(entry.row.seq().unwrap().to_string());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(usize::try_from(summary.found).unwrap(), found.len());
    if found.is_empty() { "none".to_owned() } else { found.join(", ") }
}

/// Returns a row of a table of queries with the answer in its last cell, and any other line unchanged.
fn answered(trail: &TempDir, line: &str) -> String {
    let Some((query, rest)) = line.strip_prefix("| `").and_then(|row| row.split_once("` | ")) else {
        return line.to_owned();
    };
    // Only tables of queries have three cells.
    let Some((meaning, _)) = rest.strip_suffix('|').and_then(|rest| rest.rsplit_once('|')) else {
        return line.to_owned();
    };
    let query = query.replace("\\|", "|");
    let answer = answer(trail, &query);
    let query = query.replace('|', "\\|");
    format!("| `{query}` | {} | {answer} |", meaning.trim())
}

/// Returns the error message for the invalid query in the second line of a documented message.
fn message(documented: &str) -> String {
    let query = documented.lines().nth(1).and_then(|line| line.strip_prefix("  ")).unwrap();
    match Query::parse(query, now()) {
        Ok(parsed) => panic!("{query} is a valid query: {parsed}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_answers_and_messages_in_the_document_are_current() {
    let written = fs::read_to_string(document()).unwrap();
    let trail = trail(block(&written, ENTRIES));
    let mistakes = block(&written, MISTAKES);
    let messages: Vec<_> = mistakes.trim_end().split("\n\n").map(message).collect();
    let with_messages = written.replace(mistakes, &(messages.join("\n\n") + "\n"));
    let mut updated = String::new();
    for line in with_messages.lines() {
        updated += &answered(&trail, line);
        updated.push('\n');
    }
    if std::env::var_os("AUDITX_BLESS").is_some_and(|value| value == "1") {
        fs::write(document(), updated).unwrap();
        return;
    }
    let queries =
        written.lines().filter(|line| answered(&trail, line) == *line && line.starts_with("| `")).count();
    assert!(queries > 40 && messages.len() > 20, "{queries} queries, {} messages", messages.len());
    assert_eq!(updated, written, "docs/QUERY.md is not current: run this test with AUDITX_BLESS=1");
}
