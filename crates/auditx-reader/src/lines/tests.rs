//! Reading forwards, backwards and along with a writer, on handmade trails and on those of the logger.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Instant;

use auditx_core::{AuditLogger, Compression, Config};

use super::*;
use crate::sample::{Sample, TIMEOUT, line, text};

fn bytes(lines: &mut Lines) -> Vec<Vec<u8>> {
    lines.map(|line| line.unwrap().bytes().to_vec()).collect()
}

fn seqs(lines: &mut Lines) -> Vec<u64> {
    lines.map(|line| line.unwrap().seq().unwrap()).collect()
}

/// Six plain or compressed segments with unreadable and unfinished lines and with line lengths around the
/// size of the reader's blocks; and all their lines in order, as a simple reader finds them.
fn mixed() -> (Sample, Vec<Vec<u8>>) {
    let sample = Sample::new();
    let mut all = Vec::new();
    let mut seq = 0;
    let lens = [1, 100, 4_000, 65_534, 65_535, 65_536, 70, 131_072, 20_000, 30_000, 64 * 1024 - 1, 5];
    for segment in 0..6 {
        let first_seq = seq;
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for index in 0..7 {
            lines.push(line(seq, lens[(segment * 5 + index) % lens.len()]));
            seq += 1;
        }
        match segment {
            1 => lines[3] = b"{\"seq\":10,\"user\":\"\xff\xfe\"}".to_vec(),
            2 => lines[0] = br#"{"timestamp": "2026-11-24", "description": "a legacy line"}"#.to_vec(),
            3 => lines[6] = Vec::new(),
            _ => {}
        }
        let mut bytes = text(&lines);
        if segment == 4 || segment == 2 {
            // A sealed segment that lost its end: the rest of the line is a line, but not an entry.
            bytes.pop();
        }
        if segment == 5 {
            sample.write_active(&[&bytes[..], b"{\"seq\":42,\"unfinished"].concat());
        } else {
            sample.write_sealed(first_seq, &bytes);
            if segment % 2 == 0 {
                sample.compress(first_seq);
            }
        }
        all.append(&mut lines);
    }
    (sample, all)
}

#[test]
fn the_last_lines_are_found_for_every_count() {
    let (sample, all) = mixed();
    let offsets: Vec<(PathBuf, u64)> = Lines::all(sample.directory())
        .unwrap()
        .map(|line| line.map(|line| (line.path().to_path_buf(), line.offset())).unwrap())
        .collect();
    assert_eq!(offsets.len(), all.len());
    for count in 0..=all.len() + 2 {
        let mut lines = Lines::last(sample.directory(), count as u64).unwrap();
        let mut found = Vec::new();
        for (line, at) in lines.by_ref().zip(&offsets[all.len().saturating_sub(count)..]) {
            let line = line.unwrap();
            assert_eq!((line.path(), line.offset()), (&*at.0, at.1));
            found.push(line.bytes().to_vec());
        }
        assert_eq!(found, all[all.len().saturating_sub(count)..], "the last {count}");
        assert!(lines.next().is_none());
        assert_eq!(lines.unfinished().unwrap().bytes, 21);
    }
}

#[test]
fn unreadable_lines_report_their_position_and_the_rest_is_read() {
    let (sample, all) = mixed();
    let parsed: Vec<_> = Lines::all(sample.directory()).unwrap().map(|line| line.unwrap().parse()).collect();
    let unreadable: Vec<_> = parsed.iter().filter_map(|entry| entry.as_ref().err()).collect();
    assert_eq!(parsed.len(), all.len());
    let whys: Vec<_> = unreadable.iter().map(|error| error.why()).collect();
    assert_eq!(
        whys,
        [
            "not UTF-8, 18 bytes into the line",
            "the file ends in the middle of a line",
            "an empty line",
            "the file ends in the middle of a line",
        ]
    );
    let first = unreadable[0];
    let bytes = fs::read(first.path().unwrap()).unwrap();
    let at = usize::try_from(first.offset().unwrap()).unwrap();
    assert!(bytes[at..].starts_with(b"{\"seq\":10,\"user\":\"\xff"));
}

#[test]
fn a_line_too_long_for_an_entry_is_skipped_and_not_kept() {
    let sample = Sample::new();
    let huge = vec![0; 3 * 1024 * 1024];
    sample.write_active(&text([line(0, 10), huge, line(2, 10)]));
    let lines: Vec<_> = Lines::all(sample.directory()).unwrap().map(Result::unwrap).collect();
    assert!(lines[1].bytes().len() <= 1024 * 1024);
    assert!(lines[1].parse().unwrap_err().to_string().contains("3145728 bytes"));
    assert_eq!(lines[2].seq(), Some(2));
}

