//! Errors of the query parser, with the position of the error.

use std::fmt;
use std::ops::Range;

use auditx_format::encode::is_hazard;
use unicode_width::UnicodeWidthStr;

/// The number of characters of a line shown before and after the error.
const SHOWN: usize = 60;

/// Text that is not a valid query. Displayed on several lines: the message, the text, and a mark under the
/// error.
///
/// ```
/// use auditx_reader::{Moment, Query};
///
/// let error = Query::parse("usr:admin", Moment::now()).unwrap_err();
/// assert_eq!((error.at(), error.len()), (0, 3));
/// assert!(error.to_string().starts_with(
///     "unknown field \"usr\": did you mean \"user\"?\n  usr:admin\n  ^^^"
/// ));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError {
    query: Box<str>,
    span: Range<usize>,
    message: Box<str>,
    help: Option<Box<str>>,
}

/// A parse error before the whole text is attached.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl Problem {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn within(self, query: &str) -> QueryError {
        QueryError {
            query: query.into(),
            span: self.span,
            message: self.message.into(),
            help: self.help.map(Into::into),
        }
    }
}

impl QueryError {
    /// The byte offset of the error in the text.
    #[must_use]
    pub fn at(&self) -> usize {
        self.span.start
    }

    /// The length of the error in bytes; 0 if something is missing.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "the length of a span, not of a collection")]
    pub fn len(&self) -> usize {
        self.span.len()
    }

    /// The message, on one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// A hint at what to write instead, if there is one.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.span;
        let begin = self.query[..start].rfind('\n').map_or(0, |at| at + 1);
        let finish = self.query[start..].find('\n').map_or(self.query.len(), |at| start + at);
        let (before, is_cut) = tail(&self.query[begin..start]);
        let (within, rest) = self.query[start..finish].split_at(end.min(finish) - start);
        let within = head(within);
        let shown = |text: &str| text.chars().map(visible).collect::<String>();
        let before = format!("{}{}", if is_cut { "…" } else { "" }, shown(before));
        let within = shown(within);
        writeln!(f, "{}", self.message)?;
        writeln!(f, "  {before}{within}{}", shown(head(rest)))?;
        write!(f, "  {}{}", " ".repeat(before.width()), "^".repeat(within.width().max(1)))?;
        self.help.iter().try_for_each(|help| write!(f, "\n{help}"))
    }
}

impl std::error::Error for QueryError {}

/// The last characters, and whether there are more before them.
fn tail(text: &str) -> (&str, bool) {
    match text.char_indices().rev().nth(SHOWN) {
        Some((at, c)) => (&text[at + c.len_utf8()..], true),
        None => (text, false),
    }
}

fn head(text: &str) -> &str {
    text.char_indices().nth(SHOWN).map_or(text, |(at, _)| &text[..at])
}

/// Replaces control characters, which a terminal would execute, by a visible character.
fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if is_hazard(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}
