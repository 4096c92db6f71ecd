//! A deployment of several machines, simulated on one: branches, three NATS servers and a PostgreSQL
//! database.
//!
//! Each branch ships its trail to NATS, and a relay copies it from NATS to the database. Everything runs on
//! free loopback ports and in temporary directories, and is stopped and removed when the deployment is
//! dropped.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use auditx_nats::{Nats, NatsCopy, NatsSource};
use auditx_postgres::{Postgres, PostgresCopy, Search};
use auditx_reader::{Answer, Field, Query, VerifyOptions, latest_checkpoint, recorded_keys, verify};
use auditx_ship::{Settings, Shipper, State, StoredCopy, TrailId, restore};
use auditx_tests::nats::Servers;
use auditx_tests::postgres::Server;
use auditx_tlog::SignedCheckpoint;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Far longer than any step takes.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A service process and the shipper of its trail.
#[derive(Debug)]
pub struct Branch {
    name: &'static str,
    /// `None` once it was stopped.
    process: Option<Child>,
    address: String,
    logs: PathBuf,
    shipper: Shipper,
}

/// The running deployment.
#[derive(Debug)]
pub struct Deployment {
    branches: Vec<Branch>,
    streams: Servers,
    database: Server,
    directory: TempDir,
}

/// The verification result of a branch's trail in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedTrail {
    /// The branch's name.
    pub branch: &'static str,
    /// The number of lines in the database.
    pub lines: u64,
    /// The answer of the verification.
    pub answer: Answer,
}

impl Deployment {
    /// Starts the servers and the branches. `program` is the path of `axum_erp`.
    ///
    /// # Errors
    /// Fails if a program cannot be started; `cargo xtask setup` installs the servers.
    pub async fn start(program: &Path, branches: &[&'static str]) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let (streams, database) = (Servers::three(), Server::start());
        auditx_postgres::init(&database.url("admin", database.port())).await?;
        retry(async || auditx_nats::init(&streams.url()).await).await?;
        let branches = branches
            .iter()
            .map(|name| Branch::start(name, program, &directory.path().join(name), &streams.url()))
            .collect::<Result<_>>()?;
        Ok(Self { branches, streams, database, directory })
    }

    /// Returns the branches.
    #[must_use]
    pub fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// Stops the branches, and waits until NATS has all of their trails and the database has all of NATS.
    ///
    /// # Errors
    /// Fails if the copies are not complete in time.
    pub async fn stop_branches(&mut self) -> Result<()> {
        for branch in &mut self.branches {
            branch.stop()?;
            let size = branch.checkpoint()?.size();
            wait_until_shipped(&branch.shipper, size)?;
        }
        let state = self.directory.path().join("relay");
        let url = self.streams.url();
        for trail in retry(async || NatsCopy::open(&url).await?.ids().await).await? {
            let source = NatsSource::new(&url, trail)?;
            let destination = Postgres::new(&self.database.url("admin", self.database.port()))?;
            let relay =
                Shipper::relay(source, state.join(trail.to_string()), destination, Settings::default())?;
            let is_done = |progress: &auditx_ship::Progress| {
                progress.state == State::CaughtUp && progress.signed > 0 && progress.lag() == 0
            };
            if !relay.wait_until(Instant::now() + TIMEOUT, is_done) {
                return Err(format!("the database copy is incomplete: {:?}", relay.progress()).into());
            }
            relay.stop(Instant::now() + TIMEOUT)?;
        }
        Ok(())
    }

    async fn database_copy(&self) -> Result<PostgresCopy> {
        Ok(PostgresCopy::open(&self.database.url("admin", self.database.port())).await?)
    }

    /// Queries all trails in the database. Returns branch, user and description of each matching entry.
    ///
    /// # Errors
    /// Fails if the query is invalid or the database cannot be read.
    pub async fn query(&self, query: &str) -> Result<Vec<[String; 3]>> {
        let search = Search::new(query.parse::<Query>()?);
        let mut found = Vec::new();
        let visit = |_, row: &auditx_reader::Row<'_>| {
            let fields = [Field::BranchId, Field::User, Field::Description];
            found.push(fields.map(|field| row.text(field).into_owned()));
            ControlFlow::Continue(())
        };
        self.database_copy().await?.search(&search, visit).await?;
        Ok(found)
    }

    /// Restores each trail from the database and verifies it with the branch's key and checkpoint.
    ///
    /// # Errors
    /// Fails if a trail cannot be restored or read.
    pub async fn verify(&self) -> Result<Vec<VerifiedTrail>> {
        let (mut copy, mut verified) = (self.database_copy().await?, Vec::new());
        for stored in copy.trails().await? {
            let branch =
                self.branches.iter().find(|branch| branch.trail().is_ok_and(|trail| trail == stored.trail));
            let branch = branch.ok_or("the database holds a trail of no branch")?;
            let restored = self.directory.path().join(format!("restored-{}", branch.name));
            restore(&mut copy, &stored, &restored, |_, _| {}).await?;
            let key = recorded_keys(&branch.logs)?.first().ok_or("the trail names no key")?.key.clone();
            let options = VerifyOptions::new().key(key).known(branch.checkpoint()?);
            let found = verify(&restored, &options, &mut |_, _| {})?;
            verified.push(VerifiedTrail { branch: branch.name, lines: found.lines, answer: found.answer });
        }
        verified.sort_by_key(|trail| trail.branch);
        Ok(verified)
    }

    /// Returns the NATS servers, for example to kill one of them.
    pub fn streams(&mut self) -> &mut Servers {
        &mut self.streams
    }
}

impl Branch {
    fn start(name: &'static str, program: &Path, logs: &Path, stream: &str) -> Result<Self> {
        let mut process = Command::new(program)
            .args(["--addr", "127.0.0.1:0", "--log-dir"])
            .arg(logs)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("standard output is not piped")?).read_line(&mut line)?;
        let address = line.trim_end().strip_prefix("listening on ").ok_or("the branch did not start")?;
        let shipper = Shipper::spawn(logs, Nats::new(stream)?, Settings::default())?;
        let (process, address) = (Some(process), address.to_owned());
        Ok(Self { name, process, address, logs: logs.to_path_buf(), shipper })
    }

    /// Returns the branch's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns the URL of the branch's service.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns the newest checkpoint, as an auditor would keep it.
    fn checkpoint(&self) -> Result<SignedCheckpoint> {
        Ok(latest_checkpoint(&self.logs)?)
    }

    fn trail(&self) -> Result<TrailId> {
        let checkpoint = self.checkpoint()?;
        Ok(checkpoint.origin().rsplit('/').next().unwrap_or_default().parse()?)
    }

    /// Stops the process with SIGTERM, as a service manager does.
    fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            kill_process(Pid::from_child(&process), Signal::TERM)?;
            process.wait()?;
        }
        Ok(())
    }
}

impl Drop for Branch {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Both fail only if the process has already ended.
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// Calls the function until it succeeds: NATS servers refuse requests while they elect a leader.
async fn retry<T>(mut call: impl AsyncFnMut() -> std::result::Result<T, auditx_nats::Error>) -> Result<T> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match call().await {
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            Ok(value) => return Ok(value),
        }
    }
}

fn wait_until_shipped(shipper: &Shipper, size: u64) -> Result<()> {
    if shipper.wait_until(Instant::now() + TIMEOUT, |progress| progress.next >= size) {
        return Ok(());
    }
    Err(format!("the trail was not shipped completely: {:?}", shipper.progress()).into())
}
