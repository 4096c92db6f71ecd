//! What is accepted as a time stamp, and what is refused.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auditx_reader::latest_checkpoint;
use auditx_tests::tsa::{Authority, LONG, P256, P384, RSA, TIME_STAMPING};
use auditx_timestamp::{Request, Roots, Stamp, Stamped};
use auditx_tlog::{SignedCheckpoint, Signer as _, SigningKey, WitnessKey};

use crate::trail::{closed, roots};

/// A request of a real checkpoint.
fn request() -> Request {
    Request::of(&latest_checkpoint(closed(3).path()).unwrap()).unwrap()
}

fn verified(answer: &[u8], request: &Request, roots: &Roots) -> Result<Stamped, String> {
    let stamp = Stamp::parse(answer).map_err(|error| error.to_string())?;
    stamp.verify(request.stamped().as_bytes(), roots).map_err(|error| error.to_string())
}

fn assert_refused(answer: &[u8], request: &Request, roots: &Roots, words: &str) {
    let refused = verified(answer, request, roots).unwrap_err();
    assert!(refused.contains(words), "expected {words:?}: {refused}");
}

/// Replaces the year of the time that a token says.
fn set_year(info: &mut [u8], year: &[u8; 4]) {
    let is_time = |bytes: &[u8]| matches!(bytes, [0x18, _, b'2', b'0']);
    let at = info.windows(4).position(is_time).unwrap() + 2;
    info[at..at + 4].copy_from_slice(year);
}

#[test]
fn stamps_of_rsa_and_ecdsa_with_any_sha2_are_verified() {
    let request = request();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (key, digests) in [
        (RSA, &["sha256", "sha384", "sha512"][..]),
        (P256, &["sha256", "sha384"]),
        (P384, &["sha256", "sha384"]),
    ] {
        let authority = Authority::new(key);
        for digest in digests {
            for names_by in ["sha1", "sha256", "sha512"] {
                let options =
                    format!("digests = sha256\nsigner_digest = {digest}\ness_cert_id_alg = {names_by}\n");
                let answer = authority.answer(request.as_bytes(), &options);
                let stamped = verified(&answer, &request, &roots(&authority)).unwrap();
                assert!(stamped.at.abs_diff(now) < 600, "{stamped:?} at {now}");
                assert_eq!(stamped.accuracy, Duration::from_millis(1_500));
                assert_eq!(stamped.authority, "Test signer");
                Stamp::parse(&answer).unwrap().answers(&request).unwrap();
            }
        }
    }
}

#[test]
fn a_stamp_with_rsa_pss_is_verified() {
    let (request, authority) = (request(), Authority::new(RSA));
    let answer = authority.answer(request.as_bytes(), "digests = sha256\nsigner_digest = sha256\n");
    let sign = |salt: &str| {
        let options = ["-md", "sha256", "-keyopt", "rsa_padding_mode:pss", "-keyopt", salt];
        authority.signed_again(&answer, "signer", &options, |_| ())
    };
    verified(&sign("rsa_pss_saltlen:digest"), &request, &roots(&authority)).unwrap();
    assert_refused(&sign("rsa_pss_saltlen:20"), &request, &roots(&authority), "unknown algorithm");
}

#[test]
fn openssl_reads_the_request() {
    let (request, authority) = (request(), Authority::new(P256));
    std::fs::write(authority.path("ours.tsq"), request.as_bytes()).unwrap();
    std::fs::write(authority.path("ours.checkpoint"), request.stamped()).unwrap();
    let text = authority.openssl(&["ts", "-query", "-in", "ours.tsq", "-text"]);
    for line in ["Version: 1", "Hash Algorithm: sha256", "Certificate required: yes", "Nonce: 0x"] {
        assert!(text.contains(line), "{text}");
    }
    // The hash is that of the checkpoint.
    let dump = authority.openssl(&["dgst", "-sha256", "-hex", "ours.checkpoint"]);
    let hash = dump.trim().rsplit(' ').next().unwrap();
    let imprint: String =
        text.lines().filter(|line| line.starts_with("    00")).map(|line| &line[11..60]).collect();
    let digits: String = imprint.chars().filter(char::is_ascii_hexdigit).collect();
    assert_eq!(digits, hash, "{text}");
}

