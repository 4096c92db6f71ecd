//! Proofs that the page of an entry checks in the browser.

use std::time::Duration;

use auditx_core::{AuditLogger, Cadence, Config, KeySource};
use auditx_reader::prove;
use auditx_tests::browser::Browser;
use auditx_tests::deadline::wait_until;
use auditx_tests::tool::fetched_text;
use auditx_tests::webdriver::ENTER;
use auditx_tlog::{Signer as _, SigningKey, VerifierKey};
use auditx_ui::{Dashboard, Viewer};
use axum::Router;
use serde_json::json;

use crate::accessibility::{RUN_AXE, listed, tab_to};
use crate::server::{HOSTILE, Server, TIMEOUT, Trail};

/// The outcome of a valid proof.
pub(crate) const CONFIRMED: &str =
    "The line matches the proof, the proof the checkpoint, the checkpoint this key.";

/// A closed trail, its dashboard in a browser, and its key.
pub(crate) struct Shown {
    pub(crate) browser: Browser,
    server: Server,
    trail: Trail,
    key: String,
}

impl Shown {
    pub(crate) fn new() -> Self {
        Self::of(Trail::with(3), Viewer::new("mya"))
    }

    fn of(trail: Trail, viewer: Viewer) -> Self {
        let key = trail.logger.verifier_key().unwrap().to_string();
        trail.logger.close(TIMEOUT).unwrap();
        let dashboard = Dashboard::unrecorded(trail.directory.path()).everyone_is(viewer);
        Self { browser: Browser::start(), server: Server::of(dashboard), trail, key }
    }

    pub(crate) fn open(&self, seq: u64) {
        self.browser.navigate(&self.server.url(&format!("/entries/{seq}")));
    }

    /// Checks the proof on the page with a key, as a person does.
    fn enter(&self, key: &str) -> (Vec<String>, String) {
        let input = self.browser.find("#check-key");
        input.clear();
        input.send_keys(&format!("{key}{ENTER}"));
        self.outcome()
    }

    fn outcome(&self) -> (Vec<String>, String) {
        wait_until("the outcome", || self.browser.texts("#check-outcome") != [""]);
        (self.browser.texts("#check-steps li"), self.browser.find("#check-outcome").text())
    }
}

#[test]
fn a_proof_is_confirmed_with_the_key_of_the_trail_and_nothing_is_sent() {
    let shown = Shown::new();
    // The first and the last line of the tree.
    let last = prove(shown.trail.directory.path(), 0).unwrap().checkpoint().size() - 1;
    for seq in [0, 3, last] {
        shown.open(seq);
        let (steps, outcome) = shown.enter(&shown.key);
        assert_eq!(outcome, CONFIRMED, "{steps:?}");
        assert_eq!(
            steps,
            [
                "Passed: The proof can be read",
                "Passed: The line above is the line in the proof",
                "Passed: The line and the hashes in the proof lead to the root in its checkpoint",
                "Passed: The checkpoint is signed with this key",
            ]
        );
    }
    assert_eq!(shown.browser.messages(), []);
    let expected = |url: &String| url.contains("/entries/") || url.contains("/assets/");
    let requests = shown.browser.requests();
    assert!(requests.len() >= 3 && requests.iter().all(expected), "{requests:?}");
}

#[test]
fn a_key_of_another_trail_fails_at_the_signature() {
    let (shown, other) = (Shown::new(), Trail::with(1));
    shown.open(3);
    let (steps, outcome) = shown.enter(&other.logger.verifier_key().unwrap().to_string());
    assert_eq!(outcome, "Step 4 failed: the proof is not confirmed.");
    assert!(steps[3].starts_with("Failed: ") && steps[3].contains("the key is of the log "), "{steps:?}");
    let (steps, _) = shown.enter("no key");
    assert!(steps[3].contains("not a verifier key"), "{steps:?}");
    let (steps, _) = shown.enter(&shown.key.replacen('+', "/2+", 1));
    assert!(steps[3].contains("its id does not belong to it"), "{steps:?}");
    let own = shown.key.parse::<VerifierKey>().unwrap();
    let forger = VerifierKey::new(own.name(), &SigningKey::generate().public_key()).unwrap();
    let (steps, _) = shown.enter(&forger.to_string());
    assert!(steps[3].contains("none of its signatures is of this key"), "{steps:?}");
}

