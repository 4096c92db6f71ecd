//! The syntax tree of a query, in a canonical form.
//!
//! Equal queries have equal trees: no list contains a list of its own kind or a single node, and no negation
//! contains a negation.

use std::fmt;

use auditx_format::moment::Moment;
use auditx_format::row::Field;
use regex::Regex;

use super::network::Network;
use super::number::Number;
use super::text::{Literal, Pattern, Word};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Everything,
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Term(Term),
}

/// A condition on one part of an entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    /// One of the entry's strings or numbers contains the word.
    Word(Word),
    WordLike(Pattern),
    /// A top-level field passes one of the tests.
    Field(Field, Vec<Test>),
    /// A value nested in a field passes one of the tests.
    Member(Path, Vec<Test>),
    /// One of these members differs between `old_values` and `new_values`. Empty keys: the whole object
    /// differs.
    Changed(Vec<Keys>),
    Success(bool),
    /// At this moment or later.
    Since(Moment),
    /// Before this moment.
    Until(Moment),
}

/// The names of members, outermost first.
pub(super) type Keys = Box<[Box<str>]>;

/// The position of a value within a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) root: Field,
    pub(super) keys: Keys,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// Neither missing, nor empty, nor null.
    Present,
    /// Missing, empty or null. For text, [`Test::Equal`] with the empty string means the same.
    Absent,
    Equal(Literal),
    /// Equal to the text, or to the number if the value is a number.
    Same(Literal, Number),
    Like(Pattern),
    /// The text contains the word.
    Contains(Word),
    ContainsLike(Pattern),
    Expression(Expression),
    Between(Range),
    /// An IP address in this network.
    Network(Network),
}

/// A range of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) low: Option<Bound>,
    pub(super) high: Option<Bound>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) number: Number,
    pub(super) is_inclusive: bool,
}

impl Range {
    pub(super) fn contains(&self, digits: &str) -> bool {
        let order = |bound: &Bound| bound.number.order_of(digits).map(|order| (order, bound.is_inclusive));
        let is_low_enough = |bound| {
            order(bound).is_some_and(|(order, is_inclusive)| order.is_gt() || is_inclusive && order.is_eq())
        };
        let is_high_enough = |bound| {
            order(bound).is_some_and(|(order, is_inclusive)| order.is_lt() || is_inclusive && order.is_eq())
        };
        self.low.as_ref().is_none_or(is_low_enough) && self.high.as_ref().is_none_or(is_high_enough)
    }
}

/// A regular expression and its source text.
#[derive(Clone)]
pub(super) struct Expression {
    pub(super) text: Box<str>,
    pub(super) compiled: Regex,
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

impl Node {
    /// Matches no entry.
    pub(super) fn nothing() -> Self {
        Self::Not(Box::new(Self::Everything))
    }

    pub(super) fn all(nodes: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for node in nodes {
            match node {
                Self::Everything => {}
                Self::All(inner) => flat.extend(inner),
                node => flat.push(node),
            }
        }
        match flat.pop() {
            None => Self::Everything,
            Some(node) if flat.is_empty() => node,
            Some(node) => {
                flat.push(node);
                Self::All(flat)
            }
        }
    }

    /// Expects at least one node.
    pub(super) fn any(nodes: impl IntoIterator<Item = Self>) -> Self {
        let mut flat = Vec::new();
        for node in nodes {
            match node {
                Self::Everything => return Self::Everything,
                Self::Any(inner) => flat.extend(inner),
                node => flat.push(node),
            }
        }
        match flat.pop() {
            None => Self::nothing(),
            Some(node) if flat.is_empty() => node,
            Some(node) => {
                flat.push(node);
                Self::Any(flat)
            }
        }
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            node => Self::Not(Box::new(node)),
        }
    }

    pub(super) fn since(moment: Moment) -> Self {
        Self::Term(Term::Since(super::time::clamped(moment)))
    }

    pub(super) fn until(moment: Moment) -> Self {
        Self::Term(Term::Until(super::time::clamped(moment)))
    }

    /// Whether it needs parentheses when it is negated or nested in a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::All(_) | Self::Any(_))
    }
}
