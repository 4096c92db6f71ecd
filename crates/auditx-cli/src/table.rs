//! Entries as a table that fits the width, with colours where they are wanted.

use auditx_core::{LogLevel, StoredEntry};
use comfy_table::presets::NOTHING;
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Row, Table, Width,
};
use serde_json::Value;

use crate::cell;
use crate::terminal::harmless;

/// Below this the columns would be narrower than their words: each entry goes over several lines.
const WITH_COLUMNS: u16 = 60;

/// A terminal narrower than this shows its lines broken.
const NARROWEST: u16 = 20;

/// A longer user, module or action goes on in the next line.
const WIDEST: u16 = 14;

/// Stands for a space at which no line is to be broken, until the lines are made.
const TOGETHER: char = '\u{a0}';

const HEADINGS: [&str; 6] = ["Seq", "UTC", "Level", "Who", "Action", "What"];

/// One row per entry, and a dim one below it with the facts that identify it. Lines are at most `width`
/// columns, or 20.
pub(crate) fn of_entries(entries: &[StoredEntry], width: u16, has_colours: bool) -> String {
    if width < WITH_COLUMNS {
        return stacked(entries, width.max(NARROWEST).into());
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
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if place == last { 0 } else { 2 }));
        if place != last {
            // The last column takes what the others leave.
            column.set_constraint(ColumnConstraint::UpperBoundary(Width::Fixed(WIDEST)));
        }
        if place == 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines: Vec<String> = table.lines().map(|line| line.trim_end().replace(TOGETHER, " ")).collect();
    lines.join("\n")
}

/// Each entry over several lines, without colours.
fn stacked(entries: &[StoredEntry], width: usize) -> String {
    const INDENT: usize = 2;
    let mut out = Vec::new();
    for entry in entries {
        let time = entry.timestamp.get(11..19).unwrap_or(&entry.timestamp);
        let first = format!("{} {time} {} {} {}", entry.seq, entry.user, entry.action, entry.level);
        cell::plain(&first, width, &mut out);
        let texts = [entry.description.clone(), details(entry).join(", ").replace(TOGETHER, " ")];
        for line in texts.iter().flat_map(|text| cell::wrapped(text, width - INDENT, usize::MAX)) {
            out.push(b'\n');
            cell::pad(INDENT, &mut out);
            cell::plain(line, width - INDENT, &mut out);
        }
        out.push(b'\n');
    }
    String::from_utf8_lossy(out.trim_ascii_end()).into_owned()
}

/// When, how grave, who, in which module, what.
fn facts(entry: &StoredEntry) -> Row {
    // `2026-11-24T15:24:54.123456Z`: the time of day.
    let time = entry.timestamp.get(11..19).unwrap_or(&entry.timestamp);
    let level = Cell::new(harmless(&entry.level));
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
        Cell::new(harmless(time)),
        level,
        Cell::new(harmless(&entry.user)),
        Cell::new(harmless(&entry.module)),
        Cell::new(harmless(&entry.description)),
    ])
}

/// In which role, by which action, and what tells this entry from others like it.
fn identification(entry: &StoredEntry) -> Row {
    let dim = |text: &str| Cell::new(text).add_attribute(Attribute::Dim);
    Row::from(vec![
        Cell::new(""),
        Cell::new(""),
        Cell::new(""),
        dim(&harmless(&entry.user_role)),
        Cell::new(harmless(&entry.action)),
        dim(&details(entry).join(", ")),
    ])
}

/// What tells this entry from others like it.
fn details(entry: &StoredEntry) -> Vec<String> {
    let mut details = Vec::new();
    let mut add = |text: String| {
        if !text.is_empty() {
            details.push(harmless(&text).replace(' ', &TOGETHER.to_string()));
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

/// `credit_limit: 500000 → 1000000`
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
