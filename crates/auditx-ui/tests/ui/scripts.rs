//! The scripts of pages: only embedded ones run, each with the hash that the policy names.

use auditx_tests::browser::Browser;
use auditx_tests::deadline::wait_until;
use auditx_ui::{Dashboard, Key, Viewer};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::server::{Server, Trail};

/// Tries to run text and a script without a hash of the policy, in every way that a page's own script could.
/// Returns a promise of the number of attempts, and collects the violations of the policy in a variable.
const ATTACK: &str = "
window.violations = [];
document.addEventListener('securitypolicyviolation', event => violations.push(event.effectiveDirective));
const script = fill => {
    const element = document.createElement('script');
    fill(element);
    document.head.append(element);
};
const owned = \"document.title = 'owned'\";
const attempts = [
    () => script(element => element.append(owned)),
    () => script(element => element.setAttribute('src', document.scripts[0].src)),
    () => document.body.setAttribute('onclick', owned),
    () => setTimeout(owned),
    () => { document.body.innerHTML = '<b>owned</b>'; },
    () => import(document.scripts[0].src + '?again'),
];
return Promise.allSettled(attempts.map(async attempt => attempt())).then(() => attempts.length);";

fn served(trail: &Trail) -> Server {
    Server::of(Dashboard::new(&trail.logger).unwrap().everyone_is(Viewer::new("mya")))
}

#[test]
fn the_policy_names_the_hash_of_each_script_that_a_page_refers_to() {
    let trail = Trail::with(3);
    let server = served(&trail);
    let page = server.get("/entries/2", "").body;
    let tags: Vec<&str> = page.split("<script").skip(1).map(|rest| rest.split('>').next().unwrap()).collect();
    assert!(!tags.is_empty(), "{page}");
    for tag in tags {
        let attribute =
            |name: &str| tag.split(&format!(" {name}=\"")).nth(1).unwrap().split('"').next().unwrap();
        let answer = server.send(&format!("GET {} HTTP/1.0\r\nHost: a\r\n\r\n", attribute("src")));
        assert_eq!(answer.header("content-type"), Some("text/javascript; charset=utf-8"));
        let hash = format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(&answer.body)));
        assert_eq!(attribute("integrity"), hash);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains(&format!("'{}'", hash.to_ascii_lowercase())), "{policy}");
    }
}

#[test]
fn scripts_need_no_viewer_and_nothing_else_is_served_beside_them() {
    let trail = Trail::with(1);
    let dashboard = Dashboard::new(&trail.logger).unwrap();
    let server =
        Server::of(dashboard.key(Key::new("a key of sixteen bytes or more").unwrap(), Viewer::new("mya")));
    assert_eq!(server.get("/assets/proof.js", "").status, 200);
    let statuses =
        ["/assets/nothing.js", "/assets/", "/assets/../entries/2"].map(|path| server.get(path, "").status);
    assert_eq!(statuses, [303; 3]);
    assert_eq!(served(&trail).get("/assets/nothing.js", "").status, 404);
}

#[test]
fn an_embedded_script_runs_and_nothing_else_does() {
    let trail = Trail::with(3);
    trail.logger.close(crate::server::TIMEOUT).unwrap();
    let server = Server::of(Dashboard::unrecorded(trail.directory.path()).everyone_is(Viewer::new("mya")));
    let browser = Browser::start();
    browser.navigate(&server.url("/entries/2"));
    wait_until("the script", || browser.find("#check").is_displayed());
    assert_eq!(browser.messages(), []);
    let title = browser.title();
    let attempts = browser.execute(ATTACK, &[]).as_u64();
    wait_until("a violation for each attempt", || {
        browser.execute("return violations.length", &[]).as_u64() >= attempts
    });
    let directives = browser.execute("return [...new Set(violations)].sort()", &[]);
    assert_eq!(directives, json!(["require-trusted-types-for", "script-src-elem"]));
    browser.find("h1").click();
    assert_eq!(browser.title(), title);
}
