//! Parses the values after a colon according to the field before it.

use std::borrow::Cow;
use std::cmp::Ordering;

use auditx_format::row::Field;
use regex::RegexBuilder;

use super::ast::{Bound, Expression, Keys, Node, Range, Term, Test};
use super::error::Problem;
use super::names::{Name, case_of, is_number};
use super::network::Network;
use super::number::Number;
use super::scanner::{Item, Operator, Piece};
use super::target::Target;
use super::text::{Case, Literal, Pattern, Word};
use super::time::{Span, Time, TimeBase};

/// The maximum size in bytes of a compiled regular expression.
pub(super) const MAX_EXPRESSION: usize = 1 << 20;

const TIME_HELP: &str = "\
times: 2026-11-24T15:24:54Z, \"2026-11-24 15:24\", 15:24 (today), 2026-11-24, 2026-11, 2026,
today, yesterday, now, 2h or 1h30m ago (w, d, h, m, s), 1795533894 (seconds since 1970);
times without an offset are in the time zone of the query";

type Result<T> = std::result::Result<T, Problem>;

/// Builds the node that matches if one of the values does.
pub(super) fn node(target: &Target, items: &[Item<'_>], base: &TimeBase) -> Result<Node> {
    let any = |each: &dyn Fn(&Item<'_>) -> Result<Node>| {
        items.iter().map(each).collect::<Result<Vec<_>>>().map(Node::any)
    };
    let tests = |test: &dyn Fn(&Item<'_>) -> Result<Test>| items.iter().map(test).collect::<Result<Vec<_>>>();
    match target.name {
        Name::Entity => any(&|item| entity(target, item)),
        Name::Success => any(&|item| success(target, item)),
        Name::Time => any(&|item| time(item, base)),
        Name::Since | Name::Until => bound(target, items, base),
        Name::Changed => {
            items.iter().map(changed).collect::<Result<Vec<_>>>().map(|keys| Node::Term(Term::Changed(keys)))
        }
        Name::Field(field) if is_number(field) => {
            Ok(Node::Term(Term::Field(field, tests(&|item| of_number(target, item))?)))
        }
        Name::Field(field) => {
            Ok(Node::Term(Term::Field(field, tests(&|item| of_text(target, field, item))?)))
        }
        Name::Member(root) => {
            Ok(Node::Term(Term::Member(target.path(root), tests(&|item| of_member(target, root, item))?)))
        }
        Name::Kind => Err(Problem::new(0..0, "kind is a member")),
    }
}

/// The number of regular expressions in the node.
pub(super) fn expressions(node: &Node) -> usize {
    match node {
        Node::Term(Term::Field(_, tests) | Term::Member(_, tests)) => {
            tests.iter().filter(|test| matches!(test, Test::Expression(_))).count()
        }
        _ => 0,
    }
}

fn is_star(item: &Item<'_>) -> bool {
    !item.value.is_quoted && item.operator == Operator::Is && item.value.text.bytes().all(|byte| byte == b'*')
}

/// Whether the item is `""`, which matches a missing or empty value.
fn is_absent(item: &Item<'_>) -> bool {
    item.value.is_quoted && item.operator == Operator::Is && item.value.text.is_empty()
}

fn of_text(target: &Target, field: Field, item: &Item<'_>) -> Result<Test> {
    let text = &item.value.text;
    let is_searched = field == Field::Description;
    let case = if is_searched { Case::Folded } else { case_of(field) };
    if is_star(item) {
        return Ok(Test::Present);
    }
    match item.operator {
        Operator::Expression => expression(&item.value),
        Operator::Is if field == Field::Ip && !item.value.is_quoted && text.contains('/') => {
            network(&item.value)
        }
        Operator::Is => {
            let pattern = if item.value.is_quoted { None } else { Pattern::parse(text, case) };
            Ok(match pattern {
                Some(pattern) if is_searched => Test::ContainsLike(pattern),
                Some(pattern) => Test::Like(pattern),
                None if is_searched && !text.is_empty() => Test::Contains(Word::new(text)),
                None => Test::Equal(literal(text, case_of(field))),
            })
        }
        operator => Err(Problem::new(
            item.value.span.clone(),
            format!("{} compares numbers and times, but {:?} is text", operator.sign(), target.typed),
        )),
    }
}

fn network(value: &Piece<'_>) -> Result<Test> {
    Network::parse(&value.text).map(Test::Network).map_err(|(at, message)| {
        let start = value.span.start;
        Problem::new(start + at.start..start + at.end, message)
            .help("networks: ip:192.168.1.0/24, ip:2001:db8::/32, ip:10.0.0.0/8,192.168.0.0/16")
    })
}

fn literal(text: &str, case: Case) -> Literal {
    Literal { text: text.into(), case }
}

fn of_number(target: &Target, item: &Item<'_>) -> Result<Test> {
    if is_star(item) {
        return Ok(Test::Present);
    }
    if is_absent(item) {
        return Ok(Test::Absent);
    }
    if item.operator == Operator::Expression {
        let message = format!("regular expressions match only text, but {:?} is a number", target.typed);
        return Err(Problem::new(item.value.span.clone(), message).help(number_help(target)));
    }
    match range(item) {
        Some(range) => range.map(Test::Between),
        None => {
            let number = number(&item.value).map_err(|problem| problem.help(number_help(target)))?;
            let bound = Bound { number, is_inclusive: true };
            Ok(Test::Between(compared(item.operator, bound)))
        }
    }
}

fn number_help(target: &Target) -> String {
    let name = &target.typed;
    format!("numbers: {name}:100, {name}:>=100, {name}:100..500")
}

fn of_member(target: &Target, root: Field, item: &Item<'_>) -> Result<Test> {
    let text = &item.value.text;
    if is_star(item) {
        return Ok(Test::Present);
    }
    if is_absent(item) {
        return Ok(Test::Absent);
    }
    if target.keys.is_empty() && matches!(root, Field::Metadata | Field::Auditx) {
        let message = format!("{:?} is an object: name one of its members", target.typed);
        return Err(Problem::new(item.value.span.clone(), message)
            .help(format!("write {}.NAME:{text}, or {text} alone to search all fields", target.typed)));
    }
    match item.operator {
        Operator::Expression => expression(&item.value),
        Operator::Is => {
            if let Some(range) = is_numeric_range(text).then(|| range(item)).flatten() {
                return range.map(Test::Between);
            }
            if let Some(pattern) = Pattern::parse(text, Case::Exact).filter(|_| !item.value.is_quoted) {
                return Ok(Test::Like(pattern));
            }
            let literal = literal(text, Case::Exact);
            Ok(match Number::parse(text) {
                Some(number) => Test::Same(literal, number),
                None => Test::Equal(literal),
            })
        }
        operator => {
            Ok(Test::Between(compared(operator, Bound { number: number(&item.value)?, is_inclusive: true })))
        }
    }
}

fn is_numeric_range(text: &str) -> bool {
    text.split_once("..").is_some_and(|(low, high)| {
        let is_number = |text: &str| text.is_empty() || Number::parse(text).is_some();
        is_number(low) && is_number(high)
    })
}

fn number(value: &Piece<'_>) -> Result<Number> {
    Number::parse(&value.text)
        .ok_or_else(|| Problem::new(value.span.clone(), format!("{:?} is not a number", value.text)))
}

fn compared(operator: Operator, bound: Bound) -> Range {
    let beyond = Bound { is_inclusive: false, ..bound.clone() };
    match operator {
        Operator::Above => Range { low: Some(beyond), high: None },
        Operator::AtLeast => Range { low: Some(bound), high: None },
        Operator::Below => Range { low: None, high: Some(beyond) },
        Operator::AtMost => Range { low: None, high: Some(bound) },
        Operator::Is | Operator::Expression => Range { low: Some(bound.clone()), high: Some(bound) },
    }
}

/// Splits a range such as `100..500`, either end of which may be open.
fn ends<'i>(item: &'i Item<'_>) -> Option<[Option<Piece<'i>>; 2]> {
    let Piece { text, is_quoted, span } = &item.value;
    if *is_quoted || item.operator != Operator::Is || text.as_ref() == ".." {
        return None;
    }
    let (low, high) = text.split_once("..")?;
    let piece = |text: &'i str, start: usize| {
        let span = start..start + text.len();
        (!text.is_empty()).then_some(Piece { text: Cow::Borrowed(text), is_quoted: false, span })
    };
    Some([piece(low, span.start), piece(high, span.start + low.len() + 2)])
}

