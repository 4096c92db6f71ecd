//! One witness to which a trail submits its checkpoints.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use auditx_reader::{latest_checkpoint, submission};
use auditx_tlog::{SignedCheckpoint, WitnessKey};
use reqwest::{Client, StatusCode, Url, redirect};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use crate::error::{Error, Result};

/// How long a submission may take, with all attempts.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes. One with ML-DSA-44 has 3,300.
const MAX_ANSWER: usize = 64 << 10;

/// How often a submission is repeated because the witness knows another size.
const ATTEMPTS: usize = 4;

/// A witness, and the size of the checkpoint that it cosigned last, as far as is known.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) key: WitnessKey,
    url: Url,
    known: u64,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The signature line.
    Cosigned(String),
    /// The trail has a newer checkpoint: submit that one.
    Newer,
    /// The witness cosigned more lines of this log than the trail has.
    Ahead(u64),
    /// The witness cosigned another history of this log, of this size.
    Split(u64),
    /// No cosignature, for this reason.
    Failed(String),
}

impl Target {
    pub(crate) fn new(url: &str, key: WitnessKey) -> Result<Self> {
        let mut url: Url = url
            .parse()
            .map_err(|error| Error::new(format!("invalid URL {url:?} of witness {}: {error}", key.name())))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::new(format!(
                "invalid URL {url} of witness {}: expected http:// or https://",
                key.name()
            )));
        }
        // The path is that of a prefix.
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let url = url.join("add-checkpoint").map_err(|error| Error::new(error.to_string()))?;
        Ok(Self { key, url, known: 0 })
    }

    /// Submits a checkpoint of the trail in this directory, again if the witness names another size.
    pub(crate) async fn submit(
        &mut self,
        client: &Client,
        directory: &Path,
        checkpoint: &SignedCheckpoint,
    ) -> Outcome {
        let submitted = timeout(TIMEOUT, self.attempts(client, directory, checkpoint)).await;
        submitted.unwrap_or_else(|_| Outcome::Failed(format!("no answer within {TIMEOUT:?}")))
    }

    async fn attempts(
        &mut self,
        client: &Client,
        directory: &Path,
        checkpoint: &SignedCheckpoint,
    ) -> Outcome {
        for _ in 0..ATTEMPTS {
            let size = checkpoint.size();
            if self.known > size {
                return Self::behind(directory, checkpoint, self.known);
            }
            let body = match submission(directory, self.known, checkpoint) {
                Ok(submission) => submission.to_string(),
                Err(error) => return Outcome::Failed(error.to_string()),
            };
            let (status, text) = match self.post(client, body).await {
                Ok(answer) => answer,
                Err(error) => return Outcome::Failed(error),
            };
            match (status, text.trim_end().parse::<u64>()) {
                (StatusCode::OK, _) => {
                    self.known = size;
                    return match checkpoint.with_cosignature(&text, &self.key) {
                        Ok(_) => Outcome::Cosigned(text),
                        Err(error) => Outcome::Failed(error.to_string()),
                    };
                }
                // The same size with another root.
                (StatusCode::CONFLICT, Ok(named)) if named == self.known && named == size => {
                    return Outcome::Split(named);
                }
                (StatusCode::CONFLICT, Ok(named)) if named != self.known => self.known = named,
                // From nothing, there is nothing to contradict.
                (StatusCode::UNPROCESSABLE_ENTITY, _) if self.known > 0 => return Outcome::Split(self.known),
                _ => return Outcome::Failed(format!("it answered {status}: {}", first_line(&text))),
            }
        }
        Outcome::Failed(format!("it named another size in each of {ATTEMPTS} answers"))
    }

    /// Decides what it means that the witness knows more lines than a checkpoint.
    fn behind(directory: &Path, checkpoint: &SignedCheckpoint, known: u64) -> Outcome {
        match latest_checkpoint(directory) {
            // Another process submitted it.
            Ok(latest) if latest.size() >= known && latest.size() > checkpoint.size() => Outcome::Newer,
            Ok(_) => Outcome::Ahead(known),
            Err(error) => Outcome::Failed(error.to_string()),
        }
    }

    async fn post(&self, client: &Client, body: String) -> std::result::Result<(StatusCode, String), String> {
        let sent = client.post(self.url.clone()).body(body).send().await;
        let mut answer = sent.map_err(|error| causes(&error))?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| causes(&error))? {
            bytes.extend(&chunk);
            if bytes.len() > MAX_ANSWER {
                return Err(format!("its answer has more than {MAX_ANSWER} bytes"));
            }
        }
        Ok((answer.status(), String::from_utf8_lossy(&bytes).into_owned()))
    }
}

/// Returns a client that trusts the certificate authorities of this machine.
pub(crate) fn client() -> Result<Client> {
    let failed = |error: &dyn std::fmt::Display| Error::new(format!("cannot set up TLS: {error}"));
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("auditx/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| failed(&error))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

/// Returns an error with its causes: that of a request says only which one failed.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
