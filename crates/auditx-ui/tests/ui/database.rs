//! Copies in a PostgreSQL database behind the same pages as the trails themselves.

mod trust;

use std::path::Path;

use auditx_core::{AuditLogger, RequestContext};
use auditx_postgres::{Postgres, init};
use auditx_ship::Shipper;
use auditx_tests::browser::Browser;
use auditx_tests::postgres;
use auditx_tests::shipping::{lines, settings, stop, wait_for_all};
use auditx_ui::{Dashboard, Source, Viewer};

use crate::server::{Answer, HOSTILE, Server, TIMEOUT, Trail};

/// More than one range of a search.
const MANY: usize = 5_000;

/// A database with the schema, a user who ships and one who reads.
fn database() -> postgres::Server {
    let server = postgres::Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(init(&server.url("admin", server.port()))).unwrap();
    server.sql("CREATE ROLE shipper LOGIN PASSWORD 'secret' IN ROLE auditx_ship");
    server.sql("CREATE ROLE auditor LOGIN PASSWORD 'secret' IN ROLE auditx_read");
    server
}

fn ship(directory: &Path, database: &postgres::Server) {
    let destination = Postgres::new(&database.url("shipper", database.port())).unwrap();
    let shipper = Shipper::spawn(directory, destination, settings()).unwrap();
    wait_for_all(&shipper, lines(directory).len());
    stop(shipper);
}

fn copy_for(viewer: Viewer, database: &postgres::Server) -> Server {
    let source = Source::postgres(database.url("auditor", database.port()));
    Server::of(Dashboard::unrecorded(source).everyone_is(viewer))
}

fn copy(database: &postgres::Server) -> Server {
    copy_for(Viewer::new("mya"), database)
}

fn original(directory: &Path) -> Server {
    Server::of(Dashboard::unrecorded(directory).everyone_is(Viewer::new("mya")))
}

/// A closed trail with invoices of two branches, failed logins and hostile text.
fn trail(count: usize) -> Trail {
    let trail = Trail::new();
    record(&trail.logger, count);
    trail.logger.close(TIMEOUT).unwrap();
    trail
}

fn record(logger: &AuditLogger, count: usize) {
    for number in 0..count {
        let branch = if number % 2 == 0 { "YGN" } else { "MDY" };
        let _scope = RequestContext::new().user("thida").branch_id(branch).enter();
        logger
            .log(format!("Invoice {number} posted"))
            .entity("invoice", format!("{}", number % 7))
            .record()
            .unwrap();
        if number % 100 == 3 {
            logger.log_security("Login failed").user(HOSTILE).success(false).record().unwrap();
        }
    }
}

/// The rows of a page as they are in its text.
fn rows(page: &str) -> Vec<&str> {
    let body = page.split("<tbody>").nth(1).map_or("", |rest| rest.split("</tbody>").next().unwrap());
    body.split("<tr").skip(1).collect()
}

/// The address that a link with this relation leads to.
fn link(page: &str, relation: &str) -> Option<String> {
    let tag = page.split("<a ").find(|tag| tag.starts_with(&format!("rel=\"{relation}\"")))?;
    let href = tag.split("href=\"").nth(1)?.split('"').next()?;
    Some(href.replace("&amp;", "&"))
}

fn page(server: &Server, address: &str) -> String {
    let Answer { status, body, .. } = server.get(address, "");
    assert_eq!(status, 200, "{address}: {body}");
    body
}

/// A download, whose body comes in chunks.
fn download(server: &Server, address: &str) -> String {
    let (chunked, mut text) = (page(server, address), String::new());
    let mut rest = chunked.as_str();
    while let Some((length, more)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        text.push_str(&more[..length]);
        rest = &more[length + 2..];
        if length == 0 {
            return text;
        }
    }
    panic!("the download breaks off: {text}");
}

/// The lines of all pages of the API in this order.
fn all_lines(server: &Server, order: &str) -> Vec<String> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let address = format!("/api/v1/entries?order={order}&limit=733&cursor={cursor}");
        let page = server.get(&address, "").json();
        assert_eq!(page["warnings"], serde_json::json!([]));
        found.extend(page["entries"].as_array().unwrap().iter().map(ToString::to_string));
        match page["next"].as_str() {
            Some(next) => cursor = next.replace('%', "%25"),
            None => return found,
        }
    }
}

