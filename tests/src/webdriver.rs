//! A blocking client of the WebDriver protocol (W3C) for one browser session.
//!
//! It opens one connection per command, to a driver on the loopback interface. A command that fails panics
//! with the command and the reason. The crates that speak this protocol bring an asynchronous HTTP client,
//! which every crate that uses these tests would compile.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test may panic")]

mod element;

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use crate::deadline::{TIMEOUT, wait_until};

pub use element::{ENTER, ESCAPE, Element, TAB};

/// The name of the field that holds an element's id, a constant of the protocol.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How long the driver waits for a page or a script. Shorter than the time limit of the connection, so that
/// the driver reports what it waited for.
const COMMAND_TIMEOUT: Duration = TIMEOUT.checked_div(2).unwrap();

/// The schemes of requests that use the network. Others, such as `data:`, do not.
const NETWORK_SCHEMES: [&str; 4] = ["http:", "https:", "ws:", "wss:"];

/// A session: one window of a browser.
#[derive(Debug)]
pub struct Session {
    port: u16,
    path: String,
    // The driver hands out each entry of its logs once.
    messages: RefCell<Vec<Message>>,
    requests: RefCell<Vec<String>>,
}

/// An entry of the browser's console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The severity: `DEBUG`, `INFO`, `WARNING` or `SEVERE`.
    pub level: String,
    /// The part of the browser that reported it, such as `security`, `network`, `javascript` or
    /// `console-api`.
    pub source: String,
    /// The text, after the URL and the position in the source.
    pub text: String,
}

impl Session {
    /// Opens a session on the driver at this port, with options for Chromium. The browser runs until its
    /// driver ends.
    #[must_use]
    pub fn open(port: u16, options: &Value) -> Self {
        let timeout = COMMAND_TIMEOUT.as_millis();
        let capabilities = json!({
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
            "timeouts": { "pageLoad": timeout, "script": timeout },
        });
        let body = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let opened = command(port, "POST", "/session", Some(&body));
        let path = format!("/session/{}", text(&opened["sessionId"]));
        Self { port, path, messages: RefCell::default(), requests: RefCell::default() }
    }

    fn get(&self, path: &str) -> Value {
        command(self.port, "GET", &format!("{}{path}", self.path), None)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        command(self.port, "POST", &format!("{}{path}", self.path), Some(body))
    }

    /// Loads a page and waits until it is complete, with its images and scripts.
    pub fn navigate(&self, url: &str) {
        self.post("/url", &json!({ "url": url }));
    }

    /// Returns the URL of the page.
    #[must_use]
    pub fn current_url(&self) -> String {
        text(&self.get("/url"))
    }

    /// Returns the title of the page.
    #[must_use]
    pub fn title(&self) -> String {
        text(&self.get("/title"))
    }

