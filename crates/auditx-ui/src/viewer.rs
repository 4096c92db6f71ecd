//! Who looks at the trail, and which entries exist for them.

use auditx_reader::{Field, Query};

/// A person or program that reads the trail. Every read is recorded with their name.
///
/// An application that mounts the dashboard inserts one into the extensions of each request that it lets
/// through:
///
/// ```
/// use auditx_ui::Viewer;
/// use axum::extract::Request;
///
/// fn let_through(mut request: Request) -> Request {
///     request.extensions_mut().insert(Viewer::new("mya").role("auditor").branch("MDY"));
///     request
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Viewer {
    pub(crate) name: String,
    pub(crate) role: String,
    company: Option<String>,
    branch: Option<String>,
}

impl Viewer {
    /// A viewer who sees every entry.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), role: String::new(), company: None, branch: None }
    }

    /// Sets the role that is recorded with each read.
    #[must_use]
    pub fn role(mut self, role: impl Into<String>) -> Self {
        self.role = role.into();
        self
    }

    /// Restricts the viewer to entries of this company. Others, and entries without a company, do not exist
    /// for them.
    #[must_use]
    pub fn company(mut self, id: impl Into<String>) -> Self {
        self.company = Some(id.into());
        self
    }

    /// Restricts the viewer to entries of this branch, as [`Viewer::company`] does.
    #[must_use]
    pub fn branch(mut self, id: impl Into<String>) -> Self {
        self.branch = Some(id.into());
        self
    }

    /// Whether some entries do not exist for this viewer.
    pub(crate) fn is_scoped(&self) -> bool {
        self.company.is_some() || self.branch.is_some()
    }

    /// Returns the scope as flags of the command; empty if every entry exists for this viewer.
    pub(crate) fn scope_text(&self) -> String {
        let flags = [("company", &self.company), ("branch", &self.branch)];
        let given = flags.into_iter().filter_map(|(flag, id)| Some(format!("--{flag} {:?}", id.as_ref()?)));
        given.collect::<Vec<_>>().join(" ")
    }

    /// Matches the entries that exist for this viewer.
    pub(crate) fn scope(&self) -> Query {
        let is = |query: Query, field, id: &Option<String>| match id {
            Some(id) => query.and(Query::is(field, [id])),
            None => query,
        };
        is(is(Query::everything(), Field::CompanyId, &self.company), Field::BranchId, &self.branch)
    }
}
