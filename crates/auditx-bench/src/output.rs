//! Counts the lines that a run wrote, to prove that its figures are about completed work.
//!
//! It counts complete lines of one kind in a directory, compressed segments included. A last line without its
//! line feed is incomplete and is not counted.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use memchr::memmem;

use crate::Outcome;

/// Selects the files and lines that represent a call or a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines {
    pub(crate) file: fn(&str) -> bool,
    pub(crate) line: fn(&[u8]) -> bool,
}

/// The file name of subjects that write one file.
pub(crate) const FILE: &str = "lines.log";

/// The entries of a trail: every line except control records.
pub(crate) const TRAIL: Lines = Lines {
    file: |name| name.starts_with("audit") && (name.ends_with(".jsonl") || name.ends_with(".jsonl.zst")),
    line: |line| is_object(line) && memmem::find(line, b"\"auditx\":{").is_none(),
};

/// All lines of the one file that are JSON objects.
pub(crate) const OBJECTS: Lines = Lines { file: |name| name == FILE, line: is_object };

impl Lines {
    /// Counts the lines in this directory.
    pub(crate) fn count(&self, directory: &Path) -> Outcome<u64> {
        let mut count = 0;
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if (self.file)(&name) {
                let file = File::open(&path)?;
                count += if name.ends_with(".zst") {
                    self.count_in(zstd::Decoder::new(file)?)?
                } else {
                    self.count_in(file)?
                };
            }
        }
        Ok(count)
    }

    /// Counts the lines in plain files that are no JSON value: torn, or mixed with others.
    pub(crate) fn torn(&self, directory: &Path) -> Outcome<u64> {
        let mut count = 0;
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !(self.file)(&name) || name.ends_with(".zst") {
                continue;
            }
            for line in BufReader::with_capacity(1 << 20, File::open(&path)?).split(b'\n') {
                let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&line?).is_ok();
                count += u64::from(!is_json);
            }
        }
        Ok(count)
    }

    fn count_in(&self, source: impl Read) -> Outcome<u64> {
        let mut source = BufReader::with_capacity(1 << 20, source);
        let (mut line, mut count) = (Vec::new(), 0);
        loop {
            line.clear();
            if source.read_until(b'\n', &mut line)? == 0 {
                return Ok(count);
            }
            if line.pop() == Some(b'\n') && (self.line)(&line) {
                count += 1;
            }
        }
    }
}

fn is_object(line: &[u8]) -> bool {
    line.first() == Some(&b'{') && line.last() == Some(&b'}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_records_incomplete_lines_and_other_files_do_not_count() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &[u8]| std::fs::write(directory.path().join(name), text).unwrap();
        write("audit.jsonl", b"{\"seq\":3}\n{\"seq\":4,\"auditx\":{\"close\":{}}}\n{\"seq\":5}");
        write("security.jsonl", b"{\"seq\":3}\n");
        write("audit-00000000000000000000.jsonl.zst", &zstd::encode_all(&b"{}\n{}\n"[..], 1).unwrap());
        assert_eq!(TRAIL.count(directory.path()).unwrap(), 3);
        assert_eq!(TRAIL.torn(directory.path()).unwrap(), 0);
        write("audit.jsonl", b"{\"seq\":3}\n{\"seq\":{\"seq\":5}\n4}\n");
        assert_eq!(TRAIL.torn(directory.path()).unwrap(), 2);
        assert_eq!(OBJECTS.count(directory.path()).unwrap(), 0);
    }
}
