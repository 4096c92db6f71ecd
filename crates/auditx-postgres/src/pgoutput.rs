//! Parses the messages of the output plugin `pgoutput`, protocol version 1.
//!
//! The bytes come from a server, but a wrong length must neither panic nor allocate: each list is read from
//! the bytes that are there.

use crate::lsn::Lsn;

/// A message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// A transaction begins that has committed.
    Begin {
        commit: Lsn,
        micros: i64,
    },
    /// It ends. Its commit is before `end`.
    Commit {
        end: Lsn,
    },
    /// A table, before its first change and after it was altered.
    Relation(Relation),
    Insert {
        relation: u32,
        new: Tuple<'a>,
    },
    Update {
        relation: u32,
        old: Option<Old<'a>>,
        new: Tuple<'a>,
    },
    Delete {
        relation: u32,
        old: Old<'a>,
    },
    Truncate {
        relations: Vec<u32>,
    },
    /// A message that a transaction emitted with `pg_logical_emit_message`.
    Emitted {
        prefix: &'a str,
        content: &'a [u8],
    },
    /// One that says nothing about changes: a type, an origin, a message without transaction.
    Other,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) type_oid: u32,
    /// Whether it is part of the table's replica identity.
    pub(crate) is_key: bool,
}

/// A row: the values of its columns.
pub(crate) type Tuple<'a> = Vec<Cell<'a>>;

/// A row before its change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Old<'a> {
    /// `true` if only the columns of the replica identity are known; the others are null here.
    pub(crate) is_key_only: bool,
    pub(crate) cells: Tuple<'a>,
}

/// A value of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cell<'a> {
    Null,
    /// It is long and was not changed, so the log does not have it.
    Unchanged,
    /// Its text.
    Text(&'a str),
}

/// Why bytes are not a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invalid(pub(crate) &'static str);

type Result<T> = std::result::Result<T, Invalid>;

/// Parses a message.
pub(crate) fn parse(bytes: &[u8]) -> Result<Message<'_>> {
    let mut input = Input(bytes);
    let message = match input.u8()? {
        b'B' => {
            let (commit, micros) = (Lsn(input.u64()?), input.u64()?.cast_signed());
            input.u32()?;
            Message::Begin { commit, micros }
        }
        b'C' => {
            input.u8()?;
            input.u64()?;
            let end = Lsn(input.u64()?);
            input.u64()?;
            Message::Commit { end }
        }
        b'R' => Message::Relation(input.relation()?),
        b'I' => {
            let relation = input.u32()?;
            input.kind(b"N")?;
            Message::Insert { relation, new: input.tuple()? }
        }
        b'U' => {
            let relation = input.u32()?;
            let old = match input.kind(b"KON")? {
                b'N' => None,
                kind => {
                    let cells = input.tuple()?;
                    input.kind(b"N")?;
                    Some(Old { is_key_only: kind == b'K', cells })
                }
            };
            Message::Update { relation, old, new: input.tuple()? }
        }
        b'D' => {
            let relation = input.u32()?;
            let is_key_only = input.kind(b"KO")? == b'K';
            Message::Delete { relation, old: Old { is_key_only, cells: input.tuple()? } }
        }
        b'T' => {
            let count = input.u32()?;
            input.u8()?;
            let relations = (0..count).map(|_| input.u32()).collect::<Result<_>>()?;
            Message::Truncate { relations }
        }
        b'M' => {
            let is_transactional = input.u8()? & 1 == 1;
            input.u64()?;
            let prefix = input.text()?;
            let len = input.u32()?;
            let content = input.bytes(len)?;
            if is_transactional { Message::Emitted { prefix, content } } else { Message::Other }
        }
        b'O' | b'Y' => return Ok(Message::Other),
        _ => return Err(Invalid("an unknown message")),
    };
    if input.0.is_empty() { Ok(message) } else { Err(Invalid("bytes after a message")) }
}

/// The bytes that are left.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Invalid("a message that ends early"))?;
        self.0 = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64> {
        self.take().map(u64::from_be_bytes)
    }

    fn bytes(&mut self, len: u32) -> Result<&'a [u8]> {
        let len = usize::try_from(len).map_err(|_| Invalid("a length that is too large"))?;
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Invalid("a value that ends early"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// Reads text up to a zero byte.
    fn text(&mut self) -> Result<&'a str> {
        let end = memchr::memchr(0, self.0).ok_or(Invalid("a name without an end"))?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        std::str::from_utf8(text).map_err(|_| Invalid("a name that is not UTF-8"))
    }

    /// Reads one of these bytes.
    fn kind(&mut self, expected: &[u8]) -> Result<u8> {
        let kind = self.u8()?;
        if expected.contains(&kind) { Ok(kind) } else { Err(Invalid("an unknown kind of row")) }
    }

    fn relation(&mut self) -> Result<Relation> {
        let oid = self.u32()?;
        let (schema, name) = (self.text()?.to_owned(), self.text()?.to_owned());
        self.u8()?;
        let count = self.u16()?;
        let mut columns = Vec::new();
        for _ in 0..count {
            let is_key = self.u8()? & 1 == 1;
            let name = self.text()?.to_owned();
            columns.push(Column { name, type_oid: self.u32()?, is_key });
            self.u32()?;
        }
        Ok(Relation { oid, schema, name, columns })
    }

    fn tuple(&mut self) -> Result<Tuple<'a>> {
        let count = self.u16()?;
        let mut cells = Vec::new();
        for _ in 0..count {
            cells.push(match self.u8()? {
                b'n' => Cell::Null,
                b'u' => Cell::Unchanged,
                b't' => {
                    let len = self.u32()?;
                    let text = std::str::from_utf8(self.bytes(len)?);
                    Cell::Text(text.map_err(|_| Invalid("a value that is not UTF-8"))?)
                }
                _ => return Err(Invalid("an unknown kind of value")),
            });
        }
        Ok(cells)
    }
}

#[cfg(test)]
mod tests;
