//! Parses the address of a server and the encryption settings of its connections.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::error::{Error, Result};

/// An address parsed from a URL or from PostgreSQL's `key=value` form.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    pub(crate) config: Config,
    /// A file with the trusted certificate authorities; without it, those of the machine are trusted.
    pub(crate) root: Option<PathBuf>,
}

impl Address {
    /// Parses an address. Connections are encrypted and the server's certificate is verified, unless the
    /// server is on this machine or the address contains `sslmode=disable`. A missing password is taken from
    /// `PGPASSWORD`. The defaults are a connect timeout of 10 s and the application name `auditx`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let (text, mode, root) = if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            split_url(text)
        } else {
            split_pairs(text)
        };
        let mut config: Config =
            text.parse().map_err(|error| Error::refused(format!("invalid PostgreSQL address: {error}")))?;
        let is_local = config.get_hosts().iter().all(is_local);
        config.ssl_mode(match mode.as_deref() {
            None if is_local => SslMode::Disable,
            // In libpq, these modes differ in what they verify; here, all of them verify the certificate and
            // its host name.
            None | Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            Some("disable") => SslMode::Disable,
            Some(other) => {
                return Err(Error::refused(format!(
                    "unknown sslmode={other}: expected disable or verify-full"
                )));
            }
        });
        if config.get_password().is_none()
            && let Some(password) = std::env::var_os("PGPASSWORD")
        {
            config.password(password.as_encoded_bytes());
        }
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        if config.get_application_name().is_none() {
            config.application_name("auditx");
        }
        Ok(Self { config, root })
    }
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|ip: IpAddr| ip.is_loopback()),
    }
}

/// The address without the TLS settings, `sslmode` and `sslrootcert`.
type Split = (String, Option<String>, Option<PathBuf>);

/// Removes the parameters that the client crate does not know from the query of a URL.
fn split_url(url: &str) -> Split {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut rest, mut mode, mut root) = (Vec::new(), None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = || percent_decode_str(value).decode_utf8_lossy().into_owned();
        match key {
            "sslmode" => mode = Some(value()),
            "sslrootcert" => root = Some(value().into()),
            _ => rest.push(pair),
        }
    }
    let text = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    (text, mode, root)
}

/// Does the same for `key=value` words. A path with spaces must be given in a URL.
fn split_pairs(text: &str) -> Split {
    let (mut rest, mut mode, mut root) = (Vec::new(), None, None);
    for word in text.split(' ') {
        match word.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", value)) => root = Some(value.into()),
            _ => rest.push(word),
        }
    }
    (rest.join(" "), mode, root)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(text: &str) -> SslMode {
        Address::parse(text).unwrap().config.get_ssl_mode()
    }

    #[test]
    fn remote_connections_are_encrypted_unless_disabled() {
        for local in
            ["postgres://a@localhost/x", "postgres://a@127.0.0.1/x", "host=/run/postgresql user=a", "user=a"]
        {
            assert_eq!(mode(local), SslMode::Disable, "{local}");
        }
        for remote in
            ["postgres://a@db/x", "host=db user=a", "postgres://a@db/x?sslmode=verify-full", "host=10.0.0.1"]
        {
            assert_eq!(mode(remote), SslMode::Require, "{remote}");
        }
        assert_eq!(mode("postgres://a@localhost/x?sslmode=require"), SslMode::Require);
        assert_eq!(mode("host=db sslmode=disable user=a"), SslMode::Disable);
        let error = Address::parse("postgres://a@db/x?sslmode=allow").unwrap_err();
        assert!(error.to_string().contains("sslmode=allow"), "{error}");
    }

    #[test]
    fn sslrootcert_is_removed_from_the_address() {
        let url = "postgres://a:b@db/x?sslrootcert=/etc/my%20ca.pem&connect_timeout=3";
        let address = Address::parse(url).unwrap();
        assert_eq!(address.root.as_deref(), Some("/etc/my ca.pem".as_ref()));
        assert_eq!(address.config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        let address = Address::parse("host=db sslrootcert=/etc/ca.pem dbname=x").unwrap();
        assert_eq!(
            (address.root.as_deref(), address.config.get_dbname()),
            (Some("/etc/ca.pem".as_ref()), Some("x"))
        );
        assert!(Address::parse("postgres://db:no-port/x").is_err());
    }

    #[test]
    fn the_debug_form_of_a_handle_is_short_and_shows_no_password() {
        let shown = format!("{:?}", crate::Postgres::new("postgres://erp:secret@db/audit").unwrap());
        assert_eq!(shown, "Postgres { id: \"postgres-db-5432-audit\", .. }");
    }
}
