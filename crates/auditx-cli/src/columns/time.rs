//! Date and time of a row, and the headings of days.

use auditx_reader::{Field, Json, Moment, Row, Zone};
use unicode_width::UnicodeWidthStr;

use crate::cell;
use crate::paint::{BOLD, paint};

pub(super) const DATE: usize = "2026-11-24".len();
pub(super) const CLOCK: usize = "15:24:54".len();

/// Returns the heading of a time column: the zone, `Asia/Yangon`, or only the city if it does not fit.
pub(super) fn heading(zone: &Zone, width: usize) -> String {
    let name = zone.to_string();
    match name.rsplit_once('/') {
        Some((_, city)) if name.width() > width => city.to_owned(),
        _ => name,
    }
}

/// Writes date and time of day in the zone.
pub(crate) fn when(row: &Row<'_>, zone: &Zone, width: usize, out: &mut Vec<u8>) -> usize {
    time(row, zone, true, width, out)
}

/// Writes the time in the zone with microseconds: `2026-11-24 21:54:54.123456`.
pub(super) fn exact(row: &Row<'_>, zone: &Zone, width: usize, out: &mut Vec<u8>) -> usize {
    let Some(Json::Text(raw)) = row.get(Field::Timestamp) else { return 0 };
    match Moment::parse(raw) {
        Some(moment) => {
            let text = zone.wall(moment).to_string().replace('T', " ");
            cell::plain(text.trim_end_matches('Z'), width, out)
        }
        None => cell::escaped(raw, width, out),
    }
}

/// Writes the time of day in the zone, with the date if `has_date`.
pub(super) fn time(row: &Row<'_>, zone: &Zone, has_date: bool, width: usize, out: &mut Vec<u8>) -> usize {
    let mut write = |text: &str| {
        if has_date {
            out.extend_from_slice(&text.as_bytes()[..DATE]);
            out.push(b' ');
        }
        out.extend_from_slice(&text.as_bytes()[DATE + 1..DATE + 1 + CLOCK]);
        if has_date { DATE + 1 + CLOCK } else { CLOCK }
    };
    match row.get(Field::Timestamp) {
        Some(Json::Text(raw)) if zone.is_utc() && is_canonical(raw) => write(raw),
        Some(Json::Text(raw)) => match Moment::parse(raw) {
            Some(moment) => write(&zone.wall(moment).to_string()),
            None => cell::escaped(raw, width, out),
        },
        _ => 0,
    }
}

/// Writes the date of a row, for [`Days`]: always ten bytes.
pub(super) fn day(row: &Row<'_>, zone: &Zone, out: &mut Vec<u8>) {
    match row.get(Field::Timestamp) {
        Some(Json::Text(raw)) if zone.is_utc() && is_canonical(raw) => {
            out.extend_from_slice(&raw.as_bytes()[..DATE])
        }
        Some(Json::Text(raw)) => match Moment::parse(raw) {
            Some(moment) => out.extend_from_slice(&zone.wall(moment).to_string().as_bytes()[..DATE]),
            None => out.extend_from_slice(NO_DAY.as_bytes()),
        },
        _ => out.extend_from_slice(NO_DAY.as_bytes()),
    }
}

/// The date of a row without a valid time, such as an erased line: it is shown with the rows before it.
const NO_DAY: &str = "          ";

/// Returns `true` for times as this library writes them: `2026-11-24T15:24:54.123456Z`.
fn is_canonical(time: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00.000000Z";
    time.len() == SHAPE.len()
        && time.bytes().zip(SHAPE).all(|(byte, shape)| match shape {
            b'0' => byte.is_ascii_digit(),
            _ => byte == *shape,
        })
}

/// Replaces the date of each row by one heading for consecutive rows of the same day.
#[derive(Debug, Default)]
pub(crate) struct Days {
    last: Option<[u8; DATE]>,
}

impl Days {
    /// Copies complete rows without their date, with a heading before each new day.
    pub(crate) fn pass(&mut self, rows: &[u8], has_colours: bool, out: &mut Vec<u8>) {
        for row in rows.split_inclusive(|byte| *byte == b'\n') {
            let Some((day, row)) = row.split_first_chunk::<DATE>() else { continue };
            if self.last != Some(*day) && day != NO_DAY.as_bytes() {
                self.last = Some(*day);
                paint(has_colours, BOLD, out, |out| out.extend_from_slice(day.trim_ascii_end()));
                out.push(b'\n');
            }
            out.extend_from_slice(row);
        }
    }
}
