//! Batches that are incomplete, damaged or many.

use auditx_tests::deadline::wait_for;

use super::*;

const KEY_OF_TEST: &str = "w1+00000000+BA==";

/// Opens it as soon as no process that another test is starting has inherited the lock.
fn opened(directory: &Path) -> (Journal, Heads) {
    wait_for("the lock", || match Journal::open(directory, KEY_OF_TEST) {
        Err(error) if error.to_string().contains("another witness") => None,
        other => Some(other.unwrap()),
    })
}

fn head(size: u64) -> Head {
    Head { size, root: [u8::try_from(size % 251).unwrap(); 32] }
}

fn batch(sizes: &[(&str, u64)]) -> Vec<(String, Head)> {
    sizes.iter().map(|(origin, size)| ((*origin).to_owned(), head(*size))).collect()
}

fn written(directory: &Path) -> Vec<u8> {
    Journal::create(directory, KEY_OF_TEST).unwrap();
    let (mut journal, mut heads) = opened(directory);
    for sizes in [&[("a", 1), ("b with spaces", 7)][..], &[("a", 2)], &[("a", 3), ("c", 1)]] {
        heads.extend(batch(sizes));
        journal.append(&batch(sizes), &heads).unwrap();
    }
    fs::read(directory.join(NAME)).unwrap()
}

#[test]
fn the_last_line_of_each_log_counts() {
    let directory = tempfile::tempdir().unwrap();
    written(directory.path());
    let (journal, heads) = opened(directory.path());
    assert_eq!(heads, batch(&[("a", 3), ("b with spaces", 7), ("c", 1)]).into_iter().collect());
    let error = Journal::open(directory.path(), KEY_OF_TEST).unwrap_err().to_string();
    assert!(error.contains("another witness"), "{error}");
    drop(journal);
    opened(directory.path());
}

#[test]
fn an_incomplete_last_batch_is_dropped_at_every_length() {
    let directory = tempfile::tempdir().unwrap();
    let whole = written(directory.path());
    let last = whole.windows(4).rposition(|bytes| bytes == b"\n3 A").unwrap() + 1;
    for len in last..whole.len() {
        for rest in [&b""[..], b"\0\0\0", b"end 2 0000"] {
            fs::write(directory.path().join(NAME), [&whole[..len], rest].concat()).unwrap();
            let (mut journal, mut heads) = opened(directory.path());
            // Without the mark that it is durable, it may be whole.
            let is_whole = len + DURABLE.len() >= whole.len();
            assert_eq!(heads["a"], head(if is_whole { 3 } else { 2 }), "{len}");
            heads.extend(batch(&[("a", 9)]));
            journal.append(&batch(&[("a", 9)]), &heads).unwrap();
            drop(journal);
            assert_eq!(opened(directory.path()).1["a"], head(9), "{len}");
        }
    }
}

#[test]
fn damage_of_what_was_answered_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let whole = written(directory.path());
    // The mark of the last batch says nothing more.
    for at in 0..whole.len() - DURABLE.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        fs::write(directory.path().join(NAME), damaged).unwrap();
        let error = wait_for("the lock", || {
            let error = Journal::open(directory.path(), KEY_OF_TEST).expect_err("damage").to_string();
            (!error.contains("another witness uses")).then_some(error)
        });
        assert!(error.contains("is damaged") || error.contains("is not the state"), "{at}: {error}");
    }
}

#[test]
fn a_witness_does_not_begin_again_by_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Journal::open(directory.path(), KEY_OF_TEST).unwrap_err().to_string();
    assert!(missing.contains("there is no witness in"), "{missing}");
    written(directory.path());
    assert!(Journal::create(directory.path(), KEY_OF_TEST).is_err());
    let other = wait_for("the lock", || {
        let error = Journal::open(directory.path(), "w2+00000000+BA==").unwrap_err().to_string();
        (!error.contains("another witness")).then_some(error)
    });
    assert!(other.contains("is not the state of the witness w2"), "{other}");
}

#[test]
fn the_file_is_rewritten_when_it_has_many_lines() {
    let directory = tempfile::tempdir().unwrap();
    Journal::create(directory.path(), KEY_OF_TEST).unwrap();
    let (mut journal, mut heads) = opened(directory.path());
    journal.lines = FEWEST_LINES;
    let mut lens = Vec::new();
    for size in 1..=3 {
        heads.extend(batch(&[("a", size)]));
        journal.append(&batch(&[("a", size)]), &heads).unwrap();
        lens.push(
            fs::read(directory.path().join(NAME)).unwrap().iter().filter(|byte| **byte == b'\n').count(),
        );
    }
    assert_eq!(lens, [4, 4, 7], "the second append rewrites it");
    drop(journal);
    assert_eq!(opened(directory.path()).1, heads);
}
