//! The queries, the programs that run them, and the expected answers.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde_json::Value;

use super::Programs;
use super::plain::{ENTITY_TYPE, Trail, WORD};
use super::run::Run;
use crate::{Outcome, child};

/// A query with one program.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) subject: &'static str,
    pub(super) program: &'static str,
    pub(super) expected: Answer,
    /// Whether it runs only once, because it is slow.
    pub(super) once: bool,
    command: Vec<OsString>,
}

/// The answer of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Lines(u64),
    /// The number of entries by user; the empty name stands for entries without a user.
    Counts(BTreeMap<String, u64>),
}

impl Answer {
    /// Returns the number of lines or groups.
    pub(super) fn found(&self) -> u64 {
        match self {
            Self::Lines(lines) => *lines,
            Self::Counts(counts) => counts.len() as u64,
        }
    }
}

/// Prints `COUNT USER` for each user, and then the duration of the query alone in seconds. The column `seq`
/// is declared only because DuckDB 2.0.1 takes more than ten times as long if a single column is declared.
/// The progress bar is off because it would be printed between the results.
const DUCKDB: &str = r#"
import duckdb, sys, time
connection = duckdb.connect(config={"threads": 2})
connection.execute("set enable_progress_bar = false")
begin = time.perf_counter()
rows = connection.execute(
    """select "user", count(*)
    from read_json(?, columns={'seq': 'BIGINT', 'user': 'VARCHAR'}, format='newline_delimited') group by 1""",
    [sys.argv[1:]],
).fetchall()
seconds = time.perf_counter() - begin
for user, count in rows:
    print(count, user or "")
print(INSIDE, seconds)
"#;

/// The prefix of the line with the duration.
const INSIDE: &str = "inside_s";

/// Prints `COUNT USER` for each user.
const JQ: &str = r#"jq -r '.user // ""' "$@" | sort | uniq -c"#;

/// Returns all queries, each for every installed program that can run it.
pub(super) fn all(trail: &Trail, programs: &Programs) -> Vec<Call> {
    let mut calls = auditx(trail, programs);
    let quoted = format!("\"{}\"", trail.entity);
    let counts = &trail.counts;
    let mut peer = |is_there: bool, subject, program, expected, arguments: &[&str]| {
        let arguments = arguments.iter().map(OsString::from);
        let command = arguments.chain(trail.files.iter().map(OsString::from)).collect();
        if is_there {
            calls.push(Call { subject, program, expected, once: program == "jq", command });
        }
    };
    let rg = ["rg", "-N", "--no-filename"];
    peer(programs.rg, "entity", "rg", Answer::Lines(counts.entity), &[&rg[..], &[&quoted]].concat());
    peer(programs.grep, "entity", "grep", Answer::Lines(counts.entity), &["grep", "-h", "-F", &quoted]);
    peer(programs.rg, "word", "rg", Answer::Lines(counts.word), &[&rg[..], &["-i", WORD]].concat());
    let users = Answer::Counts(counts.users.clone());
    if let Some(python) = &programs.duckdb {
        let script = DUCKDB.replace("INSIDE", &format!("\"{INSIDE}\""));
        let python = python.to_string_lossy();
        peer(true, "count-by-user", "duckdb", users.clone(), &[&python, "-c", &script]);
    }
    peer(programs.jq, "count-by-user", "jq", users, &["sh", "-c", JQ, "sh"]);
    calls.sort_by_key(|call| SUBJECTS.iter().position(|subject| *subject == call.subject));
    calls
}

/// The queries in the order of the report.
const SUBJECTS: [&str; 7] =
    ["entity", "count-by-user", "last-100-of-user", "one-hour", "table-all", "tail-50", "word"];

