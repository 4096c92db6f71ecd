//! Checks the files of a trail as files: their types, owners and modes, and leftovers.

use std::fs::{self, DirEntry, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use auditx_store::AUDITX_DIR;

use crate::file::compressed_name;
use crate::file::kind_of;

use super::Inspection;
use super::finding::{Finding, FindingKind, Findings};

const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;
/// Keys are readable by their owner only.
const PRIVATE_FILE_MODE: u32 = 0o600;
const PRIVATE_DIRECTORY_MODE: u32 = 0o700;

const PERMISSIONS: u32 = 0o777;

/// The subdirectories of `.auditx`.
const OWN_DIRECTORIES: [&str; 4] = ["cursors", "checkpoints", "tiles", "index"];
const KEYS: &str = "keys";

/// The role of a file in a trail's directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Segment,
    TornFile,
    Temporary,
    /// security.jsonl, app.log and what `.auditx` holds.
    Other,
    Foreign,
}

/// Checks the directory, its `.auditx` and the directories in it. `is_quiet` if no process writes the trail:
/// only then are unfinished files leftovers.
pub(super) fn check(directory: &Path, is_quiet: bool, inspection: &mut Inspection, findings: &mut Findings) {
    let owner = fs::metadata(directory).ok().map(|metadata| metadata.uid());
    let is_trail = inspection.is_trail();
    let own = directory.join(AUDITX_DIR);
    let mut check = Check { findings, owner, is_quiet };
    if is_trail {
        check.directory(directory, DIRECTORY_MODE);
    }
    for entry in entries(directory) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let role = role_of(&name);
        if role == Role::Foreign {
            if entry.path().join(AUDITX_DIR).join("trail.json").is_file() {
                inspection.trails_below.push(name);
            }
        } else if is_trail {
            check.file(&entry, role, FILE_MODE);
        }
    }
    inspection.trails_below.sort();
    check.own_directory(&own, DIRECTORY_MODE, FILE_MODE);
    for name in OWN_DIRECTORIES {
        check.own_directory(&own.join(name), DIRECTORY_MODE, FILE_MODE);
    }
    check.own_directory(&own.join(KEYS), PRIVATE_DIRECTORY_MODE, PRIVATE_FILE_MODE);
}

struct Check<'a> {
    findings: &'a mut Findings,
    owner: Option<u32>,
    is_quiet: bool,
}

impl Check<'_> {
    /// Checks a directory in `.auditx` and the files in it.
    fn own_directory(&mut self, path: &Path, mode: u32, file_mode: u32) {
        if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            self.directory(path, mode);
        }
        for entry in entries(path) {
            let name = entry.file_name();
            let is_temporary = Path::new(&name).extension().is_some_and(|extension| extension == "tmp");
            let is_directory = entry.file_type().is_ok_and(|file_type| file_type.is_dir());
            if !is_directory {
                self.file(&entry, if is_temporary { Role::Temporary } else { Role::Other }, file_mode);
            }
        }
    }

    fn directory(&mut self, path: &Path, widest: u32) {
        if let Ok(metadata) = fs::metadata(path) {
            self.mode(path, &metadata, widest);
            self.owner(path, &metadata);
        }
    }

    fn file(&mut self, entry: &DirEntry, role: Role, widest: u32) {
        let path = entry.path();
        let Ok(metadata) = entry.metadata() else { return };
        if !metadata.is_file() {
            // For a segment, reading it already added this finding.
            if role != Role::Segment {
                let what = format!("{} instead of a regular file", kind_of(metadata.file_type()));
                let advice = "find out what created it, and move it away; auditx does not follow it";
                self.findings.add(Finding::new(FindingKind::RefusedFile, what, &path, advice));
            }
            return;
        }
        self.mode(&path, &metadata, widest);
        self.owner(&path, &metadata);
        match role {
            Role::TornFile => {
                let what = format!("{} bytes of an unfinished line, set aside after a crash", metadata.len());
                let advice = "examine it, then archive it elsewhere; its entry was never accepted";
                self.findings.add(Finding::new(FindingKind::TornFile, what, &path, advice));
            }
            Role::Temporary if self.is_quiet => {
                let what = "a temporary file that no process is writing";
                let advice = "remove it: its work is repeated when needed";
                self.findings.add(Finding::new(FindingKind::LeftoverTemporary, what, &path, advice));
            }
            Role::Segment if self.is_quiet && compressed_name(&path).is_file() => {
                let what = "exists both plain and compressed; the plain one counts";
                let advice = "nothing: the next process that opens the trail compresses it again";
                self.findings
                    .add(Finding::new(FindingKind::DoubleSegment, what, &path, advice).informational());
            }
            _ => {}
        }
    }

    fn mode(&mut self, path: &Path, metadata: &Metadata, widest: u32) {
        let mode = metadata.permissions().mode() & PERMISSIONS;
        if mode & !widest != 0 {
            let what = format!("has mode {mode:04o}, which allows more than {widest:04o}");
            let advice = format!("chmod {:04o} {}", mode & widest, path.display());
            self.findings.add(Finding::new(FindingKind::WideMode, what, path, advice));
        }
    }

    fn owner(&mut self, path: &Path, metadata: &Metadata) {
        if let Some(owner) = self.owner
            && owner != metadata.uid()
        {
            let what =
                format!("belongs to user {}, but the directory belongs to user {owner}", metadata.uid());
            let advice = "find out what created it: the process that writes the trail owns all its files";
            self.findings.add(Finding::new(FindingKind::ForeignOwner, what, path, advice));
        }
    }
}

fn role_of(name: &str) -> Role {
    if name.starts_with("audit") && name.ends_with(".tmp") {
        Role::Temporary
    } else if name.starts_with("audit.torn-") {
        Role::TornFile
    } else if name == auditx_store::ACTIVE || (name.starts_with("audit-") && name.contains(".jsonl")) {
        Role::Segment
    } else if name == "security.jsonl" || name == "app.log" || name.starts_with("app.log.") {
        Role::Other
    } else {
        Role::Foreign
    }
}

/// The entries of a directory, in no order. A directory that cannot be listed has none: for the trail's own
/// directory that is an error earlier.
fn entries(directory: &Path) -> impl Iterator<Item = DirEntry> + use<> {
    fs::read_dir(directory).into_iter().flatten().flatten()
}
