//! Proofs of trails that a logger wrote: sealed, compressed, without tile cache, with parts retired, erased
//! and altered.

use std::fs;
use std::path::PathBuf;

use auditx_core::{AuditLogger, Cadence, Compression, Config, KeySource, Retention};
use auditx_store::{AUDITX_DIR, checkpoint_history, sealed_segments};
use auditx_tlog::{Signer, SigningKey, VerifierKey};
use tempfile::TempDir;

use super::*;
use crate::keys::recorded_keys;
use crate::sample::{TIMEOUT, until_compressed};

struct Trail {
    directory: TempDir,
    logger: AuditLogger,
    key: VerifierKey,
}

impl Trail {
    /// A trail with `entries` entries of two thousand bytes, in the smallest segments allowed.
    fn of(entries: usize, compression: Compression) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let logger = opened(directory.path(), compression);
        let key = logger.verifier_key().unwrap();
        let trail = Self { directory, logger, key };
        trail.record(entries);
        trail.logger.flush(TIMEOUT).unwrap();
        trail
    }

    fn record(&self, entries: usize) {
        for number in 0..entries {
            self.logger.log(format!("entry {number} {}", "x".repeat(2_000))).record().unwrap();
        }
    }

    /// Closes the trail once every sealed segment is compressed.
    fn closed_compressed(self) -> Self {
        until_compressed(&self.logger);
        self.closed()
    }

    fn closed(self) -> Self {
        self.logger.close(TIMEOUT).unwrap();
        self
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn tiles(&self) -> PathBuf {
        self.path().join(AUDITX_DIR).join("tiles")
    }

    fn size(&self) -> u64 {
        latest_checkpoint(self.path()).unwrap().size()
    }

    /// Proves a line and checks the proof as its recipient would.
    #[track_caller]
    fn proves(&self, seq: u64) -> InclusionProof {
        let text = prove(self.path(), seq).unwrap().to_string();
        let proof = InclusionProof::parse(text.as_bytes()).unwrap();
        assert_eq!(proof.index(), seq);
        proof.check(std::slice::from_ref(&self.key)).unwrap();
        proof
    }

    fn refuses(&self, seq: u64) -> Error {
        prove(self.path(), seq).unwrap_err()
    }

    /// Changes one byte of this line, in a plain segment.
    fn alter(&self, seq: u64) {
        let line = find_unchecked(self.path(), seq).unwrap().unwrap();
        let mut bytes = fs::read(line.path()).unwrap();
        let at = usize::try_from(line.offset()).unwrap() + line.bytes().len() - 20;
        bytes[at] ^= 1;
        fs::write(line.path(), bytes).unwrap();
    }
}

fn opened(directory: &Path, compression: Compression) -> AuditLogger {
    let config = Config::new(directory).max_file_bytes(65_535).compression(compression);
    AuditLogger::open(config.checkpoints(Cadence::new(TIMEOUT, 1_000_000))).unwrap()
}

#[test]
fn every_line_is_proved_with_and_without_the_tile_cache() {
    let trail = Trail::of(300, Compression::Zstd).closed_compressed();
    assert!(sealed_segments(trail.path()).unwrap().iter().any(|segment| segment.compressed));
    let size = trail.size();
    assert!(size > 300);
    for seq in 0..size {
        let proof = trail.proves(seq);
        assert!(!proof.is_erased() && proof.line().starts_with(format!("{{\"seq\":{seq},").as_bytes()));
    }
    let by_cache = trail.proves(5).to_string();
    fs::remove_dir_all(trail.tiles()).unwrap();
    for seq in (0..size).step_by(37).chain([1, 2, size - 2, size - 1]) {
        trail.proves(seq);
    }
    assert_eq!(trail.proves(5).to_string(), by_cache);
}

#[test]
fn a_wrong_tile_cache_is_not_used() {
    let trail = Trail::of(300, Compression::None).closed();
    let leaves = trail.tiles().join("0");
    let good = fs::read(&leaves).unwrap();
    let mut bad = good.clone();
    bad.iter_mut().for_each(|byte| *byte ^= 0x55);
    for bytes in [&bad[..], &good[..good.len() / 2], b""] {
        fs::write(&leaves, bytes).unwrap();
        for seq in [0, 100, 255, 256, trail.size() - 1] {
            trail.proves(seq);
        }
    }
}