fn auditx(trail: &Trail, programs: &Programs) -> Vec<Call> {
    let counts = &trail.counts;
    let entity = format!("{ENTITY_TYPE}/{}", trail.entity);
    let of_user = counts.users.get(&trail.user).copied().unwrap_or(0);
    let call = |subject, expected, arguments: &[&str], program| {
        let mut command: Vec<OsString> = vec![programs.auditx.clone().into()];
        command.extend(arguments.iter().map(OsString::from));
        command.extend(["--dir".into(), trail.directory.clone().into()]);
        if program == "auditx-no-index" {
            command.push("--no-index".into());
        }
        Call { subject, program, expected, once: false, command }
    };
    // The first line of the table contains the column names.
    let table = Answer::Lines(counts.lines + 1);
    let entity = ["query", "--entity", &entity, "-o", "raw"];
    let hour = ["query", "--since", &trail.since, "--until", &trail.until, "-o", "raw"];
    let last = ["query", "--user", &trail.user, "-n", "100", "--order", "desc", "-o", "raw"];
    let by_user = ["stats", "--by", "user", "--json"];
    vec![
        call("entity", Answer::Lines(counts.entity), &entity, "auditx"),
        call("entity", Answer::Lines(counts.entity), &entity, "auditx-no-index"),
        call("count-by-user", Answer::Counts(counts.users.clone()), &by_user, "auditx"),
        call("last-100-of-user", Answer::Lines(of_user.min(100)), &last, "auditx"),
        call("one-hour", Answer::Lines(counts.hour), &hour, "auditx"),
        call("one-hour", Answer::Lines(counts.hour), &hour, "auditx-no-index"),
        call("table-all", table, &["query", "-o", "table"], "auditx"),
        call("tail-50", Answer::Lines(counts.lines.min(50)), &["tail", "-n", "50", "-o", "raw"], "auditx"),
        call("word", Answer::Lines(counts.word), &["query", WORD, "-o", "raw"], "auditx"),
    ]
}

impl Call {
    /// Runs the query once. Fails if the answer is not the expected one.
    pub(super) fn run(&self) -> Outcome<Run> {
        let wants_counts = matches!(self.expected, Answer::Counts(_));
        let mut arguments: Vec<OsString> = vec!["read-run".into()];
        arguments.extend(wants_counts.then(|| "--answer".into()));
        arguments.push("--".into());
        arguments.extend(self.command.iter().cloned());
        let run: Run = child::report(arguments)?;
        let found =
            if wants_counts { Answer::Counts(counts(&run.answer)?) } else { Answer::Lines(run.lines) };
        if found == self.expected {
            return Ok(run);
        }
        let (subject, program) = (self.subject, self.program);
        Err(format!("{program} answers {subject} with {found:?} instead of {:?}", self.expected).into())
    }
}

/// Returns the duration of the query in seconds, if the program reports it.
pub(super) fn inside_s(run: &Run) -> Option<f64> {
    run.answer.lines().find_map(|line| line.strip_prefix(INSIDE)?.trim().parse().ok())
}

/// Parses entries by user, from the output of `auditx stats --json` or from lines `COUNT USER`.
fn counts(answer: &str) -> Outcome<BTreeMap<String, u64>> {
    if answer.starts_with('{') {
        let answer: Value = serde_json::from_str(answer)?;
        let groups = answer["groups"].as_array().ok_or("an answer without groups")?;
        let count = |group: &Value| {
            let count = group["count"].as_u64().ok_or("a group without a count")?;
            Ok((group["by"]["user"].as_str().unwrap_or_default().to_owned(), count))
        };
        return groups.iter().map(count).collect();
    }
    let count = |line: &str| {
        let line = line.trim_start();
        let (count, user) = line.split_once(' ').unwrap_or((line, ""));
        let count = count
            .parse()
            .map_err(|error| format!("invalid line `{line}`, expected a count and a user: {error}"))?;
        Ok((user.to_owned(), count))
    };
    answer.lines().filter(|line| !line.starts_with(INSIDE)).map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_parsed_in_the_formats_of_all_programs() {
        let expected = BTreeMap::from([("su.6".to_owned(), 12), (String::new(), 3)]);
        let json =
            r#"{"found":15,"groups":[{"by":{"user":"su.6"},"count":12},{"by":{"user":null},"count":3}]}"#;
        for answer in [json, "12 su.6\n3 \ninside_s 0.25\n", "      3 \n     12 su.6\n", "3\n12 su.6"] {
            assert_eq!(counts(answer).unwrap(), expected, "{answer}");
        }
        assert!(counts("su.6 12").is_err());
    }

    #[test]
    fn the_duration_of_the_query_itself_is_parsed() {
        let run = |answer: &str| Run { seconds: 1.0, peak_kib: 1, lines: 1, answer: answer.to_owned() };
        assert_eq!(inside_s(&run("12 su.6\ninside_s 0.25\n")), Some(0.25));
        assert_eq!(inside_s(&run("12 su.6\n")), None);
    }
}
