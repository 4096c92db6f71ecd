//! The time-stamping authorities that the user trusts, by their root certificates.

use std::path::Path;

use auditx_reader::VerifyOptions;
#[cfg(feature = "ship")]
pub(crate) use auditx_timestamp::Roots;

#[cfg(feature = "ship")]
use crate::evidence;
use crate::failure::Failure;
#[cfg(feature = "ship")]
use crate::terminal::sanitized;

/// Why there are no time stamps.
#[cfg(not(feature = "ship"))]
pub(crate) const ABSENT: &str = "this auditx was built without time stamps: install it with \
                                 `cargo install auditx-cli --features ship`";

/// Cannot be constructed.
#[cfg(not(feature = "ship"))]
#[derive(Debug, Clone, Copy)]
pub(crate) enum Roots {}

/// Reads root certificates in PEM.
#[cfg(feature = "ship")]
pub(crate) fn roots(path: &Path) -> Result<Roots, Failure> {
    Roots::parse(&evidence::read(path)?).map_err(|error| {
        let display_path = sanitized(&path.to_string_lossy());
        Failure::new(format!("{display_path}: {}", sanitized(&error.to_string())))
    })
}

#[cfg(not(feature = "ship"))]
pub(crate) fn roots(_: &Path) -> Result<Roots, Failure> {
    Err(Failure::new(ABSENT))
}

/// Requires the time stamps that the trail in this directory has.
#[cfg(feature = "ship")]
pub(crate) fn required(
    options: &VerifyOptions,
    directory: &Path,
    roots: &Roots,
) -> Result<VerifyOptions, Failure> {
    let (stamped, unusable) =
        auditx_timestamp::verified(directory, roots).map_err(|error| Failure::new(error.to_string()))?;
    Ok(options.clone().time_stamps(stamped, unusable))
}

#[cfg(not(feature = "ship"))]
pub(crate) fn required(_: &VerifyOptions, _: &Path, roots: &Roots) -> Result<VerifyOptions, Failure> {
    match *roots {}
}
