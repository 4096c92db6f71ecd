//! A question as a tree, in the one form that equal questions have: no list within a list of its kind, no list of one, no
//! denial of a denial.

use std::fmt;

use regex::Regex;

use auditx_core::{Field, Moment};

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

/// What is asked of one place of an entry.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Term {
    /// Of every text and number.
    Word(Word),
    WordLike(Pattern),
    /// Of a value at the top; one of the tests must be met.
    Field(Field, Vec<Test>),
    /// Of a value within one; one of the tests must be met by one of the values.
    Member(Path, Vec<Test>),
    /// One of these members of `old_values` and `new_values` differs. Without keys: the whole does.
    Changed(Vec<Keys>),
    Success(bool),
    /// Of this moment and later.
    Since(Moment),
    /// Before this moment.
    Until(Moment),
}

/// The names of members, from the outside in.
pub(super) type Keys = Box<[Box<str>]>;

/// Where a value lies within a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) root: Field,
    pub(super) keys: Keys,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    /// It is there, and neither empty nor null.
    Present,
    /// It is absent, empty or null. Text that is absent or empty is [`Test::Equal`] to the empty text.
    Absent,
    Equal(Literal),
    /// The same, of a value that may be a number as well.
    Same(Literal, Number),
    Like(Pattern),
    /// Found anywhere in the text.
    Contains(Word),
    ContainsLike(Pattern),
    Expression(Expression),
    Between(Range),
    /// Is an IP address of this network.
    Network(Network),
}

/// Numbers from one to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) low: Option<Bound>,
    pub(super) high: Option<Bound>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bound {
    pub(super) number: Number,
    pub(super) is_within: bool,
}

impl Range {
    pub(super) fn holds(&self, digits: &str) -> bool {
        let order = |bound: &Bound| bound.number.order_of(digits).map(|order| (order, bound.is_within));
        let is_low_enough = |bound| {
            order(bound).is_some_and(|(order, is_within)| order.is_gt() || is_within && order.is_eq())
        };
        let is_high_enough = |bound| {
            order(bound).is_some_and(|(order, is_within)| order.is_lt() || is_within && order.is_eq())
        };
        self.low.as_ref().is_none_or(is_low_enough) && self.high.as_ref().is_none_or(is_high_enough)
    }
}

/// A regular expression and how it was written.
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
    /// What no entry is.
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

    /// Of at least one.
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
        Self::Term(Term::Since(super::time::sayable(moment)))
    }

    pub(super) fn until(moment: Moment) -> Self {
        Self::Term(Term::Until(super::time::sayable(moment)))
    }

    /// Whether it needs brackets where it is denied or stands in a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::All(_) | Self::Any(_))
    }
}
