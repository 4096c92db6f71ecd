//! Warnings about queries that are valid but probably not what was intended.

use std::fmt;

use auditx_format::row::Field;

use super::ast::{Node, Term, Test};
use super::names::Name;
use super::plan::Plan;
use super::scanner::{Item, Operator};
use super::text::Literal;

/// A warning about a query that probably does not mean what was intended. Displayed on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(Box<str>);

impl Warning {
    pub(super) fn new(message: impl Into<Box<str>>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Warns about a word that looks like a condition of another language: `user=admin`, `amount>1000`,
/// `user!=admin`.
pub(super) fn of_word(word: &str) -> Option<Warning> {
    let at = word.find(['=', '>', '<', '!', '~'])?;
    let (name, rest) = word.split_at(at);
    Name::find(name.split('.').next()?)?;
    let value = rest.trim_start_matches(['=', '>', '<', '!', '~']);
    let sign = match &rest[..rest.len() - value.len()] {
        sign @ (">" | ">=" | "<" | "<=" | "~") => sign,
        "=~" => "~",
        "=" | "==" => "",
        "!=" | "<>" if !value.is_empty() => {
            return Some(Warning::new(format!(
                "{word} is searched for as a word: to match the field, write -{name}:{value}"
            )));
        }
        _ => return None,
    };
    (!value.is_empty()).then(|| {
        Warning::new(format!(
            "{word} is searched for as a word: to match the field, write {name}:{sign}{value}"
        ))
    })
}

/// Warns about a number with commas between its thousands: `amount:1,000`.
pub(super) fn of_numbers(name: &str, field: Option<Field>, items: &[Item<'_>]) -> Option<Warning> {
    let [first, others @ ..] = items else { return None };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = |item: &Item<'_>| item.value.text.to_string();
    let begins =
        text(first).trim_start_matches('-').len() <= 3 && is_number(text(first).trim_start_matches('-'));
    let is_plain = |item: &Item<'_>| item.operator == Operator::Is && !item.value.is_quoted;
    if others.is_empty() || !begins || !others.iter().all(is_plain) {
        return None;
    }
    let are_groups = others.iter().enumerate().all(|(at, item)| {
        let text = text(item);
        let is_last = at + 1 == others.len();
        let (whole, fraction) = text.split_once('.').filter(|_| is_last).unwrap_or((&text, "0"));
        whole.len() == 3 && is_number(whole) && is_number(fraction)
    });
    // A part with leading zeros is unlikely to be a number of its own, and lists of amounts are rare.
    let has_zeros = others.iter().any(|item| text(item).starts_with('0')) && are_groups;
    if !(has_zeros || are_groups && field == Some(Field::Amount)) {
        return None;
    }
    let sign = first.operator.sign();
    let parts: Vec<String> = items.iter().map(text).collect();
    Some(Warning::new(format!(
        "{name}:{sign}{} matches {}: a comma means OR; for one number, write {name}:{sign}{}",
        parts.join(","),
        parts.join(" or "),
        parts.concat()
    )))
}

/// Warnings about the query as a whole, including parts that come from flags.
pub(super) fn of_query(node: &Node) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let plan = Plan::of(node);
    if let (Some(since), Some(until)) = (plan.since, plan.until)
        && since >= until
    {
        let message = format!("no entry can match: since {since} is not before until {until}");
        warnings.push(Warning::new(message));
    }
    let nodes = match node {
        Node::All(nodes) => nodes.as_slice(),
        node => std::slice::from_ref(node),
    };
    if nodes.contains(&Node::nothing()) {
        warnings.push(Warning::new("no entry can match: -* excludes every entry"));
    }
    contradictions(nodes, &mut warnings);
    pointless(node, &mut warnings);
    warnings
}

/// Warns about conditions that exclude each other: `user:admin user:clerk`.
fn contradictions(nodes: &[Node], warnings: &mut Vec<Warning>) {
    let terms: Vec<&Term> =
        nodes.iter().filter_map(|node| if let Node::Term(term) = node { Some(term) } else { None }).collect();
    for (at, one) in terms.iter().enumerate() {
        let exclusive = terms[at + 1..].iter().find(|other| excludes(one, other));
        if let Some(other) = exclusive {
            let message = format!("no entry can match both {one} and {other}: to match either, write OR");
            warnings.push(Warning::new(message));
        }
    }
}

fn excludes(one: &Term, other: &Term) -> bool {
    match (one, other) {
        (Term::Success(one), Term::Success(other)) => one != other,
        (Term::Field(field, ones), Term::Field(other, others)) if field == other => {
            let (Some(ones), Some(others)) = (literals(ones), literals(others)) else { return false };
            let is_same = |one: &Literal, other: &Literal| one.equals(&other.text);
            !ones.iter().any(|one| others.iter().any(|other| is_same(one, other)))
        }
        _ => false,
    }
}

fn literals(tests: &[Test]) -> Option<Vec<&Literal>> {
    tests.iter().map(|test| if let Test::Equal(literal) = test { Some(literal) } else { None }).collect()
}

/// Warns about values that every entry with the field has.
fn pointless(node: &Node, warnings: &mut Vec<Warning>) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| pointless(node, warnings)),
        Node::Not(node) => pointless(node, warnings),
        Node::Term(term @ (Term::Field(_, tests) | Term::Member(_, tests))) => {
            if tests.len() > 1 && tests.contains(&Test::Present) {
                warnings.push(Warning::new(format!("{term} matches any value: one of the values is *")));
            }
            let is_anything = |test: &Test| {
                matches!(test, Test::Expression(expression)
                    if expression.compiled.is_match("") && expression.compiled.is_match("\u{1}"))
            };
            if tests.iter().any(is_anything) {
                let message = format!(
                    "{term} matches every entry: the expression matches any text, including empty text"
                );
                warnings.push(Warning::new(message));
            }
        }
        Node::Everything | Node::Term(_) => {}
    }
}
