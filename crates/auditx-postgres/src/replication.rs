//! A connection that speaks the replication protocol: requests as text, and then a stream of the log.

use std::io;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::address::Address;
use crate::error::{Error, Result};
use crate::lsn::Lsn;
use crate::startup::{BoxIo, connect};

/// The SQLSTATE of a slot that another session reads.
pub(crate) const IN_USE: &str = "55006";

/// A connection for replication.
pub(crate) struct Replication {
    io: BoxIo,
    /// What was received and not read yet.
    input: BytesMut,
    /// A frame of the stream that was read and given back.
    returned: Option<Frame>,
}

/// What the server sends while it streams.
#[derive(Debug)]
pub(crate) enum Frame {
    /// A message of the output plugin.
    Message(Bytes),
    /// All transactions that committed before this position were sent.
    Alive { end: Lsn, wants_reply: bool },
}

/// Why a request was refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: String,
    pub(crate) error: Error,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { code: String::new(), error }
    }
}

fn lost(error: &io::Error) -> Error {
    Error::refused(format!("PostgreSQL: the replication connection was lost: {error}"))
}

fn invalid(what: &str) -> Error {
    Error::refused(format!("PostgreSQL: invalid message of the replication protocol: {what}"))
}

/// The longest message that a server can send: a row has at most 1 GiB, and PostgreSQL's messages too.
const MAX_FRAME: usize = 0x4000_0000;

impl Replication {
    pub(crate) async fn open(address: &Address) -> Result<Self> {
        let io = connect(address).await?;
        Ok(Self { io, input: BytesMut::with_capacity(256 * 1024), returned: None })
    }

    /// Returns the next message, if all of it was received.
    fn received(&mut self) -> Result<Option<(u8, Bytes)>> {
        let Some((kind, rest)) = self.input.split_first() else { return Ok(None) };
        let (kind, Some(len)) = (*kind, rest.first_chunk::<4>()) else { return Ok(None) };
        let len = u32::from_be_bytes(*len) as usize;
        if !(4..=MAX_FRAME).contains(&len) {
            return Err(invalid(&format!("a length of {len}")));
        }
        if self.input.len() <= len {
            return Ok(None);
        }
        let mut message = self.input.split_to(len + 1).freeze();
        message.advance(5);
        Ok(Some((kind, message)))
    }

    /// Waits for more bytes. Loses none if it is cancelled.
    async fn receive(&mut self) -> Result<()> {
        self.input.reserve(64 * 1024);
        match self.io.read_buf(&mut self.input).await {
            Ok(0) => Err(lost(&io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => Ok(()),
            Err(error) => Err(lost(&error)),
        }
    }

    async fn message(&mut self) -> Result<(u8, Bytes)> {
        loop {
            if let Some(message) = self.received()? {
                return Ok(message);
            }
            self.receive().await?;
        }
    }

    async fn send(&mut self, kind: u8, body: &[u8]) -> Result<()> {
        let len = u32::try_from(body.len() + 4).map_err(|_| invalid("a request that is too long"))?;
        let mut message = BytesMut::with_capacity(body.len() + 5);
        message.put_u8(kind);
        message.put_u32(len);
        message.put_slice(body);
        self.io.write_all(&message).await.map_err(|error| lost(&error))?;
        self.io.flush().await.map_err(|error| lost(&error))
    }

    /// Runs a request and returns its rows.
    pub(crate) async fn query(&mut self, text: &str) -> Result<Vec<Vec<String>>> {
        let mut rows = Vec::new();
        let mut failure = None;
        self.send(b'Q', &[text.as_bytes(), b"\0"].concat()).await?;
        loop {
            match self.message().await? {
                (b'D', row) => rows.push(fields(row).ok_or_else(|| invalid("a row"))?),
                (b'E', error) => failure = Some(refusal(&error).error),
                (b'Z', _) => break,
                _ => {}
            }
        }
        failure.map_or(Ok(rows), Err)
    }

    /// Starts to stream. From then on, only [`Replication::next`] and [`Replication::confirm`] work.
    pub(crate) async fn start(&mut self, request: &str) -> Result<(), Refusal> {
        self.send(b'Q', &[request.as_bytes(), b"\0"].concat()).await?;
        let mut failure = None;
        loop {
            match self.message().await? {
                (b'W', _) => return Ok(()),
                (b'E', error) => failure = Some(refusal(&error)),
                (b'Z', _) => return Err(failure.unwrap_or_else(|| invalid("no stream").into())),
                _ => {}
            }
        }
    }

    /// Waits for the next frame. Loses none if it is cancelled.
    pub(crate) async fn next(&mut self) -> Result<Frame> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(frame);
            }
            self.receive().await?;
        }
    }

    /// Returns the next frame if it has arrived.
    pub(crate) fn try_next(&mut self) -> Result<Option<Frame>> {
        loop {
            if let Some(frame) = self.buffered()? {
                return Ok(Some(frame));
            }
            match self.receive().now_or_never() {
                None => return Ok(None),
                Some(received) => received?,
            }
        }
    }

    /// Makes this frame the next one again.
    pub(crate) fn give_back(&mut self, frame: Frame) {
        self.returned = Some(frame);
    }

    fn buffered(&mut self) -> Result<Option<Frame>> {
        if let Some(frame) = self.returned.take() {
            return Ok(Some(frame));
        }
        while let Some((kind, mut body)) = self.received()? {
            match kind {
                b'd' => return frame(&mut body).map(Some).ok_or_else(|| invalid("a part of the stream")),
                b'E' => return Err(refusal(&body).error),
                b'c' | b'C' | b'Z' => return Err(Error::refused("PostgreSQL: the server ended the stream")),
                // A notice, or a setting that was changed.
                _ => {}
            }
        }
        Ok(None)
    }

    /// Tells the server that everything before this position is durable here, and asks for its position.
    pub(crate) async fn confirm(&mut self, lsn: Lsn, wants_reply: bool) -> Result<()> {
        let mut body = BytesMut::with_capacity(34);
        body.put_u8(b'r');
        // Written, flushed and applied.
        (0..3).for_each(|_| body.put_u64(lsn.0));
        body.put_i64(0);
        body.put_u8(wants_reply.into());
        self.send(b'd', &body).await
    }
}

