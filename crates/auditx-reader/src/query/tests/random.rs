//! Random queries over random entries: the real evaluator agrees with the reference, and a search skips no
//! match.

use auditx_format::moment::Moment;
use auditx_format::row::Row;

use super::evaluator::holds;
use super::samples::{Random, Style, entry, query_text, written};
use super::{now, query};
use crate::query::Query;

const STYLES: [Style; 4] = [
    Style { has_spaces: false, escapes: 0 },
    Style { has_spaces: true, escapes: 0 },
    Style { has_spaces: false, escapes: 5 },
    Style { has_spaces: true, escapes: 1 },
];

/// Calls `check` with random entries, each in several spellings, and random queries.
fn each(seed: u64, mut check: impl FnMut(&Query, &super::samples::Value, &[String])) {
    let mut random = Random::new(seed);
    for _ in 0..500 {
        let entry = entry(&mut random);
        let lines: Vec<_> = STYLES.iter().map(|style| written(&entry, style, &mut random)).collect();
        for _ in 0..10 {
            check(&query(&query_text(&mut random, 0)), &entry, &lines);
        }
    }
}

#[test]
fn matches_agrees_with_the_reference_for_every_spelling() {
    let (mut found, mut total) = (0, 0);
    each(1, |query, entry, lines| {
        let expected = holds(&query.0, entry);
        for line in lines {
            let row = Row::read_text(line).unwrap_or_else(|why| panic!("{why}: {line}"));
            assert_eq!(query.matches(&row), expected, "{query}\n{line}");
            total += 1;
            found += usize::from(expected);
        }
    });
    // Queries without matches would prove little.
    assert!(found * 10 > total && found * 10 < total * 9, "{found} of {total}");
}

#[test]
fn a_search_skips_no_line_that_matches() {
    let mut skipped = 0;
    each(2, |query, _, lines| {
        let plan = query.plan();
        for line in lines {
            let row = Row::read_text(line).unwrap();
            let admitted = plan.admits(line.as_bytes());
            let time = Moment::parse(&row.text(crate::Field::Timestamp));
            let is_in_time = plan.since.is_none_or(|since| time.is_some_and(|time| time >= since))
                && plan.until.is_none_or(|until| time.is_some_and(|time| time < until));
            assert!(!query.matches(&row) || admitted && is_in_time, "{query}\n{plan:?}\n{line}");
            skipped += usize::from(!admitted);
        }
    });
    assert!(skipped > 1_000, "{skipped}");
}

#[test]
fn a_displayed_query_parses_to_an_equal_one() {
    each(3, |query, _, _| {
        let shown = query.to_string();
        assert_eq!(Query::parse(&shown, now()).as_ref(), Ok(query), "{shown}");
        assert_eq!(super::query(&shown).to_string(), shown);
    });
}

#[test]
fn damaged_queries_are_parsed_or_rejected_at_a_character() {
    let mut random = Random::new(4);
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut text: Vec<char> = query_text(&mut random, 0).chars().collect();
        for _ in 0..=random.below(3) {
            let at = random.below(text.len());
            let c = random
                .pick(&['"', '(', ')', ':', '-', ',', '*', '~', '.', ' ', '\\', '>', 'é', '\u{301}', '\n']);
            if random.one_in(2) { text.insert(at, c) } else { text[at] = c }
        }
        let text: String = text.into_iter().collect();
        match Query::parse(&text, now()) {
            Ok(query) => assert_eq!(Query::parse(&query.to_string(), now()), Ok(query), "{text}"),
            Err(error) => {
                let (at, end) = (error.at(), error.at() + error.len());
                assert!(text.get(at..end).is_some(), "{at}..{end} of {text:?}");
                assert!(error.to_string().lines().count() >= 3 && !error.message().is_empty());
                refused += 1;
            }
        }
    }
    assert!(refused > 2_000 && refused < 19_000, "{refused}");
}
