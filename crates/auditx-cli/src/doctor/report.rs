//! The text output of `auditx doctor`.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use auditx_reader::{Finding, Inspection, SegmentState, Severity};
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};

use crate::failure::creation_hint;
use crate::number::{counted, grouped};
use crate::terminal::sanitized;

/// If there are more segments than this, only the first and last ones are shown.
const MAX_SEGMENTS: usize = 20;
const FIRST_SEGMENTS: usize = 5;
const LAST_SEGMENTS: usize = 10;

const HEADINGS: [&str; 5] = ["Segment", "First seq", "Last seq", "Entries", "Bytes"];

pub(super) fn write(
    out: &mut impl Write,
    inspection: &Inspection,
    width: u16,
    has_colours: bool,
) -> io::Result<()> {
    let display_path = sanitized(&inspection.directory.to_string_lossy());
    if inspection.is_trail() {
        let origin = inspection.identity.as_ref().map_or("", |identity| &identity.origin);
        let of = if origin.is_empty() { String::new() } else { format!(" of {}", sanitized(origin)) };
        writeln!(out, "{display_path} contains the audit trail{of}\n")?;
        for (name, text) in facts(inspection) {
            writeln!(out, "  {name:<11} {}", sanitized(&text))?;
        }
        writeln!(out, "\n{}", segments(&inspection.segments, width, has_colours))?;
    } else {
        writeln!(out, "{display_path} contains no audit trail.{}", creation_hint(&inspection.directory))?;
    }
    if !inspection.trails_below.is_empty() {
        writeln!(out, "\nTrails below it: {}", sanitized(&inspection.trails_below.join(", ")))?;
    }
    verdict(out, inspection)
}

/// Returns the name and text of each known fact.
fn facts(inspection: &Inspection) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(identity) = &inspection.identity {
        facts.push(("Trail", format!("{}, format {}", identity.trail_id, identity.format)));
    }
    facts.push(("Entries", entries(inspection)));
    if let (Some(first), Some(last)) = (&inspection.first_timestamp, &inspection.last_timestamp) {
        facts.push(("Recorded", format!("{first} to {last}")));
    }
    if let Some(signed) = inspection.signed {
        facts.push(("Signed", format!("the first {}", counted(signed, "line"))));
    }
    let writer = inspection.writer.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    facts.push(("Writer", writer));
    facts.push(("History", history(inspection)));
    for follower in &inspection.followers {
        facts.push((
            "Follower",
            format!("{}: {}", follower.name, follower_position(follower.next_seq, inspection)),
        ));
    }
    if let Some(tail) = inspection.torn_tail
        && inspection.writer.is_some()
    {
        facts.push(("Unfinished", format!("{} bytes of a line that is being written", tail.bytes)));
    }
    facts
}

fn entries(inspection: &Inspection) -> String {
    let numbers = match (inspection.first_seq, inspection.last_seq) {
        (Some(first), Some(last)) => format!(", seq {first} to {last}"),
        _ => String::new(),
    };
    let unreadable = match inspection.unreadable_lines {
        0 => String::new(),
        count => format!(", and {} that cannot be read", counted(count, "line")),
    };
    format!("{}{numbers}{unreadable}", grouped(inspection.entries))
}

fn history(inspection: &Inspection) -> String {
    let history = inspection.history;
    let mut parts = vec![
        format!("opened {}", counted(history.opened, "time")),
        format!("closed {}", counted(history.closed, "time")),
    ];
    for (count, text) in [
        (history.recovered, "repaired after a crash or another program"),
        (history.retired, "segments retired"),
        (history.erased, "lines erased"),
        (history.key_changes, "signing key replaced"),
        (history.refused_entries, "entries that could not be written"),
    ] {
        if count > 0 {
            parts.push(format!("{text}: {}", grouped(count)));
        }
    }
    parts.join(", ")
}

fn follower_position(next_seq: Option<u64>, inspection: &Inspection) -> String {
    let end = inspection.last_seq.map_or(0, |last| last + 1);
    match next_seq {
        None => "not started".to_owned(),
        Some(next) if next >= end => "up to date".to_owned(),
        Some(next) => format!("next line {next}, {} behind", grouped(end - next)),
    }
}

fn segments(segments: &[SegmentState], width: u16, has_colours: bool) -> String {
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
    let left_out = segments.len().saturating_sub(FIRST_SEGMENTS + LAST_SEGMENTS);
    let is_long = segments.len() > MAX_SEGMENTS;
    for (index, segment) in segments.iter().enumerate() {
        if is_long && index == FIRST_SEGMENTS {
            table.add_row([format!("… {left_out} more …")]);
        }
        if is_long && (FIRST_SEGMENTS..FIRST_SEGMENTS + left_out).contains(&index) {
            continue;
        }
        let seq = |seq: Option<u64>| seq.map_or_else(|| "-".to_owned(), |seq| seq.to_string());
        table.add_row([
            sanitized(&segment.file),
            seq(segment.first_seq),
            seq(segment.last_seq),
            grouped(segment.entries),
            grouped(segment.bytes),
        ]);
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((2, 0));
        if index > 0 {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn verdict(out: &mut impl Write, inspection: &Inspection) -> io::Result<()> {
    let (attention, notes): (Vec<&Finding>, Vec<&Finding>) =
        inspection.findings.iter().partition(|finding| finding.severity == Severity::Attention);
    if !attention.is_empty() {
        let style = AnsiColor::Yellow.on_default().bold();
        let count = attention.len() as u64;
        let need = if count == 1 { "needs" } else { "need" };
        writeln!(out, "\n{style}{} {need} attention:{style:#}", counted(count, "finding"))?;
        list(out, &attention)?;
    }
    if !notes.is_empty() {
        writeln!(out, "\nNotes:")?;
        list(out, &notes)?;
    }
    if !inspection.needs_attention() {
        let style = AnsiColor::Green.on_default();
        let verdict = if notes.is_empty() { "No problems found." } else { "Nothing needs attention." };
        writeln!(out, "\n{style}{verdict}{style:#}")?;
    }
    Ok(())
}

fn list(out: &mut impl Write, findings: &[&Finding]) -> io::Result<()> {
    let dim = Style::new().dimmed();
    for finding in findings {
        let path = finding.path.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        let offset = finding.offset.map(|offset| format!(", byte {offset}")).unwrap_or_default();
        writeln!(out, "\n  {}{offset}", sanitized(&path))?;
        writeln!(out, "    {}", sanitized(&finding.what))?;
        writeln!(out, "    {dim}to do: {}{dim:#}", sanitized(&finding.advice))?;
    }
    Ok(())
}