fn frame(body: &mut Bytes) -> Option<Frame> {
    match body.try_get_u8().ok()? {
        b'w' => {
            for _ in 0..3 {
                body.try_get_u64().ok()?;
            }
            Some(Frame::Message(body.clone()))
        }
        b'k' => {
            let end = Lsn(body.try_get_u64().ok()?);
            body.try_get_i64().ok()?;
            Some(Frame::Alive { end, wants_reply: body.try_get_u8().ok()? != 0 })
        }
        _ => None,
    }
}

/// Parses a row of texts. A null is an empty text.
fn fields(mut row: Bytes) -> Option<Vec<String>> {
    let count = row.try_get_u16().ok()?;
    let mut fields = Vec::new();
    for _ in 0..count {
        let len = row.try_get_i32().ok()?;
        let bytes = match usize::try_from(len) {
            Ok(len) if len <= row.len() => row.split_to(len),
            Ok(_) => return None,
            Err(_) => Bytes::new(),
        };
        fields.push(String::from_utf8(bytes.to_vec()).ok()?);
    }
    Some(fields)
}

/// Reads the code and the text of an error: fields that begin with a letter and end with a zero byte.
fn refusal(body: &[u8]) -> Refusal {
    let field = |kind: u8| {
        let found = body.split(|byte| *byte == 0).find(|field| field.first() == Some(&kind));
        found.and_then(|field| field.get(1..)).map(|text| String::from_utf8_lossy(text).into_owned())
    };
    let (code, message) = (field(b'C').unwrap_or_default(), field(b'M').unwrap_or_default());
    Refusal { error: Error::refused(format!("PostgreSQL: {message} (SQLSTATE {code})")), code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_rows_are_read_strictly() {
        let mut alive = Bytes::from_static(b"k\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\x01");
        assert!(matches!(frame(&mut alive), Some(Frame::Alive { end: Lsn(7), wants_reply: true })));
        let data = [b"w", &[0; 24][..], b"B"].concat();
        let Some(Frame::Message(message)) = frame(&mut Bytes::from(data.clone())) else { panic!() };
        assert_eq!(&message[..], b"B");
        for len in 0..25 {
            assert!(frame(&mut Bytes::copy_from_slice(&data[..len])).is_none(), "{len}");
        }
        let row = Bytes::from_static(b"\0\x02\0\0\0\x02ab\xff\xff\xff\xff");
        assert_eq!(fields(row).unwrap(), ["ab", ""]);
        assert_eq!(fields(Bytes::from_static(b"\0\x01\0\0\0\x02a")), None);
        let refusal = refusal(b"SERROR\0C55006\0Mslot is active\0\0");
        assert_eq!(refusal.code, IN_USE);
        assert!(refusal.error.to_string().contains("slot is active (SQLSTATE 55006)"));
    }
}
