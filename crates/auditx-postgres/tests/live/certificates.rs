//! Connections are encrypted, and a certificate that is not good is waited for until it is.

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

/// Gives the server a certificate for 127.0.0.1 that ends in this year.
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
fn an_expired_certificate_is_waited_out_and_a_stranger_s_is_never_believed() {
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
    let says = |what: &str| {
        let is_said =
            shipper.wait_until(Instant::now() + PATIENCE, |progress| progress.trouble.contains(what));
        assert!(is_said, "{what}: {:?}", shipper.progress());
    };
    says("does not support TLS");
    certify(&server, &stranger, 2090);
    says("UnknownIssuer");
    certify(&server, &ours, 2021);
    says("certificate expired");
    assert_eq!(server.sql("SELECT count(*) FROM auditx.entry"), "0");
    certify(&server, &ours, 2090);
    wait_for_all(&shipper, lines(directory.path()).len());
    stop(shipper);
    assert_same(&server, directory.path());
}
