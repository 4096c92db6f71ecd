//! What can be known of the entries asked for without reading their lines: between which times they lie, and which bytes
//! their lines hold.
//!
//! A text stands in a line in one of two ways. Either it stands raw, then its bytes are in the line; or a part of it stands as
//! an escape, then a backslash is. There is no third: JSON (RFC 8259, section 7) begins each escape with a backslash and has no
//! other way to say a character, whoever writes it. So a line without a backslash that lacks the bytes of a text does not say
//! the text. Text with a quotation mark, a backslash or a control character cannot stand raw at all, and what is no JSON is no
//! entry: of such a text nothing needs to be looked for but the backslash.
//!
//! Numbers have many spellings of one quantity and are never looked for by their digits.

use auditx_core::{Field, Moment};

use super::ast::{Keys, Node, Term, Test};
use super::network::Network;
use super::text::{Case, Literal as Text, Piece, is_alone};

/// What every entry asked for obeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// None is earlier.
    pub(crate) since: Option<Moment>,
    /// None is at this moment or later.
    pub(crate) until: Option<Moment>,
    pub(crate) needle: Needle,
    /// Every entry has one of these values: what the index of a segment is asked for.
    pub(crate) keys: Option<Vec<(Field, String)>>,
}

/// Which lines can be one asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Needle {
    /// Any line.
    Any,
    /// Those with one of these, and those with a backslash. None at all: only those with a backslash.
    OneOf(Vec<Literal>),
}

/// Bytes of a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Literal {
    pub(crate) bytes: Vec<u8>,
    /// Letters of ASCII may be in either case.
    pub(crate) ignores_case: bool,
}

impl Plan {
    pub(super) fn of(node: &Node) -> Self {
        let (since, until) = times(node);
        let needle = choose(node).map_or(Needle::Any, |choice| Needle::OneOf(choice.literals));
        Self { since, until, needle, keys: keys(node).map(|(_, keys)| keys) }
    }

    /// Whether a line may be one asked for, by its bytes alone.
    pub(super) fn admits(&self, line: &[u8]) -> bool {
        let Needle::OneOf(literals) = &self.needle else { return true };
        memchr::memchr(b'\\', line).is_some() || literals.iter().any(|literal| literal.is_in(line))
    }
}

impl Literal {
    fn is_in(&self, line: &[u8]) -> bool {
        if !self.ignores_case {
            return memchr::memmem::find(line, &self.bytes).is_some();
        }
        line.windows(self.bytes.len()).any(|bytes| bytes.eq_ignore_ascii_case(&self.bytes))
    }

    /// Whether every line of an application holds it anyway.
    fn is_everywhere(&self) -> bool {
        const EVERYWHERE: [&str; 9] =
            ["seq", "id", "timestamp", "level", "module", "action", "description", "user", "success"];
        EVERYWHERE.iter().any(|name| {
            let key = format!("\"{name}\"");
            self.is_in(key.as_bytes())
        })
    }
}

/// The hull of the times that can be asked for.
fn times(node: &Node) -> (Option<Moment>, Option<Moment>) {
    match node {
        Node::Term(Term::Since(moment)) => (Some(*moment), None),
        Node::Term(Term::Until(moment)) => (None, Some(*moment)),
        Node::All(nodes) => nodes.iter().map(times).fold((None, None), |(since, until), (from, to)| {
            (since.max(from), until.into_iter().chain(to).min())
        }),
        Node::Any(nodes) => {
            let (since, until): (Vec<_>, Vec<_>) = nodes.iter().map(times).unzip();
            // No bound of one is no bound of all.
            (
                since.into_iter().min().flatten(),
                until.into_iter().collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max()),
            )
        }
        Node::Everything | Node::Not(_) | Node::Term(_) => (None, None),
    }
}

