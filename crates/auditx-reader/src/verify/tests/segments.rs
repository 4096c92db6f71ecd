//! Whole segments deleted, renamed, swapped, replayed and damaged, and the tile cache.

use std::fs;
use std::os::unix::fs::symlink;

use auditx_core::Compression;
use auditx_store::ACTIVE;

use super::fixture::*;
use super::*;

use FaultKind::{Altered, Damaged, Inserted, Missing, NotAFile, Reordered, Truncated};

/// The number in a segment's name.
fn first_of(name: &str) -> u64 {
    name["audit-".len()..].split('.').next().unwrap().parse().unwrap()
}

/// Runs `check` on a plain and a compressed trail, with the names and first lines of the sealed segments.
fn each(mut check: impl FnMut(&Trail, &[(String, u64)])) {
    for compression in [Compression::None, Compression::Zstd] {
        let trail = Trail::of_segments(compression);
        let mut names = trail.segments();
        names.retain(|name| name != ACTIVE);
        let sealed: Vec<(String, u64)> =
            names.into_iter().map(|name| (name.clone(), first_of(&name))).collect();
        check(&trail, &sealed);
    }
}

/// The same fault with and without the tile cache.
#[track_caller]
fn both(trail: &Trail, kind: FaultKind, seq: u64) {
    assert_eq!(trail.found(), (kind, Some(seq)), "with the tile cache");
    assert_eq!(trail.found_without_tiles(), (kind, Some(seq)), "without the tile cache");
}

fn name_like(name: &str, seq: u64) -> String {
    name.replace(&format!("{:020}", first_of(name)), &format!("{seq:020}"))
}

#[test]
fn a_deleted_segment_is_missing_from_its_first_line() {
    each(|trail, sealed| {
        for (name, first) in sealed {
            let trail = trail.copy();
            fs::remove_file(trail.file(name)).unwrap();
            both(&trail, Missing, *first);
        }
    });
}

#[test]
fn a_deleted_active_segment_truncates_the_trail() {
    each(|trail, _| {
        let first: u64 = auditx_tlog::parse_seq(&trail.active()).unwrap();
        fs::remove_file(trail.file(ACTIVE)).unwrap();
        both(trail, Truncated, first);
    });
}

#[test]
fn a_renamed_segment_is_reordered() {
    each(|trail, sealed| {
        for seq in [sealed[1].1 + 3, sealed[2].1 + 3, 5_000] {
            let trail = trail.copy();
            let (name, first) = &sealed[1];
            fs::rename(trail.file(name), trail.file(&name_like(name, seq))).unwrap();
            both(&trail, Reordered, *first);
        }
        let (name, first) = &sealed[0];
        fs::rename(trail.file(name), trail.file(&name_like(name, 2))).unwrap();
        both(trail, Reordered, *first);
    });
}

#[test]
fn swapped_segments_are_reordered() {
    each(|trail, sealed| {
        for (one, other) in [(1, 2), (0, 1)] {
            let trail = trail.copy();
            let (one, other) = (&sealed[one], &sealed[other]);
            fs::rename(trail.file(&one.0), trail.file("aside")).unwrap();
            fs::rename(trail.file(&other.0), trail.file(&one.0)).unwrap();
            fs::rename(trail.file("aside"), trail.file(&other.0)).unwrap();
            both(&trail, Reordered, one.1);
        }
    });
}

#[test]
fn a_replayed_segment_is_inserted() {
    each(|trail, sealed| {
        let (name, _) = &sealed[0];
        let active: u64 = auditx_tlog::parse_seq(&trail.active()).unwrap();
        // Before the segment that begins there.
        for (seq, at) in [(sealed[1].1 + 1, sealed[2].1), (active, active), (active + 500, active)] {
            let trail = trail.copy();
            fs::copy(trail.file(name), trail.file(&name_like(name, seq))).unwrap();
            both(&trail, Inserted, at);
        }
        // Over another segment, whose lines are then missing.
        fs::copy(trail.file(name), trail.file(&sealed[2].0)).unwrap();
        both(trail, Missing, sealed[2].1);
    });
}