#[test]
fn cosignatures_are_not_stamped() {
    let checkpoint = latest_checkpoint(closed(3).path()).unwrap();
    let witness = SigningKey::generate();
    let line = checkpoint.cosign("witness.example.com/w1", &witness, 1_800_000_000).unwrap();
    let key = WitnessKey::new("witness.example.com/w1", &witness.public_key()).unwrap();
    let cosigned = checkpoint.with_cosignature(&line, &key).unwrap();
    assert_ne!(cosigned.as_str(), checkpoint.as_str());
    assert_eq!(Request::of(&cosigned).unwrap().stamped(), checkpoint.as_str());
}

#[test]
fn a_stamp_of_other_bytes_or_under_another_root_is_refused() {
    let (request, other) = (request(), request());
    let (authority, stranger) = (Authority::new(P256), Authority::new(P256));
    let answer = authority.answer(request.as_bytes(), "digests = sha256\nsigner_digest = sha256\n");
    assert_refused(&answer, &other, &roots(&authority), "the time stamp is for other bytes");
    assert_refused(&answer, &request, &roots(&stranger), "no chain of certificates");
    // The same checkpoint, asked for again.
    let checkpoint = SignedCheckpoint::parse(request.stamped().as_bytes()).unwrap();
    let again = Request::of(&checkpoint).unwrap();
    assert_eq!(again.stamped(), request.stamped());
    let refused = Stamp::parse(&answer).unwrap().answers(&again).unwrap_err().to_string();
    assert!(refused.contains("its nonce is not the one sent"), "{refused}");
}

#[test]
fn a_missing_intermediate_may_be_in_the_file_of_roots() {
    let (request, authority) = (request(), Authority::new(P256));
    std::fs::write(authority.path("chain.pem"), std::fs::read(authority.path("signer.pem")).unwrap())
        .unwrap();
    let answer = authority.answer(request.as_bytes(), "digests = sha256\nsigner_digest = sha256\n");
    assert_refused(&answer, &request, &roots(&authority), "no chain of certificates");
    let intermediate = std::fs::read(authority.path("intermediate.pem")).unwrap();
    let both = Roots::parse(&[authority.root(), intermediate.clone()].concat()).unwrap();
    verified(&answer, &request, &both).unwrap();
    // An intermediate certificate is no root.
    let refused = Roots::parse(&intermediate).unwrap_err().to_string();
    assert!(refused.contains("the file has no root certificate"), "{refused}");
}

#[test]
fn certificates_must_have_been_valid_at_the_time_of_the_stamp_and_not_now() {
    let (request, authority) = (request(), Authority::new(P256));
    authority.issue(("old", "intermediate"), P256, TIME_STAMPING, ("20200101000000Z", "20210101000000Z"));
    let answer = authority.answer(request.as_bytes(), "digests = sha256\nsigner_digest = sha256\n");
    let of_now = authority.signed_again(&answer, "old", &["-md", "sha256"], |_| ());
    assert_refused(
        &of_now,
        &request,
        &roots(&authority),
        "no chain of certificates that were valid at that time",
    );
    let dated =
        |year| authority.signed_again(&answer, "old", &["-md", "sha256"], |info| set_year(info, year));
    // It has expired since.
    let stamped = verified(&dated(b"2020"), &request, &roots(&authority)).unwrap();
    assert_eq!((stamped.at / 31_556_952, &*stamped.authority), (50, "Test old"));
    assert_refused(&dated(b"2019"), &request, &roots(&authority), "no chain of certificates");
}

