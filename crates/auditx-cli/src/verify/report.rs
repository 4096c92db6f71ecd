//! The text output of `auditx verify`: the answer first.

use std::io::{self, Write};

use anstyle::AnsiColor;
use auditx_reader::{
    Answer, Fault, Reason, Remark, RemarkKind, TimeStamp, TimeStamps, Verification, Witnessed, find_line,
};

use crate::evidence;
use crate::number::{counted, grouped};
use crate::terminal::{sanitized, shell_word};

pub(super) fn write(out: &mut impl Write, found: &Verification) -> io::Result<()> {
    answer(out, found)?;
    writeln!(out)?;
    for (name, text) in facts(found) {
        writeln!(out, "  {name:<12} {}", sanitized(&text))?;
    }
    if let Some(fault) = &found.fault {
        print_fault(out, fault)?;
    }
    if !found.reasons.is_empty() {
        writeln!(out, "\nNot proven, and what would prove it:")?;
        for reason in &found.reasons {
            let (what, advice) = advice(*reason, found);
            writeln!(out, "\n  {what}")?;
            writeln!(out, "    {advice}")?;
        }
    }
    remarks(out, found)
}

fn answer(out: &mut impl Write, found: &Verification) -> io::Result<()> {
    let display_path = sanitized(&found.directory.to_string_lossy());
    let bold = |colour: AnsiColor| colour.on_default().bold();
    let (style, word, meaning) = match found.answer {
        Answer::Intact => (bold(AnsiColor::Green), "intact", "every line is as it was signed"),
        Answer::Broken => (bold(AnsiColor::Red), "BROKEN", "it does not match what was signed"),
        _ => (
            bold(AnsiColor::Yellow),
            "not confirmed",
            "no fault was found, but not everything could be checked",
        ),
    };
    writeln!(out, "{display_path} is {style}{word}{style:#}: {meaning}.")
}

