//! Handmade trails, for every state that files can be in.

use std::fs;
use std::path::{Path, PathBuf};

use auditx_store::SegmentIndex;

use crate::search::Search;

/// A line in this library's format, with a description of `pad` characters.
pub(super) fn line(seq: u64, user: &str, pad: usize) -> String {
    let time = "2026-11-24T15:24:54.123456Z";
    let start = format!(r#"{{"seq":{seq},"id":"01920000-0000-7000-8000-{seq:012}","timestamp":"{time}","#);
    let description = "x".repeat(pad);
    let rest = format!(r#""level":"AUDIT","description":"{description}","user":"{user}","success":true}}"#);
    start + &rest
}

pub(super) struct Trail {
    directory: tempfile::TempDir,
    next_seq: u64,
}

impl Trail {
    pub(super) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), next_seq: 0 }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn search(&self) -> Search {
        Search::new(self.path()).threads(2).trusting()
    }

    /// Writes lines as a sealed segment.
    pub(super) fn seal(&mut self, lines: &[String], is_compressed: bool) -> PathBuf {
        let name = format!("audit-{:020}.jsonl", self.next_seq);
        self.next_seq += lines.len() as u64;
        let text = text_of(lines);
        let path = self.path().join(name);
        if is_compressed {
            let path = path.with_extension("jsonl.zst");
            fs::write(&path, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
            return path;
        }
        fs::write(&path, text).unwrap();
        path
    }

    /// Writes the index of the lines sealed last.
    pub(super) fn index(&self, lines: &[String]) {
        let index = SegmentIndex::of(text_of(lines).as_bytes()).unwrap();
        let directory = self.path().join(".auditx/index");
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(format!("{:020}.idx", index.first_seq())), index.encode()).unwrap();
    }

    /// Writes lines as the active segment, and bytes after its last newline.
    pub(super) fn activate(&mut self, lines: &[String], unfinished: &str) {
        fs::write(self.path().join(auditx_store::ACTIVE), text_of(lines) + unfinished).unwrap();
    }
}

fn text_of(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}
