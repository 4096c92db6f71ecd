//! Accessibility of every page: axe-core finds no violation, a keyboard is enough, and zoom works.

use std::fmt::Write as _;
use std::time::Duration;

use auditx_core::{AuditLogger, Cadence, Config, RequestContext};
use auditx_tests::browser::Browser;
use auditx_tests::deadline::wait_until;
use auditx_tests::tool::fetched_text;
use auditx_tests::webdriver::{ENTER, TAB};
use auditx_ui::{Dashboard, Key, Viewer};
use serde_json::{Value, json};

use crate::server::{Server, TIMEOUT, Trail};

const KEY: &str = "a key of sixteen bytes or more";

/// More than the number of elements on a page that a keyboard can reach.
const MANY_TABS: usize = 100;

/// Runs axe-core with the rules that are on by default, and the one for the size of targets (WCAG 2.2).
/// Returns each violated rule with its impact and, for each element, the source and what is wrong.
pub(crate) const RUN_AXE: &str = "
return axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } })
    .then(results => results.violations.map(({ id, impact, nodes }) => ({
        id, impact, nodes: nodes.map(({ html, failureSummary }) => ({ html, failureSummary })),
    })));";

/// The style of the outline of the focused element, its width in pixels, and the element's source.
const OUTLINE: &str = "
const style = getComputedStyle(document.activeElement);
return [style.outlineStyle, parseFloat(style.outlineWidth), document.activeElement.outerHTML];";

/// A dashboard with a page of each kind, a browser that is signed in, and their addresses.
struct Pages {
    browser: Browser,
    server: Server,
    entry: u64,
    _trail: Trail,
}

impl Pages {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = || Config::new(directory.path());
        let signed = AuditLogger::open(config()).unwrap();
        signed.log("Invoice 1 posted").record().unwrap();
        signed.close(TIMEOUT).unwrap();
        // Nothing is signed from here on.
        let rare = Cadence::new(Duration::from_secs(3600), 1_000_000);
        let logger = AuditLogger::open(config().checkpoints(rare)).unwrap();
        let trail = Trail { logger, directory };
        let _scope = RequestContext::new().user("thida").user_role("clerk").session_id("s1").enter();
        trail.logger.log("Invoice 2 posted").success(false).record().unwrap();
        let entry = trail.logger.log("Invoice 3 corrected").entity("invoice", "3");
        let entry = entry.old_values(json!({ "amount": 100 })).new_values(json!({ "amount": 120 }));
        let entry = entry.record().unwrap().wait_durable().unwrap().seq;
        trail.logger.flush(TIMEOUT).unwrap();
        let server = Server::of(
            Dashboard::new(&trail.logger).unwrap().key(Key::new(KEY).unwrap(), Viewer::new("mya")),
        );
        let browser = Browser::start();
        browser.navigate(&server.url("/sign-in"));
        browser.find("input[name=key]").send_keys(&format!("{KEY}{ENTER}"));
        wait_until("the session", || browser.current_url() == server.url("/"));
        Self { browser, server, entry, _trail: trail }
    }

    /// Loads each page in turn, asserts that it is the page that is meant, and calls `look` with its name.
    fn each(&self, mut look: impl FnMut(&str)) {
        let entry = format!("/entries/{}", self.entry);
        let pages = [
            ("entries", "/", "not signed yet"),
            ("failed entries", "/?q=Invoice", "failed"),
            ("a page between two", "/?before=seq:4", "Newer"),
            ("an empty result", "/?q=user%3Anobody", "No entries found."),
            ("a query with an error", "/?q=amount%3A%3Eabc", "amount:>abc"),
            ("an entry with changes", &entry, "120"),
            ("sign-in", "/sign-in", "Sign in"),
            ("an error", "/entries/99999", "Not Found"),
        ];
        for (name, path, text) in pages {
            self.browser.navigate(&self.server.url(path));
            self.assert_shows(text);
            look(name);
        }
        self.browser.navigate(&self.server.url("/sign-in"));
        self.browser.find("input[name=key]").send_keys(&format!("wrong{ENTER}"));
        wait_until("the refusal", || self.browser.texts("[role=alert]").len() == 1);
        look("sign-in after a wrong key");
    }

    fn assert_shows(&self, text: &str) {
        let shown = self.browser.find("main").text();
        assert!(shown.contains(text), "expected {text:?} at {}: {shown}", self.browser.current_url());
    }
}

