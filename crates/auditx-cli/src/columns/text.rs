//! Cells of two fields, and of numbers that are aligned right.

use auditx_reader::{Field, Json, Row};

use crate::cell::{self, pad};

/// Writes two fields with a separator; if the first does not fit completely, the second is left out.
pub(crate) fn joined(
    row: &Row<'_>,
    first: Field,
    between: u8,
    second: Field,
    width: usize,
    out: &mut Vec<u8>,
) -> usize {
    let Some(value) = row.get(first) else {
        return row.get(second).map_or(0, |value| cell::value(value, width, out));
    };
    let before = out.len();
    let used = cell::value(value, width, out);
    let Some(value) = row.get(second) else { return used };
    if used + 1 < width {
        out.push(between);
        return used + 1 + cell::value(value, width - used - 1, out);
    }
    // The first field alone would look complete.
    out.truncate(before);
    let used = if width > 1 { cell::value(row.get(first).unwrap_or(value), width - 1, out) } else { 0 };
    if !out.ends_with("…".as_bytes()) {
        out.extend_from_slice("…".as_bytes());
        return used + 1;
    }
    used
}

/// Writes the amount with its currency, aligned right.
pub(super) fn amount(row: &Row<'_>, width: usize, out: &mut Vec<u8>) -> usize {
    let before = out.len();
    let used = joined(row, Field::Amount, b' ', Field::Currency, width, out);
    if !row.has(Field::Amount) {
        // A currency without an amount.
        out.truncate(before);
        return 0;
    }
    shift(before, width - used, out);
    width
}

/// Writes a number, aligned right.
pub(super) fn right(value: Json<'_>, width: usize, out: &mut Vec<u8>) -> usize {
    let before = out.len();
    let used = cell::value(value, width, out);
    shift(before, width - used, out);
    width
}

/// Moves the bytes from `before` on by `columns` spaces.
fn shift(before: usize, columns: usize, out: &mut Vec<u8>) {
    let end = out.len();
    pad(columns, out);
    out.copy_within(before..end, before + columns);
    out[before..before + columns].fill(b' ');
}
