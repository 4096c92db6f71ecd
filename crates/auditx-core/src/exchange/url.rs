//! Masks secrets in URLs: in paths, queries and forms, and in values that are URLs themselves.
//!
//! Each function appends the text that may be stored to `out`. Text without a secret is appended unchanged,
//! and masking is idempotent. Work and recursion are bounded: a value nested deeper than [`MAX_DEPTH`] is
//! masked whole.

mod path;
mod plain;
mod route;

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use auditx_format::redact::{Decision, REDACTED, Rules};
pub(super) use path::push_path;
pub(super) use plain::PlainRoutes;

/// A sign-in page that redirects to another one, which has a redirect in turn, takes three levels.
const MAX_DEPTH: usize = 6;

/// The characters that [`push_changed`] encodes; the brackets of [`REDACTED`] stay readable.
const ENCODED: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'[').remove(b']');

/// Returns a URL, absolute or relative, or a part of one, with its secrets masked.
pub(super) fn masked_url(url: &str, rules: &Rules) -> String {
    let mut out = String::with_capacity(url.len());
    push_url(&mut out, url, rules, 0);
    out
}

pub(super) fn push_url(out: &mut String, url: &str, rules: &Rules, depth: usize) {
    if depth > MAX_DEPTH {
        out.push_str(REDACTED);
        return;
    }
    let (url, fragment) = split(url, '#');
    let (before, query) = split(url, '?');
    let path = push_authority(out, before);
    push_path(out, path, None, rules, depth);
    if let Some(query) = query {
        out.push('?');
        push_query(out, query, rules, depth);
    }
    if let Some(fragment) = fragment {
        // `#access_token=S` (the implicit flow of OAuth) or `#/reset-password/S` (pages with client-side
        // routing).
        out.push('#');
        push_url(out, fragment, rules, depth + 1);
    }
}

/// Appends scheme, user and host, with user and password masked. Returns the rest of the URL.
fn push_authority<'u>(out: &mut String, url: &'u str) -> &'u str {
    let Some(slashes) = url.find("//").filter(|&at| at == 0 || url[..at].ends_with(':')) else { return url };
    let (scheme, rest) = url.split_at(slashes + 2);
    let (authority, path) = rest.split_at(rest.find(['/', '\\']).unwrap_or(rest.len()));
    out.push_str(scheme);
    match authority.rsplit_once('@') {
        Some((_, host)) => {
            out.push_str(REDACTED);
            out.push('@');
            out.push_str(host);
        }
        None => out.push_str(authority),
    }
    path
}

/// Appends the pairs of a query.
///
/// Pairs are separated by `&` in the current standard, and by `;` too in some frameworks, as HTML 4
/// recommended. A secret is masked with either interpretation: in `token=a;b` all of `a;b`, in `a=1;token=b`
/// the `b`.
pub(super) fn push_query(out: &mut String, query: &str, rules: &Rules, depth: usize) {
    for (index, pair) in query.split('&').enumerate() {
        if index > 0 {
            out.push('&');
        }
        match pair.split_once('=') {
            Some((name, value)) if decide(name, rules) != Decision::Keep => {
                push_pair(out, name, value, rules, depth);
            }
            _ => push_pairs_by_semicolon(out, pair, rules, depth),
        }
    }
}

fn push_pairs_by_semicolon(out: &mut String, pairs: &str, rules: &Rules, depth: usize) {
    for (index, pair) in pairs.split(';').enumerate() {
        if index > 0 {
            out.push(';');
        }
        match pair.split_once('=') {
            Some((name, value)) => push_pair(out, name, value, rules, depth),
            None => push_value(out, pair, rules, depth),
        }
    }
}

fn push_pair(out: &mut String, name: &str, value: &str, rules: &Rules, depth: usize) {
    out.push_str(name);
    out.push('=');
    match decide(name, rules) {
        Decision::Keep => push_value(out, value, rules, depth),
        Decision::Mask => out.push_str(REDACTED),
        Decision::Hash => out.push_str(&rules.hashed(decoded(value).as_bytes())),
    }
}

/// Appends the names of the parameters of a query, without their values.
pub(super) fn push_names(out: &mut String, query: &str) {
    for (index, pair) in query.split(['&', ';']).enumerate() {
        if index > 0 {
            out.push('&');
        }
        out.push_str(split(pair, '=').0);
    }
}

/// Appends a value, which may be a URL or a query itself.
fn push_value(out: &mut String, value: &str, rules: &Rules, depth: usize) {
    let plain = decoded(value);
    if may_hold_secrets(&plain) {
        push_changed(out, value, &plain, |out| push_url(out, &plain, rules, depth + 1));
    } else {
        out.push_str(value);
    }
}

/// Returns a decoded value, which may be a URL or a query itself, with its secrets masked.
pub(super) fn masked_value<'v>(value: &'v str, rules: &Rules) -> Cow<'v, str> {
    if may_hold_secrets(value) { Cow::Owned(masked_url(value, rules)) } else { Cow::Borrowed(value) }
}

fn may_hold_secrets(value: &str) -> bool {
    // `%`, since some proxies encode twice.
    value.contains(['=', '/', '%'])
}

/// Appends the output of `mask` for the decoded text, encoded like the raw text. Appends the raw text if
/// nothing was masked.
pub(super) fn push_changed(out: &mut String, raw: &str, decoded: &str, mask: impl FnOnce(&mut String)) {
    let mut masked = String::with_capacity(decoded.len());
    mask(&mut masked);
    if masked == decoded {
        out.push_str(raw);
    } else if raw == decoded {
        out.push_str(&masked);
    } else {
        out.extend(utf8_percent_encode(&masked, ENCODED));
    }
}

/// Returns the decoded pairs of a form.
pub(super) fn form_pairs(form: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    form.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = split(pair, '=');
        (decoded(name), decoded(value.unwrap_or("")))
    })
}

fn decide(name: &str, rules: &Rules) -> Decision {
    rules.decide_field(&decoded(name))
}

/// Decodes text like a form parser, so that `%74oken` is recognized as `token`.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

#[cfg(test)]
mod tests;