fn range(item: &Item<'_>) -> Option<Result<Range>> {
    let [low, high] = ends(item)?;
    let bound = |end: Option<Piece<'_>>| {
        end.map(|end| Ok(Bound { number: number(&end)?, is_inclusive: true })).transpose()
    };
    Some(bound(low).and_then(|low| {
        let high = bound(high)?;
        if let (Some(low), Some(high)) = (&low, &high)
            && low.number.order_of(&high.number.to_string()) == Some(Ordering::Less)
        {
            return Err(reversed(&item.value));
        }
        Ok(Range { low, high })
    }))
}

fn reversed(value: &Piece<'_>) -> Problem {
    Problem::new(value.span.clone(), "the range ends before it begins")
}

fn expression(value: &Piece<'_>) -> Result<Test> {
    let bad = |what: &str| Problem::new(value.span.clone(), format!("invalid regular expression: {what}"));
    let compiled = RegexBuilder::new(&value.text)
        .size_limit(MAX_EXPRESSION)
        .dfa_size_limit(MAX_EXPRESSION)
        .build()
        .map_err(|error| match error {
            // The message has several lines; the last one names the error.
            regex::Error::Syntax(text) => {
                let last = text.lines().next_back().unwrap_or_default();
                bad(last.trim_start_matches("error: "))
            }
            regex::Error::CompiledTooBig(_) => bad("it compiles to more than 1 MiB"),
            error => bad(&error.to_string()),
        })?;
    Ok(Test::Expression(Expression { text: value.text.as_ref().into(), compiled }))
}

