//! Tests of the appender on a disk whose space, writes and syncs fail on demand.

use std::fs;
use std::sync::atomic::Ordering;

use super::*;
use crate::config::Config;
use crate::dir::{Dir, Modes};
use crate::recover::{NewTrail, Recovered, recover};
use crate::segment::{AUDITX_DIR, SegmentIndex, sealed_segments};
use crate::storage::testing::FaultyDisk;

struct Bench {
    directory: tempfile::TempDir,
    disk: FaultyDisk,
    appender: Appender,
}

fn bench(max_file_bytes: u64) -> Bench {
    let directory = tempfile::tempdir().unwrap();
    let disk = FaultyDisk::default();
    let dir = Dir::hold(directory.path(), Modes::default()).unwrap();
    dir.create_directory(AUDITX_DIR).unwrap();
    // Smaller segments than a configuration may have.
    let config = Config::new(directory.path()).max_file_bytes(max_file_bytes);
    let trail = Arc::new(Trail::new(dir, Arc::new(disk.clone()), config).unwrap());
    let new_trail = NewTrail { origin: "origin".to_owned(), previous: None };
    let Recovered { start, tree, checkpoint_signer, .. } = recover(&trail, Some(&new_trail)).unwrap();
    Bench { directory, disk, appender: Appender::new(trail, start, tree, checkpoint_signer) }
}

impl Bench {
    fn lines(&self) -> Vec<String> {
        let mut reader = crate::segment::TrailReader::new(self.directory.path(), 0);
        let mut lines = Vec::new();
        while let Some((_, line)) = reader.next_line().unwrap() {
            lines.push(String::from_utf8(line.to_vec()).unwrap());
        }
        lines
    }

    fn active(&self) -> Vec<u8> {
        fs::read(self.directory.path().join(ACTIVE)).unwrap()
    }
}

#[test]
fn a_full_disk_leaves_no_partial_line_and_the_gap_is_recorded() {
    let mut bench = bench(1 << 20);
    bench.appender.append(b"\"n\":0}").unwrap();
    let before = bench.active();
    bench.disk.0.space.store(5, Ordering::SeqCst);
    for _ in 0..3 {
        let error = bench.appender.append(b"\"n\":1}").unwrap_err();
        assert!(error.is_storage() && error.path().is_some(), "{error}");
    }
    assert_eq!(bench.active(), before, "the partial line was rolled back");
    bench.disk.0.space.store(u64::MAX, Ordering::SeqCst);
    let position = bench.appender.append(b"\"n\":2}").unwrap();
    let lines = bench.lines();
    assert_eq!(position, 3, "the position is the number of lines");
    assert_eq!(lines[0], "{\"seq\":0,\"n\":0}");
    assert!(lines[1].contains("\"kind\":\"gap\"") && lines[1].contains("\"count\":3"), "{}", lines[1]);
    assert_eq!(lines[2], "{\"seq\":2,\"n\":2}");
}

#[test]
fn a_failed_fdatasync_of_a_sealed_segment_stops_the_trail() {
    let mut bench = bench(10);
    bench.disk.0.fail_sync.store(true, Ordering::SeqCst);
    bench.appender.append(b"\"n\":0}").unwrap();
    assert!(bench.appender.sign().unwrap_err().is_storage());
    bench.disk.0.fail_sync.store(false, Ordering::SeqCst);
    assert!(bench.appender.append(b"\"n\":1}").unwrap_err().is_storage());
}

#[test]
fn after_a_failed_seal_the_segment_grows() {
    let mut bench = bench(10);
    bench.disk.0.fail_rename.store(true, Ordering::SeqCst);
    bench.appender.append(b"\"n\":0}").unwrap();
    bench.appender.append(b"\"n\":1}").unwrap();
    assert!(sealed_segments(bench.directory.path()).unwrap().is_empty());
    assert_eq!(bench.lines().len(), 2);
    assert_eq!(bench.appender.trail.counters.seal_failures.read(), 1);
}

#[test]
fn a_segment_begins_with_the_seal_before_it_and_is_named_by_its_first_seq() {
    let mut bench = bench(300);
    for number in 0..20 {
        bench.appender.append(format!("\"n\":{number},\"pad\":\"{}\"}}", "x".repeat(60)).as_bytes()).unwrap();
    }
    let sealed = sealed_segments(bench.directory.path()).unwrap();
    assert!(sealed.len() > 3);
    for (position, segment) in sealed.iter().enumerate() {
        let text = fs::read_to_string(&segment.path).unwrap();
        assert!(text.starts_with(&format!("{{\"seq\":{},", segment.first_seq)));
        assert_eq!(text.contains("\"kind\":\"rotated\""), position > 0);
    }
    let lines = bench.lines();
    for (seq, line) in lines.iter().enumerate() {
        assert!(line.starts_with(&format!("{{\"seq\":{seq},")));
    }
    assert_eq!(lines.iter().filter(|line| line.contains("\"n\":")).count(), 20);
}