    /// Returns the first element that matches a CSS selector; panics if there is none. It does not wait for
    /// the element to appear.
    #[must_use]
    pub fn find(&self, css: &str) -> Element<'_> {
        let first = self.find_all(css).into_iter().next();
        first.unwrap_or_else(|| panic!("no element matches `{css}` at {}", self.current_url()))
    }

    /// Returns all elements that match a CSS selector, in the order of the page.
    #[must_use]
    pub fn find_all(&self, css: &str) -> Vec<Element<'_>> {
        let found = self.post("/elements", &json!({ "using": "css selector", "value": css }));
        let elements = found.as_array().unwrap().iter();
        elements.map(|element| Element::new(self, &text(&element[ELEMENT]))).collect()
    }

    /// Returns the visible texts of all elements that match a CSS selector. The page cannot change in
    /// between, so this suits polling a page that its scripts rewrite.
    #[must_use]
    pub fn texts(&self, css: &str) -> Vec<String> {
        let script = "return Array.from(document.querySelectorAll(arguments[0]), e => e.innerText)";
        self.execute(script, &[json!(css)]).as_array().unwrap().iter().map(text).collect()
    }

    /// Runs the body of a function with these `arguments` in the page and returns its result. Waits for the
    /// result if that is a promise. A policy of the page does not apply to it.
    pub fn execute(&self, script: &str, arguments: &[Value]) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": arguments }))
    }

    /// Sets the size of the part of the window that shows the page.
    pub fn resize(&self, width: u32, height: u32) {
        let frame = self.execute("return outerHeight - innerHeight", &[]).as_u64().unwrap();
        self.post("/window/rect", &json!({ "width": width, "height": u64::from(height) + frame }));
        wait_until("the new size of the window", || {
            self.execute("return [innerWidth, innerHeight]", &[]) == json!([width, height])
        });
    }

    /// Makes pages see this value of a media feature, such as `dark` for `prefers-color-scheme`, and the
    /// browser's own values of all others.
    pub fn emulate(&self, feature: &str, value: &str) {
        let features = json!({ "features": [{ "name": feature, "value": value }] });
        self.post("/goog/cdp/execute", &json!({ "cmd": "Emulation.setEmulatedMedia", "params": features }));
    }

    /// Returns a picture of the visible part of the page, as PNG.
    #[must_use]
    pub fn screenshot(&self) -> Vec<u8> {
        BASE64_STANDARD.decode(text(&self.get("/screenshot"))).unwrap()
    }

    /// Returns the entries of the browser's console since the session was opened, with errors of scripts and
    /// violations of the page's policy. Entries arrive with a delay: wait for those that must exist.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        let entries = self.post("/se/log", &json!({ "type": "browser" }));
        let mut messages = self.messages.borrow_mut();
        messages.extend(entries.as_array().unwrap().iter().map(|entry| Message {
            level: text(&entry["level"]),
            source: text(&entry["source"]),
            text: text(&entry["message"]),
        }));
        messages.clone()
    }

    /// Returns the URLs of the requests that the pages made since the session was opened, in order and with
    /// repetitions: documents, everything they load, redirects and WebSockets. It includes requests that the
    /// browser blocked, and those for `/favicon.ico`, which it makes itself. They arrive with a delay.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({ "type": "performance" }));
        let mut requests = self.requests.borrow_mut();
        for entry in entries.as_array().unwrap() {
            let event: Value = serde_json::from_str(&text(&entry["message"])).unwrap();
            let Value::Object(event) = &event["message"] else { panic!("unknown event {event}") };
            let url = match event["method"].as_str() {
                Some("Network.requestWillBeSent") => text(&event["params"]["request"]["url"]),
                Some("Network.webSocketCreated") => text(&event["params"]["url"]),
                _ => continue,
            };
            if NETWORK_SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
                requests.push(url);
            }
        }
        requests.clone()
    }
}

/// Returns a string of a response.
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("expected a string from the driver: {value}")).to_owned()
}

/// Sends a command and returns the value of the response.
fn command(port: u16, method: &str, path: &str, body: Option<&Value>) -> Value {
    let body = body.map(Value::to_string).unwrap_or_default();
    let (succeeded, mut response) = exchange(port, method, path, &body)
        .unwrap_or_else(|error| panic!("{method} {path} {body}: no answer from the driver: {error}"));
    let value = response["value"].take();
    // The lines after the first are a stack trace of the driver.
    let message = value["message"].as_str().unwrap_or_default().lines().next().unwrap_or_default();
    assert!(succeeded, "{method} {path} {body}: {}: {message}", value["error"]);
    value
}

/// Sends an HTTP request and returns whether it succeeded, with the response.
fn exchange(port: u16, method: &str, path: &str, body: &str) -> std::io::Result<(bool, Value)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes())?;
    let mut lines = BufReader::new(stream);
    let (mut status, mut line, mut len) = (String::new(), String::new(), 0);
    lines.read_line(&mut status)?;
    while lines.read_line(&mut line)? > 0 && line != "\r\n" {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            len = value.trim().parse().map_err(std::io::Error::other)?;
        }
        line.clear();
    }
    let mut content = vec![0; len];
    lines.read_exact(&mut content)?;
    Ok((status.starts_with("HTTP/1.1 200"), serde_json::from_slice(&content)?))
}
