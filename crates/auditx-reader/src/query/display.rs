//! Formats a query as text in a canonical form that parses to an equal query.

use std::fmt::{self, Display, Formatter, Write};

use auditx_format::row::Field;

use super::ast::{Keys, Node, Path, Range, Term, Test};
use super::names::Name;

/// Text of these characters, letters and digits needs no quotation marks.
const PLAIN: &str = "_-./@#%+=&;:";

impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("*"),
            Self::All(nodes) => {
                join(f, nodes, " ", |f, node| parenthesized(f, node, matches!(node, Self::Any(_))))
            }
            Self::Any(nodes) => join(f, nodes, " OR ", |f, node| node.fmt(f)),
            Self::Not(node) => {
                f.write_str("-")?;
                parenthesized(f, node, node.is_list())
            }
            Self::Term(term) => term.fmt(f),
        }
    }
}

fn parenthesized(f: &mut Formatter<'_>, node: &Node, has_parentheses: bool) -> fmt::Result {
    if has_parentheses { write!(f, "({node})") } else { node.fmt(f) }
}

fn join<T>(
    f: &mut Formatter<'_>,
    items: &[T],
    between: &str,
    mut write: impl FnMut(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    items.iter().enumerate().try_for_each(|(number, item)| {
        f.write_str(if number > 0 { between } else { "" })?;
        write(f, item)
    })
}

impl Display for Term {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => {
                let is_plain =
                    is_plain(&word.text) && !word.text.starts_with('-') && !word.text.contains(':');
                text(f, &word.text, is_plain)
            }
            Self::WordLike(pattern) => pattern.fmt(f),
            Self::Field(field, tests) => {
                write!(f, "{}:", Name::of(*field))?;
                join(f, tests, ",", |f, test| match test {
                    Test::Between(range) if range.low == range.high => one(f, range),
                    // Unquoted it would parse as a network.
                    Test::Equal(literal) if *field == Field::Ip && literal.text.contains('/') => {
                        text(f, &literal.text, false)
                    }
                    test => test.fmt(f),
                })
            }
            Self::Member(path, tests) => {
                write!(f, "{path}:")?;
                join(f, tests, ",", |f, test| test.fmt(f))
            }
            Self::Changed(keys) => {
                f.write_str("changed:")?;
                join(f, keys, ",", changed)
            }
            Self::Success(success) => write!(f, "success:{success}"),
            Self::Since(moment) => write!(f, "since:{moment}"),
            Self::Until(moment) => write!(f, "until:{moment}"),
        }
    }
}

fn one(f: &mut Formatter<'_>, range: &Range) -> fmt::Result {
    range.low.iter().try_for_each(|bound| bound.number.fmt(f))
}

fn changed(f: &mut Formatter<'_>, keys: &Keys) -> fmt::Result {
    match keys.as_ref() {
        [] => f.write_str("*"),
        [key] => text(f, key, is_plain(key) && !key.contains('.')),
        keys => join(f, keys, ".", |f, key| f.write_str(key)),
    }
}

impl Display for Path {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Name::of(self.root).fmt(f)?;
        self.keys.iter().try_for_each(|key| {
            f.write_char('.')?;
            text(f, key, is_plain(key) && !key.contains(['.', ':']))
        })
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("*"),
            Self::Absent => f.write_str("\"\""),
            Self::Equal(literal) | Self::Same(literal, _) => text(f, &literal.text, is_plain(&literal.text)),
            Self::Contains(word) => text(f, &word.text, is_plain(&word.text)),
            Self::Like(pattern) | Self::ContainsLike(pattern) => pattern.fmt(f),
            Self::Expression(expression) => {
                f.write_char('~')?;
                text(f, &expression.text, false)
            }
            Self::Between(range) => range.fmt(f),
            Self::Network(network) => network.fmt(f),
        }
    }
}

impl Display for Range {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.low, &self.high) {
            (Some(low), Some(high)) => write!(f, "{}..{}", low.number, high.number),
            (Some(low), None) => write!(f, ">{}{}", if low.is_inclusive { "=" } else { "" }, low.number),
            (None, Some(high)) => write!(f, "<{}{}", if high.is_inclusive { "=" } else { "" }, high.number),
            (None, None) => f.write_str("*"),
        }
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.contains("..") && text.chars().all(|c| c.is_alphanumeric() || PLAIN.contains(c))
}

fn text(f: &mut Formatter<'_>, text: &str, is_plain: bool) -> fmt::Result {
    if is_plain {
        return f.write_str(text);
    }
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}
