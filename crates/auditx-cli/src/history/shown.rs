//! The state of a record, as a table and as JSON.

use auditx_reader::{EntryRef, Existence, Json, KnownField, Moment, RecordState, Since, Zone};
use unicode_width::UnicodeWidthStr;

use crate::cell;
use crate::family::Member;
use crate::paint::{BOLD, DIM, paint};
use crate::sanitized_json;
use crate::terminal::sanitized;

/// Below this width a field takes two lines.
const MIN_TABLE_WIDTH: usize = 72;

/// The minimum width of a value in the table, and the maximum widths of the other columns.
const MIN_VALUE: usize = 12;
const MAX_FIELD: usize = 28;
const MAX_USER: usize = 14;
const MAX_ENTRY: usize = 20;

/// The maximum width of a value that has a line of its own.
const MAX_VALUE: usize = 400;

const GAP: usize = 2;
const HEADINGS: [&str; 5] = ["Field", "Value", "Since", "By", "Entry"];

/// A record at a time, and how it is shown.
pub(super) struct Shown<'a> {
    pub(super) record: &'a str,
    pub(super) at: Moment,
    pub(super) state: &'a RecordState,
    /// Why the state may be incomplete.
    pub(super) doubts: &'a [String],
    pub(super) members: &'a [Member],
    pub(super) zone: Zone,
    pub(super) has_colours: bool,
    pub(super) width: usize,
}

