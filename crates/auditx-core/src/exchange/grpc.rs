//! The status of gRPC calls over HTTP/2.
//!
//! The HTTP status of a gRPC response is always 200. The status of the call is in `grpc-status`, in the
//! trailers or, if there is no body, in the headers. If it is missing, the status is UNKNOWN, not OK
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use auditx_format::vocabulary::LogLevel;
use percent_encoding::percent_decode;

use super::request::{Headers, first};
use super::{MAX_ERROR_LEN, shortened};

const OK: u16 = 0;
const UNKNOWN: u16 = 2;

/// The status and the message of a call, as far as they are known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct GrpcCall {
    status: Option<u16>,
    pub(super) message: Option<String>,
}

impl GrpcCall {
    /// Returns the call if the response is a gRPC response.
    pub(super) fn of(headers: &dyn Headers) -> Option<Self> {
        let is_grpc = first(headers, "content-type", |value| {
            let rest = value.strip_prefix(b"application/grpc".as_slice());
            rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
        });
        is_grpc.unwrap_or(false).then(|| {
            let mut call = Self::default();
            call.read(headers);
            call
        })
    }

    /// Reads status and message from headers or trailers.
    pub(super) fn read(&mut self, headers: &dyn Headers) {
        let status = first(headers, "grpc-status", |value| {
            std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(UNKNOWN)
        });
        self.status = status.or(self.status);
        let message = first(headers, "grpc-message", |value| {
            shortened(&percent_decode(value).decode_utf8_lossy(), MAX_ERROR_LEN).into_owned()
        });
        self.message = message.filter(|message| !message.is_empty()).or(self.message.take());
    }

    pub(super) fn status(&self) -> u16 {
        self.status.unwrap_or(UNKNOWN)
    }

    pub(super) fn is_ok(&self) -> bool {
        self.status() == OK
    }

    /// Returns WARNING for an error of the caller, and ERROR for an error of the service or of unknown
    /// origin.
    pub(super) fn level(&self) -> LogLevel {
        match self.status() {
            OK => LogLevel::Audit,
            // CANCELLED, INVALID_ARGUMENT, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED,
            // FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNAUTHENTICATED
            1 | 3 | 5..=11 | 16 => LogLevel::Warning,
            _ => LogLevel::Error,
        }
    }
}
