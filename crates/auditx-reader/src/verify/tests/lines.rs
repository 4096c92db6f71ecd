//! Lines altered, deleted, inserted and moved, with and without the tile cache.

use super::fixture::*;
use super::*;

use FaultKind::{Altered, Inserted, Missing, Reordered, Truncated};

/// A trail of lines 0 to 12 with edited lines.
fn edited(edit: impl FnOnce(&mut Vec<String>)) -> Trail {
    let trail = Trail::of(10);
    trail.edit(edit);
    trail
}

#[track_caller]
fn check(trail: &Trail, with: (FaultKind, u64), without: (FaultKind, u64)) {
    assert_eq!(trail.found(), (with.0, Some(with.1)), "with the tile cache");
    assert_eq!(trail.found_without_tiles(), (without.0, Some(without.1)), "without the tile cache");
}

/// The line cannot be determined: it is one of those before the checkpoint.
const SOMEWHERE: (FaultKind, u64) = (Altered, 0);

#[test]
fn a_changed_value_is_an_altered_line_with_its_location() {
    let trail = edited(|lines| lines[5] = lines[5].replace("entry 3", "entry 8"));
    check(&trail, (Altered, 5), SOMEWHERE);
    let before: usize = trail.lines()[..5].iter().map(|line| line.len() + 1).sum();
    let fault = trail.fault();
    assert_eq!((fault.segment.as_deref(), fault.offset), (Some("audit.jsonl"), Some(before as u64)));
    assert_eq!(
        fault.to_string(),
        format!("line 5 differs from what was signed (audit.jsonl, byte {before})")
    );
    trail.remove_tiles();
    assert_eq!(trail.fault().message, "a line between line 0 and line 12 differs from what was signed");
}

#[test]
fn changed_white_space_and_key_order_are_alterations() {
    check(&edited(|lines| lines[4] = lines[4].replace(",\"level\"", ", \"level\"")), (Altered, 4), SOMEWHERE);
    check(&edited(|lines| lines[4].push(' ')), (Altered, 4), SOMEWHERE);
    let swap = |lines: &mut Vec<String>| {
        lines[4] = lines[4].replace(
            "\"level\":\"NORMAL\",\"module\":\"system\"",
            "\"module\":\"system\",\"level\":\"NORMAL\"",
        );
    };
    let trail = Trail::of(10);
    let before = trail.lines();
    trail.edit(swap);
    assert_ne!(trail.lines(), before);
    check(&trail, (Altered, 4), SOMEWHERE);
}

#[test]
fn carriage_returns_byte_order_marks_and_nuls_are_alterations() {
    check(&edited(|lines| lines[6].push('\r')), (Altered, 6), SOMEWHERE);
    check(&edited(|lines| lines.iter_mut().for_each(|line| line.push('\r'))), (Altered, 0), SOMEWHERE);
    check(&edited(|lines| lines[0].insert(0, '\u{feff}')), (Altered, 0), (Altered, 0));
    check(&edited(|lines| lines[6].insert(0, '\0')), (Altered, 6), (Altered, 6));
    check(&edited(|lines| lines[6].insert(30, '\0')), (Altered, 6), SOMEWHERE);
}

#[test]
fn a_blank_line_is_inserted() {
    for blank in ["", "\r", " "] {
        check(&edited(|lines| lines.insert(6, blank.to_owned())), (Inserted, 6), (Inserted, 6));
    }
    check(&edited(|lines| lines.insert(0, String::new())), (Inserted, 0), (Inserted, 0));
}

#[test]
fn a_deleted_line_is_missing_even_if_the_rest_is_renumbered() {
    check(&edited(|lines| drop(lines.remove(6))), (Missing, 6), (Missing, 6));
    check(&edited(|lines| drop(lines.drain(6..9))), (Missing, 6), (Missing, 6));
    for count in 1..4 {
        let trail = edited(|lines| {
            lines.drain(6..6 + count);
            renumber(lines);
        });
        let end = 13 - count as u64;
        check(&trail, (Missing, 6), (Truncated, end));
    }
}

