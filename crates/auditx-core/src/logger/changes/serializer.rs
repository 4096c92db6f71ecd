//! Serializes a record into a [`Snapshot`].
//!
//! Works like `serde_json::to_value`, except that every number keeps its digits and an error has the path of
//! the field.

use std::collections::BTreeMap;

use auditx_format::encode::{MAX_DEPTH, too_deep};
use auditx_format::row::Json;
use auditx_format::snapshot::Snapshot;
use serde::Serialize;
use serde::ser::{
    SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::key::Key;
use super::path::Unstorable;

type Result<T> = std::result::Result<T, Unstorable>;

/// The names of the structs as which `serde_json` serializes a `RawValue` and, with arbitrary precision, a
/// `Number`. Their only field is JSON text.
const JSON_TEXT: [&str; 2] = ["$serde_json::private::RawValue", "$serde_json::private::Number"];

pub(super) fn to_snapshot(record: &impl Serialize) -> Result<Snapshot> {
    record.serialize(Value { depth: 0 })
}

/// Returns the shortest digits that parse to the same number.
pub(super) fn digits(value: impl zmij::Float + Into<f64> + Copy) -> Result<Box<str>> {
    let wide: f64 = value.into();
    if wide.is_finite() {
        Ok(zmij::Buffer::new().format_finite(value).into())
    } else {
        Err(Unstorable::new(format_args!("{wide} cannot be stored as JSON")))
    }
}

/// Serializes one value.
#[derive(Clone, Copy)]
struct Value {
    /// The number of enclosing arrays and objects.
    depth: usize,
}

impl Value {
    /// Returns the serializer of the values inside this one. The limit also prevents an infinitely nested
    /// record from overflowing the stack.
    fn inner(self) -> Result<Self> {
        if self.depth >= MAX_DEPTH {
            return Err(Unstorable::new(too_deep()));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

fn number(digits: impl ToString) -> Snapshot {
    Snapshot::Number(digits.to_string().into())
}

/// Parses JSON text that is embedded in a record.
fn read(text: &str) -> Result<Snapshot> {
    let json = Json::read(text).ok_or_else(|| Unstorable::new(format_args!("{text:?} is not JSON")))?;
    Ok(copy(json))
}

/// Recurses as deep as the text is nested, which `Json::read` limits.
fn copy(json: Json<'_>) -> Snapshot {
    match json {
        Json::Null => Snapshot::Null,
        Json::Bool(value) => Snapshot::Bool(value),
        Json::Number(digits) => Snapshot::Number(digits.into()),
        Json::Text(_) => Snapshot::Text(json.text().unwrap_or_default().into_owned()),
        Json::Array(_) => Snapshot::Array(json.items().map(copy).collect()),
        Json::Object(_) => {
            Snapshot::Object(json.members().map(|(key, value)| (key.into_owned(), copy(value))).collect())
        }
    }
}

/// Wraps the value of an enum variant: `{"Variant": value}`. Returns it unchanged if there is no variant.
fn within(variant: Option<&'static str>, value: Snapshot) -> Snapshot {
    match variant {
        Some(variant) => Snapshot::Object(BTreeMap::from([(variant.to_owned(), value)])),
        None => value,
    }
}

macro_rules! numbers {
    ($($method:ident: $type:ty,)*) => {
        $(fn $method(self, value: $type) -> Result<Snapshot> {
            Ok(number(value))
        })*
    };
}

impl Serializer for Value {
    type Ok = Snapshot;
    type Error = Unstorable;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Members;
    type SerializeStruct = Members;
    type SerializeStructVariant = Members;

    numbers! {
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
    }

    fn serialize_bool(self, value: bool) -> Result<Snapshot> {
        Ok(Snapshot::Bool(value))
    }

    fn serialize_f32(self, value: f32) -> Result<Snapshot> {
        digits(value).map(Snapshot::Number)
    }

    fn serialize_f64(self, value: f64) -> Result<Snapshot> {
        digits(value).map(Snapshot::Number)
    }

    fn serialize_char(self, value: char) -> Result<Snapshot> {
        Ok(Snapshot::Text(value.to_string()))
    }

    fn serialize_str(self, value: &str) -> Result<Snapshot> {
        Ok(Snapshot::Text(value.to_owned()))
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<Snapshot> {
        Ok(Snapshot::Array(value.iter().map(number).collect()))
    }

    fn serialize_none(self) -> Result<Snapshot> {
        Ok(Snapshot::Null)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<Snapshot> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Snapshot> {
        Ok(Snapshot::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Snapshot> {
        Ok(Snapshot::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Snapshot> {
        Ok(Snapshot::Text(variant.to_owned()))
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(self, _: &'static str, value: &T) -> Result<Snapshot> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Snapshot> {
        let value = value.serialize(self.inner()?).map_err(|error| error.in_field(variant))?;
        Ok(within(Some(variant), value))
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Items> {
        Items::new(self, None, len.unwrap_or(0))
    }

    fn serialize_tuple(self, len: usize) -> Result<Items> {
        Items::new(self, None, len)
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Items> {
        Items::new(self, None, len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Items> {
        Items::new(self.inner()?, Some(variant), len)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members> {
        Members::new(self, None)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Members> {
        let members = Members::new(self, None)?;
        Ok(Members { is_json_text: JSON_TEXT.contains(&name), ..members })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members> {
        Members::new(self.inner()?, Some(variant))
    }
}

/// Serializes an array item by item.
struct Items {
    inner: Value,
    variant: Option<&'static str>,
    items: Vec<Snapshot>,
}

impl Items {
    fn new(outer: Value, variant: Option<&'static str>, len: usize) -> Result<Self> {
        // The length is only a hint of the record; a wrong one must not allocate much.
        let items = Vec::with_capacity(len.min(1_024));
        Ok(Self { inner: outer.inner()?, variant, items })
    }

    fn add<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        let item = value
            .serialize(self.inner)
            .map_err(|error| in_variant(error.in_item(self.items.len()), self.variant))?;
        self.items.push(item);
        Ok(())
    }

    fn finish(self) -> Result<Snapshot> {
        Ok(within(self.variant, Snapshot::Array(self.items)))
    }
}

/// Serializes an object member by member.
struct Members {
    inner: Value,
    variant: Option<&'static str>,
    members: BTreeMap<String, Snapshot>,
    /// The key whose value follows.
    key: String,
    is_json_text: bool,
}

impl Members {
    fn new(outer: Value, variant: Option<&'static str>) -> Result<Self> {
        Ok(Self {
            inner: outer.inner()?,
            variant,
            members: BTreeMap::new(),
            key: String::new(),
            is_json_text: false,
        })
    }

    fn add<T: ?Sized + Serialize>(&mut self, key: String, value: &T) -> Result<()> {
        match value.serialize(self.inner) {
            Ok(value) => {
                self.members.insert(key, value);
                Ok(())
            }
            Err(error) => Err(in_variant(error.in_field(&key), self.variant)),
        }
    }

    fn finish(mut self) -> Result<Snapshot> {
        match self.members.pop_first() {
            Some((_, Snapshot::Text(text))) if self.is_json_text => read(&text),
            first => {
                self.members.extend(first);
                Ok(within(self.variant, Snapshot::Object(self.members)))
            }
        }
    }
}

fn in_variant(error: Unstorable, variant: Option<&'static str>) -> Unstorable {
    match variant {
        Some(variant) => error.in_field(variant),
        None => error,
    }
}

macro_rules! items {
    ($($of:ident::$method:ident,)*) => {
        $(impl $of for Items {
            type Ok = Snapshot;
            type Error = Unstorable;

            fn $method<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
                self.add(value)
            }

            fn end(self) -> Result<Snapshot> {
                self.finish()
            }
        })*
    };
}

items! {
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
}

macro_rules! members {
    ($($of:ident,)*) => {
        $(impl $of for Members {
            type Ok = Snapshot;
            type Error = Unstorable;

            fn serialize_field<T: ?Sized + Serialize>(&mut self, key: &'static str, value: &T) -> Result<()> {
                self.add(key.to_owned(), value)
            }

            fn end(self) -> Result<Snapshot> {
                self.finish()
            }
        })*
    };
}

members! {
    SerializeStruct,
    SerializeStructVariant,
}

impl SerializeMap for Members {
    type Ok = Snapshot;
    type Error = Unstorable;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<()> {
        self.key = key.serialize(Key).map_err(|error| in_variant(error, self.variant))?;
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<()> {
        let key = std::mem::take(&mut self.key);
        self.add(key, value)
    }

    fn end(self) -> Result<Snapshot> {
        self.finish()
    }
}