#[test]
fn a_copy_is_read_both_ways_without_loss_or_repetition() {
    let (trail, database) = (trail(MANY), database());
    ship(trail.directory.path(), &database);
    let server = copy(&database);
    let parsed = |line: &String| serde_json::from_str::<serde_json::Value>(line).unwrap().to_string();
    let mut expected: Vec<String> = lines(trail.directory.path()).iter().map(parsed).collect();
    assert!(expected.len() > MANY);
    assert!(all_lines(&server, "asc") == expected);
    expected.reverse();
    assert!(all_lines(&server, "desc") == expected);
}

#[test]
fn the_pages_of_a_copy_are_those_of_its_trail() {
    let (trail, database) = (trail(1_200), database());
    ship(trail.directory.path(), &database);
    let (copy, original) = (copy(&database), original(trail.directory.path()));
    for query in [
        "/",
        "/?source=security",
        "/?q=invoice%20branch:MDY",
        "/?q=success:false",
        "/?q=-user:thida",
        "/?q=entity_type:invoice%20entity_id:3%20OR%20user:SYSTEM",
        "/?q=posted%20since:1h&tz=Asia/Yangon",
        "/?since=1h&until=2030-01-01",
        "/?until=2020-01-01",
        "/?q=nothing-like-this",
    ] {
        let (mut there, mut here) = (page(&copy, query), page(&original, query));
        let mut count = 0;
        loop {
            assert_eq!(rows(&there), rows(&here), "{query}");
            count += 1;
            let Some(next) = link(&there, "next") else { break };
            there = page(&copy, &next);
            here = page(&original, &link(&here, "next").unwrap());
        }
        while let Some(newer) = link(&there, "prev") {
            there = page(&copy, &newer);
            here = page(&original, &newer);
            assert_eq!(rows(&there), rows(&here), "{newer}");
            count -= 1;
        }
        assert!(count <= 1, "{query}: the way back has as many pages");
    }
}

#[test]
fn a_browser_shows_the_same_table_and_entry() {
    let (trail, database) = (trail(150), database());
    ship(trail.directory.path(), &database);
    let (copy, original, browser) = (copy(&database), original(trail.directory.path()), Browser::start());
    for address in ["/", "/?q=user:thida%20branch:YGN", "/counts", "/entries/7"] {
        let seen = |server: &Server| {
            browser.navigate(&server.url(address));
            browser.texts("main tr, main li, main h1, main .sentence")
        };
        let (there, here) = (seen(&copy), seen(&original));
        assert!(there.len() > 10, "{there:?}");
        assert_eq!(there, here, "{address}");
    }
    browser.navigate(&copy.url("/"));
    let signed = format!("Signed to {}, not checked", lines(trail.directory.path()).len());
    assert_eq!(browser.texts(".badge"), [signed]);
    assert_eq!(browser.messages().len(), 0);
}

#[test]
fn downloads_and_counts_of_a_copy_are_those_of_its_trail() {
    let (trail, database) = (trail(MANY), database());
    ship(trail.directory.path(), &database);
    let (copy, original) = (copy(&database), original(trail.directory.path()));
    for address in
        ["/export/csv?q=branch:MDY", "/export/ndjson", "/export/csv?q=-success:true&source=security"]
    {
        let (there, here) = (download(&copy, address), download(&original, address));
        assert!(there.lines().count() > 40, "{address}: {there}");
        assert!(there == here, "{address}");
    }
    let main = |server: &Server| {
        let page = page(server, "/counts?q=user:thida%20OR%20success:false");
        page.split("<main>").nth(1).unwrap().to_owned()
    };
    let (there, here) = (main(&copy), main(&original));
    assert!(there.contains("5050 entries") && there.contains("50 failed"), "{there}");
    assert_eq!(there, here);
}

#[test]
fn the_other_answers_of_the_api_are_those_of_the_trail_too() {
    let (trail, database) = (trail(120), database());
    ship(trail.directory.path(), &database);
    let (copy, original) = (copy(&database), original(trail.directory.path()));
    for address in [
        "/api/v1/history?entity=invoice/3",
        "/api/v1/stats?q=user:thida",
        "/api/v1/entries/7/related",
        "/api/v1/entries/7",
    ] {
        let (there, here) = (page(&copy, address), page(&original, address));
        assert!(there.len() > 200, "{there}");
        assert_eq!(there, here, "{address}");
    }
}

