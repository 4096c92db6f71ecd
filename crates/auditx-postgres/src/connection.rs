//! A connection: a client, and the task that performs its I/O.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::Address;
use crate::error::{Error, Result};

/// A connection that is closed when it is dropped, even during a request.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    task: tokio::task::JoinHandle<()>,
}

impl Connection {
    pub(crate) async fn open(address: &Address) -> Result<Self> {
        let Address { config, root } = address;
        // The task's error is dropped: the pending request returns it too.
        let (client, task) = if config.get_ssl_mode() == SslMode::Disable {
            let (client, connection) = config.connect(NoTls).await?;
            (client, tokio::spawn(async move { drop(connection.await) }))
        } else {
            // Certificates are read for each connection, because they may be replaced at run time.
            let (client, connection) = config.connect(tls(root.as_deref())?).await?;
            (client, tokio::spawn(async move { drop(connection.await) }))
        };
        Ok(Self { client, task })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Creates the TLS settings, which trust the certificate authorities of this file or those of the machine.
fn tls(root: Option<&Path>) -> Result<MakeRustlsConnect> {
    let mut roots = RootCertStore::empty();
    match root {
        Some(path) => {
            let unreadable = |error| Error::refused(format!("cannot read {}: {error}", path.display()));
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                let invalid =
                    |error| Error::refused(format!("invalid certificate in {}: {error}", path.display()));
                roots.add(certificate.map_err(unreadable)?).map_err(invalid)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::refused(format!("cannot set up TLS: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
