//! Restores and verifies a copy: alterations by a database administrator are found.

use auditx_postgres::PostgresCopy;
use auditx_reader::{Answer, Verification, VerifyOptions, verify};
use auditx_ship::{StoredCopy, restore};

use super::*;

/// Restores the only trail, and verifies it with the key and a known checkpoint, as an auditor would.
fn verified(
    server: &Server,
    logger_key: &auditx_tlog::VerifierKey,
    known: &auditx_tlog::SignedCheckpoint,
) -> Verification {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut copy = PostgresCopy::open(&server.url("reader", server.port())).await.unwrap();
        let trails = copy.trails().await.unwrap();
        let [stored] = &trails[..] else { panic!("{trails:?}") };
        let (mut restored, count) = (0, stored.next - stored.first);
        restore(&mut copy, stored, directory.path(), |done, of| {
            assert_eq!(of, count);
            restored = done;
        })
        .await
        .unwrap();
        assert!(restored > 0);
    });
    let options = VerifyOptions::new().key(logger_key.clone()).known(known.clone());
    verify(directory.path(), &options, &mut |_, _| {}).unwrap()
}

/// Runs SQL that only a superuser may run, then the check, and restores the tables.
fn altered(server: &Server, sql: &str, check: impl FnOnce()) {
    server.sql(
        "CREATE TABLE kept_entry AS SELECT * FROM auditx.entry; \
         CREATE TABLE kept_trail AS SELECT * FROM auditx.trail",
    );
    server.sql(&format!("SET session_replication_role = replica; {sql}"));
    check();
    server.sql(
        "SET session_replication_role = replica; DELETE FROM auditx.entry; DELETE FROM auditx.trail; \
         INSERT INTO auditx.trail SELECT * FROM kept_trail; \
         INSERT INTO auditx.entry SELECT * FROM kept_entry; \
         DROP TABLE kept_entry, kept_trail",
    );
}

#[test]
fn an_alteration_in_a_copy_is_found_by_its_line() {
    let (server, directory) = (server(), tempfile::tempdir().unwrap());
    server.sql("CREATE ROLE reader LOGIN PASSWORD 'secret' IN ROLE auditx_read");
    let record = |session: &str| {
        let logger = open(directory.path());
        for number in 0..300 {
            logger.log(format!("Invoice {session}-{number} posted")).user("ayse").record().unwrap();
        }
        logger
    };
    let first = record("morning");
    first.rotate_key(&auditx_core::KeySource::Trail).unwrap();
    first.close(TIMEOUT).unwrap();
    let logger = record("evening");
    logger.close(TIMEOUT).unwrap();
    let (key, known) = (logger.verifier_key().unwrap(), logger.checkpoint().unwrap());
    let shipper = ship(directory.path(), &server, server.port());
    wait_for_all(&shipper, usize::try_from(known.size()).unwrap());
    stop(shipper);
    let whole = verified(&server, &key, &known);
    assert_eq!((whole.answer, whole.lines), (Answer::Intact, known.size()), "{whole:?}");

    let rename = "UPDATE auditx.entry SET line = replace(line, 'ayse', 'mert')";
    let leaf = "sha256('\\x00'::bytea || convert_to(line, 'UTF8'))";
    for (sql, seq) in [
        (format!("{rename} WHERE seq = 123"), Some(123)),
        ("DELETE FROM auditx.entry WHERE seq = 200".to_owned(), Some(200)),
        (
            "INSERT INTO auditx.entry SELECT trail_id, seq, recorded_at + interval '1 s', company, branch, \
          actor, action, module, level, entity_type, entity_id, reference_no, leaf_hash, line, body \
          FROM auditx.entry WHERE seq = 50"
                .to_owned(),
            Some(51),
        ),
        (
            "DELETE FROM auditx.entry WHERE seq >= 600; UPDATE auditx.trail SET last_seq = 599".to_owned(),
            Some(600),
        ),
        // With a matching hash, only the range between two checkpoints can be determined.
        (
            format!("{rename} WHERE seq = 123; UPDATE auditx.entry SET leaf_hash = {leaf} WHERE seq = 123"),
            None,
        ),
    ] {
        altered(&server, &sql, || {
            let verification = verified(&server, &key, &known);
            assert_eq!(verification.answer, Answer::Broken, "{sql}: {verification:?}");
            let fault = verification.fault.unwrap();
            match seq {
                Some(seq) => assert_eq!(fault.seq, Some(seq), "{sql}: {fault:?}"),
                None => {
                    let is_a_range = fault.message.starts_with("a line between line ");
                    assert!(is_a_range && fault.seq <= Some(123), "{fault:?}");
                }
            }
        });
    }
    assert_eq!(verified(&server, &key, &known).answer, Answer::Intact, "the restored copy");
}
