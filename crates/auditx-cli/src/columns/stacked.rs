//! Entries on a terminal too narrow for columns: each takes several lines.
//!
//! ```text
//! 42 15:24:54 admin POST
//!   Sales invoice posted
//!   SI-2026-0042
//! ```

use auditx_reader::{Field, Row};
use unicode_width::UnicodeWidthStr;

use super::{Columns, time};
use crate::cell::{self, pad, wrapped};
use crate::fields::FieldPath;
use crate::paint::{BOLD, DIM, RED};
use crate::terminal::sanitized;

/// The maximum number of lines of a description.
const MAX_LINES: usize = 4;

const INDENT: usize = 2;

/// The fields of the first line of an entry, in the order in which they are shown.
const FIRST_LINE: [Field; 3] = [Field::Level, Field::User, Field::Action];

/// Indexes into [`FIRST_LINE`], by priority if not all of them fit.
const BY_PRIORITY: [usize; 3] = [1, 2, 0];

/// Writes one entry: time and user, description, details. `prefix` writes the prefix of each line.
pub(super) fn entry(
    columns: &Columns,
    row: &Row<'_>,
    is_unsigned: bool,
    prefix: &dyn Fn(&mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let width = columns.width;
    prefix(out);
    first_line(columns, row, is_unsigned, out);
    out.push(b'\n');
    let text = match row.get(Field::Description) {
        _ if row.has(Field::Erased) => "(erased)".to_owned(),
        Some(value) => sanitized(&cell::seen(value, width * MAX_LINES)),
        None => String::new(),
    };
    let mark = if row.is_success() || row.has(Field::Erased) { "" } else { "✗ " };
    let available = width - INDENT;
    let lines = wrapped(&text, available - mark.width(), MAX_LINES);
    for (index, line) in lines.iter().enumerate() {
        prefix(out);
        pad(INDENT, out);
        if index == 0 && !mark.is_empty() {
            columns.paint(RED, out, |out| out.extend_from_slice(mark.as_bytes()));
        } else {
            pad(mark.width(), out);
        }
        cell::plain(line, available - mark.width(), out);
        out.push(b'\n');
    }
    let before = out.len();
    prefix(out);
    pad(INDENT, out);
    if columns.details(row, false, available, 0, out) == 0 {
        out.truncate(before);
    } else {
        out.push(b'\n');
    }
}

fn first_line(columns: &Columns, row: &Row<'_>, is_unsigned: bool, out: &mut Vec<u8>) {
    let width = columns.width;
    let mut used = columns.seq(row, is_unsigned, 0, out);
    let gap = usize::from(used > 0);
    pad(gap, out);
    used += gap + columns.paint(DIM, out, |out| time::time(row, &columns.zone, false, time::CLOCK, out));
    let mut shown: [Option<Vec<u8>>; FIRST_LINE.len()] = Default::default();
    for index in BY_PRIORITY {
        let Some(value) = row.get(FIRST_LINE[index]) else { continue };
        let available = width.saturating_sub(used + 1);
        let mut text = Vec::new();
        let columns = cell::value(value, available, &mut text);
        // The user may be cut; the other fields are left out if they do not fit.
        let is_complete = !text.ends_with("…".as_bytes());
        if columns > 0 && (is_complete || FIRST_LINE[index] == Field::User && available >= 4) {
            used += 1 + columns;
            shown[index] = Some(text);
        }
    }
    for (field, text) in FIRST_LINE.into_iter().zip(shown) {
        let Some(text) = text else { continue };
        out.push(b' ');
        match (field, row.get(field)) {
            (Field::Level, Some(_)) => _ = columns.level(row, text.len(), out),
            _ => out.extend_from_slice(&text),
        }
    }
}

/// Writes each field in a line of its own, and an empty line after them.
pub(super) fn fields(columns: &Columns, paths: &[FieldPath], row: &Row<'_>, out: &mut Vec<u8>) {
    let width = columns.width;
    for path in paths {
        let Some(value) = path.of(row) else { continue };
        let name = path.name();
        columns.paint(BOLD, out, |out| cell::plain(name, width - 1, out));
        out.push(b':');
        let used = name.width() + 2;
        let (indent, available) = if width >= used + 8 {
            out.push(b' ');
            (0, width - used)
        } else {
            out.push(b'\n');
            (INDENT, width - INDENT)
        };
        pad(indent, out);
        match path.field() {
            Some(Field::Timestamp) if !columns.zone.is_utc() => {
                time::exact(row, &columns.zone, available, out)
            }
            _ => cell::value(value, available, out),
        };
        out.push(b'\n');
    }
    out.push(b'\n');
}
