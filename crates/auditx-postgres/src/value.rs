//! PostgreSQL's binary formats of types that the client crate does not support.

use std::error::Error as StdError;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// A `uuid`: 16 bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Uuid(pub(crate) [u8; 16]);

impl ToSql for Uuid {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.put_slice(&self.0);
        Ok(IsNull::No)
    }

    accepts!(UUID);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Uuid {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(bytes.try_into()?))
    }

    accepts!(UUID);
}

/// A `jsonb`: a version byte and the text, which the server parses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jsonb<'l>(pub(crate) &'l str);

impl ToSql for Jsonb<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        const VERSION: u8 = 1;
        out.put_u8(VERSION);
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    accepts!(JSONB);
    to_sql_checked!();
}

/// A `timestamptz`: microseconds since 2000-01-01 UTC.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timestamptz(pub(crate) i64);

impl Timestamptz {
    /// 2000-01-01 in Unix microseconds.
    const EPOCH: i64 = 946_684_800_000_000;

    pub(crate) fn of_unix_micros(micros: i64) -> Self {
        Self(micros.saturating_sub(Self::EPOCH))
    }

    pub(crate) fn unix_micros(self) -> i64 {
        self.0.saturating_add(Self::EPOCH)
    }
}

impl<'a> FromSql<'a> for Timestamptz {
    fn from_sql(_: &Type, bytes: &'a [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(i64::from_be_bytes(bytes.try_into()?)))
    }

    accepts!(TIMESTAMPTZ);
}

impl ToSql for Timestamptz {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        out.put_i64(self.0);
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}
