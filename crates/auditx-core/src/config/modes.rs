//! Who may read what the library creates.

use std::str::FromStr;

use serde::Deserialize;

use crate::dir::Modes;
use crate::error::{Error, Result};

/// Without these its owner could not work with a file or a directory.
const LEAST_FILE: u32 = 0o600;
const LEAST_DIRECTORY: u32 = 0o700;

/// Permissions, spelled in octal: `0640`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Octal(pub(crate) u32);

impl FromStr for Octal {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_octal =
            (3..=5).contains(&text.len()) && text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
        let mode = u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o7777);
        mode.map(Self)
            .ok_or_else(|| Error::invalid(format!("{text:?} is not permissions in octal like 0640")))
    }
}

impl TryFrom<String> for Octal {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

/// The modes that files and directories are created with.
///
/// # Errors
/// `is_invalid` where the owner could not use what is created, or there is no such group.
pub(super) fn modes(file: Option<Octal>, directory: Option<Octal>, group: &str) -> Result<Modes> {
    for (setting, mode, least) in [("file_mode", file, LEAST_FILE), ("dir_mode", directory, LEAST_DIRECTORY)]
    {
        if let Some(Octal(mode)) = mode
            && (mode & least != least || mode > 0o7777)
        {
            return Err(Error::invalid(format!(
                "{setting} {mode:04o} leaves the trail's owner without {least:04o}"
            )));
        }
    }
    let group = if group.is_empty() { None } else { Some(gid_of(group)?) };
    Ok(Modes { file: file.map(|mode| mode.0), directory: directory.map(|mode| mode.0), group })
}

/// The id of a group, given as a number or as a name in /etc/group.
fn gid_of(group: &str) -> Result<u32> {
    if let Ok(gid) = group.parse() {
        return Ok(gid);
    }
    let known = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let gid = known.lines().find_map(|line| {
        let mut fields = line.split(':');
        let is_it = fields.next() == Some(group);
        fields.nth(1).filter(|_| is_it)?.parse().ok()
    });
    gid.ok_or_else(|| {
        Error::invalid(format!(
            "group {group:?} is not in /etc/group; give its number where another service knows it"
        ))
    })
}
