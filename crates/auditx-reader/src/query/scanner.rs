//! Splits the text of a query into words, quoted text, names and values.
//!
//! All positions and spans lie on character boundaries.

use std::borrow::Cow;
use std::ops::Range;

use super::error::Problem;

const QUOTING_HELP: &str =
    "put text with spaces, parentheses or quotation marks in quotation marks: \"a (b)\"";

#[derive(Debug)]
pub(super) struct Scanner<'q> {
    pub(super) text: &'q str,
    pub(super) at: usize,
}

/// A piece of the text, with quotation marks and escapes removed.
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

    /// The span of the next character, empty at the end of the text.
    pub(super) fn here(&self) -> Range<usize> {
        self.at..self.at + self.peek().map_or(0, char::len_utf8)
    }

    /// The keyword `OR`, `AND` or `NOT`, in capitals, if it is the next whole word.
    pub(super) fn keyword(&self) -> Option<&'static str> {
        let word = until(self.rest(), |c| c.is_whitespace() || matches!(c, '(' | ')' | '"'));
        ["OR", "AND", "NOT"].into_iter().find(|keyword| *keyword == word)
    }

    /// Fails if a term is not followed by whitespace, a closing parenthesis or the end.
    pub(super) fn end_of_term(&self) -> Result<(), Problem> {
        match self.peek() {
            Some(c) if !c.is_whitespace() && c != ')' => {
                Err(Problem::new(self.here(), "expected a space before this").help(QUOTING_HELP))
            }
            _ => Ok(()),
        }
    }

    /// Reads quoted text; the next character must be a quotation mark. `\"` and `\\` are escapes; any other
    /// backslash is a literal backslash.
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
        Err(Problem::new(start..begin, "unclosed quotation mark"))
    }

    /// Reads a word up to whitespace, a parenthesis or a quotation mark.
    pub(super) fn word(&mut self) -> Piece<'q> {
        self.run(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"'))
    }

    /// Reads the parts of a name and its colon. Returns `None` if no name follows.
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
            return Err(Problem::new(self.here(), "expected a colon after the name"));
        }
        self.at = start;
        Ok(None)
    }

    /// Reads the values after a colon, separated by commas.
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
            let problem = Problem::new(value.span, format!("expected a value after {after}"));
            let has_operator = found.is_some();
            return Err(if has_operator {
                problem
            } else {
                problem.help("use \"\" for empty text, * for any text")
            });
        }
        Ok(Item { operator, value })
    }

    /// Reads an unquoted regular expression, up to whitespace or a parenthesis that it did not open.
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