#[test]
fn other_entries_of_a_copy_do_not_exist_for_a_scoped_viewer() {
    let (trail, database) = (trail(300), database());
    ship(trail.directory.path(), &database);
    let server = copy_for(Viewer::new("mya").branch("MDY"), &database);
    let first = page(&server, "/?q=branch:YGN%20OR%20invoice");
    assert_eq!(rows(&first).len(), 100);
    assert!(first.contains("Invoice 299 posted") && !first.contains("Invoice 298 posted"));
    assert!(!first.contains("Signed to"), "{first}");
    let stored = lines(trail.directory.path());
    let seq = |text: &str| stored.iter().position(|line| line.contains(text)).unwrap();
    let status = |seq: usize, rest: &str| server.get(&format!("/api/v1/entries/{seq}{rest}"), "").status;
    assert_eq!(status(seq("Invoice 9 posted"), ""), 200);
    for hidden in [seq("Invoice 8 posted"), stored.len() + 5] {
        assert_eq!((status(hidden, ""), status(hidden, "/proof")), (404, 404));
    }
    assert!(page(&server, "/counts").contains("153 entries"));
    assert_eq!(download(&server, "/export/ndjson").lines().count(), 153);
}

#[test]
fn what_needs_the_files_of_a_trail_is_not_offered_for_a_copy() {
    let (trail, database) = (trail(5), database());
    ship(trail.directory.path(), &database);
    let (copy, original) = (copy(&database), original(trail.directory.path()));
    for (offered, address) in [("Evidence bundle", "/export/bundle"), (">Live</a>", "/api/v1/stream")] {
        assert!(page(&original, "/").contains(offered));
        assert!(!page(&copy, "/?live=on").contains(offered));
        let refused = copy.get(address, "");
        assert!(refused.status == 404 && refused.body.contains("use the trail itself"), "{}", refused.body);
    }
}

#[test]
fn several_copies_in_a_database_are_one_view() {
    let (one, other, database) = (trail(120), trail(130), database());
    for trail in [&one, &other] {
        ship(trail.directory.path(), &database);
    }
    let ids = database.sql("SELECT trail_id FROM auditx.trail ORDER BY first_seq, origin").replace('-', "");
    let server = copy(&database);
    let first = page(&server, "/?q=invoice");
    let options: Vec<&str> =
        first.split("<option>").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
    assert_eq!(options.len(), 2, "{first}");
    for name in &options {
        let id = name.rsplit('/').next().unwrap();
        assert!(id.len() == 8 && ids.contains(id), "{name}");
        let short = page(&server, &format!("/?q=invoice&trail={}", name.replace('/', "%2F")));
        let whole = ids.lines().find(|whole| whole.starts_with(id)).unwrap();
        assert_eq!(rows(&short).len(), 100);
        let descriptions = |page: &str| page.matches(" posted<").count();
        assert_eq!(descriptions(&short), descriptions(&page(&server, &format!("/?q=invoice&trail={whole}"))));
    }
    assert!(first.contains("Signed, not checked"), "{first}");
    assert_eq!(download(&server, "/export/ndjson?q=invoice").lines().count(), 250);
    assert_eq!(server.get("/entries/3", "").status, 400, "no trail is named");
    assert_eq!(server.get("/?trail=erp%2F00000000", "").status, 404);
    let lead =
        first.split("href=\"/entries/").nth(1).unwrap().split('"').next().unwrap().replace("&amp;", "&");
    assert!(page(&server, &format!("/entries/{lead}")).contains("Invoice "));
    let all = all_lines(&server, "desc");
    assert_eq!(all.len(), lines(one.directory.path()).len() + lines(other.directory.path()).len());
}

#[test]
fn lines_that_are_shipped_later_appear_after_those_that_were_there() {
    let (trail, database) = (Trail::new(), database());
    record(&trail.logger, 150);
    trail.logger.close(TIMEOUT).unwrap();
    ship(trail.directory.path(), &database);
    let server = copy(&database);
    let first = page(&server, "/?q=invoice");
    let logger = AuditLogger::open(auditx_core::Config::new(trail.directory.path())).unwrap();
    record(&logger, 30);
    logger.close(TIMEOUT).unwrap();
    ship(trail.directory.path(), &database);
    let older = page(&server, &link(&first, "next").unwrap());
    assert_eq!((rows(&first).len(), rows(&older).len()), (100, 50));
    let newer = page(&server, &link(&older, "prev").unwrap());
    assert_eq!(rows(&newer), rows(&first));
    assert_eq!(rows(&page(&server, &link(&newer, "prev").unwrap())).len(), 30);
}