/// Returns the name and text of each known fact.
fn facts(found: &Verification) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(origin) = &found.origin {
        facts.push(("Trail", origin.clone()));
    }
    for signatory in &found.keys {
        let whose = if signatory.is_pinned { "" } else { ", according to the trail itself" };
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
        facts.push(("Checkpoints", format!("agree with the known ones: {}", sizes.join(", "))));
    }
    if let Some(witnessed) = &found.witnessed {
        let Witnessed { size, at, parent, .. } = witnessed;
        let (lines, time) = (counted(*size, "line"), evidence::time(*at));
        facts.push(match parent {
            Some(parent) => ("Recorded", format!("{lines} in the parent trail {parent}, at {time}")),
            None => ("Witnessed", format!("{lines} by a quorum, at {time} or later")),
        });
    }
    if let Some(TimeStamps { count, first, last, .. }) = &found.time_stamps {
        let of = |stamp: &TimeStamp| {
            let (lines, time) = (counted(stamp.size, "line"), evidence::time(stamp.at));
            format!("{lines} at {time} ({})", stamp.authority)
        };
        let text = if *count == 1 { of(last) } else { format!("{}, …, {}", of(first), of(last)) };
        facts.push(("Time stamps", format!("{}: {text}", grouped(*count))));
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

/// Returns the time at which a line was recorded; empty for a broken trail, which cannot be trusted.
fn recorded_at(found: &Verification, seq: u64) -> String {
    if found.answer == Answer::Broken {
        return String::new();
    }
    let line = find_line(&found.directory, seq).ok().flatten();
    let timestamp = line.and_then(|line| line.parse().ok()).map(|entry| entry.timestamp);
    timestamp.filter(|text| !text.is_empty()).map_or_else(String::new, |text| format!(", recorded at {text}"))
}

fn print_fault(out: &mut impl Write, fault: &Fault) -> io::Result<()> {
    let mut location: Vec<String> = Vec::new();
    location.extend(fault.seq.map(|seq| format!("line {seq}")));
    location.extend(fault.segment.as_deref().map(sanitized));
    location.extend(fault.offset.map(|offset| format!("byte {offset}")));
    // The name of the kind in JSON, without quotes.
    let kind = serde_json::to_string(&fault.kind).unwrap_or_default();
    writeln!(out, "\nThe first fault ({}):\n", kind.trim_matches('"'))?;
    if !location.is_empty() {
        writeln!(out, "  {}", location.join(", "))?;
    }
    writeln!(out, "  {}", sanitized(&fault.message))?;
    writeln!(
        out,
        "\nDo not change the directory: it is evidence. `auditx recover --accept-loss` moves the whole trail"
    )?;
    writeln!(out, "aside and starts a new one in its place.")
}

/// Returns what could not be checked, and what is needed to check it.
fn advice(reason: Reason, found: &Verification) -> (String, String) {
    let dir = sanitized(&shell_word(&found.directory));
    match reason {
        Reason::KeyNotPinned => (
            "Who signed the trail: the key comes from the trail itself.".to_owned(),
            "Pass the key that the owner of the trail gave you: --key VKEY".to_owned(),
        ),
        Reason::SignatureUnchecked => (
            "Who signed the trail: no record names its key any more, so no signature was checked.".to_owned(),
            "Pass the key that the owner of the trail gave you: --key VKEY".to_owned(),
        ),
        Reason::FreshnessUnknown => (
            "That the trail was not rolled back: an earlier state of the whole trail would look the same."
                .to_owned(),
            format!(
                "Pass a checkpoint that was kept elsewhere: --known FILE. \
                 To keep one: auditx checkpoint --dir {dir} --save FILE. \
                 Or the policy of its witnesses, and an age: --policy FILE --fresh 10m"
            ),
        ),
        Reason::NotWitnessed => (
            "That witnesses cosigned the trail as the policy requires.".to_owned(),
            format!(
                "The reason: {}. A cosigned checkpoint that was kept elsewhere counts too: --known FILE",
                found.unwitnessed.as_deref().unwrap_or_default()
            ),
        ),
        Reason::NotFresh => (
            match &found.witnessed {
                Some(witnessed) => format!(
                    "That the trail is as new as --fresh requires: {} {}.",
                    witnessed
                        .parent
                        .as_ref()
                        .map_or("a quorum last cosigned", |_| "its parent last recorded"),
                    counted(witnessed.size, "line")
                ),
                None => "That the trail is as new as --fresh requires: no checkpoint counts.".to_owned(),
            },
            when_witnessed(found, &dir),
        ),
        Reason::TailNotWitnessed => {
            let (covered, how) = found.witnessed.as_ref().map_or((0, "cosigned"), |witnessed| {
                (witnessed.size, witnessed.parent.as_ref().map_or("cosigned", |_| "recorded"))
            });
            let newer = counted(found.signed.unwrap_or(0).saturating_sub(covered), "line");
            (format!("The last lines: {newer} newer than the {how} checkpoint."), when_witnessed(found, &dir))
        }
        Reason::NotStamped | Reason::UnusableStamp => of_stamps(reason, found, &dir),
        Reason::TailUnsigned => (
            format!("The end: {} not signed yet.", counted(found.unsigned_lines, "line")),
            format!(
                "The process that writes the trail signs it within about a second; \
                 after a crash: auditx recover --dir {dir}"
            ),
        ),
        Reason::TornTail => (
            format!("The end: {} of an unfinished line.", counted(found.torn_bytes, "byte")),
            format!(
                "The process that writes the trail completes it; after a crash: auditx recover --dir {dir}"
            ),
        ),
        Reason::LinesLost => (
            format!(
                "The text of {}: another program removed it, as the trail recorded and signed.",
                counted(found.lost, "line")
            ),
            format!(
                "To see which lines, when and why: auditx query --dir {dir} 'module:system level:CRITICAL'"
            ),
        ),
        other => (format!("{other:?}"), "This version of auditx has no advice for it.".to_owned()),
    }
}

/// Returns when new lines are cosigned or recorded. `dir` is the directory of the trail.
fn when_witnessed(found: &Verification, dir: &str) -> String {
    match found.witnessed.as_ref().and_then(|witnessed| witnessed.parent.as_ref()) {
        Some(_) => "`auditx witness --trail` records a submitted checkpoint in the parent trail within its \
             --interval (a minute by default)."
            .to_owned(),
        None => format!(
            "An application submits within about a second; to submit now: \
             auditx cosign --dir {dir} --policy FILE"
        ),
    }
}

/// Returns what the time stamps do not show, and what is needed.
fn of_stamps(reason: Reason, found: &Verification, dir: &str) -> (String, String) {
    if reason == Reason::NotStamped {
        return (
            "When the trail existed: no time stamp of the given authorities agrees with its lines."
                .to_owned(),
            format!(
                "An application with `TimeStamps` has its checkpoints stamped; to stamp the latest one now: \
                 auditx timestamp --dir {dir} --tsa URL"
            ),
        );
    }
    let unusable = &found.unusable_stamps;
    (
        format!("{} cannot be used.", counted(unusable.len() as u64, "time stamp")),
        format!("The first reason: {}", sanitized(unusable.first().map_or("", String::as_str))),
    )
}

fn remarks(out: &mut impl Write, found: &Verification) -> io::Result<()> {
    if found.remarks.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nNotes:")?;
    for remark in &found.remarks {
        let lines = match (remark.seq, remark.last_seq) {
            (Some(first), Some(last)) => format!(" (lines {first} to {last})"),
            (Some(first), None) => format!(" (line {first})"),
            (None, _) => String::new(),
        };
        writeln!(out, "\n  {}{lines}:", heading(remark))?;
        for example in &remark.examples {
            writeln!(out, "    {}", sanitized(&example.message))?;
        }
        let more = remark.count.saturating_sub(remark.examples.len() as u64);
        if more > 0 {
            writeln!(out, "    … and {} more", grouped(more))?;
        }
    }
    Ok(())
}

/// Returns the count and kind of a remark.
fn heading(remark: &Remark) -> String {
    let Remark { kind, count, .. } = remark;
    let (one, many) = match kind {
        RemarkKind::StaleCheckpoint => ("stale checkpoint", "stale checkpoints"),
        RemarkKind::UnreadableIdentity => ("unreadable identity", "unreadable identities"),
        RemarkKind::UnusableHistory => ("unusable old checkpoint", "unusable old checkpoints"),
        RemarkKind::UnfinishedErasure => ("unfinished erasure", "unfinished erasures"),
        RemarkKind::LaterThanStamp => ("time after a time stamp", "times after a time stamp"),
        RemarkKind::EarlierThanStamp => ("time before a time stamp", "times before a time stamp"),
        RemarkKind::TimeBackwards => ("clock set back", "clocks set back"),
        RemarkKind::TimeAhead => ("clock ahead", "clocks ahead"),
        RemarkKind::MissingHeartbeat => ("missing heartbeat", "missing heartbeats"),
        RemarkKind::WrongTiles => ("wrong tile cache", "wrong tile caches"),
        _ => ("other remark", "other remarks"),
    };
    format!("{} {}", grouped(*count), if *count == 1 { one } else { many })
}