/// Returns one line for each element that violates a rule.
pub(crate) fn listed(violations: &Value) -> String {
    let mut list = String::new();
    for violation in violations.as_array().unwrap() {
        for node in violation["nodes"].as_array().unwrap() {
            let (html, summary) = (node["html"].as_str().unwrap(), node["failureSummary"].as_str().unwrap());
            writeln!(list, "  {} ({}): {html}: {summary}", violation["id"], violation["impact"]).unwrap();
        }
    }
    list
}

#[test]
fn axe_finds_no_violation_on_any_page() {
    let axe = fetched_text("axe_playwright_python/axe.min.js");
    let pages = Pages::new();
    let browser = &pages.browser;
    let mut found = String::new();
    for theme in ["light", "dark"] {
        browser.emulate("prefers-color-scheme", theme);
        for width in [1280, 320] {
            browser.resize(width, 800);
            pages.each(|name| {
                let is_emulated = "return matchMedia(`(prefers-color-scheme: ${arguments[0]})`).matches";
                assert_eq!(browser.execute(is_emulated, &[json!(theme)]), json!(true));
                browser.execute(&axe, &[]);
                let list = listed(&browser.execute(RUN_AXE, &[]));
                if !list.is_empty() {
                    write!(found, "{name}, {theme}, {width} px:\n{list}").unwrap();
                }
            });
        }
    }
    assert!(found.is_empty(), "violations of axe-core:\n{found}");
}

/// Presses Tab until an element that matches `css` has the focus. Asserts that each element on the way shows
/// that it has the focus.
pub(crate) fn tab_to(browser: &Browser, css: &str) {
    for _ in 0..MANY_TABS {
        browser.find(":focus, body:not(:has(:focus))").send_keys(TAB);
        let outline = browser.execute(OUTLINE, &[]);
        assert!(outline[0] != "none" && outline[1].as_f64().unwrap() >= 1.0, "no outline: {outline}");
        let is_there = "return document.activeElement.matches(arguments[0])";
        if browser.execute(is_there, &[json!(css)]) == json!(true) {
            return;
        }
    }
    panic!("{css} was not reached with Tab");
}

#[test]
fn a_keyboard_is_enough_to_search_and_to_open_an_entry() {
    let pages = Pages::new();
    let browser = &pages.browser;
    browser.resize(1280, 800);
    browser.navigate(&pages.server.url("/"));
    tab_to(browser, "input[name=q]");
    browser.find(":focus").send_keys(&format!("corrected{ENTER}"));
    wait_until("the result", || browser.texts("tbody a") == ["Invoice 3 corrected"]);
    tab_to(browser, "tbody a");
    browser.find(":focus").send_keys(ENTER);
    wait_until("the entry", || browser.texts("h1") == ["Invoice 3 corrected"]);
}

#[test]
fn no_page_scrolls_sideways_at_200_percent() {
    let pages = Pages::new();
    // A window of 1280 px has 640 px of the page's own at twice the size.
    pages.browser.resize(640, 400);
    pages.each(|name| {
        let width = pages.browser.execute("return document.documentElement.scrollWidth", &[]);
        assert!(width.as_u64().unwrap() <= 640, "{name}: {width}");
    });
}

#[test]
fn nothing_moves() {
    let trail = Trail::new();
    let server = Server::of(Dashboard::new(&trail.logger).unwrap());
    let style = server.get("/assets/dashboard.css", "").body;
    assert!(style.contains("body {"), "{style}");
    for motion in ["animation", "transition", "@keyframes", "scroll-behavior"] {
        assert!(!style.contains(motion), "{motion}: needs a rule for prefers-reduced-motion");
    }
}
