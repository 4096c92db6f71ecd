//! What a request asked for: its path as it came, and its query without secrets.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::shortened;
use crate::redact::{Decision, REDACTED, Rules};

/// Longer endpoints would crowd out the facts; the entry says how long it was.
const MAX_ENDPOINT: usize = 8_192;

/// In descriptions.
const MAX_PATH: usize = MAX_ENDPOINT / 4;

/// Path and query.
#[derive(Debug)]
pub(super) struct Endpoint {
    text: String,
    /// How much of the text is the path.
    path_len: usize,
    /// Bytes it had before it was cut.
    pub(super) whole_len: usize,
}

impl Endpoint {
    pub(super) fn new(path: &str, query: Option<&str>, rules: &Rules) -> Self {
        let mut text = endpoint(path, query, rules);
        let whole_len = text.len();
        if whole_len > MAX_ENDPOINT {
            text = shortened(&text, MAX_ENDPOINT).into_owned();
        }
        Self { path_len: path.len().min(text.len()), text, whole_len }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn is_cut(&self) -> bool {
        self.whole_len > MAX_ENDPOINT
    }

    /// The path, for people.
    pub(super) fn path(&self) -> Cow<'_, str> {
        shortened(self.whole_path().unwrap_or(&self.text), MAX_PATH)
    }

    /// The path as it came; none where it was too long to be kept.
    pub(super) fn whole_path(&self) -> Option<&str> {
        if self.is_cut() { None } else { self.text.get(..self.path_len) }
    }
}

/// Path and query, with denied query values masked.
fn endpoint(path: &str, query: Option<&str>, rules: &Rules) -> String {
    let Some(query) = query else { return path.to_owned() };
    let mut text = String::with_capacity(path.len() + query.len() + 1);
    text.push_str(path);
    for (index, pair) in query.split('&').enumerate() {
        text.push(if index == 0 { '?' } else { '&' });
        let (key, value) = pair.split_once('=').map_or((pair, None), |(key, value)| (key, Some(value)));
        text.push_str(key);
        if let Some(value) = value {
            text.push('=');
            match rules.decide_key(&decoded(key)) {
                Decision::Keep => text.push_str(value),
                Decision::Mask => text.push_str(REDACTED),
                Decision::Hash => text.push_str(&rules.hashed(decoded(value).as_bytes())),
            }
        }
    }
    text
}

/// As a form's reader takes it, so that `%74oken` is a token too.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::Redaction;

    #[test]
    fn secrets_in_a_query_are_masked_however_their_key_is_spelled() {
        let rules = Redaction::default().compile().unwrap();
        let seen = |query| endpoint("/x", Some(query), &rules);
        assert_eq!(seen("a=1&token=abc&b"), "/x?a=1&token=[REDACTED]&b");
        assert_eq!(
            seen("%74oken=abc&api%5Fkey=k&access-token=t"),
            "/x?%74oken=[REDACTED]&api%5Fkey=[REDACTED]&access-token=[REDACTED]"
        );
        assert_eq!(seen("tokens_used=5&%zz=1"), "/x?tokens_used=5&%zz=1");
        assert_eq!(seen(""), "/x?");
        assert_eq!(endpoint("/x", None, &rules), "/x");
    }

    #[test]
    fn an_endpoint_that_is_too_long_is_cut_and_says_how_long_it_was() {
        let rules = Redaction::default().compile().unwrap();
        let long = Endpoint::new("/x", Some(&"é".repeat(MAX_ENDPOINT)), &rules);
        assert!(long.is_cut() && long.as_str().len() < MAX_ENDPOINT + 40);
        assert_eq!((long.whole_len, long.whole_path()), (3 + 2 * MAX_ENDPOINT, None));
        let short = Endpoint::new("/x/y", Some("a=1"), &rules);
        assert_eq!((short.whole_path(), short.as_str()), (Some("/x/y"), "/x/y?a=1"));
    }
}
