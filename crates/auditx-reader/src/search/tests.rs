//! A search finds what a simple, slow reader finds, however the files of the trail look and however it is
//! run.

mod live;
mod pages;
mod random;
mod trail;

use std::ops::ControlFlow;

use auditx_format::moment::Moment;

use super::{Cursor, Order, Search, Source};
use crate::query::Query;
use trail::{Trail, line};

/// The lines that a search finds, as stored.
fn found(search: &Search) -> Vec<String> {
    let mut lines = Vec::new();
    let summary = search
        .each(|found| {
            lines.push(found.row.line().to_owned());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(summary.found, lines.len() as u64);
    lines
}

fn query(text: &str) -> Query {
    Query::parse(text, Moment::now()).unwrap()
}

#[test]
fn output_is_the_rendered_text_up_to_the_limit() {
    let mut trail = Trail::new();
    let lines: Vec<String> = (0..500).map(|seq| line(seq, "aung", 40)).collect();
    trail.seal(&lines[..300], true);
    trail.activate(&lines[300..], "");
    for limit in [0, 1, 7, 499, 500, 501] {
        let mut text = Vec::new();
        let summary = trail
            .search()
            .limit(limit)
            .write(
                |found, out| out.extend_from_slice(format!("{};", found.row.seq().unwrap()).as_bytes()),
                |bytes| {
                    text.extend_from_slice(bytes);
                    Ok(())
                },
            )
            .unwrap();
        let expected: String = (0..limit.min(500)).map(|seq| format!("{seq};")).collect();
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        assert_eq!(summary.found, limit.min(500));
        assert_eq!(summary.next.is_some(), limit > 0 && limit <= 500);
    }
}

#[test]
fn an_output_error_ends_the_search() {
    let mut trail = Trail::new();
    trail.activate(&(0..5_000).map(|seq| line(seq, "aung", 40)).collect::<Vec<_>>(), "");
    let mut taken = 0;
    let error = trail
        .search()
        .write(
            |_, out| out.push(b'x'),
            |_| {
                taken += 1;
                Err(std::io::ErrorKind::BrokenPipe.into())
            },
        )
        .unwrap_err();
    assert!(
        matches!(error, super::SearchError::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    );
    assert_eq!(taken, 1);
}

#[test]
fn folds_cover_the_entries_of_all_threads() {
    let mut trail = Trail::new();
    trail.activate(
        &(0..5_000).map(|seq| line(seq, if seq % 2 == 0 { "aung" } else { "mya" }, 40)).collect::<Vec<_>>(),
        "",
    );
    let (sums, summary) = trail
        .search()
        .query(query("user:mya"))
        .fold(|| 0, |sum, found| *sum += found.row.seq().unwrap())
        .unwrap();
    assert_eq!(sums.into_iter().sum::<u64>(), (1..5_000).step_by(2).sum::<u64>());
    assert_eq!(summary.found, 2_500);
}

#[test]
fn unreadable_lines_are_reported_in_order() {
    let mut trail = Trail::new();
    let mut lines: Vec<String> = (0..40).map(|seq| line(seq, "aung", 40)).collect();
    lines[10] = r#"{"seq":10,"user":5}"#.to_owned();
    lines[20] = r#"{"seq":20,"user":"a","user":"b"}"#.to_owned();
    trail.seal(&lines[..30], false);
    // The index records unreadable lines, so they are reported regardless of the query.
    trail.index(&lines[..30]);
    lines[35] = "torn".to_owned();
    let offset = lines[30..35].iter().map(|line| line.len() as u64 + 1).sum::<u64>();
    trail.activate(&lines[30..], "{\"seq\":40,\"unfin");
    for search in [
        trail.search(),
        trail.search().query(query("user:nobody")),
        trail.search().strict().query(query("user:nobody")),
    ] {
        let summary = search.each(|_| ControlFlow::Continue(())).unwrap();
        let errors: Vec<String> = summary.errors.iter().map(ToString::to_string).collect();
        assert_eq!((summary.errors.lines(), summary.errors.segments()), (3, 0), "{errors:#?}");
        assert!(errors[0].contains("wrong type") && errors[1].contains("duplicate field"), "{errors:#?}");
        assert_eq!(summary.errors.iter().nth(2).unwrap().offset(), Some(offset));
    }
}

#[test]
fn a_damaged_segment_is_reported_and_the_others_are_read() {
    let mut trail = Trail::new();
    let lines: Vec<String> = (0..900).map(|seq| line(seq, "aung", 40)).collect();
    trail.seal(&lines[..300], true);
    let damaged = trail.seal(&lines[300..600], true);
    trail.activate(&lines[600..], "");
    let bytes = std::fs::read(&damaged).unwrap();
    std::fs::write(&damaged, &bytes[..bytes.len() / 2]).unwrap();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let mut seqs = Vec::new();
        let summary = trail
            .search()
            .order(order)
            .each(|found| {
                seqs.push(found.row.seq().unwrap());
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!((summary.errors.lines(), summary.errors.segments()), (0, 1));
        if order == Order::NewestFirst {
            seqs.reverse();
        }
        let whole: Vec<u64> = (0..300).chain(300 + seqs.len() as u64 - 600..0).chain(600..900).collect();
        assert!(seqs.is_sorted() && whole.iter().all(|seq| seqs.contains(seq)), "{seqs:?}");
    }
}

#[test]
fn a_page_does_not_read_earlier_pages() {
    let mut trail = Trail::new();
    let mut lines: Vec<String> = (0..900).map(|seq| line(seq, "aung", 40)).collect();
    lines[650] = r#"{"seq":650,"user":5}"#.to_owned();
    let sealed = [&lines[..300], &lines[300..600]].map(|lines| trail.seal(lines, true));
    trail.activate(&lines[600..], "");
    for (order, cursor, damaged) in
        [(Order::OldestFirst, 700, sealed[0].clone()), (Order::NewestFirst, 200, sealed[1].clone())]
    {
        let whole = std::fs::read(&damaged).unwrap();
        std::fs::write(&damaged, &whole[..whole.len() / 2]).unwrap();
        let search = trail.search().order(order).after(Cursor::Seq(cursor));
        let summary = search.each(|_| ControlFlow::Continue(())).unwrap();
        assert_eq!((summary.errors.lines(), summary.errors.segments()), (0, 0), "{order:?}");
        assert_eq!(summary.found, if order == Order::OldestFirst { 199 } else { 200 });
        std::fs::write(&damaged, whole).unwrap();
    }
}

#[test]
fn security_entries_are_read_from_the_trail() {
    let mut trail = Trail::new();
    let lines = [0, 1, 2, 3].map(|seq| line(seq, "mya", 1));
    let level = |line: &String, level: &str| line.replace("AUDIT", level);
    let lines = [
        lines[0].clone(),
        level(&lines[1], "SECURITY"),
        level(&lines[2], "CRITICAL"),
        level(&lines[3], "INFO"),
    ];
    trail.activate(&lines, "");
    std::fs::write(trail.path().join("security.jsonl"), "").unwrap();
    assert_eq!(found(&trail.search().source(Source::Security)), lines[1..3]);
    let missing = Search::new(trail.path().join("none"));
    for source in [Source::Audit, Source::Security] {
        assert!(missing.clone().source(source).each(|_| ControlFlow::Continue(())).unwrap_err().is_missing());
    }
}

#[test]
fn time_ranges_apply_to_lines_of_any_format() {
    let mut trail = Trail::new();
    let at = |seq, time: &str| line(seq, "aung", 1).replace("2026-11-24T15:24:54.123456Z", time);
    let lines = [
        at(0, "2026-11-24T10:00:00.000000Z"),
        at(1, "2026-11-24T09:59:59.999999Z"),
        at(2, "2026-11-24T16:30:00.000000+06:30"),
        at(3, "yesterday"),
        format!("{{\"seq\":4,\"erased\":\"{}\"}}", "0".repeat(64)),
        r#"{"timestamp": "2026-11-24T10:30:00", "description": "a legacy line"}"#.to_owned(),
        at(6, "2026-11-24T11:00:00.000000Z"),
    ];
    trail.activate(&lines, "");
    let search = trail
        .search()
        .since(Moment::parse("2026-11-24T10:00:00Z").unwrap())
        .until(Moment::parse("2026-11-24T11:00:00Z").unwrap());
    assert_eq!(found(&search), [0, 2, 5].map(|at: usize| lines[at].clone()));
    let summary = search.each(|_| ControlFlow::Continue(())).unwrap();
    assert_eq!(summary.errors.lines(), 1, "an invalid time is an error: {:?}", summary.errors);
}

#[test]
fn a_line_that_is_too_long_is_one_error() {
    let mut trail = Trail::new();
    let lines = [line(0, "aung", 1), line(1, "aung", 1_200_000), line(2, "aung", 1)];
    trail.seal(&lines, true);
    trail.activate(&[line(3, "aung", 1_200_000), line(4, "aung", 1)], "");
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let search = trail.search().order(order);
        let mut seqs: Vec<String> = found(&search);
        seqs.sort();
        assert_eq!(seqs, [lines[0].clone(), lines[2].clone(), line(4, "aung", 1)]);
        let summary = search.each(|_| ControlFlow::Continue(())).unwrap();
        assert_eq!(summary.errors.lines(), 2, "{:?}", summary.errors);
    }
}