impl Shown<'_> {
    /// Returns the date and the time of day in the zone.
    pub(super) fn time(&self, moment: Moment) -> String {
        self.zone.wall(moment).to_string()[.."2026-11-24T15:24:54".len()].replace('T', " ")
    }

    /// Returns the record and the time: `customer/CUST-220 at 2026-11-24 16:00:00 UTC`.
    pub(super) fn title(&self) -> String {
        format!("{} at {} {}", sanitized(self.record), self.time(self.at), self.zone)
    }

    /// Returns when and by whom: `2026-11-24 15:24:54 by admin, entry 42`.
    pub(super) fn by(&self, entry: &EntryRef) -> String {
        let user = match entry.user.as_str() {
            "" => String::new(),
            user => format!(" by {}", sanitized(user)),
        };
        format!("{}{user}, entry {}", self.time(entry.at), sanitized(&self.number(entry)))
    }

    /// Returns the number of an entry, with the name of its trail if there are several.
    fn number(&self, entry: &EntryRef) -> String {
        let number = entry.seq.map_or_else(|| "without a number".to_owned(), |seq| seq.to_string());
        let trail = self.members.get(entry.trail).and_then(|member| member.name.as_deref());
        trail.map_or_else(|| number.clone(), |trail| format!("{trail}:{number}"))
    }

    /// Writes a line about the record, and a table of its fields.
    pub(super) fn text(&self, out: &mut Vec<u8>) {
        let what = match &self.state.existence {
            Existence::Exists { created: Some(entry) } => format!("created {}", self.by(entry)),
            Existence::Deleted { by, is_truncation: false } => format!("deleted {}", self.by(by)),
            Existence::Deleted { by, .. } => {
                format!("removed with all records of its type {}", self.by(by))
            }
            _ => "it existed; no entry says since when".to_owned(),
        };
        paint(self.has_colours, BOLD, out, |out| out.extend_from_slice(self.title().as_bytes()));
        out.extend_from_slice(format!(": {what}\n").as_bytes());
        if self.state.fields.is_empty() {
            if matches!(self.state.existence, Existence::Exists { .. }) {
                out.extend_from_slice(b"No entry says which values its fields had.\n");
            }
            return;
        }
        out.push(b'\n');
        if self.width < MIN_TABLE_WIDTH { self.stacked(out) } else { self.table(out) }
    }

    fn cells(&self, known: &KnownField) -> [String; 3] {
        match &known.since {
            Since::Set(entry) => [self.time(entry.at), entry.user.clone(), self.number(entry)],
            Since::Before(entry) => {
                [format!("before {}", self.time(entry.at)), String::new(), self.number(entry)]
            }
            _ => Default::default(),
        }
    }

    fn table(&self, out: &mut Vec<u8>) {
        let fields = &self.state.fields;
        let rows: Vec<[String; 3]> = fields.iter().map(|known| self.cells(known)).collect();
        let widest = |index: usize, heading: &str, most: usize| {
            rows.iter()
                .map(|row| sanitized(&row[index]).width())
                .max()
                .unwrap_or(0)
                .max(heading.len())
                .min(most)
        };
        let names = fields.iter().map(|known| sanitized(&known.field).width()).max().unwrap_or(0);
        let name = names.clamp(HEADINGS[0].len(), MAX_FIELD);
        let [since, by, entry] =
            [widest(0, HEADINGS[2], 32), widest(1, HEADINGS[3], MAX_USER), widest(2, HEADINGS[4], MAX_ENTRY)];
        let left = self.width.saturating_sub(name + since + by + entry + 4 * GAP).max(MIN_VALUE);
        let mut line = Vec::new();
        let values = fields.iter().map(|known| value(known.value(), left, &mut line)).max().unwrap_or(0);
        let widths = [name, values.max(HEADINGS[1].len()), since, by, entry];
        let cells =
            HEADINGS.map(|heading| move |width: usize, out: &mut Vec<u8>| cell::plain(heading, width, out));
        paint(self.has_colours, BOLD, out, |out| row(&widths, cells.each_ref().map(|cell| cell as _), out));
        for (known, rest) in fields.iter().zip(&rows) {
            let text =
                |index: usize| move |width: usize, out: &mut Vec<u8>| cell::plain(&rest[index], width, out);
            let name = |width: usize, out: &mut Vec<u8>| cell::plain(&known.field, width, out);
            let value = |width: usize, out: &mut Vec<u8>| value(known.value(), width, out);
            row(&widths, [&name, &value, &text(0), &text(1), &text(2)], out);
        }
    }

    /// Writes two lines for each field.
    fn stacked(&self, out: &mut Vec<u8>) {
        for known in &self.state.fields {
            if !known.field.is_empty() {
                paint(self.has_colours, BOLD, out, |out| cell::plain(&known.field, MAX_VALUE, out));
                out.extend_from_slice(b": ");
            }
            value(known.value(), MAX_VALUE, out);
            out.push(b'\n');
            let since = match &known.since {
                Since::Set(entry) => self.by(entry),
                Since::Before(entry) => {
                    format!("before {}, entry {}", self.time(entry.at), self.number(entry))
                }
                _ => String::new(),
            };
            cell::pad(GAP, out);
            paint(self.has_colours, DIM, out, |out| cell::plain(&since, MAX_VALUE, out));
            out.push(b'\n');
        }
    }

    /// Writes a JSON object, with one line for each field.
    pub(super) fn json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"record\":");
        sanitized_json::quoted(self.record, out);
        out.extend_from_slice(format!(",\"at\":\"{}\",\"state\":", self.at).as_bytes());
        let (state, entry) = match &self.state.existence {
            Existence::Exists { created } => ("exists", created.as_ref().map(|entry| ("created", entry))),
            Existence::Deleted { by, is_truncation: true } => ("deleted", Some(("truncated", by))),
            Existence::Deleted { by, .. } => ("deleted", Some(("deleted", by))),
            Existence::NotYet { created } => ("not_yet", Some(("created", created))),
            _ => ("unknown", None),
        };
        sanitized_json::quoted(state, out);
        if let Some((name, entry)) = entry {
            out.push(b',');
            self.entry(name, entry, out);
        }
        out.extend_from_slice(b",\"fields\":[");
        for (index, known) in self.state.fields.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"\n{\"field\":" } else { b",\n{\"field\":" });
            sanitized_json::quoted(&known.field, out);
            out.extend_from_slice(b",\"value\":");
            sanitized_json::value(known.value(), out);
            out.push(b',');
            match &known.since {
                Since::Set(entry) => self.entry("since", entry, out),
                Since::Before(entry) => self.entry("before", entry, out),
                _ => {}
            }
            out.push(b'}');
        }
        out.extend_from_slice(b"],\n\"doubts\":[");
        for (index, doubt) in self.doubts.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"" } else { b"," });
            sanitized_json::quoted(doubt, out);
        }
        out.extend_from_slice(b"]}\n");
    }

    /// Writes the member `name` with trail, number, time and user of an entry.
    fn entry(&self, name: &str, entry: &EntryRef, out: &mut Vec<u8>) {
        sanitized_json::quoted(name, out);
        out.extend_from_slice(b":{");
        if let Some(trail) = self.members.get(entry.trail).and_then(|member| member.name.as_deref()) {
            out.extend_from_slice(b"\"trail\":");
            sanitized_json::quoted(trail, out);
            out.push(b',');
        }
        if let Some(seq) = entry.seq {
            out.extend_from_slice(format!("\"seq\":{seq},").as_bytes());
        }
        out.extend_from_slice(format!("\"timestamp\":\"{}\",\"user\":", entry.at).as_bytes());
        sanitized_json::quoted(&entry.user, out);
        out.push(b'}');
    }
}

type Write<'c> = &'c dyn Fn(usize, &mut Vec<u8>) -> usize;

/// Writes cells within their widths.
fn row(widths: &[usize; 5], cells: [Write<'_>; 5], out: &mut Vec<u8>) {
    let start = out.len();
    for (index, (width, write)) in widths.iter().zip(cells).enumerate() {
        let taken = write(*width, out);
        if index + 1 < widths.len() {
            cell::pad(width.saturating_sub(taken) + GAP, out);
        }
    }
    let end = start + out[start..].trim_ascii_end().len();
    out.truncate(end);
    out.push(b'\n');
}

/// Writes a value; text that looks like a value of another type, or is empty, is quoted.
fn value(value: Json<'_>, width: usize, out: &mut Vec<u8>) -> usize {
    match value {
        Json::Text("") => cell::quoted(value, width, out),
        _ => cell::typed(value, width, out),
    }
}
