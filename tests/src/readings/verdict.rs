//! Whether what a command said of a trail is right, or said to be wrong.

use std::collections::BTreeMap;
use std::path::Path;

use auditx_core::{InclusionProof, checkpoint_history, leaf_hash};
use auditx_reader::{Reason, VerifyOptions, verify};
use serde_json::Value;

use super::call::{Call, Ended, Kind};
use super::trails::{Base, signed};
use crate::trail::{Line, lines};

/// What is said of a trail in which nothing is wrong.
const HARMLESS: [&str; 10] = [
    "there may be more",
    "nothing found in",
    "no entries in",
    "no entry is about",
    "not signed: ",
    "without a proof: ",
    "the trail's own word",
    "This is the trail's own word",
    "The key of ",
    "Before that, from line",
];

/// How a right answer looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As of a trail that nobody damaged.
    Right,
    /// It said that something is wrong.
    Refused,
    /// It differs only in lines that it says nobody signed, or that the trail was taken back from.
    Unsigned,
}

/// Whether an answer about an intact trail is what a plain reader finds.
pub(super) fn check_intact(call: &Call, base: &Base, ended: &Ended) -> Result<(), String> {
    let is_answered = matches!(ended.status, Some(0 | 1)) || base.is_killed() && ended.status == Some(3);
    if !is_answered {
        // An entry without a line has no proof, which is said.
        let is_unproved = base.is_killed() && matches!(call.kind, Kind::Bundle | Kind::Proof(_));
        return if is_unproved { Ok(()) } else { Err("it failed".to_owned()) };
    }
    let found = call.wanted.found(base);
    let objects = || ended.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let unsigned = count_of_unsigned(&ended.err);
    let counted = |count: u64| {
        let wanted = found.len() as u64 + unsigned;
        if count == wanted { Ok(()) } else { Err(format!("{count} lines, and {wanted} are wanted")) }
    };
    match call.kind {
        Kind::Lines { .. } | Kind::Tail(_) => check_lines(call, base, &ended.out, base.signed),
        Kind::Count => counted(ended.out.trim().parse().unwrap_or(u64::MAX)),
        Kind::Export => counted(objects().count() as u64),
        Kind::Stats => {
            let said: Value = serde_json::from_str(&ended.out).map_err(|error| error.to_string())?;
            counted(said["found"].as_u64().unwrap_or(u64::MAX))?;
            if unsigned > 0 { Ok(()) } else { check_groups(&said, &found) }
        }
        Kind::Bundle => check_stored(&ended.out, &found, base.signed),
        Kind::History => {
            let shown = ended.out.lines().filter(|line| !is_unsigned(line, base.signed));
            let shown = shown.filter_map(|line| auditx_core::parse_seq(line.as_bytes()));
            if shown.eq(found.iter().map(|line| line.seq)) { Ok(()) } else { Err("other lines".to_owned()) }
        }
        Kind::Proof(seq) => check_proof(base, seq, &ended.out),
        _ => Ok(()),
    }
}

/// How many of the entries found nobody signed, by what was said.
fn count_of_unsigned(err: &str) -> u64 {
    let said = err.lines().find_map(|line| line.strip_prefix("auditx: ")?.split_once(" not signed: "));
    said.and_then(|(said, _)| said.split(' ').next()?.parse().ok()).unwrap_or(0)
}

fn check_groups(said: &Value, found: &[&Line]) -> Result<(), String> {
    let mut wanted: BTreeMap<Option<&str>, u64> = BTreeMap::new();
    found.iter().for_each(|line| *wanted.entry(line.json["user"].as_str()).or_default() += 1);
    let groups = said["groups"].as_array().into_iter().flatten();
    let groups: BTreeMap<Option<&str>, u64> =
        groups.map(|group| (group["by"]["user"].as_str(), group["count"].as_u64().unwrap_or(0))).collect();
    if groups == wanted { Ok(()) } else { Err(format!("groups {groups:?}, and {wanted:?} are wanted")) }
}

/// The signed lines among those shown must be those that are wanted, in order; others come before or behind.
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

/// Whether the signed lines among those shown are these.
fn check_stored(out: &str, wanted: &[&Line], signed: u64) -> Result<(), String> {
    let shown: Vec<&str> =
        out.lines().filter(|line| line.starts_with("{\"seq\"") && !is_unsigned(line, signed)).collect();
    let texts: Vec<&str> = wanted.iter().map(|line| line.text.as_str()).collect();
    if shown == texts {
        return Ok(());
    }
    let at = shown.iter().zip(&texts).take_while(|(one, other)| one == other).count();
    let (one, other) = (shown.get(at), texts.get(at));
    Err(format!("{} of {} lines; at {at}: {one:?}, and {other:?} is wanted", shown.len(), texts.len()))
}

fn is_unsigned(line: &str, signed: u64) -> bool {
    let seq = auditx_core::parse_seq(line.as_bytes());
    line.starts_with("{\"id\"") || seq.is_some_and(|seq| seq >= signed)
}

/// Whether a proof is of the line that has this number, by a key of the trail.
fn check_proof(base: &Base, seq: u64, text: &str) -> Result<(), String> {
    let proof = InclusionProof::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    proof.check(&base.keys).map_err(|fault| format!("the proof of line {seq}: {fault}"))?;
    let line = base.lines.iter().find(|line| line.seq == seq && seq < base.signed);
    let line = line.ok_or_else(|| format!("a proof of line {seq}, which nobody signed"))?;
    let is_its_own = proof.line() == line.text.as_bytes();
    let is_its_hash = auditx_core::erased_hash(proof.line()) == Some(leaf_hash(line.text.as_bytes()));
    if proof.index() == seq && (is_its_own || is_its_hash) {
        return Ok(());
    }
    Err(format!("the proof of line {seq} is of another line"))
}

