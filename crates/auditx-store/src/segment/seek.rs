//! Finds lines in a plain segment by binary search over their sequence numbers.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use auditx_tlog::{LONGEST_SEQ, MAX_LINE, parse_seq};

/// The range size at which the search ends and reading begins.
const WINDOW: u64 = 256 * 1024;

/// The number of bytes at the end that contain the last line of most segments.
const TAIL: u64 = 4 * 1024;

/// Returns the offset of a line at or shortly before line `seq`, or 0 if none is found. Costs one small read
/// per halving.
pub(super) fn offset_before(file: &File, seq: u64) -> io::Result<u64> {
    let (mut low, mut high) = (0, file.metadata()?.len());
    while high.saturating_sub(low) > WINDOW {
        let middle = low + (high - low) / 2;
        match line_after(file, middle)? {
            Some((offset, found)) if found <= seq && offset < high => low = offset,
            // Unreadable lines are reported when the segment is read.
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Returns the offset and the sequence number of the first line that begins after `offset`.
fn line_after(file: &File, offset: u64) -> io::Result<Option<(u64, u64)>> {
    let mut bytes = vec![0; MAX_LINE + LONGEST_SEQ];
    let read = file.read_at(&mut bytes, offset)?;
    let Some(end) = memchr::memchr(b'\n', &bytes[..read]) else { return Ok(None) };
    let line = &bytes[end + 1..read];
    Ok(parse_seq(line).map(|seq| (offset + end as u64 + 1, seq)))
}

/// Returns the last line of a plain segment without its newline. Reads 4 KiB, and more only for a longer
/// line.
pub(crate) fn last_line(file: &File) -> io::Result<Vec<u8>> {
    let len = file.metadata()?.len();
    let mut tail_len = len.min(TAIL);
    loop {
        let mut tail = vec![0; usize::try_from(tail_len).map_err(io::Error::other)?];
        file.read_exact_at(&mut tail, len - tail_len)?;
        if tail.last() == Some(&b'\n') {
            tail.pop();
        }
        let begin = memchr::memrchr(b'\n', &tail).map(|end| end + 1);
        if begin.is_some() || tail_len == len || tail_len > MAX_LINE as u64 {
            return Ok(tail.split_off(begin.unwrap_or(0)));
        }
        tail_len = len.min(MAX_LINE as u64 + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (tempfile::NamedTempFile, File) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let opened = File::open(file.path()).unwrap();
        (file, opened)
    }

    #[test]
    fn the_offset_is_near_the_requested_line() {
        let lines: Vec<String> = (70..5_000_u64)
            .map(|seq| {
                format!(
                    "{{\"seq\":{seq},\"pad\":\"{}\"}}\n",
                    "x".repeat(usize::try_from(seq * 37 % 1_900).unwrap())
                )
            })
            .collect();
        let (_guard, file) = written(&lines.concat());
        let mut begin = 0;
        for (seq, line) in (70_u64..).zip(&lines) {
            let found = offset_before(&file, seq).unwrap();
            assert!(
                found <= begin && begin - found <= WINDOW + MAX_LINE as u64,
                "line {seq}: {found} for {begin}"
            );
            let mut head = vec![0; LONGEST_SEQ];
            file.read_exact_at(&mut head, found).unwrap();
            assert!(parse_seq(&head).is_some_and(|number| number <= seq), "a line begins there");
            begin += line.len() as u64;
        }
        assert_eq!(offset_before(&file, 0).unwrap(), 0);
        assert!(offset_before(&file, u64::MAX).unwrap() + WINDOW + MAX_LINE as u64 > begin);
    }

    #[test]
    fn a_file_without_numbered_lines_is_read_from_offset_0() {
        for text in [String::new(), "x".repeat(3_000_000), "no number\n".repeat(300_000)] {
            let (_guard, file) = written(&text);
            assert_eq!(offset_before(&file, 7).unwrap(), 0);
        }
    }
}
