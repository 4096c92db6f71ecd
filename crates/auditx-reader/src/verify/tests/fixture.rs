//! A trail of a real logger, signed with a key of the test, so that tests can forge signatures.

use std::fs;
use std::path::{Path, PathBuf};

use auditx_core::{AuditLogger, Compression, Config};
use auditx_store::{ACTIVE, AUDITX_DIR, checkpoint_history, checkpoint_path};
use auditx_tlog::{CompactRange, Hash, Signer, SigningKey, VerifierKey, leaf_of, parse_seq};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use tempfile::TempDir;

pub(super) use crate::sample::TIMEOUT;
use crate::sample::until_compressed;

use super::*;

pub(super) const ORIGIN: &str = "erp.example.com";

/// The kind and the line of a fault.
pub(super) type Found = (FaultKind, Option<u64>);

/// A trail in a directory that is removed on drop.
pub(super) struct Trail {
    directory: TempDir,
    pub(super) signing: SigningKey,
    pub(super) key: VerifierKey,
    /// The last checkpoint that the logger signed.
    pub(super) known: String,
}

impl Trail {
    /// One plain segment with `genesis`, `open`, `entries` entries and `close`, all signed.
    pub(super) fn of(entries: usize) -> Self {
        Self::with(
            &SigningKey::generate(),
            |config| config.compression(Compression::None),
            |logger| {
                (0..entries).for_each(|number| record(logger, number, 40));
            },
        )
    }

    /// A trail of several segments.
    pub(super) fn of_segments(compression: Compression) -> Self {
        let config = |config: Config| config.max_file_bytes(65_535).compression(compression);
        let trail = Self::with(&SigningKey::generate(), config, |logger| {
            (0..150).for_each(|number| record(logger, number, 2_000));
            if compression == Compression::Zstd {
                until_compressed(logger);
            }
        });
        if compression == Compression::Zstd {
            trail.compress();
        }
        assert!(trail.segments().len() >= 4, "{:?}", trail.segments());
        trail
    }

    pub(super) fn with(
        signing: &SigningKey,
        configure: impl FnOnce(Config) -> Config,
        work: impl FnOnce(&AuditLogger),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = configure(Config::new(directory.path()).origin(ORIGIN).signer(signing.clone()));
        let logger = AuditLogger::open(config).unwrap();
        let key = logger.verifier_key().unwrap();
        work(&logger);
        logger.close(TIMEOUT).unwrap();
        let known = logger.checkpoint().unwrap().to_string();
        Self { directory, signing: signing.clone(), key, known }
    }

    /// A copy of the trail in another directory.
    pub(super) fn copy(&self) -> Self {
        let directory = tempfile::tempdir().unwrap();
        copy_all(self.path(), directory.path());
        let Self { signing, key, known, .. } = self;
        Self { directory, signing: signing.clone(), key: key.clone(), known: known.clone() }
    }

