//! Check of the query language.

use auditx_reader::{Moment, Query, Row};

/// The maximum length of a query.
const MAX_LEN: usize = 16 * 1024;

/// Parses the bytes before the first `\n{` as a query and the rest as lines. Checks that an error names a
/// place in the query, that the query's text parses to the same query, and that no matching line is skipped.
///
/// # Panics
/// If one of this is violated.
pub fn query(bytes: &[u8]) {
    let now = Moment::from_micros(1_795_533_894_123_456);
    let end = bytes.windows(2).position(|pair| pair == b"\n{").unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..end]);
    let query = match Query::parse(&text, now) {
        Ok(query) => query,
        Err(error) => {
            let range = error.at()..error.at() + error.len();
            assert!(text.get(range.clone()).is_some(), "{range:?} of {text:?}");
            let shown = error.to_string();
            assert!(shown.lines().nth(2).is_some_and(|line| line.trim_start().starts_with('^')), "{shown}");
            return;
        }
    };
    let shown = query.to_string();
    if shown.len() <= MAX_LEN {
        assert_eq!(Query::parse(&shown, now), Ok(query.clone()), "{text:?} prints as {shown:?}");
    }
    let negated = query.clone().not();
    for line in bytes[end..].split(|byte| *byte == b'\n') {
        let Ok(row) = Row::read(line) else { continue };
        let matches = query.matches(&row);
        assert!(!matches || query.may_match(line), "{query:?} would skip {}", row.line());
        assert_ne!(negated.matches(&row), matches, "{query:?} of {}", row.line());
    }
}
