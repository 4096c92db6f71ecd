//! What is known about matching entries before their lines are read: their time range, and bytes that their
//! lines contain.
//!
//! Text appears in a line in one of two ways: verbatim, so that its bytes are in the line, or with an escape,
//! so that a backslash is. There is no third way: in JSON (RFC 8259, section 7) every escape begins with a
//! backslash, and a character has no other representation, no matter which program wrote it. So a line
//! without a backslash that lacks the bytes of a text does not contain the text. Text with a quotation mark,
//! a backslash or a control character cannot appear verbatim, and a line that is not JSON is not an entry:
//! for such text the backslash is all there is to search for.
//!
//! Numbers have many spellings of the same quantity, so their digits are never searched for.

use auditx_format::moment::Moment;
use auditx_format::row::Field;

use super::ast::{Keys, Node, Term, Test};
use super::network::Network;
use super::text::{Case, Literal as Text, Piece, folds_uniquely};

/// Necessary conditions of the entries that match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// No match is earlier.
    pub(crate) since: Option<Moment>,
    /// No match is at this moment or later.
    pub(crate) until: Option<Moment>,
    pub(crate) needle: Needle,
    /// Every match has one of these values; used to look up the index of a segment.
    pub(crate) keys: Option<Vec<(Field, String)>>,
}

/// Which lines may match, judged by their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Needle {
    /// Any line.
    Any,
    /// Lines that contain one of these, or a backslash. If empty, only lines with a backslash.
    OneOf(Vec<Literal>),
}

/// Bytes to search for in a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Literal {
    pub(crate) bytes: Vec<u8>,
    /// Whether ASCII letters match in either case.
    pub(crate) ignores_case: bool,
}

impl Plan {
    pub(super) fn of(node: &Node) -> Self {
        let (since, until) = times(node);
        let needle = choose(node).map_or(Needle::Any, |choice| Needle::OneOf(choice.literals));
        Self { since, until, needle, keys: keys(node).map(|(_, keys)| keys) }
    }

    /// Whether a line may match, judged by its bytes alone.
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

    /// Whether nearly every line contains it, so that searching for it excludes nothing.
    fn is_in_most_lines(&self) -> bool {
        const NAMES: [&str; 9] =
            ["seq", "id", "timestamp", "level", "module", "action", "description", "user", "success"];
        NAMES.iter().any(|name| {
            let key = format!("\"{name}\"");
            self.is_in(key.as_bytes())
        })
    }
}

/// The smallest time range that contains all matches.
fn times(node: &Node) -> (Option<Moment>, Option<Moment>) {
    match node {
        Node::Term(Term::Since(moment)) => (Some(*moment), None),
        Node::Term(Term::Until(moment)) => (None, Some(*moment)),
        Node::All(nodes) => nodes.iter().map(times).fold((None, None), |(since, until), (from, to)| {
            (since.max(from), until.into_iter().chain(to).min())
        }),
        Node::Any(nodes) => {
            let (since, until): (Vec<_>, Vec<_>) = nodes.iter().map(times).unzip();
            // If one alternative is unbounded, so is the whole.
            (
                since.into_iter().min().flatten(),
                until.into_iter().collect::<Option<Vec<_>>>().and_then(|ends| ends.into_iter().max()),
            )
        }
        Node::Everything | Node::Not(_) | Node::Term(_) => (None, None),
    }
}

/// Values of fields of which every match has one, and how selective they are.
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

/// Literals to search for, and how selective they are: the higher the rank, the fewer lines contain them.
#[derive(Debug)]
struct Choice {
    literals: Vec<Literal>,
    rank: usize,
}

/// An identifier is in few lines, regardless of its length.
const IDENTIFIER: usize = 40;
const WORD: usize = 20;
const NAME: usize = 10;
/// A field with few distinct values, each in many lines.
const CATEGORY: usize = 2;
/// The name of a field or member that not every line has.
const KEY: usize = 0;

/// Few lines have escapes, and lines with escapes are always examined.
const ESCAPES_ONLY: usize = usize::MAX;

fn choose(node: &Node) -> Option<Choice> {
    match node {
        // What a matching entry must not contain is no help in finding it.
        Node::Everything | Node::Not(_) => None,
        Node::All(nodes) => nodes.iter().filter_map(choose).max_by_key(|choice| choice.rank),
        Node::Any(nodes) => join(nodes.iter().map(choose)),
        Node::Term(term) => of_term(term),
    }
}

