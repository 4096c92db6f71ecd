//! The OCSF classes and activities to which entries are mapped.

use crate::view::{Subject, View, first_of};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Base,
    EventLog,
    Finding,
    Authentication,
    Entity,
    Api,
}

/// `activity_id` of an activity without a number of its own.
const OTHER: u64 = 99;

impl Class {
    pub(super) fn of(view: &View<'_>) -> Self {
        match view.subject {
            Subject::Erased | Subject::Other => Self::Base,
            Subject::Trail(_) => Self::EventLog,
            Subject::RateLimit => Self::Finding,
            Subject::Logon | Subject::Logoff => Self::Authentication,
            Subject::Request => Self::Api,
            Subject::Record => Self::Entity,
        }
    }

    pub(super) fn uid(self) -> u64 {
        match self {
            Self::Base => 0,
            Self::EventLog => 1008,
            Self::Finding => 2004,
            Self::Authentication => 3002,
            Self::Entity => 3004,
            Self::Api => 6003,
        }
    }

    pub(super) fn category(self) -> u64 {
        self.uid() / 1_000
    }

    /// The captions of its category and of the class.
    pub(super) fn captions(self) -> (&'static str, &'static str) {
        match self {
            Self::Base => ("Uncategorized", "Base Event"),
            Self::EventLog => ("System Activity", "Event Log Activity"),
            Self::Finding => ("Findings", "Detection Finding"),
            Self::Authentication => ("Identity & Access Management", "Authentication"),
            Self::Entity => ("Identity & Access Management", "Entity Management"),
            Self::Api => ("Application Activity", "API Activity"),
        }
    }

    /// The number and the name of the activity; for other activities, the trail's own word.
    pub(super) fn activity<'a>(self, view: &View<'a>) -> (u64, &'a str) {
        match (self, view.subject) {
            (_, Subject::Erased) => (0, "Unknown"),
            (_, Subject::Trail(kind)) => match kind {
                "retired" => (2, "Delete"),
                "export" => (3, "Export"),
                "rotated" => (5, "Rotate"),
                "open" => (6, "Start"),
                "close" => (7, "Stop"),
                other => (OTHER, first_of([other, "unknown"])),
            },
            (_, Subject::RateLimit) => (1, "Create"),
            (_, Subject::Logon) => (1, "Logon"),
            (_, Subject::Logoff) => (2, "Logoff"),
            (Self::Base, _) => (OTHER, view.code()[1]),
            _ => match view.entry.action.as_str() {
                "CREATE" | "IMPORT" => (1, "Create"),
                "READ" | "EXPORT" => (2, "Read"),
                "UPDATE" | "APPROVE" | "REJECT" | "VOID" | "POST" | "PAYMENT" | "REFUND" | "TRANSFER"
                | "ADJUST" => (3, "Update"),
                "DELETE" => (4, "Delete"),
                _ => (OTHER, view.code()[1]),
            },
        }
    }

    /// Whether it has attributes for the record and its old and new values.
    pub(super) fn has_entity(self) -> bool {
        self == Self::Entity
    }

    /// Whether it has the attributes `http_request` and `http_response`.
    pub(super) fn has_http(self) -> bool {
        matches!(self, Self::Authentication | Self::Entity | Self::Api)
    }

    /// Whether it has an attribute for the actor's address.
    pub(super) fn has_source(self) -> bool {
        self != Self::Base
    }
}
