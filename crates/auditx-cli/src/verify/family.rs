//! Verifies the trails of a family one after the other. The answer is the worst of them.

use std::io::Write;

use auditx_reader::Verification;
use serde::Serialize;

use super::{Arguments, Given, report, status_of, verified};
use crate::failure::{Failure, Status};
use crate::family::{Member, Trails};
use crate::number::grouped;
use crate::terminal::{self, print_message, sanitized};

/// The statuses of trails, the worst first, and what a trail with this status is.
const FROM_WORST: [(Status, &str); 4] = [
    (Status::Negative, "BROKEN"),
    (Status::Error, "not verified"),
    (Status::Unconfirmed, "not confirmed"),
    (Status::Success, "intact"),
];

#[derive(Serialize)]
struct Json<'v> {
    /// That of the worst trail, as in the JSON of one trail; or `not-verified`.
    answer: &'static str,
    trails: Vec<JsonOfTrail<'v>>,
}

#[derive(Serialize)]
struct JsonOfTrail<'v> {
    trail: &'v str,
    /// Why the trail could not be verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'v str>,
    #[serde(flatten)]
    verification: Option<&'v Verification>,
}

pub(super) fn run(arguments: &Arguments, trails: &Trails, given: &Given) -> Result<Status, Failure> {
    if !arguments.known.is_empty() {
        trails.must_be_one("a checkpoint from --known is that of one trail")?;
    }
    let mut outcomes = Vec::new();
    for member in trails.members() {
        let outcome = verified(member.directory(), given);
        if !arguments.json {
            write_one(member, &outcome)?;
        }
        outcomes.push((member, outcome.map_err(|failure| failure.to_string())));
    }
    let status_in =
        |outcome: &Result<Verification, String>| outcome.as_ref().map_or(Status::Error, status_of);
    let count = |status| outcomes.iter().filter(|(_, outcome)| status_in(outcome) == status).count() as u64;
    let counts = FROM_WORST.map(|(status, word)| (status, word, count(status)));
    let worst = counts.iter().find(|(.., count)| *count > 0).map_or(Status::Error, |(status, ..)| *status);
    let mut out = terminal::output();
    if arguments.json {
        terminal::write_json(&mut out, &Json { answer: answer(worst), trails: json(&outcomes) })?;
    } else {
        let counts = counts.iter().rev().filter(|(.., count)| *count > 0);
        let counts: Vec<String> =
            counts.map(|(_, word, count)| format!("{} {word}", grouped(*count))).collect();
        writeln!(out, "\nOf {}: {}.", trails.display_path(), counts.join(", "))?;
    }
    out.flush()?;
    Ok(worst)
}

/// Writes the report about one trail, or why it could not be verified.
fn write_one(member: &Member, outcome: &Result<Verification, Failure>) -> Result<(), Failure> {
    let mut out = terminal::output();
    if member.order > 0 {
        writeln!(out)?;
    }
    match outcome {
        Ok(verification) => report::write(&mut out, verification)?,
        Err(failure) => {
            let place = sanitized(&member.directory().to_string_lossy());
            writeln!(out, "{place} was not verified.")?;
            out.flush()?;
            print_message(&member.labelled(&failure.to_string()));
        }
    }
    Ok(out.flush()?)
}

fn answer(worst: Status) -> &'static str {
    match worst {
        Status::Success => "intact",
        Status::Negative => "broken",
        Status::Unconfirmed => "unconfirmed",
        Status::Error => "not-verified",
    }
}

fn json<'v>(outcomes: &'v [(&Member, Result<Verification, String>)]) -> Vec<JsonOfTrail<'v>> {
    let one = |(member, outcome): &'v (&Member, Result<Verification, String>)| JsonOfTrail {
        trail: member.name.as_deref().unwrap_or_default(),
        error: outcome.as_ref().err().map(String::as_str),
        verification: outcome.as_ref().ok(),
    };
    outcomes.iter().map(one).collect()
}
