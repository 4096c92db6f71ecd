//! Tests run a real browser: it shows pages, enforces their policies, and leaves nothing behind.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc;

use auditx_tests::browser::{Browser, processes_of};
use auditx_tests::deadline::wait_until;
use auditx_tests::webdriver::ENTER;
use serde_json::json;

/// Allows scripts and requests of the same origin only.
const POLICY: &str = "default-src 'self'";

const PAGE: &str = "<!doctype html><title>A page</title>
<p id=text lang=en>waiting</p>
<form><input name=q value=old></form>
<p hidden class=note>secret</p><p class=note>shown</p>
<script>document.title = 'an inline script ran'</script>
<script src=/allowed.js></script>
<script src=http://elsewhere.example/forbidden.js></script>";

const SCRIPT: &str = "
document.querySelector('#text').innerText = 'written by a script';
document.querySelector('form').onsubmit = event => {
    event.preventDefault();
    document.querySelector('#text').innerText = 'searched for ' + event.target.q.value;
};";

/// Serves the page until the test's process ends, and returns its URL.
fn serve() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        // A thread for each connection: the browser also opens some ahead of its requests.
        while let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || answer(stream));
        }
    });
    url
}

fn answer(mut stream: TcpStream) {
    let head: Vec<String> =
        BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let Some(request) = head.first() else { return };
    let (status, kind, body) = match request.split(' ').nth(1) {
        Some("/") => ("200 OK", "text/html", PAGE),
        Some("/allowed.js") => ("200 OK", "text/javascript", SCRIPT),
        _ => ("404 Not Found", "text/plain", ""),
    };
    // It fails if the browser no longer wants the answer.
    drop(write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Security-Policy: {POLICY}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    ));
}

#[test]
fn a_browser_shows_a_page_and_runs_its_scripts() {
    let (browser, url) = (Browser::start(), serve());
    browser.navigate(&url);
    assert_eq!(browser.current_url(), url);
    let text = browser.find("#text");
    assert_eq!(text.text(), "written by a script");
    assert_eq!(text.attribute("lang").as_deref(), Some("en"));
    assert_eq!(text.attribute("class"), None);
    let shown: Vec<bool> = browser.find_all(".note").iter().map(|note| note.is_displayed()).collect();
    assert_eq!(shown, [false, true]);
}

#[test]
fn a_browser_types_and_clicks() {
    let (browser, url) = (Browser::start(), serve());
    browser.navigate(&url);
    let field = browser.find("input");
    field.click();
    field.clear();
    field.send_keys("Zoë");
    assert_eq!(field.property("value"), json!("Zoë"));
    field.send_keys(ENTER);
    wait_until("the form's script", || browser.texts("#text") == ["searched for Zoë"]);
}

#[test]
fn a_browser_reports_what_a_policy_blocked() {
    let (browser, url) = (Browser::start(), serve());
    browser.navigate(&url);
    assert_eq!(browser.title(), "A page", "the inline script is forbidden");
    wait_until("both violations", || {
        let messages = browser.messages();
        let violations = messages.iter().filter(|message| message.source == "security");
        let texts: Vec<&str> = violations.map(|message| message.text.as_str()).collect();
        texts.iter().any(|text| text.contains("inline script") && text.contains(POLICY))
            && texts.iter().any(|text| text.contains("forbidden.js") && text.contains(POLICY))
    });
}

#[test]
fn a_browser_lists_the_requests_of_a_page() {
    let (browser, url) = (Browser::start(), serve());
    assert_eq!(browser.requests(), [""; 0], "it makes none of its own");
    browser.navigate(&url);
    let expected = [
        url.clone(),
        format!("{url}allowed.js"),
        "http://elsewhere.example/forbidden.js".to_owned(),
        format!("{url}favicon.ico"),
    ];
    wait_until("the requests", || expected.iter().all(|wanted| browser.requests().contains(wanted)));
    assert_eq!(browser.requests().len(), expected.len(), "{:?}", browser.requests());
}

#[test]
fn a_browser_runs_scripts_of_the_test_despite_the_policy() {
    let (browser, url) = (Browser::start(), serve());
    browser.navigate(&url);
    assert_eq!(browser.execute("return arguments[0] + 1", &[json!(1)]), json!(2));
    let status = browser.execute("return fetch(arguments[0]).then(r => r.status)", &[json!("/none")]);
    assert_eq!(status, json!(404));
    let zone = browser.execute("return [Intl.DateTimeFormat().resolvedOptions().timeZone]", &[]);
    assert_eq!(zone, json!(["UTC"]));
    assert_eq!(browser.execute("return navigator.language", &[]), json!("en-US"));
}

#[test]
fn a_browser_takes_pictures_of_the_wanted_size() {
    let (browser, url) = (Browser::start(), serve());
    browser.navigate(&url);
    for (width, height) in [(1280, 800), (360, 640)] {
        browser.resize(width, height);
        let png = browser.screenshot();
        let (signature, chunk) = png.split_at(16);
        assert_eq!(signature, b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
        assert_eq!(chunk[..4], width.to_be_bytes());
        assert_eq!(chunk[4..8], height.to_be_bytes());
    }
}

#[test]
fn a_dropped_browser_leaves_no_process_and_no_file() {
    let browser = Browser::start();
    let directory = browser.directory().to_owned();
    let running = processes_of(&directory).len();
    assert!(running > 2, "the driver, the browser and its renderers run: {running}");
    drop(browser);
    assert_eq!(processes_of(&directory), []);
    assert!(!directory.exists());
}

#[test]
fn a_browser_ends_with_a_test_that_panics() {
    let (sender, receiver) = mpsc::channel::<PathBuf>();
    let test = std::thread::spawn(move || {
        let browser = Browser::start();
        sender.send(browser.directory().to_owned()).unwrap();
        assert!(browser.find_all("p").len() > 1, "fails");
    });
    assert!(test.join().is_err());
    assert_eq!(processes_of(&receiver.recv().unwrap()), []);
}
