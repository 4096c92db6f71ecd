//! Serializes map keys as text, since JSON has no other keys.

use serde::Serialize;
use serde::ser::{Impossible, Serializer};

use super::path::Unstorable;
use super::serializer::digits;

const NOT_TEXT: &str = "a map key must be text, a number or a boolean to be stored as JSON";

/// Serializes one key.
pub(super) struct Key;

fn not_text<T>() -> Result<T, Unstorable> {
    Err(Unstorable::new(NOT_TEXT))
}

macro_rules! displayed {
    ($($method:ident: $type:ty,)*) => {
        $(fn $method(self, value: $type) -> Result<String, Unstorable> {
            Ok(value.to_string())
        })*
    };
}

impl Serializer for Key {
    type Ok = String;
    type Error = Unstorable;
    type SerializeSeq = Impossible<String, Unstorable>;
    type SerializeTuple = Impossible<String, Unstorable>;
    type SerializeTupleStruct = Impossible<String, Unstorable>;
    type SerializeTupleVariant = Impossible<String, Unstorable>;
    type SerializeMap = Impossible<String, Unstorable>;
    type SerializeStruct = Impossible<String, Unstorable>;
    type SerializeStructVariant = Impossible<String, Unstorable>;

    displayed! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_i128: i128,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_u128: u128,
        serialize_char: char,
        serialize_str: &str,
    }

    fn serialize_f32(self, value: f32) -> Result<String, Unstorable> {
        digits(value).map(String::from)
    }

    fn serialize_f64(self, value: f64) -> Result<String, Unstorable> {
        digits(value).map(String::from)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<String, Unstorable> {
        value.serialize(self)
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<String, Unstorable> {
        Ok(variant.to_owned())
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<String, Unstorable> {
        value.serialize(self)
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<String, Unstorable> {
        not_text()
    }

    fn serialize_none(self) -> Result<String, Unstorable> {
        not_text()
    }

    fn serialize_unit(self) -> Result<String, Unstorable> {
        not_text()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<String, Unstorable> {
        not_text()
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<String, Unstorable> {
        not_text()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self::SerializeSeq, Unstorable> {
        not_text()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self::SerializeTuple, Unstorable> {
        not_text()
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleStruct, Unstorable> {
        not_text()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Unstorable> {
        not_text()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Unstorable> {
        not_text()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self::SerializeStruct, Unstorable> {
        not_text()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Unstorable> {
        not_text()
    }
}
