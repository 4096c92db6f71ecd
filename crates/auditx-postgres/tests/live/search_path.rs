//! The triggers run with rights that a session does not have, so nothing of a session's schemas may run in
//! them.

use auditx_postgres::capture::Table;

use super::capture::{changes, customers, enable};

/// Creates an operator for each that the triggers use, by name and types of arguments. Each one notes that it
/// ran.
const OPERATORS: &str = "DO $do$ DECLARE o record; BEGIN \
     FOR o IN SELECT oprname, oprleft::regtype AS a, oprright::regtype AS b, oprresult::regtype AS r \
         FROM pg_operator \
         WHERE oprname IN ('=', '<>', '<=', '>=', '<', '>', '^@', '||', '-', '->', '->>', '+', '?') \
         AND oprleft::regtype::text IN ('text', 'jsonb', 'integer', 'name', 'oid') AND oprresult <> 0 \
         AND (oprleft = oprright OR oprright::regtype::text IN ('text', 'text[]', 'integer')) \
     LOOP \
         EXECUTE format('CREATE FUNCTION trap.%I(%s, %s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN \
             INSERT INTO trap.sprung VALUES (current_user); RETURN $1 OPERATOR(pg_catalog.%s) $2; END $f$', \
             'f' || md5(o.oprname), o.a, o.b, o.r, o.oprname); \
         EXECUTE format('CREATE OPERATOR trap.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = trap.%I)', \
             o.oprname, o.a, o.b, 'f' || md5(o.oprname)); \
     END LOOP; END $do$";

#[test]
fn nothing_of_the_schemas_of_a_session_runs_in_a_trigger() {
    let server = customers();
    enable(&server, &Table::new("customer", "crm").mask(["name"])).unwrap();
    server.sql("CREATE TABLE plain (id int PRIMARY KEY, name text)");
    enable(&server, &Table::new("plain", "crm")).unwrap();
    server.sql(
        "CREATE ROLE clerk LOGIN PASSWORD 'secret'; GRANT ALL ON customer, plain TO clerk; \
         CREATE SCHEMA trap AUTHORIZATION clerk; CREATE TABLE trap.sprung (by name); \
         GRANT ALL ON trap.sprung TO PUBLIC; GRANT ALL ON SCHEMA trap TO PUBLIC",
    );
    server.sql(OPERATORS);
    for (function, result) in [
        ("current_setting(text, boolean)", "text"),
        ("octet_length(text)", "int"),
        ("pg_column_size(json)", "int"),
    ] {
        server.sql(&format!(
            "CREATE FUNCTION trap.{function} RETURNS {result} LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO trap.sprung VALUES (current_user); RETURN NULL; END $$"
        ));
    }
    for name in ["json", "jsonb"] {
        server.sql(&format!("CREATE DOMAIN trap.{name} AS text CHECK (false)"));
    }
    let path = "SET search_path = trap, pg_catalog, public";
    let is_equal = server.sql(&format!("{path}; SELECT 'a'::text = 'b'::text"));
    assert_eq!((is_equal.as_str(), server.sql("TABLE trap.sprung").as_str()), ("f", "admin"));
    server.sql("TRUNCATE trap.sprung");
    for table in ["customer", "plain"] {
        server.sql(&format!(
            "{path}; SET ROLE clerk; INSERT INTO {table} VALUES (1, 'Aye'), (2, 'Mya'); \
             UPDATE {table} SET name = 'Su'; DELETE FROM {table}"
        ));
    }
    assert_eq!(changes(&server).len(), 12);
    assert_eq!(server.sql("TABLE trap.sprung"), "");
}
