//! What entries are asked for: the language of questions, one for the command, a dashboard and an API.
//!
//! A [`Query`] is made of text as people type it (docs/QUERY.md), or of values as flags hold them. It says yes or
//! no to an entry, and tells a search what can be known beforehand. It reads no file but those of the time zone
//! database.

mod error;
mod number;
mod text;
mod network;
mod zone;
mod time;
mod ast;
mod names;
mod scanner;
mod target;
mod value;
mod display;
mod plan;
mod warning;
mod parser;
mod matching;
mod sql;
#[cfg(test)]
pub(crate) mod tests;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use auditx_core::{Field, Moment, Row};

use ast::{Node, Term, Test};
use names::Name;
use scanner::{Item, Operator, Piece};
use target::Target;
use text::{Case, Literal as Text, Word};

pub use error::QueryError;
pub use matching::is_equal;
pub use number::sortable_number;
pub(crate) use plan::{Literal, Needle, Plan};
pub use sql::{SqlCondition, SqlParameter};
pub use time::TimeBase;
pub use warning::Warning;
pub use zone::{Zone, ZoneError};

/// A question that an entry answers with yes or no.
///
/// ```
/// use auditx_reader::{Field, Moment, Query, Row};
///
/// let query = Query::parse("invoice user:admin,clerk amount:>=1000 -module:sales", Moment::now())?;
/// let line = r#"{"seq":4,"description":"Invoice posted","user":"admin","amount":1e3,"success":true}"#;
/// let row = Row::read_text(line).expect("an entry");
/// assert!(query.matches(&row));
/// assert!(!query.clone().and(Query::is(Field::Action, ["VOID"])).matches(&row));
/// assert_eq!(query.to_string(), "invoice user:admin,clerk amount:>=1000 -module:sales");
/// # Ok::<(), auditx_reader::QueryError>(())
/// ```
///
/// Shown as text, it reads back as an equal question, if that text is no longer and no deeper than [`Query::parse`] takes: times
/// that were counted from now stand as moments.
#[derive(Clone)]
pub struct Query(Node, Vec<Warning>);

impl Query {
    /// Reads a question: words, fields, `OR`, `-` and brackets, as docs/QUERY.md has them. Times such as `2h`
    /// and `today` are relative to `base`: a moment, in UTC, or a [`TimeBase`] with a time zone. Text of
    /// blanks alone asks for every entry.
    ///
    /// # Errors
    /// What is wrong, and under which character.
    pub fn parse(text: &str, base: impl Into<TimeBase>) -> Result<Self, QueryError> {
        parser::parse(text, &base.into())
            .map(|(node, warnings)| Self(node, warnings))
            .map_err(|problem| problem.within(text))
    }

    /// Every entry.
    #[must_use]
    pub fn everything() -> Self {
        Self::of(Node::Everything)
    }

    /// Entries whose field is one of these, as `field:"value"` has it: a value is taken literally, whatever characters it has.
    /// One that such a field cannot hold is in no entry. Without values: every entry.
    #[must_use]
    pub fn is<V: Into<String>>(field: Field, values: impl IntoIterator<Item = V>) -> Self {
        let target = Target::of(field);
        let nodes: Vec<_> = values
            .into_iter()
            .map(|value| {
                let items = [literal(value.into())];
                value::node(&target, &items, &Moment::now().into()).unwrap_or_else(|_| Node::nothing())
            })
            .collect();
        // Several values of one field are one term.
        let mut tests = Vec::new();
        for node in &nodes {
            match node {
                Node::Term(Term::Field(_, more)) => tests.extend(more.iter().cloned()),
                _ => return Self::one_of(nodes),
            }
        }
        if tests.is_empty() { Self::everything() } else { Self::of(Node::Term(Term::Field(field, tests))) }
    }

    /// The same for a field as a question names it, with members: `meta.party`, `old.address.city`, `ref`.
    ///
    /// # Errors
    /// Where no field is called so, or cannot hold such a value.
    pub fn named<V: Into<String>>(
        name: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self, QueryError> {
        let parse = || {
            let text = format!("{name}:");
            let mut scanner = scanner::Scanner { text: &text, at: 0 };
            let parts = scanner.name()?.filter(|_| scanner.rest().is_empty());
            let Some(parts) = parts else {
                return Err(error::Problem::new(0..name.len(), "a field's name is due, such as meta.party"));
            };
            let target = Target::resolve(&parts)?;
            let items: Vec<_> = values.into_iter().map(|value| literal(value.into())).collect();
            if items.is_empty() {
                return Ok(Node::Everything);
            }
            value::node(&target, &items, &Moment::now().into())
        };
        parse().map(Self::of).map_err(|mut problem| {
            problem.span = problem.span.start.min(name.len())..problem.span.end.min(name.len());
            problem.within(name)
        })
    }

    /// Entries from an address of this network, `192.168.1.0/24` or `2001:db8::/32`.
    ///
    /// # Errors
    /// If the text is no address, or the prefix length is wrong.
    pub fn network(text: &str) -> Result<Self, QueryError> {
        network::Network::parse(text)
            .map(|network| Self::of(Node::Term(Term::Field(Field::Ip, vec![Test::Network(network)]))))
            .map_err(|(span, message)| error::Problem::new(span, message).within(text))
    }

    /// Entries about this record; without an id, about every record of this type.
    #[must_use]
    pub fn entity(kind: &str, id: Option<&str>) -> Self {
        let is = |field, text: &str| {
            let text = Text { text: text.into(), case: Case::Exact };
            Node::Term(Term::Field(field, vec![Test::Equal(text)]))
        };
        let id = id.map(|id| is(Field::EntityId, id));
        Self::of(Node::all([is(Field::EntityType, kind)].into_iter().chain(id)))
    }

    /// Entries in which every one of these words, with blanks between them, is found; each is taken literally.
    #[must_use]
    pub fn words(text: &str) -> Self {
        Self::of(Node::all(text.split_whitespace().map(|word| Node::Term(Term::Word(Word::new(word))))))
    }

    /// Entries in which this text is found as it is, blanks included.
    #[must_use]
    pub fn phrase(text: &str) -> Self {
        if text.is_empty() { Self::everything() } else { Self::of(Node::Term(Term::Word(Word::new(text)))) }
    }

    /// Entries that say they succeeded, or failed.
    #[must_use]
    pub fn success(success: bool) -> Self {
        Self::of(Node::Term(Term::Success(success)))
    }

    /// Entries of this moment and later; no earlier than the year 0000.
    #[must_use]
    pub fn since(moment: Moment) -> Self {
        Self::of(Node::since(moment))
    }

    /// Entries before this moment; no later than the year 9999.
    #[must_use]
    pub fn until(moment: Moment) -> Self {
        Self::of(Node::until(moment))
    }

    /// What both ask for.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.joined(other, Node::all)
    }

