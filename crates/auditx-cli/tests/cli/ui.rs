//! Tests of `auditx ui`: who may connect, and what is recorded.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use auditx_tests::browser::Browser;
use auditx_tests::child::Child;
use auditx_tests::deadline::wait_until;
use auditx_tests::events::EventStream;
use auditx_tests::snapshot::Snapshot;
use rustix::process::Signal;

use crate::program::{auditx, command, ended, fed};

/// Returns the running command and its port.
pub(crate) fn shown(arguments: &[&str], directory: &Path) -> (Child, u16) {
    let listen = if arguments.contains(&"--listen") { &[][..] } else { &["--listen", "127.0.0.1:0"] };
    let child = Child::start(&mut command(&[&["ui"], listen, arguments].concat(), directory));
    let line = child.next_line().unwrap();
    let port = line.split_once("http://").unwrap().1.split_once(':').unwrap().1.split_once('/').unwrap().0;
    let port = port.parse().unwrap();
    (child, port)
}

pub(crate) fn get(port: u16, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let host = format!("Host: 127.0.0.1:{port}\r\nConnection: close\r\n");
    stream.write_all(format!("GET {path} HTTP/1.1\r\n{host}{headers}\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_read_is_recorded_with_its_viewer_and_address() {
    let trail = crate::trail::directory();
    assert_eq!(auditx(&["demo"], trail.path()).status, Some(0));
    let (child, port) = shown(&["--as", "mya"], trail.path());
    assert!(get(port, "/?q=credit", "").contains("Customer credit limit updated"));
    child.signal(Signal::INT);
    child.end();
    let read = auditx(&["query", "module:audit", "-o", "raw"], trail.path()).out;
    for part in ["Audit trail searched", "\"user\":\"mya\"", "\"ip\":\"127.0.0.1\"", "\"query\":\"credit\""] {
        assert!(read.contains(part), "{part} in {read}");
    }
    assert_eq!(auditx(&["doctor"], trail.path()).status, Some(0), "the trail was closed");
}

#[test]
fn an_unrecorded_trail_stays_as_it_is() {
    let trail = crate::trail::directory();
    assert_eq!(auditx(&["demo"], trail.path()).status, Some(0));
    let before = Snapshot::of(trail.path());
    let (_child, port) = shown(&["--unrecorded"], trail.path());
    assert!(get(port, "/", "").contains("Sales invoice posted"));
    assert_eq!(before.difference(&Snapshot::of(trail.path())), None);
}

#[test]
fn reads_of_a_family_are_recorded_in_a_trail_of_their_own() {
    let family = crate::trail::directory();
    for name in ["worker-1", "worker-2"] {
        assert_eq!(auditx(&["demo"], &family.path().join(name)).status, Some(0));
    }
    let (child, port) = shown(&["--as", "mya"], family.path());
    let page = get(port, "/?q=credit", "");
    assert_eq!(page.matches("Customer credit limit updated").count(), 2, "{page}");
    child.signal(Signal::INT);
    child.end();
    let read = auditx(&["query", "module:audit", "-o", "raw"], &family.path().join("ui")).out;
    assert!(read.contains("\"user\":\"mya\"") && read.contains("\"query\":\"credit\""), "{read}");
}

/// Records entries whose descriptions match `text:invoice`.
fn record(directory: &Path, numbers: std::ops::Range<usize>) {
    let lines: String =
        numbers.map(|number| format!("{{\"description\":\"Invoice {number} posted\"}}\n")).collect();
    let mut recording = command(&["record", "--ndjson", "--create"], directory);
    let recorded = fed(&mut recording, lines.as_bytes());
    assert_eq!(recorded.status, Some(0), "{}", recorded.err);
}

#[test]
fn a_killed_server_is_followed_on_without_a_gap_or_a_repeat() {
    let trail = crate::trail::directory();
    record(trail.path(), 0..10);
    let (child, port) = shown(&["--unrecorded"], trail.path());
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut events = EventStream::connect(address, "/api/v1/stream?q=text:invoice", "");
    let browser = Browser::start();
    browser.navigate(&format!("http://{address}/?q=text:invoice&live=on"));
    wait_until("the connection", || browser.find("#live").text() == "Waiting for new entries");
    record(trail.path(), 10..500);
    let (_, last) = events.entries(200);
    child.signal(Signal::KILL);
    child.end();
    record(trail.path(), 500..2_000);
    let listen = address.to_string();
    let arguments = ["ui", "--unrecorded", "--listen", &listen];
    let child = Child::start(&mut command(&arguments, trail.path()));
    assert!(child.next_line().unwrap().contains(&listen));
    let mut events = EventStream::connect(address, "/api/v1/stream?q=text:invoice", &last);
    record(trail.path(), 2_000..2_100);
    let (entries, _) = events.entries(2_100 - 210);
    let expected = (210..2_100).map(|number| format!("Invoice {number} posted"));
    assert!(expected.eq(entries.iter().map(|entry| entry["description"].as_str().unwrap())));
    wait_until("the entries", || browser.find("#live").text() == "2090 new Show");
}

#[test]
fn fifty_viewers_share_one_thread_that_reads() {
    let trail = crate::trail::directory();
    record(trail.path(), 0..10);
    let (child, port) = shown(&["--unrecorded"], trail.path());
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let connect = |_| EventStream::connect(address, "/api/v1/stream?q=text:invoice", "");
    let mut viewers: Vec<EventStream> = (0..50).map(connect).collect();
    record(trail.path(), 10..20);
    for viewer in &mut viewers {
        let (entries, _) = viewer.entries(10);
        assert_eq!(entries[9]["description"], "Invoice 19 posted");
    }
    let names = || {
        let threads = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap().flatten();
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("comm")).ok())
    };
    assert_eq!(names().filter(|name| name.trim() == "auditx-live").count(), 1);
    drop(viewers);
    // It ends with the last viewer, of which the server learns when it writes to them.
    record(trail.path(), 20..21);
    wait_until("the end of the thread", || names().all(|name| name.trim() != "auditx-live"));
}

