//! What people bring along from elsewhere than the trail: verifier keys, notes, proofs.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use auditx_core::{SignedCheckpoint, VerifierKey};

use crate::failure::Failure;
use crate::terminal::harmless;

/// More than any proof has: a line of 64 KiB in base64, its path, two notes.
const MOST_BYTES: u64 = 1024 * 1024;

/// Stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Verifier keys, each spelled out, or as the file that holds it, with or without an `@` before its name.
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

/// One key a line; empty lines and those that begin with `#` are passed over.
fn keys_in(path: &Path) -> Result<Vec<VerifierKey>, Failure> {
    let place = harmless(&path.to_string_lossy());
    let bytes = read(path)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<VerifierKey> = lines
        .map(str::parse)
        .collect::<Result<_, auditx_core::Error>>()
        .map_err(|error| Failure::said(format!("{place}: {}", harmless(&error.to_string()))))?;
    if keys.is_empty() {
        return Err(Failure::said(format!("{place} holds no verifier key; `auditx key show` prints one")));
    }
    Ok(keys)
}

/// A signed checkpoint in a file.
pub(crate) fn note(path: &Path) -> Result<SignedCheckpoint, Failure> {
    SignedCheckpoint::parse(&read(path)?).map_err(|error| {
        let place = harmless(&path.to_string_lossy());
        Failure::said(format!("{place}: {}", harmless(&error.to_string())))
    })
}

/// A file of moderate length, or what comes on standard input.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    let is_input = path.as_os_str() == STANDARD_INPUT;
    let place = if is_input { "standard input".to_owned() } else { harmless(&path.to_string_lossy()) };
    let mut bytes = Vec::new();
    let outcome: io::Result<usize> = if is_input {
        io::stdin().lock().take(MOST_BYTES + 1).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
    };
    match outcome {
        Err(error) => Err(Failure::said(format!("cannot read {place}: {error}"))),
        Ok(len) if len as u64 > MOST_BYTES => {
            Err(Failure::said(format!("{place} is longer than anything auditx writes into such a file")))
        }
        Ok(_) => Ok(bytes),
    }
}
