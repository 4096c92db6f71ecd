//! The builder of entries. Required fields are arguments of the helpers such as `log_transaction`; the others
//! have setters.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::net::IpAddr;
use std::time::SystemTime;

use auditx_format::Result;
use auditx_format::amount::Amount;
use auditx_format::context::RequestContext;
use auditx_format::encoded::EncodedEntry;
use auditx_format::entry::{Entry, MetadataValue};
use auditx_format::vocabulary::{AuditAction, BusinessModule, LogLevel};
use serde_json::Value;
use uuid::Uuid;

use super::AuditLogger;
use super::accept::Within;
use crate::receipt::Receipt;

/// The user of a security event that names none.
const UNKNOWN_USER: &str = "UNKNOWN";

/// Marks the builder of [`AuditLogger::log`].
#[derive(Debug, Clone, Copy)]
pub struct General;
/// Marks the builder of [`AuditLogger::log_transaction`].
#[derive(Debug, Clone, Copy)]
pub struct Transaction;
/// Marks the builder of [`AuditLogger::log_inventory`].
#[derive(Debug, Clone, Copy)]
pub struct Inventory;
/// Marks the builder of [`AuditLogger::log_service`].
#[derive(Debug, Clone, Copy)]
pub struct Service;
/// Marks the builder of [`AuditLogger::log_change`].
#[derive(Debug, Clone, Copy)]
pub struct Change;
/// Marks the builder of [`AuditLogger::log_security`].
#[derive(Debug, Clone, Copy)]
pub struct Security;

/// Builds an entry, which is recorded by [`EntryBuilder::record`] or [`EntryBuilder::record_async`].
///
/// User, role, company, branch, session, request and address come from the current [`RequestContext`] unless
/// they are set here. `&str` arguments are borrowed, not copied.
#[must_use = "an entry is recorded by `record()`"]
pub struct EntryBuilder<'a, K> {
    logger: &'a AuditLogger,
    pub(super) entry: Entry<'a>,
    level: Option<LogLevel>,
    is_security: bool,
    kind: PhantomData<K>,
}

impl<K> fmt::Debug for EntryBuilder<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryBuilder")
            .field("module", &self.entry.module.as_str())
            .field("action", &self.entry.action.as_str())
            .finish_non_exhaustive()
    }
}

impl AuditLogger {
    /// Builds an entry of any kind. Default: module system, level NORMAL, action READ.
    pub fn log<'a>(&'a self, description: impl Into<Cow<'a, str>>) -> EntryBuilder<'a, General> {
        let mut builder = EntryBuilder::new(self, description, BusinessModule::System, AuditAction::Read);
        builder.entry.level = LogLevel::Normal;
        builder
    }

    /// Builds an entry about money that moved or is owed: a posted invoice, a payment, a refund.
    #[inline(always)]
    pub fn log_transaction<'a>(
        &'a self,
        description: impl Into<Cow<'a, str>>,
        module: BusinessModule,
        action: AuditAction,
        reference_no: impl Into<Cow<'a, str>>,
        amount: impl Into<Amount>,
    ) -> EntryBuilder<'a, Transaction> {
        EntryBuilder::new(self, description, module, action).reference_no(reference_no).amount(amount)
    }

    /// Builds an entry about stock that moved. `quantity` is exact, in units of [`EntryBuilder::unit`]
    /// (default `pcs`).
    pub fn log_inventory<'a>(
        &'a self,
        description: impl Into<Cow<'a, str>>,
        action: AuditAction,
        product_id: impl Into<Cow<'a, str>>,
        quantity: impl Into<Amount>,
    ) -> EntryBuilder<'a, Inventory> {
        EntryBuilder::new(self, description, BusinessModule::Inventory, action)
            .entity("product", product_id)
            .metadata("quantity", quantity.into())
            .metadata("unit", "pcs")
    }

    /// Builds an entry about a service job.
    pub fn log_service<'a>(
        &'a self,
        description: impl Into<Cow<'a, str>>,
        action: AuditAction,
        job_id: impl Into<Cow<'a, str>>,
    ) -> EntryBuilder<'a, Service> {
        EntryBuilder::new(self, description, BusinessModule::Service, action).entity("service_job", job_id)
    }

    /// Builds an entry about a changed record. Set the values before and after the change with
    /// [`old_values`](EntryBuilder::old_values) and [`new_values`](EntryBuilder::new_values), or compute them
    /// with [`changes`](EntryBuilder::changes).
    pub fn log_change<'a>(
        &'a self,
        description: impl Into<Cow<'a, str>>,
        module: BusinessModule,
        action: AuditAction,
        entity_type: impl Into<Cow<'a, str>>,
        entity_id: impl Into<Cow<'a, str>>,
    ) -> EntryBuilder<'a, Change> {
        EntryBuilder::new(self, description, module, action).entity(entity_type, entity_id)
    }

    /// Builds an entry about access. Default: module auth, action LOGIN, user UNKNOWN.
    ///
    /// A success has level AUDIT. A failure (`.success(false)`) has level SECURITY and is counted per client
    /// address. Above the [`RateLimit`](crate::RateLimit) it has level CRITICAL, with `metadata.rate_limited`
    /// and `metadata.failure_count`; its description does not change.
    pub fn log_security<'a>(&'a self, description: impl Into<Cow<'a, str>>) -> EntryBuilder<'a, Security> {
        let mut builder = EntryBuilder::new(self, description, BusinessModule::Auth, AuditAction::Login);
        builder.is_security = true;
        builder
    }
}

