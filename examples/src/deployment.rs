//! A small trading house on one machine: two branches, three stream servers, one database.
//!
//! Comes in: the program of a branch. Goes out: what was queried and verified in the database, once both branches have closed. All of
//! it runs on free loopback ports and in temporary directories, and is gone when it is dropped.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use auditx_core::SignedCheckpoint;
use auditx_nats::{Nats, NatsCopy, NatsSource};
use auditx_postgres::{Postgres, PostgresCopy, Search};
use auditx_reader::{Answer, Field, Query, VerifyOptions, latest_checkpoint, recorded_keys, verify};
use auditx_ship::{Settings, Shipper, State, StoredCopy, TrailId, restore};
use auditx_tests::nats::Servers;
use auditx_tests::postgres::Server;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// A replica of the service, and the agent that ships its trail.
#[derive(Debug)]
pub struct Branch {
    name: &'static str,
    /// None once it was told to stop.
    process: Option<Child>,
    address: String,
    logs: PathBuf,
    agent: Shipper,
}

/// Everything that runs.
#[derive(Debug)]
pub struct Deployment {
    branches: Vec<Branch>,
    streams: Servers,
    database: Server,
    directory: TempDir,
}

/// What a branch's trail came to in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// Which branch.
    pub branch: &'static str,
    /// Lines there.
    pub lines: u64,
    /// Whether they are what was signed.
    pub answer: Answer,
}

impl Deployment {
    /// Starts servers and branches; `program` is the `axum_erp` of this package.
    ///
    /// # Errors
    /// Where something cannot be started: `cargo xtask setup` installs what is needed.
    pub async fn start(program: &Path, branches: &[&'static str]) -> Outcome<Self> {
        let directory = tempfile::tempdir()?;
        let (streams, database) = (Servers::three(), Server::start());
        auditx_postgres::init(&database.url("admin", database.port())).await?;
        patiently(async || auditx_nats::init(&streams.url()).await).await?;
        let branches = branches
            .iter()
            .map(|name| Branch::start(name, program, &directory.path().join(name), &streams.url()))
            .collect::<Outcome<_>>()?;
        Ok(Self { branches, streams, database, directory })
    }

    /// The branches.
    #[must_use]
    pub fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// Stops the branches in order, and waits until the stream has all of their trails, and the database all of the stream.
    ///
    /// # Errors
    /// Where that does not happen.
    pub async fn settle(&mut self) -> Outcome<()> {
        for branch in &mut self.branches {
            branch.stop()?;
            let size = branch.note()?.size();
            wait_for(&branch.agent, size)?;
        }
        let state = self.directory.path().join("drain");
        let url = self.streams.url();
        for trail in patiently(async || NatsCopy::open(&url).await?.ids().await).await? {
            let source = NatsSource::new(&url, trail)?;
            let destination = Postgres::new(&self.database.url("admin", self.database.port()))?;
            let drain =
                Shipper::relay(source, state.join(trail.to_string()), destination, Settings::default())?;
            let is_done = |progress: &auditx_ship::Progress| {
                progress.state == State::CaughtUp && progress.signed > 0 && progress.lag() == 0
            };
            if !drain.wait_until(Instant::now() + PATIENCE, is_done) {
                return Err(format!("the stream is not drained: {:?}", drain.progress()).into());
            }
            drain.stop(Instant::now() + PATIENCE)?;
        }
        Ok(())
    }

    async fn copy(&self) -> Outcome<PostgresCopy> {
        Ok(PostgresCopy::open(&self.database.url("admin", self.database.port())).await?)
    }

    /// Asks both trails at once: branch, user and description of each entry found.
    ///
    /// # Errors
    /// Where the question or the database is none.
    pub async fn ask(&self, question: &str) -> Outcome<Vec<[String; 3]>> {
        let search = Search::new(question.parse::<Query>()?);
        let mut found = Vec::new();
        let visit = |_, row: &auditx_reader::Row<'_>| {
            let fields = [Field::BranchId, Field::User, Field::Description];
            found.push(fields.map(|field| row.text(field).into_owned()));
            ControlFlow::Continue(())
        };
        self.copy().await?.search(&search, visit).await?;
        Ok(found)
    }

    /// Verifies what the database holds, with the key and the note of each branch.
    ///
    /// # Errors
    /// Where it cannot be read back.
    pub async fn prove(&self) -> Outcome<Vec<Proven>> {
        let (mut copy, mut proven) = (self.copy().await?, Vec::new());
        for stored in copy.trails().await? {
            let branch =
                self.branches.iter().find(|branch| branch.trail().is_ok_and(|trail| trail == stored.trail));
            let branch = branch.ok_or("the database holds a trail of nobody's")?;
            let restored = self.directory.path().join(format!("restored-{}", branch.name));
            restore(&mut copy, &stored, &restored, |_, _| {}).await?;
            let key = recorded_keys(&branch.logs)?.first().ok_or("the trail names no key")?.key.clone();
            let options = VerifyOptions::new().key(key).known(branch.note()?);
            let found = verify(&restored, &options, &mut |_, _| {})?;
            proven.push(Proven { branch: branch.name, lines: found.lines, answer: found.answer });
        }
        proven.sort_by_key(|proven| proven.branch);
        Ok(proven)
    }

    /// The stream servers, for whoever wants to see one die.
    pub fn streams(&mut self) -> &mut Servers {
        &mut self.streams
    }
}

impl Branch {
    fn start(name: &'static str, program: &Path, logs: &Path, stream: &str) -> Outcome<Self> {
        let mut process = Command::new(program)
            .args(["--addr", "127.0.0.1:0", "--log-dir"])
            .arg(logs)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().ok_or("its output is a pipe")?).read_line(&mut line)?;
        let address = line.trim_end().strip_prefix("listening on ").ok_or("it does not listen")?.to_owned();
        let agent = Shipper::spawn(logs, Nats::new(stream)?, Settings::default())?;
        Ok(Self { name, process: Some(process), address, logs: logs.to_path_buf(), agent })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it listens, as a URL.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What was signed last, as its auditor has it.
    fn note(&self) -> Outcome<SignedCheckpoint> {
        Ok(latest_checkpoint(&self.logs)?)
    }

    fn trail(&self) -> Outcome<TrailId> {
        let note = self.note()?;
        Ok(note.origin().rsplit('/').next().unwrap_or_default().parse()?)
    }

    /// As a service manager does.
    fn stop(&mut self) -> Outcome<()> {
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
            // Both fail only where it has ended already.
            process.kill().ok();
            process.wait().ok();
        }
    }
}

/// Again until it works: while servers choose who leads, they answer nothing else.
async fn patiently<T>(mut ask: impl AsyncFnMut() -> Result<T, auditx_nats::Error>) -> Outcome<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match ask().await {
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            Ok(answer) => return Ok(answer),
        }
    }
}

fn wait_for(agent: &Shipper, size: u64) -> Outcome<()> {
    if agent.wait_until(Instant::now() + PATIENCE, |progress| progress.next >= size) {
        return Ok(());
    }
    Err(format!("not all was shipped: {:?}", agent.progress()).into())
}
