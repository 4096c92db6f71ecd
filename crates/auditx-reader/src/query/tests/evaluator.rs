//! A reference evaluator of queries: simple and slow, over a tree of values. It shares only the syntax tree
//! with the real one.

use std::collections::BTreeMap;

use auditx_format::moment::Moment;
use auditx_format::row::Field;

use super::samples::Value;
use crate::query::ast::{Node, Range, Term, Test};
use crate::query::text::{Case, Pattern, Piece, fold};

pub(super) fn holds(node: &Node, entry: &Value) -> bool {
    match node {
        Node::Everything => true,
        Node::All(nodes) => nodes.iter().all(|node| holds(node, entry)),
        Node::Any(nodes) => nodes.iter().any(|node| holds(node, entry)),
        Node::Not(node) => !holds(node, entry),
        Node::Term(term) => term_holds(term, entry),
    }
}

fn term_holds(term: &Term, entry: &Value) -> bool {
    match term {
        Term::Word(word) => texts(entry).iter().any(|text| folded(text).contains(&*word.text)),
        Term::WordLike(pattern) => texts(entry).iter().any(|text| is_found(pattern, text)),
        Term::Field(field, tests) => {
            tests.iter().any(|test| test_holds(test, field_of(entry, *field).as_ref()))
        }
        Term::Member(path, tests) => {
            let mut found = vec![];
            if let Some(root) = field_of(entry, path.root) {
                collect(&root, &path.keys, &mut found);
            }
            tests.iter().any(|test| {
                if found.is_empty() {
                    test_holds(test, None)
                } else {
                    found.iter().any(|value| test_holds(test, Some(value)))
                }
            })
        }
        Term::Changed(paths) => paths.iter().any(|keys| {
            let at = |field| {
                let mut value = normal(&field_of(entry, field)?);
                for key in keys {
                    let Normal::Object(mut members) = value else { return None };
                    value = members.remove(&**key)?;
                }
                Some(value)
            };
            at(Field::OldValues) != at(Field::NewValues)
        }),
        Term::Success(wanted) => match field_of(entry, Field::Success) {
            Some(Value::Bool(success)) => success == *wanted,
            _ => field_of(entry, Field::Seq).is_none() && *wanted,
        },
        Term::Since(moment) => time_of(entry).is_some_and(|time| time >= *moment),
        Term::Until(moment) => time_of(entry).is_some_and(|time| time < *moment),
    }
}

fn test_holds(test: &Test, value: Option<&Value>) -> bool {
    let text = match value {
        None => Some(String::new()),
        Some(Value::Text(text)) => Some(text.clone()),
        Some(Value::Number(digits)) => Some((*digits).to_owned()),
        Some(Value::Bool(value)) => Some(value.to_string()),
        Some(Value::Null) => Some("null".to_owned()),
        Some(_) => None,
    };
    match (test, text) {
        (Test::Present, _) => value.is_some_and(|value| {
            *value != Value::Null
                && *value != Value::Text(String::new())
                && *value != Value::List(vec![])
                && *value != Value::Object(vec![])
        }),
        (Test::Absent, _) => !test_holds(&Test::Present, value),
        (Test::Same(literal, number), Some(text)) => match value {
            Some(Value::Number(digits)) => scaled(digits) == scaled(&number.to_string()),
            Some(Value::Text(_)) => *text == *literal.text,
            _ => false,
        },
        (Test::Between(range), _) => {
            matches!(value, Some(Value::Number(digits)) if is_between(range, digits))
        }
        (Test::Equal(literal), Some(text)) => match literal.case {
            Case::Exact => *text == *literal.text,
            _ => text.to_ascii_lowercase() == literal.text.to_ascii_lowercase(),
        },
        (Test::Like(pattern), Some(text)) => fits(&pattern.pieces, &cased(pattern.case, &text)),
        (Test::Contains(word), Some(text)) => folded(&text).contains(&*word.text),
        (Test::ContainsLike(pattern), Some(text)) => is_found(pattern, &text),
        (Test::Expression(expression), Some(text)) => expression.compiled.is_match(&text),
        (Test::Network(network), Some(text)) => network.contains(&text),
        (_, None) => false,
    }
}

