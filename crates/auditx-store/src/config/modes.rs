//! The permissions and the group of the files and directories that the library creates.

use std::str::FromStr;

use auditx_format::{Error, Result};
use serde::Deserialize;

use crate::dir::Modes;

/// The permissions that the owner of a file or directory needs in any case.
const MIN_FILE: u32 = 0o600;
const MIN_DIRECTORY: u32 = 0o700;

/// Permissions, parsed from octal digits such as `0640`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Octal(pub(crate) u32);

impl FromStr for Octal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_octal =
            (3..=5).contains(&text.len()) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o7777);
        mode.map(Self).ok_or_else(|| {
            Error::invalid(format!("invalid permissions {text:?}: expected octal digits such as 0640"))
        })
    }
}

impl TryFrom<String> for Octal {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// Returns the modes and the group that files and directories are created with.
///
/// # Errors
/// `is_invalid` if the owner lacks permissions, or there is no such group.
pub(super) fn modes(file: Option<Octal>, directory: Option<Octal>, group: &str) -> Result<Modes> {
    for (setting, mode, min) in [("file_mode", file, MIN_FILE), ("dir_mode", directory, MIN_DIRECTORY)] {
        if let Some(Octal(mode)) = mode
            && (mode & min != min || mode > 0o7777)
        {
            return Err(Error::invalid(format!(
                "invalid {setting} {mode:04o}: the owner of the trail needs at least {min:04o}"
            )));
        }
    }
    let group = if group.is_empty() { None } else { Some(gid_of(group)?) };
    Ok(Modes { file: file.map(|mode| mode.0), directory: directory.map(|mode| mode.0), group })
}

/// Returns the id of a group, given as a number or as a name in /etc/group.
fn gid_of(group: &str) -> Result<u32> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    let known = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let gid = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_match = fields.next() == Some(group);
        fields.nth(1).filter(|_| is_match)?.parse().ok()
    });
    gid.ok_or_else(|| {
        Error::invalid(format!(
            "group {group:?} is not in /etc/group; if it is defined elsewhere, give its number"
        ))
    })
}
