//! Access to a bucket: objects are created once, listed and fetched.

use std::sync::Arc;

use futures_util::TryStreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum, S3ConditionalPut};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, RetryConfig};

use crate::address::Address;
use crate::error::{Error, Result};

#[derive(Debug, Clone)]
pub(crate) struct Store {
    bucket: Arc<AmazonS3>,
    prefix: String,
}

/// The result of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    Done,
    /// An object of that name exists already.
    Exists,
}

impl Store {
    pub(crate) fn of(address: &Address) -> Result<Self> {
        // Fails if the application has installed a provider already, which is then used.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&address.bucket)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_checksum_algorithm(Checksum::SHA256)
            // The archiver retries without limit.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
        if let Some((key, secret)) = &address.key {
            builder = builder.with_access_key_id(key).with_secret_access_key(secret);
        }
        if let Some(region) = &address.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &address.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        Ok(Self { bucket: Arc::new(builder.build()?), prefix: address.prefix.clone() })
    }

    fn path(&self, name: &str) -> Path {
        if self.prefix.is_empty() { Path::from(name) } else { Path::from(format!("{}/{name}", self.prefix)) }
    }

    /// Creates an object unless one of that name exists.
    pub(crate) async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<Put> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.bucket.put_opts(&self.path(name), bytes.into(), options).await {
            Ok(_) => Ok(Put::Done),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(Put::Exists)
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) async fn get(&self, name: &str) -> Result<Vec<u8>> {
        Ok(self.bucket.get(&self.path(name)).await?.bytes().await?.into())
    }

    /// Returns the names in a folder that are greater than `after`, in order and without the prefix.
    pub(crate) async fn list(&self, folder: &str, after: &str) -> Result<Vec<String>> {
        let (folder, after) = (self.path(folder), self.path(after));
        let found: Vec<_> = self.bucket.list_with_offset(Some(&folder), &after).try_collect().await?;
        let mut names: Vec<String> =
            found.into_iter().map(|object| object.location.as_ref().to_owned()).collect();
        for name in &mut names {
            if let Some(rest) = name.strip_prefix(&self.prefix) {
                *name = rest.trim_start_matches('/').to_owned();
            }
        }
        names.sort();
        Ok(names)
    }

    /// Returns the top-level folders.
    pub(crate) async fn folders(&self) -> Result<Vec<String>> {
        let prefix = if self.prefix.is_empty() { None } else { Some(Path::from(self.prefix.as_str())) };
        let found = self.bucket.list_with_delimiter(prefix.as_ref()).await?;
        Ok(found.common_prefixes.iter().filter_map(|path| Some(path.filename()?.to_owned())).collect())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::refused(format!("an archived segment cannot be decompressed: {error}"))
    }
}
