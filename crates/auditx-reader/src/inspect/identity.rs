//! What a trail says it is: `.auditx/trail.json`, and the record at its beginning that must say the same.

use std::io::Read;
use std::path::Path;

use auditx_core::{FORMAT_VERSION, OWN_DIR};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::file;
use crate::listing::Listing;

use super::finding::{Finding, FindingKind, Findings};

/// The file holds a few short fields.
const MOST_BYTES: u64 = 64 * 1024;

/// What a trail says it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Identity {
    /// The version of the format of lines and files.
    pub format: u32,
    /// 128 random bits in hexadecimal.
    pub trail_id: String,
    /// The name of the log.
    pub origin: String,
}

pub(super) fn read(directory: &Path, listing: &Listing, findings: &mut Findings) -> Option<Identity> {
    let path = directory.join(OWN_DIR).join("trail.json");
    let mut bytes = Vec::new();
    let outcome = file::open(&path).map(|file| {
        file.map(|file| {
            file.take(MOST_BYTES).read_to_end(&mut bytes).map(|_| ()).map_err(|error| error.to_string())
        })
    });
    let why = match outcome {
        // Segments without an identity are the origin's, or somebody lost the directory; the walk tells which.
        Ok(None) => return None,
        Err(error) => {
            findings.unreadable(&error, &path);
            return None;
        }
        Ok(Some(Err(why))) => why,
        Ok(Some(Ok(()))) => match serde_json::from_slice::<Identity>(&bytes) {
            Ok(identity) => {
                check_format(&identity, &path, findings);
                return Some(identity);
            }
            Err(error) => error.to_string(),
        },
    };
    let advice = if listing.is_empty() {
        "remove it, and the next process that opens the directory makes a new trail"
    } else {
        "restore it from a backup: no process can open the trail without it"
    };
    findings.add(Finding::new(FindingKind::Identity, format!("cannot be read: {why}"), &path, advice));
    None
}

fn check_format(identity: &Identity, path: &Path, findings: &mut Findings) {
    if identity.format != FORMAT_VERSION {
        let what = format!(
            "the trail has format {}, and this auditx reads format {FORMAT_VERSION}",
            identity.format
        );
        findings.add(Finding::new(
            FindingKind::Identity,
            what,
            path,
            "use the version of auditx that made it",
        ));
    }
}

/// Whether the trail's first record names the same trail.
pub(super) fn check_genesis(
    identity: Option<&Identity>,
    genesis: &Map<String, Value>,
    segment: &Path,
    findings: &mut Findings,
) {
    let recorded = genesis.get("trail_id").and_then(Value::as_str).unwrap_or_default();
    if let Some(identity) = identity
        && identity.trail_id != recorded
    {
        let what = format!(
            "the first record names trail {recorded}, and {OWN_DIR}/trail.json names trail {}",
            identity.trail_id
        );
        let advice = "find out which of the two was put here from another trail";
        findings.add(Finding::new(FindingKind::Identity, what, segment, advice));
    }
}

/// Numbered lines without an identity: the directory of the library is gone.
pub(super) fn check_presence(
    identity: Option<&Identity>,
    has_numbered: bool,
    directory: &Path,
    findings: &mut Findings,
) {
    let path = directory.join(OWN_DIR).join("trail.json");
    if identity.is_none() && has_numbered && !path.exists() {
        let what = "is missing, though the lines were written by auditx";
        let advice = "restore it from a backup: no process can open the trail without it";
        findings.add(Finding::new(FindingKind::Identity, what, &path, advice));
    }
}
