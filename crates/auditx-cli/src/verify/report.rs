//! A verification as text for people: the answer first, and never a better one than there is.

use std::io::{self, Write};

use anstyle::AnsiColor;
use auditx_reader::{Answer, Fault, Reason, Remark, RemarkKind, Verification, find_line};

use crate::number::{counted, grouped};
use crate::terminal::{harmless, shell_word};

pub(super) fn write(out: &mut impl Write, found: &Verification) -> io::Result<()> {
    answer(out, found)?;
    writeln!(out)?;
    for (name, text) in facts(found) {
        writeln!(out, "  {name:<12} {}", harmless(&text))?;
    }
    if let Some(fault) = &found.fault {
        tell_fault(out, fault)?;
    }
    if !found.reasons.is_empty() {
        writeln!(out, "\nWhat is not proven, and what would prove it:")?;
        for reason in &found.reasons {
            let (what, remedy) = gap(*reason, found);
            writeln!(out, "\n  {what}")?;
            writeln!(out, "    {remedy}")?;
        }
    }
    remarks(out, found)
}

fn answer(out: &mut impl Write, found: &Verification) -> io::Result<()> {
    let place = harmless(&found.directory.to_string_lossy());
    let bold = |colour: AnsiColor| colour.on_default().bold();
    let (style, word, meaning) = match found.answer {
        Answer::Intact => (bold(AnsiColor::Green), "intact", "every line is the one that was signed"),
        Answer::Broken => (bold(AnsiColor::Red), "BROKEN", "it is not what was signed"),
        _ => (
            bold(AnsiColor::Yellow),
            "not confirmed",
            "nothing is wrong as far as can be seen, and not everything can be seen",
        ),
    };
    writeln!(out, "{place} is {style}{word}{style:#}: {meaning}.")
}

/// Name and text of each fact that is known.
fn facts(found: &Verification) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(origin) = &found.origin {
        facts.push(("Trail", origin.clone()));
    }
    for signatory in &found.keys {
        let whose = if signatory.is_pinned { "" } else { ", by the trail's own word" };
        facts.push(("Signed with", format!("{}{whose}", signatory.key)));
    }
    facts.push(("Lines", lines(found)));
    if let Some(last) = found.signed.and_then(|signed| signed.checked_sub(1)) {
        facts.push(("Signed up to", format!("line {last}{}", recorded_at(found, last))));
    }
    if let Some(root) = &found.root {
        facts.push(("Root", root.clone()));
    }
    if !found.known.is_empty() {
        let sizes: Vec<String> = found.known.iter().map(|size| counted(*size, "line")).collect();
        facts.push(("Known notes", format!("agree: of {}", sizes.join(", "))));
    }
    facts
}

fn lines(found: &Verification) -> String {
    let mut text = grouped(found.lines);
    if found.first_seq > 0 {
        text += &format!(", of which the first {} were retired", grouped(found.first_seq));
    }
    if found.erased > 0 {
        text += &format!(", the text of {} erased", grouped(found.erased));
    }
    if found.lost > 0 {
        text += &format!(", {} lost", grouped(found.lost));
    }
    text + &format!("; {} on disk in {}", counted(found.bytes, "byte"), counted(found.segments, "segment"))
}

/// When a line says that it was recorded; nothing of a trail that is not what was signed.
fn recorded_at(found: &Verification, seq: u64) -> String {
    if found.answer == Answer::Broken {
        return String::new();
    }
    let line = find_line(&found.directory, seq).ok().flatten();
    let timestamp = line.and_then(|line| line.parse().ok()).map(|entry| entry.timestamp);
    timestamp.filter(|text| !text.is_empty()).map_or_else(String::new, |text| format!(", recorded at {text}"))
}

