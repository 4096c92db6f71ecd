//! A database that fails, is slow or was altered; checks and proofs of a copy.

use std::thread;
use std::time::Instant;

use auditx_tests::browser::Browser;
use auditx_tests::deadline::wait_for;
use auditx_tests::shipping::lines;
use auditx_tlog::InclusionProof;
use auditx_ui::Viewer;

use super::{copy, copy_for, database, original, page, ship, trail};

#[test]
fn a_database_that_is_stopped_and_started_again_is_read_again() {
    let (trail, mut database) = (trail(20), database());
    ship(trail.directory.path(), &database);
    let server = copy(&database);
    assert!(page(&server, "/").contains("Invoice 19 posted"));
    database.kill();
    // The process of a connection may live a little longer than its parent.
    wait_for("a refusal", || (server.get("/api/v1/entries", "").status == 503).then_some(()));
    for _ in 0..2 {
        let refused = server.get("/api/v1/entries", "");
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")), "{}", refused.body);
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("Check that the server runs") && !detail.contains("secret"), "{detail}");
        let page = server.get("/", "");
        assert!(page.status == 503 && page.body.contains("cannot be read"), "{}", page.body);
        assert_eq!(server.get("/entries/3", "").status, 503);
    }
    database.start_again();
    assert!(page(&server, "/").contains("Invoice 19 posted"));
    assert!(page(&server, "/entries/3").contains("posted"));
    // Nobody notices a restart between two requests.
    database.kill();
    database.start_again();
    assert!(page(&server, "/").contains("Invoice 19 posted"));
}

#[test]
fn a_query_ends_with_its_answer() {
    let (trail, database) = (trail(20), database());
    ship(trail.directory.path(), &database);
    let server = copy(&database);
    thread::scope(|scope| {
        let holder = scope.spawn(|| {
            database
                .sql("BEGIN; LOCK TABLE auditx.entry IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(6); COMMIT");
        });
        wait_for("a locked table", || {
            let held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted \
                        AND relation = 'auditx.entry'::regclass";
            (database.sql(held) == "1").then_some(())
        });
        let began = Instant::now();
        let refused = server.get("/api/v1/entries", "");
        assert!(refused.status == 503 && refused.body.contains("statement timeout"), "{}", refused.body);
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
        let running = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'auditor' AND state = 'active'";
        assert_eq!(database.sql(running), "0");
        holder.join().unwrap();
    });
    assert!(page(&server, "/").contains("Invoice 19 posted"));
}

#[test]
fn a_check_verifies_the_copy_and_a_changed_line_is_noticed() {
    let (trail, database) = (trail(50), database());
    ship(trail.directory.path(), &database);
    let server = copy(&database);
    assert_eq!(server.post("/check", "", "").status, 303);
    let signed = format!("Signed to {}, checked", lines(trail.directory.path()).len());
    assert!(page(&server, "/").contains(&signed));
    database.sql(
        "SET session_replication_role = replica; UPDATE auditx.entry \
         SET line = replace(line, '7 posted', '8 posted') WHERE line LIKE '%Invoice 7 posted%'",
    );
    let seq = lines(trail.directory.path()).iter().position(|line| line.contains("Invoice 7 ")).unwrap();
    let warning = format!("Line {seq} of the copy differs");
    assert!(page(&server, "/").contains(&warning));
    assert_eq!(server.get(&format!("/entries/{seq}"), "").status, 500);
    let scoped = copy_for(Viewer::new("mya").branch("MDY"), &database);
    let first = page(&scoped, "/");
    assert!(first.contains("The trail is damaged") && !first.contains(&warning), "{first}");
    assert_eq!(server.post("/check", "", "").status, 303);
    assert!(page(&server, "/").contains("Broken, checked"));
}

#[test]
fn a_proof_from_a_copy_can_be_checked_with_the_key_alone() {
    let (trail, database) = (trail(300), database());
    let key = trail.logger.verifier_key().unwrap();
    ship(trail.directory.path(), &database);
    let (server, browser) = (copy(&database), Browser::start());
    browser.navigate(&server.url("/entries/7"));
    let links = browser.find_all("main a");
    let proof = links.iter().find(|link| link.text() == "Download the proof").unwrap();
    let text = page(&server, &proof.attribute("href").unwrap());
    let original = page(&original(trail.directory.path()), "/api/v1/entries/7/proof");
    assert_eq!(text, original);
    let proof = InclusionProof::parse(text.as_bytes()).unwrap();
    proof.check(&[key]).unwrap();
    assert_eq!(proof.index(), 7);

    let refused = |part: &str, status| {
        let answer = server.get("/api/v1/entries/7/proof", "");
        assert!(answer.status == status && answer.body.contains(part), "{}", answer.body);
    };
    let change = |sql: &str| database.sql(&format!("SET session_replication_role = replica; {sql}"));
    change("UPDATE auditx.entry SET leaf_hash = sha256('another') WHERE seq = 100");
    refused("differs from what was signed", 500);
    change("DELETE FROM auditx.entry WHERE seq = 100");
    refused("does not have all lines", 404);
    change("UPDATE auditx.trail SET checkpoint = NULL");
    refused("no checkpoint of the copy covers it", 404);
}
