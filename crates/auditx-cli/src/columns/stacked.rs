//! Entries in a terminal that is too narrow for columns: each over several lines.
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
use crate::terminal::harmless;

/// A description goes on over so many lines.
const MOST_LINES: usize = 4;

const INDENT: usize = 2;

/// What is said of an entry in its first line, in the order in which it is shown.
const FIRST_LINE: [Field; 3] = [Field::Level, Field::User, Field::Action];

/// Which of those have room first.
const BY_IMPORTANCE: [usize; 3] = [1, 2, 0];

/// One entry: when and who, what, and what tells it from others like it. `begin` writes what each line begins
/// with.
pub(super) fn entry(
    columns: &Columns,
    row: &Row<'_>,
    is_unsigned: bool,
    begin: &dyn Fn(&mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    let width = columns.width;
    begin(out);
    first_line(columns, row, is_unsigned, out);
    out.push(b'\n');
    let text = match row.get(Field::Description) {
        _ if row.has(Field::Erased) => "(erased)".to_owned(),
        Some(value) => harmless(&cell::seen(value, width * MOST_LINES)),
        None => String::new(),
    };
    let mark = if row.is_success() || row.has(Field::Erased) { "" } else { "✗ " };
    let room = width - INDENT;
    let lines = wrapped(&text, room - mark.width(), MOST_LINES);
    for (place, line) in lines.iter().enumerate() {
        begin(out);
        pad(INDENT, out);
        if place == 0 && !mark.is_empty() {
            columns.paint(RED, out, |out| out.extend_from_slice(mark.as_bytes()));
        } else {
            pad(mark.width(), out);
        }
        cell::plain(line, room - mark.width(), out);
        out.push(b'\n');
    }
    let before = out.len();
    begin(out);
    pad(INDENT, out);
    if columns.details(row, false, room, 0, out) == 0 {
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
    for place in BY_IMPORTANCE {
        let Some(value) = row.get(FIRST_LINE[place]) else { continue };
        let room = width.saturating_sub(used + 1);
        let mut text = Vec::new();
        let columns = cell::value(value, room, &mut text);
        // Who it was may be cut; half of another word says nothing.
        let is_whole = !text.ends_with("…".as_bytes());
        if columns > 0 && (is_whole || FIRST_LINE[place] == Field::User && room >= 4) {
            used += 1 + columns;
            shown[place] = Some(text);
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

/// The fields that were asked for, each in its line, and an empty line behind them.
pub(super) fn fields(columns: &Columns, paths: &[FieldPath], row: &Row<'_>, out: &mut Vec<u8>) {
    let width = columns.width;
    for path in paths {
        let Some(value) = path.of(row) else { continue };
        let name = path.name();
        columns.paint(BOLD, out, |out| cell::plain(name, width - 1, out));
        out.push(b':');
        let used = name.width() + 2;
        let (indent, room) = if width >= used + 8 {
            out.push(b' ');
            (0, width - used)
        } else {
            out.push(b'\n');
            (INDENT, width - INDENT)
        };
        pad(indent, out);
        match path.whole() {
            Some(Field::Timestamp) if !columns.zone.is_utc() => time::exact(row, &columns.zone, room, out),
            _ => cell::value(value, room, out),
        };
        out.push(b'\n');
    }
    out.push(b'\n');
}
