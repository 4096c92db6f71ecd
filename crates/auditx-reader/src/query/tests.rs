//! Tests of the language and its errors, and random queries over random lines.

mod errors;
mod evaluator;
mod language;
mod plans;
mod random;
pub(crate) mod samples;
mod values;
mod warnings;

use auditx_format::moment::Moment;
use auditx_format::row::Row;

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

/// The result of the reference evaluator.
pub(crate) fn holds(query: &Query, entry: &samples::Value) -> bool {
    evaluator::holds(&query.0, entry)
}

/// Checks each query against the line, and that its text form parses to an equal query.
fn check(line: &str, cases: &[(&str, bool)]) {
    for (text, expected) in cases {
        assert_eq!(is_found(text, line), *expected, "{text}\n{line}");
        let shown = query(text).to_string();
        assert_eq!(query(&shown), query(text), "{text} is shown as {shown}");
    }
}