#[test]
fn other_machines_need_a_key() {
    let trail = crate::trail::directory();
    assert_eq!(auditx(&["demo"], trail.path()).status, Some(0));
    let refused = auditx(&["ui", "--listen", "0.0.0.0:0"], trail.path());
    assert_eq!(refused.status, Some(2));
    assert!(refused.err.contains("can be reached from other machines: give a key"), "{refused:?}");
    let short = ended(command(&["ui"], trail.path()).env("AUDITX_UI_KEY", "short"));
    assert_eq!(short.status, Some(2));
    assert!(short.err.contains("AUDITX_UI_KEY: the key has 5 characters: use at least 16"), "{short:?}");

    let key = trail.path().with_extension("key");
    std::fs::write(&key, "0123456789abcdef\n").unwrap();
    let (_child, port) = shown(&["--key-file", key.to_str().unwrap()], trail.path());
    assert!(get(port, "/api/v1/entries", "").starts_with("HTTP/1.1 401 "));
    let with_key = get(port, "/api/v1/entries", "Authorization: Bearer 0123456789abcdef\r\n");
    assert!(with_key.starts_with("HTTP/1.1 200 "), "{with_key}");
    std::fs::remove_file(key).unwrap();
}

#[test]
fn a_proxy_that_signs_viewers_in_replaces_the_key() {
    let trail = crate::trail::directory();
    assert_eq!(auditx(&["demo"], trail.path()).status, Some(0));
    let alone = auditx(&["ui", "--proxy-user-header", "Remote-User"], trail.path());
    assert!(alone.status == Some(2) && alone.err.contains("--trusted-proxy"), "{alone:?}");
    let header = ["--proxy-user-header", "Remote-User"];
    let invalid = auditx(&[&["ui", "--trusted-proxy", "proxy"], &header[..]].concat(), trail.path());
    assert!(invalid.err.contains("invalid trusted proxy \"proxy\": expected an address"), "{invalid:?}");

    let everywhere = ["--listen", "0.0.0.0:0", "--host", "127.0.0.1", "--trusted-proxy", "127.0.0.1"];
    let (_child, port) = shown(&[&everywhere, &header[..]].concat(), trail.path());
    assert!(get(port, "/api/v1/entries", "").starts_with("HTTP/1.1 401 "));
    assert!(get(port, "/api/v1/entries", "Remote-User: thida\r\n").starts_with("HTTP/1.1 200 "));
    let read = auditx(&["query", "module:audit", "-o", "raw"], trail.path()).out;
    assert!(read.contains("\"user\":\"thida\""), "{read}");
}

#[test]
fn saved_queries_are_links_and_a_mistake_in_them_is_shown() {
    let trail = crate::trail::directory();
    assert_eq!(auditx(&["demo"], trail.path()).status, Some(0));
    let file = trail.path().with_extension("json");
    let saved = ["--unrecorded", "--saved", file.to_str().unwrap()];
    std::fs::write(&file, r#"[{"name": "Credit", "query": "usr:mya"}]"#).unwrap();
    let refused = auditx(&[&["ui"], &saved[..]].concat(), trail.path());
    assert_eq!(refused.status, Some(2));
    let message = "query 1 (\"Credit\"): invalid query: unknown field \"usr\": did you mean \"user\"?\n  usr:mya\n  ^^^";
    assert!(refused.err.contains(message), "{}", refused.err);

    std::fs::write(&file, r#"[{"name": "Credit", "query": "credit"}]"#).unwrap();
    let (_child, port) = shown(&saved, trail.path());
    assert!(get(port, "/", "").contains("<a href=\"/?q=credit\">Credit</a>"));
    std::fs::remove_file(file).unwrap();
}

#[test]
fn a_directory_without_a_trail_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let refused = auditx(&["ui"], directory.path());
    assert_eq!(refused.status, Some(2));
    assert!(refused.err.contains("no audit trail"), "{refused:?}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_demonstration_can_be_looked_at() {
    let directory = crate::trail::directory();
    let child = Child::start(&mut command(&["demo", "--ui"], directory.path()));
    let line = std::iter::from_fn(|| child.next_line()).find(|line| line.contains("http://")).unwrap();
    let port = line.split_once("http://127.0.0.1:").unwrap().1.split_once('/').unwrap().0;
    assert!(get(port.parse().unwrap(), "/", "").contains("Sales invoice posted"));
}

#[test]
fn a_read_with_the_command_is_recorded_for_a_named_user() {
    let trail = crate::trail::directory();
    assert_eq!(auditx(&["demo"], trail.path()).status, Some(0));
    let query = ["query", "user:attacker", "--count", "--as", "mya"];
    let counted = auditx(&query, trail.path());
    assert_eq!((counted.status, counted.out.trim()), (Some(0), "7"), "{counted:?}");
    let read = auditx(&["query", "module:audit", "-o", "raw"], trail.path()).out;
    let command = "\"command\":\"query user:attacker --count --as mya --dir ";
    assert!(read.contains("\"user\":\"mya\"") && read.contains(command), "{read}");
    let absent = tempfile::tempdir().unwrap();
    let refused = auditx(&query, absent.path());
    assert!(refused.status == Some(2) && refused.err.contains("no audit trail"), "{refused:?}");
}
