//! Changes of tables are noted by triggers: what of them, by whom, and only if they commit.

use auditx_capture::{Content, Operation, Outbox};
use auditx_postgres::capture::{self, Captured, Status, Table};
use auditx_postgres::{PostgresOutbox, Result};
use auditx_tests::postgres::Server;
use serde_json::{Value, json};

fn wait_for<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

pub(crate) fn enable(server: &Server, table: &Table) -> Result<Captured> {
    wait_for(capture::enable(&server.url("admin", server.port()), table))
}

fn status(server: &Server) -> Status {
    wait_for(capture::status(&server.url("admin", server.port()))).unwrap()
}

/// Starts a server with a table that is captured.
pub(crate) fn capturing(create: &str, table: &Table) -> Server {
    let server = Server::start();
    server.sql(create);
    enable(&server, table).unwrap();
    server
}

pub(crate) fn customers() -> Server {
    let create = "CREATE TABLE customer (id int PRIMARY KEY, name text, credit numeric)";
    capturing(create, &Table::new("customer", "crm"))
}

/// Returns what a collector takes, and removes it.
fn noted(server: &Server) -> Vec<Value> {
    let mut outbox = PostgresOutbox::open(&server.url("admin", server.port())).unwrap();
    let rows = outbox.take(1_000).unwrap();
    outbox.remove(&rows.iter().map(|row| row.key).collect::<Vec<_>>()).unwrap();
    rows.into_iter().filter_map(|row| value(row.content)).collect()
}

fn value(content: Content) -> Option<Value> {
    let change = match content {
        Content::Change(change) => change,
        Content::Nothing => return None,
        other => panic!("{other:?}"),
    };
    let operation = match change.operation {
        Operation::Insert => "I",
        Operation::Update => "U",
        Operation::Delete => "D",
        _ => "T",
    };
    Some(json!({
        "module": change.module, "table": change.table, "key": change.key, "op": operation,
        "old": change.old, "new": change.new, "user": change.database_user, "context": change.context,
    }))
}

/// Returns what waits: operation, key, old and new columns.
pub(crate) fn changes(server: &Server) -> Vec<Value> {
    noted(server)
        .iter()
        .map(|change| json!([change["op"], change["key"], change["old"], change["new"]]))
        .collect()
}

#[test]
fn only_what_differs_is_noted() {
    let server = customers();
    server.sql("INSERT INTO customer VALUES (1, 'Aye', 10.50)");
    server.sql("UPDATE customer SET name = 'Aye Aye', credit = 10.50");
    server.sql("UPDATE customer SET name = name");
    server.sql("DELETE FROM customer");
    let all = noted(&server);
    assert_eq!(
        all[0],
        json!({
            "module": "crm", "table": "customer", "key": "1", "op": "I", "old": {},
            "new": { "id": 1, "name": "Aye", "credit": 10.5 }, "user": "admin", "context": {},
        })
    );
    assert_eq!(all[1]["old"], json!({ "name": "Aye" }));
    assert_eq!(all[1]["new"], json!({ "name": "Aye Aye" }));
    assert_eq!((&all[2]["op"], &all[2]["new"], all.len()), (&json!("D"), &json!({}), 3));
}

#[test]
fn a_rollback_leaves_nothing() {
    let server = customers();
    server.sql("BEGIN; INSERT INTO customer VALUES (1); ROLLBACK");
    server.sql(
        "BEGIN; INSERT INTO customer VALUES (2); SAVEPOINT s; INSERT INTO customer VALUES (3); \
         ROLLBACK TO s; COMMIT",
    );
    let keys: Vec<Value> = noted(&server).iter().map(|change| change["key"].clone()).collect();
    assert_eq!(keys, ["2"]);
}

#[test]
fn each_type_keeps_its_value() {
    let server = capturing(
        "CREATE TYPE mood AS ENUM ('good', 'bad'); CREATE TABLE thing (id uuid PRIMARY KEY, \
         amount numeric, at timestamptz, day date, doc jsonb, tags text[], mood mood, raw bytea, flag bool, \
         number float8, twice numeric GENERATED ALWAYS AS (amount * 2) STORED, nothing text, big bigint)",
        &Table::new("thing", "misc"),
    );
    let insert = "INSERT INTO thing (id, amount, at, day, doc, tags, mood, raw, flag, number, big) VALUES \
                  ('00000000-0000-0000-0000-000000000007', 123456789012345678901234567890.1200, \
                  '2026-01-31 09:00:00.123456+06:30', '2026-01-31', \
                  '{\"a\": [1.10, null]}', '{x,NULL,\"y,z\"}', \
                  'bad', '\\x00ff', true, 'NaN', 9223372036854775807)";
    server.sql(&format!("SET timezone = 'UTC'; {insert}"));
    let expected = json!({
        "id": "00000000-0000-0000-0000-000000000007",
        // They have more digits than a number of 64 bits.
        "amount": "123456789012345678901234567890.1200",
        "twice": "246913578024691357802469135780.2400",
        "at": "2026-01-31T02:30:00.123456+00:00",
        "day": "2026-01-31",
        "doc": { "a": [1.1, null] },
        "tags": ["x", null, "y,z"],
        "mood": "bad",
        "raw": "\\x00ff",
        "flag": true,
        "number": "NaN",
        "nothing": null,
        "big": 9_223_372_036_854_775_807_i64,
    });
    assert_eq!(noted(&server)[0]["new"], expected);
}

