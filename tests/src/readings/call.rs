//! Runs reading commands.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zip::ZipArchive;

use super::trails::Base;
use super::wanted::Wanted;
use crate::deadline::wait_for;
use crate::random::Random;

/// Variables of the test's environment that the command must not see.
const VARIABLES: [&str; 5] =
    ["AUDITX_LOG_DIR", "AUDITX_INSTANCE", "AUDITX_COMPRESSION", "AUDITX_RETENTION", "AUDITX_SIGNING_KEY"];

/// A kind of command, with the arguments that determine its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Stored lines, in the given order.
    Lines {
        newest_first: bool,
        limit: Option<usize>,
        after: Option<u64>,
    },
    /// The last lines.
    Tail(usize),
    Count,
    Stats,
    History,
    /// One JSON object per line.
    Export,
    Bundle,
    Proof(u64),
    Consistency,
    Checkpoint,
    Key,
    Verify,
    Doctor,
}

/// A reading command with its arguments.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) wanted: Wanted,
    pub(super) words: Vec<String>,
}

/// The result of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) status: Option<i32>,
    /// Standard output; for a bundle its entries and the range in its manifest.
    pub(super) out: String,
    pub(super) err: String,
    /// The proofs in a bundle, with the seqs of their lines.
    pub(super) proofs: Vec<(u64, String)>,
}

impl Call {
    /// Returns a random command for this trail.
    pub(super) fn random(random: &mut Random, base: &Base) -> Self {
        let wanted = Wanted::random(random, base);
        let seq = random.one_of(&base.lines).seq;
        let number = random.below(20);
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let (kind, mut arguments): (Kind, Vec<String>) = match number {
            0..6 => Self::lines(random, seq),
            _ if wanted.is_for_query_only() => Self::lines(random, seq),
            6 => (Kind::Count, words(&["query", "--count"])),
            7 => (Kind::Stats, words(&["stats", "--json", "--by", "user"])),
            8 => (Kind::Export, words(&["export", "--format", "ecs"])),
            9 => (Kind::Bundle, words(&["bundle"])),
            10 | 11 if wanted.is_for_tail() => {
                let count = 1 + random.index(60);
                (Kind::Tail(count), vec!["tail".into(), "-n".into(), count.to_string()])
            }
            12 => return Self::history(random.below(25)),
            13 => return Self::plain(Kind::Checkpoint, &["checkpoint"]),
            14 => return Self::plain(Kind::Key, &["key", "show"]),
            15 => return Self::plain(Kind::Consistency, &["prove", "--consistency"]),
            16 => return Self::plain(Kind::Doctor, &["doctor"]),
            17 => return Self::plain(Kind::Verify, &["verify"]),
            _ => return Self::plain(Kind::Proof(seq), &["prove", &seq.to_string()]),
        };
        arguments.extend(wanted.words());
        if !matches!(kind, Kind::Tail(_)) {
            match random.below(8) {
                0 => arguments.push("--no-index".into()),
                1 => arguments.push("--strict".into()),
                2 => arguments.extend(["--threads".into(), "1".into()]),
                _ => {}
            }
        }
        Self { kind, wanted, words: arguments }
    }

    fn plain(kind: Kind, words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Self { kind, wanted: Wanted::Everything, words }
    }

    fn history(customer: u64) -> Self {
        let id = format!("C-{customer}");
        let words = vec!["history".into(), "--json".into(), format!("customer/{id}")];
        Self { kind: Kind::History, wanted: Wanted::Customer(id), words }
    }

