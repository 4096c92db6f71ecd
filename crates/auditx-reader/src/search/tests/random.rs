//! Random queries over random trails: they find the same lines as the reference evaluator, in both orders,
//! with and without an index, with any number of threads, whole and page by page.

use super::trail::Trail;
use super::{found, query};
use crate::query::tests::holds;
use crate::query::tests::samples::{Random, Style, Value, entry, query_text, written};
use crate::search::Order;

/// A trail, and its entries in order.
struct Content {
    trail: Trail,
    entries: Vec<(String, Value)>,
}

impl Content {
    fn of(random: &mut Random) -> Self {
        let mut trail = Trail::new();
        let mut entries = Vec::new();
        for _ in 0..random.below(4) {
            let segment: Vec<_> =
                (0..1 + random.below(60)).map(|_| next_line(random, &mut entries)).collect();
            trail.seal(&segment, random.one_in(2));
            if !random.one_in(3) {
                trail.index(&segment);
            }
        }
        let active: Vec<_> = (0..random.below(60)).map(|_| next_line(random, &mut entries)).collect();
        trail.activate(&active, random.pick(&["", "{\"seq\":", "x"]));
        Self { trail, entries }
    }

    fn expected(&self, text: &str) -> Vec<String> {
        let query = query(text);
        let matching = self.entries.iter().filter(|(_, entry)| holds(&query, entry));
        matching.map(|(line, _)| line.clone()).collect()
    }
}

/// Writes the next entry of a trail, sometimes so long that an index has several blocks.
fn next_line(random: &mut Random, entries: &mut Vec<(String, Value)>) -> String {
    let number: &'static str = Box::leak(entries.len().to_string().into_boxed_str());
    let fields = loop {
        if let Value::Object(fields) = entry(random)
            && fields[0].0 == "seq"
        {
            break fields;
        }
    };
    let mut fields = fields;
    fields[0].1 = Value::Number(number);
    if random.one_in(12) {
        fields.retain(|(name, _)| name != "endpoint");
        fields.push(("endpoint".to_owned(), Value::Text("/".repeat(30_000))));
    }
    let entry = Value::Object(fields);
    let style = Style { has_spaces: random.one_in(3), escapes: random.pick(&[0, 0, 5]) };
    let line = written(&entry, &style, random);
    entries.push((line.clone(), entry));
    line
}

fn in_order(mut lines: Vec<String>, order: Order) -> Vec<String> {
    if order == Order::NewestFirst {
        lines.reverse();
    }
    lines
}

#[test]
fn every_kind_of_search_finds_what_the_reference_finds() {
    let mut random = Random::new(11);
    let (mut total, mut examined) = (0, 0);
    for _ in 0..20 {
        let content = Content::of(&mut random);
        for _ in 0..8 {
            let text = query_text(&mut random, 0);
            let expected = content.expected(&text);
            (total, examined) = (total + expected.len(), examined + content.entries.len());
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let expected = in_order(expected.clone(), order);
                let search = content.trail.search().query(query(&text)).order(order);
                for search in [
                    search.clone().threads(1 + random.below(3)),
                    search.clone().without_index(),
                    search.clone().strict(),
                ] {
                    assert_eq!(found(&search), expected, "{text}: {search:?}");
                }
                let limit = 1 + random.below(20);
                let page = found(&search.clone().limit(limit as u64));
                assert_eq!(page, expected[..limit.min(expected.len())], "{text}, {limit} of them, {order:?}");
            }
        }
    }
    // Queries without matches would prove little.
    assert!(total * 10 > examined && total * 10 < examined * 9, "{total} of {examined}");
}

#[test]
fn pages_add_up_to_the_whole_result() {
    let mut random = Random::new(12);
    for _ in 0..12 {
        let content = Content::of(&mut random);
        let text = query_text(&mut random, 0);
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let search = content.trail.search().query(query(&text)).order(order).threads(2);
            let mut pages = Vec::new();
            let mut next = None;
            loop {
                let page = match next.take() {
                    Some(cursor) => search.clone().after(cursor),
                    None => search.clone(),
                }
                .limit(1 + random.below(9) as u64);
                let summary = page
                    .each(|found| {
                        pages.push(found.row.line().to_owned());
                        std::ops::ControlFlow::Continue(())
                    })
                    .unwrap();
                next = summary.next.map(|cursor| cursor.to_string().parse().unwrap());
                if next.is_none() {
                    break;
                }
            }
            assert_eq!(pages, in_order(content.expected(&text), order), "{text}, {order:?}");
        }
    }
}
