//! The segment files of a trail: their names, listing them, and reading lines.

mod extent;
mod frame;
pub(crate) mod index;
mod reader;
mod fingerprint;
mod registry;
mod seek;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use auditx_format::{Error, Result};
use auditx_tlog::parse_seq;

use crate::dir::{Access, Dir};

pub use extent::bytes_from;
pub(crate) use fingerprint::Fingerprint;
pub use frame::Frame;
pub(crate) use index::Extent;
pub use index::{IndexBlock, IndexKey, SegmentIndex, TimeRange};
pub use reader::TrailReader;
pub(crate) use registry::Registry;
pub(crate) use seek::last_line;

/// The name of the active segment, the only one that grows.
pub const ACTIVE: &str = "audit.jsonl";

const PREFIX: &str = "audit-";
const PLAIN_SUFFIX: &str = ".jsonl";
const ZSTD_SUFFIX: &str = ".jsonl.zst";
const SEQ_DIGITS: usize = 20;

pub use crate::dir::AUDITX_DIR;

/// A sealed segment. It is named by the sequence number of its first line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SealedSegment {
    /// The sequence number of its first line.
    pub first_seq: u64,
    /// Whether it is compressed with Zstandard.
    pub compressed: bool,
    /// Its path.
    pub path: PathBuf,
}

impl SealedSegment {
    /// Returns the name in the trail's directory.
    pub fn name(&self) -> String {
        let plain = sealed_name(self.first_seq);
        if self.compressed { plain + ".zst" } else { plain }
    }
}

pub(crate) fn sealed_name(first_seq: u64) -> String {
    format!("{PREFIX}{first_seq:020}{PLAIN_SUFFIX}")
}

impl SealedSegment {
    /// Finds the segment that begins with this line; `None` if there is none, or that cannot be examined.
    fn find(directory: &Dir, first_seq: u64) -> Option<Self> {
        let plain = sealed_name(first_seq);
        let compressed = format!("{PREFIX}{first_seq:020}{ZSTD_SUFFIX}");
        [(plain, false), (compressed, true)].into_iter().find_map(|(name, compressed)| {
            directory.stat(&name).ok().flatten()?;
            Some(Self { first_seq, compressed, path: directory.join(name) })
        })
    }
}

/// Accepts only exact names, since other files may have names that begin alike.
fn parse_sealed_name(name: &str) -> Option<(u64, bool)> {
    let rest = name.strip_prefix(PREFIX)?;
    let (digits, suffix) = rest.split_at_checked(SEQ_DIGITS)?;
    let compressed = match suffix {
        PLAIN_SUFFIX => false,
        ZSTD_SUFFIX => true,
        _ => return None,
    };
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())?
        .map(|first_seq| (first_seq, compressed))
}

/// Returns the sealed segments in order. If a plain and a compressed file of the same segment exist, because
/// a process died between the two steps, the plain one is returned.
///
/// Listing a directory is not atomic: a segment that is being sealed or compressed may appear under one name,
/// the other, or neither. Therefore the directory is listed twice. A file that exists before the second
/// listing appears in it, so no segment is missing up to the newest one of the first listing; newer ones are
/// left for the next call. A segment that was compressed or retired in the meantime fails to open, and must
/// be looked up again.
///
/// # Errors
/// `is_storage` if the directory cannot be listed.
pub fn sealed_segments(directory: impl Into<Dir>) -> Result<Vec<SealedSegment>> {
    let directory = &directory.into();
    let earlier = list(directory)?;
    let Some(newest) = earlier.last().map(|segment| segment.first_seq) else { return Ok(earlier) };
    let mut segments = list(directory)?;
    segments.retain(|segment| segment.first_seq <= newest);
    segments.extend(earlier);
    // The sort is stable, so that of two equal numbers the one from the second listing is kept.
    segments.sort_by_key(|segment| segment.first_seq);
    segments.dedup_by_key(|segment| segment.first_seq);
    Ok(segments)
}

