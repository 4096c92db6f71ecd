//! Check of time stamps.

use auditx_timestamp::{Roots, Stamp};

/// A root certificate whose private key was never stored.
const STRANGER: &str = "\
-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUFcPgUrhfPK1p3kOzhMC5/te2SvkwCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIU3RyYW5nZXIwIBcNMjYxMTMwMTgyODE5WhgPMjEyNjExMDYx
ODI4MTlaMBMxETAPBgNVBAMMCFN0cmFuZ2VyMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEF2ej/CRppMBPg9DXcgdI+tjY3CGaG4rxhIRz/h6c/xEDjal9Crqmsota
zzjsePgM7aLrA/XUqQJc6yVh0v5yC6NTMFEwHQYDVR0OBBYEFMkTCV6SodKL1nwd
phMOsoj59hHUMB8GA1UdIwQYMBaAFMkTCV6SodKL1nwdphMOsoj59hHUMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgW+QIVIwfJ6jaSYT7PJHs74Vy
ebBoeignsue5Ty/pjyACIQDcV2AwSsJVvnO2B86xzoZQgKEgpZ3K7gJZ9GCkmmBS
Fg==
-----END CERTIFICATE-----
";

/// Checks that a parsed time stamp has the same bytes, and that no stamp is valid for other bytes or under
/// the root of another authority.
///
/// # Panics
/// If one of this is violated.
pub fn stamp(bytes: &[u8]) {
    let Ok(stamp) = Stamp::parse(bytes) else { return };
    assert_eq!(stamp.as_bytes(), bytes);
    assert!(stamp.check(b"another checkpoint\n").is_err(), "{stamp:?}");
    let roots = Roots::parse(STRANGER.as_bytes()).expect("a root certificate");
    assert!(stamp.verify(b"a checkpoint\n", &roots).is_err(), "{stamp:?}");
}
