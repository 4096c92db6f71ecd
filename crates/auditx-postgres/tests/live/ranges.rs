//! Searches one trail in the order of its lines, with limits and a position to continue at.

use std::ops::ControlFlow;
use std::process::Command;

use auditx_postgres::{PostgresCopy, TrailSearch, TrailSummary};
use auditx_reader::{Moment, Order, Query, Row};
use auditx_tests::deadline::wait_for;

use super::*;

/// More lines than the first range of a search has.
const MANY: usize = 6_000;

fn query(text: &str) -> Query {
    Query::parse(text, Moment::now()).unwrap()
}

/// A database with a trail of this many entries.
fn shipped(entries: usize) -> (Server, tempfile::TempDir) {
    let (server, directory) = (server(), trail(entries));
    let shipper = ship(directory.path(), &server, server.port());
    wait_for_all(&shipper, lines(directory.path()).len());
    stop(shipper);
    (server, directory)
}

/// Runs `work` with a connection to the database.
fn with_copy(server: &Server, work: impl AsyncFnOnce(PostgresCopy)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = server.url("admin", server.port());
    runtime.block_on(async { work(PostgresCopy::open(&url).await.unwrap()).await });
}

/// Returns the lines that a search finds.
async fn found(copy: &mut PostgresCopy, search: &TrailSearch) -> (Vec<String>, TrailSummary) {
    let mut found = Vec::new();
    let summary = copy.search_trail(search, |stored| {
        assert_eq!(stored.row.seq(), Some(stored.seq));
        found.push(stored.row.line().to_owned());
        ControlFlow::Continue(())
    });
    let summary = summary.await.unwrap();
    (found, summary)
}

fn expected(directory: &Path, query: &Query, order: Order) -> Vec<String> {
    let mut lines = lines(directory);
    lines.retain(|line| query.matches(&Row::read_text(line).unwrap()));
    if order == Order::NewestFirst {
        lines.reverse();
    }
    lines
}

#[test]
fn pages_of_a_trail_lose_and_repeat_nothing() {
    let (server, directory) = shipped(MANY);
    with_copy(&server, async |mut copy| {
        let heads = copy.heads().await.unwrap();
        let [head] = &heads[..] else { panic!("{heads:?}") };
        assert_eq!((head.first, head.next), (0, lines(directory.path()).len() as u64));
        assert_eq!(head.checkpoint.as_ref().unwrap().size(), head.next);
        for text in ["", "ref:SI-1* OR ref:SI-59*", "posted -ref:SI-3*", "ref:SI-17", "ref:none"] {
            let query = query(text);
            for order in [Order::OldestFirst, Order::NewestFirst] {
                for limit in [1_777, u64::MAX] {
                    let (mut all, mut after) = (Vec::new(), None);
                    loop {
                        let mut search = TrailSearch::new(head, query.clone()).order(order).limit(limit);
                        if let Some(seq) = after {
                            search = search.after(seq);
                        }
                        let (page, summary) = found(&mut copy, &search).await;
                        assert!(page.len() as u64 <= limit && !summary.is_out_of_time);
                        assert_eq!((summary.unreadable, summary.changed), (0, None));
                        all.extend(page);
                        after = summary.next;
                        if after.is_none() {
                            break;
                        }
                    }
                    assert!(all == expected(directory.path(), &query, order), "{text} {order:?} {limit}");
                }
            }
        }
    });
}

#[test]
fn a_search_that_is_out_of_time_says_how_far_it_came() {
    let (server, directory) = shipped(MANY);
    with_copy(&server, async |mut copy| {
        let head = copy.heads().await.unwrap().remove(0);
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let search = TrailSearch::new(&head, query("ref:SI-12*")).order(order);
            let (first, summary) = found(&mut copy, &search.clone().time_limit(Duration::ZERO)).await;
            let next = summary.next.unwrap();
            assert!(summary.is_out_of_time);
            assert_eq!(next, if order == Order::OldestFirst { 4_095 } else { head.next - 4_096 });
            let (rest, summary) = found(&mut copy, &search.after(next)).await;
            assert_eq!(summary.next, None);
            assert!([first, rest].concat() == expected(directory.path(), &query("ref:SI-12*"), order));
        }
    });
}

#[test]
fn a_time_limit_is_that_of_one_search_only() {
    let (server, _directory) = shipped(20);
    with_copy(&server, async |mut copy| {
        let head = copy.heads().await.unwrap().remove(0);
        let all = TrailSearch::new(&head, query(""));
        assert_eq!(
            found(&mut copy, &all.clone().time_limit(Duration::from_secs(1))).await.0.len() as u64,
            head.next
        );
        // Longer than the first range of the search before could take.
        let lock = "BEGIN; LOCK TABLE auditx.entry IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(3)";
        let url = server.url("admin", server.port());
        let mut holder = Command::new("psql").args(["-qX", "-d", &url, "-c", lock]).spawn().unwrap();
        wait_for("a locked table", || {
            let held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted \
                        AND relation = 'auditx.entry'::regclass";
            (server.sql(held) == "1").then_some(())
        });
        assert_eq!(found(&mut copy, &all).await.0.len() as u64, head.next);
        assert!(holder.wait().unwrap().success());
    });
}

#[test]
fn a_changed_line_is_noticed_and_one_line_can_be_read() {
    let (server, directory) = shipped(20);
    with_copy(&server, async |mut copy| {
        let head = copy.heads().await.unwrap().remove(0);
        let stored = copy.line(head.trail, 7).await.unwrap().unwrap();
        assert_eq!(stored.line, lines(directory.path())[7]);
        assert!(copy.line(head.trail, head.next).await.unwrap().is_none());
        server.sql(
            "SET session_replication_role = replica; \
             UPDATE auditx.entry SET line = replace(line, 'posted', 'voided') WHERE seq IN (7, 9); \
             UPDATE auditx.entry SET line = 'no entry' WHERE seq = 8",
        );
        let (found, summary) = found(&mut copy, &TrailSearch::new(&head, query(""))).await;
        assert_eq!((summary.unreadable, summary.changed), (1, Some(7)));
        assert_eq!(found.len() as u64, head.next - 1);
    });
}