#[test]
fn following_a_logger_returns_every_line_once() {
    let sample = Sample::new();
    let config = Config::new(sample.directory()).max_file_bytes(65_535);
    let logger = AuditLogger::open(config).unwrap();
    let writer = std::thread::spawn({
        let logger = logger.clone();
        move || {
            for number in 0..600 {
                logger.log(format!("entry {number} {}", "x".repeat(2_000))).record().unwrap();
            }
            logger.close(TIMEOUT).unwrap();
        }
    });
    let mut lines = Lines::last(sample.directory(), 1_000_000).unwrap();
    let (mut next, mut descriptions, deadline) = (0, Vec::new(), Instant::now() + TIMEOUT);
    while descriptions.last().is_none_or(|last| last != "Audit trail closed") {
        assert!(Instant::now() < deadline, "after line {next}");
        while let Some(line) = lines.next_line().unwrap() {
            assert_eq!(line.seq(), Some(next));
            next += 1;
            descriptions.push(line.parse().unwrap().description);
        }
        std::thread::yield_now();
    }
    writer.join().unwrap();
    assert_eq!(descriptions.iter().filter(|text| text.starts_with("entry ")).count(), 600);
    assert!(descriptions.iter().filter(|text| text.starts_with("Segment sealed")).count() >= 10);
    assert_eq!(seqs(&mut Lines::all(sample.directory()).unwrap()), (0..next).collect::<Vec<_>>());
    let last = seqs(&mut Lines::last(sample.directory(), 300).unwrap());
    assert_eq!(last, (next - 300..next).collect::<Vec<_>>());
}

#[test]
fn part_of_a_line_that_was_rolled_back_is_never_returned() {
    let sample = Sample::new();
    sample.write_active(&text([line(0, 80)]));
    let mut lines = Lines::last(sample.directory(), 0).unwrap();
    assert!(lines.next_line().unwrap().is_none());
    let whole = text([line(1, 90)]);
    sample.append(&vec![b'?'; whole.len()]);
    assert!(lines.next_line().unwrap().is_none());
    assert_eq!(lines.unfinished(), Some(Unfinished { offset: 81, bytes: 91 }));
    let file = fs::OpenOptions::new().write(true).open(sample.active()).unwrap();
    file.set_len(81).unwrap();
    sample.append(&whole);
    assert_eq!(seqs(&mut lines), [1]);
    assert_eq!(lines.unfinished(), None);
}

#[test]
fn truncating_the_active_segment_is_an_error_and_ends_reading() {
    let sample = Sample::new();
    sample.write_active(&text([line(0, 80), line(1, 80)]));
    let mut lines = Lines::all(sample.directory()).unwrap();
    assert_eq!(seqs(&mut lines), [0, 1]);
    sample.write_active(b"");
    let error = lines.next_line().unwrap_err();
    assert!(error.is_corrupt() && error.path() == Some(&sample.active()), "{error}");
    assert!(lines.next().is_none());
}

#[test]
fn a_seal_that_was_rolled_back_repeats_no_line() {
    let sample = Sample::new();
    sample.write_active(&text([line(7, 80), line(8, 80)]));
    let mut lines = Lines::all(sample.directory()).unwrap();
    assert_eq!(seqs(&mut lines), [7, 8]);
    fs::rename(sample.active(), sample.sealed(7)).unwrap();
    assert!(lines.next().is_none());
    fs::rename(sample.sealed(7), sample.active()).unwrap();
    sample.append(&text([line(9, 80)]));
    assert_eq!(seqs(&mut lines), [9]);
    sample.seal(7);
    sample.append(&text([line(10, 80)]));
    sample.compress(7);
    assert_eq!(seqs(&mut lines), [10]);
}

#[test]
fn several_seals_between_two_reads_lose_no_line() {
    let sample = Sample::new();
    sample.write_active(&text([line(0, 80)]));
    let mut lines = Lines::all(sample.directory()).unwrap();
    assert_eq!(seqs(&mut lines), [0]);
    for seq in 1..5 {
        sample.append(&text([line(2 * seq - 1, 80)]));
        sample.seal(if seq == 1 { 0 } else { 2 * seq - 2 });
        sample.append(&text([line(2 * seq, 80)]));
    }
    sample.compress(2);
    assert_eq!(seqs(&mut lines), (1..=8).collect::<Vec<_>>());
}

