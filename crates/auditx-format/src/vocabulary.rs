//! The vocabularies of entries: levels, business modules and actions, with their exact strings in JSON.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// The level of an entry. Levels are ordered by severity: DEBUG < INFO < NORMAL < AUDIT < WARNING < ERROR <
/// SECURITY < CRITICAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogLevel {
    /// For developers.
    Debug,
    /// For operators.
    Info,
    /// Everyday business.
    Normal,
    /// Something that needs a look.
    Warning,
    /// A failure.
    Error,
    /// Something that needs immediate action.
    Critical,
    /// Something that matters to an auditor.
    Audit,
    /// Something that matters to a security officer.
    Security,
}

impl LogLevel {
    /// All levels, in order of increasing severity.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Normal,
        Self::Audit,
        Self::Warning,
        Self::Error,
        Self::Security,
        Self::Critical,
    ];

    /// Returns the string used in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Normal => "NORMAL",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
            Self::Audit => "AUDIT",
            Self::Security => "SECURITY",
        }
    }

    /// Returns `true` for SECURITY and CRITICAL. Entries of these levels are copied to security.jsonl and, by
    /// default, synced at once.
    #[must_use]
    pub fn is_sensitive(self) -> bool {
        matches!(self, Self::Security | Self::Critical)
    }

    fn severity(self) -> usize {
        Self::ALL.iter().position(|&level| level == self).unwrap_or(Self::ALL.len())
    }
}

impl Ord for LogLevel {
    fn cmp(&self, other: &Self) -> Ordering {
        self.severity().cmp(&other.severity())
    }
}

impl PartialOrd for LogLevel {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for LogLevel {
    type Err = Error;

    /// Parses a level, ignoring case.
    ///
    /// # Errors
    /// `is_invalid` if there is no such level.
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            Error::invalid(format!(
                "invalid level {text:?}: expected DEBUG, INFO, NORMAL, AUDIT, WARNING, ERROR, SECURITY or \
                 CRITICAL"
            ))
        })
    }
}

/// The longest name of an application-defined module or action.
const MAX_NAME: usize = 64;

/// Defines an open vocabulary: known words, plus words defined by the application.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident, $what:literal, $case:ident {
        $($(#[$word_doc:meta])* $word:ident = $text:literal,)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* $word,)*
            /// A word defined by the application, created with `other` or by parsing.
            Other(Cow<'static, str>),
        }

        impl $name {
            /// The known words, without those defined by applications.
            pub const ALL: &'static [Self] = &[$(Self::$word,)*];

            /// Returns an application-defined word, converted to the case of this vocabulary. Returns the
            /// known variant if `name` is a known word.
            ///
            /// A name must consist of 1 to 64 ASCII letters, digits and underscores. Any other name is
            /// rejected when the entry is recorded.
            #[must_use]
            pub fn other(name: impl Into<Cow<'static, str>>) -> Self {
                let mut name = name.into();
                if let Some(known) = Self::known(&name) {
                    return known;
                }
                let cased = name.$case();
                if cased != name {
                    name = Cow::Owned(cased);
                }
                Self::Other(name)
            }

            /// Returns the string used in JSON.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$word => $text,)*
                    Self::Other(name) => name,
                }
            }

            pub(crate) fn check(&self) -> Result<()> {
                match self {
                    Self::Other(name) if !is_word(name) => Err(Error::invalid(format!(
                        "invalid {} {:?}: expected 1 to {} ASCII letters, digits and underscores",
                        $what, name, MAX_NAME
                    ))),
                    _ => Ok(()),
                }
            }

            fn known(text: &str) -> Option<Self> {
                Self::ALL.iter().find(|word| word.as_str().eq_ignore_ascii_case(text)).cloned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Parses a word, ignoring case. An unknown word becomes [`Self::Other`].
            ///
            /// # Errors
            /// `is_invalid` if the text does not consist of 1 to 64 ASCII letters, digits and underscores.
            fn from_str(text: &str) -> Result<Self> {
                let word = Self::other(text.to_owned());
                word.check()?;
                Ok(word)
            }
        }
    };
}

vocabulary! {
    /// The business module an entry belongs to.
    BusinessModule, "module", to_ascii_lowercase {
        /// Authentication and permissions.
        Auth = "auth",
        /// Sales.
        Sales = "sales",
        /// Purchasing.
        Purchase = "purchase",
        /// Inventory.
        Inventory = "inventory",
        /// Accounting.
        Accounting = "accounting",
        /// Service jobs.
        Service = "service",
        /// Customer relationship management.
        Crm = "crm",
        /// Human resources.
        Hr = "hr",
        /// Reporting.
        Reporting = "reporting",
        /// The software itself.
        System = "system",
    }
}

vocabulary! {
    /// The action an entry records.
    AuditAction, "action", to_ascii_uppercase {
        /// A record was created.
        Create = "CREATE",
        /// A record was read.
        Read = "READ",
        /// A record was changed.
        Update = "UPDATE",
        /// A record was deleted.
        Delete = "DELETE",
        /// A document was approved.
        Approve = "APPROVE",
        /// A document was rejected.
        Reject = "REJECT",
        /// A document was voided.
        Void = "VOID",
        /// A document was posted to a ledger.
        Post = "POST",
        /// A payment was made or received.
        Payment = "PAYMENT",
        /// A payment was refunded.
        Refund = "REFUND",
        /// Stock or money was transferred.
        Transfer = "TRANSFER",
        /// A quantity or a balance was adjusted.
        Adjust = "ADJUST",
        /// A user signed in.
        Login = "LOGIN",
        /// A user signed out.
        Logout = "LOGOUT",
        /// Data was exported.
        Export = "EXPORT",
        /// Data was imported.
        Import = "IMPORT",
    }
}

fn is_word(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_parse_in_any_case_and_display_exactly() {
        assert_eq!("sAlEs".parse::<BusinessModule>().unwrap(), BusinessModule::Sales);
        assert_eq!("transfer".parse::<AuditAction>().unwrap(), AuditAction::Transfer);
        assert_eq!("security".parse::<LogLevel>().unwrap(), LogLevel::Security);
        for word in BusinessModule::ALL {
            assert_eq!(&word.as_str().to_uppercase().parse::<BusinessModule>().unwrap(), word);
        }
        for word in AuditAction::ALL {
            assert_eq!(&word.as_str().to_lowercase().parse::<AuditAction>().unwrap(), word);
        }
    }

    #[test]
    fn applications_can_define_their_own_words() {
        assert_eq!(BusinessModule::other("Manufacturing").as_str(), "manufacturing");
        assert_eq!(AuditAction::other("ship").as_str(), "SHIP");
        assert_eq!(AuditAction::other("login"), AuditAction::Login);
        for bad in ["", "two words", "naïve", "semi;colon", &"x".repeat(65)] {
            assert!(bad.parse::<BusinessModule>().unwrap_err().is_invalid(), "{bad:?}");
        }
    }

    #[test]
    fn levels_are_ordered_by_severity() {
        assert!(LogLevel::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(LogLevel::Normal < LogLevel::Audit && LogLevel::Error < LogLevel::Security);
        assert!("LOUD".parse::<LogLevel>().unwrap_err().is_invalid());
    }
}
