//! `auditx history --at`: the state of the record at a time.

use std::io::{self, Write};

use auditx_reader::{Existence, Lines, Moment, RecordAt, RecordState, Search};

use super::Arguments;
use super::shown::Shown;
use crate::failure::{Failure, Status};
use crate::family::{Member, Read, Trails};
use crate::merge::folded;
use crate::number::{counted, grouped};
use crate::selection::{moment, record_parts};
use crate::summary;
use crate::terminal::{print_message, sanitized, table_width};

/// Shows the state of the record at the time `text`.
pub(super) fn run(arguments: &Arguments, text: &str) -> Result<Status, Failure> {
    let (kind, id) = record_parts(&arguments.record)?;
    let at = moment(text, &arguments.zoned.base(Moment::now()))?;
    let trails = arguments.family.trails()?;
    let query = RecordAt::query(kind, id);
    let searches =
        trails.searches(|trail| Ok(arguments.reading.apply(Search::new(trail).query(query.clone()))))?;
    let (parts, read) = folded(
        searches,
        "reading",
        |_| RecordAt::new(at),
        |record, member, found| record.add(found, member.order),
    )?;
    let state = parts.into_iter().fold(RecordAt::new(at), RecordAt::merge).state();
    let mut shown = Shown {
        record: &arguments.record,
        at,
        state: &state,
        doubts: &[],
        members: trails.members(),
        zone: arguments.zoned.zone(),
        has_colours: arguments.colours.are_wanted(),
        width: usize::from(table_width()),
    };
    let doubts = doubts(&state, &shown, &read)?;
    shown.doubts = &doubts;
    let found = show(&shown, arguments.json, &trails)?;
    // What the search found is not what the record had then, so only its errors count.
    let status =
        if summary::report(&read, arguments.reading.strict) == Status::Error { Status::Error } else { found };
    for doubt in &doubts {
        print_message(&format!("the state may be incomplete: {doubt}"));
    }
    Ok(status)
}

/// Writes the state, or says that nothing is known.
fn show(shown: &Shown<'_>, is_json: bool, trails: &Trails) -> Result<Status, Failure> {
    let mut out = Vec::new();
    let missing = match &shown.state.existence {
        Existence::NotYet { created } => Some(format!("it did not exist: created {}", shown.by(created))),
        Existence::Unknown => Some(format!("no entry in {} says anything about it", trails.display_path())),
        _ => None,
    };
    match &missing {
        _ if is_json => shown.json(&mut out),
        None => shown.text(&mut out),
        Some(why) => print_message(&format!("{}: {why}", shown.title())),
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(&out)?;
    stdout.flush()?;
    Ok(if missing.is_none() { Status::Success } else { Status::Negative })
}

/// Returns why the state may be incomplete.
fn doubts(state: &RecordState, shown: &Shown<'_>, read: &[Read<'_>]) -> Result<Vec<String>, Failure> {
    let mut doubts = Vec::new();
    if let Some((entry, partition)) = &state.possible_end {
        let by = shown.by(entry);
        let partition = sanitized(partition);
        doubts.push(format!("the partition {partition}, which may have held the record, was truncated {by}"));
    }
    if state.undated > 0 {
        let entries = if state.undated == 1 {
            "1 entry".to_owned()
        } else {
            format!("{} entries", grouped(state.undated))
        };
        doubts
            .push(format!("{entries} about the record cannot be considered: the time is missing or invalid"));
    }
    let is_from_the_beginning =
        matches!(state.existence, Existence::Exists { created: Some(_) } | Existence::Deleted { .. });
    for (member, summary) in read {
        let mut doubt = |text: String| doubts.push(member.labelled(&text));
        if summary.errors.lines() > 0 {
            doubt(format!("{} could not be read", counted(summary.errors.lines(), "line")));
        }
        if summary.errors.segments() > 0 {
            doubt(format!("{} could not be read to the end", counted(summary.errors.segments(), "segment")));
        }
        if summary.fault.is_some() {
            doubt("the trail does not match what was signed".to_owned());
        }
        if let Some(first) = first_seq(member)?.filter(|first| *first > 0 && !is_from_the_beginning) {
            doubt(format!(
                "the {} before entry {first} are not in the trail any more",
                grouped(first) + " entries"
            ));
        }
    }
    Ok(doubts)
}

/// Returns the number of the first entry of a trail; `None` if it cannot be read or has none.
fn first_seq(member: &Member) -> Result<Option<u64>, Failure> {
    // A line that cannot be read is in the summary of the search.
    let first = Lines::all(member.directory())?.next().and_then(Result::ok);
    Ok(first.and_then(|line| line.row().ok()?.seq()))
}
