//! Tests of reading a trail while it is sealed, rolled back and forged.

use std::fs::{self, OpenOptions};
use std::io::Write;

use super::*;
use crate::segment::sealed_name;

struct Sample(tempfile::TempDir);

impl Sample {
    fn append(&self, seqs: std::ops::Range<u64>) {
        let mut active =
            OpenOptions::new().append(true).create(true).open(self.0.path().join(ACTIVE)).unwrap();
        for seq in seqs {
            writeln!(active, "{{\"seq\":{seq},\"n\":0}}").unwrap();
        }
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.0.path().join(from), self.0.path().join(to)).unwrap();
    }
}

fn read(reader: &mut TrailReader) -> Vec<u64> {
    std::iter::from_fn(|| reader.next_line().unwrap().map(|(seq, _)| seq)).collect()
}

#[test]
fn a_seal_that_is_rolled_back_hides_no_lines() {
    let sample = Sample(tempfile::tempdir().unwrap());
    let mut reader = TrailReader::new(sample.0.path(), 0);
    sample.append(0..2);
    assert_eq!(read(&mut reader), [0, 1]);
    sample.rename(ACTIVE, &sealed_name(0));
    assert_eq!(read(&mut reader), [] as [u64; 0]);
    sample.rename(&sealed_name(0), ACTIVE);
    sample.append(2..4);
    assert_eq!(read(&mut reader), [2, 3]);

    sample.rename(ACTIVE, &sealed_name(0));
    assert_eq!(read(&mut reader), [] as [u64; 0]);
    sample.rename(&sealed_name(0), ACTIVE);
    sample.append(4..6);
    sample.rename(ACTIVE, &sealed_name(0));
    sample.append(6..7);
    assert_eq!(read(&mut reader), [4, 5, 6], "it grew before it was sealed again");
}

#[test]
fn a_partial_line_that_is_rolled_back_is_discarded() {
    let sample = Sample(tempfile::tempdir().unwrap());
    let mut reader = TrailReader::new(sample.0.path(), 0);
    sample.append(0..1);
    let active = OpenOptions::new().append(true).open(sample.0.path().join(ACTIVE)).unwrap();
    let whole = active.metadata().unwrap().len();
    (&active).write_all(b"{\"seq\":1,\"half\":").unwrap();
    assert_eq!(read(&mut reader), [0]);
    active.set_len(whole).unwrap();
    sample.append(1..2);
    assert_eq!(reader.next_line().unwrap(), Some((1, &b"{\"seq\":1,\"n\":0}"[..])));
}

#[test]
fn a_forged_line_is_an_error_each_time() {
    for (forged, reason) in [
        (format!("{{\"seq\":0,\"user\":\"{}", "a".repeat(1_000_000)), "longer than any line"),
        (format!("{{\"seq\":{},\"n\":0}}\n", u64::MAX), "a trail cannot have"),
    ] {
        let sample = Sample(tempfile::tempdir().unwrap());
        fs::write(sample.0.path().join(sealed_name(0)), &forged).unwrap();
        let mut reader = TrailReader::new(sample.0.path(), 0);
        for _ in 0..2 {
            let error = reader.next_line().unwrap_err();
            assert!(error.is_corrupt() && error.to_string().contains(reason), "{error}");
            assert!(reader.line.capacity() < 4 * MAX_LINE);
        }
    }
}

#[test]
fn a_missing_segment_is_an_error_each_time() {
    let sample = Sample(tempfile::tempdir().unwrap());
    for seq in [0, 2, 4] {
        sample.append(seq..seq + 2);
        sample.rename(ACTIVE, &sealed_name(seq));
    }
    fs::remove_file(sample.0.path().join(sealed_name(2))).unwrap();
    let mut reader = TrailReader::new(sample.0.path(), 0);
    assert_eq!([reader.next_line().unwrap().unwrap().0, reader.next_line().unwrap().unwrap().0], [0, 1]);
    for _ in 0..2 {
        let error = reader.next_line().unwrap_err();
        assert!(error.is_corrupt() && error.to_string().contains("line 2 is missing"), "{error}");
    }
}
