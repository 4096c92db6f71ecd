//! Paths without their secrets: parameters of the route that are a secret's by name, and segments after one
//! that announces a secret, like `/reset-password/S`.
//!
//! Where the route is known, its literal segments are never masked. Where it is not (404s, layers outside of
//! the router), the announcing words are all there is: the rule is written down in docs/HTTP.md, with its
//! limits.

use percent_encoding::percent_decode_str;

use super::route::{Kind, Route};
use super::{push_changed, push_query, push_url};
use crate::redact::{Decision, PhraseSet, REDACTED, Rules, Words};

/// What follows is a secret, unless it is a number or made of [`PLAIN`] words.
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

/// What follows is a secret if it also looks like one: `/invoices/confirm/SI-2024-0001` does not.
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

/// Words that stand in paths beside those that announce a secret: a segment made of them is none.
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

/// From this length on a text after a weak word is taken for a secret.
const SECRET_LEN: usize = 16;

/// Words of this length that mix small letters and digits are taken for secrets: numbers of documents do not.
const MIXED_LEN: usize = 6;

/// How many segments a weak word speaks of: `/reset/<user>/<token>`.
const WEAK_REACH: usize = 2;

/// What the segments so far say of those that follow.
#[derive(Debug, Clone, Copy, Default)]
struct Announced {
    strongly: bool,
    /// Weakly for so many segments more.
    weakly: usize,
}

/// Appends a path without its secrets.
pub(in crate::exchange) fn push_path(
    out: &mut String,
    path: &str,
    route: Option<&str>,
    rules: &Rules,
    depth: usize,
) {
    // Most requests: nothing in the path is a parameter.
    if route == Some(path) {
        return out.push_str(path);
    }
    let mut route = Route::new(route, path, rules);
    let mut announced = Announced::default();
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        if segment.is_empty() {
            continue;
        }
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        let kind = route.next_kind(segment);
        let hides = match kind {
            Kind::SecretRest => return out.push_str(REDACTED),
            Kind::Secret(decision) => Some(decision),
            Kind::Open if announced.masks(&decoded) => Some(Decision::Mask),
            Kind::Open | Kind::Literal => None,
        };
        match hides {
            Some(Decision::Hash) => out.push_str(&rules.hashed(decoded.as_bytes())),
            Some(_) => out.push_str(REDACTED),
            None => push_segment(out, segment, &decoded, rules, depth),
        }
        // A secret may contain an announcing word by chance.
        announced.read(if hides.is_some() { REDACTED } else { &decoded }, rules);
    }
}

/// A segment that is kept, apart from what it holds itself: `;jsessionid=S`, or a URL with its slashes
/// encoded.
fn push_segment(out: &mut String, segment: &str, decoded: &str, rules: &Rules, depth: usize) {
    if decoded.contains(['/', '?', '#']) {
        push_changed(out, segment, decoded, |out| push_url(out, decoded, rules, depth + 1));
    } else if decoded.contains('=') {
        push_changed(out, segment, decoded, |out| push_query(out, decoded, rules, depth + 1));
    } else {
        out.push_str(segment);
    }
}

impl Announced {
    /// Takes note of what a segment says of those after it.
    fn read(&mut self, segment: &str, rules: &Rules) {
        self.weakly = self.weakly.saturating_sub(1);
        if STRONG.is_in(segment) {
            self.strongly |= rules.defaults_hold_for(segment);
        } else if WEAK.is_in(segment) && rules.defaults_hold_for(segment) {
            self.weakly = WEAK_REACH;
        }
    }

    /// Whether a segment is the secret that was announced.
    fn masks(self, segment: &str) -> bool {
        if !self.strongly && self.weakly == 0 {
            return false;
        }
        // Padded Base64, or anything else that is no single name.
        if segment.contains(['=', '/', '?', '#']) {
            return true;
        }
        let looks_secret = || segment.len() >= SECRET_LEN || Words::of(segment).any(is_mixed);
        (self.strongly || looks_secret()) && !is_plain(segment)
    }
}

/// Whether a segment consists of numbers and known words.
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
