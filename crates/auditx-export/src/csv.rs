//! Writes CSV records (RFC 4180) that are safe to open in a spreadsheet.
//!
//! Text that a spreadsheet would take for a formula is prefixed with an apostrophe; numbers are not. Control
//! characters and characters that reorder text are written as the literal text `\n` or `\uXXXX`, so a record
//! is always one line.

use std::borrow::Cow;

use crate::column::Column;
use crate::json::stored;
use crate::settings::Settings;
use crate::text::Style;
use crate::view::View;

static CELL: Style = Style::new(
    b"\"",
    |c| match c {
        '"' => Some("\"\""),
        '\n' => Some("\\n"),
        '\r' => Some("\\r"),
        '\t' => Some("\\t"),
        _ => None,
    },
    "\\u",
);

/// A cell for [`csv_record`].
#[derive(Debug, Clone)]
pub enum CsvCell<'a> {
    /// Text, prefixed with an apostrophe if a spreadsheet would take it for a formula.
    Text(Cow<'a, str>),
    /// A number or a literal, written unchanged.
    Plain(Cow<'a, str>),
    /// A JSON object or array from a line.
    Json(&'a str),
}

/// Appends one record in the style of [`Format::Csv`](crate::Format::Csv), with any cells; `None` is an empty
/// cell.
pub fn csv_record<'a>(cells: impl IntoIterator<Item = Option<CsvCell<'a>>>, out: &mut Vec<u8>) {
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        match cell {
            Some(CsvCell::Text(content)) => text(out, &content),
            Some(CsvCell::Plain(content)) => out.extend_from_slice(content.as_bytes()),
            Some(CsvCell::Json(content)) => json(out, Some(content)),
            None => {}
        }
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the names of the columns.
pub(crate) fn header(out: &mut Vec<u8>, settings: &Settings) {
    if settings.has_trail_column {
        out.extend_from_slice(b"trail,");
    }
    record(out, settings, |out, column| out.extend_from_slice(column.as_str().as_bytes()));
}

/// Appends one record and CR LF.
pub(crate) fn write(out: &mut Vec<u8>, view: &View<'_>, settings: &Settings) {
    if settings.has_trail_column {
        text(out, view.trail);
        out.push(b',');
    }
    record(out, settings, |out, column| cell(out, view, column));
}

fn record(out: &mut Vec<u8>, settings: &Settings, mut cell: impl FnMut(&mut Vec<u8>, Column)) {
    for (index, &column) in settings.columns.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        cell(out, column);
    }
    out.extend_from_slice(b"\r\n");
}

fn cell(out: &mut Vec<u8>, view: &View<'_>, column: Column) {
    let entry = view.entry;
    match column {
        Column::Seq => number(out, view.seq()),
        Column::Id => text(out, &entry.id),
        Column::Timestamp => text(out, &entry.timestamp),
        Column::Level => text(out, &entry.level),
        Column::Module => text(out, &entry.module),
        Column::Action => text(out, &entry.action),
        Column::Description => text(out, &entry.description),
        Column::User => text(out, &entry.user),
        Column::UserRole => text(out, &entry.user_role),
        Column::OnBehalfOf => text(out, &entry.on_behalf_of),
        Column::CompanyId => text(out, &entry.company_id),
        Column::BranchId => text(out, &entry.branch_id),
        Column::EntityType => text(out, &entry.entity_type),
        Column::EntityId => text(out, &entry.entity_id),
        Column::ReferenceNo => text(out, &entry.reference_no),
        // Digits, a point and a minus need no quotes, and programs must read a number.
        Column::Amount => {
            out.extend(entry.amount.iter().flat_map(|amount| amount.to_string().into_bytes()));
        }
        Column::Currency => text(out, &entry.currency),
        Column::OldValues => json(out, view.old_values().as_deref()),
        Column::NewValues => json(out, view.new_values().as_deref()),
        Column::Metadata => json(out, view.metadata().as_deref()),
        Column::RequestId => text(out, &entry.request_id),
        Column::SessionId => text(out, &entry.session_id),
        Column::Ip => text(out, &entry.ip),
        Column::Hostname => text(out, view.hostname),
        Column::Method => text(out, &entry.method),
        Column::Endpoint => text(out, &entry.endpoint),
        Column::Status => number(out, entry.status),
        Column::Success => match view.success() {
            Some(true) => out.extend_from_slice(b"true"),
            Some(false) => out.extend_from_slice(b"false"),
            None => {}
        },
        Column::Erased => text(out, &entry.erased),
        Column::ControlRecord => json(out, view.control_record().as_deref()),
        Column::LeafHash => text(out, &view.leaf_hash().unwrap_or_default()),
    }
}

fn number(out: &mut Vec<u8>, number: Option<impl itoa::Integer>) {
    if let Some(number) = number {
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}

fn json(out: &mut Vec<u8>, json: Option<&str>) {
    if let Some(json) = json {
        let mut compact = Vec::with_capacity(json.len());
        stored(&mut compact, json);
        text(out, &String::from_utf8_lossy(&compact));
    }
}

/// A semicolon is quoted too: programs use it as a separator in locales where the comma is the decimal sign.
fn text(out: &mut Vec<u8>, text: &str) {
    let is_guarded = looks_like_a_formula(text);
    let is_quoted = text.bytes().any(|byte| matches!(byte, b'"' | b',' | b';'))
        || text.starts_with(' ')
        || text.ends_with(' ');
    if is_quoted {
        out.push(b'"');
    }
    if is_guarded {
        out.push(b'\'');
    }
    CELL.write(out, text);
    if is_quoted {
        out.push(b'"');
    }
}

/// Leading apostrophes are skipped, so that removing one prefix never removes an apostrophe of the text
/// itself.
fn looks_like_a_formula(text: &str) -> bool {
    const FIRSTS: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];
    text.trim_start_matches('\'').starts_with(FIRSTS)
}
