//! Merging trails answer by answer: every entry once, in order.

use super::*;

/// Lines of a trail: their times, in its order.
type Times = Vec<i64>;

/// Searches a trail as a page does: at most `limit` hits, examining at most `budget` lines.
fn part(name: &str, times: &Times, at: &Position, order: Order, limit: usize, budget: usize) -> Part {
    let trail: Arc<str> = name.into();
    let seqs: Vec<usize> = match (order, at.of(name)) {
        (Order::NewestFirst, Some(Cursor::Seq(seq))) => (0..usize::try_from(*seq).unwrap()).rev().collect(),
        (Order::OldestFirst, Some(Cursor::Seq(seq))) => {
            (usize::try_from(*seq).unwrap() + 1..times.len()).collect()
        }
        (Order::NewestFirst, _) => (0..times.len()).rev().collect(),
        (Order::OldestFirst, _) => (0..times.len()).collect(),
    };
    let examined: Vec<usize> = seqs.iter().copied().take(limit.min(budget)).collect();
    let hit = |seq: &usize| Hit {
        line: format!("{name}:{seq}"),
        cursor: Cursor::Seq(*seq as u64),
        is_unsigned: false,
        trail: trail.clone(),
        time: times[*seq],
    };
    let next = (examined.len() < seqs.len()).then(|| examined.last().map(|seq| Cursor::Seq(*seq as u64)));
    let bound = examined.last().map(|seq| times[*seq]);
    let status = Status { is_out_of_time: examined.len() == budget, ..Status::default() };
    Part { hits: examined.iter().map(hit).collect(), next: next.flatten(), bound, status, trail }
}

fn page(trails: &[(&str, Times)], at: &Position, order: Order, limit: usize, budget: usize) -> Page {
    let parts = trails.iter().map(|(name, times)| part(name, times, at, order, limit, budget)).collect();
    merged(parts, at, order, limit)
}

/// All answers, one after the other.
fn all(trails: &[(&str, Times)], order: Order, limit: usize, budget: usize) -> Vec<String> {
    let (mut at, mut lines) = (Position::default(), Vec::new());
    for _ in 0..1_000 {
        let page = page(trails, &at, order, limit, budget);
        lines.extend(page.hits.into_iter().map(|hit| hit.line));
        match page.next {
            Some(next) => at = next,
            None => return lines,
        }
    }
    panic!("the answers never end");
}

fn trails() -> Vec<(&'static str, Times)> {
    vec![
        ("a", vec![1, 4, 5, 5, 9, 20]),
        ("b", vec![]),
        ("c", vec![2, 3, 5, 6, 7, 8, 30, 31]),
        ("d", vec![10]),
    ]
}

#[test]
fn answers_have_every_entry_once_and_in_order() {
    let trails = trails();
    let expected = all(&trails, Order::OldestFirst, 1_000, 1_000);
    assert_eq!(expected.len(), 15);
    assert_eq!(expected[..6], ["a:0", "c:0", "c:1", "a:1", "a:2", "a:3"]);
    let mut reversed = expected.clone();
    reversed.reverse();
    for limit in 1..6 {
        for budget in 1..6 {
            assert_eq!(all(&trails, Order::OldestFirst, limit, budget), expected, "{limit} {budget}");
            assert_eq!(all(&trails, Order::NewestFirst, limit, budget), reversed, "{limit} {budget}");
        }
    }
}

#[test]
fn entries_recorded_meanwhile_are_not_in_older_answers() {
    let mut trails = trails();
    let first = page(&trails, &Position::default(), Order::NewestFirst, 2, 1_000);
    assert_eq!(first.hits[0].line, "c:7");
    for (time, (_, times)) in (100..).zip(&mut trails) {
        times.push(time);
    }
    let next = first.next.unwrap();
    let older = page(&trails, &next, Order::NewestFirst, 100, 1_000);
    assert_eq!(older.hits.len(), 13);
    assert!(older.hits.iter().all(|hit| hit.time < 100));
    let newer = page(&trails, &older.back, Order::OldestFirst, 100, 1_000);
    let lines: Vec<&str> = newer.hits.iter().map(|hit| hit.line.as_str()).collect();
    assert_eq!(lines, ["c:6", "c:7", "a:6", "b:0", "c:8", "d:1"]);
}

#[test]
fn an_answer_that_was_left_is_the_same_when_it_is_returned_to() {
    let trails = trails();
    let first = page(&trails, &Position::default(), Order::NewestFirst, 5, 1_000);
    let second = page(&trails, &first.next.unwrap(), Order::NewestFirst, 5, 1_000);
    let again = page(&trails, &second.back, Order::OldestFirst, 5, 1_000);
    let lines = |hits: &[Hit]| hits.iter().map(|hit| hit.line.clone()).collect::<Vec<_>>();
    let mut expected = lines(&first.hits);
    expected.reverse();
    assert_eq!(lines(&again.hits), expected);
    let second_again = page(&trails, &again.back, Order::NewestFirst, 5, 1_000);
    assert_eq!(lines(&second_again.hits), lines(&second.hits));
}