    /// Returns one call of each command.
    pub(super) fn of_each_command(base: &Base) -> Vec<Self> {
        let seq = base.lines[base.lines.len() / 3].seq.to_string();
        let lines = Kind::Lines { newest_first: false, limit: None, after: None };
        [
            (lines, &["query"][..]),
            (Kind::Count, &["query", "--count"]),
            (Kind::Stats, &["stats", "--json", "--by", "user"]),
            (Kind::Export, &["export", "--format", "ecs"]),
            (Kind::Bundle, &["bundle"]),
            (Kind::Tail(30), &["tail", "-n", "30"]),
            (Kind::Checkpoint, &["checkpoint"]),
            (Kind::Key, &["key", "show"]),
            (Kind::Consistency, &["prove", "--consistency"]),
            (Kind::Verify, &["verify"]),
            (Kind::Doctor, &["doctor"]),
            (Kind::Proof(base.lines[base.lines.len() / 3].seq), &["prove", &seq]),
        ]
        .map(|(kind, words)| Self::plain(kind, words))
        .into_iter()
        .chain([Self::history(7)])
        .collect()
    }

    fn lines(random: &mut Random, seq: u64) -> (Kind, Vec<String>) {
        let newest_first = random.below(2) == 0;
        let limit = (random.below(2) == 0).then(|| 1 + random.index(200));
        let after = (random.below(4) == 0).then_some(seq);
        let mut words = vec!["query".into(), "-o".into(), random.one_of(&["raw", "ndjson"]).to_string()];
        if newest_first {
            words.extend(["--order".into(), "desc".into()]);
        }
        words.extend(limit.iter().flat_map(|limit| ["--limit".into(), limit.to_string()]));
        words.extend(after.iter().flat_map(|after| ["--after".into(), format!("seq:{after}")]));
        (Kind::Lines { newest_first, limit, after }, words)
    }

    /// Runs the command to its end. Its output files are in `scratch`.
    pub(super) fn run(&self, base: &Base, directory: &Path, mut command: Command, scratch: &Path) -> Output {
        let archive = scratch.join("bundle.zip");
        drop(fs::remove_file(&archive));
        for name in VARIABLES {
            command.env_remove(name);
        }
        command.args(&self.words);
        match self.kind {
            Kind::Consistency => {
                command.arg(&base.note);
            }
            Kind::Bundle => {
                command.arg("-o").arg(&archive);
            }
            Kind::Verify => {
                for key in &base.keys {
                    command.arg("--key").arg(key.to_string());
                }
                command.arg("--known").arg(&base.note);
            }
            _ => {}
        }
        command.arg("--dir").arg(directory);
        let mut output = run(&mut command, scratch);
        if self.kind == Kind::Bundle {
            output.out = String::new();
            unpack(&archive, &mut output);
        }
        output
    }
}

/// Runs the command to its end. A command that hangs, for example on a FIFO, fails the test.
fn run(command: &mut Command, scratch: &Path) -> Output {
    let [out, err] = ["out", "err"].map(|name| scratch.join(name));
    let file = |path: &PathBuf| File::create(path).expect("the output file can be created");
    let child = command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).spawn();
    let mut child = child.expect("the command starts");
    let status =
        wait_for("a reading command to end", || child.try_wait().expect("a child can be waited for"));
    let text = |path| String::from_utf8(fs::read(path).expect("the output file")).expect("UTF-8");
    Output { status: status.code(), out: text(out), err: text(err), proofs: Vec::new() }
}

/// Reads entries, range and proofs from the archive, if it exists.
fn unpack(archive: &Path, output: &mut Output) {
    let Ok(file) = File::open(archive) else { return };
    let mut archive = ZipArchive::new(file).expect("an archive is whole");
    for at in 0..archive.len() {
        let mut member = archive.by_index(at).expect("a member of the archive");
        let mut text = String::new();
        member.read_to_string(&mut text).expect("a member is text");
        let name = member.name().expect("a name that is text").into_owned();
        if name == "entries.jsonl" {
            output.out.push_str(&text);
        } else if name == "manifest.json" {
            let manifest: serde_json::Value = serde_json::from_str(&text).expect("a manifest");
            output.out.push_str(&manifest["range"].to_string());
        } else if let Some(seq) = name.strip_prefix("proofs/") {
            let seq = seq.strip_suffix(".tlog-proof").and_then(|seq| seq.parse().ok());
            output.proofs.push((seq.expect("a proof is named by its line"), text));
        }
    }
}
