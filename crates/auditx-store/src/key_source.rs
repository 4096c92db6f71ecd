//! Sources of a trail's signing key, and the files of a key that the trail stores itself.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use auditx_format::{Error, HookError, Result};
use auditx_tlog::{Signer, SigningKey};
use serde::Deserialize;

use crate::callback::calling;
use crate::dir::Dir;

/// The directory of a key that the trail generated itself, relative to the trail's directory.
pub(crate) const KEYS_DIR: &str = ".auditx/keys";
pub(crate) const KEY: &str = ".auditx/keys/signing.pem";

/// The next key during a rotation.
const STAGED_KEY: &str = ".auditx/keys/next.pem";

/// Where the signing key comes from.
///
/// In configuration files and `AUDITX_SIGNING_KEY` it is written `trail`, `file:PATH`, `env:NAME` or
/// `credential:NAME`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "String")]
#[non_exhaustive]
pub enum KeySource {
    /// The trail's own directory, `.auditx/keys`, where it is generated at the first open. Anyone who can
    /// write the trail can then also sign it, so keep either the checkpoints or the key elsewhere.
    #[default]
    Trail,
    /// A file in the format of [`SigningKey`].
    File(PathBuf),
    /// An environment variable that contains the text of such a file.
    Environment(String),
    /// A systemd credential with this name (`LoadCredential=`, `LoadCredentialEncrypted=`).
    Credential(String),
    /// A signer that the application implements.
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
                "invalid key source {text:?}: expected `trail`, `file:PATH`, `env:NAME` or `credential:NAME`"
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
    /// Returns the signer for the trail in this directory.
    ///
    /// # Errors
    /// `is_invalid` if there is no key or it cannot be parsed; `is_storage` if its file cannot be read.
    pub(crate) fn signer(&self, directory: &Dir) -> Result<Arc<dyn Signer>> {
        let key: SigningKey = match self {
            Self::Signer(signer) => return Ok(Arc::new(AppSigner(signer.clone()))),
            Self::Trail => read_key(directory, KEY.as_ref())?,
            Self::File(path) => read_key(&Dir::from(Path::new("")), path)?,
            Self::Credential(name) => {
                let directory = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
                    Error::invalid(format!(
                        "credential {name:?} is not available: \
                         systemd sets CREDENTIALS_DIRECTORY for services with LoadCredential="
                    ))
                })?;
                // The file is read regardless of its owner: systemd owns the directory and makes it
                // read-only.
                let path = Path::new(&directory).join(name);
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| Error::storage("cannot read the signing key", &path, error))?;
                SigningKey::from_pem(&text).map_err(|error| Error::from(error).at(&path))?
            }
            Self::Environment(name) => {
                let text = std::env::var(name).map_err(|error| {
                    Error::invalid(format!(
                        "cannot read the signing key from the environment variable {name}"
                    ))
                    .because(error)
                })?;
                SigningKey::from_pem(&text).map_err(|error| {
                    Error::invalid(format!("the environment variable {name} does not contain a signing key"))
                        .because(error)
                })?
            }
        };
        Ok(Arc::new(key))
    }

    /// Generates the key of a new trail that stores its key itself.
    pub(crate) fn prepare(&self, directory: &Dir) -> Result<()> {
        let failed = |error| Error::storage("cannot examine the signing key", directory.join(KEY), error);
        if matches!(self, Self::Trail) && directory.stat(KEY).map_err(failed)?.is_none() {
            save_key(directory, KEY, &SigningKey::generate())?;
        }
        Ok(())
    }
}

/// A signer that the application implements. Each call is marked as a callback.
#[derive(Debug)]
struct AppSigner(Arc<dyn Signer>);

impl Signer for AppSigner {
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
    SigningKey::from_pem(&String::from_utf8_lossy(&bytes)).map_err(|error| Error::from(error).at(&path))
}

/// The next key of a trail, stored beside the current one until both have signed the boundary checkpoint.
#[derive(Debug)]
pub(crate) struct StagedKey {
    key: SigningKey,
    directory: Dir,
}

/// Saves the next key of a trail, so that it is durable before it signs anything.
pub(crate) fn stage_key(directory: &Dir, key: &SigningKey) -> Result<StagedKey> {
    save_key(directory, STAGED_KEY, key)?;
    Ok(StagedKey { key: key.clone(), directory: directory.clone() })
}

impl StagedKey {
    /// Returns the key that was left by a process which died during a rotation, if there is one.
    ///
    /// # Errors
    /// `is_storage` or `is_invalid` if it cannot be read: without it the trail cannot be continued.
    pub(crate) fn find(directory: &Dir) -> Result<Option<Self>> {
        let failed = |error| Error::storage("cannot examine the next key", directory.join(STAGED_KEY), error);
        if directory.stat(STAGED_KEY).map_err(failed)?.is_none() {
            return Ok(None);
        }
        let key = read_key(directory, STAGED_KEY.as_ref())?;
        Ok(Some(Self { key, directory: directory.clone() }))
    }

    pub(crate) fn key(&self) -> &SigningKey {
        &self.key
    }

    /// Replaces the current key, which is then lost.
    pub(crate) fn install(self) -> Result<()> {
        let Self { directory, .. } = self;
        directory
            .rename(STAGED_KEY, KEY)
            .and_then(|()| directory.sync(KEYS_DIR))
            .map_err(|error| Error::storage("cannot install the new signing key", directory.join(KEY), error))
    }
}

fn save_key(directory: &Dir, name: &str, key: &SigningKey) -> Result<()> {
    directory
        .create_private_directory(KEYS_DIR)
        .and_then(|()| directory.replace(name, key.to_pem().as_bytes(), true))
        .map_err(|error| Error::storage("cannot save the signing key", directory.join(name), error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::segment::AUDITX_DIR;

    #[test]
    fn only_the_user_can_read_a_saved_key() {
        let directory = tempfile::tempdir().unwrap();
        let (dir, source) = (Dir::from(directory.path()), KeySource::Trail);
        dir.create_directory(AUDITX_DIR).unwrap();
        assert!(source.signer(&dir).unwrap_err().is_storage());
        source.prepare(&dir).unwrap();
        let public = source.signer(&dir).unwrap().public_key();
        source.prepare(&dir).unwrap();
        assert_eq!(source.signer(&dir).unwrap().public_key(), public, "it is generated once");
        let mode = |path: PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(dir.join(KEYS_DIR)), 0o700);
        assert_eq!(mode(dir.join(KEY)), 0o600);
    }

    #[test]
    fn key_sources_are_parsed() {
        assert!(matches!("trail".parse().unwrap(), KeySource::Trail));
        assert!(
            matches!("file:/etc/k.pem".parse().unwrap(), KeySource::File(path) if path == Path::new("/etc/k.pem"))
        );
        assert!(matches!("env:KEY".parse().unwrap(), KeySource::Environment(name) if name == "KEY"));
        assert!(matches!("credential:key".parse().unwrap(), KeySource::Credential(name) if name == "key"));
        for wrong in ["", "file:", "/etc/k.pem", "trail:x", "kms:1"] {
            assert!(wrong.parse::<KeySource>().unwrap_err().is_invalid(), "{wrong}");
        }
    }
}
