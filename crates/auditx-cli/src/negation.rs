//! Negations of a query on the command line, such as `-module:sales`, which look like flags.

use std::ffi::OsString;

use auditx_reader::{Moment, Query};

/// Puts negations of a query, such as `-module:sales`, in brackets, so that clap does not take them for
/// flags. The brackets do not change the meaning of the query. `record` takes no query, and its texts are
/// recorded as they are given.
pub(crate) fn in_brackets(words: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut may_be_query = true;
    words.enumerate().map(move |(index, word)| {
        may_be_query &= index != 1 || word != "record";
        match word.to_str() {
            Some(text) if may_be_query && is_negation(text) => format!("({text})").into(),
            _ => word,
        }
    })
}

fn is_negation(word: &str) -> bool {
    word.starts_with('-')
        && !word.starts_with("--")
        && word.contains(':')
        && Query::parse(word, Moment::now()).is_ok()
}