#[test]
fn a_segment_from_another_log_is_altered_from_its_first_line() {
    each(|trail, sealed| {
        let (name, first) = &sealed[1];
        let other = Trail::of_segments(Compression::None);
        let text: String = (*first..sealed[2].1)
            .map(|seq| format!("{{\"seq\":{seq},\"description\":\"of another log\"}}\n"))
            .collect();
        fs::remove_file(trail.file(name)).unwrap();
        fs::write(trail.file(name.trim_end_matches(".zst")), text).unwrap();
        assert_eq!(trail.found(), (Altered, Some(*first)));
        assert_eq!(trail.fault().offset, Some(0));
        // The first segment too, which begins with another genesis.
        let genesis = other.segments().remove(0);
        let mine = sealed[0].0.trim_end_matches(".zst");
        fs::remove_file(trail.file(&sealed[0].0)).unwrap();
        fs::copy(other.file(&genesis), trail.file(mine)).unwrap();
        assert_eq!(trail.found(), (Altered, Some(0)));
    });
}

#[test]
fn faults_in_a_sealed_segment_have_their_location() {
    let trail = Trail::of_segments(Compression::None);
    let name = &trail.segments()[1];
    let first = first_of(name);
    let whole = fs::read_to_string(trail.file(name)).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let offset = |line: usize| Some(lines[..line].iter().map(|line| line.len() as u64).sum());
    let check = |text: String, kind, line: usize| {
        fs::write(trail.file(name), text).unwrap();
        let fault = trail.fault();
        assert_eq!((fault.kind, fault.seq), (kind, Some(first + line as u64)), "{fault}");
        assert_eq!((fault.segment.as_ref(), fault.offset), (Some(name), offset(line)));
        fs::write(trail.file(name), &whole).unwrap();
    };
    check(whole.replace(lines[4], &lines[4].replace("entry", "forge")), Altered, 4);
    check(whole.replace(lines[0], &lines[0].replace("success", "failure")), Altered, 0);
    check(whole.replace(lines[4], ""), Missing, 4);
    check(whole.replace(lines[0], ""), Missing, 0);
    check(format!("\n{whole}"), Inserted, 0);
    let last = lines.len() - 1;
    check(whole.trim_end().to_owned(), Altered, last);
    check(whole[..whole.len() - 50].to_owned(), Altered, last);
    fs::write(trail.file(name), lines[..last].concat()).unwrap();
    both(&trail, Missing, first + last as u64);
    fs::write(trail.file(name), "").unwrap();
    both(&trail, Missing, first);
}

#[test]
fn a_compressed_segment_must_be_exactly_one_frame() {
    let trail = Trail::of_segments(Compression::Zstd);
    let sealed = trail.segments();
    let (name, first, next) = (&sealed[1], first_of(&sealed[1]), first_of(&sealed[2]));
    let whole = fs::read(trail.file(name)).unwrap();
    let text = zstd::decode_all(&*whole).unwrap();
    let check = |bytes: &[u8], seq: u64, offset: u64| {
        fs::write(trail.file(name), bytes).unwrap();
        let fault = trail.fault();
        assert_eq!((fault.kind, fault.seq), (Damaged, Some(seq)), "{fault}");
        assert_eq!((fault.segment.as_ref(), fault.offset), (Some(name), Some(offset)));
        fs::write(trail.file(name), &whole).unwrap();
    };
    let end = text.len() as u64;
    check(&[&*whole, b"trailing"].concat(), next, end);
    check(&[&*whole, &whole].concat(), next, end);
    check(&[&*whole, &zstd::encode_all(&b"{\"seq\":1,}\n"[..], 1).unwrap()].concat(), next, end);
    // A skippable frame.
    check(&[&*whole, &[0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9]].concat(), next, end);
    check(b"no frame", first, 0);
    check(b"", first, 0);
    check(&whole[..whole.len() / 2], first, 0);
    // Only the checksum is cut.
    check(&whole[..whole.len() - 1], next, end);
}