#[test]
fn a_deleted_beginning_is_missing() {
    check(&edited(|lines| drop(lines.remove(0))), (Missing, 0), (Missing, 0));
    let trail = edited(|lines| {
        lines.remove(0);
        renumber(lines);
    });
    check(&trail, (Missing, 0), (Truncated, 12));
}

#[test]
fn a_deleted_end_is_truncated() {
    check(&edited(|lines| drop(lines.pop())), (Truncated, 12), (Truncated, 12));
    check(&edited(|lines| lines.truncate(4)), (Truncated, 4), (Truncated, 4));
    check(&edited(Vec::clear), (Truncated, 0), (Truncated, 0));
    let trail = edited(|lines| lines.truncate(7));
    let fault = trail.fault();
    assert_eq!(
        (fault.segment.as_deref(), fault.offset),
        (Some("audit.jsonl"), Some(trail.active().len() as u64))
    );
}

#[test]
fn a_last_line_cut_short_is_truncated() {
    let trail = Trail::of(10);
    let whole = trail.active();
    for cut in [1, 2, 100] {
        trail.set_active(&whole[..whole.len() - cut]);
        check(&trail, (Truncated, 12), (Truncated, 12));
    }
}

#[test]
fn swapped_lines_are_reordered_even_if_renumbered() {
    check(&edited(|lines| lines.swap(6, 7)), (Reordered, 6), (Reordered, 6));
    check(&edited(|lines| lines.swap(11, 12)), (Reordered, 11), (Reordered, 11));
    let trail = edited(|lines| {
        lines.swap(6, 7);
        renumber(lines);
    });
    check(&trail, (Reordered, 6), SOMEWHERE);
}

#[test]
fn a_duplicated_line_is_inserted_even_if_renumbered() {
    let duplicate = |from: usize, to: usize| edited(|lines| lines.insert(to, lines[from].clone()));
    check(&duplicate(6, 7), (Inserted, 7), (Inserted, 7));
    check(&duplicate(2, 9), (Inserted, 9), (Inserted, 9));
    check(&duplicate(12, 13), (Inserted, 13), (Inserted, 13));
    let trail = edited(|lines| {
        lines.insert(7, lines[6].clone());
        renumber(lines);
    });
    check(&trail, (Inserted, 7), SOMEWHERE);
}

#[test]
fn a_forged_line_is_inserted_even_if_the_rest_is_renumbered() {
    for count in 1..4 {
        let trail = edited(|lines| {
            for _ in 0..count {
                lines.insert(6, lines[4].replace("entry", "forgery"));
            }
            renumber(lines);
        });
        check(&trail, (Inserted, 6), SOMEWHERE);
    }
    check(&edited(|lines| lines.insert(6, "forgery".to_owned())), (Inserted, 6), (Inserted, 6));
}

#[test]
fn two_lines_joined_alter_the_first() {
    let trail = edited(|lines| {
        let second = lines.remove(7);
        lines[6].push_str(&second);
    });
    check(&trail, (Altered, 6), (Altered, 6));
    let last = edited(|lines| {
        let second = lines.remove(12);
        lines[11].push_str(&second);
    });
    check(&last, (Altered, 11), (Truncated, 12));
}

#[test]
fn a_split_line_is_altered() {
    let trail = edited(|lines| {
        let rest = lines[6].split_off(80);
        lines.insert(7, rest);
    });
    check(&trail, (Altered, 6), (Altered, 6));
}

#[test]
fn any_other_spelling_of_a_number_alters_its_line() {
    for number in ["06", "6e0", "-6", "18446744073709551616", "+6", "6.0", " 6", "\"6\"", ""] {
        let trail =
            edited(|lines| lines[6] = lines[6].replacen("\"seq\":6,", &format!("\"seq\":{number},"), 1));
        check(&trail, (Altered, 6), (Altered, 6));
    }
    for number in ["5", "7", "8", "600"] {
        let trail =
            edited(|lines| lines[6] = lines[6].replacen("\"seq\":6,", &format!("\"seq\":{number},"), 1));
        check(&trail, (Altered, 6), (Altered, 6));
    }
}