#[test]
fn the_settings_of_a_session_hide_no_difference() {
    let server = capturing(
        "CREATE TABLE thing (id int PRIMARY KEY, number float8, raw bytea)",
        &Table::new("thing", "misc"),
    );
    server.sql("INSERT INTO thing VALUES (1, 0.1, '\\x41')");
    noted(&server);
    server.sql(
        "SET extra_float_digits = -15; SET bytea_output = 'escape'; \
         UPDATE thing SET number = 0.10000000000000002, raw = '\\x42'",
    );
    let update = json!(["U", "1", { "number": 0.1, "raw": "\\x41" },
        { "number": 0.100_000_000_000_000_02_f64, "raw": "\\x42" }]);
    assert_eq!(changes(&server), [update]);
}

#[test]
fn excluded_and_masked_columns_stay_so_under_a_new_name() {
    let server = capturing(
        "CREATE TABLE login (id int PRIMARY KEY, secret text, seen text, name text)",
        &Table::new("login", "security").exclude(["seen"]).mask(["secret"]),
    );
    server.sql("INSERT INTO login VALUES (1, 'a', 'x', 'Aye')");
    server.sql("UPDATE login SET seen = 'y'");
    server.sql("UPDATE login SET secret = 'b'");
    let masked = "[REDACTED]";
    let expected = [
        json!(["I", "1", {}, { "id": 1, "secret": masked, "name": "Aye" }]),
        json!(["U", "1", { "secret": masked }, { "secret": masked }]),
    ];
    assert_eq!(changes(&server), expected);
    server.sql(
        "ALTER TABLE login RENAME secret TO old_secret; ALTER TABLE login RENAME seen TO last_seen; \
         ALTER TABLE login RENAME id TO number; ALTER TABLE login ADD secret text; \
         ALTER TABLE login DROP name",
    );
    server.sql("UPDATE login SET old_secret = 'c', secret = 'd', last_seen = 'z'");
    let both = json!({ "old_secret": masked, "secret": masked });
    assert_eq!(changes(&server), [json!(["U", "1", both, both])]);
}

#[test]
fn settings_apply_to_changes_that_are_made_later() {
    let server = customers();
    server.sql("INSERT INTO customer VALUES (1, 'Aye', 5)");
    enable(&server, &Table::new("customer", "sales").exclude(["credit"]).mask(["name"])).unwrap();
    server.sql("INSERT INTO customer VALUES (2, 'Mya', 6)");
    let found = noted(&server);
    let columns: Vec<_> = found.iter().map(|change| (&change["module"], &change["new"])).collect();
    let (first, second) =
        (json!({ "id": 1, "name": "Aye", "credit": 5 }), json!({ "id": 2, "name": "[REDACTED]" }));
    assert_eq!(columns, [(&json!("crm"), &first), (&json!("sales"), &second)]);
}

#[test]
fn masked_and_excluded_values_are_not_in_the_outbox() {
    let server = capturing(
        "CREATE TABLE login (id int PRIMARY KEY, secret text, seen text, body text)",
        &Table::new("login", "security").exclude(["seen"]).mask(["secret"]),
    );
    server.sql("INSERT INTO login VALUES (1, 'Xa', 'Xb', 'a'); UPDATE login SET secret = 'Xg'");
    server.sql("INSERT INTO login VALUES (2, 'Xh', 'Xi', 'a'); DELETE FROM login WHERE id = 2");
    server.sql("UPDATE login SET body = repeat('y', 9000)");
    server.sql("SET bytea_output = escape; UPDATE login SET secret = 'Xc', seen = 'Xd'");
    server.sql("UPDATE login SET seen = 'Xe'; ALTER TABLE login RENAME secret TO hidden");
    server.sql("UPDATE login SET hidden = 'Xf', body = 'b'; DELETE FROM login");
    let rows = server.sql("SELECT w FROM auditx.waiting w");
    assert_eq!((rows.lines().count(), rows.contains('X')), (8, false), "{rows}");
}

