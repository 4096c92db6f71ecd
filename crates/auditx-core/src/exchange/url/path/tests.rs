//! Tests of masking paths with and without a route.

use auditx_format::redact::Redaction;

use super::*;

fn masked(path: &str, route: Option<&str>) -> String {
    let rules = Redaction::default().compile().unwrap();
    let mut out = String::new();
    push_path(&mut out, path, route, &rules, 0);
    out
}

#[test]
fn a_secret_after_a_keyword_is_masked() {
    for (path, expected) in [
        ("/reset-password/S", "/reset-password/[REDACTED]"),
        ("/resetPassword/S/", "/resetPassword/[REDACTED]/"),
        ("/reset%2Dp%61ssword/S", "/reset%2Dp%61ssword/[REDACTED]"),
        ("/reset-password%2FS", "/reset-password%2F[REDACTED]"),
        (
            "/users/7/password/reset/MQ/bv5-8f/confirm",
            "/users/7/password/reset/[REDACTED]/[REDACTED]/confirm",
        ),
        ("/api/v1/magic-link/abc", "/api/v1/magic-link/[REDACTED]"),
        ("/token/token-abc", "/token/[REDACTED]"),
        ("/reset/MQ/c7x9-0a1b2c3d4e5f6071", "/reset/MQ/[REDACTED]"),
        ("/invite/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/invite/[REDACTED]"),
        ("/activate/x7kq9w", "/activate/[REDACTED]"),
        ("/x;jsessionid=S;v=1/y", "/x;jsessionid=[REDACTED];v=1/y"),
        ("/x%3Btoken%3DS", "/x%3Btoken%3D[REDACTED]"),
        ("/proxy/https%3A%2F%2Fx%2F%3Ftoken%3DS", "/proxy/https%3A%2F%2Fx%2F%3Ftoken%3D[REDACTED]"),
    ] {
        assert_eq!(masked(path, None), expected);
    }
}

#[test]
fn numbers_and_common_words_are_kept() {
    for path in [
        "/",
        "",
        "*",
        "/sales/invoice/SI-2024-0001",
        "/password/new",
        "/passwords/forgot/new",
        "/users/reset-password/4711",
        "/api/v2/token/refresh",
        "/invoices/confirm/SI-2024-0001",
        "/customers/invite/golden-trading",
        "/orders/activate/PO-7",
        "//double//slashes/",
        "/secretary/Daw-Mya",
        "/auth/users/3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    ] {
        assert_eq!(masked(path, None), path);
    }
}

#[test]
fn only_parameters_of_the_route_are_masked() {
    for (path, route, expected) in [
        ("/r/S", "/r/{token}", "/r/[REDACTED]"),
        ("/r/S/x", "/r/{*token}", "/r/[REDACTED]"),
        ("/c/C-7/t/S", "/c/{id}/t/{share_token}", "/c/C-7/t/[REDACTED]"),
        ("/verify-email/S", "/verify-email/{link}", "/verify-email/[REDACTED]"),
        ("/token/balance", "/token/balance", "/token/balance"),
        ("/token/balance/S", "/token/balance/{x}", "/token/balance/[REDACTED]"),
        ("/products/P-1", "/products/{code}", "/products/P-1"),
        ("/app/reset-password/S", "/{*rest}", "/app/reset-password/[REDACTED]"),
    ] {
        assert_eq!(masked(path, Some(route)), expected);
    }
}

#[test]
fn an_allow_rule_overrides_a_keyword() {
    let rules = Redaction::default().allow("password policy").compile().unwrap();
    let mut out = String::new();
    push_path(&mut out, "/password-policy/YGN", None, &rules, 0);
    assert_eq!(out, "/password-policy/YGN");
}

#[test]
fn every_keyword_is_documented() {
    let page = include_str!("../../../../../../docs/HTTP.md");
    for phrase in [STRONG.phrases(), WEAK.phrases()].concat() {
        assert!(page.contains(&format!("`{phrase}`")), "{phrase}");
    }
}
