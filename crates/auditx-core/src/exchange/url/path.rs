//! Masks secrets in paths: route parameters whose name denotes a secret, and segments after one that contains
//! a keyword, such as `/reset-password/S`.
//!
//! If the route is known, its literal segments are never masked. If it is not (404s, layers outside of the
//! router), only the keywords are available. docs/HTTP.md documents this rule and its limits.

use auditx_format::redact::{Decision, PhraseSet, REDACTED, Rules, Words};
use percent_encoding::percent_decode_str;

use super::route::{Kind, Route};
use super::{push_changed, push_query, push_url};

/// Strong keywords: a following segment is a secret unless it consists of numbers and [`PLAIN`] words.
const STRONG: PhraseSet = PhraseSet::new(&[
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "jwt",
    "otp",
    "totp",
    "api key",
    "apikey",
    "access key",
    "private key",
    "magic link",
    "magiclink",
    "verify email",
    "email verification",
    "confirm email",
    "email confirmation",
]);

/// Weak keywords: a following segment is a secret if it also looks like one, unlike in
/// `/invoices/confirm/SI-2024-0001`.
const WEAK: PhraseSet = PhraseSet::new(&[
    "reset",
    "recover",
    "recovery",
    "unlock",
    "verify",
    "verification",
    "confirm",
    "confirmation",
    "activate",
    "activation",
    "invite",
    "invites",
    "invitation",
    "invitations",
    "unsubscribe",
    "magic",
    "one time",
    "onetime",
    "share",
    "tokens",
    "passwords",
    "secrets",
]);

/// Words that are common in paths beside keywords. A segment of such words is not a secret.
const PLAIN: PhraseSet = PhraseSet::new(&[
    "account",
    "accept",
    "admin",
    "api",
    "by",
    "cancel",
    "change",
    "check",
    "complete",
    "create",
    "customer",
    "customers",
    "decline",
    "delete",
    "done",
    "edit",
    "email",
    "error",
    "expired",
    "failed",
    "for",
    "forgot",
    "forgotten",
    "form",
    "generate",
    "help",
    "history",
    "info",
    "introspect",
    "link",
    "list",
    "logout",
    "me",
    "my",
    "new",
    "of",
    "page",
    "phone",
    "policies",
    "policy",
    "refresh",
    "register",
    "renew",
    "request",
    "requests",
    "resend",
    "revoke",
    "rotate",
    "rules",
    "send",
    "sent",
    "set",
    "settings",
    "setup",
    "show",
    "sms",
    "start",
    "status",
    "success",
    "to",
    "update",
    "user",
    "users",
    "v1",
    "v2",
    "v3",
    "validate",
    "view",
    "with",
]);

/// The length from which a segment after a weak keyword is considered a secret.
const SECRET_LEN: usize = 16;

/// The length from which a word that mixes lower-case letters and digits is considered a secret. Document
/// numbers do not mix them.
const MIXED_LEN: usize = 6;

/// The number of segments that a weak keyword applies to: `/reset/<user>/<token>`.
const WEAK_REACH: usize = 2;

/// The keywords in the segments so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Keywords {
    is_strong: bool,
    /// The number of following segments that a weak keyword still applies to.
    weak_reach: usize,
}

/// Appends a path with its secrets masked.
pub(in crate::exchange) fn push_path(
    out: &mut String,
    path: &str,
    route: Option<&str>,
    rules: &Rules,
    depth: usize,
) {
    // Common case: the route has no parameters.
    if route == Some(path) {
        return out.push_str(path);
    }
    let mut route = Route::new(route, path, rules);
    let mut keywords = Keywords::default();
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        if segment.is_empty() {
            continue;
        }
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        let kind = route.next_kind(segment);
        let decision = match kind {
            Kind::SecretRest => return out.push_str(REDACTED),
            Kind::Secret(decision) => Some(decision),
            Kind::Open if keywords.apply_to(&decoded) => Some(Decision::Mask),
            Kind::Open | Kind::Literal => None,
        };
        match decision {
            Some(Decision::Hash) => out.push_str(&rules.hashed(decoded.as_bytes())),
            Some(_) => out.push_str(REDACTED),
            None => push_segment(out, segment, &decoded, rules, depth),
        }
        // A secret may contain a keyword by chance; it is not searched.
        keywords.read(if decision.is_some() { REDACTED } else { &decoded }, rules);
    }
}

/// Appends a segment that is not a secret itself, but may contain one: `;jsessionid=S`, or a URL with encoded
/// slashes.
fn push_segment(out: &mut String, segment: &str, decoded: &str, rules: &Rules, depth: usize) {
    if decoded.contains(['/', '?', '#']) {
        push_changed(out, segment, decoded, |out| push_url(out, decoded, rules, depth + 1));
    } else if decoded.contains('=') {
        push_changed(out, segment, decoded, |out| push_query(out, decoded, rules, depth + 1));
    } else {
        out.push_str(segment);
    }
}

impl Keywords {
    /// Reads the keywords of a segment, which apply to later segments.
    pub(super) fn read(&mut self, segment: &str, rules: &Rules) {
        self.weak_reach = self.weak_reach.saturating_sub(1);
        if STRONG.is_in(segment) {
            self.is_strong |= rules.defaults_apply_to(segment);
        } else if WEAK.is_in(segment) && rules.defaults_apply_to(segment) {
            self.weak_reach = WEAK_REACH;
        }
    }

    /// Returns `true` if the next segment may be a secret.
    pub(super) fn are_active(self) -> bool {
        self.is_strong || self.weak_reach > 0
    }

    /// Returns `true` if the next segment is a secret by the keywords before it.
    fn apply_to(self, segment: &str) -> bool {
        if !self.are_active() {
            return false;
        }
        // Padded Base64, or something else that is not a single name.
        if segment.contains(['=', '/', '?', '#']) {
            return true;
        }
        let looks_secret = || segment.len() >= SECRET_LEN || Words::of(segment).any(is_mixed);
        (self.is_strong || looks_secret()) && !is_plain(segment)
    }
}

/// Returns `true` if a segment consists of numbers and known words.
fn is_plain(segment: &str) -> bool {
    Words::of(segment).all(|word| {
        word.bytes().all(|byte| byte.is_ascii_digit())
            || [&PLAIN, &STRONG, &WEAK].into_iter().any(|words| words.has_word(word))
    })
}

fn is_mixed(word: &str) -> bool {
    word.len() >= MIXED_LEN
        && word.bytes().any(|byte| byte.is_ascii_digit())
        && word.bytes().any(|byte| byte.is_ascii_lowercase())
}

#[cfg(test)]
mod tests;
