//! The messages of the protocol's documentation, byte by byte.

use super::*;

fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn relation() -> Vec<u8> {
    joined(&[
        b"R\0\0\x40\x01public\0customer\0f\0\x02",
        b"\x01id\0\0\0\0\x17\xff\xff\xff\xff",
        b"\0name\0\0\0\0\x19\xff\xff\xff\xff",
    ])
}

#[test]
fn a_transaction_is_read_from_begin_to_commit() {
    let begin = joined(&[b"B", &7_u64.to_be_bytes(), &9_i64.to_be_bytes(), &5_u32.to_be_bytes()]);
    assert_eq!(parse(&begin).unwrap(), Message::Begin { commit: Lsn(7), micros: 9 });
    let commit = joined(&[b"C\0", &7_u64.to_be_bytes(), &8_u64.to_be_bytes(), &9_i64.to_be_bytes()]);
    assert_eq!(parse(&commit).unwrap(), Message::Commit { end: Lsn(8) });
}

#[test]
fn a_table_has_columns_with_types() {
    let column = |name: &str, type_oid, is_key| Column { name: name.to_owned(), type_oid, is_key };
    let expected = Relation {
        oid: 0x4001,
        schema: "public".to_owned(),
        name: "customer".to_owned(),
        columns: vec![column("id", 23, true), column("name", 25, false)],
    };
    assert_eq!(parse(&relation()).unwrap(), Message::Relation(expected));
}

#[test]
fn rows_have_nulls_texts_and_values_that_did_not_change() {
    let row = b"\0\x03t\0\0\0\x0242nu";
    let cells = vec![Cell::Text("42"), Cell::Null, Cell::Unchanged];
    let insert = joined(&[b"I\0\0\0\x07N", row]);
    assert_eq!(parse(&insert).unwrap(), Message::Insert { relation: 7, new: cells.clone() });
    for (kind, is_key_only) in [(b"O", false), (b"K", true)] {
        let old = || Old { is_key_only, cells: cells.clone() };
        let update = joined(&[b"U\0\0\0\x07", kind, row, b"N", row]);
        let expected = Message::Update { relation: 7, old: Some(old()), new: cells.clone() };
        assert_eq!(parse(&update).unwrap(), expected);
        let delete = joined(&[b"D\0\0\0\x07", kind, row]);
        assert_eq!(parse(&delete).unwrap(), Message::Delete { relation: 7, old: old() });
    }
    let update = joined(&[b"U\0\0\0\x07N", row]);
    assert_eq!(parse(&update).unwrap(), Message::Update { relation: 7, old: None, new: cells });
}

#[test]
fn truncations_and_emitted_messages_are_read() {
    let truncate = b"T\0\0\0\x02\0\0\0\0\x07\0\0\0\x08";
    assert_eq!(parse(truncate).unwrap(), Message::Truncate { relations: vec![7, 8] });
    let message = |flags: &[u8]| joined(&[b"M", flags, &1_u64.to_be_bytes(), b"app\0\0\0\0\x02{}"]);
    let expected = Message::Emitted { prefix: "app", content: b"{}" };
    assert_eq!(parse(&message(b"\x01")).unwrap(), expected);
    assert_eq!(parse(&message(b"\0")).unwrap(), Message::Other);
    assert_eq!(parse(b"Y\0\0\0\x07public\0mood\0").unwrap(), Message::Other);
}

#[test]
fn what_is_no_message_is_refused() {
    for (bytes, why) in [
        (&b""[..], "ends early"),
        (b"X", "unknown message"),
        (b"I\0\0\0\x07X", "kind of row"),
        (b"I\0\0\0\x07N\0\x01x", "kind of value"),
        (b"I\0\0\0\x07N\0\x01t\xff\xff\xff\xff", "ends early"),
        (b"I\0\0\0\x07N\0\x01t\0\0\0\x01\xff", "not UTF-8"),
        (b"I\0\0\0\x07N\0\0more", "bytes after"),
        (b"R\0\0\0\x07public", "without an end"),
        (b"T\xff\xff\xff\xff\0", "ends early"),
    ] {
        let error = parse(bytes).unwrap_err();
        assert!(error.0.contains(why), "{bytes:?}: {error:?}");
    }
}

#[test]
fn a_message_that_ends_anywhere_is_refused() {
    let whole = relation();
    for len in 0..whole.len() {
        assert!(parse(&whole[..len]).is_err(), "{len}");
    }
}

#[test]
fn random_bytes_never_panic() {
    let mut random = auditx_tests::random::Random::seeded();
    for _ in 0..200_000 {
        let len = random.below(64);
        let mut bytes: Vec<u8> = (0..len).map(|_| random.below(256).to_le_bytes()[0]).collect();
        if let Some(first) = bytes.first_mut() {
            *first = *random.one_of(b"BCRIUDTMOY");
        }
        // Only that it returns.
        drop(parse(&bytes));
    }
}