fn list(directory: &Dir) -> Result<Vec<SealedSegment>> {
    let unreadable = |error| Error::storage("cannot list the trail's directory", directory.path(), error);
    let mut segments = Vec::new();
    for name in directory.list("").map_err(unreadable)? {
        if let Some((first_seq, compressed)) = name.to_str().and_then(parse_sealed_name) {
            segments.push(SealedSegment { first_seq, compressed, path: directory.join(name) });
        }
    }
    segments.sort_by_key(|segment| (segment.first_seq, segment.compressed));
    segments.dedup_by_key(|segment| segment.first_seq);
    Ok(segments)
}

/// Opens a segment for reading from its beginning.
pub(crate) fn open_segment(
    directory: &Dir,
    name: &str,
    compressed: bool,
) -> io::Result<Box<dyn BufRead + Send>> {
    let file = directory.open(name, Access::READ)?;
    Ok(if compressed { buffered(Frame::new(file)?) } else { buffered(file) })
}

fn buffered(source: impl Read + Send + 'static) -> Box<dyn BufRead + Send> {
    Box::new(BufReader::with_capacity(128 * 1024, source))
}

/// Returns the line with this sequence number, without its newline.
///
/// # Errors
/// `is_corrupt` if the trail does not contain it; the errors of [`TrailReader::next_line`].
pub(crate) fn line_at(directory: &Dir, seq: u64) -> Result<Vec<u8>> {
    match TrailReader::new(directory, seq).next_line()? {
        Some((found, line)) if found == seq => Ok(line.to_vec()),
        _ => Err(Error::corrupt(format!("line {seq} is not in the trail")).with_seq(seq)),
    }
}

/// Returns the sequence number of a plain segment's first line, or `None` if it has no whole line yet.
pub(crate) fn first_seq_of(directory: &Dir, name: &str) -> Result<Option<u64>> {
    let path = &directory.join(name);
    match directory.open(name, Access::READ) {
        Ok(file) => first_seq_in(&file, path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::storage("cannot open a segment", path, error)),
    }
}

/// Like [`first_seq_of`] for an open file, which is then rewound.
fn first_seq_in(mut file: &File, path: &Path) -> Result<Option<u64>> {
    let mut line = Vec::new();
    BufReader::new(file.take(auditx_tlog::MAX_LINE as u64))
        .read_until(b'\n', &mut line)
        .and_then(|_| file.rewind())
        .map_err(|error| Error::storage("cannot read a segment", path, error))?;
    if line.pop() != Some(b'\n') {
        return Ok(None);
    }
    parse_seq(&line)
        .map(Some)
        .ok_or_else(|| Error::corrupt("the first line of a segment has no sequence number").at(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_are_segments() {
        assert_eq!(parse_sealed_name(&sealed_name(1_048_576)), Some((1_048_576, false)));
        assert_eq!(parse_sealed_name("audit-00000000000001048576.jsonl.zst"), Some((1_048_576, true)));
        for name in [
            "audit.jsonl",
            "audit-1.jsonl",
            "audit-000000000000010485760.jsonl",
            "audit-00000000000001048576.jsonl.tmp",
            "audit-0000000000000104857x.jsonl",
            "audit-backup-00000000000001048576.jsonl",
            "audit-99999999999999999999.jsonl",
        ] {
            assert_eq!(parse_sealed_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_plain_segment_hides_its_compressed_copy() {
        let directory = tempfile::tempdir().unwrap();
        for name in
            [sealed_name(5) + ".zst", sealed_name(5), sealed_name(0) + ".zst", "audit-old.jsonl".to_owned()]
        {
            std::fs::write(directory.path().join(name), b"").unwrap();
        }
        let found: Vec<_> = sealed_segments(directory.path())
            .unwrap()
            .iter()
            .map(|segment| (segment.first_seq, segment.compressed))
            .collect();
        assert_eq!(found, [(0, true), (5, false)]);
    }
}
