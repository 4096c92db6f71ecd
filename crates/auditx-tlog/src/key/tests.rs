//! Keys made by other programs, and text forms that must be rejected.

use super::*;

#[test]
fn a_verifier_key_has_one_text_form_and_no_small_order() {
    let public = SigningKey::generate().public_key();
    let key = VerifierKey::new("erp.example.com/auditx/1", &public).unwrap();
    let text = key.to_string();
    assert_eq!(text.parse::<VerifierKey>().unwrap(), key);
    let mut wrong_id = text.clone();
    let digit = wrong_id.find('+').unwrap() + 1;
    let other = if wrong_id.as_bytes()[digit] == b'0' { "1" } else { "0" };
    wrong_id.replace_range(digit..=digit, other);
    for wrong in [
        wrong_id,
        text.replace("erp.", "erp2."),
        format!("{text} "),
        text[..text.len() - 1].to_owned(),
        text.replacen('+', " ", 1),
        String::new(),
    ] {
        assert!(wrong.parse::<VerifierKey>().unwrap_err().is_invalid(), "{wrong}");
    }
    for small in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        assert!(VerifierKey::new("n", &small).unwrap_err().is_invalid());
    }
    for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b"] {
        assert!(VerifierKey::new(name, &public).unwrap_err().is_invalid(), "{name:?}");
    }
}

#[test]
fn the_published_example_of_the_note_format_verifies() {
    let key: VerifierKey =
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    assert_eq!((key.name(), key.id()), ("PeterNeumann", 0xc74f_20a3));
    let text = b"If you think cryptography is the answer to your problem,\n\
                 then you don't know what your problem is.\n";
    let signature = BASE64_STANDARD
        .decode(
            "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=",
        )
        .unwrap();
    let signature: [u8; 64] = signature[4..].try_into().unwrap();
    assert!(key.is_signature(text, &signature));
    // The same signature with S + L, which lenient verifiers accept.
    let order = [
        0xed_u8, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut malleable = signature;
    let mut carry = 0;
    for (byte, order) in malleable[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    assert!(!key.is_signature(text, &malleable));
}

#[test]
fn keys_made_by_openssl_are_read_and_others_refused() {
    // RFC 8410, section 10.3: this seed and its public key.
    let pem = "-----BEGIN PRIVATE KEY-----\n\
               MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
               -----END PRIVATE KEY-----\n";
    let key = SigningKey::from_pem(pem).unwrap();
    assert_eq!(BASE64_STANDARD.encode(key.public_key()), "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
    let version_2 = key.to_pem();
    assert_eq!(SigningKey::from_pem(&version_2).unwrap().public_key(), key.public_key());
    let of_another = SigningKey::generate().to_pem();
    let mixed: Vec<&str> = version_2.lines().take(2).chain(of_another.lines().skip(2)).collect();
    assert!(
        SigningKey::from_pem(&mixed.join("\n")).unwrap_err().is_invalid(),
        "a public key of another seed"
    );
    let der = pem.lines().nth(1).unwrap();
    assert_eq!(SigningKey::from_pem(der).unwrap().public_key(), key.public_key());
    for wrong in ["", "nonsense", &pem[..60], "AAAA"] {
        assert!(SigningKey::from_pem(wrong).unwrap_err().is_invalid(), "{wrong}");
    }
    assert!(!format!("{key:?}").contains("1O5y2"), "debug output contains no secret");
}
