//! Indexes of well-formed, hostile and altered segments.

use std::fs;
use std::io::BufReader;

use auditx_tlog::{MAX_LINE, erased_line, leaf_hash};

use super::*;
use crate::storage::Disk;

const NOW: i64 = 1_795_533_894_123_456;

/// Returns the time of a line, read by another parser.
fn time_of(line: &[u8]) -> Option<i64> {
    let value: serde_json::Value = serde_json::from_slice(line).ok()?;
    Moment::parse(value["timestamp"].as_str()?).map(Moment::micros)
}

fn line(seq: u64, micros: i64, pad: usize) -> String {
    let micros = u64::try_from(micros).unwrap();
    let time = auditx_format::clock::Timestamp::from_micros(micros);
    let pad = "x".repeat(pad);
    format!(
        "{{\"seq\":{seq},\"id\":\"01920000-0000-7000-8000-000000000000\",\"timestamp\":\"{time}\",\
         \"level\":\"INFO\",\"description\":\"{pad}\"}}\n"
    )
}

fn index_of(text: &str) -> SegmentIndex {
    SegmentIndex::of(text.as_bytes()).unwrap()
}

/// Asserts that every line is in exactly one block, whose time range includes it.
fn assert_hides_nothing(index: &SegmentIndex, text: &str) {
    let (mut end, mut lines) = (0, 0);
    for block in index.blocks() {
        assert_eq!(block.offset, end);
        end += u64::from(block.len);
        let begin = usize::try_from(block.offset).unwrap();
        let bytes = &text.as_bytes()[begin..begin + block.len as usize];
        assert_eq!(block.crc, crc32fast::hash(bytes));
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        for line in bytes.split(|byte| *byte == b'\n') {
            lines += 1;
            for times in [block.times, index.times()] {
                match time_of(line) {
                    Some(time) => {
                        assert!(times.may_hold(Some(time), Some(time + 1)), "{}", line.escape_ascii());
                        assert!(times.may_hold(None, Some(time + 1)) && times.may_hold(Some(time), None));
                    }
                    None => assert_eq!(times, TimeRange::UNBOUNDED, "{}", line.escape_ascii()),
                }
            }
        }
    }
    assert_eq!((end, lines), (text.len() as u64, index.lines()));
    assert_eq!(end, index.text_len());
}

#[test]
fn blocks_have_whole_lines_and_exact_time_ranges() {
    let lines: Vec<String> =
        (0..3_000).map(|seq| line(40 + seq, NOW + i64::try_from(seq).unwrap(), 400)).collect();
    let text = lines.concat();
    let index = index_of(&text);
    assert!(index.blocks().len() > 4);
    assert_eq!((index.first_seq(), index.lines()), (40, 3_000));
    assert_eq!(index.times(), TimeRange { min: NOW, max: NOW + 2_999 });
    assert_eq!(*index.last_leaf(), leaf_hash(lines[2_999].trim_end().as_bytes()));
    assert_hides_nothing(&index, &text);
    for pair in index.blocks().windows(2) {
        assert_eq!(pair[1].times.min, pair[0].times.max + 1, "time ranges are minimal");
        assert!(
            u64::from(pair[0].len) >= 256 * 1024 && u64::from(pair[0].len) < 256 * 1024 + MAX_LINE as u64
        );
    }
    assert!(!index.blocks()[0].times.may_hold(Some(NOW + 2_999), None));
    assert!(!index.blocks()[1].times.may_hold(None, Some(NOW)));
    let slowly = SegmentIndex::of(BufReader::with_capacity(7, text.as_bytes())).unwrap();
    assert_eq!(slowly, index, "independent of the size of reads");
}

#[test]
fn clock_steps_and_missing_times_hide_no_lines() {
    let mut lines: Vec<String> = (0..4_000_u64)
        .map(|seq| line(seq, NOW - i64::try_from(seq * seq % 7_919).unwrap() * 1_000_000, 300))
        .collect();
    assert_hides_nothing(&index_of(&lines.concat()), &lines.concat());
    let hash = leaf_hash(b"erased");
    let strange = [
        erased_line(1_500, &hash) + "\n",
        "{\"seq\":1500,\"timestamp\":\"2026-11-24T21:54:54+06:30\",\"user\":\"admin\"}\n".to_owned(),
        "{\"seq\":1500,\"timestamp\":\"yesterday\"}\n".to_owned(),
        "{\"seq\":1500,\u{fffd}\n".to_owned(),
        "{\"seq\":1500,\"timestamp\":17}\n".to_owned(),
    ];
    for (strange, is_unbounded) in strange.into_iter().zip([true, false, true, true, true]) {
        lines[1_500] = strange;
        let text = lines.concat();
        let index = index_of(&text);
        assert_hides_nothing(&index, &text);
        let unbounded = index.blocks().iter().filter(|block| block.times == TimeRange::UNBOUNDED).count();
        assert_eq!(unbounded, usize::from(is_unbounded), "{}", lines[1_500]);
    }
    let last = erased_line(4_000, &hash);
    let index = index_of(&(lines.concat() + &last));
    assert_eq!((*index.last_leaf(), index.lines()), (hash, 4_001), "a last line without a newline counts");
}

