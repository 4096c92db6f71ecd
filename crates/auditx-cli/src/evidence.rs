//! Evidence that the user supplies from outside the trail: verifier keys, checkpoints, proofs.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use auditx_core::VerifierKey;
use auditx_reader::Moment;
use auditx_tlog::{Policy, SignedCheckpoint};

use crate::failure::Failure;
use crate::terminal::sanitized;

/// Larger than any proof: a line of 64 KiB in base64, its path, two checkpoints.
const MAX_BYTES: u64 = 1024 * 1024;

/// The path that means standard input.
const STANDARD_INPUT: &str = "-";

/// Parses verifier keys. Each word is a key, or the name of a file with keys, with or without `@` before it.
pub(crate) fn keys(words: &[String]) -> Result<Vec<VerifierKey>, Failure> {
    let mut keys = Vec::new();
    for word in words {
        match (word.strip_prefix('@'), word.parse()) {
            (Some(path), _) => keys.extend(keys_in(Path::new(path))?),
            (None, Ok(key)) => keys.push(key),
            (None, Err(_)) if Path::new(word).exists() => keys.extend(keys_in(Path::new(word))?),
            (None, Err(error)) => return Err(error.into()),
        }
    }
    Ok(keys)
}

/// Reads one key per line; empty lines and lines that begin with `#` are ignored.
fn keys_in(path: &Path) -> Result<Vec<VerifierKey>, Failure> {
    let display_path = sanitized(&path.to_string_lossy());
    let bytes = read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<VerifierKey> = lines
        .map(str::parse)
        .collect::<Result<_, auditx_tlog::Error>>()
        .map_err(|error| Failure::new(format!("{display_path}: {}", sanitized(&error.to_string()))))?;
    if keys.is_empty() {
        return Err(Failure::new(format!(
            "{display_path} contains no verifier key; `auditx key show` prints one"
        )));
    }
    Ok(keys)
}

/// Reads a signed checkpoint from a file.
pub(crate) fn checkpoint(path: &Path) -> Result<SignedCheckpoint, Failure> {
    SignedCheckpoint::parse(&read(path)?).map_err(|error| {
        let display_path = sanitized(&path.to_string_lossy());
        Failure::new(format!("{display_path}: {}", sanitized(&error.to_string())))
    })
}

/// Reads a policy: which logs, which witnesses, and how many of them.
pub(crate) fn policy(path: &Path) -> Result<Policy, Failure> {
    Policy::parse(&read(path)?).map_err(|error| {
        let display_path = sanitized(&path.to_string_lossy());
        Failure::new(format!("{display_path}: {}", sanitized(&error.to_string())))
    })
}

/// Returns the present time, in seconds since 1970.
pub(crate) fn now() -> u64 {
    u64::try_from(Moment::now().micros() / 1_000_000).unwrap_or(0)
}

/// Returns the time of a cosignature, which is in seconds since 1970.
pub(crate) fn time(seconds: u64) -> Moment {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    Moment::from_micros(seconds.saturating_mul(1_000_000))
}

/// Reads a file, or standard input for `-`. Fails if it is longer than [`MAX_BYTES`].
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let is_input = path.as_os_str() == STANDARD_INPUT;
    let display_path =
        if is_input { "standard input".to_owned() } else { sanitized(&path.to_string_lossy()) };
    let mut bytes = Vec::new();
    let outcome: io::Result<usize> = if is_input {
        io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
    };
    match outcome {
        Err(error) => Err(Failure::new(format!("cannot read {display_path}: {error}"))),
        Ok(len) if len as u64 > MAX_BYTES => Err(Failure::new(format!(
            "{display_path} is longer than 1 MiB: it is not a key, checkpoint, policy or proof"
        ))),
        Ok(_) => Ok(bytes),
    }
}
