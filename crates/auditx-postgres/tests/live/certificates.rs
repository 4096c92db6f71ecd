//! Connections are encrypted, and an invalid certificate is retried until it has been replaced.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use super::*;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// Installs a server certificate for 127.0.0.1 that is valid until the end of `last_year`.
fn certify(server: &Server, authority: &Authority, last_year: i32) {
    let mut parameters = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(last_year, 12, 31);
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, authority).unwrap();
    server.put("server.crt", &certificate.pem());
    server.put("server.key", &key.serialize_pem());
    server.sql("ALTER SYSTEM SET ssl = on");
    server.sql("SELECT pg_reload_conf()");
}

#[test]
fn expired_and_untrusted_certificates_are_retried() {
    let (server, directory) = (server(), trail(100));
    let (ours, stranger) = (authority("ours"), authority("a stranger"));
    let roots = directory.path().join("roots.pem");
    fs::write(&roots, ours.pem()).unwrap();
    let url = format!(
        "{}?sslmode=verify-full&sslrootcert={}",
        server.url("shipper", server.port()),
        roots.display()
    );
    let shipper = Shipper::spawn(directory.path(), Postgres::new(&url).unwrap(), settings()).unwrap();
    let reports = |what: &str| {
        let is_reported =
            shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.last_error.contains(what));
        assert!(is_reported, "{what}: {:?}", shipper.progress());
    };
    reports("does not support TLS");
    certify(&server, &stranger, 2090);
    reports("UnknownIssuer");
    certify(&server, &ours, 2021);
    reports("certificate expired");
    assert_eq!(server.sql("SELECT count(*) FROM auditx.entry"), "0");
    certify(&server, &ours, 2090);
    wait_for_all(&shipper, lines(directory.path()).len());
    stop(shipper);
    assert_same(&server, directory.path());
}

#[test]
fn the_log_is_read_over_an_encrypted_connection() {
    let table = auditx_postgres::capture::Table::new("customer", "crm");
    let server = logical::logging("CREATE TABLE customer (id int PRIMARY KEY)", &table);
    let directory = tempfile::tempdir().unwrap();
    let (ours, stranger) = (authority("ours"), authority("a stranger"));
    let roots = directory.path().join("roots.pem");
    fs::write(&roots, ours.pem()).unwrap();
    let url = format!(
        "{}?sslmode=verify-full&sslrootcert={}",
        server.url("collector", server.port()),
        roots.display()
    );
    certify(&server, &stranger, 2090);
    let error = auditx_tests::deadline::wait_for("a refusal", || {
        let error = auditx_postgres::LogOutbox::open(&url).unwrap_err().to_string();
        error.contains("UnknownIssuer").then_some(error)
    });
    assert!(error.contains("certificate"), "{error}");
    certify(&server, &ours, 2090);
    server.sql("INSERT INTO customer VALUES (1)");
    let mut outbox =
        auditx_tests::deadline::wait_for("a connection", || auditx_postgres::LogOutbox::open(&url).ok());
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE ssl AND usename = 'collector'";
    assert_eq!(server.sql(encrypted), "2");
    auditx_capture::Outbox::waiting(&mut outbox).unwrap();
    assert_eq!(auditx_capture::Outbox::take(&mut outbox, 10).unwrap().len(), 1);
}
