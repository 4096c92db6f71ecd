//! Capture of commands, roles and rights: event triggers note the commands on captured tables and on the
//! schema `auditx`, and the collector compares roles and rights with their last state.

use crate::address::Address;
use crate::connection::Connection;
use crate::error::Result;
use crate::schema;

/// What is captured of commands, roles and rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ddl {
    /// Nothing.
    Off,
    /// The collector notes changes of roles, and of the owners and rights of captured tables. Commands are
    /// not noted: only a superuser may create event triggers.
    Roles,
    /// The event triggers exist, but one was disabled or dropped. The collector notes changes of roles
    /// and rights.
    Disabled,
    /// Event triggers note the commands, and the collector changes of roles.
    On,
}

/// The functions of the two event triggers are the same.
const CREATE: &str = "\
    DROP EVENT TRIGGER IF EXISTS auditx_ddl; DROP EVENT TRIGGER IF EXISTS auditx_drop; \
    CREATE EVENT TRIGGER auditx_ddl ON ddl_command_end EXECUTE FUNCTION auditx.note_command(); \
    CREATE EVENT TRIGGER auditx_drop ON sql_drop EXECUTE FUNCTION auditx.note_command()";

/// The state before is what is compared with.
const REMEMBER: &str = "INSERT INTO auditx.guarded SELECT * FROM auditx.guardable \
    WHERE NOT EXISTS (SELECT FROM auditx.guard)";

const ENABLE: &str = "INSERT INTO auditx.guard AS guard (has_triggers) VALUES ($1) ON CONFLICT (only_row) \
    DO UPDATE SET has_triggers = guard.has_triggers OR $1";

const DROP: &str = "DROP EVENT TRIGGER IF EXISTS auditx_ddl; DROP EVENT TRIGGER IF EXISTS auditx_drop";

const DISABLE: &str = "DELETE FROM auditx.guarded; DELETE FROM auditx.guard";

/// Notes that capture begins or ends: a trail without such changes has a reason.
const NOTE: &str = "INSERT INTO auditx.outbox (id, change) VALUES (gen_random_uuid(), jsonb_build_object( \
    'module', 'system', 'table', 'event trigger', 'key', 'auditx_ddl', 'op', $1::text, 'old', '{}'::jsonb, \
    'new', '{}'::jsonb, 'user', session_user, 'context', auditx.context()))";

const IS_INSTALLED: &str = "SELECT to_regprocedure('auditx.note_command()') IS NOT NULL";

const IS_SUPERUSER: &str = "SELECT rolsuper FROM pg_roles WHERE rolname = current_user";

const STATE: &str = "SELECT (SELECT has_triggers FROM auditx.guard), \
    (SELECT count(*) FROM pg_event_trigger WHERE evtname IN ('auditx_ddl', 'auditx_drop') \
        AND evtenabled IN ('O', 'A'))";

/// Enables the capture of commands on captured tables and on the schema `auditx`, and of roles and rights.
/// Creates or upgrades the schema if necessary. Returns what is captured: commands only if the user is a
/// superuser.
///
/// # Errors
/// If the server cannot be reached or refuses: the user must be a superuser or a member of `auditx_owner`.
pub async fn enable_ddl(url: &str) -> Result<Ddl> {
    let mut connection = Connection::open(&Address::parse(url)?).await?;
    if !connection.client.query_one(IS_INSTALLED, &[]).await?.try_get::<_, bool>(0)? {
        schema::init(url).await?;
    }
    let transaction = connection.client.transaction().await?;
    let is_superuser: bool = transaction.query_one(IS_SUPERUSER, &[]).await?.try_get(0)?;
    if is_superuser {
        transaction.batch_execute(CREATE).await?;
    }
    if transaction.query_opt("SELECT FROM auditx.guard", &[]).await?.is_none() {
        transaction.execute(NOTE, &[&"I"]).await?;
    }
    transaction.batch_execute(REMEMBER).await?;
    transaction.execute(ENABLE, &[&is_superuser]).await?;
    transaction.commit().await?;
    ddl(&connection).await
}

/// Disables the capture of commands, roles and rights. Returns `false` if it was not enabled.
///
/// # Errors
/// If the server cannot be reached or refuses: if there are event triggers, the user must be a superuser.
pub async fn disable_ddl(url: &str) -> Result<bool> {
    let mut connection = Connection::open(&Address::parse(url)?).await?;
    let before = ddl(&connection).await?;
    if before == Ddl::Off {
        return Ok(false);
    }
    let transaction = connection.client.transaction().await?;
    transaction.execute(NOTE, &[&"D"]).await?;
    transaction.batch_execute(DROP).await?;
    transaction.batch_execute(DISABLE).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Returns what is captured of commands, roles and rights.
pub(crate) async fn ddl(connection: &Connection) -> Result<Ddl> {
    let client = &connection.client;
    if !client.query_one(IS_INSTALLED, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(Ddl::Off);
    }
    let row = client.query_one(STATE, &[]).await?;
    let (has_triggers, active): (Option<bool>, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(match has_triggers {
        None => Ddl::Off,
        Some(false) => Ddl::Roles,
        Some(true) if active == 2 => Ddl::On,
        Some(true) => Ddl::Disabled,
    })
}
