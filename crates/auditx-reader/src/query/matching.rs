//! Whether an entry is what is asked for. Allocates nothing, but for texts that have escapes.

use std::borrow::Cow;
use std::collections::BTreeMap;

use memchr::memchr;

use auditx_core::{Field, FieldKind, Json, Moment, Row, unescaped};

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
            Self::WordLike(pattern) => says(whole(row), &|text| pattern.is_in(text)),
            Self::Field(field, tests) => {
                let value = value_of(row, *field);
                tests.iter().any(|test| test.is_met(value))
            }
            Self::Member(path, tests) => {
                let root = value_of(row, path.root);
                tests.iter().any(|test| {
                    let mut is_there = false;
                    let is_met = root.is_some_and(|root| {
                        visit(root, &path.keys, &mut |value| {
                            is_there = true;
                            test.is_met(Some(value))
                        })
                    });
                    is_met || !is_there && test.is_met(None)
                })
            }
            Self::Changed(paths) => paths.iter().any(|keys| is_changed(row, keys)),
            Self::Success(success) => match row.get(Field::Success) {
                Some(Json::Bool(said)) => said == *success,
                // The origin's lines may leave it out, which is no failure.
                _ => row.seq().is_none() && *success,
            },
            Self::Since(moment) => time_of(row).is_some_and(|time| time >= *moment),
            Self::Until(moment) => time_of(row).is_some_and(|time| time < *moment),
        }
    }
}

impl Test {
    /// Of a value, or of none, which is as the empty text.
    fn is_met(&self, value: Option<Json<'_>>) -> bool {
        match self {
            Self::Present => value.is_some_and(is_present),
            Self::Absent => !value.is_some_and(is_present),
            Self::Equal(literal) => match value {
                Some(Json::Text(raw)) => literal.is_raw(raw),
                Some(value) => value.text().is_some_and(|text| literal.is_text(&text)),
                None => literal.text.is_empty(),
            },
            Self::Same(literal, number) => match value {
                Some(Json::Number(digits)) => number.order_of(digits).is_some_and(std::cmp::Ordering::is_eq),
                Some(Json::Text(raw)) => literal.is_raw(raw),
                _ => false,
            },
            Self::Between(range) => matches!(value, Some(Json::Number(digits)) if range.holds(digits)),
            Self::Network(network) => text_of(value).is_some_and(|text| network.has(&text)),
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

/// The origin writes absent values as null, where the format's own lines leave them out.
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

fn whole<'l>(row: &Row<'l>) -> Json<'l> {
    row.object()
}

fn has_word(row: &Row<'_>, word: &Word) -> bool {
    let line = row.line();
    // Where nothing is escaped, what is not in the line is in none of its texts.
    let is_hopeless = !word.is_in(line) && memchr(b'\\', line.as_bytes()).is_none();
    !is_hopeless && says(whole(row), &|text| word.is_in(text))
}

/// Whether a text or number in it, at any depth, is one of these. Keys are none.
fn says(value: Json<'_>, is_one: &impl Fn(&str) -> bool) -> bool {
    match value {
        Json::Text(raw) => is_one(&unescaped(raw)),
        Json::Number(digits) => is_one(digits),
        Json::Object(_) => value.members().any(|(_, value)| says(value, is_one)),
        Json::Array(_) => value.items().any(|value| says(value, is_one)),
        Json::Null | Json::Bool(_) => false,
    }
}

/// Visits what lies at the end of the path until one visit says yes. Of a list, each item is on the way.
fn visit(value: Json<'_>, keys: &[Box<str>], is_one: &mut impl FnMut(Json<'_>) -> bool) -> bool {
    if let Json::Array(_) = value
        && value.items().next().is_some()
    {
        return value.items().any(|item| visit(item, keys, is_one));
    }
    match keys.split_first() {
        None => is_one(value),
        Some((key, keys)) => value.member(key).is_some_and(|member| visit(member, keys, is_one)),
    }
}

/// Whether the values at this path differ, or only one is there.
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

/// Whether two values are the same: numbers by their exact quantity, however they are spelled (`500000` is
/// `5e5`), text without its escapes, objects whatever the order of their members. A number and the same
/// digits as text differ.
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
            // The last of a name counts.
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
