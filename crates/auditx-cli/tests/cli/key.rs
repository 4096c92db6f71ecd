//! Tests of `auditx keygen` and `auditx key`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use auditx_core::{AuditLogger, Config, KeySource, SigningKey, VerifierKey};
use auditx_store::AUDITX_DIR;
use auditx_tests::deadline::TIMEOUT;

use crate::program::{Ended, auditx, command, ended, without_trail};
use crate::trail::{active_lines, closed, directory, logger, record};

fn shown(directory: &Path) -> String {
    let shown = auditx(&["key", "show"], directory);
    assert_eq!(shown.status, Some(0), "{}", shown.err);
    shown.out.trim().to_owned()
}

fn keygen(path: &Path) -> Ended {
    ended(&mut without_trail(&["keygen", "-o", path.to_str().unwrap()]))
}

#[test]
fn a_new_key_is_printed_or_written_to_a_private_file() {
    let printed = ended(&mut without_trail(&["keygen"]));
    assert_eq!((printed.status, printed.err.as_str()), (Some(0), ""));
    assert!(printed.out.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{}", printed.out);
    SigningKey::from_pem(&printed.out).unwrap();

    let directory = directory();
    let path = directory.path().join("audit.pem");
    let made = keygen(&path);
    assert_eq!((made.status, made.err.as_str()), (Some(0), ""));
    assert!(made.out.contains(&format!("AUDITX_SIGNING_KEY=file:{}", path.display())), "{}", made.out);
    assert!(!made.out.contains("PRIVATE KEY"), "{}", made.out);
    let pem = fs::read_to_string(&path).unwrap();
    SigningKey::from_pem(&pem).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let again = keygen(&path);
    assert_eq!((again.status, again.out.as_str()), (Some(2), ""));
    assert!(again.err.contains("already exists"), "{}", again.err);
    assert_eq!(fs::read_to_string(&path).unwrap(), pem, "a key is never overwritten");
    let nowhere = keygen(&directory.path().join("none/audit.pem"));
    assert_eq!(nowhere.status, Some(2));
    assert!(nowhere.err.starts_with("auditx: cannot write "), "{}", nowhere.err);
}

#[test]
fn standard_output_contains_only_the_key() {
    let trail = closed(1);
    let show = auditx(&["key", "show"], trail.path());
    assert_eq!(show.status, Some(0));
    let key: VerifierKey = show.out.trim_end().parse().unwrap();
    let logger = logger(trail.path());
    assert_eq!(key, logger.verifier_key().unwrap());
    assert!(
        show.err.contains("named in line 0") && show.err.contains("through another channel"),
        "{}",
        show.err
    );

    let nothing = auditx(&["key", "show"], directory().path());
    assert_eq!((nothing.status, nothing.out.as_str()), (Some(2), ""));
    assert!(nothing.err.starts_with("auditx: there is no checkpoint in the directory"), "{}", nothing.err);
}

#[test]
fn a_key_is_shown_after_its_record_was_retired() {
    let trail = closed(100);
    let key = shown(trail.path());
    assert_eq!(auditx(&["retire", "--keep", "0"], trail.path()).status, Some(0));
    assert_eq!(shown(trail.path()), key);
}

#[test]
fn a_rotated_key_signs_and_both_keys_are_printed() {
    let trail = closed(1);
    let old = shown(trail.path());
    let rotated = auditx(&["key", "rotate"], trail.path());
    assert_eq!((rotated.status, rotated.err.as_str()), (Some(0), ""));
    let new = shown(trail.path());
    assert_ne!(old, new);
    assert!(rotated.out.contains(&old) && rotated.out.contains(&new), "{}", rotated.out);
    let show = auditx(&["key", "show"], trail.path());
    assert!(show.err.contains(&format!("Previous key, from line 0: {old}")), "{}", show.err);
    assert!(!show.err.contains("NOT"), "{}", show.err);

    // The application needs no change.
    let logger = logger(trail.path());
    record(&logger, 1);
    logger.close(TIMEOUT).unwrap();
    let proof = auditx(&["prove", "2"], trail.path()).out;
    let file = trail.path().join("proof");
    fs::write(&file, proof).unwrap();
    let check =
        |key: &str| ended(&mut without_trail(&["check", file.to_str().unwrap(), "--key", key])).status;
    assert_eq!((check(&new), check(&old)), (Some(0), Some(1)));
}

#[test]
fn a_key_outside_of_the_trail_is_not_replaced_by_one_inside() {
    let trail = directory();
    let keys = directory();
    let [first, second] = ["first.pem", "second.pem"].map(|name| keys.path().join(name));
    assert_eq!((keygen(&first).status, keygen(&second).status), (Some(0), Some(0)));
    let (first, second) = (format!("file:{}", first.display()), format!("file:{}", second.display()));
    let open = |source: &str| {
        let config = Config::new(trail.path()).signing_key(source.parse::<KeySource>().unwrap());
        AuditLogger::open(config)
    };
    open(&first).unwrap().close(TIMEOUT).unwrap();
    assert!(!trail.path().join(AUDITX_DIR).join("keys").exists());

    let rotate = |more: &[&str]| {
        let arguments = [&["key", "rotate"], more].concat();
        ended(command(&arguments, trail.path()).env("AUDITX_SIGNING_KEY", &first))
    };
    let unsaid = rotate(&[]);
    assert_eq!(unsaid.status, Some(2));
    assert!(unsaid.err.contains("name the source of the new key with --to"), "{}", unsaid.err);
    let same = rotate(&["--to", &first]);
    assert_eq!(same.status, Some(2));
    assert!(same.err.contains("already the signing key"), "{}", same.err);
    let wrong = rotate(&["--to", "nowhere"]);
    assert_eq!(wrong.status, Some(2));
    assert!(wrong.err.contains("`file:PATH`"), "{}", wrong.err);
    let rotated = rotate(&["--to", &second]);
    assert_eq!((rotated.status, rotated.err.as_str()), (Some(0), ""));
    assert!(rotated.out.contains("set AUDITX_SIGNING_KEY"), "{}", rotated.out);
    assert!(open(&first).unwrap_err().is_signing());
    open(&second).unwrap().close(TIMEOUT).unwrap();
}

#[test]
fn a_trail_in_use_or_missing_is_not_changed() {
    let trail = directory();
    let holder = logger(trail.path());
    let before = active_lines(trail.path());
    for arguments in [
        &["key", "rotate"][..],
        &["retire", "--keep", "1"],
        &["erase", "2", "--reason", "r", "--yes"],
        &["recover"],
        &["recover", "--accept-loss"],
    ] {
        let refused = auditx(arguments, trail.path());
        assert_eq!((refused.status, refused.out.as_str()), (Some(2), ""), "{arguments:?}");
        let process = format!("is being written by process {}", std::process::id());
        assert!(refused.err.contains(&process), "{arguments:?}: {}", refused.err);

        let empty = directory();
        let nothing = auditx(arguments, empty.path());
        assert_eq!((nothing.status, nothing.out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(nothing.err.starts_with("auditx: no audit trail in "), "{}", nothing.err);
        assert_eq!(fs::read_dir(empty.path()).unwrap().count(), 0, "nothing is created");
    }
    assert_eq!(active_lines(trail.path()), before);
    drop(holder);
}
