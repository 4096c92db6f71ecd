//! Random damage to the files of a trail.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use auditx_store::{checkpoint_history, checkpoint_path, sealed_segments};

use super::forgery::{self, is_compressed};
use crate::random::Random;
use crate::snapshot::names_below;

/// Changes to the bytes or the name of any file.
const FILE_CHANGES: [&str; 11] = [
    "flip",
    "zeros",
    "noise",
    "text",
    "truncate",
    "append",
    "delete",
    "empty",
    "symlink",
    "fifo",
    "directory",
];

/// Changes to one or two segments.
const SEGMENT_CHANGES: [&str; 11] = [
    "duplicate",
    "swap",
    "rename",
    "second-frame",
    "value",
    "delete-line",
    "repeat-line",
    "insert-line",
    "swap-lines",
    "stub",
    "recompress",
];

/// The directories that damage uses.
#[derive(Debug)]
pub(super) struct Damage<'d> {
    /// The trail to damage.
    pub(super) directory: &'d Path,
    /// Another trail.
    pub(super) other: &'d Path,
    /// A directory for files that are moved out of the trail.
    pub(super) elsewhere: &'d Path,
}

impl Damage<'_> {
    /// Applies random damage and returns a description of it; `None` if it was not possible.
    pub(super) fn apply(&self, random: &mut Random) -> Option<String> {
        // Opening a FIFO would block forever.
        let is_fifo = |name: &PathBuf| {
            fs::symlink_metadata(self.directory.join(name)).is_ok_and(|found| found.file_type().is_fifo())
        };
        if names_below(self.directory, Path::new("")).iter().any(is_fifo) {
            return Some("nothing more, there is a FIFO".to_owned());
        }
        match random.below(20) {
            0..8 => self.damage_segment(random),
            8..10 => self.forge_index(random),
            10 => self.restore_older_checkpoint(random),
            11 => self.copy_from_other(random),
            12 => {
                let security = self.directory.join("security.jsonl");
                fs::write(security, "").ok().map(|()| "empty security.jsonl".to_owned())
            }
            _ => self.damage_file(random),
        }
    }

    /// Damages any file below the directory; two of three times one below `.auditx`.
    fn damage_file(&self, random: &mut Random) -> Option<String> {
        let mut names = names_below(self.directory, Path::new(""));
        let is_internal = random.below(3) > 0;
        names.retain(|name| name.starts_with(".auditx") == is_internal);
        // Earlier damage may have removed all of `.auditx`.
        if names.is_empty() {
            return None;
        }
        let name = random.one_of(&names);
        let how = *random.one_of(&FILE_CHANGES);
        self.change_file(random, how, &self.directory.join(name)).ok()?;
        Some(format!("{how} {}", name.display()))
    }

    fn change_file(&self, random: &mut Random, how: &str, path: &Path) -> io::Result<()> {
        let aside = self.elsewhere.join(format!("aside-{}", random.below(u64::MAX)));
        match how {
            "delete" if path.is_dir() => return fs::remove_dir_all(path),
            "delete" => return fs::remove_file(path),
            "symlink" => {
                fs::rename(path, &aside)?;
                return symlink(&aside, path);
            }
            "directory" => {
                fs::rename(path, &aside)?;
                return fs::create_dir(path);
            }
            "fifo" => {
                fs::rename(path, &aside)?;
                let status = Command::new("mkfifo").arg(path).status()?;
                return if status.success() { Ok(()) } else { Err(io::Error::other("mkfifo failed")) };
            }
            _ => {}
        }
        let mut bytes = fs::read(path)?;
        change_bytes(random, how, &mut bytes)?;
        fs::write(path, bytes)
    }

    fn damage_segment(&self, random: &mut Random) -> Option<String> {
        let how = *random.one_of(&SEGMENT_CHANGES);
        let sealed = sealed_segments(self.directory).ok()?;
        let mut paths: Vec<PathBuf> = sealed.into_iter().map(|segment| segment.path).collect();
        paths.push(self.directory.join("audit.jsonl"));
        let (one, two) = (random.one_of(&paths).clone(), random.one_of(&paths).clone());
        let number = random.below(3_000);
        let beside = |path: &Path| {
            let end = if is_compressed(path) { "jsonl.zst" } else { "jsonl" };
            self.directory.join(format!("audit-{number:020}.{end}"))
        };
        let outcome = match how {
            "duplicate" => fs::copy(&one, beside(&one)).map(drop),
            "rename" => fs::rename(&one, beside(&one)),
            "swap" if one != two && is_compressed(&one) == is_compressed(&two) => {
                let aside = self.elsewhere.join(format!("aside-{}", random.below(u64::MAX)));
                fs::rename(&one, &aside)
                    .and_then(|()| fs::rename(&two, &one))
                    .and_then(|()| fs::rename(&aside, &two))
            }
            "swap" => return None,
            "second-frame" => forgery::add_frame(&one, random.below(1_000)),
            "recompress" => forgery::recompress(&one),
            _ => forgery::change_lines(random, how, &one),
        };
        outcome.ok()?;
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Some(format!("{how} {} (with {} or {number})", name(&one), name(&two)))
    }

    /// Forges a skip index so that it excludes lines that exist.
    fn forge_index(&self, random: &mut Random) -> Option<String> {
        let index = self.directory.join(".auditx/index");
        let names: Vec<PathBuf> = fs::read_dir(index).ok()?.flatten().map(|entry| entry.path()).collect();
        if names.is_empty() {
            return None;
        }
        let path = random.one_of(&names);
        let how = forgery::forge_index(random, path).ok()?;
        Some(format!("forge {how} {}", path.file_name()?.to_string_lossy()))
    }

    /// Replaces the latest checkpoint by an older one.
    fn restore_older_checkpoint(&self, random: &mut Random) -> Option<String> {
        let kept = checkpoint_history(self.directory);
        let mut sizes: Vec<u64> = fs::read_dir(&kept)
            .ok()?
            .flatten()
            .filter_map(|name| name.file_name().to_str()?.parse().ok())
            .collect();
        sizes.sort_unstable();
        if sizes.is_empty() {
            return None;
        }
        let size = *random.one_of(&sizes);
        fs::copy(kept.join(size.to_string()), checkpoint_path(self.directory)).ok()?;
        let are_newer_gone = random.below(2) == 0;
        for newer in sizes.iter().filter(|newer| are_newer_gone && **newer > size) {
            fs::remove_file(kept.join(newer.to_string())).ok()?;
        }
        let removed = if are_newer_gone { " and remove the newer ones" } else { "" };
        Some(format!("restore the checkpoint of size {size}{removed}"))
    }

    /// Replaces a file by that of another trail.
    fn copy_from_other(&self, random: &mut Random) -> Option<String> {
        let mut names = names_below(self.other, Path::new(""));
        names.retain(|name| self.other.join(name).is_file());
        let name = random.one_of(&names);
        fs::copy(self.other.join(name), self.directory.join(name)).ok()?;
        Some(format!("copy {} from another trail", name.display()))
    }
}

fn change_bytes(random: &mut Random, how: &str, bytes: &mut Vec<u8>) -> io::Result<()> {
    if bytes.is_empty() && how != "append" {
        return Err(io::Error::other("the file is empty"));
    }
    // One of three times near the beginning, where the headers are.
    let within = if random.below(3) == 0 { bytes.len().min(256) } else { bytes.len() };
    let begin = random.index(within.max(1));
    let end = (begin + 1 + random.index(64)).min(bytes.len());
    match how {
        "flip" => bytes[begin] ^= 1 << random.below(8),
        "zeros" => bytes[begin..end].fill(0),
        "noise" => {
            bytes[begin..end].iter_mut().for_each(|byte| *byte = random.below(256).to_le_bytes()[0]);
        }
        "text" => bytes[begin..end].fill(b'7'),
        "truncate" => bytes.truncate(begin),
        "append" => bytes.extend_from_slice(b"{\"garbage\":[\n\x00\xff"),
        "empty" => bytes.clear(),
        _ => return Err(io::Error::other("unknown change")),
    }
    Ok(())
}
