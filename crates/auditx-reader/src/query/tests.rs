//! The language as people use it, its mistakes, and random questions over random lines.

mod errors;
mod evaluator;
mod language;
mod plans;
mod random;
pub(crate) mod samples;
mod values;
mod warnings;

use auditx_core::{Moment, Row};

use super::Query;

fn now() -> Moment {
    Moment::parse("2026-11-24T15:24:54Z").unwrap()
}

fn query(text: &str) -> Query {
    Query::parse(text, now()).unwrap_or_else(|error| panic!("{error}"))
}

fn is_found(text: &str, line: &str) -> bool {
    let row = Row::read_text(line).unwrap_or_else(|why| panic!("{why}: {line}"));
    query(text).matches(&row)
}

/// What the slow evaluator says.
pub(crate) fn holds(query: &Query, entry: &samples::Value) -> bool {
    evaluator::holds(&query.0, entry)
}

/// Each question with what it says of the line.
fn check(line: &str, cases: &[(&str, bool)]) {
    for (text, expected) in cases {
        assert_eq!(is_found(text, line), *expected, "{text}\n{line}");
        let shown = query(text).to_string();
        assert_eq!(query(&shown), query(text), "{text} is shown as {shown}");
    }
}