#[test]
fn the_key_that_the_trail_names_is_shown_as_such() {
    let shown = Shown::new();
    shown.open(3);
    assert_eq!(shown.browser.find("#trail-key").text(), shown.key);
    assert_eq!(shown.browser.find("#check-key").property("value"), json!(""));
    shown.browser.find("#check-own").click();
    let (steps, outcome) = shown.outcome();
    assert!(steps.iter().all(|step| step.starts_with("Passed: ")), "{steps:?}");
    assert!(outcome.contains("Everyone who can write the trail can name a key"), "{outcome}");
}

#[test]
fn text_that_hides_characters_is_compared_as_it_is_shown() {
    let trail = Trail::new();
    let text = format!("{HOSTILE} \u{200b}\u{2060}\u{e0041} \u{1019}\u{103c}");
    let seq = trail.logger.log(text).record().unwrap().wait_durable().unwrap().seq;
    let shown = Shown::of(trail, Viewer::new("mya"));
    shown.open(seq);
    assert!(shown.browser.find("#line").text().contains("\\u{200b}\\u{2060}\\u{e0041}"));
    let (steps, outcome) = shown.enter(&shown.key);
    assert_eq!(outcome, CONFIRMED, "{steps:?}");
}

#[test]
fn a_browser_that_lacks_something_says_so_and_confirms_nothing() {
    let shown = Shown::new();
    shown.open(3);
    let without = |script: &str, step: usize, reason: &str| {
        shown.browser.execute(script, &[]);
        let (steps, outcome) = shown.enter(&shown.key);
        assert!(
            steps[step - 1].starts_with("Not checked: ") && steps[step - 1].contains(reason),
            "{steps:?}"
        );
        assert_eq!(outcome, format!("Step {step} could not be checked: the proof is not confirmed."));
    };
    let no_ed25519 = "SubtleCrypto.prototype.importKey = () =>
        Promise.reject(new DOMException('unknown algorithm', 'NotSupportedError'));";
    without(no_ed25519, 4, "this browser cannot check Ed25519 signatures");
    // As on a page that came over plain HTTP from another machine.
    without("Object.defineProperty(crypto, 'subtle', { value: undefined });", 3, "over plain HTTP");
}

#[test]
fn the_key_that_replaced_another_confirms_what_it_signed() {
    let trail = Trail::with(1);
    let old = trail.logger.verifier_key().unwrap().to_string();
    trail.logger.rotate_key(&KeySource::Trail).unwrap();
    let seq = trail.logger.log("Invoice 1 posted").record().unwrap().wait_durable().unwrap().seq;
    let shown = Shown::of(trail, Viewer::new("mya"));
    assert_ne!(shown.key, old);
    shown.open(seq);
    assert_eq!(shown.browser.find("#trail-key").text(), shown.key);
    assert_eq!(shown.enter(&shown.key).1, CONFIRMED);
    let (steps, _) = shown.enter(&old);
    assert!(steps[3].contains("none of its signatures is of this key"), "{steps:?}");
}

#[test]
fn the_key_stays_for_the_next_entry_of_the_tab() {
    let shown = Shown::new();
    shown.open(3);
    shown.enter(&shown.key);
    shown.open(4);
    assert_eq!(shown.browser.find("#check-key").property("value"), json!(shown.key));
    assert_eq!(shown.browser.texts("#check-outcome"), [""], "nothing is checked unasked");
}

#[test]
fn another_key_in_the_field_removes_the_outcome() {
    let shown = Shown::new();
    shown.open(3);
    shown.enter(&shown.key);
    shown.browser.find("#check-key").send_keys("x");
    assert_eq!(shown.browser.texts("#check-outcome, #check-steps li"), [""]);
}

