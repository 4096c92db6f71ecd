//! Decides whether an entry matches a query. Allocates nothing, except to decode strings with escapes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use auditx_format::moment::Moment;
use auditx_format::row::{Field, FieldKind, Json, Row, unescaped};
use memchr::memchr;

use super::ast::{Node, Term, Test};
use super::number::is_same;
use super::text::Word;

impl Node {
    pub(super) fn matches(&self, row: &Row<'_>) -> bool {
        match self {
            Self::Everything => true,
            Self::All(nodes) => nodes.iter().all(|node| node.matches(row)),
            Self::Any(nodes) => nodes.iter().any(|node| node.matches(row)),
            Self::Not(node) => !node.matches(row),
            Self::Term(term) => term.matches(row),
        }
    }
}

impl Term {
    fn matches(&self, row: &Row<'_>) -> bool {
        match self {
            Self::Word(word) => has_word(row, word),
            Self::WordLike(pattern) => any_text(row.object(), &|text| pattern.is_in(text)),
            Self::Field(field, tests) => {
                let value = value_of(row, *field);
                tests.iter().any(|test| test.is_met(value))
            }
            Self::Member(path, tests) => {
                let root = value_of(row, path.root);
                tests.iter().any(|test| {
                    let mut exists = false;
                    let is_met = root.is_some_and(|root| {
                        visit(root, &path.keys, &mut |value| {
                            exists = true;
                            test.is_met(Some(value))
                        })
                    });
                    is_met || !exists && test.is_met(None)
                })
            }
            Self::Changed(paths) => paths.iter().any(|keys| is_changed(row, keys)),
            Self::Success(success) => match row.get(Field::Success) {
                Some(Json::Bool(value)) => value == *success,
                // Legacy lines may omit it, which means success.
                _ => row.seq().is_none() && *success,
            },
            Self::Since(moment) => time_of(row).is_some_and(|time| time >= *moment),
            Self::Until(moment) => time_of(row).is_some_and(|time| time < *moment),
        }
    }
}

impl Test {
    /// Tests a value. A missing value counts as empty text.
    fn is_met(&self, value: Option<Json<'_>>) -> bool {
        match self {
            Self::Present => value.is_some_and(is_present),
            Self::Absent => !value.is_some_and(is_present),
            Self::Equal(literal) => match value {
                Some(Json::Text(raw)) => literal.equals_raw(raw),
                Some(value) => value.text().is_some_and(|text| literal.equals(&text)),
                None => literal.text.is_empty(),
            },
            Self::Same(literal, number) => match value {
                Some(Json::Number(digits)) => number.order_of(digits).is_some_and(std::cmp::Ordering::is_eq),
                Some(Json::Text(raw)) => literal.equals_raw(raw),
                _ => false,
            },
            Self::Between(range) => matches!(value, Some(Json::Number(digits)) if range.contains(digits)),
            Self::Network(network) => text_of(value).is_some_and(|text| network.contains(&text)),
            Self::Like(pattern) => text_of(value).is_some_and(|text| pattern.is_whole(&text)),
            Self::Contains(word) => text_of(value).is_some_and(|text| word.is_in(&text)),
            Self::ContainsLike(pattern) => text_of(value).is_some_and(|text| pattern.is_in(&text)),
            Self::Expression(expression) => {
                text_of(value).is_some_and(|text| expression.compiled.is_match(&text))
            }
        }
    }
}

fn text_of(value: Option<Json<'_>>) -> Option<Cow<'_, str>> {
    value.map_or(Some(Cow::Borrowed("")), Json::text)
}

/// Legacy lines write absent values as null, where this format omits them.
fn value_of<'l>(row: &Row<'l>, field: Field) -> Option<Json<'l>> {
    row.get(field).filter(|value| !(field.kind() == FieldKind::Any && *value == Json::Null))
}

fn time_of(row: &Row<'_>) -> Option<Moment> {
    let Some(Json::Text(raw)) = row.get(Field::Timestamp) else { return None };
    Moment::parse(&unescaped(raw))
}

fn is_present(value: Json<'_>) -> bool {
    match value {
        Json::Null => false,
        Json::Text(raw) => !raw.is_empty(),
        Json::Object(_) => value.members().next().is_some(),
        Json::Array(_) => value.items().next().is_some(),
        Json::Bool(_) | Json::Number(_) => true,
    }
}

fn has_word(row: &Row<'_>, word: &Word) -> bool {
    let line = row.line();
    // Without escapes, what is not in the line is not in its strings.
    let is_excluded = !word.is_in(line) && memchr(b'\\', line.as_bytes()).is_none();
    !is_excluded && any_text(row.object(), &|text| word.is_in(text))
}

/// Whether a string or number in the value, at any depth, satisfies the predicate. Keys do not count.
fn any_text(value: Json<'_>, matches: &impl Fn(&str) -> bool) -> bool {
    match value {
        Json::Text(raw) => matches(&unescaped(raw)),
        Json::Number(digits) => matches(digits),
        Json::Object(_) => value.members().any(|(_, value)| any_text(value, matches)),
        Json::Array(_) => value.items().any(|value| any_text(value, matches)),
        Json::Null | Json::Bool(_) => false,
    }
}

/// Visits the values at the end of the path, through the items of arrays, until one satisfies the predicate.
fn visit(value: Json<'_>, keys: &[Box<str>], matches: &mut impl FnMut(Json<'_>) -> bool) -> bool {
    if let Json::Array(_) = value
        && value.items().next().is_some()
    {
        return value.items().any(|item| visit(item, keys, matches));
    }
    match keys.split_first() {
        None => matches(value),
        Some((key, keys)) => value.member(key).is_some_and(|member| visit(member, keys, matches)),
    }
}

/// Whether the old and new values at this path differ, or only one of them exists.
fn is_changed(row: &Row<'_>, keys: &[Box<str>]) -> bool {
    let at = |field| {
        let root = value_of(row, field);
        keys.iter().try_fold(root?, |value, key| value.member(key))
    };
    match (at(Field::OldValues), at(Field::NewValues)) {
        (None, None) => false,
        (Some(old), Some(new)) => !is_equal(old, new),
        _ => true,
    }
}

/// Whether two JSON values are equal: numbers by exact quantity, however they are written (`500000` is
/// `5e5`), strings after decoding escapes, objects regardless of the order of their members. A number and a
/// string of the same digits differ.
#[must_use]
pub fn is_equal(one: Json<'_>, other: Json<'_>) -> bool {
    if one == other {
        return true;
    }
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => is_same(one, other),
        (Json::Text(one), Json::Text(other)) => unescaped(one) == unescaped(other),
        (Json::Array(_), Json::Array(_)) => {
            let (mut ones, mut others) = (one.items(), other.items());
            loop {
                match (ones.next(), others.next()) {
                    (None, None) => return true,
                    (Some(one), Some(other)) if is_equal(one, other) => {}
                    _ => return false,
                }
            }
        }
        (Json::Object(_), Json::Object(_)) => {
            // Of duplicate names the last one counts.
            let (ones, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
                (one.members().collect(), other.members().collect());
            ones.len() == others.len()
                && ones
                    .iter()
                    .zip(&others)
                    .all(|((key, one), (name, other))| key == name && is_equal(*one, *other))
        }
        _ => false,
    }
}
