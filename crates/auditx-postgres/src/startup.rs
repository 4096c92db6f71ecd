//! Connects for the replication protocol, which the client crate does not speak.
//!
//! The client crate authenticates; what it writes first, the startup message, passes through [`Tap`], which
//! adds the parameter `replication`. Then the client is dropped, and the bytes below it are used directly.

use std::error::Error as StdError;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_postgres::NoTls;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

use crate::address::Address;
use crate::connection::tls;
use crate::error::{Error, Result};

/// What bytes are read from and written to.
pub(crate) trait Io: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

pub(crate) type BoxIo = Box<dyn Io>;

/// How long a server is waited for if the address does not say it.
const CONNECT: Duration = Duration::from_secs(10);

/// The parameter that is added, with the zero byte after which the message ends.
const PARAMETER: &[u8] = b"replication\0database\0\0";

/// Passes bytes on. It is dropped with the client; what is below it is kept.
struct Tap {
    below: Arc<Mutex<Option<BoxIo>>>,
    /// `None` until the startup message is written; then what of it is not written yet.
    startup: Option<BytesMut>,
    /// What ties the authentication to the encryption, until the client asks for it.
    binding: Mutex<Option<ChannelBinding>>,
}

impl Tap {
    fn above(below: &Arc<Mutex<Option<BoxIo>>>, io: BoxIo, binding: ChannelBinding) -> Self {
        *below.lock().unwrap_or_else(PoisonError::into_inner) = Some(io);
        Self { below: below.clone(), startup: None, binding: Mutex::new(Some(binding)) }
    }

    /// Writes what is left of the startup message.
    fn poll_startup(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.startup.as_mut().filter(|rest| !rest.is_empty()) {
            let written = ready!(with(&self.below, |io| Pin::new(io).poll_write(context, rest)))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            rest.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

fn with<T>(
    below: &Mutex<Option<BoxIo>>,
    work: impl FnOnce(&mut BoxIo) -> Poll<io::Result<T>>,
) -> Poll<io::Result<T>> {
    match below.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        Some(io) => work(io),
        None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
    }
}

/// Returns the startup message with the parameter. The client writes the whole message at once.
fn extended(message: &[u8]) -> io::Result<BytesMut> {
    let len = message.first_chunk().map(|len| u32::from_be_bytes(*len) as usize);
    let (Some(len), Some(body)) = (len, message.get(4..message.len().saturating_sub(1))) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    if len != message.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a part of a startup message"));
    }
    let mut extended = BytesMut::new();
    let len = u32::try_from(4 + body.len() + PARAMETER.len());
    extended.put_u32(len.map_err(|_| io::ErrorKind::InvalidData)?);
    extended.put_slice(body);
    extended.put_slice(PARAMETER);
    Ok(extended)
}

impl AsyncRead for Tap {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        with(&self.below, |io| Pin::new(io).poll_read(context, buffer))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.startup.is_none() {
            self.startup = Some(extended(bytes)?);
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.poll_startup(context))?;
        with(&self.below, |io| Pin::new(io).poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_startup(context))?;
        with(&self.below, |io| Pin::new(io).poll_flush(context))
    }

    /// The client must not close what is used after it.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl TlsStream for Tap {
    fn channel_binding(&self) -> ChannelBinding {
        let mut binding = self.binding.lock().unwrap_or_else(PoisonError::into_inner);
        binding.take().unwrap_or_else(ChannelBinding::none)
    }
}

/// Encrypts a stream, and puts a [`Tap`] above.
struct TapConnect<C> {
    inner: C,
    below: Arc<Mutex<Option<BoxIo>>>,
}

type TlsError = Box<dyn StdError + Sync + Send>;

impl<C: TlsConnect<BoxIo>> TlsConnect<BoxIo> for TapConnect<C>
where
    C::Stream: Send + 'static,
    C::Future: 'static,
{
    type Stream = Tap;
    type Error = TlsError;
    type Future = Pin<Box<dyn Future<Output = Result<Tap, TlsError>>>>;

    fn connect(self, stream: BoxIo) -> Self::Future {
        let handshake = self.inner.connect(stream);
        Box::pin(async move {
            let stream = handshake.await.map_err(Into::into)?;
            let binding = stream.channel_binding();
            Ok(Tap::above(&self.below, Box::new(stream), binding))
        })
    }
}

/// Connects and authenticates. The next message is the first request.
pub(crate) async fn connect(address: &Address) -> Result<BoxIo> {
    let config = &address.config;
    let below = Arc::new(Mutex::new(None));
    let (socket, host) = socket(address).await?;
    if config.get_ssl_mode() == SslMode::Disable {
        let tap = Tap::above(&below, socket, ChannelBinding::none());
        drop(config.connect_raw(tap, NoTls).await?);
    } else {
        let connector = MakeTlsConnect::<BoxIo>::make_tls_connect(&mut tls(address.root.as_deref())?, &host);
        let inner = connector.map_err(|error| Error::refused(format!("cannot set up TLS: {error}")))?;
        drop(config.connect_raw(socket, TapConnect { inner, below: below.clone() }).await?);
    }
    let io = below.lock().unwrap_or_else(PoisonError::into_inner).take();
    io.ok_or_else(|| Error::refused("the connection to PostgreSQL was closed"))
}

/// Connects to the first host that answers. Returns its name too.
async fn socket(address: &Address) -> Result<(BoxIo, String)> {
    let config = &address.config;
    let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
    let mut failure = Error::refused("the PostgreSQL address names no host");
    for number in 0..hosts.len().max(addresses.len()) {
        let ports = config.get_ports();
        let port = ports.get(number).or(ports.first()).copied().unwrap_or(5432);
        let name = match hosts.get(number) {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(directory)) => directory.display().to_string(),
            None => String::new(),
        };
        let connect = async {
            Ok::<BoxIo, io::Error>(match (addresses.get(number), hosts.get(number)) {
                (Some(address), _) => Box::new(TcpStream::connect((*address, port)).await?),
                (None, Some(Host::Unix(directory))) => {
                    Box::new(UnixStream::connect(directory.join(format!(".s.PGSQL.{port}"))).await?)
                }
                (None, _) => Box::new(TcpStream::connect((name.as_str(), port)).await?),
            })
        };
        let limit = config.get_connect_timeout().copied().unwrap_or(CONNECT);
        failure = match timeout(limit, connect).await {
            Ok(Ok(socket)) => return Ok((socket, name)),
            Ok(Err(error)) => Error::refused(format!("PostgreSQL: cannot connect to {name}:{port}: {error}")),
            Err(_) => Error::refused(format!("PostgreSQL: no answer from {name}:{port} within {limit:?}")),
        };
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_startup_message_gets_one_more_parameter() {
        let message = b"\0\0\0\x15\0\x03\0\0user\0erp\0\0\0\0\0";
        let message = &message[..21];
        let extended = extended(message).unwrap();
        assert_eq!(extended.len(), 21 + 21);
        assert_eq!(extended[..4], 42_u32.to_be_bytes());
        assert_eq!(&extended[4..20], &message[4..20]);
        assert_eq!(&extended[20..], PARAMETER);
        assert!(super::extended(&message[..20]).is_err() && super::extended(b"\0\0").is_err());
    }
}