#[test]
fn an_entry_that_is_not_signed_has_nothing_to_check() {
    let directory = tempfile::tempdir().unwrap();
    let config = || Config::new(directory.path());
    AuditLogger::open(config()).unwrap().close(TIMEOUT).unwrap();
    let rare = Cadence::new(Duration::from_secs(3600), 1_000_000);
    let logger = AuditLogger::open(config().checkpoints(rare)).unwrap();
    let trail = Trail { logger, directory };
    // The first lines after an open are signed at once.
    trail.logger.log("Invoice 1 posted").record().unwrap().wait_durable().unwrap();
    trail.logger.flush(TIMEOUT).unwrap();
    let seq = trail.logger.log("Invoice 2 posted").record().unwrap().wait_durable().unwrap().seq;
    let server = Server::of(Dashboard::new(&trail.logger).unwrap().everyone_is(Viewer::new("mya")));
    let browser = Browser::start();
    browser.navigate(&server.url(&format!("/entries/{seq}")));
    assert!(browser.find("main").text().contains("is not signed yet"));
    assert_eq!(browser.find_all("#check").len(), 0);
    assert_eq!(browser.messages(), []);
}

#[test]
fn a_viewer_with_a_scope_checks_their_entries_below_a_prefix() {
    let shown = Shown::new();
    // Lines 0 and 1 are control records; line 3 is of the branch MDY.
    let viewer = Viewer::new("mya").branch("MDY");
    let dashboard = Dashboard::unrecorded(shown.trail.directory.path()).everyone_is(viewer);
    let server = Server::serving(Router::new().nest("/admin/audit", dashboard.router()));
    shown.browser.navigate(&server.url("/admin/audit/entries/3"));
    assert_eq!(shown.enter(&shown.key).1, CONFIRMED);
    shown.browser.navigate(&server.url("/admin/audit/entries/2"));
    assert_eq!(shown.browser.find_all("#check, #proof, #line").len(), 0);
}

#[test]
fn a_keyboard_is_enough_to_check_a_proof() {
    let shown = Shown::new();
    shown.open(3);
    tab_to(&shown.browser, "#check-key");
    shown.browser.find(":focus").send_keys(&format!("{}{ENTER}", shown.key));
    assert_eq!(shown.outcome().1, CONFIRMED);
    tab_to(&shown.browser, "#check-own");
    shown.browser.find(":focus").send_keys(ENTER);
    wait_until("the other outcome", || shown.outcome().1.contains("the key that the trail names"));
}

#[test]
fn axe_finds_no_violation_on_an_entry_with_an_outcome() {
    let axe = fetched_text("axe_playwright_python/axe.min.js");
    let shown = Shown::new();
    // Its long name is in the reason of the failure.
    let foreign = Trail::new().logger.verifier_key().unwrap().to_string();
    let mut found = String::new();
    for theme in ["light", "dark"] {
        shown.browser.emulate("prefers-color-scheme", theme);
        for (width, key) in [(1280, &shown.key), (320, &shown.key), (320, &foreign)] {
            shown.browser.resize(width, 800);
            shown.open(3);
            shown.enter(key);
            shown.browser.execute(&axe, &[]);
            found += &listed(&shown.browser.execute(RUN_AXE, &[]));
            let width_of_page = shown.browser.execute("return document.documentElement.scrollWidth", &[]);
            assert!(width_of_page.as_u64() <= Some(u64::from(width)), "{width}: {width_of_page}");
        }
    }
    assert!(found.is_empty(), "violations of axe-core:\n{found}");
}

#[test]
fn without_javascript_the_proof_is_there_and_the_form_is_not() {
    let trail = Trail::with(3);
    trail.logger.close(TIMEOUT).unwrap();
    let server = Server::of(Dashboard::unrecorded(trail.directory.path()).everyone_is(Viewer::new("mya")));
    let page = server.get("/entries/3", "").body;
    assert!(page.contains("<pre id=\"proof\">c2sp.org/tlog-proof@v1\n"), "{page}");
    let form = page.split("<form id=\"check\"").nth(1).unwrap().split('>').next().unwrap();
    assert!(form.ends_with(" hidden"), "{form}");
}
