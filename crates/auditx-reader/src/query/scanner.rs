//! The text of a question, taken piece by piece: words, texts between quotation marks, names, values.
//!
//! Every place it tells of lies on a boundary of characters.

use std::borrow::Cow;
use std::ops::Range;

use super::error::Problem;

const HOW_TO_QUOTE: &str =
    "text with blanks, brackets or quotation marks goes between quotation marks: \"a (b)\"";

#[derive(Debug)]
pub(super) struct Scanner<'q> {
    pub(super) text: &'q str,
    pub(super) at: usize,
}

/// A piece of the text, without its quotation marks and escapes.
#[derive(Debug)]
pub(super) struct Piece<'q> {
    pub(super) text: Cow<'q, str>,
    pub(super) is_quoted: bool,
    pub(super) span: Range<usize>,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Is,
    Expression,
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// One of the values after a colon.
#[derive(Debug)]
pub(super) struct Item<'q> {
    pub(super) operator: Operator,
    pub(super) value: Piece<'q>,
}

impl Operator {
    const ALL: [Self; 5] = [Self::AtLeast, Self::AtMost, Self::Above, Self::Below, Self::Expression];

    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Is => "",
            Self::Expression => "~",
            Self::Above => ">",
            Self::AtLeast => ">=",
            Self::Below => "<",
            Self::AtMost => "<=",
        }
    }
}

impl<'q> Scanner<'q> {
    pub(super) fn rest(&self) -> &'q str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn take(&mut self, text: &str) -> bool {
        let is_next = self.rest().starts_with(text);
        self.at += if is_next { text.len() } else { 0 };
        is_next
    }

    pub(super) fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Where the next character lies; nothing at the end.
    pub(super) fn here(&self) -> Range<usize> {
        self.at..self.at + self.peek().map_or(0, char::len_utf8)
    }

    /// A word of the language, in capitals, that stands alone.
    pub(super) fn keyword(&self) -> Option<&'static str> {
        let word = until(self.rest(), |c| c.is_whitespace() || matches!(c, '(' | ')' | '"'));
        ["OR", "AND", "NOT"].into_iter().find(|keyword| *keyword == word)
    }

    /// A term must not touch what follows it.
    pub(super) fn end_of_term(&self) -> Result<(), Problem> {
        match self.peek() {
            Some(c) if !c.is_whitespace() && c != ')' => {
                Err(Problem::new(self.here(), "a blank is due before this").help(HOW_TO_QUOTE))
            }
            _ => Ok(()),
        }
    }

    /// Text between quotation marks, the next character being one. `\"` and `\\` stand for the second character, any other
    /// backslash for itself.
    pub(super) fn quoted(&mut self) -> Result<Piece<'q>, Problem> {
        let start = self.at;
        let begin = start + 1;
        let mut text = Cow::Borrowed("");
        let mut copied = begin;
        let mut at = begin;
        while let Some(stop) = self.text[at..].find(['"', '\\']) {
            at += stop;
            if self.text[at..].starts_with('"') {
                self.at = at + 1;
                let last = &self.text[copied..at];
                let text = if copied == begin { Cow::Borrowed(last) } else { text + last };
                return Ok(Piece { text, is_quoted: true, span: start..self.at });
            }
            let is_escape = self.text[at + 1..].starts_with(['"', '\\']);
            if is_escape {
                text += &self.text[copied..at];
                copied = at + 1;
            }
            at += if is_escape { 2 } else { 1 };
        }
        Err(Problem::new(start..begin, "a quotation mark without the one that ends it"))
    }

    /// A word as it stands, up to a blank, a bracket or a quotation mark.
    pub(super) fn word(&mut self) -> Piece<'q> {
        self.run(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"'))
    }

    /// The parts of a name and its colon; none where no name is next.
    pub(super) fn name(&mut self) -> Result<Option<Vec<Piece<'q>>>, Problem> {
        let start = self.at;
        let mut parts = Vec::new();
        loop {
            let is_quoted = self.peek() == Some('"') && !parts.is_empty();
            parts.push(if is_quoted {
                self.quoted()?
            } else {
                self.run(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '.' | ':'))
            });
            if self.take(":") {
                return Ok(Some(parts));
            }
            if !self.take(".") {
                break;
            }
        }
        if parts.iter().any(|part| part.is_quoted) {
            return Err(Problem::new(self.here(), "a colon is due after a name"));
        }
        self.at = start;
        Ok(None)
    }

    /// What follows the colon: values, with commas between them.
    pub(super) fn items(&mut self) -> Result<Vec<Item<'q>>, Problem> {
        let mut items = Vec::new();
        let mut after = "the colon";
        loop {
            items.push(self.item(after)?);
            if !self.take(",") {
                break;
            }
            after = "the comma";
        }
        self.end_of_term()?;
        Ok(items)
    }

    fn item(&mut self, after: &'static str) -> Result<Item<'q>, Problem> {
        let found = Operator::ALL.into_iter().find(|operator| self.take(operator.sign()));
        let operator = found.unwrap_or(Operator::Is);
        let after = found.map_or(after, Operator::sign);
        let value = if self.peek() == Some('"') {
            self.quoted()?
        } else if operator == Operator::Expression {
            self.expression()
        } else {
            self.run(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"' | ','))
        };
        if value.text.is_empty() && !value.is_quoted {
            let problem = Problem::new(value.span, format!("a value is due after {after}"));
            let has_operator = found.is_some();
            return Err(if has_operator {
                problem
            } else {
                problem.help("the empty text is \"\", any text is *")
            });
        }
        Ok(Item { operator, value })
    }

    /// A regular expression without quotation marks: up to a blank, or a bracket that closes none of its own.
    fn expression(&mut self) -> Piece<'q> {
        let (mut open, mut is_class, mut is_escaped) = (0_usize, false, false);
        self.run(|c| {
            if std::mem::take(&mut is_escaped) {
                return c.is_whitespace();
            }
            match c {
                '\\' => is_escaped = true,
                '[' => is_class = true,
                ']' => is_class = false,
                '(' if !is_class => open += 1,
                ')' if !is_class && open == 0 => return true,
                ')' if !is_class => open -= 1,
                _ => {}
            }
            c.is_whitespace()
        })
    }

    fn run(&mut self, is_end: impl FnMut(char) -> bool) -> Piece<'q> {
        let text = until(self.rest(), is_end);
        let start = self.at;
        self.at += text.len();
        Piece { text: Cow::Borrowed(text), is_quoted: false, span: start..self.at }
    }
}

fn until(text: &str, is_end: impl FnMut(char) -> bool) -> &str {
    text.find(is_end).map_or(text, |end| &text[..end])
}