#[test]
fn links_fifos_and_directories_are_not_files() {
    each(|trail, sealed| {
        let (name, first) = &sealed[1];
        let elsewhere = tempfile::tempdir().unwrap();
        for (name, seq) in
            [(name.as_str(), *first), (ACTIVE, auditx_tlog::parse_seq(&trail.active()).unwrap())]
        {
            let path = trail.file(name);
            let check = || {
                let fault = trail.fault();
                assert_eq!((fault.kind, fault.seq), (NotAFile, Some(seq)), "{fault}");
                assert_eq!((fault.segment.as_deref(), fault.offset), (Some(name), None));
            };
            let aside = elsewhere.path().join("aside");
            fs::rename(&path, &aside).unwrap();
            symlink(&aside, &path).unwrap();
            check();
            fs::remove_file(&path).unwrap();
            assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
            check();
            fs::remove_file(&path).unwrap();
            fs::create_dir(&path).unwrap();
            check();
            fs::remove_dir(&path).unwrap();
            fs::rename(&aside, &path).unwrap();
        }
        assert_eq!(trail.verify().answer, Answer::Intact);
    });
}

#[test]
fn a_fault_before_a_damaged_segment_comes_first() {
    let trail = Trail::of_segments(Compression::None);
    let name = trail.segments()[0].clone();
    let text = fs::read_to_string(trail.file(&name)).unwrap();
    fs::write(trail.file(&name), text.replacen("entry 3 ", "entry 4 ", 1)).unwrap();
    let next = trail.segments()[1].clone();
    fs::remove_file(trail.file(&next)).unwrap();
    fs::create_dir(trail.file(&next)).unwrap();
    assert_eq!(trail.found(), (Altered, Some(5)));
    // The checkpoint at the end of the segment shows that there is a fault before it.
    assert_eq!(trail.found_without_tiles(), (Altered, Some(0)));
    trail.remove_history();
    assert_eq!(trail.found_without_tiles(), (NotAFile, Some(first_of(&next))));
}

#[test]
fn a_corrupt_or_missing_tile_cache_is_only_a_remark() {
    let trail = Trail::with(
        &auditx_tlog::SigningKey::generate(),
        |config| config.compression(Compression::None),
        |logger| (0..700).for_each(|number| record(logger, number, 10)),
    );
    let remarks = |trail: &Trail| {
        let verification = trail.verify();
        assert_eq!(verification.answer, Answer::Intact, "{verification:?}");
        let remarks = verification.remarks.into_iter();
        remarks.map(|remark| (remark.kind, remark.seq)).collect::<Vec<_>>()
    };
    assert_eq!(remarks(&trail), []);
    for (file, at, seq) in [("0", 5 * 32 + 7, Some(5)), ("0", 699 * 32, Some(699)), ("1", 3, None)] {
        let trail = trail.copy();
        let path = trail.own("tiles").join(file);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(remarks(&trail), [(RemarkKind::WrongTiles, seq)], "{file}");
    }
    let short = trail.copy();
    let path = short.own("tiles").join("0");
    fs::write(&path, &fs::read(&path).unwrap()[..300 * 32 + 5]).unwrap();
    assert_eq!(remarks(&short), [(RemarkKind::WrongTiles, Some(300))]);
    trail.remove_tiles();
    assert_eq!(remarks(&trail), [(RemarkKind::WrongTiles, None)]);
}

#[test]
fn a_forged_tile_cache_blames_no_other_line() {
    // An attacker who alters line 4 may alter its cached hash too. The cache then does not lead to the signed
    // root and is not used.
    let trail = Trail::of(10);
    trail.edit(|lines| lines[4] = lines[4].replace("entry", "forge"));
    let path = trail.own("tiles").join("0");
    let mut bytes = fs::read(&path).unwrap();
    bytes[4 * 32..5 * 32].copy_from_slice(&auditx_tlog::leaf_hash(trail.lines()[4].as_bytes()));
    fs::write(&path, &bytes).unwrap();
    assert_eq!(trail.found(), (Altered, Some(0)));
    // Or the hash of another line, to blame an unchanged line.
    bytes[2 * 32] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(trail.found(), (Altered, Some(0)));
}
