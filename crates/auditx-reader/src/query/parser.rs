//! Parses the text of a query into its syntax tree.
//!
//! ```text
//! any   = all { "OR" all }
//! all   = one { [ "AND" ] one }
//! one   = ( "-" | "NOT" ) one | "(" any ")" | phrase | word | name ":" value { "," value }
//! ```

use std::ops::Range;

use super::ast::{Node, Term};
use super::error::Problem;
use super::names::{Name, is_number};
use super::scanner::Scanner;
use super::target::Target;
use super::text::{Case, Pattern, Word};
use super::time::TimeBase;
use super::value;
use super::warning::{self, Warning};

/// A longer query is a program's mistake, and its cost would apply to every entry.
pub(super) const MAX_LEN: usize = 16 * 1024;

/// Limits the nesting of parentheses and negations.
const MAX_DEPTH: usize = 64;

/// Each may compile to [`value::MAX_EXPRESSION`] bytes.
const MAX_EXPRESSIONS: usize = 16;

pub(super) fn parse(text: &str, base: &TimeBase) -> Result<(Node, Vec<Warning>), Problem> {
    if text.len() > MAX_LEN {
        let start = (0..=MAX_LEN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        return Err(Problem::new(start..text.len(), format!("the query is longer than {MAX_LEN} bytes")));
    }
    let mut parser =
        Parser { scanner: Scanner { text, at: 0 }, base, depth: 0, expressions: 0, warnings: Vec::new() };
    parser.scanner.skip_space();
    if parser.scanner.peek().is_none() {
        return Ok((Node::Everything, Vec::new()));
    }
    let node = parser.any()?;
    match parser.scanner.peek() {
        None => Ok((node, parser.warnings)),
        Some(_) => Err(Problem::new(parser.scanner.here(), "unmatched closing parenthesis")),
    }
}

struct Parser<'q> {
    scanner: Scanner<'q>,
    base: &'q TimeBase,
    depth: usize,
    expressions: usize,
    warnings: Vec<Warning>,
}

