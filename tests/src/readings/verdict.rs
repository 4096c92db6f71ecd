//! Decides whether a command's answer about a trail is right, or reports the damage.

use std::collections::BTreeMap;
use std::path::Path;

use auditx_reader::{Reason, VerifyOptions, verify};
use auditx_store::checkpoint_history;
use auditx_tlog::{InclusionProof, leaf_hash, parse_seq};
use serde_json::Value;

use super::call::{Call, Kind, Output};
use super::trails::{Base, signed};
use crate::trail::{Line, texts};

/// Parts of messages that commands also print for undamaged trails.
const HARMLESS: [&str; 9] = [
    "there may be more",
    "nothing found in",
    "no entries in",
    "no entry is about",
    "not signed: ",
    "without a proof: ",
    "comes from the trail itself",
    "The key of ",
    "Previous key, from line",
];

/// An acceptable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The answer is the same as for the undamaged trail.
    Right,
    /// The command reported that something is wrong.
    Refused,
    /// The answer differs only in lines that it reports as not signed, or that a rollback of the whole trail
    /// has removed.
    Unsigned,
}

/// Checks that an answer about an undamaged trail has the lines that must be found.
pub(super) fn check_intact(call: &Call, base: &Base, output: &Output) -> Result<(), String> {
    let is_answered = matches!(output.status, Some(0 | 1)) || base.is_killed() && output.status == Some(3);
    if !is_answered {
        // A pending entry has no proof, and the command reports that.
        let is_unproved = base.is_killed() && matches!(call.kind, Kind::Bundle | Kind::Proof(_));
        return if is_unproved { Ok(()) } else { Err("the command failed".to_owned()) };
    }
    let found = call.wanted.found(base);
    let objects = || output.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let unsigned = count_of_unsigned(&output.err);
    let counted = |count: u64| {
        let expected = found.len() as u64 + unsigned;
        if count == expected { Ok(()) } else { Err(format!("{count} lines, expected {expected}")) }
    };
    match call.kind {
        Kind::Lines { .. } | Kind::Tail(_) => check_lines(call, base, &output.out, base.signed),
        Kind::Count => counted(output.out.trim().parse().unwrap_or(u64::MAX)),
        Kind::Export => counted(objects().count() as u64),
        Kind::Stats => {
            let stats: Value = serde_json::from_str(&output.out).map_err(|error| error.to_string())?;
            counted(stats["found"].as_u64().unwrap_or(u64::MAX))?;
            if unsigned > 0 { Ok(()) } else { check_groups(&stats, &found) }
        }
        Kind::Bundle => check_stored(&output.out, &found, base.signed),
        Kind::History => {
            let shown = output.out.lines().filter(|line| !is_unsigned(line, base.signed));
            let shown = shown.filter_map(|line| auditx_tlog::parse_seq(line.as_bytes()));
            if shown.eq(found.iter().map(|line| line.seq)) { Ok(()) } else { Err("other lines".to_owned()) }
        }
        Kind::Proof(seq) => check_proof(base, seq, &output.out),
        _ => Ok(()),
    }
}

/// Returns how many of the entries found the command reports as not signed.
fn count_of_unsigned(err: &str) -> u64 {
    let message = err.lines().find_map(|line| line.strip_prefix("auditx: ")?.split_once(" not signed: "));
    message.and_then(|(count, _)| count.split(' ').next()?.parse().ok()).unwrap_or(0)
}

fn check_groups(stats: &Value, found: &[&Line]) -> Result<(), String> {
    let mut expected: BTreeMap<Option<&str>, u64> = BTreeMap::new();
    found.iter().for_each(|line| *expected.entry(line.json["user"].as_str()).or_default() += 1);
    let groups = stats["groups"].as_array().into_iter().flatten();
    let groups: BTreeMap<Option<&str>, u64> =
        groups.map(|group| (group["by"]["user"].as_str(), group["count"].as_u64().unwrap_or(0))).collect();
    if groups == expected { Ok(()) } else { Err(format!("groups {groups:?}, expected {expected:?}")) }
}