/// Values of fields of which every entry asked for has one, and how few entries they promise.
fn keys(node: &Node) -> Option<(usize, Vec<(Field, String)>)> {
    match node {
        Node::All(nodes) => nodes.iter().filter_map(keys).max_by_key(|(rank, _)| *rank),
        Node::Any(nodes) => nodes.iter().map(keys).reduce(|one, other| {
            let ((rank, mut keys), (other, more)) = (one?, other?);
            keys.extend(more);
            Some((rank.min(other), keys))
        })?,
        Node::Term(Term::Field(field, tests)) => {
            let key = |test: &Test| match test {
                Test::Equal(text) if !text.text.is_empty() => Some((*field, text.text.to_string())),
                _ => None,
            };
            Some((rank(*field), tests.iter().map(key).collect::<Option<_>>()?))
        }
        Node::Everything | Node::Not(_) | Node::Term(_) => None,
    }
}

/// Literals, and how few lines they promise to be in.
#[derive(Debug)]
struct Choice {
    literals: Vec<Literal>,
    rank: usize,
}

/// An identifier is in few lines, whatever its length.
const IDENTIFIER: usize = 40;
const WORD: usize = 20;
const NAME: usize = 10;
/// Of few values, each in many lines.
const CLASS: usize = 2;
/// The name of a field or member that not every line has.
const KEY: usize = 0;

/// Escapes are in few lines, and those are looked at anyway.
const ONLY_ESCAPED: usize = usize::MAX;

fn choose(node: &Node) -> Option<Choice> {
    match node {
        // What an entry must not say is in the lines of others.
        Node::Everything | Node::Not(_) => None,
        Node::All(nodes) => nodes.iter().filter_map(choose).max_by_key(|choice| choice.rank),
        Node::Any(nodes) => join(nodes.iter().map(choose)),
        Node::Term(term) => of_term(term),
    }
}

/// One of them must be met, so each must have something to look for.
fn join(choices: impl Iterator<Item = Option<Choice>>) -> Option<Choice> {
    let mut joined = Choice { literals: Vec::new(), rank: ONLY_ESCAPED };
    for choice in choices {
        let choice = choice?;
        joined.literals.extend(choice.literals);
        joined.rank = joined.rank.min(choice.rank);
    }
    joined.literals.sort();
    joined.literals.dedup();
    Some(joined)
}

fn of_term(term: &Term) -> Option<Choice> {
    match term {
        Term::Word(word) => folded(&word.text, WORD),
        Term::WordLike(pattern) => longest(&pattern.pieces, Case::Folded, false, WORD),
        Term::Field(field, tests) => join(tests.iter().map(|test| of_field(*field, test))),
        Term::Member(path, tests) => join(tests.iter().map(|test| of_member(&path.keys, test))),
        Term::Changed(paths) => join(paths.iter().map(key)),
        Term::Success(false) => literal("false".into(), Case::Exact, WORD),
        Term::Success(true) | Term::Since(_) | Term::Until(_) => None,
    }
}

fn rank(field: Field) -> usize {
    match field {
        Field::EntityId | Field::ReferenceNo | Field::RequestId | Field::SessionId | Field::Id => IDENTIFIER,
        Field::Level | Field::Module | Field::Action | Field::Method | Field::Currency => CLASS,
        Field::EntityType | Field::CompanyId | Field::BranchId | Field::UserRole => CLASS,
        _ => NAME,
    }
}

fn of_field(field: Field, test: &Test) -> Option<Choice> {
    let rank = rank(field);
    match test {
        Test::Equal(text) => equal(text, rank),
        Test::Like(pattern) => longest(&pattern.pieces, pattern.case, true, rank),
        Test::Contains(word) => folded(&word.text, WORD),
        Test::ContainsLike(pattern) => longest(&pattern.pieces, Case::Folded, false, WORD),
        Test::Network(network) => of_network(network),
        test if accepts_nothing(test) => None,
        _ => literal(format!("\"{}\"", field.name()), Case::Exact, KEY),
    }
}

