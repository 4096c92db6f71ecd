//! Posts JSON to a webhook, signed as the Standard Webhooks specification says.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::http::{Request, StatusCode, Uri, header};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use hmac::{Hmac, Mac};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::tls::Tls;

/// How long a post may take, from resolving the host to the status of the answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The prefix of a secret.
const SECRET_PREFIX: &str = "whsec_";

/// The shortest secret, in bytes.
const MIN_SECRET: usize = 24;

/// Where an alert is posted, and the secret that signs it. `Debug` shows the host only: addresses of webhooks
/// often contain a secret too.
#[derive(Clone)]
pub(crate) struct Webhook {
    uri: Uri,
    host: String,
    port: u16,
    tls: Option<Tls>,
    secret: Option<Vec<u8>>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("host", &self.host).finish_non_exhaustive()
    }
}

/// Why a post was not accepted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) why: String,
    /// Whether the same post would be refused again.
    pub(crate) is_final: bool,
}

impl Webhook {
    /// Takes an address with `https`, or with `http` on this machine: entries must not cross a network
    /// unencrypted.
    pub(crate) fn new(url: &str, secret: Option<&str>) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("invalid address of the webhook: {error}"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(
                "invalid address of the webhook: expected for example https://ops.example/hook".into()
            );
        };
        if authority.as_str().contains('@') {
            return Err("the address of the webhook must have no user name: use a secret instead".into());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let is_local =
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        let (tls, port) = match scheme {
            "https" => (Some(Tls::new()?), 443),
            "http" if is_local => (None, 80),
            _ => return Err("the webhook must use https; http is for this machine only".into()),
        };
        let port = authority.port_u16().unwrap_or(port);
        Ok(Self { host, port, tls, secret: secret.map(decoded).transpose()?, uri })
    }

    /// The host, for messages.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Posts this JSON. `id` is the same when a post is repeated, so that its receiver can tell.
    pub(crate) async fn post(&self, id: &str, body: &[u8]) -> Result<(), Refusal> {
        let unreachable = |error: io::Error| Refusal { why: error.to_string(), is_final: false };
        let status = match tokio::time::timeout(TIMEOUT, self.send(id, body)).await {
            Ok(sent) => sent.map_err(unreachable)?,
            Err(_) => return Err(unreachable(io::Error::other(format!("no answer in {TIMEOUT:?}")))),
        };
        if status.is_success() {
            return Ok(());
        }
        let may_pass = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS];
        let is_final = !status.is_server_error() && !may_pass.contains(&status);
        Err(Refusal { why: format!("the answer was {status}"), is_final })
    }

    async fn send(&self, id: &str, body: &[u8]) -> io::Result<StatusCode> {
        let request = self.request(id, body, SystemTime::now())?;
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        match &self.tls {
            Some(tls) => exchange(tls.connect(&self.host, stream).await?, request).await,
            None => exchange(stream, request).await,
        }
    }

    fn request(&self, id: &str, body: &[u8], now: SystemTime) -> io::Result<Request<Body>> {
        let seconds = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).to_string();
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let authority = self.uri.authority().map_or("", |authority| authority.as_str());
        let mut request = Request::post(path)
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("auditx/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", id)
            .header("webhook-timestamp", &seconds);
        if let Some(secret) = &self.secret {
            request = request.header("webhook-signature", signature(secret, id, &seconds, body)?);
        }
        request.body(Body::from(body.to_vec())).map_err(io::Error::other)
    }
}

/// Returns the signature of a post: `v1,` and the HMAC-SHA-256 of its id, time and body in base64.
fn signature(secret: &[u8], id: &str, seconds: &str, body: &[u8]) -> io::Result<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(io::Error::other)?;
    for part in [id.as_bytes(), b".", seconds.as_bytes(), b".", body] {
        mac.update(part);
    }
    Ok(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
}

/// Sends a request on a new connection and returns the status of the answer. Redirections are not followed.
async fn exchange<S>(stream: S, request: Request<Body>) -> io::Result<StatusCode>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    // The body of the answer is not needed.
    connection.abort();
    answer.map(|answer| answer.status()).map_err(io::Error::other)
}

/// Returns the bytes of a secret, which is written as `whsec_` and base64.
fn decoded(text: &str) -> Result<Vec<u8>, String> {
    let encoded = text.trim().strip_prefix(SECRET_PREFIX);
    let secret = encoded.and_then(|encoded| BASE64_STANDARD.decode(encoded).ok());
    secret.filter(|secret| secret.len() >= MIN_SECRET).ok_or_else(|| {
        format!(
            "invalid secret of the webhook: expected {SECRET_PREFIX} and at least {MIN_SECRET} bytes in \
             base64, such as `echo {SECRET_PREFIX}$(openssl rand -base64 32)` prints"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_do_not_cross_a_network_unencrypted() {
        let https_only = "the webhook must use https; http is for this machine only";
        assert_eq!(Webhook::new("http://ops.example/hook", None).unwrap_err(), https_only);
        for local in ["http://127.0.0.1:9/x", "http://[::1]/x", "http://localhost/x"] {
            assert!(Webhook::new(local, None).is_ok(), "{local}");
        }
        assert_eq!(Webhook::new("https://ops.example", None).is_ok(), cfg!(feature = "tls"));
        assert!(Webhook::new("https://me:secret@ops.example", None).unwrap_err().contains("no user name"));
        assert!(Webhook::new("/hook", None).unwrap_err().contains("expected for example https://"));
    }

    #[test]
    fn a_webhook_does_not_show_its_path_or_secret() {
        let secret = format!("{SECRET_PREFIX}{}", BASE64_STANDARD.encode([7; MIN_SECRET]));
        let webhook = Webhook::new("http://127.0.0.1/services/t0ken", Some(&secret)).unwrap();
        assert_eq!(format!("{webhook:?}"), "Webhook { host: \"127.0.0.1\", .. }");
        assert!(Webhook::new("http://127.0.0.1/", Some("short")).unwrap_err().contains("openssl rand"));
    }

    #[test]
    fn a_post_is_signed_as_the_specification_says() {
        // The example of the Standard Webhooks specification.
        let secret = decoded("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