#[test]
fn lines_left_after_retention_are_proved() {
    for entries in [100, 130, 257, 300] {
        let trail = Trail::of(entries, Compression::None);
        trail.logger.flush(TIMEOUT).unwrap();
        let retired = trail.logger.retire(Retention::BackupCount(1)).unwrap();
        assert!(!retired.segments.is_empty());
        let trail = trail.closed();
        let first = sealed_segments(trail.path()).unwrap()[0].first_seq;
        let error = trail.refuses(first - 1);
        assert!(error.is_missing(), "{error}");
        assert!(error.to_string().contains(&format!("begins with line {first}")), "{error}");

        (first..trail.size()).for_each(|seq| drop(trail.proves(seq)));
        fs::remove_dir_all(trail.tiles()).unwrap();
        for seq in (first..trail.size()).step_by(7).chain([trail.size() - 1]) {
            trail.proves(seq);
        }
    }
}

#[test]
fn consistency_with_a_retired_size_needs_the_tile_cache() {
    let trail = Trail::of(300, Compression::None);
    trail.logger.flush(TIMEOUT).unwrap();
    trail.logger.retire(Retention::BackupCount(1)).unwrap();
    let trail = trail.closed();
    let sizes = fs::read_dir(checkpoint_history(trail.path())).unwrap();
    let oldest =
        sizes.map(|kept| kept.unwrap().file_name().into_string().unwrap().parse::<u64>().unwrap()).min();
    let oldest = fs::read(checkpoint_history(trail.path()).join(oldest.unwrap().to_string())).unwrap();
    let proved = || {
        let older = SignedCheckpoint::parse(&oldest).unwrap();
        prove_consistency(trail.path(), older, latest_checkpoint(trail.path()).unwrap())
    };
    proved().unwrap();
    fs::remove_dir_all(trail.tiles()).unwrap();
    let error = proved().unwrap_err();
    assert!(error.is_missing() && error.to_string().contains("were retired"), "{error}");
}

#[test]
fn a_missing_beginning_does_not_count_as_retired() {
    let trail = Trail::of(100, Compression::None).closed();
    let first = &sealed_segments(trail.path()).unwrap()[0];
    fs::remove_file(&first.path).unwrap();
    trail.proves(trail.size() - 1);
    fs::remove_dir_all(trail.tiles()).unwrap();
    let error = trail.refuses(trail.size() - 1);
    assert!(error.to_string().contains("no record says that they were retired"), "{error}");
}

#[test]
fn an_erased_line_and_its_neighbours_are_proved() {
    let trail = Trail::of(100, Compression::Zstd);
    for seq in [7, 101] {
        trail.logger.erase(seq, "asked for").unwrap();
    }
    let trail = trail.closed();
    for has_cache in [true, false] {
        for seq in [6, 7, 8, 100, 101, trail.size() - 1] {
            assert_eq!(trail.proves(seq).is_erased(), [7, 101].contains(&seq), "{seq}");
        }
        if has_cache {
            fs::remove_dir_all(trail.tiles()).unwrap();
        }
    }
}

#[test]
fn an_altered_line_does_not_prevent_proofs_of_its_neighbours() {
    let trail = Trail::of(100, Compression::None).closed();
    trail.alter(40);
    let error = trail.refuses(40);
    assert!(error.is_corrupt() && error.to_string().starts_with("line 40 cannot be proved"), "{error}");
    assert!(
        error.to_string().contains("auditx verify") && error.path().is_some() && error.offset().is_some()
    );
    trail.proves(41);
    fs::remove_dir_all(trail.tiles()).unwrap();
    let error = trail.refuses(41);
    assert!(error.is_corrupt() && error.to_string().contains("line 41"), "{error}");
}