    /// What one of the two asks for.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.joined(other, Node::any)
    }

    /// What this does not ask for.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "beside `and` and `or`; `!query` would stand alone")]
    pub fn not(self) -> Self {
        Self(self.0.not(), self.1)
    }

    /// What the question probably does not mean, though it can be answered: a word such as `user=admin`,
    /// `amount:1,000`, a period that ends before it begins.
    ///
    /// ```
    /// use auditx_reader::{Moment, Query};
    ///
    /// let query = Query::parse("user=admin", Moment::now())?;
    /// let warnings = query.warnings();
    /// assert_eq!(
    ///     warnings[0].to_string(),
    ///     "user=admin is looked for as a word: the field is asked for with user:admin"
    /// );
    /// # Ok::<(), auditx_reader::QueryError>(())
    /// ```
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.1.clone();
        warnings.extend(warning::of_question(&self.0));
        warnings
    }

    /// Whether the entry is asked for. Costs no allocation where the line has no escapes.
    #[must_use]
    pub fn matches(&self, row: &Row<'_>) -> bool {
        self.0.matches(row)
    }

    /// Whether a line can be one that is asked for, by its bytes alone: no is certain, yes is not. For one line; a search looks
    /// through many at once.
    #[must_use]
    pub fn may_match(&self, line: &[u8]) -> bool {
        self.plan().admits(line)
    }

    /// A condition over the columns of `auditx.entry` in PostgreSQL that every entry asked for meets; others may meet it too, so ask
    /// the lines that come with [`Query::matches`].
    #[must_use]
    pub fn sql(&self) -> SqlCondition {
        sql::condition(&self.0)
    }

    /// What a search can know beforehand.
    pub(crate) fn plan(&self) -> Plan {
        Plan::of(&self.0)
    }

    fn of(node: Node) -> Self {
        Self(node, Vec::new())
    }

    fn joined(self, other: Self, join: fn([Node; 2]) -> Node) -> Self {
        let mut warnings = self.1;
        warnings.extend(other.1);
        Self(join([self.0, other.0]), warnings)
    }

    fn one_of(nodes: Vec<Node>) -> Self {
        if nodes.is_empty() { Self::everything() } else { Self::of(Node::any(nodes)) }
    }
}

/// A time as questions have it (docs/QUERY.md), where a period begins: of a day, a month or a year it is the
/// beginning. A time that clocks of the zone showed twice is the earlier moment.
#[must_use]
pub fn moment_of(text: &str, base: impl Into<TimeBase>) -> Option<Moment> {
    time::Time::parse(text, &base.into()).map(time::Time::begin)
}

/// The same where a period ends: a time that clocks of the zone showed twice is the later moment, so that the
/// period has both.
#[must_use]
pub fn end_moment_of(text: &str, base: impl Into<TimeBase>) -> Option<Moment> {
    time::Time::parse(text, &base.into()).map(time::Time::last_begin)
}

/// A length of time as questions have it: `90s`, `15m`, `2h`, `1d`, `1w`, `1h30m`.
#[must_use]
pub fn length_of(text: &str) -> Option<Duration> {
    time::length(text)
}

/// The field that a name of questions is for, in either case: `ref`, `company`, `meta`. `None` for other
/// words, and for names that are for more than one field, such as `entity`.
#[must_use]
pub fn field_named(name: &str) -> Option<Field> {
    Name::find(name).and_then(Name::field)
}

/// The name of a field that was perhaps meant.
#[must_use]
pub fn nearest_field(name: &str) -> Option<&'static str> {
    Name::nearest(name).filter(|nearest| field_named(nearest).is_some())
}

fn literal(text: String) -> Item<'static> {
    let value = Piece { text: text.into(), is_quoted: true, span: 0..0 };
    Item { operator: Operator::Is, value }
}

/// By what is asked for, however it was written.
impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Default for Query {
    fn default() -> Self {
        Self::everything()
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Node::Everything { Ok(()) } else { self.0.fmt(f) }
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Query({})", self.0)
    }
}

impl FromStr for Query {
    type Err = QueryError;

    /// As [`Query::parse`], with times counted from now.
    fn from_str(text: &str) -> Result<Self, QueryError> {
        Self::parse(text, Moment::now())
    }
}
