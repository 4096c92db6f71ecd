//! Parses the address of a stream:
//! `nats://[user[:password]@]host[:port][,host[:port]…][/STREAM][?creds=FILE&ca=FILE&replicas=N]`.

use std::env;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};

/// The default stream.
const STREAM: &str = "AUDIT";

/// A parsed URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// The URLs of the servers, without user and password.
    pub(crate) servers: Vec<String>,
    pub(crate) stream: String,
    pub(crate) user: Option<(String, String)>,
    /// A file with an account's credentials.
    pub(crate) credentials: Option<PathBuf>,
    /// A file of certificates to trust in addition to the machine's.
    pub(crate) roots: Option<PathBuf>,
    /// The number of replicas of a stream to be created.
    pub(crate) replicas: Option<usize>,
}

impl Address {
    /// Parses a URL. `tls://` instead of `nats://` requires encryption. A password missing from the URL is
    /// taken from `NATS_PASSWORD`.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        if !["nats", "tls"].contains(&scheme) {
            return Err(Error::refused("invalid address: expected nats://host:4222/STREAM"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, stream) = rest.split_once('/').unwrap_or((rest, STREAM));
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user_of(user)), hosts),
            None => (None, authority),
        };
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if stream.is_empty() || !stream.bytes().all(is_plain) {
            return Err(Error::refused(format!(
                "invalid stream name {stream:?}: expected letters, digits, '-' and '_'"
            )));
        }
        let servers: Vec<String> = hosts
            .split(',')
            .filter(|host| !host.is_empty())
            .map(|host| format!("{scheme}://{host}"))
            .collect();
        if servers.is_empty() {
            return Err(Error::refused("the address contains no host"));
        }
        let mut address =
            Self { servers, stream: stream.to_owned(), user, credentials: None, roots: None, replicas: None };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value);
            match key {
                "creds" => address.credentials = Some(value.into()),
                "ca" => address.roots = Some(value.into()),
                "replicas" => {
                    let replicas = value.parse().ok().filter(|replicas| (1..=5).contains(replicas));
                    address.replicas =
                        Some(replicas.ok_or_else(|| Error::refused("invalid replicas: expected 1 to 5"))?);
                }
                _ => {
                    return Err(Error::refused(format!(
                        "unknown parameter {key:?} in the address: expected creds, ca or replicas"
                    )));
                }
            }
        }
        Ok(address)
    }
}

fn user_of(user: &str) -> (String, String) {
    let (user, password) = match user.split_once(':') {
        Some((user, password)) => (user, decoded(password)),
        None => (user, env::var("NATS_PASSWORD").unwrap_or_default()),
    };
    (decoded(user), password)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_contains_servers_a_stream_and_a_user() {
        let address =
            Address::parse("nats://erp:s%40crt@one:4222,two/BOOKS?replicas=3&creds=/a%20b").unwrap();
        assert_eq!(address.servers, ["nats://one:4222", "nats://two"]);
        assert_eq!((address.stream.as_str(), address.replicas), ("BOOKS", Some(3)));
        assert_eq!(address.user, Some(("erp".to_owned(), "s@crt".to_owned())));
        assert_eq!(address.credentials, Some("/a b".into()));
        let address = Address::parse("tls://one").unwrap();
        assert_eq!(
            (address.servers, address.stream.as_str(), address.user),
            (vec!["tls://one".to_owned()], "AUDIT", None)
        );
    }

    #[test]
    fn invalid_addresses_are_reported() {
        for (url, why) in [
            ("http://one", "nats://"),
            ("nats://", "no host"),
            ("nats://one/A.B", "invalid stream name"),
            ("nats://one?replicas=9", "1 to 5"),
            ("nats://one?x=1", "unknown parameter"),
        ] {
            let error = Address::parse(url).unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
    }

    #[test]
    fn the_debug_form_of_a_handle_is_short_and_shows_no_password() {
        let url = "nats://erp:secret@nats-1/AUDIT";
        let (nats, directory) = (crate::Nats::new(url).unwrap(), tempfile::tempdir().unwrap());
        let source = crate::NatsSource::new(url, auditx_ship::TrailId([7; 16])).unwrap();
        let mut shown = vec![format!("{nats:?}"), format!("{source:?}")];
        let shipper =
            auditx_ship::Shipper::spawn(directory.path(), nats, auditx_ship::Settings::default()).unwrap();
        shown.push(format!("{shipper:?}"));
        for (shown, name) in shown.iter().zip(["Nats {", "NatsSource {", "Shipper {"]) {
            assert!(shown.starts_with(name) && shown.len() <= 200 && !shown.contains("secret"), "{shown}");
        }
    }
}