#[test]
fn a_certificate_for_anything_else_is_refused() {
    let (request, authority) = (request(), Authority::new(P256));
    let answer = authority.answer(request.as_bytes(), "digests = sha256\nsigner_digest = sha256\n");
    let usages = [
        ("web", "extendedKeyUsage = critical, serverAuth"),
        ("also", "extendedKeyUsage = critical, timeStamping, serverAuth"),
        ("uncritical", "extendedKeyUsage = timeStamping"),
        ("none", "basicConstraints = critical, CA:false"),
    ];
    for (name, extension) in usages {
        authority.issue((name, "intermediate"), P256, extension, LONG);
        let signed = authority.signed_again(&answer, name, &["-md", "sha256"], |_| ());
        assert_refused(&signed, &request, &roots(&authority), "is not for time stamping and nothing else");
    }
}

#[test]
fn a_signature_that_does_not_name_its_certificate_is_refused() {
    let (request, authority) = (request(), Authority::new(P256));
    let answer = authority.answer(request.as_bytes(), "digests = sha256\nsigner_digest = sha256\n");
    // The signer may be named by the id of its key.
    let signed = authority.signed_again(&answer, "signer", &["-md", "sha256", "-keyid"], |_| ());
    verified(&signed, &request, &roots(&authority)).unwrap();
    let v2 = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f];
    let at = signed.windows(v2.len()).position(|bytes| bytes == v2).unwrap();
    let mut unnamed = signed;
    unnamed[at + v2.len() - 1] = 0x30;
    assert_refused(&unnamed, &request, &roots(&authority), "names another certificate");
}

#[test]
fn no_changed_byte_makes_another_time_or_another_checkpoint_acceptable() {
    let request = request();
    for key in [RSA, P256] {
        let authority = Authority::new(key);
        let roots = roots(&authority);
        let answer = authority.answer(request.as_bytes(), "digests = sha256\nsigner_digest = sha256\n");
        let stamped = verified(&answer, &request, &roots).unwrap();
        let mut accepted = 0;
        for at in 0..answer.len() {
            for change in [0x01, 0x20, 0x80, 0xff] {
                let mut changed = answer.clone();
                changed[at] ^= change;
                if let Ok(found) = verified(&changed, &request, &roots) {
                    assert_eq!(found, stamped, "byte {at} changed by {change:#x}");
                    accepted += 1;
                }
                let other = Stamp::parse(&changed).and_then(|stamp| stamp.verify(b"other", &roots));
                assert!(other.is_err(), "byte {at} changed by {change:#x}");
            }
            assert!(verified(&answer[..at], &request, &roots).is_err(), "the first {at} bytes");
        }
        // What nothing depends on: versions, certificates that are not needed.
        assert!(accepted < answer.len() / 10 * 4, "{accepted} of {} bytes", answer.len());
    }
}

#[test]
fn a_refusal_has_the_reason_of_the_authority() {
    let (request, authority) = (request(), Authority::new(P256));
    let answer = authority.answer(request.as_bytes(), "digests = sha512\nsigner_digest = sha256\n");
    let refused = Stamp::parse(&answer).unwrap_err();
    assert!(refused.is_refusal());
    let text = "the time-stamping authority refused the request: status 2, Message digest algorithm is not supported., \
                unknown hash function";
    assert_eq!(refused.to_string(), text);
    assert!(!Stamp::parse(b"nonsense").unwrap_err().is_refusal());
}

#[test]
fn a_token_counts_only_with_a_status_that_grants_it() {
    let (request, authority) = (request(), Authority::new(P256));
    let answer = authority.answer(request.as_bytes(), "digests = sha256\nsigner_digest = sha256\n");
    let status = answer.windows(5).position(|bytes| bytes == [0x30, 3, 2, 1, 0]).unwrap() + 4;
    for (code, is_granted) in [(0, true), (1, true), (2, false), (3, false), (5, false), (0xff, false)] {
        let mut answer = answer.clone();
        answer[status] = code;
        assert_eq!(verified(&answer, &request, &roots(&authority)).is_ok(), is_granted, "status {code}");
    }
}
