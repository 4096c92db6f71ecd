//! Questions, and entries they are asked of.

use auditx_reader::{Moment, Query, Row};

/// As long as a question may be.
const MAX_LEN: usize = 16 * 1024;

/// A question and, each after a newline and with a brace in front, lines. The question is read or refused at a character; as text
/// it reads back equal; and no line that it finds would have been passed over.
///
/// # Panics
/// Where that is not so.
pub fn query(bytes: &[u8]) {
    let now = Moment::from_micros(1_795_533_894_123_456);
    let end = bytes.windows(2).position(|pair| pair == b"\n{").unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(&bytes[..end]);
    let query = match Query::parse(&text, now) {
        Ok(query) => query,
        Err(error) => {
            let place = error.at()..error.at() + error.len();
            assert!(text.get(place.clone()).is_some(), "{place:?} of {text:?}");
            let shown = error.to_string();
            assert!(shown.lines().nth(2).is_some_and(|line| line.trim_start().starts_with('^')), "{shown}");
            return;
        }
    };
    let shown = query.to_string();
    if shown.len() <= MAX_LEN {
        assert_eq!(Query::parse(&shown, now), Ok(query.clone()), "{text:?} is shown as {shown:?}");
    }
    let denied = query.clone().not();
    for line in bytes[end..].split(|byte| *byte == b'\n') {
        let Ok(row) = Row::read(line) else { continue };
        let is_found = query.matches(&row);
        assert!(!is_found || query.may_match(line), "{query:?} would pass over {}", row.line());
        assert_ne!(denied.matches(&row), is_found, "{query:?} of {}", row.line());
    }
}
