//! Tests of output on narrow terminals and in pipes.

use unicode_width::UnicodeWidthStr;

use crate::program::{command, ended, on_terminal};
use crate::shop::{SHOP, golden, hostile_trail, trail_of};
use crate::trail::directory;

/// Returns what a terminal of this width shows.
fn on(arguments: &[&str], columns: u16) -> String {
    let shop = trail_of(SHOP);
    let (status, shown) = on_terminal(command(arguments, shop.path()).env("NO_COLOR", "1"), columns);
    assert_eq!(status, Some(0), "{shown}");
    shown
}

const CALLS: [&[&str]; 7] = [
    &["query"],
    &["query", "--tz", "America/Argentina/Buenos_Aires"],
    &["query", "--fields", "seq,timestamp,level,user,module,action,description,amount"],
    &["stats", "--by", "user,module", "--sum", "amount"],
    &["stats", "--bucket", "1h"],
    &["stats", "--by", "description", "--bucket", "1d"],
    &["tail"],
];

#[test]
fn no_line_is_wider_than_the_terminal() {
    for columns in [20, 40, 60, 80, 200] {
        for arguments in CALLS {
            let shown = on(arguments, columns);
            assert!(shown.lines().count() > 3, "{shown}");
            for line in shown.lines() {
                assert!(line.width() <= usize::from(columns), "{arguments:?} in {columns}: {line:?}");
            }
        }
    }
}

#[test]
fn the_demo_fits_a_narrow_terminal() {
    for columns in [20, 40, 60] {
        let place = directory();
        let trail = place.path().join("logs");
        let (status, shown) = on_terminal(command(&["demo"], &trail).env("NO_COLOR", "1"), columns);
        assert_eq!(status, Some(0), "{shown}");
        let is_table = |line: &&str| line.starts_with(|c: char| c.is_ascii_digit());
        assert!(shown.lines().filter(is_table).all(|line| line.width() <= usize::from(columns)), "{shown}");
    }
}

#[test]
fn descriptions_are_shown_at_every_width() {
    for columns in [20, 40, 60, 80, 200] {
        let words = on(&["query"], columns).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("User login") && words.contains("ရောင်းချမှု"), "{columns}: {words}");
    }
}

#[test]
fn narrow_tables_match_their_golden_files() {
    golden("table-40.txt", &on(&["query"], 40));
    golden("table-20.txt", &on(&["query"], 20));
    golden("stats-40.txt", &on(&["stats", "--by", "user,module", "--sum", "amount"], 40));
}

#[test]
fn a_pipe_has_the_width_of_columns_or_120() {
    let shop = trail_of(SHOP);
    let table = |columns: Option<&str>| {
        let mut query = command(&["query", "-o", "table"], shop.path());
        ended(query.envs(columns.map(|columns| ("COLUMNS", columns)))).out
    };
    let widest = |text: &str| text.lines().map(UnicodeWidthStr::width).max().unwrap();
    for columns in [20, 40, 60, 80, 200] {
        let table = table(Some(&columns.to_string()));
        assert!(widest(&table) <= columns, "{table}");
    }
    let without = table(None);
    assert_eq!(without, table(Some("120")));
    assert_eq!(without, table(Some("wide")), "an invalid COLUMNS is ignored");
}

#[test]
fn hostile_text_on_narrow_terminals_is_escaped() {
    let trail = hostile_trail();
    for columns in [20, 40] {
        let (_, shown) = on_terminal(command(&["query"], trail.path()).env("NO_COLOR", "1"), columns);
        assert!(!shown.contains(['\u{1b}', '\u{202e}', '\u{9b}', '\u{7f}', '\u{0}']), "{shown:?}");
        assert!(shown.lines().count() < 100, "a long description takes only a few lines");
        assert!(shown.lines().all(|line| line.width() <= usize::from(columns)), "{shown}");
    }
}