macro_rules! text_setters {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        $($(#[$doc])*
        #[inline(always)]
        pub fn $field(mut self, $field: impl Into<Cow<'a, str>>) -> Self {
            self.entry.$field = $field.into();
            self
        })*
    };
}

impl<'a, K> EntryBuilder<'a, K> {
    #[inline(always)]
    fn new(
        logger: &'a AuditLogger,
        description: impl Into<Cow<'a, str>>,
        module: BusinessModule,
        action: AuditAction,
    ) -> Self {
        let entry = Entry::new(description, module, action);
        Self { logger, entry, level: None, is_security: false, kind: PhantomData }
    }

    text_setters! {
        /// Sets the user who acts.
        user,
        /// Sets the role of the user.
        user_role,
        /// Sets the person on whose behalf the user acts.
        on_behalf_of,
        /// Sets the company.
        company_id,
        /// Sets the branch.
        branch_id,
        /// Sets the reference number of the document.
        reference_no,
        /// Sets the currency of the amount, such as `MMK`. Omitted if the entry has no amount.
        currency,
        /// Sets the request id.
        request_id,
        /// Sets the session. Prefer a hash of the session id.
        session_id,
        /// Sets the HTTP method.
        method,
        /// Sets the HTTP path and query.
        endpoint,
    }

    /// Sets the business module.
    pub fn module(mut self, module: BusinessModule) -> Self {
        self.entry.module = module;
        self
    }

    /// Sets the action.
    pub fn action(mut self, action: AuditAction) -> Self {
        self.entry.action = action;
        self
    }

    /// Sets the level.
    pub fn level(mut self, level: LogLevel) -> Self {
        self.level = Some(level);
        self
    }

    /// Sets the type and the id of the record that the entry is about.
    #[inline(always)]
    pub fn entity(
        mut self,
        entity_type: impl Into<Cow<'a, str>>,
        entity_id: impl Into<Cow<'a, str>>,
    ) -> Self {
        self.entry.entity_type = entity_type.into();
        self.entry.entity_id = entity_id.into();
        self
    }

    /// Sets the amount, from an integer, a `Decimal`, or [`Amount::parse`].
    #[inline(always)]
    pub fn amount(mut self, amount: impl Into<Amount>) -> Self {
        self.entry.amount = Some(amount.into());
        self
    }