/// Joins alternatives. Each needs something to search for, since any of them may be the one that matches.
fn join(choices: impl Iterator<Item = Option<Choice>>) -> Option<Choice> {
    let mut joined = Choice { literals: Vec::new(), rank: ESCAPES_ONLY };
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
        Field::Level | Field::Module | Field::Action | Field::Method | Field::Currency => CATEGORY,
        Field::EntityType | Field::CompanyId | Field::BranchId | Field::UserRole => CATEGORY,
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
        test if accepts_missing(test) => None,
        _ => literal(format!("\"{}\"", field.name()), Case::Exact, KEY),
    }
}

/// An IPv4 address appears in dotted notation, or in IPv6 notation, which then contains `:ffff:`.
fn of_network(network: &Network) -> Option<Choice> {
    match network.text_prefix() {
        Some(prefix) => join(
            [
                literal(format!("\"{prefix}"), Case::Exact, NAME),
                literal(":ffff:".to_owned(), Case::Ascii, NAME),
            ]
            .into_iter(),
        ),
        None => literal(format!("\"{}\"", Field::Ip.name()), Case::Exact, KEY),
    }
}

/// A nested value may be a number or `true`, so text that a pattern matches may appear without quotation
/// marks.
fn of_member(keys: &Keys, test: &Test) -> Option<Choice> {
    let value = match test {
        Test::Equal(text) if !matches!(text.text.as_ref(), "true" | "false" | "null") => equal(text, WORD),
        Test::Like(pattern) => longest(&pattern.pieces, pattern.case, false, WORD),
        _ => None,
    };
    match value {
        None if accepts_missing(test) => None,
        None => key(keys),
        value => value,
    }
}

/// Whether a missing field passes the test.
fn accepts_missing(test: &Test) -> bool {
    match test {
        Test::Absent => true,
        Test::Equal(literal) => literal.text.is_empty(),
        Test::Expression(expression) => expression.compiled.is_match(""),
        _ => false,
    }
}

/// The longest name of a path.
fn key(keys: &Keys) -> Option<Choice> {
    let key = keys.iter().max_by_key(|key| key.len())?;
    quoted(key, Case::Exact, KEY)
}

fn equal(text: &Text, rank: usize) -> Option<Choice> {
    if text.text.is_empty() { None } else { quoted(&text.text, text.case, rank) }
}

fn quoted(text: &str, case: Case, rank: usize) -> Option<Choice> {
    if is_always_escaped(text) { escapes_only() } else { literal(format!("\"{text}\""), case, rank) }
}

fn is_always_escaped(text: &str) -> bool {
    text.bytes().any(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
}

#[expect(clippy::unnecessary_wraps, reason = "has the signature of the functions that may return None")]
fn escapes_only() -> Option<Choice> {
    Some(Choice { literals: Vec::new(), rank: ESCAPES_ONLY })
}

fn literal(text: String, case: Case, rank: usize) -> Option<Choice> {
    let ignores_case = case != Case::Exact && text.bytes().any(|byte| byte.is_ascii_alphabetic());
    let literal = Literal { bytes: text.into_bytes(), ignores_case };
    if literal.bytes.is_empty() || literal.is_in_most_lines() {
        return None;
    }
    let rank = rank + literal.bytes.len();
    Some(Choice { literals: vec![literal], rank })
}

fn folded(text: &str, rank: usize) -> Option<Choice> {
    let pieces: Vec<_> = text.chars().map(Piece::Char).collect();
    longest(&pieces, Case::Folded, false, rank)
}

/// The longest run of literal characters. `is_whole`: the pattern covers the whole text, so its ends are next
/// to quotation marks.
fn longest(pieces: &[Piece], case: Case, is_whole: bool, rank: usize) -> Option<Choice> {
    let mut runs = vec![String::new()];
    let mark = if is_whole { "\"" } else { "" };
    runs[0].push_str(mark);
    let mut has_escape = false;
    for piece in pieces {
        match piece {
            Piece::Char(c) => {
                has_escape |= is_always_escaped(c.encode_utf8(&mut [0; 4]));
                if case == Case::Folded && !folds_uniquely(*c) {
                    runs.push(String::new());
                } else if let Some(run) = runs.last_mut() {
                    run.push(*c);
                }
            }
            Piece::Any | Piece::One => runs.push(String::new()),
        }
    }
    if has_escape {
        return escapes_only();
    }
    if let Some(run) = runs.last_mut() {
        run.push_str(mark);
    }
    let longest = runs.into_iter().max_by_key(String::len)?;
    // Every line contains a quotation mark.
    if longest == "\"" { None } else { literal(longest, case, rank) }
}