fn tell_fault(out: &mut impl Write, fault: &Fault) -> io::Result<()> {
    let mut place: Vec<String> = Vec::new();
    place.extend(fault.seq.map(|seq| format!("line {seq}")));
    place.extend(fault.segment.as_deref().map(harmless));
    place.extend(fault.offset.map(|offset| format!("byte {offset}")));
    // Its name in JSON, without the quotes.
    let kind = serde_json::to_string(&fault.kind).unwrap_or_default();
    writeln!(out, "\nThe first fault ({}):\n", kind.trim_matches('"'))?;
    if !place.is_empty() {
        writeln!(out, "  {}", place.join(", "))?;
    }
    writeln!(out, "  {}", harmless(&fault.message))?;
    writeln!(
        out,
        "\nLeave the directory as it is: it is evidence. `auditx recover --accept-loss` sets it aside, whole,"
    )?;
    writeln!(out, "and begins a new trail in its place.")
}

/// What cannot be seen, and what it takes to see it.
fn gap(reason: Reason, found: &Verification) -> (String, String) {
    let dir = harmless(&shell_word(&found.directory));
    match reason {
        Reason::KeyNotPinned => (
            "Whose trail it is: the key was taken from the trail itself.".to_owned(),
            "Give the key that its owner gave you: --key VKEY".to_owned(),
        ),
        Reason::SignatureUnchecked => (
            "Who signed it: nothing in the trail names its key any more, so no signature was checked."
                .to_owned(),
            "Give the key that its owner gave you: --key VKEY".to_owned(),
        ),
        Reason::FreshnessUnknown => (
            "That nothing was taken back: an earlier state of the whole trail would look just like this."
                .to_owned(),
            format!(
                "Give a note that was kept elsewhere: --known FILE. Keep one: auditx checkpoint --dir {dir} --save FILE"
            ),
        ),
        Reason::TailUnsigned => (
            format!("The end: {} not signed yet.", counted(found.unsigned_lines, "line")),
            format!(
                "A process that writes the trail signs within a second or so; for one that died: auditx recover --dir {dir}"
            ),
        ),
        Reason::TornTail => (
            format!("The end: {} of a line that was not finished.", counted(found.torn_bytes, "byte")),
            format!("Whoever writes the trail finishes it; for one that died: auditx recover --dir {dir}"),
        ),
        Reason::LinesLost => (
            format!(
                "What {} said: another program took the text away, as the trail recorded and signed.",
                counted(found.lost, "line")
            ),
            format!("Which lines, when and why: auditx query --dir {dir} 'module:system level:CRITICAL'"),
        ),
        other => (format!("{other:?}"), "This version of auditx says no more about it.".to_owned()),
    }
}

fn remarks(out: &mut impl Write, found: &Verification) -> io::Result<()> {
    if found.remarks.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nWorth knowing:")?;
    for remark in &found.remarks {
        let lines = match (remark.seq, remark.last_seq) {
            (Some(first), Some(last)) => format!(" (lines {first} to {last})"),
            (Some(first), None) => format!(" (line {first})"),
            (None, _) => String::new(),
        };
        writeln!(out, "\n  {}{lines}:", heading(remark))?;
        for example in &remark.examples {
            writeln!(out, "    {}", harmless(&example.message))?;
        }
        let more = remark.count.saturating_sub(remark.examples.len() as u64);
        if more > 0 {
            writeln!(out, "    … and {} more", grouped(more))?;
        }
    }
    Ok(())
}

/// How many of which kind.
fn heading(remark: &Remark) -> String {
    let Remark { kind, count, .. } = remark;
    let (one, many) = match kind {
        RemarkKind::StaleCheckpoint => ("checkpoint put back", "checkpoints put back"),
        RemarkKind::UnreadableIdentity => ("unreadable identity", "unreadable identities"),
        RemarkKind::UnusableHistory => ("unusable kept checkpoint", "unusable kept checkpoints"),
        RemarkKind::UnfinishedErasure => ("unfinished erasure", "unfinished erasures"),
        RemarkKind::TimeBackwards => ("clock set back", "clocks set back"),
        RemarkKind::TimeAhead => ("clock ahead", "clocks ahead"),
        RemarkKind::MissingHeartbeat => ("missing heartbeat", "missing heartbeats"),
        RemarkKind::WrongTiles => ("wrong cache of tree nodes", "wrong caches of tree nodes"),
        _ => ("other remark", "other remarks"),
    };
    format!("{} {}", grouped(*count), if *count == 1 { one } else { many })
}
