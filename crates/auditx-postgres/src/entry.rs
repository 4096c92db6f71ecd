//! Converts a line to a row of `auditx.entry`.

use std::borrow::Cow;

use auditx_format::moment::Moment;
use auditx_format::row::{Field, Row};
use auditx_ship::ShippedLine;
use tokio_postgres::types::{ToSql, Type};

use crate::value::{Jsonb, Timestamptz, Uuid};

pub(crate) const COPY: &str = "COPY auditx.entry (trail_id, seq, recorded_at, company, branch, actor, \
     action, module, level, entity_type, entity_id, reference_no, leaf_hash, line, body) \
     FROM STDIN (FORMAT binary)";

const TEXTS: [Field; 9] = [
    Field::CompanyId,
    Field::BranchId,
    Field::User,
    Field::Action,
    Field::Module,
    Field::Level,
    Field::EntityType,
    Field::EntityId,
    Field::ReferenceNo,
];

pub(crate) fn types() -> Vec<Type> {
    let mut types = vec![Type::UUID, Type::INT8, Type::TIMESTAMPTZ];
    types.extend(TEXTS.map(|_| Type::TEXT));
    types.extend([Type::BYTEA, Type::TEXT, Type::JSONB]);
    types
}

/// The columns of a line.
#[derive(Debug)]
pub(crate) struct EntryRow<'l> {
    trail: Uuid,
    seq: i64,
    recorded_at: Timestamptz,
    /// The month of the timestamp; `None` if the line has no timestamp.
    month: Option<Month>,
    texts: [Option<Cow<'l, str>>; 9],
    leaf_hash: &'l [u8],
    line: &'l str,
    body: Option<Jsonb<'l>>,
}

/// A calendar month, `2026-11`.
pub(crate) type Month = String;

impl<'l> EntryRow<'l> {
    /// Creates the row of a line. A line without a timestamp, such as the stub of an erased line, gets the
    /// time 1970-01-01.
    pub(crate) fn of(trail: Uuid, shipped: &'l ShippedLine, with_body: bool) -> Self {
        let line = shipped.line.as_str();
        let row = Row::read_text(line).ok();
        let text = |field| {
            let text = row.as_ref().filter(|row| row.has(field))?.text(field);
            // PostgreSQL's type text cannot contain the character NUL.
            Some(if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { text })
        };
        let moment = text(Field::Timestamp).and_then(|text| Some((Moment::parse(&text)?, text)));
        let has_nul = memchr::memmem::find(line.as_bytes(), b"\\u0000").is_some();
        Self {
            trail,
            seq: i64::try_from(shipped.seq).unwrap_or(i64::MAX),
            recorded_at: Timestamptz::of_unix_micros(
                moment.as_ref().map_or(0, |(moment, _)| moment.micros()),
            ),
            month: moment.and_then(|(_, text)| text.get(..7).map(str::to_owned)),
            texts: TEXTS.map(text),
            leaf_hash: &shipped.leaf_hash,
            line,
            body: (with_body && row.is_some() && !has_nul).then_some(Jsonb(line)),
        }
    }

    pub(crate) fn month(&self) -> Option<&Month> {
        self.month.as_ref()
    }

    pub(crate) fn columns(&self) -> Vec<&(dyn ToSql + Sync)> {
        let mut columns: Vec<&(dyn ToSql + Sync)> = vec![&self.trail, &self.seq, &self.recorded_at];
        columns.extend(self.texts.iter().map(|text| text as &(dyn ToSql + Sync)));
        columns.extend([&self.leaf_hash as &(dyn ToSql + Sync), &self.line, &self.body]);
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row_of(line: &str, check: impl FnOnce(&EntryRow<'_>)) {
        let shipped = ShippedLine { seq: 7, leaf_hash: [0; 32], line: line.to_owned() };
        check(&EntryRow::of(Uuid([1; 16]), &shipped, true));
    }

    #[test]
    fn a_line_with_nul_has_no_body_and_a_replacement_character() {
        let line = concat!(
            r#"{"seq":7,"timestamp":"2026-11-27T04:30:52.313863Z","level":"NORMAL","#,
            r#""description":"a\u0000b","user":"x\u0000y"}"#,
        );
        row_of(line, |row| {
            assert!(row.body.is_none());
            assert_eq!(row.texts[2].as_deref(), Some("x\u{fffd}y"));
            assert_eq!((row.line, row.month().map(String::as_str)), (line, Some("2026-11")));
            assert_eq!(row.recorded_at.0, 849_069_052_313_863);
        });
    }

    #[test]
    fn a_line_without_a_timestamp_gets_1970() {
        row_of(r#"{"seq":7,"erased":"00"}"#, |row| {
            assert!(row.month().is_none() && row.texts.iter().all(Option::is_none));
            assert_eq!(row.recorded_at.0, -946_684_800_000_000);
        });
    }
}
