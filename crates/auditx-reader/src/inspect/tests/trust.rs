//! The result of verification, and files derived from the lines.

use super::*;

#[test]
fn derived_files_that_differ_from_the_trail_are_found() {
    let (sample, logger) = logged(Compression::None);
    for number in 0..5 {
        logger.log_security(format!("login {number} failed")).success(false).record().unwrap();
    }
    logger.flush(TIMEOUT).unwrap();
    let all_indexed = || logger.metrics().indexed == logger.metrics().seals;
    while !all_indexed() {
        std::thread::yield_now();
    }
    logger.close(TIMEOUT).unwrap();
    assert_eq!(inspected(&sample).findings, []);
    let path = |name: &str| sample.directory().join(name);

    let security = fs::read_to_string(path("security.jsonl")).unwrap();
    fs::write(path("security.jsonl"), security.replacen("login 2", "login 7", 1)).unwrap();
    assert_eq!(kinds(&sample), [FindingKind::Projection]);
    fs::write(path("security.jsonl"), security.lines().take(3).collect::<Vec<_>>().join("\n") + "\n")
        .unwrap();
    assert_eq!(kinds(&sample), [FindingKind::Projection]);
    fs::write(path("security.jsonl"), "").unwrap();
    let inspection = inspected(&sample);
    assert_eq!(inspection.findings.len(), 1);
    assert_eq!(inspection.findings[0].severity, Severity::Note, "it may have been archived");
    fs::write(path("security.jsonl"), security).unwrap();

    let index = path(".auditx/index/00000000000000000000.idx");
    let whole = fs::read(&index).unwrap();
    let mut forged = whole.clone();
    forged[60] ^= 1;
    fs::write(&index, &forged).unwrap();
    assert_eq!(kinds(&sample), [FindingKind::Index]);
    fs::write(&index, whole).unwrap();

    let key = path(".auditx/keys/signing.pem");
    fs::write(&key, auditx_tlog::SigningKey::generate().to_pem()).unwrap();
    let inspection = inspected(&sample);
    assert_eq!(inspection.findings.len(), 1, "{:?}", inspection.findings);
    assert_eq!(inspection.findings[0].kind, FindingKind::Key);
    fs::remove_file(&key).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&key).status().unwrap().success());
    assert_eq!(kinds(&sample), [FindingKind::RefusedFile], "opening it must not block");
}

#[test]
fn a_segment_named_for_lines_of_the_active_one_is_found() {
    let (sample, logger) = logged(Compression::None);
    logger.close(TIMEOUT).unwrap();
    fs::copy(sample.sealed(0), sample.sealed(9_000)).unwrap();
    narrow(&sample);
    assert!(kinds(&sample).contains(&FindingKind::StraySegment));
    let error = AuditLogger::open(Config::new(sample.directory())).unwrap_err();
    assert!(error.is_corrupt() && error.to_string().contains("is named after lines"), "{error}");
}

#[test]
fn a_trail_that_was_set_aside_is_listed_below_the_new_one() {
    let (sample, logger) = logged(Compression::None);
    logger.close(TIMEOUT).unwrap();
    fs::write(sample.active(), b"").unwrap();
    let (logger, _) = AuditLogger::replace_corrupt(Config::new(sample.directory())).unwrap();
    logger.close(TIMEOUT).unwrap();
    let inspection = inspected(&sample);
    assert_eq!(inspection.findings, []);
    let [below] = &inspection.trails_below[..] else { panic!("{:?}", inspection.trails_below) };
    assert!(below.starts_with("audit.set-aside-"), "{below}");
}
