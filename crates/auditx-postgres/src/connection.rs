//! A connection: a client, and a task that moves its bytes.

use tokio_postgres::{Client, Config, NoTls};

use crate::error::{Error, Result};

/// Ended when dropped, whatever was going on.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    task: tokio::task::JoinHandle<()>,
}

impl Connection {
    pub(crate) async fn open(config: &Config) -> Result<Self> {
        let (client, connection) = config.connect(NoTls).await?;
        let task = tokio::spawn(async move {
            // What ended it is told to whoever waits for an answer.
            drop(connection.await);
        });
        Ok(Self { client, task })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a URL or a `key=value` text, with a limit to connecting and a name that the server's operator sees.
pub(crate) fn config_of(url: &str) -> Result<Config> {
    let mut config: Config =
        url.parse().map_err(|error| Error::said(format!("this is no PostgreSQL address: {error}")))?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(std::time::Duration::from_secs(10));
    }
    if config.get_application_name().is_none() {
        config.application_name("auditx");
    }
    Ok(config)
}