/// Checks that the signed lines in the output are the expected ones, in order. Unsigned lines may come before
/// or after them.
fn check_lines(call: &Call, base: &Base, out: &str, signed: u64) -> Result<(), String> {
    let mut wanted = call.wanted.found(base);
    wanted.retain(|line| line.seq < signed);
    let (newest_first, limit, after) = match call.kind {
        Kind::Lines { newest_first, limit, after } => (newest_first, limit, after),
        Kind::Tail(count) => {
            let unsigned = out.lines().filter(|line| is_unsigned(line, signed)).count();
            let left = count.saturating_sub(unsigned);
            wanted.drain(..wanted.len().saturating_sub(left));
            return check_stored(out, &wanted, signed);
        }
        _ => return Ok(()),
    };
    if newest_first {
        wanted.reverse();
        wanted.retain(|line| after.is_none_or(|after| line.seq < after));
    } else {
        wanted.retain(|line| after.is_none_or(|after| line.seq > after));
    }
    let unsigned = out.lines().filter(|line| is_unsigned(line, signed)).count();
    wanted.truncate(limit.map_or(wanted.len(), |limit| limit.saturating_sub(unsigned)));
    check_stored(out, &wanted, signed)
}

/// Checks that the signed lines in the output are exactly these.
fn check_stored(out: &str, expected: &[&Line], signed: u64) -> Result<(), String> {
    let shown: Vec<&str> =
        out.lines().filter(|line| line.starts_with("{\"seq\"") && !is_unsigned(line, signed)).collect();
    let texts: Vec<&str> = expected.iter().map(|line| line.text.as_str()).collect();
    if shown == texts {
        return Ok(());
    }
    let at = shown.iter().zip(&texts).take_while(|(one, other)| one == other).count();
    let (one, other) = (shown.get(at), texts.get(at));
    Err(format!("{} of {} lines; line {at} is {one:?}, expected {other:?}", shown.len(), texts.len()))
}

fn is_unsigned(line: &str, signed: u64) -> bool {
    let seq = auditx_tlog::parse_seq(line.as_bytes());
    line.starts_with("{\"id\"") || seq.is_some_and(|seq| seq >= signed)
}

/// Checks that a proof is valid for the line with this seq, under a key of the trail.
fn check_proof(base: &Base, seq: u64, text: &str) -> Result<(), String> {
    let proof = InclusionProof::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    proof.check(&base.keys).map_err(|fault| format!("the proof of line {seq}: {fault}"))?;
    let line = base.lines.iter().find(|line| line.seq == seq && seq < base.signed);
    let line = line.ok_or_else(|| format!("a proof of line {seq}, which is not signed"))?;
    let is_line = proof.line() == line.text.as_bytes();
    let is_stub = auditx_tlog::erased_hash(proof.line()) == Some(leaf_hash(line.text.as_bytes()));
    if proof.index() == seq && (is_line || is_stub) {
        return Ok(());
    }
    Err(format!("the proof of line {seq} is for another line"))
}

/// Returns whether standard error reports that something is wrong.
fn reports_damage(err: &str) -> bool {
    err.lines().any(|line| !line.is_empty() && !HARMLESS.iter().any(|harmless| line.contains(harmless)))
}

