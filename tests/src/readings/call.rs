//! Calls of reading commands.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zip::ZipArchive;

use super::trails::Base;
use super::wanted::Wanted;
use crate::deadline::wait_for;
use crate::random::Random;

/// What the surroundings of the tests say is not for the command.
const VARIABLES: [&str; 5] =
    ["AUDITX_LOG_DIR", "AUDITX_INSTANCE", "AUDITX_COMPRESSION", "AUDITX_RETENTION", "AUDITX_SIGNING_KEY"];

/// What comes of a call, so far as it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lines as they are stored, in some order.
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
    /// An object a line.
    Export,
    Bundle,
    Proof(u64),
    Consistency,
    Checkpoint,
    Key,
    Verify,
    Doctor,
}

/// A call of a command that reads.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) kind: Kind,
    pub(super) wanted: Wanted,
    pub(super) words: Vec<String>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) status: Option<i32>,
    /// Of a bundle its entries and what it says of the period.
    pub(super) out: String,
    pub(super) err: String,
    /// The proofs in a bundle, by the numbers of their lines.
    pub(super) proofs: Vec<(u64, String)>,
}

impl Call {
    /// Something to ask of this trail.
    pub(super) fn random(random: &mut Random, base: &Base) -> Self {
        let wanted = Wanted::random(random, base);
        let seq = random.one_of(&base.lines).seq;
        let number = random.below(20);
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let (kind, mut said): (Kind, Vec<String>) = match number {
            0..6 => Self::lines(random, seq),
            _ if wanted.is_of_query() => Self::lines(random, seq),
            6 => (Kind::Count, words(&["query", "--count"])),
            7 => (Kind::Stats, words(&["stats", "--json", "--by", "user"])),
            8 => (Kind::Export, words(&["export", "--format", "ecs"])),
            9 => (Kind::Bundle, words(&["bundle"])),
            10 | 11 if wanted.is_of_tail() => {
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
        said.extend(wanted.words());
        if !matches!(kind, Kind::Tail(_)) {
            match random.below(8) {
                0 => said.push("--no-index".into()),
                1 => said.push("--strict".into()),
                2 => said.extend(["--threads".into(), "1".into()]),
                _ => {}
            }
        }
        Self { kind, wanted, words: said }
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

    /// One call of each command.
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

    /// Runs the command to its end. What it writes goes to `scratch`.
    pub(super) fn run(&self, base: &Base, directory: &Path, mut command: Command, scratch: &Path) -> Ended {
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
        let mut ended = ended(&mut command, scratch);
        if self.kind == Kind::Bundle {
            ended.out = String::new();
            unpack(&archive, &mut ended);
        }
        ended
    }
}

/// Runs it to its end, which must come: a FIFO, say, is not waited for.
fn ended(command: &mut Command, scratch: &Path) -> Ended {
    let [out, err] = ["out", "err"].map(|name| scratch.join(name));
    let file = |path: &PathBuf| File::create(path).expect("a file for what it says");
    let child = command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).spawn();
    let mut child = child.expect("the command starts");
    let status = wait_for("the end of a reading command", || child.try_wait().expect("our own child"));
    let said = |path| String::from_utf8(fs::read(path).expect("what it said")).expect("UTF-8");
    Ended { status: status.code(), out: said(out), err: said(err), proofs: Vec::new() }
}

/// What the archive holds, if there is one.
fn unpack(archive: &Path, ended: &mut Ended) {
    let Ok(file) = File::open(archive) else { return };
    let mut archive = ZipArchive::new(file).expect("an archive is whole");
    for at in 0..archive.len() {
        let mut member = archive.by_index(at).expect("a member of the archive");
        let mut text = String::new();
        member.read_to_string(&mut text).expect("a member is text");
        let name = member.name().expect("a name that is text").into_owned();
        if name == "entries.jsonl" {
            ended.out.push_str(&text);
        } else if name == "manifest.json" {
            let manifest: serde_json::Value = serde_json::from_str(&text).expect("a manifest");
            ended.out.push_str(&manifest["range"].to_string());
        } else if let Some(seq) = name.strip_prefix("proofs/") {
            let seq = seq.strip_suffix(".tlog-proof").and_then(|seq| seq.parse().ok());
            ended.proofs.push((seq.expect("a proof is named by its line"), text));
        }
    }
}
