//! The client of a time-stamping authority (RFC 3161, 3.4).

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Url, redirect};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use crate::error::{Error, Result};
use crate::request::Request;
use crate::roots::Roots;
use crate::stamp::{Stamp, Stamped};

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer that is read, in bytes. One with four certificates has 7,000. A reader of the trail
/// reads no more than this.
const MAX_ANSWER: usize = 64 << 10;

/// An authority, and how to reach it.
#[derive(Debug, Clone)]
pub(crate) struct Authority {
    url: Url,
    pub(crate) roots: Option<Roots>,
}

impl Authority {
    pub(crate) fn new(url: &str) -> Result<Self> {
        let url: Url = url
            .parse()
            .map_err(|error| Error::new(format!("invalid URL of the time-stamping authority: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::new(format!(
                "invalid URL of the time-stamping authority: expected http:// or https://, not {}:",
                url.scheme()
            )));
        }
        Ok(Self { url, roots: None })
    }

    /// Obtains a stamp that answers the request. With roots, also verifies its certificates.
    pub(crate) async fn stamp(&self, client: &Client, request: &Request) -> Result<(Stamp, Stamped)> {
        let answered = timeout(TIMEOUT, self.post(client, request.as_bytes().to_owned())).await;
        let answer = answered
            .map_err(|_| Error::new(format!("the authority did not answer within {TIMEOUT:?}")))??;
        let stamp = Stamp::parse(&answer)?;
        let mut stamped = stamp.answers(request)?;
        if let Some(roots) = &self.roots {
            stamped = stamp.verify(request.stamped().as_bytes(), roots)?;
        }
        Ok((stamp, stamped))
    }

    async fn post(&self, client: &Client, body: Vec<u8>) -> Result<Vec<u8>> {
        let failed = |error: reqwest::Error| {
            Error::new(format!("the request to the authority failed: {}", causes(&error.without_url())))
        };
        let kind = HeaderValue::from_static("application/timestamp-query");
        let post = client.post(self.url.clone()).header(CONTENT_TYPE, kind).body(body);
        let mut answer = post.send().await.map_err(failed)?;
        if !answer.status().is_success() {
            return Err(Error::new(format!("the authority answered with HTTP status {}", answer.status())));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            bytes.extend(&chunk);
            if bytes.len() > MAX_ANSWER {
                return Err(Error::new(format!(
                    "the answer of the authority has more than {MAX_ANSWER} bytes"
                )));
            }
        }
        Ok(bytes)
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

/// Returns an error with its causes: the message of `reqwest` alone does not say what went wrong.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
