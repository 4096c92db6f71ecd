//! A copy is read back and verified: what a database's administrator altered is named.

use auditx_postgres::PostgresCopy;
use auditx_reader::{Answer, Verification, VerifyOptions, verify};
use auditx_ship::{StoredCopy, restore};

use super::*;

/// Restores the one trail that is there, and verifies it as an auditor would who has the key and a note.
fn verified(
    server: &Server,
    logger_key: &auditx_core::VerifierKey,
    known: &auditx_core::SignedCheckpoint,
) -> Verification {
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut copy = PostgresCopy::open(&server.url("reader", server.port())).await.unwrap();
        let trails = copy.trails().await.unwrap();
        let [stored] = &trails[..] else { panic!("{trails:?}") };
        let (mut told, count) = (0, stored.next - stored.first);
        restore(&mut copy, stored, directory.path(), |done, of| {
            assert_eq!(of, count);
            told = done;
        })
        .await
        .unwrap();
        assert!(told > 0);
    });
    let options = VerifyOptions::new().key(logger_key.clone()).known(known.clone());
    verify(directory.path(), &options, &mut |_, _| {}).unwrap()
}

/// As only a superuser can, and then back again.
fn altered(server: &Server, sql: &str, check: impl FnOnce()) {
    server.sql("CREATE TABLE kept_entry AS SELECT * FROM auditx.entry; CREATE TABLE kept_trail AS SELECT * FROM auditx.trail");
    server.sql(&format!("SET session_replication_role = replica; {sql}"));
    check();
    server.sql(
        "SET session_replication_role = replica; DELETE FROM auditx.entry; DELETE FROM auditx.trail; \
         INSERT INTO auditx.trail SELECT * FROM kept_trail; INSERT INTO auditx.entry SELECT * FROM kept_entry; \
         DROP TABLE kept_entry, kept_trail",
    );
}

#[test]
fn what_was_altered_in_a_copy_is_named_by_its_number() {
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
    first.close(PATIENCE).unwrap();
    let logger = record("evening");
    logger.close(PATIENCE).unwrap();
    let (key, known) = (logger.verifier_key().unwrap(), logger.checkpoint().unwrap());
    let shipper = ship(directory.path(), &server, server.port());
    wait_for_all(&shipper, usize::try_from(known.size()).unwrap());
    stop(shipper);
    let whole = verified(&server, &key, &known);
    assert_eq!((whole.answer, whole.lines), (Answer::Intact, known.size()), "{whole:?}");

    let leaf = "sha256('\\x00'::bytea || convert_to(line, 'UTF8'))";
    for (sql, seq) in [
        ("UPDATE auditx.entry SET line = replace(line, 'ayse', 'mert') WHERE seq = 123".to_owned(), Some(123)),
        ("DELETE FROM auditx.entry WHERE seq = 200".to_owned(), Some(200)),
        ("INSERT INTO auditx.entry SELECT trail_id, seq, recorded_at + interval '1 s', company, branch, actor, action, \
          module, level, entity_type, entity_id, reference_no, leaf_hash, line, body FROM auditx.entry WHERE seq = 50".to_owned(), Some(51)),
        ("DELETE FROM auditx.entry WHERE seq >= 600; UPDATE auditx.trail SET last_seq = 599".to_owned(), Some(600)),
        // With the hash beside it: no more than a stretch between two notes can be told.
        (format!("UPDATE auditx.entry SET line = replace(line, 'ayse', 'mert') WHERE seq = 123; \
                  UPDATE auditx.entry SET leaf_hash = {leaf} WHERE seq = 123"), None),
    ] {
        altered(&server, &sql, || {
            let verification = verified(&server, &key, &known);
            assert_eq!(verification.answer, Answer::Broken, "{sql}: {verification:?}");
            let fault = verification.fault.unwrap();
            match seq {
                Some(seq) => assert_eq!(fault.seq, Some(seq), "{sql}: {fault:?}"),
                None => {
                    let is_a_stretch = fault.message.starts_with("a line between line ");
                    assert!(is_a_stretch && fault.seq <= Some(123), "{fault:?}");
                }
            }
        });
    }
    assert_eq!(verified(&server, &key, &known).answer, Answer::Intact, "it is as it was");
}
