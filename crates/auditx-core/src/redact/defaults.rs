//! The names that are masked by default.

/// Keys that are masked wherever they stand, in words. Spellings that run words together have an entry of
/// their own.
pub(super) const SECRET_KEYS: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "jwt",
    "bearer",
    "api key",
    "apikey",
    "access key",
    "private key",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "card number",
    "cardnumber",
    "pan",
    "cvv",
    "cvc",
    "pin",
    "otp",
    "ssn",
];

/// Names that are secrets in what HTTP carries: parameters of routes, queries and forms, members of JSON
/// bodies.
///
/// A name is compared as a whole, its case and everything but letters and digits aside: `SAMLResponse` is
/// `saml_response`, and `signature_date` is not `Signature`. Names with a word of [`SECRET_KEYS`] in them are
/// here only where they are often written as one word (`idtoken`).
pub(super) const SECRET_PARAMETERS: &[&str] = &[
    // Signed URLs: the list of OpenTelemetry's conventions for HTTP, and the same of other stores.
    "AWSAccessKeyId",
    "OSSAccessKeyId",
    "Signature",
    "sig",
    "hmac",
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Goog-Signature",
    "X-Goog-Credential",
    "x-oss-signature",
    "q-signature",
    // OAuth 2 and OpenID Connect. `state` and `nonce` are no secrets.
    "access_token",
    "id_token",
    "refresh_token",
    "client_secret",
    "client_assertion",
    "assertion",
    "code_verifier",
    "auth_code",
    "device_code",
    "user_code",
    // SAML. `RelayState` is no secret; a URL in it is read like any other.
    "SAMLRequest",
    "SAMLResponse",
    "SAMLart",
    // Sessions.
    "session",
    "session_id",
    "sess",
    "sid",
    "connect.sid",
    "PHPSESSID",
    "JSESSIONID",
    // Sign-in and one-time links.
    "auth",
    "auth_key",
    "auth_token",
    "subscription_key",
    "pass",
    "passcode",
    "pw",
    "totp",
    "mfa_code",
    "verification_code",
    "confirmation_code",
    "activation_code",
    "recovery_code",
    "reset_code",
    "invite_code",
    "one_time_code",
];

/// Names that are secrets in queries, forms and bodies, but mostly not as parameters of a route:
/// `/products/{code}`.
pub(super) const SECRET_FIELDS: &[&str] = &["code", "key"];
