//! The table that `auditx demo` shows.

use auditx_core::{LogLevel, StoredEntry};
use comfy_table::presets::NOTHING;
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row, Table, Width,
};
use serde_json::Value;

use crate::cell;
use crate::terminal::sanitized;

/// Below this width each entry takes several lines, because columns would be narrower than words.
const MIN_TABLE_WIDTH: u16 = 60;

/// The minimum width; a narrower terminal wraps the lines.
const MIN_WIDTH: u16 = 20;

/// A longer user, module or action is wrapped.
const MAX_WIDTH: u16 = 14;

/// Replaces spaces at which a line must not be wrapped; turned back into spaces in the finished lines.
const NO_BREAK: char = '\u{a0}';

const HEADINGS: [&str; 6] = ["Seq", "UTC", "Level", "Who", "Action", "What"];

/// Formats entries as a table. Each entry has a second, dim row with the details that identify it. Lines have
/// at most `width` columns, or 20 if `width` is smaller.
pub(crate) fn of_entries(entries: &[StoredEntry], width: u16, has_colours: bool) -> String {
    if width < MIN_TABLE_WIDTH {
        return stacked(entries, width.max(MIN_WIDTH).into());
    }
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width)
        .force_no_tty()
        .set_header(HEADINGS.map(|heading| Cell::new(heading).add_attribute(Attribute::Bold)));
    if has_colours {
        table.enforce_styling().style_text_only();
    }
    for entry in entries {
        table.add_row(facts(entry));
        table.add_row(identification(entry));
    }
    let last = HEADINGS.len() - 1;
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { 2 }));
        if index != last {
            // The last column takes the remaining width.
            column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(MAX_WIDTH)));
        }
        if index == 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().replace(NO_BREAK, " ")).collect();
    lines.join("\n")
}

/// Formats each entry in several lines, without colours.
fn stacked(entries: &[StoredEntry], width: usize) -> String {
    const INDENT: usize = 2;
    let mut out = Vec::new();
    for entry in entries {
        let time = entry.timestamp.get(11..19).unwrap_or(&entry.timestamp);
        let first = format!("{} {time} {} {} {}", entry.seq, entry.user, entry.action, entry.level);
        cell::plain(&first, width, &mut out);
        let texts = [entry.description.clone(), details(entry).join(", ").replace(NO_BREAK, " ")];
        for line in texts.iter().flat_map(|text| cell::wrapped(text, width - INDENT, usize::MAX)) {
            out.push(b'\n');
            cell::pad(INDENT, &mut out);
            cell::plain(line, width - INDENT, &mut out);
        }
        out.push(b'\n');
    }
    String::from_utf8_lossy(out.trim_ascii_end()).into_owned()
}

/// Returns the first row of an entry: number, time, level, user, module, description.
fn facts(entry: &StoredEntry) -> Row {
    // `2026-11-24T15:24:54.123456Z`: the time of day.
    let time = entry.timestamp.get(11..19).unwrap_or(&entry.timestamp);
    let level = Cell::new(sanitized(&entry.level));
    let level = match entry.level.parse::<LogLevel>() {
        Ok(LogLevel::Audit) => level.fg(Color::DarkGreen),
        Ok(LogLevel::Warning) => level.fg(Color::DarkYellow),
        Ok(LogLevel::Error) => level.fg(Color::DarkRed),
        Ok(LogLevel::Security) => level.fg(Color::DarkMagenta),
        Ok(LogLevel::Critical) => level.fg(Color::Red).add_attribute(Attribute::Bold),
        _ => level,
    };
    Row::from(vec![
        Cell::new(entry.seq),
        Cell::new(sanitized(time)),
        level,
        Cell::new(sanitized(&entry.user)),
        Cell::new(sanitized(&entry.module)),
        Cell::new(sanitized(&entry.description)),
    ])
}

/// Returns the second row of an entry: role, action and details.
fn identification(entry: &StoredEntry) -> Row {
    let dim = |text: &str| Cell::new(text).add_attribute(Attribute::Dim);
    Row::from(vec![
        Cell::new(""),
        Cell::new(""),
        Cell::new(""),
        dim(&sanitized(&entry.user_role)),
        Cell::new(sanitized(&entry.action)),
        dim(&details(entry).join(", ")),
    ])
}

/// Returns what distinguishes this entry from similar ones.
fn details(entry: &StoredEntry) -> Vec<String> {
    let mut details = Vec::new();
    let mut add = |text: String| {
        if !text.is_empty() {
            details.push(sanitized(&text).replace(' ', &NO_BREAK.to_string()));
        }
    };
    add(entry.reference_no.clone());
    add(joined(&entry.entity_type, "/", &entry.entity_id));
    if let Some(amount) = &entry.amount {
        add(joined(&amount.to_string(), " ", &entry.currency));
    }
    let metadata = |key: &str| entry.metadata.get(key).map(plain).unwrap_or_default();
    add(joined(&metadata("quantity"), " ", &metadata("unit")));
    add(metadata("party"));
    changes(entry).into_iter().for_each(&mut add);
    if entry.module == "auth" {
        add(if entry.ip.is_empty() { String::new() } else { format!("from {}", entry.ip) });
    }
    if entry.metadata.get("rate_limited") == Some(&Value::Bool(true)) {
        add(format!("failure {}: over the limit", metadata("failure_count")));
    }
    details
}

/// Returns changed fields: `credit_limit: 500000 → 1000000`.
fn changes(entry: &StoredEntry) -> Vec<String> {
    let (Value::Object(old), Value::Object(new)) = (&entry.old_values, &entry.new_values) else {
        return Vec::new();
    };
    let before = |key: &str| old.get(key).map_or_else(|| "none".to_owned(), plain);
    new.iter().map(|(key, value)| format!("{key}: {} → {}", before(key), plain(value))).collect()
}

fn joined(left: &str, between: &str, right: &str) -> String {
    let between = if left.is_empty() || right.is_empty() { "" } else { between };
    format!("{left}{between}{right}")
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
