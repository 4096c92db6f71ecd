//! Random questions over random entries: the fast answer is the slow one's, and a search never passes over one that is asked
//! for.

use auditx_core::{Moment, Row};

use super::evaluator::holds;
use super::samples::{Random, Style, entry, question, written};
use super::{now, query};
use crate::query::Query;

const STYLES: [Style; 4] = [
    Style { has_spaces: false, escapes: 0 },
    Style { has_spaces: true, escapes: 0 },
    Style { has_spaces: false, escapes: 5 },
    Style { has_spaces: true, escapes: 1 },
];

/// Both, as often as the other random tests do in a moment.
fn each(seed: u64, mut check: impl FnMut(&Query, &super::samples::Value, &[String])) {
    let mut random = Random::new(seed);
    for _ in 0..500 {
        let entry = entry(&mut random);
        let lines: Vec<_> = STYLES.iter().map(|style| written(&entry, style, &mut random)).collect();
        for _ in 0..10 {
            check(&query(&question(&mut random, 0)), &entry, &lines);
        }
    }
}

#[test]
fn what_matches_is_what_the_slow_evaluator_says_however_a_line_is_written() {
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
    // Questions that nothing answers would prove little.
    assert!(found * 10 > total && found * 10 < total * 9, "{found} of {total}");
}

#[test]
fn a_search_passes_over_no_line_that_matches() {
    let mut passed_over = 0;
    each(2, |query, _, lines| {
        let plan = query.plan();
        for line in lines {
            let row = Row::read_text(line).unwrap();
            let admitted = plan.admits(line.as_bytes());
            let time = Moment::parse(&row.text(crate::Field::Timestamp));
            let is_in_time = plan.since.is_none_or(|since| time.is_some_and(|time| time >= since))
                && plan.until.is_none_or(|until| time.is_some_and(|time| time < until));
            assert!(!query.matches(&row) || admitted && is_in_time, "{query}\n{plan:?}\n{line}");
            passed_over += usize::from(!admitted);
        }
    });
    assert!(passed_over > 1_000, "{passed_over}");
}

#[test]
fn a_question_that_is_shown_reads_back_as_an_equal_one() {
    each(3, |query, _, _| {
        let shown = query.to_string();
        assert_eq!(Query::parse(&shown, now()).as_ref(), Ok(query), "{shown}");
        assert_eq!(super::query(&shown).to_string(), shown);
    });
}

#[test]
fn damaged_questions_are_read_or_refused_at_a_character() {
    let mut random = Random::new(4);
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut text: Vec<char> = question(&mut random, 0).chars().collect();
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