#[test]
fn an_altered_number_of_the_first_line_is_an_alteration() {
    for number in ["1", "2", "700", "x", "00"] {
        let trail =
            edited(|lines| lines[0] = lines[0].replacen("\"seq\":0,", &format!("\"seq\":{number},"), 1));
        check(&trail, (Altered, 0), (Altered, 0));
    }
}

#[test]
fn an_altered_number_of_the_last_line_is_an_alteration() {
    for number in ["11", "13", "3", "x", "012"] {
        let trail =
            edited(|lines| lines[12] = lines[12].replacen("\"seq\":12,", &format!("\"seq\":{number},"), 1));
        assert_eq!(trail.found(), (Altered, Some(12)), "{number}");
    }
}

#[test]
fn a_line_longer_than_the_maximum_is_altered() {
    let trail = edited(|lines| lines[6].insert_str(200, &"x".repeat(70_000)));
    check(&trail, (Altered, 6), (Altered, 6));
    let trail = edited(|lines| lines[6].insert_str(200, &"x".repeat(3_000_000)));
    check(&trail, (Altered, 6), (Altered, 6));
}

#[test]
fn unsigned_lines_must_be_consecutive_too() {
    let trail = Trail::of(10);
    let added = |lines: &[&str]| {
        let trail = trail.copy();
        trail.edit(|all| all.extend(lines.iter().map(|line| (*line).to_owned())));
        trail
    };
    let line = |seq: u64| format!("{{\"seq\":{seq},\"description\":\"forged\"}}");
    let (a, b, c) = (line(13), line(14), line(15));
    let verification = added(&[&a, &b, &c]).verify();
    assert_eq!((verification.answer, verification.unsigned_lines), (Answer::Unconfirmed, 3));
    check(&added(&[&a, &c]), (Missing, 14), (Missing, 14));
    check(&added(&[&a, &a, &b]), (Inserted, 14), (Inserted, 14));
    check(&added(&[&a, &c, &b]), (Reordered, 14), (Reordered, 14));
    check(&added(&[&a, "", &b]), (Inserted, 14), (Inserted, 14));
    check(&added(&[&a, "x", &c]), (Altered, 14), (Altered, 14));
}

#[test]
fn the_earliest_of_several_faults_is_named() {
    let trail = edited(|lines| {
        lines.remove(9);
        lines[4] = lines[4].replace("entry 2", "entry 9");
    });
    assert_eq!(trail.found(), (Altered, Some(4)));
}

#[test]
fn without_the_tile_cache_checkpoints_bracket_the_line() {
    let trail = Trail::of(3);
    for _ in 0..3 {
        let logger = trail.reopen();
        (0..5).for_each(|number| record(&logger, number, 10));
        logger.close(TIMEOUT).unwrap();
    }
    let sizes: Vec<u64> = {
        let checkpoints = Checkpoints::read(trail.path()).unwrap();
        checkpoints.history.iter().map(SignedCheckpoint::size).collect()
    };
    assert!(sizes.len() >= 4, "{sizes:?}");
    let (begin, end) = (sizes[1], sizes[2]);
    let target = usize::try_from(end - 2).unwrap();
    trail.edit(|lines| lines[target] = lines[target].replace("entry", "forgery"));
    assert_eq!(trail.found(), (Altered, Some(end - 2)));
    trail.remove_tiles();
    let fault = trail.fault();
    assert_eq!((fault.kind, fault.seq), (Altered, Some(begin)));
    let expected = format!("a line between line {begin} and line {} differs from what was signed", end - 1);
    assert_eq!(fault.message, expected);
    // The same checkpoints are recorded in the trail itself.
    trail.remove_history();
    assert_eq!(trail.fault().message, expected);
}