#[test]
fn missing_and_moved_lines_are_named() {
    let trail = Trail::of(20, Compression::None).closed();
    let active = trail.path().join(auditx_store::ACTIVE);
    let lines = fs::read_to_string(&active).unwrap();
    let without_10: String = lines
        .lines()
        .filter(|line| !line.starts_with("{\"seq\":10,"))
        .fold(String::new(), |text, line| text + line + "\n");
    fs::write(&active, &without_10).unwrap();
    let error = trail.refuses(10);
    assert!(
        error.is_corrupt() && error.to_string().contains("line 10 was signed, but is missing"),
        "{error}"
    );
    fs::remove_dir_all(trail.tiles()).unwrap();
    let error = trail.refuses(11);
    assert!(error.to_string().contains("found line 11 where line 10 is expected"), "{error}");

    let cut: String = lines.lines().take(15).fold(String::new(), |text, line| text + line + "\n");
    fs::write(&active, cut).unwrap();
    let error = trail.refuses(3);
    assert!(error.to_string().contains("the trail ends before line 15"), "{error}");
}

#[test]
fn unsigned_and_absent_lines_have_no_proof() {
    let trail = Trail::of(10, Compression::None).closed();
    let size = trail.size();
    for seq in [size, size + 100, u64::MAX] {
        let error = trail.refuses(seq);
        assert!(error.is_missing() && error.to_string().contains("not signed yet"), "{error}");
    }
    trail.proves(size - 1);

    let none = prove(&trail.path().join("none"), 0).unwrap_err();
    assert!(none.is_missing() && none.to_string().contains("no such directory"), "{none}");
    fs::remove_file(checkpoint_path(trail.path())).unwrap();
    let error = trail.refuses(0);
    assert!(error.is_missing() && error.to_string().contains("no checkpoint"), "{error}");
}

#[test]
fn a_malformed_or_oversized_checkpoint_is_an_error() {
    let trail = Trail::of(5, Compression::None).closed();
    let path = checkpoint_path(trail.path());
    let note = fs::read_to_string(&path).unwrap();
    let size = trail.size();
    for wrong in [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, 1 << 62, size + 1, 4] {
        fs::write(&path, note.replace(&format!("\n{size}\n"), &format!("\n{wrong}\n"))).unwrap();
        for seq in [0, 3] {
            assert!(trail.refuses(seq).is_corrupt(), "{wrong} {seq}");
        }
    }
    fs::write(&path, "nonsense").unwrap();
    let error = trail.refuses(0);
    assert!(error.is_corrupt() && error.path() == Some(&*path), "{error}");
}

#[test]
fn consistency_is_proved_between_any_two_checkpoints() {
    let trail = Trail::of(40, Compression::None);
    let notes = || trail.logger.checkpoint().unwrap();
    let mut kept = vec![notes()];
    for _ in 0..3 {
        trail.record(60);
        kept.push(notes());
    }
    let trail = trail.closed();
    kept.push(latest_checkpoint(trail.path()).unwrap());
    let keys = std::slice::from_ref(&trail.key);
    for has_cache in [true, false] {
        for (index, newer) in kept.iter().enumerate() {
            for older in &kept[..=index] {
                let made = prove_consistency(trail.path(), older.clone(), newer.clone());
                let text = made.unwrap().to_string();
                ConsistencyProof::parse(text.as_bytes()).unwrap().check(keys).unwrap();
            }
        }
        if has_cache {
            fs::remove_dir_all(trail.tiles()).unwrap();
        }
    }
    let [first, .., last] = &kept[..] else { panic!("several checkpoints") };
    let backwards = prove_consistency(trail.path(), last.clone(), first.clone()).unwrap_err();
    assert!(backwards.is_invalid(), "{backwards}");
    let other = Trail::of(50, Compression::None).closed();
    let theirs = latest_checkpoint(other.path()).unwrap();
    let foreign = prove_consistency(trail.path(), first.clone(), theirs).unwrap_err();
    assert!(foreign.is_invalid() && foreign.to_string().contains("different logs"), "{foreign}");

    // Lines before the older checkpoint do not affect the proof.
    trail.alter(first.size() + 1);
    let error = prove_consistency(trail.path(), first.clone(), last.clone()).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("auditx verify"), "{error}");
}

