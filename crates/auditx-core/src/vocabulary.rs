//! The words every entry is made of: levels, business modules, actions. Exact strings in JSON.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// How much an entry matters. Compared by gravity: DEBUG < INFO < NORMAL < AUDIT < WARNING < ERROR < SECURITY < CRITICAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogLevel {
    /// For developers.
    Debug,
    /// For operators.
    Info,
    /// Everyday business.
    Normal,
    /// Something to look at.
    Warning,
    /// Something failed.
    Error,
    /// Somebody must act.
    Critical,
    /// A fact an auditor will ask for.
    Audit,
    /// A fact a security officer will ask for.
    Security,
}

impl LogLevel {
    /// All levels, in rising gravity.
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

    /// The string in JSON.
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

    /// SECURITY and CRITICAL: what security.jsonl repeats and what is synced at once by default.
    #[must_use]
    pub fn is_sensitive(self) -> bool {
        matches!(self, Self::Security | Self::Critical)
    }

    fn gravity(self) -> usize {
        Self::ALL.iter().position(|&level| level == self).unwrap_or(Self::ALL.len())
    }
}

impl Ord for LogLevel {
    fn cmp(&self, other: &Self) -> Ordering {
        self.gravity().cmp(&other.gravity())
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

    /// In any case; an unknown level is `is_invalid`.
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text)).ok_or_else(|| {
            Error::invalid(format!(
                "{text:?} is not a level; one of DEBUG INFO NORMAL WARNING ERROR CRITICAL AUDIT SECURITY"
            ))
        })
    }
}

/// The longest name an application may give a module or an action of its own.
const MAX_NAME: usize = 64;

/// Defines an open vocabulary: known words plus room for an application's own.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $name:ident, $what:literal, $case:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$word_doc])* $word,)*
            /// An application's own; made with `other` or by parsing.
            Other(Cow<'static, str>),
        }

        impl $name {
            /// The known words, without an application's own.
            pub const ALL: &'static [Self] = &[$(Self::$word,)*];

            /// An application's own word, in the vocabulary's case. A name that is no word of 1 to 64 ASCII letters,
            /// digits and underscores is refused when the entry is recorded. A known word gives the known variant.
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

            /// The string in JSON.
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
                        concat!($what, " {:?} is not a word of 1 to {} ASCII letters, digits and underscores"), name, MAX_NAME
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

            /// In any case; an unknown word becomes the application's own.
            fn from_str(text: &str) -> Result<Self> {
                let word = Self::other(text.to_owned());
                word.check()?;
                Ok(word)
            }
        }
    };
}

vocabulary! {
    /// The part of the business an entry belongs to.
    BusinessModule, "module", to_ascii_lowercase {
        /// Who may do what.
        Auth = "auth",
        /// Selling.
        Sales = "sales",
        /// Buying.
        Purchase = "purchase",
        /// Stock.
        Inventory = "inventory",
        /// Ledgers.
        Accounting = "accounting",
        /// Service jobs.
        Service = "service",
        /// Customers.
        Crm = "crm",
        /// People.
        Hr = "hr",
        /// Reports.
        Reporting = "reporting",
        /// The software itself.
        System = "system",
    }
}

vocabulary! {
    /// What was done.
    AuditAction, "action", to_ascii_uppercase {
        /// Made.
        Create = "CREATE",
        /// Looked at.
        Read = "READ",
        /// Changed.
        Update = "UPDATE",
        /// Removed.
        Delete = "DELETE",
        /// Approved.
        Approve = "APPROVE",
        /// Rejected.
        Reject = "REJECT",
        /// Declared void.
        Void = "VOID",
        /// Posted to a ledger.
        Post = "POST",
        /// Paid.
        Payment = "PAYMENT",
        /// Paid back.
        Refund = "REFUND",
        /// Moved.
        Transfer = "TRANSFER",
        /// Corrected.
        Adjust = "ADJUST",
        /// Signed in.
        Login = "LOGIN",
        /// Signed out.
        Logout = "LOGOUT",
        /// Taken out of the system.
        Export = "EXPORT",
        /// Brought into the system.
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
    fn an_application_may_have_words_of_its_own() {
        assert_eq!(BusinessModule::other("Manufacturing").as_str(), "manufacturing");
        assert_eq!(AuditAction::other("ship").as_str(), "SHIP");
        assert_eq!(AuditAction::other("login"), AuditAction::Login);
        for bad in ["", "two words", "naïve", "semi;colon", &"x".repeat(65)] {
            assert!(bad.parse::<BusinessModule>().unwrap_err().is_invalid(), "{bad:?}");
        }
    }

    #[test]
    fn levels_rise_in_the_documented_order() {
        assert!(LogLevel::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(LogLevel::Normal < LogLevel::Audit && LogLevel::Error < LogLevel::Security);
        assert!("LOUD".parse::<LogLevel>().unwrap_err().is_invalid());
    }
}
