//! Where an answer begins and ends, with a text form that is part of addresses.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use auditx_reader::{Cursor, Order};

use crate::problem::Problem;
use crate::selection::percent_encode;

/// For each trail, by its name, the line after which an answer continues. A trail without one is read from
/// its beginning, or its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Position(BTreeMap<String, Cursor>);

impl Position {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn of(&self, trail: &str) -> Option<&Cursor> {
        self.0.get(trail)
    }

    /// Turns the position round: read from it, an answer in the other order has the entries that an answer in
    /// `order` from `self` does not have.
    pub(crate) fn reversed(&self, order: Order) -> Self {
        let reversed = |(trail, cursor): (&String, &Cursor)| Some((trail.clone(), reversed(cursor, order)?));
        Self(self.0.iter().filter_map(reversed).collect())
    }

    pub(crate) fn set(&mut self, trail: &str, cursor: Cursor) {
        self.0.insert(trail.to_owned(), cursor);
    }
}

/// Turns a cursor round: after it, a search in the other order finds the lines that a search in `order` after
/// `cursor` does not find. `None` if those are all lines. A line without a number is not found after its own
/// cursor in either order.
pub(crate) fn reversed(cursor: &Cursor, order: Order) -> Option<Cursor> {
    match (cursor, order) {
        (Cursor::Seq(seq), Order::NewestFirst) => seq.checked_sub(1).map(Cursor::Seq),
        (Cursor::Seq(seq), Order::OldestFirst) => Some(Cursor::Seq(seq.saturating_add(1))),
        (other, _) => Some(other.clone()),
    }
}

/// The cursor of a single trail as it is, or NAME@CURSOR of each trail, separated by commas.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (trail, cursor)) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str(",")?;
            }
            if !trail.is_empty() {
                let mut name = String::new();
                percent_encode(trail, &mut name);
                write!(f, "{name}@")?;
            }
            cursor.fmt(f)?;
        }
        Ok(())
    }
}

impl FromStr for Position {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let mut position = Self::default();
        for part in text.split(',').filter(|part| !part.is_empty()) {
            let (name, cursor) = part.split_once('@').unwrap_or(("", part));
            let is_plain = !cursor.contains(char::is_control);
            let Some(name) = percent_decode(name).filter(|_| is_plain) else {
                return Err(Problem::bad_request(format!("invalid cursor {text:?}")));
            };
            position.set(&name, cursor.parse()?);
        }
        Ok(position)
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first == b'%' {
            let (code, more) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(str::from_utf8(code).ok()?, 16).ok()?);
            rest = more;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_position_parses_to_an_equal_position() {
        let mut family = Position::default();
        family.set("mdy/worker-1", Cursor::Seq(7));
        family.set("a,b@c %", Cursor::Byte { file: "audit.jsonl".to_owned(), offset: 3 });
        let mut single = Position::default();
        single.set("", Cursor::Seq(42));
        assert_eq!(single.to_string(), "seq:42");
        for position in [single, family, Position::default()] {
            assert_eq!(position.to_string().parse::<Position>().unwrap(), position);
        }
        for invalid in ["seq:", "a@b", "%G0@seq:1", "%e@seq:1", "42"] {
            assert!(invalid.parse::<Position>().is_err(), "{invalid}");
        }
    }
}