#[test]
fn a_segment_compressed_or_retired_after_listing_is_no_error() {
    let sample = Sample::new();
    for seq in [0, 1, 2] {
        sample.write_sealed(seq, &text([line(seq, 80)]));
    }
    sample.write_active(&text([line(3, 80)]));
    let mut lines = Lines::all(sample.directory()).unwrap();
    sample.compress(0);
    fs::remove_file(sample.sealed(1)).unwrap();
    let missed: Vec<_> = std::iter::from_fn(|| {
        let seq = lines.next()?.unwrap().seq()?;
        Some((seq, lines.missed()))
    })
    .collect();
    assert_eq!(missed, [(0, 0), (2, 1), (3, 0)]);
}

#[test]
fn damaged_lines_are_not_missed() {
    let sample = Sample::new();
    sample.write_active(&text([line(0, 80), b"damaged".to_vec(), line(2, 80), line(3, 80)]));
    let mut lines = Lines::all(sample.directory()).unwrap();
    let missed: Vec<_> = std::iter::from_fn(|| lines.next().map(|_| lines.missed())).collect();
    assert_eq!(missed, [0, 0, 0, 0]);
}

#[test]
fn an_unreadable_segment_is_one_error_and_the_others_are_read() {
    let sample = Sample::new();
    for seq in [0, 1, 2, 60] {
        let end = if seq == 2 { 60 } else { seq + 1 };
        sample.write_sealed(seq, &text((seq..end).map(|seq| line(seq, 5_000))));
    }
    sample.write_active(&text([line(61, 80)]));
    let damaged = sample.compress(2);
    let whole = fs::read(&damaged).unwrap();
    fs::write(&damaged, &whole[..whole.len() - 20]).unwrap();
    fs::remove_file(sample.sealed(1)).unwrap();
    symlink(sample.sealed(0), sample.sealed(1)).unwrap();

    for lines in [Lines::all(sample.directory()), Lines::last(sample.directory(), 1_000)] {
        let (mut errors, mut seqs) = (Vec::new(), Vec::new());
        for line in lines.unwrap() {
            match line {
                Ok(line) => seqs.extend(line.seq()),
                Err(error) => errors.push(error),
            }
        }
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(errors[0].is_refused() && errors[0].path() == Some(&sample.sealed(1)), "{errors:?}");
        assert!(errors[1].is_corrupt() && errors[1].path() == Some(&damaged), "{errors:?}");
        assert!(seqs.starts_with(&[0]) && seqs.ends_with(&[60, 61]), "{seqs:?}");
    }
    assert_eq!(seqs(&mut Lines::last(sample.directory(), 2).unwrap()), [60, 61], "after the damage");
}

#[test]
fn a_symbolic_link_as_the_active_segment_is_refused() {
    let sample = Sample::new();
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    sample.write_sealed(0, &text([line(0, 80)]));
    symlink(elsewhere.path(), sample.active()).unwrap();
    let mut lines = Lines::last(sample.directory(), 5).unwrap();
    assert_eq!(lines.next_line().unwrap().unwrap().seq(), Some(0));
    assert!(lines.next_line().unwrap_err().is_refused());
    assert!(lines.next().is_none());
}

#[test]
fn a_reader_may_start_before_the_trail_but_needs_a_directory() {
    let sample = Sample::new();
    let mut lines = Lines::last(sample.directory(), 10).unwrap();
    assert!(lines.next().is_none());
    sample.write_active(&text([line(0, 80)]));
    assert_eq!(seqs(&mut lines), [0]);
    assert!(Lines::all(sample.directory().join("none")).unwrap_err().is_missing());
}

#[test]
fn reading_changes_nothing_in_the_directory() {
    let sample = Sample::new();
    let config = Config::new(sample.directory()).compression(Compression::None);
    AuditLogger::open(config).unwrap().close(TIMEOUT).unwrap();
    let names = || {
        let mut names: Vec<_> = fs::read_dir(sample.directory())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let metadata = entry.metadata().unwrap();
                (entry.file_name(), metadata.len(), metadata.modified().unwrap())
            })
            .collect();
        names.sort();
        names
    };
    let before = names();
    assert_eq!(bytes(&mut Lines::all(sample.directory()).unwrap()).len(), 3);
    crate::inspect(sample.directory(), &mut |_, _| {}).unwrap();
    assert_eq!(names(), before);
}