#[test]
fn columns_are_added_dropped_and_renamed() {
    let server = customers();
    server.sql("INSERT INTO customer VALUES (1, 'Aye', 1)");
    server
        .sql("ALTER TABLE customer ADD city text DEFAULT 'Yangon'; ALTER TABLE customer RENAME id TO number");
    server.sql("ALTER TABLE customer DROP credit; UPDATE customer SET city = 'Bago'");
    server.sql("ALTER TABLE customer RENAME TO client; DELETE FROM client");
    let found = noted(&server);
    assert_eq!(found[1]["new"], json!({ "city": "Bago" }));
    assert_eq!(found[2]["old"], json!({ "number": 1, "name": "Aye", "city": "Bago" }));
    assert!(found.iter().all(|change| change["key"] == "1" && change["table"] == "customer"), "{found:?}");
}

#[test]
fn every_way_to_write_is_noted() {
    let server = customers();
    server.sql("COPY customer FROM PROGRAM 'printf ''1\\tAye\\t5\\n2\\tMya\\t6\\n'''");
    server.sql("INSERT INTO customer VALUES (1, 'Aye', 7) ON CONFLICT (id) DO UPDATE SET credit = 7");
    server.sql("INSERT INTO customer VALUES (1, 'Aye', 7) ON CONFLICT DO NOTHING");
    server.sql("UPDATE customer SET id = 3 WHERE id = 2");
    server.sql("TRUNCATE customer");
    let expected = [
        json!(["I", "1", {}, { "id": 1, "name": "Aye", "credit": 5 }]),
        json!(["I", "2", {}, { "id": 2, "name": "Mya", "credit": 6 }]),
        json!(["U", "1", { "credit": 5 }, { "credit": 7 }]),
        json!(["U", "2", { "id": 2 }, { "id": 3 }]),
        json!(["T", "", {}, {}]),
    ];
    assert_eq!(changes(&server), expected);
}

#[test]
fn partitions_are_captured() {
    let server = capturing(
        "CREATE TABLE sale (region text, \"no\" int, amount int, PRIMARY KEY (region, \"no\")) \
         PARTITION BY LIST (region); CREATE TABLE sale_a PARTITION OF sale FOR VALUES IN ('a')",
        &Table::new("sale", "sales").exclude(["amount"]),
    );
    // Its columns have other numbers.
    server.sql("CREATE TABLE sale_b (amount int, \"no\" int NOT NULL, region text NOT NULL)");
    server.sql("ALTER TABLE sale ATTACH PARTITION sale_b FOR VALUES IN ('b')");
    enable(&server, &Table::new("sale", "sales").exclude(["amount"])).unwrap();
    server.sql("INSERT INTO sale VALUES ('a', 1, 5), ('b', 2, 6)");
    server.sql("ALTER TABLE sale RENAME amount TO total; UPDATE sale SET region = 'b' WHERE \"no\" = 1");
    server.sql("TRUNCATE sale_a");
    let expected = [
        json!(["I", "a,1", {}, { "region": "a", "no": 1 }]),
        json!(["I", "b,2", {}, { "region": "b", "no": 2 }]),
        json!(["D", "a,1", { "region": "a", "no": 1 }, {}]),
        json!(["I", "b,1", {}, { "region": "b", "no": 1 }]),
        json!(["T", "", { "partition": "sale_a" }, {}]),
    ];
    assert_eq!(changes(&server), expected);
}

#[test]
fn the_user_of_the_database_and_the_context_are_noted() {
    let server = customers();
    server.sql("CREATE ROLE clerk LOGIN PASSWORD 'secret'; GRANT INSERT ON customer TO clerk");
    let clerk = server.url("clerk", server.port());
    let run = |sql: &str| {
        let done = std::process::Command::new("psql").args(["-qd", &clerk, "-c", sql]).output().unwrap();
        assert!(done.status.success(), "{sql}: {done:?}");
    };
    run("INSERT INTO customer VALUES (1)");
    run("BEGIN; SELECT set_config('auditx.context', '{\"user\":\"thida\"}', true); \
         INSERT INTO customer VALUES (2); COMMIT; INSERT INTO customer VALUES (3)");
    run("SET auditx.context = '{not json'; INSERT INTO customer VALUES (4)");
    run("SET auditx.context = '[1]'; INSERT INTO customer VALUES (5)");
    let found = noted(&server);
    assert!(found.iter().all(|change| change["user"] == "clerk"), "{found:?}");
    let contexts: Vec<&Value> = found.iter().map(|change| &change["context"]).collect();
    let (none, some) = (json!({}), json!({ "user": "thida" }));
    assert_eq!(contexts, [&none, &some, &none, &none, &none]);
}