fn member<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    let Value::Object(members) = object else { return None };
    members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn field_of(entry: &Value, field: Field) -> Option<Value> {
    member(entry, field.name()).filter(|value| **value != Value::Null).cloned()
}

fn time_of(entry: &Value) -> Option<Moment> {
    let Some(Value::Text(text)) = field_of(entry, Field::Timestamp) else { return None };
    Moment::parse(&text)
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Text(text) => vec![text.clone()],
        Value::Number(digits) => vec![(*digits).to_owned()],
        Value::List(items) => items.iter().flat_map(texts).collect(),
        Value::Object(members) => members.iter().flat_map(|(_, value)| texts(value)).collect(),
        Value::Null | Value::Bool(_) => vec![],
    }
}

fn collect(value: &Value, keys: &[Box<str>], found: &mut Vec<Value>) {
    match (value, keys) {
        (Value::List(items), keys) if !items.is_empty() => {
            items.iter().for_each(|item| collect(item, keys, found))
        }
        (value, []) => found.push(value.clone()),
        (value, [key, keys @ ..]) => {
            if let Some(value) = member(value, key) {
                collect(value, keys, found);
            }
        }
    }
}

fn folded(text: &str) -> String {
    text.chars().map(fold).collect()
}

fn cased(case: Case, text: &str) -> Vec<char> {
    text.chars().map(|c| case.of(c)).collect()
}

fn is_found(pattern: &Pattern, text: &str) -> bool {
    let pieces: Vec<_> = [&[Piece::Any], &*pattern.pieces, &[Piece::Any]].concat();
    fits(&pieces, &cased(pattern.case, text))
}

fn fits(pieces: &[Piece], text: &[char]) -> bool {
    match (pieces, text) {
        ([], text) => text.is_empty(),
        ([Piece::Any, rest @ ..], text) => (0..=text.len()).any(|skipped| fits(rest, &text[skipped..])),
        ([Piece::One, rest @ ..], [_, text @ ..]) => fits(rest, text),
        ([Piece::Char(c), rest @ ..], [first, text @ ..]) => c == first && fits(rest, text),
        (_, []) => false,
    }
}

/// The number in thousandths; the samples are not more precise.
fn scaled(digits: &str) -> i128 {
    let lower = digits.to_lowercase();
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((&lower, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let number: i128 = format!("{whole}{fraction}").parse().unwrap();
    let exponent = exponent.parse::<i32>().unwrap() - i32::try_from(fraction.len()).unwrap() + 3;
    number * 10_i128.pow(u32::try_from(exponent).unwrap())
}

fn is_between(range: &Range, digits: &str) -> bool {
    let number = scaled(digits);
    let low = range.low.as_ref().map(|bound| (scaled(&bound.number.to_string()), bound.is_inclusive));
    let high = range.high.as_ref().map(|bound| (scaled(&bound.number.to_string()), bound.is_inclusive));
    low.is_none_or(|(low, is_inclusive)| if is_inclusive { number >= low } else { number > low })
        && high.is_none_or(|(high, is_inclusive)| if is_inclusive { number <= high } else { number < high })
}

/// A value in a form whose equality is the equality of JSON values.
#[derive(Debug, PartialEq)]
enum Normal {
    Null,
    Bool(bool),
    Number(i128),
    Text(String),
    List(Vec<Normal>),
    Object(BTreeMap<String, Normal>),
}

fn normal(value: &Value) -> Normal {
    match value {
        Value::Null => Normal::Null,
        Value::Bool(value) => Normal::Bool(*value),
        Value::Number(digits) => Normal::Number(scaled(digits)),
        Value::Text(text) => Normal::Text(text.clone()),
        Value::List(items) => Normal::List(items.iter().map(normal).collect()),
        Value::Object(members) => {
            Normal::Object(members.iter().map(|(key, value)| (key.clone(), normal(value))).collect())
        }
    }
}
