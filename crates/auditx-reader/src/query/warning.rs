//! What a question probably does not mean: it can be answered, and the answer is not what was wanted.

use std::fmt;

use auditx_core::Field;

use super::ast::{Node, Term, Test};
use super::names::Name;
use super::plan::Plan;
use super::scanner::{Item, Operator};
use super::text::Literal;

/// A remark about a question that probably does not ask for what was meant. For people, in one line.
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

/// Of a word that looks like a condition of another language: `user=admin`, `amount>1000`, `user!=admin`.
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
                "{word} is looked for as a word: the field is asked for with -{name}:{value}"
            )));
        }
        _ => return None,
    };
    (!value.is_empty()).then(|| {
        Warning::new(format!(
            "{word} is looked for as a word: the field is asked for with {name}:{sign}{value}"
        ))
    })
}

/// Of a number that is written with commas between its thousands: `amount:1,000`.
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
    // Nobody writes a number with zeros in front of it, and amounts are rarely asked for as a list.
    let has_zeros = others.iter().any(|item| text(item).starts_with('0')) && are_groups;
    if !(has_zeros || are_groups && field == Some(Field::Amount)) {
        return None;
    }
    let sign = first.operator.sign();
    let parts: Vec<String> = items.iter().map(text).collect();
    Some(Warning::new(format!(
        "{name}:{sign}{} asks for {}: a comma means OR, and one number is {name}:{sign}{}",
        parts.join(","),
        parts.join(" or "),
        parts.concat()
    )))
}

/// Of the whole question, flags included.
pub(super) fn of_question(node: &Node) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let plan = Plan::of(node);
    if let (Some(since), Some(until)) = (plan.since, plan.until)
        && since >= until
    {
        let message = format!("nothing can be found: since {since} is not before until {until}");
        warnings.push(Warning::new(message));
    }
    let nodes = match node {
        Node::All(nodes) => nodes.as_slice(),
        node => std::slice::from_ref(node),
    };
    if nodes.contains(&Node::nothing()) {
        warnings.push(Warning::new("nothing can be found: every entry is left out with -*"));
    }
    contradictions(nodes, &mut warnings);
    pointless(node, &mut warnings);
    warnings
}

/// Conditions of which an entry can meet one alone: `user:admin user:clerk`.
fn contradictions(nodes: &[Node], warnings: &mut Vec<Warning>) {
    let terms: Vec<&Term> =
        nodes.iter().filter_map(|node| if let Node::Term(term) = node { Some(term) } else { None }).collect();
    for (at, one) in terms.iter().enumerate() {
        let exclusive = terms[at + 1..].iter().find(|other| excludes(one, other));
        if let Some(other) = exclusive {
            let message =
                format!("nothing can be found: no entry is {one} and {other} at once; for either, write OR");
            warnings.push(Warning::new(message));
        }
    }
}

fn excludes(one: &Term, other: &Term) -> bool {
    match (one, other) {
        (Term::Success(one), Term::Success(other)) => one != other,
        (Term::Field(field, ones), Term::Field(other, others)) if field == other => {
            let (Some(ones), Some(others)) = (literals(ones), literals(others)) else { return false };
            let is_same = |one: &Literal, other: &Literal| one.is_text(&other.text);
            !ones.iter().any(|one| others.iter().any(|other| is_same(one, other)))
        }
        _ => false,
    }
}

fn literals(tests: &[Test]) -> Option<Vec<&Literal>> {
    tests.iter().map(|test| if let Test::Equal(literal) = test { Some(literal) } else { None }).collect()
}

/// Values that every entry with the field has.
fn pointless(node: &Node, warnings: &mut Vec<Warning>) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| pointless(node, warnings)),
        Node::Not(node) => pointless(node, warnings),
        Node::Term(term @ (Term::Field(_, tests) | Term::Member(_, tests))) => {
            if tests.len() > 1 && tests.contains(&Test::Present) {
                warnings.push(Warning::new(format!("{term} asks for any value: * is one of them")));
            }
            let is_anything = |test: &Test| {
                matches!(test, Test::Expression(expression)
                    if expression.compiled.is_match("") && expression.compiled.is_match("\u{1}"))
            };
            if tests.iter().any(is_anything) {
                let message = format!(
                    "{term} asks for every entry: the expression matches any text, the empty one too"
                );
                warnings.push(Warning::new(message));
            }
        }
        Node::Everything | Node::Term(_) => {}
    }
}