#[test]
fn a_checkpoint_that_no_key_of_the_trail_signed_is_refused() {
    let trail = Trail::of(5, Compression::None).closed();
    let known = latest_checkpoint(trail.path()).unwrap();
    let stranger = Trail::of(5, Compression::None).closed();
    // This trail's tree head with another trail's signature.
    let signature = |trail: &Trail| {
        let note = fs::read_to_string(checkpoint_path(trail.path())).unwrap();
        note.trim_end().rsplit(' ').next().unwrap().to_owned()
    };
    let note = fs::read_to_string(checkpoint_path(trail.path())).unwrap();
    let (own, other) = (signature(&trail), signature(&stranger));
    let forged = note.replace(&own, &[&own[..6], &other[6..]].concat());
    fs::write(checkpoint_path(trail.path()), &forged).unwrap();
    let forged = SignedCheckpoint::parse(forged.as_bytes()).unwrap();
    let refusals = [
        (prove(trail.path(), 3).map(drop), "its signature"),
        (Prover::open(trail.path()).map(drop), "its signature"),
        (prove_consistency(trail.path(), known.clone(), forged).map(drop), "not signed with a key"),
    ];
    for (refusal, why) in refusals {
        let error = refusal.unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains(why), "{error}");
    }
}

/// Changes the signature of the latest checkpoint, and of the copy that is kept, which would be taken instead.
fn damage_signature(directory: &Path) {
    let latest = fs::read_to_string(checkpoint_path(directory)).unwrap();
    let at = latest.trim_end().len() - 20;
    let letter = if latest.as_bytes()[at] == b'A' { "B" } else { "A" };
    let damaged = [&latest[..at], letter, &latest[at + 1..]].concat();
    let size = latest_checkpoint(directory).unwrap().size();
    for path in [checkpoint_path(directory), checkpoint_history(directory).join(size.to_string())] {
        fs::write(path, &damaged).unwrap();
    }
}

#[test]
fn a_damaged_signature_is_refused_although_the_records_that_named_the_key_were_retired() {
    let trail = Trail::of(300, Compression::None);
    trail.logger.flush(TIMEOUT).unwrap();
    trail.logger.retire(Retention::BackupCount(1)).unwrap();
    let trail = trail.closed();
    assert_eq!(recorded_keys(trail.path()).unwrap(), []);
    damage_signature(trail.path());
    let error = Prover::open(trail.path()).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("not signed with a key"), "{error}");
}

#[test]
fn a_damaged_signature_is_refused_although_verification_ends_before_the_key() {
    let trail = Trail::of(5, Compression::None).closed();
    damage_signature(trail.path());
    let active = trail.path().join("audit.jsonl");
    fs::copy(&active, trail.path().join("audit-00000000000000001457.jsonl")).unwrap();
    let error = Prover::open(trail.path()).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("not signed with a key"), "{error}");
}

#[test]
fn a_key_that_only_the_copy_of_a_control_record_names_is_refused() {
    let trail = Trail::of(5, Compression::None).closed();
    let known = latest_checkpoint(trail.path()).unwrap();
    let forger = SigningKey::generate();
    let own_key = &recorded_keys(trail.path()).unwrap()[0].key;
    let forged_key = VerifierKey::new(own_key.name(), &Signer::public_key(&forger)).unwrap();
    let control = trail.path().join(".auditx/control.jsonl");
    let copies = fs::read_to_string(&control).unwrap();
    fs::write(&control, copies.replace(&own_key.to_string(), &forged_key.to_string())).unwrap();
    let signed = SignedCheckpoint::sign(known.origin(), known.size(), known.root(), &[&forger]).unwrap();
    assert!(signed.verify(&[forged_key]).is_ok());
    let error = prove_consistency(trail.path(), known, signed).map(drop).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("not signed with a key"), "{error}");
}

#[test]
fn the_key_that_replaced_another_is_found_as_the_signer() {
    let trail = Trail::of(5, Compression::None);
    let change = trail.logger.rotate_key(&KeySource::Trail).unwrap();
    let trail = trail.closed();
    let latest = latest_checkpoint(trail.path()).unwrap();
    assert_eq!(recorded_signer(trail.path(), &latest).unwrap(), Some(change.new));
}
