//! Where a trail's signing key comes from, and the home it has where the trail keeps it itself.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde::Deserialize;

use super::{Signer, SigningKey};
use crate::callback::calling;
use crate::dir::Dir;
use crate::error::{Error, HookError, Result};

/// Where a trail keeps the key it made itself, in the trail's directory.
pub(crate) const KEY_HOME: &str = ".auditx/keys";
pub(crate) const KEY: &str = ".auditx/keys/signing.pem";

/// The next one, while it takes over.
const STAGED_KEY: &str = ".auditx/keys/next.pem";

/// Where the signing key comes from.
///
/// Spelled `trail`, `file:PATH`, `env:NAME` or `credential:NAME` in configuration files and `AUDITX_SIGNING_KEY`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum KeySource {
    /// The trail's own directory, `.auditx/keys`; made there at the first open. Whoever can write the trail can then sign
    /// it too: keep checkpoints elsewhere, or the key.
    #[default]
    Trail,
    /// A file, as [`SigningKey`] is kept.
    File(PathBuf),
    /// The text of such a file in an environment variable.
    Environment(String),
    /// A systemd credential of this name (`LoadCredential=`, `LoadCredentialEncrypted=`).
    Credential(String),
    /// Something of the application's own.
    Signer(Arc<dyn Signer>),
}

impl FromStr for KeySource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            None if text == "trail" => Ok(Self::Trail),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Environment(name.to_owned())),
            Some(("credential", name)) if !name.is_empty() => Ok(Self::Credential(name.to_owned())),
            _ => Err(Error::invalid(format!(
                "{text:?} is not `trail`, `file:PATH`, `env:NAME` or `credential:NAME`"
            ))),
        }
    }
}

impl TryFrom<String> for KeySource {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl KeySource {
    /// The signer, for the trail in this directory.
    ///
    /// # Errors
    /// `is_invalid` where there is no key or it cannot be read as one, `is_storage` where its file cannot be read.
    pub(crate) fn signer(&self, directory: &Dir) -> Result<Arc<dyn Signer>> {
        let key: SigningKey = match self {
            Self::Signer(signer) => return Ok(Arc::new(Foreign(signer.clone()))),
            Self::Trail => read_key(directory, KEY.as_ref())?,
            Self::File(path) => read_key(&Dir::from(Path::new("")), path)?,
            Self::Credential(name) => {
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    Error::invalid(format!(
                        "no credential {name:?} can be had: systemd sets CREDENTIALS_DIRECTORY for services with LoadCredential="
                    ))
                })?;
                // systemd owns the directory and forbids writing it: the service's user need not own the file.
                let path = Path::new(&directory).join(name);
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| Error::storage("cannot read the signing key", &path, error))?;
                SigningKey::from_pem(&text).map_err(|error| error.at(&path))?
            }
            Self::Environment(name) => {
                let text = std::env::var(name).map_err(|error| {
                    Error::invalid(format!("no signing key in the variable {name}")).because(error)
                })?;
                SigningKey::from_pem(&text).map_err(|error| {
                    Error::invalid(format!("the variable {name} holds no signing key")).because(error)
                })?
            }
        };
        Ok(Arc::new(key))
    }

    /// Makes a key where a new trail needs one and keeps it itself.
    pub(crate) fn prepare(&self, directory: &Dir) -> Result<()> {
        let failed = |error| Error::storage("cannot examine the signing key", directory.join(KEY), error);
        if matches!(self, Self::Trail) && directory.stat(KEY).map_err(failed)?.is_none() {
            save_key(directory, KEY, &SigningKey::generate())?;
        }
        Ok(())
    }
}

/// A signer of the application's own, called as such.
#[derive(Debug)]
struct Foreign(Arc<dyn Signer>);

impl Signer for Foreign {
    fn public_key(&self) -> [u8; 32] {
        calling(|| self.0.public_key())
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], HookError> {
        calling(|| self.0.sign(message))
    }
}

fn read_key(directory: &Dir, name: &Path) -> Result<SigningKey> {
    let path = directory.join(name);
    let bytes =
        directory.read(name).map_err(|error| Error::storage("cannot read the signing key", &path, error))?;
    SigningKey::from_pem(&String::from_utf8_lossy(&bytes)).map_err(|error| error.at(&path))
}

/// A trail's next key, kept beside the one it is to replace until both have signed the boundary.
#[derive(Debug)]
pub(crate) struct StagedKey {
    key: SigningKey,
    directory: Dir,
}

/// Keeps a key for the trail to go on with: safe on disk before anything is signed with it.
pub(crate) fn stage_in_home(directory: &Dir, key: &SigningKey) -> Result<StagedKey> {
    save_key(directory, STAGED_KEY, key)?;
    Ok(StagedKey { key: key.clone(), directory: directory.clone() })
}

impl StagedKey {
    /// The one that was left by a process that died while it replaced a key.
    pub(crate) fn left_over(directory: &Dir) -> Option<Self> {
        let key = read_key(directory, STAGED_KEY.as_ref()).ok()?;
        Some(Self { key, directory: directory.clone() })
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Puts it in the place of the old one, which is gone then.
    pub(crate) fn settle(self) -> Result<()> {
        let Self { directory, .. } = self;
        directory.rename(STAGED_KEY, KEY).and_then(|()| directory.sync(KEY_HOME)).map_err(|error| {
            Error::storage("cannot put the new signing key in its place", directory.join(KEY), error)
        })
    }
}

fn save_key(directory: &Dir, name: &str, key: &SigningKey) -> Result<()> {
    directory
        .create_private_directory(KEY_HOME)
        .and_then(|()| directory.replace(name, key.to_pem().as_bytes(), true))
        .map_err(|error| Error::storage("cannot save the signing key", directory.join(name), error))
}
