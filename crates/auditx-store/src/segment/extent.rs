//! The size of the part of a trail that begins at a given line.

use std::fs::File;
use std::io::{self, BufRead, Seek, SeekFrom};

use auditx_format::{Error, Result};
use auditx_tlog::parse_seq;

use super::seek::offset_before;
use super::{ACTIVE, buffered, first_seq_of, sealed_segments};
use crate::dir::{Access, Dir};

/// Returns the number of bytes of this line and all later ones on disk, newlines included. A compressed
/// segment counts with its compressed size, and as a whole if it contains the line.
///
/// Costs one listing, the length of each later file, and a search in one file.
///
/// # Errors
/// `is_storage` if the directory or a file cannot be read.
pub fn bytes_from(directory: impl Into<Dir>, seq: u64) -> Result<u64> {
    let directory = &directory.into();
    let mut files: Vec<_> = sealed_segments(directory)?
        .into_iter()
        .map(|sealed| (sealed.first_seq, sealed.compressed, sealed.name()))
        .collect();
    if let Some(first_seq) = first_seq_of(directory, ACTIVE)? {
        // The active segment may have been sealed since the listing.
        files.retain(|(sealed, ..)| *sealed < first_seq);
        files.push((first_seq, false, ACTIVE.to_owned()));
    }
    let first = files.partition_point(|(first_seq, ..)| *first_seq <= seq).saturating_sub(1);
    let mut sum = 0;
    for (first_seq, compressed, name) in &files[first.min(files.len())..] {
        let measured = directory.open(name, Access::READ).and_then(|file| {
            let len = file.metadata()?.len();
            let before = if *compressed || *first_seq >= seq { 0 } else { offset_of(file, seq)? };
            Ok(len.saturating_sub(before))
        });
        match measured {
            Ok(bytes) => sum += bytes,
            // Compressed or retired since the listing; the next call sees the change.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                return Err(Error::storage("cannot measure a segment", directory.join(name), error));
            }
        }
    }
    Ok(sum)
}

/// Returns the offset of line `seq` or the first later one in a plain segment; its end if there is none.
fn offset_of(mut file: File, seq: u64) -> io::Result<u64> {
    let mut offset = offset_before(&file, seq)?;
    file.seek(SeekFrom::Start(offset))?;
    let (mut reader, mut line) = (buffered(file), Vec::new());
    loop {
        line.clear();
        let len = reader.read_until(b'\n', &mut line)?;
        if len == 0 || parse_seq(&line).is_some_and(|found| found >= seq) {
            return Ok(offset);
        }
        offset += len as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::segment::sealed_name;

    fn lines(seqs: std::ops::Range<u64>) -> String {
        seqs.map(|seq| format!("{{\"seq\":{seq},\"pad\":\"{}\"}}\n", "x".repeat(300))).collect()
    }

    #[test]
    fn the_bytes_from_a_line_on_are_counted_across_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!(bytes_from(path, 0).unwrap(), 0);
        fs::write(path.join(sealed_name(0) + ".zst"), [0; 70]).unwrap();
        fs::write(path.join(sealed_name(10)), lines(10..3_000)).unwrap();
        fs::write(path.join(ACTIVE), lines(3_000..3_005)).unwrap();
        let plain = |from: u64| lines(from..3_005).len() as u64;
        assert_eq!(bytes_from(path, 0).unwrap(), plain(10) + 70);
        assert_eq!(bytes_from(path, 9).unwrap(), plain(10) + 70, "a compressed segment counts as a whole");
        for seq in [10, 11, 1_234, 2_999, 3_000, 3_004] {
            assert_eq!(bytes_from(path, seq).unwrap(), plain(seq), "line {seq}");
        }
        assert_eq!(bytes_from(path, 3_005).unwrap(), 0);
        // Retired segments do not count.
        fs::remove_file(path.join(sealed_name(0) + ".zst")).unwrap();
        assert_eq!(bytes_from(path, 0).unwrap(), plain(10));
    }
}
