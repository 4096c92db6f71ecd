//! A JSON tree that keeps every digit of a number, used by `EntryBuilder::changes`.
//!
//! `serde_json::Value` holds a number as `u64`, `i64` or `f64`, so a `u128` does not fit and a number of 30
//! digits is rounded. The `Tree` trait lets one encoder write both kinds of tree.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// A JSON value. Members are ordered by key, as in `serde_json::Value`.
#[derive(Debug, Clone, PartialEq)]
pub enum Snapshot {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// The number as text, written to the line unchanged.
    Number(Box<str>),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<Self>),
    /// An object.
    Object(BTreeMap<String, Self>),
}

/// One node of a tree.
pub(crate) enum Node<'t, T> {
    Null,
    Bool(bool),
    Number(&'t dyn fmt::Display),
    Text(&'t str),
    Array(&'t [T]),
    /// Its members are returned by [`Tree::members`].
    Object,
}

/// A JSON tree that can be encoded.
pub(crate) trait Tree: Sized {
    fn node(&self) -> Node<'_, Self>;

    /// Returns the members of an object; empty for any other node.
    fn members(&self) -> impl Iterator<Item = (&String, &Self)>;
}

impl Tree for Value {
    fn node(&self) -> Node<'_, Self> {
        match self {
            Self::Null => Node::Null,
            Self::Bool(value) => Node::Bool(*value),
            Self::Number(number) => Node::Number(number),
            Self::String(text) => Node::Text(text),
            Self::Array(items) => Node::Array(items),
            Self::Object(_) => Node::Object,
        }
    }

    fn members(&self) -> impl Iterator<Item = (&String, &Self)> {
        self.as_object().into_iter().flatten()
    }
}

impl Tree for Snapshot {
    fn node(&self) -> Node<'_, Self> {
        match self {
            Self::Null => Node::Null,
            Self::Bool(value) => Node::Bool(*value),
            Self::Number(digits) => Node::Number(digits),
            Self::Text(text) => Node::Text(text),
            Self::Array(items) => Node::Array(items),
            Self::Object(_) => Node::Object,
        }
    }

    fn members(&self) -> impl Iterator<Item = (&String, &Self)> {
        let members = if let Self::Object(members) = self { Some(members) } else { None };
        members.into_iter().flatten()
    }
}