#[test]
fn capture_is_disabled_again() {
    let server = customers();
    let found = status(&server);
    assert_eq!((found.tables.len(), found.waiting, found.oldest), (1, 0, None));
    assert_eq!(found.tables[0].table, "public.customer");
    assert!(found.tables[0].is_active);
    server.sql("INSERT INTO customer VALUES (1); ALTER TABLE customer DISABLE TRIGGER auditx_change");
    let found = status(&server);
    assert!(!found.tables[0].is_active && found.waiting == 1 && found.oldest.is_some(), "{found:?}");
    let url = server.url("admin", server.port());
    assert!(wait_for(capture::disable(&url, "customer")).unwrap());
    assert!(!wait_for(capture::disable(&url, "customer")).unwrap());
    assert_eq!(
        server.sql(
            "SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'auditx%' \
                           AND tgrelid = 'customer'::regclass"
        ),
        "0"
    );
    server.sql("DELETE FROM customer");
    assert_eq!(status(&server).waiting, 1);
}

#[test]
fn what_cannot_be_captured_is_refused_with_words() {
    let server = Server::start();
    server.sql(
        "CREATE TABLE loose (id int, name text); CREATE VIEW seen AS SELECT * FROM loose; \
         CREATE SCHEMA other; CREATE TABLE other.\"Odd \"\"na'me\" (\"the 'key\" int PRIMARY KEY)",
    );
    let refusal = |table: &Table| enable(&server, table).unwrap_err().to_string();
    assert!(refusal(&Table::new("loose", "m")).contains("no primary key: name the columns"));
    assert_eq!(refusal(&Table::new("loose", "m").key(["id"]).mask(["no"])), "no column no in loose");
    assert!(refusal(&Table::new("loose", "m").key(["id"]).mask(["id"])).contains("cannot be masked"));
    assert!(refusal(&Table::new("absent", "m")).contains("no table absent"));
    assert!(refusal(&Table::new("seen", "m")).contains("is a view"));
    assert!(refusal(&Table::new("auditx.outbox", "m")).contains("schema auditx"));
    enable(&server, &Table::new("loose", "m").key(["name", "id"])).unwrap();
    server.sql("INSERT INTO loose VALUES (1, 'a')");
    let odd = enable(&server, &Table::new("other.Odd \"na'me", "it's")).unwrap();
    assert_eq!((odd.entity_type.as_str(), odd.module.as_str()), ("other.Odd \"na'me", "it's"));
    server.sql("INSERT INTO other.\"Odd \"\"na'me\" VALUES (7)");
    let found = noted(&server);
    assert_eq!(
        (&found[0]["key"], &found[1]["key"], &found[1]["module"]),
        (&json!("a,1"), &json!("7"), &json!("it's"))
    );
}

#[test]
fn only_those_who_may_attach_the_trigger() {
    let server = customers();
    server.sql("CREATE ROLE owner IN ROLE auditx_capture; CREATE SCHEMA AUTHORIZATION owner");
    for (function, event) in [
        ("note_change", "INSERT ON owner.forged FOR EACH ROW"),
        ("note_part_of_change", "INSERT ON owner.forged FOR EACH ROW"),
        ("note_truncate", "TRUNCATE ON owner.forged"),
    ] {
        let sql = format!(
            "SET ROLE owner; CREATE TABLE owner.forged (id int); \
             CREATE TRIGGER t AFTER {event} EXECUTE FUNCTION auditx.{function}('{{}}')"
        );
        let refusal = server.refusal(&sql);
        assert!(refusal.contains("permission denied for function"), "{refusal}");
    }
}

#[test]
fn a_key_may_be_excluded_or_have_several_columns() {
    let server = capturing(
        "CREATE TABLE line (\"order\" int, part text, amount int, PRIMARY KEY (\"order\", part))",
        &Table::new("line", "sales").exclude(["part"]).mask(["amount"]),
    );
    server.sql("INSERT INTO line VALUES (7, 'a', 1); UPDATE line SET part = 'b'; UPDATE line SET amount = 2");
    server.sql("ALTER TABLE line RENAME part TO item; UPDATE line SET item = 'c'; DELETE FROM line");
    let masked = "[REDACTED]";
    let expected = [
        json!(["I", "7,a", {}, { "order": 7, "amount": masked }]),
        json!(["U", "7,b", { "amount": masked }, { "amount": masked }]),
        json!(["D", "7,c", { "order": 7, "amount": masked }, {}]),
    ];
    assert_eq!(changes(&server), expected);
}
