//! Tests of queries and nested URLs, with chosen and with random cases.

use auditx_format::redact::Redaction;

use super::*;

fn rules() -> Rules {
    Redaction::default().compile().unwrap()
}

fn query(text: &str) -> String {
    let mut out = String::new();
    push_query(&mut out, text, &rules(), 0);
    out
}

#[test]
fn secrets_are_masked_in_any_spelling_of_their_name() {
    for (given, expected) in [
        ("a=1&token=abc&b", "a=1&token=[REDACTED]&b"),
        ("%74oken=abc&api%5Fkey=k", "%74oken=[REDACTED]&api%5Fkey=[REDACTED]"),
        ("tokens_used=5&%zz=1", "tokens_used=5&%zz=1"),
        ("code=a&product_code=P-1&CODE=b", "code=[REDACTED]&product_code=P-1&CODE=[REDACTED]"),
        ("login[code]=a&login.key=b", "login[code]=[REDACTED]&login.key=[REDACTED]"),
        ("samlresponse=a&Saml-Response=b", "samlresponse=[REDACTED]&Saml-Response=[REDACTED]"),
        ("state=s&nonce=n&RelayState=r", "state=s&nonce=n&RelayState=r"),
        ("", ""),
    ] {
        assert_eq!(query(given), expected);
    }
}

#[test]
fn both_separators_of_pairs_are_parsed() {
    for (given, expected) in [
        ("a=1;token=S;b=2", "a=1;token=[REDACTED];b=2"),
        ("token=S;T&b=2", "token=[REDACTED]&b=2"),
        ("x;code=S", "x;code=[REDACTED]"),
        ("a=1%3Btoken%3DS", "a=1%3Btoken%3D[REDACTED]"),
    ] {
        assert_eq!(query(given), expected);
    }
}

#[test]
fn nested_urls_are_masked_and_stay_readable() {
    for (given, expected) in [
        ("to=https%3A%2F%2Fx%2F%3Ftoken%3DS", "to=https%3A%2F%2Fx%2F%3Ftoken%3D[REDACTED]"),
        ("to=https://x/?token=S&b=1", "to=https://x/?token=[REDACTED]&b=1"),
        ("to=%2Freset-password%2FS", "to=%2Freset-password%2F[REDACTED]"),
        ("to=%252Fx%253Ftoken%253DS", "to=%252Fx%253Ftoken%253D[REDACTED]"),
        ("share=50%25&rate=7%", "share=50%25&rate=7%"),
        ("to=https://u:p@x/y", "to=https://[REDACTED]@x/y"),
        ("to=/x%23access_token=S", "to=%2Fx%23access_token%3D[REDACTED]"),
        ("to=%2Fx%3Fa%3D1", "to=%2Fx%3Fa%3D1"),
        ("https%3A%2F%2Fx%2F%3Ftoken%3DS", "https%3A%2F%2Fx%2F%3Ftoken%3D[REDACTED]"),
        ("on=2026/01/31&pad=YWJj==", "on=2026/01/31&pad=YWJj=="),
    ] {
        assert_eq!(query(given), expected);
    }
    let twice = "to=https%3A%2F%2Fx%2F%3Fnext%3Dhttps%253A%252F%252Fy%252F%253Fcode%253DS";
    assert_eq!(query(twice), twice.replace("%253DS", "%253D[REDACTED]"));
}

#[test]
fn deeply_nested_values_are_masked_whole() {
    let mut value = "token=S".to_owned();
    for _ in 0..50 {
        value = format!("u={}", utf8_percent_encode(&value, NON_ALPHANUMERIC));
    }
    let masked = query(&value);
    assert!(masked.contains("[REDACTED]") && masked.len() < value.len());
    query(&"a=".repeat(100_000));
    query(&"%2525/".repeat(10_000));
}

#[test]
fn names_are_pushed_without_values() {
    let mut out = String::new();
    push_names(&mut out, "a=1&token=S;b=2&c");
    assert_eq!(out, "a&token&b&c");
}

#[test]
fn custom_rules_apply_to_urls() {
    let rules =
        Redaction::default().allow("key").deny("iban").hash("customer").hash_key(*b"0123456789abcdef");
    let rules = rules.compile().unwrap();
    let masked = masked_url("/x?key=k&iban=MM1&customer=C-7&code=c", &rules);
    assert!(masked.starts_with("/x?key=k&iban=[REDACTED]&customer=hmac-sha256:"), "{masked}");
    assert!(masked.ends_with("&code=[REDACTED]") && !masked.contains("C-7"), "{masked}");
    let none = Redaction::none().compile().unwrap();
    assert_eq!(masked_url("/reset-password/S?token=S&code=S", &none), "/reset-password/S?token=S&code=S");
}

/// xorshift64*, which produces the same cases in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % limit
    }

    fn url(&mut self) -> String {
        const PARTS: [&str; 40] = [
            "/",
            "?",
            "&",
            ";",
            "=",
            "#",
            "%",
            "%2F",
            "%3D",
            "%3F",
            "%26",
            "%25",
            "%3B",
            "%00",
            "%ff",
            "+",
            "@",
            ":",
            "//",
            "https://",
            "token",
            "code",
            "password",
            "reset",
            "a",
            "b7",
            "S3cr3tS3cr3tS3cr3t",
            "12",
            "new",
            "[",
            "]",
            ".",
            "..",
            "é",
            "\u{202e}",
            "\\",
            "[REDACTED]",
            "page",
            "%5B",
            "Signature",
        ];
        (0..self.below(24)).map(|_| PARTS[self.below(PARTS.len())]).collect()
    }
}

#[test]
fn masking_is_idempotent() {
    let (rules, mut random) = (rules(), Random(0x5eed_a0d1_7000_0002));
    for _ in 0..200_000 {
        let url = random.url();
        let once = masked_url(&url, &rules);
        assert_eq!(masked_url(&once, &rules), once, "{url:?}");
    }
}

#[test]
fn a_path_without_keywords_is_unchanged() {
    let (rules, mut random) = (rules(), Random(0x5eed_a0d1_7000_0003));
    for _ in 0..50_000 {
        let path = random.url();
        let is_plain =
            !["?", "=", "%3D", "#", "@", "token", "password", "reset"].iter().any(|part| path.contains(part));
        if is_plain {
            assert_eq!(masked_url(&path, &rules), path);
        }
    }
}

#[test]
fn the_value_of_a_secret_name_is_always_masked() {
    const SECRET: &str = "zq9secretzq9";
    let (rules, mut random) = (rules(), Random(0x5eed_a0d1_7000_0004));
    for _ in 0..100_000 {
        let (before, after) = (random.url(), random.url());
        // A parser of either separator finds this pair, whatever is around it.
        let query = format!("{before}&token={SECRET}&{after}");
        let mut out = String::new();
        push_query(&mut out, &query, &rules, 0);
        assert!(!out.contains(SECRET), "{query:?} became {out:?}");
    }
}
