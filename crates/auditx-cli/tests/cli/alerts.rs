//! Tests of the alerts of `auditx ui`: no entry is lost when the command is killed.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use auditx_tests::child::Child;
use auditx_tests::deadline::wait_until;

use crate::program::auditx;
use crate::ui::{get, shown};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Waits for a post and returns its connection and its body.
fn post(listener: &TcpListener) -> (TcpStream, String) {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(&stream);
    let (mut line, mut len) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        assert_ne!(reader.read_line(&mut line).unwrap(), 0);
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length: ") {
            len = text.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body).unwrap();
    (stream, String::from_utf8(body).unwrap())
}

#[test]
fn an_entry_whose_alert_was_not_delivered_before_a_kill_is_posted_by_the_next_process() {
    let trail = crate::trail::directory();
    assert_eq!(auditx(&["demo"], trail.path()).status, Some(0));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = trail.path().with_extension("json");
    let queries = format!(
        r#"[{{"name": "Reads", "query": "action:READ", "alert": {{"webhook": "http://{}/hook"}}}}]"#,
        listener.local_addr().unwrap()
    );
    std::fs::write(&file, queries).unwrap();
    let saved = ["--saved", file.to_str().unwrap(), "--public-url", "https://audit.example"];
    let (child, port) = shown(&saved, trail.path());
    assert!(get(port, "/?q=credit", "").starts_with("HTTP/1.1 200 "));
    let (unanswered, first) = post(&listener);
    assert!(first.contains("Audit trail searched"), "{first}");
    child.signal(rustix::process::Signal::KILL);
    child.end();
    drop(unanswered);

    let (child, _) = shown(&saved, trail.path());
    let (mut stream, again) = post(&listener);
    assert_eq!(again, first);
    assert!(
        again.contains("\"count\":1") && again.contains("\"link\":\"https://audit.example/?q=action%3AREAD")
    );
    stream.write_all(ANSWER).unwrap();
    let fired = ["query", "module:audit action:ALERT entity:saved_query", "--success", "--count"];
    wait_until("the firing is recorded", || auditx(&fired, trail.path()).out.trim() == "1");
    interrupt(child);
    std::fs::remove_file(file).unwrap();
}

#[test]
fn alerts_that_cannot_be_recorded_are_refused() {
    let trail = crate::trail::directory();
    assert_eq!(auditx(&["demo"], trail.path()).status, Some(0));
    let file = trail.path().with_extension("json");
    let queries = r#"[{"name": "All", "query": "", "alert": {"webhook": "https://ops.example/hook"}}]"#;
    std::fs::write(&file, queries).unwrap();
    let saved = ["ui", "--listen", "127.0.0.1:0", "--saved", file.to_str().unwrap()];
    let refused = auditx(&[&saved[..], &["--unrecorded"]].concat(), trail.path());
    assert_eq!(refused.status, Some(2));
    assert!(refused.err.contains("have alerts, which are recorded in the trail: leave out --unrecorded"));
    std::fs::remove_file(file).unwrap();
}

fn interrupt(child: Child) {
    child.signal(rustix::process::Signal::INT);
    child.end();
}