#[test]
fn a_seal_on_a_full_disk_is_recorded_later_and_is_no_gap() {
    let mut bench = bench(60);
    let entry = format!("\"pad\":\"{}\"}}", "x".repeat(60));
    let line = "{\"seq\":0,".len() + entry.len() + 1;
    bench.disk.0.space.store(line as u64, Ordering::SeqCst);
    bench.appender.append(entry.as_bytes()).unwrap();
    bench.appender.append(b"\"n\":1}").unwrap_err();
    assert!(bench.active().is_empty());
    bench.disk.0.space.store(u64::MAX, Ordering::SeqCst);
    assert_eq!(bench.appender.append(b"\"n\":2}").unwrap(), 4);
    let lines = bench.lines();
    assert!(lines[1].contains("\"kind\":\"rotated\""), "{}", lines[1]);
    assert!(lines[2].contains("\"kind\":\"gap\"") && lines[2].contains("\"count\":1,"), "{}", lines[2]);
    assert_eq!(lines[3], "{\"seq\":3,\"n\":2}");
    assert_eq!(
        bench.appender.trail.counters.seals.read(),
        2,
        "the long record of a seal fills a segment here"
    );
}

#[test]
fn an_unsigned_sealed_segment_is_restored_under_its_name() {
    let mut bench = bench(300);
    for number in 0..8 {
        bench.appender.append(format!("\"n\":{number},\"pad\":\"{}\"}}", "x".repeat(60)).as_bytes()).unwrap();
    }
    let before = bench.lines();
    let sealed = sealed_segments(bench.directory.path()).unwrap();
    assert!(sealed.len() > 1);
    fs::remove_file(&sealed[0].path).unwrap();
    fs::rename(&sealed[1].path, sealed[1].path.with_extension("jsonl.1")).unwrap();
    bench.appender.sign().unwrap();
    assert_eq!(bench.appender.trail.counters.restored.read(), 2);
    let lines = bench.lines();
    assert_eq!(lines[..before.len()], before, "no line is lost");
    assert_eq!(lines.iter().filter(|line| line.contains("\"kind\":\"recovered\"")).count(), 2);
}

#[test]
fn a_batch_that_is_dropped_appends_nothing() {
    let mut bench = bench(1 << 20);
    let before = bench.lines().len();
    let mut batch = bench.appender.batch().unwrap();
    batch.add(b"\"n\":0}", 1);
    drop(batch);
    bench.appender.append(b"\"n\":1}").unwrap();
    assert_eq!(bench.lines()[before..], [format!("{{\"seq\":{before},\"n\":1}}")]);
}

#[test]
fn a_cancelled_entry_leaves_no_trace_in_its_batch() {
    let mut bench = bench(1 << 20);
    let before = bench.lines().len();
    let mut batch = bench.appender.batch().unwrap();
    batch.add(b"\"n\":0}", 1);
    batch.begin_entry().extend_from_slice(b"\"half");
    batch.cancel_entry();
    batch.add(b"\"n\":1}", 2);
    batch.write().unwrap();
    let expected: Vec<String> = (0..2).map(|n| format!("{{\"seq\":{},\"n\":{n}}}", before + n)).collect();
    assert_eq!(bench.lines()[before..], expected);
}

#[test]
fn a_sealed_segment_has_the_fingerprint_of_its_text() {
    let mut bench = bench(300);
    for n in 0..20 {
        // A write that fails and is rolled back is not part of the text.
        bench.disk.0.space.store(5, Ordering::SeqCst);
        bench.appender.append(b"\"n\":\"lost\"}").unwrap_err();
        bench.disk.0.space.store(u64::MAX, Ordering::SeqCst);
        bench.appender.append(format!("\"n\":{n}}}").as_bytes()).unwrap();
    }
    let segments = sealed_segments(bench.directory.path()).unwrap();
    assert!(segments.len() > 3, "{}", segments.len());
    for segment in segments {
        let text = fs::read(&segment.path).unwrap();
        let (_, found) = SegmentIndex::with_fingerprint(&*text).unwrap();
        assert_eq!(bench.appender.trail.registry.fingerprint(segment.first_seq), Some(found), "{segment:?}");
    }
}
