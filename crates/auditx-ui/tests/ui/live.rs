//! The live view in a real browser: new entries are announced, and nothing moves until the reader asks.

use auditx_tests::browser::Browser;
use auditx_tests::deadline::wait_until;
use auditx_ui::{Dashboard, Viewer};

use crate::server::{Server, Trail};

fn served(trail: &Trail) -> Server {
    Server::of(Dashboard::new(&trail.logger).unwrap().everyone_is(Viewer::new("mya")))
}

fn record(trail: &Trail, count: usize) {
    for number in 0..count {
        trail.logger.log(format!("Invoice {number} posted")).record().unwrap();
    }
}

/// Waits until the page says so.
fn wait_for(browser: &Browser, words: &str) {
    wait_until(words, || browser.find("#live").text() == words);
}

#[test]
fn new_entries_are_announced_and_shown_when_the_reader_asks() {
    let trail = Trail::with(30);
    let (server, browser) = (served(&trail), Browser::start());
    browser.navigate(&server.url("/?q=text:invoice"));
    let toggle = browser.find_all("header a").into_iter().find(|link| link.text() == "Live").unwrap();
    toggle.click();
    wait_for(&browser, "Waiting for new entries");
    let rows = browser.texts("tbody tr");
    record(&trail, 37);
    trail.logger.log("Order posted").record().unwrap();
    wait_for(&browser, "37 new Show");
    assert!(browser.title().starts_with("(37) Trail"), "{}", browser.title());
    assert_eq!(browser.texts("tbody tr"), rows, "nothing moved");
    browser.find("#live a").click();
    wait_for(&browser, "Waiting for new entries");
    assert_eq!(browser.texts("tbody tr").len(), rows.len() + 37);
    let stop = browser.find_all("header a").into_iter().find(|link| link.text() == "Stop live").unwrap();
    stop.click();
    assert!(browser.find_all("#live").is_empty());
    let messages: Vec<_> = browser.messages().into_iter().map(|message| message.text).collect();
    assert!(messages.is_empty(), "{messages:?}");
}

#[test]
fn a_burst_changes_one_number_and_adds_nothing_to_the_page() {
    let trail = Trail::with(30);
    let (server, browser) = (served(&trail), Browser::start());
    browser.navigate(&server.url("/?q=text:invoice&live=on"));
    wait_for(&browser, "Waiting for new entries");
    record(&trail, 1);
    wait_for(&browser, "1 new Show");
    let nodes = || browser.execute("return document.querySelectorAll('*').length", &[]);
    let before = nodes();
    record(&trail, 9_999);
    wait_for(&browser, "10000 new Show");
    assert_eq!(nodes(), before);
}

#[test]
fn a_server_that_starts_again_is_found_without_a_gap_or_a_repeat() {
    let trail = Trail::with(30);
    let server = served(&trail);
    let address = server.address;
    let browser = Browser::start();
    browser.navigate(&server.url("/?q=text:invoice&live=on"));
    wait_for(&browser, "Waiting for new entries");
    record(&trail, 10);
    wait_for(&browser, "10 new Show");
    drop(server);
    wait_for(&browser, "Connecting again Show");
    record(&trail, 20);
    let _server = Server::at(address, Dashboard::new(&trail.logger).unwrap().everyone_is(Viewer::new("mya")));
    wait_for(&browser, "30 new Show");
}

#[test]
fn an_entry_that_the_page_shows_is_not_announced_again() {
    let trail = Trail::with(30);
    let (server, browser) = (served(&trail), Browser::start());
    for round in 1..=5 {
        // The page may show it before it has a number.
        record(&trail, 1);
        browser.navigate(&server.url("/?q=text:invoice&live=on"));
        let shown = browser.texts("tbody tr").len();
        assert_eq!(shown, 30 + round + (round - 1));
        record(&trail, 1);
        wait_for(&browser, "1 new Show");
    }
}