fn entity(target: &Target, item: &Item<'_>) -> Result<Node> {
    let text = &item.value.text;
    let refused = |operator: &str| {
        let message = format!("{:?} does not support {operator}", target.typed);
        Problem::new(item.value.span.clone(), message)
            .help("write entity:TYPE/ID, entity:TYPE or entity:TYPE/INV-*, or use type: and entity_id:")
    };
    if item.operator != Operator::Is {
        return Err(refused(item.operator.sign()));
    }
    if let Some((_, id)) = text.split_once('/').filter(|_| !item.value.is_quoted)
        && id.starts_with(['>', '<', '~'])
    {
        return Err(refused(&id[..1]));
    }
    let part = |field: Field, text: &str| {
        let pattern = if item.value.is_quoted { None } else { Pattern::parse(text, Case::Exact) };
        let test = match pattern {
            Some(pattern) if pattern.is_any() => Test::Present,
            Some(pattern) => Test::Like(pattern),
            None => Test::Equal(literal(text, Case::Exact)),
        };
        Node::Term(Term::Field(field, vec![test]))
    };
    Ok(match text.split_once('/') {
        Some((kind, id)) => Node::all([part(Field::EntityType, kind), part(Field::EntityId, id)]),
        None => part(Field::EntityType, text),
    })
}

fn success(target: &Target, item: &Item<'_>) -> Result<Node> {
    if is_star(item) {
        return Ok(Node::Term(Term::Field(Field::Success, vec![Test::Present])));
    }
    if is_absent(item) {
        return Ok(Node::Term(Term::Field(Field::Success, vec![Test::Absent])));
    }
    match (item.operator, item.value.text.to_ascii_lowercase().as_str()) {
        (Operator::Is, "true") => Ok(Node::Term(Term::Success(true))),
        (Operator::Is, "false") => Ok(Node::Term(Term::Success(false))),
        _ => Err(Problem::new(item.value.span.clone(), format!("{:?} takes true or false", target.typed))),
    }
}

fn moment(value: &Piece<'_>, base: &TimeBase) -> Result<Time> {
    Time::parse(&value.text, base).ok_or_else(|| {
        Problem::new(value.span.clone(), format!("invalid time {:?}", value.text)).help(TIME_HELP)
    })
}

fn bound(target: &Target, items: &[Item<'_>], base: &TimeBase) -> Result<Node> {
    let [Item { operator: Operator::Is, value }] = items else {
        let span = items.last().map_or(0..0, |item| item.value.span.clone());
        return Err(Problem::new(span, format!("{:?} takes one time", target.typed))
            .help("for a range or a comparison, use time:2026-11-01..2026-11-30 or time:>=2h"));
    };
    let time = moment(value, base)?;
    Ok(if target.name == Name::Since { Node::since(time.begin()) } else { Node::until(time.last_begin()) })
}

fn time(item: &Item<'_>, base: &TimeBase) -> Result<Node> {
    if is_star(item) {
        return Ok(Node::Term(Term::Field(Field::Timestamp, vec![Test::Present])));
    }
    if is_absent(item) {
        return Ok(Node::Term(Term::Field(Field::Timestamp, vec![Test::Absent])));
    }
    if let Some(ends) = ends(item) {
        let [low, high] = ends.map(|end| end.map(|end| moment(&end, base)).transpose());
        let (low, high) = (low?, high?);
        if low.zip(high).is_some_and(|(low, high)| low.begin() >= high.end()) {
            return Err(reversed(&item.value));
        }
        let ends = [low.map(|low| Node::since(low.begin())), high.map(|high| Node::until(high.end()))];
        return Ok(Node::all(ends.into_iter().flatten()));
    }
    let time = match item.operator {
        Operator::Expression => {
            let message = "regular expressions match only text, not times";
            return Err(Problem::new(item.value.span.clone(), message).help(TIME_HELP));
        }
        _ => moment(&item.value, base)?,
    };
    Ok(match (item.operator, time) {
        (Operator::Above, _) => Node::since(time.end()),
        (Operator::Below, _) => Node::until(time.begin()),
        (Operator::AtMost, _) => Node::until(time.end()),
        (Operator::AtLeast, _) | (_, Time::Ago(_)) => Node::since(time.begin()),
        (_, Time::Span(span)) => within(span),
        (_, Time::Twice(first, second)) => Node::any([within(first), within(second)]),
    })
}

fn within(span: Span) -> Node {
    Node::all([Node::since(span.begin), Node::until(span.end)])
}

fn changed(item: &Item<'_>) -> Result<Keys> {
    let Piece { text, is_quoted, span } = &item.value;
    if is_star(item) {
        return Ok(Box::default());
    }
    let has_pattern = !is_quoted && text.contains(['*', '?']);
    if item.operator != Operator::Is || has_pattern {
        return Err(Problem::new(span.clone(), "expected a member name after changed:")
            .help("write changed:credit_limit, changed:address.city, or changed:* for any change"));
    }
    if *is_quoted {
        return Ok(Box::new([text.as_ref().into()]));
    }
    if text.split('.').any(str::is_empty) {
        return Err(Problem::new(span.clone(), "expected a member name on both sides of each dot"));
    }
    Ok(text.split('.').map(Into::into).collect())
}