/// Whether something is said to be wrong.
fn complains(err: &str) -> bool {
    err.lines().any(|line| !line.is_empty() && !HARMLESS.iter().any(|harmless| line.contains(harmless)))
}

/// What to think of an answer about a damaged trail. `intact` is the answer about the same trail undamaged.
pub(super) fn of(
    call: &Call,
    base: &Base,
    directory: &Path,
    (intact, found): (&Ended, &Ended),
) -> Result<Verdict, String> {
    for (seq, proof) in &found.proofs {
        check_proof(base, *seq, proof)?;
    }
    let is_refusal = found.status != Some(0) && complains(&found.err);
    match call.kind {
        Kind::Verify => return of_verify(base, directory, found),
        Kind::Doctor => return of_doctor(directory, found),
        Kind::Proof(seq) if found.status == Some(0) => {
            return check_proof(base, seq, &found.out).map(|()| Verdict::Right);
        }
        Kind::Consistency if found.status == Some(0) => {
            let proof = auditx_core::ConsistencyProof::parse(found.out.as_bytes());
            let proof = proof.map_err(|error| error.to_string())?;
            return proof.check(&base.keys).map(|()| Verdict::Right).map_err(|fault| fault.to_string());
        }
        _ => {}
    }
    // Entries in the journal are in no line that anybody could miss, and not for everybody to read.
    let is_read = found.status == intact.status && is_of_lines(call.kind);
    if base.is_killed() && is_read && check_intact(call, base, found).is_ok() {
        return Ok(Verdict::Right);
    }
    let is_same = intact.out == found.out && (call.kind != Kind::Key || intact.err == found.err);
    if is_same && (found.status == intact.status || is_refusal) {
        return Ok(Verdict::Right);
    }
    if is_refusal {
        return Ok(Verdict::Refused);
    }
    let signed = signed(directory).unwrap_or(0);
    let is_said = ["not signed: ", "nobody signed"].iter().any(|said| found.err.contains(said));
    // An older state of the whole trail is only told from the latest by those who kept a note of it.
    let is_taken_back = signed > 0 && signed < base.signed && newest_kept(directory) <= signed;
    if !is_said && (!is_taken_back || found.out.lines().any(|line| is_unsigned(line, signed))) {
        return Err(format!("another answer, and not a word: {}", difference(&intact.out, &found.out)));
    }
    match call.kind {
        Kind::Lines { .. } | Kind::Tail(_) => {
            check_lines(call, base, &found.out, signed)?;
        }
        Kind::Key | Kind::Proof(_) => return Err("no word that it is wrong".to_owned()),
        _ => {}
    }
    Ok(Verdict::Unsigned)
}

/// The largest checkpoint that is kept beside the latest.
fn newest_kept(directory: &Path) -> u64 {
    let names = std::fs::read_dir(checkpoint_history(directory)).into_iter().flatten().flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).max().unwrap_or(0)
}

/// All may only be well for `auditx doctor` if `auditx verify` finds nothing wrong.
fn of_doctor(directory: &Path, found: &Ended) -> Result<Verdict, String> {
    if found.status != Some(0) {
        return Ok(Verdict::Refused);
    }
    let verification = match verify(directory, &VerifyOptions::new(), &mut |_, _| ()) {
        Ok(verification) => verification,
        Err(_) => return Ok(Verdict::Right),
    };
    if let Some(fault) = verification.fault {
        return Err(format!("all is well, and verify says: {fault}"));
    }
    if verification.reasons.contains(&Reason::ProjectionDiffers) {
        return Err("all is well, and security.jsonl has other lines".to_owned());
    }
    Ok(Verdict::Right)
}

/// Whether an answer is made of the lines that are asked for, and of nothing else.
fn is_of_lines(kind: Kind) -> bool {
    use Kind::{Bundle, Count, Export, History, Lines, Stats, Tail};
    matches!(kind, Lines { .. } | Tail(_) | Count | Stats | History | Export | Bundle)
}

/// What `auditx verify` does not call broken is what was signed.
fn of_verify(base: &Base, directory: &Path, found: &Ended) -> Result<Verdict, String> {
    match found.status {
        Some(1) => return Ok(Verdict::Refused),
        Some(2) if complains(&found.err) => return Ok(Verdict::Refused),
        Some(0 | 3) => {}
        _ => return Err(format!("status {:?}", found.status)),
    }
    let text = |line: &Line| line.text.clone();
    let there: Vec<String> =
        lines(directory).iter().filter(|line| line.seq < base.signed).map(text).collect();
    let wanted: Vec<String> = base.signed_lines().map(text).collect();
    if there == wanted { Ok(Verdict::Right) } else { Err("other lines are called intact".to_owned()) }
}

fn difference(intact: &str, found: &str) -> String {
    let at = intact.lines().zip(found.lines()).take_while(|(one, other)| one == other).count();
    let line = |text: &str| text.lines().nth(at).map(|line| line.chars().take(160).collect::<String>());
    let (intact, found) = (line(intact), line(found));
    format!("line {at} of the output is {found:?}, and {intact:?} is wanted")
}
