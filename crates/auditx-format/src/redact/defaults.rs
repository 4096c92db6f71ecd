//! The keys and names that are masked by default. Each is listed in the documentation of
//! [`Redaction`](super::Redaction).

use super::words::NameSet;

/// Key rules that apply everywhere, as words. A spelling without a separator (`apikey`) needs its own
/// rule.
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

/// Names that are masked in HTTP only: route parameters, parameters of queries and forms, members of JSON
/// bodies.
///
/// The whole name is compared, ignoring case and all characters except letters and digits: `SAMLResponse`
/// equals `saml_response`, and `signature_date` does not equal `Signature`. Names that contain a word of
/// [`SECRET_KEYS`] are listed only if they are often written as one word (`idtoken`).
pub(super) static SECRET_PARAMETERS: NameSet = NameSet::new(&[
    // Signed URLs: the list of OpenTelemetry's semantic conventions for HTTP, and the equivalents of other
    // stores.
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
    // OAuth 2 and OpenID Connect. `state` and `nonce` are not secret.
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
    // SAML. `RelayState` is not secret; a URL in it is masked like any other.
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
]);

/// Names that are masked in queries, forms and bodies, but not as route parameters, where they are mostly not
/// secret: `/products/{code}`.
pub(super) static SECRET_FIELDS: NameSet = NameSet::new(&["code", "key"]);
