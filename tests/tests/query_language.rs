//! docs/QUERY.md: its questions asked of its entries in a trail, and its mistakes made again.
//!
//! `AUDITX_BLESS=1` writes the answers and the messages into the document.

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

/// What stands between the two, without them.
fn block<'t>(text: &'t str, begin: &str) -> &'t str {
    let (_, rest) = text.split_once(begin).unwrap_or_else(|| panic!("no {begin:?} in the document"));
    rest.split_once(END).unwrap().0
}

fn trail(lines: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("audit.jsonl"), lines).unwrap();
    directory
}

/// The numbers of the entries that a question finds.
fn answer(trail: &TempDir, question: &str) -> String {
    let query = Query::parse(question, now()).unwrap_or_else(|error| panic!("{error}"));
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

/// A row of a table with the answer in its last cell; any other line as it is.
fn answered(trail: &TempDir, line: &str) -> String {
    let Some((question, rest)) = line.strip_prefix("| `").and_then(|row| row.split_once("` | ")) else {
        return line.to_owned();
    };
    // Only tables of questions have three cells.
    let Some((meaning, _)) = rest.strip_suffix('|').and_then(|rest| rest.rsplit_once('|')) else {
        return line.to_owned();
    };
    let question = question.replace("\\|", "|");
    let answer = answer(trail, &question);
    let question = question.replace('|', "\\|");
    format!("| `{question}` | {} | {answer} |", meaning.trim())
}

/// The message of what stands in its second line.
fn message(mistake: &str) -> String {
    let question = mistake.lines().nth(1).and_then(|line| line.strip_prefix("  ")).unwrap();
    match Query::parse(question, now()) {
        Ok(query) => panic!("{question} is no mistake: {query}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_document_of_the_language_says_what_its_questions_find_and_its_mistakes_print() {
    let written = fs::read_to_string(document()).unwrap();
    let trail = trail(block(&written, ENTRIES));
    let mistakes = block(&written, MISTAKES);
    let messages: Vec<_> = mistakes.trim_end().split("\n\n").map(message).collect();
    let with_messages = written.replace(mistakes, &(messages.join("\n\n") + "\n"));
    let mut made = String::new();
    for line in with_messages.lines() {
        made += &answered(&trail, line);
        made.push('\n');
    }
    if std::env::var_os("AUDITX_BLESS").is_some_and(|value| value == "1") {
        fs::write(document(), made).unwrap();
        return;
    }
    let questions =
        written.lines().filter(|line| answered(&trail, line) == *line && line.starts_with("| `")).count();
    assert!(questions > 40 && messages.len() > 20, "{questions} questions, {} mistakes", messages.len());
    assert_eq!(made, written, "docs/QUERY.md: what the program says, and what the document does");
}
