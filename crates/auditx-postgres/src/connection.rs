//! A connection: a client, and a task that moves its bytes.

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

/// Ended when dropped, whatever was going on.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    task: tokio::task::JoinHandle<()>,
}

impl Connection {
    pub(crate) async fn open(address: &Address) -> Result<Self> {
        let Address { config, root } = address;
        // What ended a connection is told to whoever waits for an answer.
        let (client, task) = if config.get_ssl_mode() == SslMode::Disable {
            let (client, connection) = config.connect(NoTls).await?;
            (client, tokio::spawn(async move { drop(connection.await) }))
        } else {
            // Read each time: certificates are replaced while processes run.
            let (client, connection) = config.connect(encryption(root.as_deref())?).await?;
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

/// Believes what is signed by a certificate of this file, or by one of the machine's.
fn encryption(root: Option<&Path>) -> Result<MakeRustlsConnect> {
    let mut roots = RootCertStore::empty();
    match root {
        Some(path) => {
            let unreadable = |error| Error::said(format!("cannot read {}: {error}", path.display()));
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                let refused = |error| Error::said(format!("{} is refused: {error}", path.display()));
                roots.add(certificate.map_err(unreadable)?).map_err(refused)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::said(format!("no encryption: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
