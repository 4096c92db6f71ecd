//! Tests of redaction: which keys are masked, kept and hashed, and which rules are rejected.

use super::*;

fn decide(rules: &Rules, key: &str) -> Decision {
    rules.decide(Path::root("metadata").join(key))
}

#[test]
fn secrets_are_masked_in_any_spelling() {
    let rules = Redaction::default().compile().unwrap();
    for key in [
        "password",
        "PASSWORD",
        "newPassword",
        "old_password",
        "x-api-key",
        "apiKey",
        "APIKEY",
        "accessToken",
        "Set-Cookie",
        "cardNumber",
        "card_number",
        "pin",
        "pinCode",
        "client.secret",
        "PIN",
    ] {
        assert_eq!(decide(&rules, key), Decision::Mask, "{key}");
    }
    for key in ["shipping", "secretary", "tokens_used", "spinning", "number", "company", "description", ""] {
        assert_eq!(decide(&rules, key), Decision::Keep, "{key}");
    }
}

#[test]
fn paths_precede_keys_and_allow_precedes_deny() {
    let rules = Redaction::default()
        .allow("token count")
        .deny("metadata.customer.iban")
        .allow("metadata.pin")
        .compile()
        .unwrap();
    assert_eq!(decide(&rules, "token_count"), Decision::Keep);
    assert_eq!(decide(&rules, "pin"), Decision::Keep);
    assert_eq!(rules.decide(Path::root("old_values").join("pin")), Decision::Mask);
    let customer = Path::root("metadata");
    let customer = customer.join("customer");
    assert_eq!(rules.decide(customer.join("iban")), Decision::Mask);
    assert_eq!(decide(&rules, "iban"), Decision::Keep);
}

#[test]
fn hashed_values_stay_comparable() {
    let rules = Redaction::default().hash("national id").hash_key(*b"sixteen bytes ok").compile().unwrap();
    assert_eq!(decide(&rules, "nationalId"), Decision::Hash);
    assert_eq!(rules.hashed(b"12/XYZ"), rules.hashed(b"12/XYZ"));
    assert_ne!(rules.hashed(b"12/XYZ"), rules.hashed(b"12/XYA"));
}

#[test]
fn invalid_rules_are_rejected() {
    for rules in [
        Redaction::default().hash("id"),
        Redaction::default().hash("id").hash_key(*b"short"),
        Redaction::default().deny("user.name"),
        Redaction::default().deny("metadata."),
        Redaction::default().deny("--"),
    ] {
        assert!(rules.compile().unwrap_err().is_invalid(), "{rules:?}");
    }
}

#[test]
fn http_names_are_masked_in_http_only() {
    let rules = Redaction::default().compile().unwrap();
    for name in
        ["code", "key", "sig", "SAMLResponse", "AWSAccessKeyId", "session_id", "login[code]", "idtoken"]
    {
        assert_eq!(rules.decide_field(name), Decision::Mask, "{name}");
    }
    for name in
        ["product_code", "sort_key", "signature_date", "state", "nonce", "RelayState", "design", "decode"]
    {
        assert_eq!(rules.decide_field(name), Decision::Keep, "{name}");
    }
    for name in ["code", "key", "sig", "session"] {
        assert_eq!(decide(&rules, name), Decision::Keep, "{name}");
    }
    assert_eq!(rules.decide_parameter("code"), Decision::Keep);
    assert_eq!(rules.decide_parameter("session"), Decision::Mask);
}

#[test]
fn custom_rules_precede_the_http_names() {
    let rules =
        Redaction::default().allow("key").allow("metadata.request_body.content.code").compile().unwrap();
    assert_eq!(rules.decide_field("key"), Decision::Keep);
    assert_eq!(rules.decide_field("code"), Decision::Mask);
    let (metadata, none) = (Path::root("metadata"), Redaction::none().compile().unwrap());
    let body = metadata.join("request_body");
    assert_eq!(rules.decide_member(body.join("content").join("code")), Decision::Keep);
    assert_eq!(rules.decide_member(body.join("content").join("pass")), Decision::Mask);
    assert_eq!(none.decide_field("token"), Decision::Keep);
}

#[test]
fn every_default_is_documented() {
    let page = include_str!("../redact.rs");
    for name in [SECRET_KEYS, SECRET_PARAMETERS.names, SECRET_FIELDS.names].concat() {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }
}
