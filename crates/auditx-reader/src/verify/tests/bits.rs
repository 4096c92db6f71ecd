//! Flips every single bit of a small trail and of its checkpoint.

use super::fixture::*;
use super::*;

fn fault_of(trail: &Trail, what: &str) -> Fault {
    let verification = verify(trail.path(), &trail.options().threads(1), &mut |_, _| {}).unwrap();
    assert_eq!(verification.answer, Answer::Broken, "{what}");
    verification.fault.unwrap()
}

#[test]
fn flipping_any_bit_of_a_line_alters_that_line() {
    let trail = Trail::of(0);
    let whole = trail.active();
    let mut seq = 0;
    let newlines = whole.iter().filter(|byte| **byte == b'\n').count() as u64;
    for (at, byte) in whole.iter().enumerate() {
        for bit in 0..8 {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << bit;
            trail.set_active(&flipped);
            let what = format!("bit {bit} of byte {at}, in line {seq}");
            let fault = fault_of(&trail, &what);
            // Without its newline, the last line is incomplete.
            let is_last_newline = at == whole.len() - 1;
            let kind = if is_last_newline { FaultKind::Truncated } else { FaultKind::Altered };
            assert_eq!((fault.kind, fault.seq), (kind, Some(seq)), "{what}: {fault}");
        }
        seq += u64::from(*byte == b'\n');
    }
    assert_eq!(seq, newlines);
}

#[test]
fn a_flipped_bit_is_found_without_the_tile_cache() {
    let trail = Trail::of(1);
    trail.remove_tiles();
    let whole = trail.active();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        trail.set_active(&flipped);
        fault_of(&trail, &format!("byte {at}"));
    }
}

#[test]
fn flipping_any_bit_of_the_checkpoint_is_found() {
    let trail = Trail::of(1);
    let note = trail.checkpoint().into_bytes();
    let path = auditx_store::checkpoint_path(trail.path());
    for at in 0..note.len() * 8 {
        let mut flipped = note.clone();
        flipped[at / 8] ^= 1 << (at % 8);
        std::fs::write(&path, flipped).unwrap();
        let fault = fault_of(&trail, &format!("bit {at}"));
        let kinds = [
            FaultKind::MalformedCheckpoint,
            FaultKind::BadSignature,
            FaultKind::WrongKey,
            FaultKind::ForeignLog,
        ];
        assert!(kinds.contains(&fault.kind), "bit {at}: {fault:?}");
    }
}

#[test]
fn a_flipped_bit_is_found_without_a_pinned_key() {
    let trail = Trail::of(0);
    let whole = trail.active();
    let (mut seq, options) = (0, VerifyOptions::new().threads(1));
    for (at, byte) in whole[..whole.len() - 1].iter().enumerate() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        trail.set_active(&flipped);
        let fault = verify(trail.path(), &options, &mut |_, _| {}).unwrap().fault.unwrap();
        assert_eq!((fault.kind, fault.seq), (FaultKind::Altered, Some(seq)), "byte {at}: {fault}");
        seq += u64::from(*byte == b'\n');
    }
}
