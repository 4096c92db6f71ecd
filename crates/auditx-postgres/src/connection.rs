//! A connection: a client, and the task that performs its I/O.

use std::future::poll_fn;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio_postgres::config::SslMode;
use tokio_postgres::{AsyncMessage, Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::address::Address;
use crate::error::{Error, Result};

/// A connection that is closed when it is dropped, even during a request.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    /// Signalled when the server sends a notification, and when the connection ends.
    pub(crate) notified: Arc<Notify>,
    task: tokio::task::JoinHandle<()>,
}

impl Connection {
    pub(crate) async fn open(address: &Address) -> Result<Self> {
        let Address { config, root } = address;
        let notified = Arc::new(Notify::new());
        let (client, task) = if config.get_ssl_mode() == SslMode::Disable {
            let (client, connection) = config.connect(NoTls).await?;
            (client, tokio::spawn(drive(connection, notified.clone())))
        } else {
            // Certificates are read for each connection, because they may be replaced at run time.
            let (client, connection) = config.connect(tls(root.as_deref())?).await?;
            (client, tokio::spawn(drive(connection, notified.clone())))
        };
        Ok(Self { client, notified, task })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Performs the I/O of a connection until it ends.
async fn drive<S, T>(mut connection: tokio_postgres::Connection<S, T>, notified: Arc<Notify>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    // The error is dropped: the pending request returns it too.
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if matches!(message, AsyncMessage::Notification(_)) {
            notified.notify_one();
        }
    }
    // Requests fail from here on, also those of the caller that this wakes.
    drop(connection);
    notified.notify_one();
}

/// Creates the TLS settings, which trust the certificate authorities of this file or those of the machine.
pub(crate) fn tls(root: Option<&Path>) -> Result<MakeRustlsConnect> {
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
