//! A real browser: what people see, that no entry can run anything, and that nothing is loaded from
//! elsewhere.

use auditx_tests::browser::Browser;
use auditx_tests::deadline::wait_until;
use auditx_ui::{Dashboard, Viewer};
use serde_json::json;

use crate::server::{HOSTILE, Server, TIMEOUT, Trail};

fn served(trail: &Trail) -> Server {
    Server::of(Dashboard::new(&trail.logger).unwrap().everyone_is(Viewer::new("mya")))
}

/// Asserts that the browser reported nothing and asked no other server.
fn assert_quiet(browser: &Browser, server: &Server) {
    let messages: Vec<_> = browser.messages().into_iter().map(|message| message.text).collect();
    assert!(messages.is_empty(), "{messages:?}");
    let requests = browser.requests();
    assert!(!requests.is_empty());
    let foreign: Vec<_> = requests.iter().filter(|url| !url.starts_with(&server.url("/"))).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
}

#[test]
fn hostile_text_in_every_field_is_shown_and_harmless() {
    let trail = Trail::new();
    let _scope = auditx_core::RequestContext::new()
        .user(HOSTILE)
        .user_role(HOSTILE)
        .company_id(HOSTILE)
        .branch_id(HOSTILE)
        .session_id(HOSTILE)
        .extra("text", HOSTILE)
        .enter();
    let entry = trail.logger.log(HOSTILE).entity(HOSTILE, HOSTILE).reference_no(HOSTILE);
    let entry = entry.old_values(json!({ HOSTILE: HOSTILE })).new_values(json!({ HOSTILE: [HOSTILE] }));
    let seq = entry.record().unwrap().wait_durable().unwrap().seq;
    trail.logger.flush(TIMEOUT).unwrap();
    let (server, browser) = (served(&trail), Browser::start());
    let query = "?q=%22%3C%2Ftd%3E%3Cscript%3E%22";
    for path in [format!("/{query}"), format!("/entries/{seq}")] {
        browser.navigate(&server.url(&path));
        assert!(browser.title().ends_with("auditx"), "{}: {}", path, browser.title());
        let elements =
            browser.find_all("script:not([src][integrity]), main script, img, a[href^=javascript]");
        assert!(elements.is_empty(), "{path}");
    }
    browser.navigate(&server.url(&format!("/entries/{seq}")));
    let heading = browser.find("h1").text();
    assert!(heading.contains("<script>document.title='owned'</script>"), "{heading}");
    assert!(heading.ends_with("\\u{202e}cod.exe"), "{heading}");
    assert_quiet(&browser, &server);
}

#[test]
fn a_reader_pages_searches_and_opens_an_entry() {
    let trail = Trail::with(250);
    let (server, browser) = (served(&trail), Browser::start());
    let descriptions = || browser.texts("tbody td:nth-child(5) a");
    browser.navigate(&server.url("/?q=Invoice"));
    let first = descriptions();
    assert_eq!((first.len(), first[0].as_str()), (100, "Invoice 249 posted"));
    browser.find("a[rel=next]").click();
    assert_eq!(descriptions()[0], "Invoice 149 posted");
    browser.find("a[rel=prev]").click();
    assert_eq!(descriptions(), first, "the page before is the same again");

    let search = browser.find("input[name=q]");
    search.clear();
    search.send_keys("\"Invoice 17 posted\"");
    search.send_keys(auditx_tests::webdriver::ENTER);
    assert_eq!(descriptions(), ["Invoice 17 posted"]);
    assert!(browser.current_url().contains("q=%22Invoice"), "{}", browser.current_url());
    browser.find("tbody a").click();
    assert_eq!(browser.find("h1").text(), "Invoice 17 posted");
    assert_quiet(&browser, &server);
}

#[test]
fn the_page_says_what_is_proven_and_what_is_broken() {
    let trail = Trail::with(20);
    trail.logger.close(TIMEOUT).unwrap();
    let dashboard = Dashboard::unrecorded(trail.directory.path()).everyone_is(Viewer::new("mya"));
    let (server, browser) = (Server::of(dashboard), Browser::start());
    browser.navigate(&server.url("/"));
    // The page is replaced while it is looked at.
    let badge_becomes = |begin: &str| {
        wait_until("the outcome", || browser.texts(".badge").iter().any(|badge| badge.starts_with(begin)));
        browser.texts(".badge").concat()
    };
    assert!(badge_becomes("Signed to ").ends_with("not checked"));
    browser.find("form[action='/check'] button").click();
    wait_until("the check", || browser.texts(".badge").concat().contains(", checked 2"));

    let path = trail.directory.path().join("audit.jsonl");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("Invoice 7 posted", "Invoice 8 posted")).unwrap();
    browser.find("form[action='/check'] button").click();
    badge_becomes("Broken");
    assert!(browser.find(".problem").text().contains("does not match what was signed"));
}

#[test]
fn a_query_with_an_error_stays_in_the_form_and_its_error_is_shown() {
    let trail = Trail::with(3);
    let (server, browser) = (served(&trail), Browser::start());
    browser.navigate(&server.url("/?q=amount%3A%3Eabc"));
    assert_eq!(browser.find("input[name=q]").property("value"), json!("amount:>abc"));
    let problem = browser.find("pre.problem").text();
    assert!(problem.contains("amount:>abc") && problem.contains('^'), "{problem}");
}

#[test]
fn a_phone_shows_the_page_without_scrolling_sideways() {
    let trail = Trail::with(30);
    let (server, browser) = (served(&trail), Browser::start());
    browser.resize(320, 640);
    for path in ["/", "/entries/5"] {
        browser.navigate(&server.url(path));
        let width = browser.execute("return document.documentElement.scrollWidth", &[]);
        assert!(width.as_u64().unwrap() <= 320, "{path}: {width}");
    }
}