    /// Sets the client's address.
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.entry.ip = Some(ip);
        self
    }

    /// Sets the HTTP status.
    pub fn status(mut self, status: u16) -> Self {
        self.entry.status = Some(status);
        self
    }

    /// Sets whether the action succeeded. Default: `true`.
    pub fn success(mut self, success: bool) -> Self {
        self.entry.success = success;
        self
    }

    /// Sets the reason as text: `metadata.reason`.
    pub fn reason(self, reason: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("reason", reason.into())
    }

    /// Sets one metadata key, replacing an earlier value. An empty value removes the key.
    #[inline(always)]
    pub fn metadata(self, key: impl Into<Cow<'a, str>>, value: impl Into<MetadataValue<'a>>) -> Self {
        let (key, value) = (key.into(), value.into());
        // A drop while unwinding would pass the address of the entry to a call; see `Entry::put_metadata`.
        let mut builder = ManuallyDrop::new(self);
        builder.entry.put_metadata(key, value);
        ManuallyDrop::into_inner(builder)
    }

    /// Sets the values of the record before the change. `Value` holds no numbers beyond `u64`, `i64` and
    /// `f64`; for larger ones use [`changes`](EntryBuilder::changes).
    pub fn old_values(mut self, values: impl Into<Value>) -> Self {
        self.entry.old_values = Some(values.into().into());
        self
    }

    /// Sets the values of the record after the change. `Value` holds no numbers beyond `u64`, `i64` and
    /// `f64`; for larger ones use [`changes`](EntryBuilder::changes).
    pub fn new_values(mut self, values: impl Into<Value>) -> Self {
        self.entry.new_values = Some(values.into().into());
        self
    }

    /// Records the entry.
    ///
    /// After `Ok` the entry survives the death of the process (`kill -9`, abort). Whether it already survives
    /// a power loss depends on [`Durability`](crate::Durability); [`Receipt::wait_durable`] waits until it
    /// does.
    ///
    /// # Errors
    /// The entry is not recorded, and the error is
    /// - `is_too_large` if the line would exceed 65,535 bytes,
    /// - `is_invalid` if a value cannot be stored, or the name of a module or an action is invalid,
    /// - `is_full` if the journal is full; see [`OnFull`](crate::OnFull),
    /// - `is_storage` if a file system operation failed,
    /// - `is_closed` after [`AuditLogger::close`].
    pub fn record(mut self) -> Result<Receipt> {
        self.finish();
        self.logger.record(&self.entry, Within::Current)
    }

    /// Like [`EntryBuilder::record`], but awaits instead of blocking. Requires no particular runtime.
    ///
    /// The future waits while the journal is full, and with
    /// [`Durability::EveryEntry`](crate::Durability::EveryEntry) until the entry is durable. If it is dropped
    /// before it completes, the entry is either recorded whole or not at all.
    ///
    /// # Errors
    /// The same as [`EntryBuilder::record`].
    pub async fn record_async(mut self) -> Result<Receipt> {
        self.finish();
        self.logger.record_async(&self.entry, Within::Current).await
    }

    /// Encodes the entry, to store it and [record](AuditLogger::record_encoded) it after the commit.
    ///
    /// # Errors
    /// Those of [`EntryBuilder::record`] about the entry itself.
    pub fn encode(mut self) -> Result<EncodedEntry> {
        self.finish();
        self.logger.encode(&self.entry, None)
    }

    /// Like [`EntryBuilder::encode`], with this id and this time: for a change that was noted elsewhere
    /// before.
    ///
    /// # Errors
    /// As [`EntryBuilder::encode`].
    pub fn encode_as(mut self, id: Uuid, at: SystemTime) -> Result<EncodedEntry> {
        self.finish();
        self.logger.encode(&self.entry, Some((id, at)))
    }

    /// Sets the fields that depend on the time of recording.
    fn finish(&mut self) {
        if self.is_security {
            self.finish_security();
        }
        if let Some(level) = self.level {
            self.entry.level = level;
        }
    }

    /// Sets user and level of a security event, and counts a failure of its address.
    fn finish_security(&mut self) {
        let (user_is_known, context_ip) = RequestContext::try_current()
            .map_or((false, None), |context| context.read(|fields| (!fields.user.is_empty(), fields.ip)));
        if self.entry.user.is_empty() && !user_is_known {
            self.entry.user = Cow::Borrowed(UNKNOWN_USER);
        }
        if self.entry.success {
            self.entry.level = LogLevel::Audit;
            return;
        }
        self.entry.level = LogLevel::Security;
        let Some(ip) = self.entry.ip.or(context_ip) else { return };
        if let Some(state) = self.logger.count_failure(ip)
            && state.is_exceeded()
        {
            self.entry.level = LogLevel::Critical;
            self.entry.put_metadata("rate_limited", true);
            self.entry.put_metadata("failure_count", state.count);
        }
    }
}

impl<'a> EntryBuilder<'a, Transaction> {
    /// Sets the other party: `metadata.party`.
    #[inline(always)]
    pub fn party(self, party: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("party", party.into())
    }
}

impl<'a> EntryBuilder<'a, Inventory> {
    /// Sets the name of the product: `metadata.product_name`.
    pub fn product_name(self, name: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("product_name", name.into())
    }

    /// Sets the unit of the quantity: `metadata.unit`. Default: `pcs`.
    pub fn unit(self, unit: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("unit", unit.into())
    }

    /// Sets the warehouse: `metadata.warehouse_id`.
    pub fn warehouse_id(self, id: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("warehouse_id", id.into())
    }
}

impl<'a> EntryBuilder<'a, Service> {
    /// Sets the customer: `metadata.customer_id`.
    pub fn customer_id(self, id: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("customer_id", id.into())
    }

    /// Sets the technician: `metadata.technician`.
    pub fn technician(self, name: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("technician", name.into())
    }

    /// Sets the type of service: `metadata.service_type`.
    pub fn service_type(self, service_type: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("service_type", service_type.into())
    }

    /// Sets the status of the job: `metadata.status`.
    pub fn status_label(self, label: impl Into<Cow<'a, str>>) -> Self {
        self.metadata("status", label.into())
    }
}