/// An IPv4 address is written as four numbers, or in IPv6 notation, which then has `:ffff:`.
fn of_network(network: &Network) -> Option<Choice> {
    match network.beginning() {
        Some(beginning) => join(
            [
                literal(format!("\"{beginning}"), Case::Exact, NAME),
                literal(":ffff:".to_owned(), Case::Ascii, NAME),
            ]
            .into_iter(),
        ),
        None => literal(format!("\"{}\"", Field::Ip.name()), Case::Exact, KEY),
    }
}

/// A value within another may be a number or `true`, so its text stands without quotation marks where a pattern fits it.
fn of_member(keys: &Keys, test: &Test) -> Option<Choice> {
    let value = match test {
        Test::Equal(text) if !matches!(text.text.as_ref(), "true" | "false" | "null") => equal(text, WORD),
        Test::Like(pattern) => longest(&pattern.pieces, pattern.case, false, WORD),
        _ => None,
    };
    match value {
        None if accepts_nothing(test) => None,
        None => key(keys),
        value => value,
    }
}

/// Whether a field that is not there meets it.
fn accepts_nothing(test: &Test) -> bool {
    match test {
        Test::Absent => true,
        Test::Equal(literal) => literal.text.is_empty(),
        Test::Expression(expression) => expression.compiled.is_match(""),
        _ => false,
    }
}

/// The longest name on a path.
fn key(keys: &Keys) -> Option<Choice> {
    let key = keys.iter().max_by_key(|key| key.len())?;
    quoted(key, Case::Exact, KEY)
}

fn equal(text: &Text, rank: usize) -> Option<Choice> {
    if text.text.is_empty() { None } else { quoted(&text.text, text.case, rank) }
}

fn quoted(text: &str, case: Case, rank: usize) -> Option<Choice> {
    if is_always_escaped(text) { only_escaped() } else { literal(format!("\"{text}\""), case, rank) }
}

fn is_always_escaped(text: &str) -> bool {
    text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
}

#[expect(clippy::unnecessary_wraps, reason = "beside functions that may have nothing")]
fn only_escaped() -> Option<Choice> {
    Some(Choice { literals: Vec::new(), rank: ONLY_ESCAPED })
}

fn literal(text: String, case: Case, rank: usize) -> Option<Choice> {
    let ignores_case = case != Case::Exact && text.bytes().any(|byte| byte.is_ascii_alphabetic());
    let literal = Literal { bytes: text.into_bytes(), ignores_case };
    if literal.bytes.is_empty() || literal.is_everywhere() {
        return None;
    }
    let rank = rank + literal.bytes.len();
    Some(Choice { literals: vec![literal], rank })
}

fn folded(text: &str, rank: usize) -> Option<Choice> {
    let pieces: Vec<_> = text.chars().map(Piece::Char).collect();
    longest(&pieces, Case::Folded, false, rank)
}

/// The longest run of characters that stand as they are, in a text that begins and ends with quotation marks or anywhere
/// within one.
fn longest(pieces: &[Piece], case: Case, is_whole: bool, rank: usize) -> Option<Choice> {
    let mut runs = vec![String::new()];
    let mark = if is_whole { "\"" } else { "" };
    runs[0].push_str(mark);
    let mut has_escape = false;
    for piece in pieces {
        match piece {
            Piece::Char(c) => {
                has_escape |= is_always_escaped(c.encode_utf8(&mut [0; 4]));
                if case == Case::Folded && !is_alone(*c) {
                    runs.push(String::new());
                } else if let Some(run) = runs.last_mut() {
                    run.push(*c);
                }
            }
            Piece::Any | Piece::One => runs.push(String::new()),
        }
    }
    if has_escape {
        return only_escaped();
    }
    if let Some(run) = runs.last_mut() {
        run.push_str(mark);
    }
    let longest = runs.into_iter().max_by_key(String::len)?;
    // A quotation mark alone is in every line.
    if longest == "\"" { None } else { literal(longest, case, rank) }
}