    /// Opens the trail again.
    pub(super) fn reopen(&self) -> AuditLogger {
        let config = Config::new(self.path()).origin(ORIGIN).signer(self.signing.clone());
        AuditLogger::open(config.compression(Compression::None)).unwrap()
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(super) fn active(&self) -> Vec<u8> {
        fs::read(self.file(ACTIVE)).unwrap()
    }

    pub(super) fn set_active(&self, bytes: impl AsRef<[u8]>) {
        fs::write(self.file(ACTIVE), bytes).unwrap();
    }

    pub(super) fn lines(&self) -> Vec<String> {
        String::from_utf8(self.active()).unwrap().lines().map(str::to_owned).collect()
    }

    pub(super) fn set_lines(&self, lines: &[String]) {
        self.set_active(lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    }

    /// Changes the lines of the active segment.
    pub(super) fn edit(&self, edit: impl FnOnce(&mut Vec<String>)) {
        let mut lines = self.lines();
        edit(&mut lines);
        self.set_lines(&lines);
    }

    /// The names of the segments in order, the active one last.
    pub(super) fn segments(&self) -> Vec<String> {
        let names = fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        names.retain(|name| name.starts_with("audit") && name.contains(".jsonl"));
        // A hyphen sorts before a full stop.
        names.sort();
        names
    }

    pub(super) fn compress(&self) {
        for name in self.segments().iter().filter(|name| *name != ACTIVE && !name.ends_with(".zst")) {
            let packed = zstd::encode_all(&*fs::read(self.file(name)).unwrap(), 1).unwrap();
            fs::write(self.file(&format!("{name}.zst")), packed).unwrap();
            fs::remove_file(self.file(name)).unwrap();
        }
    }

    pub(super) fn own(&self, name: &str) -> PathBuf {
        self.path().join(AUDITX_DIR).join(name)
    }

    pub(super) fn checkpoint(&self) -> String {
        fs::read_to_string(checkpoint_path(self.path())).unwrap()
    }

    pub(super) fn set_checkpoint(&self, note: &str) {
        fs::write(checkpoint_path(self.path()), note).unwrap();
    }

    pub(super) fn remove_tiles(&self) {
        remove_directory(&self.own("tiles"));
    }

    pub(super) fn remove_history(&self) {
        remove_directory(&checkpoint_history(self.path()));
    }

    pub(super) fn options(&self) -> VerifyOptions {
        VerifyOptions::new().key(self.key.clone()).known(parsed(&self.known)).threads(2)
    }

    pub(super) fn verify(&self) -> Verification {
        self.verify_with(VerifyOptions::options_of(self))
    }

    /// Verifies the trail; the result must be the same for any number of threads and any chunk size.
    pub(super) fn verify_with(&self, options: impl Fn() -> VerifyOptions) -> Verification {
        let one = verify(self.path(), &options(), &mut |_, _| {}).unwrap();
        for (threads, chunk) in [(1, 1_024), (2, 300), (3, 64 * 1_024)] {
            let other = options().threads(threads).chunk(chunk);
            let other = verify(self.path(), &other, &mut |_, _| {}).unwrap();
            assert_eq!(json(&other), json(&one), "{threads} threads, chunks of {chunk} bytes");
        }
        one
    }

    /// The kind and line of the fault that verification must find.
    pub(super) fn found(&self) -> Found {
        let fault = self.fault();
        (fault.kind, fault.seq)
    }

    pub(super) fn fault(&self) -> Fault {
        let verification = self.verify();
        assert_eq!(verification.answer, Answer::Broken, "{verification:?}");
        verification.fault.unwrap()
    }

    /// The fault found without the tile cache.
    pub(super) fn found_without_tiles(&self) -> Found {
        let bare = self.copy();
        bare.remove_tiles();
        bare.found()
    }

    /// Signs the lines in the active segment, as the holder of the key could.
    pub(super) fn sign_again(&self) {
        let lines = self.lines();
        let root = root_of(&lines);
        self.set_checkpoint(&signed(&self.key, lines.len() as u64, &root, &[&self.signing]));
        self.remove_tiles();
        self.remove_history();
    }
}

impl VerifyOptions {
    fn options_of(trail: &Trail) -> impl Fn() -> Self {
        || trail.options()
    }
}

pub(super) fn json(verification: &Verification) -> String {
    serde_json::to_string_pretty(verification).unwrap()
}

pub(super) fn record(logger: &AuditLogger, number: usize, len: usize) {
    logger.log(format!("entry {number} {}", "x".repeat(len))).record().unwrap();
}

pub(super) fn parsed(note: &str) -> SignedCheckpoint {
    SignedCheckpoint::parse(note.as_bytes()).unwrap()
}

/// The same line with another number.
pub(super) fn renumbered(line: &str, seq: usize) -> String {
    let old = parse_seq(line.as_bytes()).unwrap();
    line.replacen(&format!("{{\"seq\":{old},"), &format!("{{\"seq\":{seq},"), 1)
}

/// Numbers all lines from 0 on.
pub(super) fn renumber(lines: &mut [String]) {
    lines.iter_mut().enumerate().for_each(|(seq, line)| *line = renumbered(line, seq));
}

pub(super) fn root_of(lines: &[String]) -> Hash {
    let mut tree = CompactRange::new(0);
    lines.iter().for_each(|line| tree.push(leaf_of(line.as_bytes()).unwrap().hash));
    tree.root().unwrap()
}

/// A checkpoint written by the test, under the name of this key.
pub(super) fn signed(key: &VerifierKey, size: u64, root: &Hash, signers: &[&SigningKey]) -> String {
    let head = format!("{}\n{size}\n{}\n", key.name(), BASE64_STANDARD.encode(root));
    let mut note = format!("{head}\n");
    for signer in signers {
        let id = VerifierKey::new(key.name(), &signer.public_key()).unwrap().id();
        let signature = signer.sign(head.as_bytes()).unwrap();
        let blob = BASE64_STANDARD.encode([&id.to_be_bytes(), signature.as_slice()].concat());
        note += &format!("\u{2014} {} {blob}\n", key.name());
    }
    note
}

fn remove_directory(directory: &Path) {
    if directory.exists() {
        fs::remove_dir_all(directory).unwrap();
    }
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}
