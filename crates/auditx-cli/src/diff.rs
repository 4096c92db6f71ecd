//! The changes of an entry as text (`-o diff`, `auditx history`) and as JSON.

use std::borrow::Cow;

use auditx_reader::{Change, Field, Json, Row, Zone, changes};

use crate::cell;
use crate::columns::{joined, when};
use crate::paint::{BOLD, DIM, GREEN, RED, paint};
use crate::sanitized_json;

/// The maximum width of a value.
const MAX_COLUMNS: usize = 400;

/// Shown for an absent value.
const NONE: &str = "(none)";

/// The maximum width of any other text.
const COLUMNS: usize = 80;

/// What the heading of an entry has, and how.
#[derive(Debug, Clone)]
pub(crate) struct Heading {
    pub(crate) has_record: bool,
    pub(crate) has_colours: bool,
    pub(crate) zone: Zone,
}

/// Writes one entry: a heading, which begins with the trail if there are several, and a line for each changed
/// field.
pub(crate) fn entry(row: &Row<'_>, trail: Option<&str>, shown: &Heading, out: &mut Vec<u8>) {
    heading(row, trail, shown, out);
    for change in changes(row) {
        line(&change, shown.has_colours, out);
    }
}

/// Writes `42  2026-11-24 15:24:54  admin  crm.UPDATE  customer/CUST-220  Customer credit limit updated`
fn heading(row: &Row<'_>, trail: Option<&str>, shown: &Heading, out: &mut Vec<u8>) {
    let Heading { has_record, has_colours, zone } = shown;
    let (has_record, has_colours) = (*has_record, *has_colours);
    let start = out.len();
    let mut part = |write: &dyn Fn(&mut Vec<u8>) -> usize| {
        let before = out.len();
        cell::pad(if before == start { 0 } else { 2 }, out);
        if write(out) == 0 {
            out.truncate(before);
        }
    };
    let text = |field, out: &mut Vec<u8>| row.get(field).map_or(0, |value| cell::value(value, COLUMNS, out));
    part(&|out| trail.map_or(0, |trail| cell::plain(trail, COLUMNS, out)));
    part(&|out| paint(has_colours, BOLD, out, |out| text(Field::Seq, out)));
    part(&|out| paint(has_colours, DIM, out, |out| when(row, zone, COLUMNS, out)));
    part(&|out| text(Field::User, out));
    part(&|out| joined(row, Field::Module, b'.', Field::Action, COLUMNS, out));
    if has_record {
        part(&|out| joined(row, Field::EntityType, b'/', Field::EntityId, COLUMNS, out));
    }
    part(&|out| text(Field::Description, out));
    if row.has(Field::Erased) {
        part(&|out| paint(has_colours, DIM, out, |out| cell::plain("(erased)", COLUMNS, out)));
    }
    out.push(b'\n');
}

/// Writes `    credit_limit: 500000 → 1000000`.
fn line(change: &Change<'_>, has_colours: bool, out: &mut Vec<u8>) {
    cell::pad(4, out);
    if !change.field.is_empty() {
        cell::plain(&change.field, COLUMNS, out);
        out.extend_from_slice(b": ");
    }
    // A number and text with the same digits differ, so they must not look the same.
    let is_alike = text_of(change.old) == text_of(change.new);
    let value = |value: Option<Json<'_>>, style, out: &mut Vec<u8>| {
        paint(has_colours, style, out, |out| match value {
            Some(value) if is_alike || value == Json::Text("") => cell::quoted(value, MAX_COLUMNS, out),
            Some(value) => cell::value(value, MAX_COLUMNS, out),
            None => cell::plain(NONE, MAX_COLUMNS, out),
        });
    };
    value(change.old, RED, out);
    out.extend_from_slice(" → ".as_bytes());
    value(change.new, GREEN, out);
    out.push(b'\n');
}

fn text_of(value: Option<Json<'_>>) -> Cow<'_, str> {
    match value {
        None => Cow::Borrowed(NONE),
        Some(Json::Object(raw) | Json::Array(raw)) => Cow::Borrowed(raw),
        Some(value) => value.text().unwrap_or_default(),
    }
}

/// The fields of an entry in the JSON of a history.
const FACTS: [Field; 11] = [
    Field::Seq,
    Field::Timestamp,
    Field::Level,
    Field::User,
    Field::UserRole,
    Field::OnBehalfOf,
    Field::Module,
    Field::Action,
    Field::Description,
    Field::RequestId,
    Field::Success,
];

/// Writes an entry as a JSON object: its fields, and `changes` with `field`, `old` and `new`. Absent values
/// are left out.
pub(crate) fn object(row: &Row<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    for field in FACTS {
        if let Some(value) = row.get(field) {
            member(field.name(), value, out);
            out.push(b',');
        }
    }
    out.extend_from_slice(b"\"changes\":[");
    for (index, change) in changes(row).iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{\"field\":" } else { b",{\"field\":" });
        sanitized_json::quoted(&change.field, out);
        for (name, value) in [("old", change.old), ("new", change.new)] {
            if let Some(value) = value {
                out.push(b',');
                member(name, value, out);
            }
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
}

fn member(name: &str, value: Json<'_>, out: &mut Vec<u8>) {
    sanitized_json::quoted(name, out);
    out.push(b':');
    sanitized_json::value(value, out);
}
