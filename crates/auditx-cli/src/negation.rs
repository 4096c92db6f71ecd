//! Negations of a query on the command line, such as `-module:sales`, which look like flags.

use std::ffi::OsString;

use auditx_reader::{Moment, Query};

/// Puts negations of a query, such as `-module:sales`, in brackets, so that clap does not take them for
/// flags. The brackets do not change the meaning of the query.
pub(crate) fn in_brackets(words: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    words.map(|word| match word.to_str() {
        Some(text) if is_negation(text) => format!("({text})").into(),
        _ => word,
    })
}

fn is_negation(word: &str) -> bool {
    word.starts_with('-')
        && !word.starts_with("--")
        && word.contains(':')
        && Query::parse(word, Moment::now()).is_ok()
}