#[test]
fn text_that_is_not_a_segment_has_no_index() {
    for text in [
        String::new(),
        "\n".to_owned(),
        line(0, NOW, 3).replace("\"seq\":0", "\"seq\":01"),
        line(0, NOW, 3) + &line(2, NOW, 3),
        line(0, NOW, 3) + "\n" + &line(1, NOW, 3),
        line(0, NOW, 3) + &line(1, NOW, MAX_LINE),
        line(0, NOW, 3) + &"x".repeat(3_000_000),
        line(u64::MAX, NOW, 3) + &line(0, NOW, 3),
    ] {
        let error = SegmentIndex::of(text.as_bytes()).unwrap_err();
        assert!(error.is_corrupt(), "{error}");
    }
}

#[test]
fn an_index_with_any_flipped_bit_is_rejected() {
    let index = index_of(&(0..2_000).map(|seq| line(seq, NOW, 300)).collect::<String>());
    let bytes = index.encode();
    assert_eq!(SegmentIndex::decode(&bytes).unwrap(), index);
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(SegmentIndex::decode(&changed).unwrap_err().is_corrupt(), "bit {bit}");
    }
    for len in 0..bytes.len() {
        assert!(SegmentIndex::decode(&bytes[..len]).unwrap_err().is_corrupt(), "{len}");
    }
}

#[test]
fn contradicting_numbers_are_rejected_despite_a_valid_checksum() {
    let index = index_of(&(0..2_000).map(|seq| line(seq, NOW, 300)).collect::<String>());
    let changes: [fn(&mut SegmentIndex); 10] = [
        |index| index.extent.lines += 1,
        |index| index.extent.text_len -= 1,
        |index| index.times.min += 1,
        |index| index.extent.first_seq = u64::MAX - 1,
        |index| index.blocks[1].offset += 1,
        |index| index.blocks[0].len += 1,
        |index| index.blocks[0].lines = 0,
        |index| index.blocks[1].times.max += 1,
        |index| index.blocks[1].times.min = i64::MIN,
        |index| {
            index.blocks.clear();
            (index.extent.lines, index.extent.text_len, index.times) = (0, 0, TimeRange::EMPTY);
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut changed = index.clone();
        change(&mut changed);
        assert!(SegmentIndex::decode(&changed.encode()).unwrap_err().is_corrupt(), "change {number}");
    }
}

#[test]
fn an_index_detects_a_changed_segment() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plain");
    let lines: Vec<String> = (7..60).map(|seq| line(seq, NOW, 3_000)).collect();
    let index = index_of(&lines.concat());
    let is_unchanged = |text: &str| {
        fs::write(&path, text).unwrap();
        index.is_of(&File::open(&path).unwrap(), false).unwrap()
    };
    assert!(is_unchanged(&lines.concat()));
    assert!(!is_unchanged(&(lines.concat() + "\n")));
    assert!(!is_unchanged(""));
    assert!(!is_unchanged(&lines.concat().replace("\"seq\":7,", "\"seq\":8,")));
    let mut changed = lines.clone();
    changed[52] = changed[52].replace("xx\"", "xy\"");
    assert!(!is_unchanged(&changed.concat()));
    assert!(!is_unchanged(&"\n".repeat(lines.concat().len())));
    assert!(!is_unchanged(&"x".repeat(lines.concat().len())));
    // An erased line is shorter than any entry.
    let mut erased = lines.clone();
    erased[20] = erased_line(27, &leaf_hash(lines[20].trim_end().as_bytes())) + "\n";
    assert!(!is_unchanged(&erased.concat()));

    let short = index_of("{\"seq\":0,\"x\":1}");
    fs::write(&path, "{\"seq\":0,\"x\":1}").unwrap();
    assert!(short.is_of(&File::open(&path).unwrap(), false).unwrap());
}

#[test]
fn only_the_index_of_the_same_segment_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let trail = directory.path();
    Dir::from(trail).create_directory(".auditx").unwrap();
    let segment = |first_seq| SealedSegment { first_seq, compressed: false, path: trail.join("unread") };
    assert_eq!(SegmentIndex::read(trail, &segment(7)).unwrap(), None);
    let index = index_of(&line(7, NOW, 3));
    index.write(&trail.into(), &Disk).unwrap();
    assert_eq!(SegmentIndex::read(trail, &segment(7)).unwrap().as_ref(), Some(&index));
    fs::copy(trail.join(name_of(7)), trail.join(name_of(8))).unwrap();
    let error = SegmentIndex::read(trail, &segment(8)).unwrap_err();
    assert!(error.is_corrupt() && error.path().is_some(), "{error}");
    fs::write(trail.join(name_of(7)), b"").unwrap();
    assert!(SegmentIndex::read(trail, &segment(7)).unwrap_err().is_corrupt());
    remove(&trail.into(), 7).unwrap();
    remove(&trail.into(), 7).unwrap();
    assert_eq!(SegmentIndex::read(trail, &segment(7)).unwrap(), None);
    std::os::unix::fs::symlink(trail.join(name_of(8)), trail.join(name_of(7))).unwrap();
    assert!(SegmentIndex::read(trail, &segment(7)).unwrap_err().is_storage());
    remove_all(&trail.into()).unwrap();
    assert!(!trail.join(INDEX_DIR).exists());
}