/// Returns the verdict on an answer about a damaged trail. `intact` is the answer about the undamaged trail.
pub(super) fn of(
    call: &Call,
    base: &Base,
    directory: &Path,
    (intact, found): (&Output, &Output),
) -> Result<Verdict, String> {
    for (seq, proof) in &found.proofs {
        check_proof(base, *seq, proof)?;
    }
    let is_refusal = found.status != Some(0) && reports_damage(&found.err);
    match call.kind {
        Kind::Verify => return of_verify(base, directory, found),
        Kind::Doctor => return of_doctor(directory, found),
        Kind::Proof(seq) if found.status == Some(0) => {
            return check_proof(base, seq, &found.out).map(|()| Verdict::Right);
        }
        Kind::Consistency if found.status == Some(0) => {
            let proof = auditx_tlog::ConsistencyProof::parse(found.out.as_bytes());
            let proof = proof.map_err(|error| error.to_string())?;
            return proof.check(&base.keys).map(|()| Verdict::Right).map_err(|fault| fault.to_string());
        }
        _ => {}
    }
    // Entries that are not signed may be missing, and they may be all that a query finds.
    let is_answered = |output: &Output| matches!(output.status, Some(0 | 1));
    let is_comparable =
        (found.status == intact.status || is_answered(found) && is_answered(intact)) && has_lines(call.kind);
    if base.is_killed() && is_comparable && check_intact(call, base, found).is_ok() {
        return Ok(Verdict::Right);
    }
    let is_same = intact.out == found.out && (call.kind != Kind::Key || intact.err == found.err);
    if is_same && (found.status == intact.status || is_refusal) {
        return Ok(Verdict::Right);
    }
    if is_refusal {
        return Ok(Verdict::Refused);
    }
    let signed = newest_signed(directory);
    let is_reported = ["not signed: ", "lines are not signed", "is not signed yet: "]
        .iter()
        .any(|text| found.err.contains(text));
    // A rollback of the whole trail can be detected only with a checkpoint that was kept elsewhere.
    let is_rolled_back = signed > 0 && signed < base.signed;
    if !is_reported && (!is_rolled_back || found.out.lines().any(|line| is_unsigned(line, signed))) {
        return Err(format!("another answer without a message: {}", difference(&intact.out, &found.out)));
    }
    match call.kind {
        Kind::Lines { .. } | Kind::Tail(_) => {
            check_lines(call, base, &found.out, signed)?;
        }
        Kind::Key | Kind::Proof(_) => return Err("the damage was not reported".to_owned()),
        _ => {}
    }
    Ok(Verdict::Unsigned)
}

/// Returns the size of the largest checkpoint that the directory has, which may be one of the history; 0 if
/// it has none.
fn newest_signed(directory: &Path) -> u64 {
    let names = std::fs::read_dir(checkpoint_history(directory)).into_iter().flatten().flatten();
    let kept = names.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    kept.chain(signed(directory)).max().unwrap_or(0)
}

/// `auditx doctor` may report no problem only if verification finds none.
fn of_doctor(directory: &Path, found: &Output) -> Result<Verdict, String> {
    if found.status != Some(0) {
        return Ok(Verdict::Refused);
    }
    let verification = match verify(directory, &VerifyOptions::new(), &mut |_, _| ()) {
        Ok(verification) => verification,
        Err(_) => return Ok(Verdict::Right),
    };
    if let Some(fault) = verification.fault {
        return Err(format!("doctor found no problem, but verify did: {fault}"));
    }
    if verification.reasons.contains(&Reason::ProjectionDiffers) {
        return Err("doctor found no problem, but security.jsonl differs".to_owned());
    }
    Ok(Verdict::Right)
}

/// Returns whether the output consists of selected lines, or of counts of them.
fn has_lines(kind: Kind) -> bool {
    use Kind::{Bundle, Count, Export, History, Lines, Stats, Tail};
    matches!(kind, Lines { .. } | Tail(_) | Count | Stats | History | Export | Bundle)
}

/// `auditx verify` may report no damage only if all signed lines are unchanged.
fn of_verify(base: &Base, directory: &Path, found: &Output) -> Result<Verdict, String> {
    match found.status {
        Some(1) => return Ok(Verdict::Refused),
        Some(2) if reports_damage(&found.err) => return Ok(Verdict::Refused),
        Some(0 | 3) => {}
        _ => return Err(format!("status {:?}", found.status)),
    }
    // Lines that are not signed may be anything.
    let is_signed = |line: &String| parse_seq(line.as_bytes()).is_some_and(|seq| seq < base.signed);
    let found: Vec<String> = texts(directory).into_iter().filter(is_signed).collect();
    let expected: Vec<String> = base.signed_lines().map(|line| line.text.clone()).collect();
    if found == expected {
        Ok(Verdict::Right)
    } else {
        Err("changed lines were reported as intact".to_owned())
    }
}

fn difference(intact: &str, found: &str) -> String {
    let at = intact.lines().zip(found.lines()).take_while(|(one, other)| one == other).count();
    let line = |text: &str| text.lines().nth(at).map(|line| line.chars().take(160).collect::<String>());
    let (intact, found) = (line(intact), line(found));
    format!("line {at} of the output is {found:?}, expected {intact:?}")
}
