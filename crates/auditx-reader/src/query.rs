//! The query language: selects entries, for the command line, a dashboard or an API alike.
//!
//! A [`Query`] is parsed from text (docs/QUERY.md) or built from values such as those of flags. It decides
//! whether an entry matches, and derives a [`Plan`] of what a search can rule out beforehand. It reads no
//! files except those of the time zone database.

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

use auditx_format::moment::Moment;
use auditx_format::row::{Field, Row};

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

/// A condition that selects entries.
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
/// The text form parses to an equal query, provided it is within the limits of [`Query::parse`]. Times that
/// were relative to now are written as absolute times.
#[derive(Clone)]
pub struct Query(Node, Vec<Warning>);

impl Query {
    /// Parses a query of words, fields, `OR`, `-` and parentheses; docs/QUERY.md describes the language.
    /// Times such as `2h` and `today` are relative to `base`: a moment, in UTC, or a [`TimeBase`] with a time
    /// zone. Text that is empty or only whitespace matches every entry.
    ///
    /// # Errors
    /// Fails if the text is not a valid query. The error says what is wrong and at which character.
    pub fn parse(text: &str, base: impl Into<TimeBase>) -> Result<Self, QueryError> {
        parser::parse(text, &base.into())
            .map(|(node, warnings)| Self(node, warnings))
            .map_err(|problem| problem.within(text))
    }

    /// Matches every entry.
    #[must_use]
    pub fn everything() -> Self {
        Self::of(Node::Everything)
    }

    /// Matches entries whose field is one of these values, like `field:"value"`: a value is taken literally.
    /// A value that is not valid for the field matches no entry. Without values, every entry matches.
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
        // Several values of one field make one term.
        let mut tests = Vec::new();
        for node in &nodes {
            match node {
                Node::Term(Term::Field(_, more)) => tests.extend(more.iter().cloned()),
                _ => return Self::one_of(nodes),
            }
        }
        if tests.is_empty() { Self::everything() } else { Self::of(Node::Term(Term::Field(field, tests))) }
    }

    /// Like [`Query::is`], for a field or member by its name in the query language: `meta.party`,
    /// `old.address.city`, `ref`.
    ///
    /// # Errors
    /// Fails if there is no field of this name, or if a value is not valid for it.
    pub fn named<V: Into<String>>(
        name: &str,
        values: impl IntoIterator<Item = V>,
    ) -> Result<Self, QueryError> {
        let parse = || {
            let text = format!("{name}:");
            let mut scanner = scanner::Scanner { text: &text, at: 0 };
            let parts = scanner.name()?.filter(|_| scanner.rest().is_empty());
            let Some(parts) = parts else {
                return Err(error::Problem::new(0..name.len(), "expected a field name, such as meta.party"));
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

    /// Matches entries with an address in this network, `192.168.1.0/24` or `2001:db8::/32`.
    ///
    /// # Errors
    /// Fails if the text is not an address with a valid prefix length.
    pub fn network(text: &str) -> Result<Self, QueryError> {
        network::Network::parse(text)
            .map(|network| Self::of(Node::Term(Term::Field(Field::Ip, vec![Test::Network(network)]))))
            .map_err(|(span, message)| error::Problem::new(span, message).within(text))
    }

    /// Matches entries about this entity; without an id, about any entity of this type.
    #[must_use]
    pub fn entity(kind: &str, id: Option<&str>) -> Self {
        let is = |field, text: &str| {
            let text = Text { text: text.into(), case: Case::Exact };
            Node::Term(Term::Field(field, vec![Test::Equal(text)]))
        };
        let id = id.map(|id| is(Field::EntityId, id));
        Self::of(Node::all([is(Field::EntityType, kind)].into_iter().chain(id)))
    }

    /// Matches entries that contain each of these words, separated by whitespace. Words are taken literally.
    #[must_use]
    pub fn words(text: &str) -> Self {
        Self::of(Node::all(text.split_whitespace().map(|word| Node::Term(Term::Word(Word::new(word))))))
    }

    /// Matches entries that contain this text, taken literally, with its whitespace.
    #[must_use]
    pub fn phrase(text: &str) -> Self {
        if text.is_empty() { Self::everything() } else { Self::of(Node::Term(Term::Word(Word::new(text)))) }
    }

    /// Matches entries by whether they record a success.
    #[must_use]
    pub fn success(success: bool) -> Self {
        Self::of(Node::Term(Term::Success(success)))
    }

    /// Matches entries at this moment or later. A moment before the year 0000 counts as its beginning.
    #[must_use]
    pub fn since(moment: Moment) -> Self {
        Self::of(Node::since(moment))
    }

    /// Matches entries before this moment. A moment after the year 9999 counts as its end.
    #[must_use]
    pub fn until(moment: Moment) -> Self {
        Self::of(Node::until(moment))
    }

    /// Matches entries that match both queries.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.joined(other, Node::all)
    }

    /// Matches entries that match at least one of the two queries.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.joined(other, Node::any)
    }

    /// Matches entries that do not match this query.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "a method chains like `and` and `or`; `!query` would not"
    )]
    pub fn not(self) -> Self {
        Self(self.0.not(), self.1)
    }

    /// Warnings about parts of the query that are valid but probably not intended: a word such as
    /// `user=admin`, a list such as `amount:1,000`, a period that ends before it begins.
    ///
    /// ```
    /// use auditx_reader::{Moment, Query};
    ///
    /// let query = Query::parse("user=admin", Moment::now())?;
    /// let warnings = query.warnings();
    /// assert_eq!(
    ///     warnings[0].to_string(),
    ///     "user=admin is searched for as a word: to match the field, write user:admin"
    /// );
    /// # Ok::<(), auditx_reader::QueryError>(())
    /// ```
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = self.1.clone();
        warnings.extend(warning::of_query(&self.0));
        warnings
    }

    /// Whether the entry matches. Does not allocate if the line has no escapes.
    #[must_use]
    pub fn matches(&self, row: &Row<'_>) -> bool {
        self.0.matches(row)
    }

    /// Whether a line may match, judged by its bytes alone: `false` is certain, `true` is not. Examines a
    /// single line; a [`Search`](crate::Search) examines many at once.
    #[must_use]
    pub fn may_match(&self, line: &[u8]) -> bool {
        self.plan().admits(line)
    }

    /// Returns a condition over the columns of `auditx.entry` in PostgreSQL that every matching entry meets.
    /// Other entries may meet it too, so check the returned lines with [`Query::matches`].
    #[must_use]
    pub fn sql(&self) -> SqlCondition {
        sql::condition(&self.0)
    }

    /// Necessary conditions that a search can check before it reads lines.
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