/// The span of an operator that must be followed by a term, and the operator.
type After = Option<(Range<usize>, &'static str)>;

impl Parser<'_> {
    fn any(&mut self) -> Result<Node, Problem> {
        let mut nodes = vec![self.all(None)?];
        while self.scanner.keyword() == Some("OR") {
            let after = self.take_keyword("OR");
            nodes.push(self.all(after)?);
        }
        if nodes.len() > 1 && nodes.contains(&Node::Everything) {
            self.warnings.push(Warning::new("every entry matches: one side of OR is *"));
        }
        Ok(Node::any(nodes))
    }

    fn all(&mut self, after: After) -> Result<Node, Problem> {
        let mut nodes = vec![self.one(after)?];
        loop {
            self.scanner.skip_space();
            if matches!(self.scanner.peek(), None | Some(')')) || self.scanner.keyword() == Some("OR") {
                return Ok(Node::all(nodes));
            }
            let after = if self.scanner.keyword() == Some("AND") { self.take_keyword("AND") } else { None };
            nodes.push(self.one(after)?);
        }
    }

    fn one(&mut self, after: After) -> Result<Node, Problem> {
        self.scanner.skip_space();
        let next = self.scanner.peek();
        let keyword = self.scanner.keyword().filter(|keyword| *keyword != "NOT");
        match (next, keyword, after) {
            (None | Some(')'), _, Some((span, word))) | (_, Some(_), Some((span, word))) => {
                Err(Problem::new(span, format!("expected a term after {word}")))
            }
            (None, _, None) => Err(Problem::new(self.scanner.here(), "expected a term here")),
            (Some(')'), ..) => Err(Problem::new(self.scanner.here(), "unmatched closing parenthesis")),
            (_, Some(word), None) => {
                let span = self.scanner.at..self.scanner.at + word.len();
                Err(Problem::new(span, format!("expected a term before {word}"))
                    .help(format!("to search for the word itself, write \"{word}\"")))
            }
            (Some('('), ..) => self.parenthesized(),
            (Some('-'), ..) => self.negated("-"),
            _ if self.scanner.keyword() == Some("NOT") => self.negated("NOT"),
            (Some('"'), ..) => self.phrase(),
            _ => self.term(),
        }
    }

    fn take_keyword(&mut self, word: &'static str) -> After {
        let start = self.scanner.at;
        self.scanner.take(word);
        Some((start..self.scanner.at, word))
    }

    fn nested<T>(
        &mut self,
        span: Range<usize>,
        parse: impl FnOnce(&mut Self) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        if self.depth >= MAX_DEPTH {
            return Err(Problem::new(span, format!("nested more than {MAX_DEPTH} levels deep")));
        }
        self.depth += 1;
        let outcome = parse(self);
        self.depth -= 1;
        outcome
    }

    fn parenthesized(&mut self) -> Result<Node, Problem> {
        let open = self.scanner.here();
        self.scanner.take("(");
        self.scanner.skip_space();
        match self.scanner.peek() {
            Some(')') => {
                return Err(Problem::new(open.start..self.scanner.at + 1, "empty parentheses"));
            }
            None => return Err(unclosed(open)),
            Some(_) => {}
        }
        let node = self.nested(open.clone(), Self::any)?;
        if self.scanner.take(")") { Ok(node) } else { Err(unclosed(open)) }
    }

    fn negated(&mut self, word: &'static str) -> Result<Node, Problem> {
        let after = self.take_keyword(word);
        let span = self.scanner.at - word.len()..self.scanner.at;
        if word == "-" && self.scanner.peek().is_none_or(char::is_whitespace) {
            return Err(Problem::new(span, "expected a term directly after -")
                .help("to search for the character itself, write \"-\""));
        }
        Ok(self.nested(span, |parser| parser.one(after))?.not())
    }

    fn phrase(&mut self) -> Result<Node, Problem> {
        let phrase = self.scanner.quoted()?;
        self.scanner.end_of_term()?;
        if phrase.text.is_empty() {
            return Err(Problem::new(phrase.span, "expected text between the quotation marks"));
        }
        Ok(Node::Term(Term::Word(Word::new(&phrase.text))))
    }

    fn term(&mut self) -> Result<Node, Problem> {
        let start = self.scanner.at;
        let Some(name) = self.scanner.name()? else {
            let word = self.scanner.word();
            self.scanner.end_of_term()?;
            self.warnings.extend(warning::of_word(&word.text));
            return Ok(match Pattern::parse(&word.text, Case::Folded) {
                Some(pattern) if pattern.is_any() => Node::Everything,
                Some(pattern) => Node::Term(Term::WordLike(pattern)),
                None => Node::Term(Term::Word(Word::new(&word.text))),
            });
        };
        let target = Target::resolve(&name)?;
        let items = self.scanner.items()?;
        let node = value::node(&target, &items, self.base)?;
        if let Node::Term(Term::Field(field, _)) = &node
            && is_number(*field)
        {
            self.warnings.extend(warning::of_numbers(&target.typed, Some(*field), &items));
        } else if let Name::Member(_) = target.name {
            let typed =
                self.scanner.text[start..self.scanner.at].split_once(':').map_or("", |(name, _)| name);
            self.warnings.extend(warning::of_numbers(typed, None, &items));
        }
        let span = start..self.scanner.at;
        self.expressions += value::expressions(&node);
        if self.expressions > MAX_EXPRESSIONS {
            return Err(Problem::new(span, format!("more than {MAX_EXPRESSIONS} regular expressions")));
        }
        // Its text form has parentheses, so it counts as a level.
        if node.is_list() { self.nested(span, |_| Ok(node)) } else { Ok(node) }
    }
}

fn unclosed(open: Range<usize>) -> Problem {
    Problem::new(open, "unclosed parenthesis")
}