/// Parses a time of the query language (docs/QUERY.md) as the beginning of a period. A day, a month or a year
/// yields its beginning. A time that occurs twice in the zone yields the earlier moment.
#[must_use]
pub fn moment_of(text: &str, base: impl Into<TimeBase>) -> Option<Moment> {
    time::Time::parse(text, &base.into()).map(time::Time::begin)
}

/// Parses a time like [`moment_of`], as the end of a period: a time that occurs twice in the zone yields the
/// later moment, so that the period includes both.
#[must_use]
pub fn end_moment_of(text: &str, base: impl Into<TimeBase>) -> Option<Moment> {
    time::Time::parse(text, &base.into()).map(time::Time::last_begin)
}

/// Parses a duration of the query language: `90s`, `15m`, `2h`, `1d`, `1w`, `1h30m`.
#[must_use]
pub fn length_of(text: &str) -> Option<Duration> {
    time::length(text)
}

/// The field with this name in the query language, ignoring case: `ref`, `company`, `meta`. `None` if there
/// is none, and for names that stand for several fields, such as `entity`.
#[must_use]
pub fn field_named(name: &str) -> Option<Field> {
    Name::find(name).and_then(Name::field)
}

/// The name of the most similar field, for a "did you mean" hint.
#[must_use]
pub fn nearest_field(name: &str) -> Option<&'static str> {
    Name::nearest(name).filter(|nearest| field_named(nearest).is_some())
}

fn literal(text: String) -> Item<'static> {
    let value = Piece { text: text.into(), is_quoted: true, span: 0..0 };
    Item { operator: Operator::Is, value }
}

/// Compares what the queries match, not how they were written: warnings do not count.
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

    /// Parses like [`Query::parse`], with times relative to now.
    fn from_str(text: &str) -> Result<Self, QueryError> {
        Self::parse(text, Moment::now())
    }
}
