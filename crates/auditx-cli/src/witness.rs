//! `auditx witness`: cosigns the checkpoints of other trails.

mod parent;

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use auditx_core::SigningKey;
use auditx_witness::{Witness, router};

use crate::evidence;
use crate::failure::{Failure, Status};
use crate::runtime::wait_for;
use crate::terminal::{self, sanitized};
use parent::Parent;

/// The port unless another is given.
const PORT: u16 = 8631;

/// Cosign the checkpoints of other trails, as long as these only grow
///
/// Keeps the newest checkpoint of each log in DIR and cosigns only what extends it
/// (C2SP tlog-witness), so that a rollback or a second history of a trail is
/// noticed. Run it on a machine that those who write the trails do not
/// control. DIR must survive: if it is lost or restored from a backup, start a new
/// witness with a new key. Speaks HTTP: put a proxy with TLS in front.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The directory of its state
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The key that cosigns, from `auditx keygen`; not that of a trail
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The name of the witness: a URL without https://, by convention
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Create the witness, whose key must not have cosigned before, and a missing parent trail
    #[arg(long)]
    create: bool,
    /// The public key of a log to cosign, or a file with such keys; repeatable
    #[arg(long = "log", value_name = "VKEY", required = true)]
    logs: Vec<String>,
    /// Listen on this address; 0 is any free port
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT))]
    listen: SocketAddr,
    #[command(flatten)]
    parent: Parent,
}

const EXAMPLES: &str = "\
Examples:
  auditx keygen -o witness.pem
  auditx witness --dir /var/lib/witness --key witness.pem --name witness.example.com/w1 --log erp.vkey \\
    --create                                             the first time only
  auditx witness --dir /var/lib/witness --key witness.pem --name witness.example.com/w1 --log branches.vkey \\
    --trail /var/log/parent --policy parent.policy       a parent trail, which other witnesses cosign

Exit status: 2 an error; otherwise it runs until Ctrl-C";

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let logs = evidence::keys(&arguments.logs)?;
    let pem = String::from_utf8_lossy(&evidence::read(&arguments.key)?).into_owned();
    let key = SigningKey::from_pem(&pem)
        .map_err(|error| Failure::new(format!("{}: {error}", sanitized(&arguments.key.to_string_lossy()))))?;
    if arguments.create {
        Witness::create(&arguments.dir, &arguments.name, &key)
            .map_err(|error| Failure::new(sanitized(&error.to_string())))?;
    }
    let witness = Witness::open(&arguments.dir, &arguments.name, Arc::new(key), logs)
        .map_err(|error| Failure::new(sanitized(&error.to_string())))?;
    let listener = TcpListener::bind(arguments.listen)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|error| Failure::new(format!("cannot listen on {}: {error}", arguments.listen)))?;
    let (address, witness) = (listener.local_addr()?, Arc::new(witness));
    let end = arguments.parent.start(&witness, arguments.create)?;
    let mut out = terminal::output();
    writeln!(out, "Cosigning on http://{address}/ until Ctrl-C. For the policies of auditors and logs:")?;
    writeln!(out, "witness {} {} http://{address}/", arguments.name, witness.key())?;
    out.flush()?;
    let why = wait_for(serve(listener, witness.clone()))?
        .map_err(|error| Failure::new(format!("cannot serve on {address}: {error}")))?;
    end();
    let dir = sanitized(&arguments.dir.to_string_lossy());
    Err(Failure::new(format!("the state in {dir} cannot be written: {why}. Nothing more is cosigned")))
}

/// Serves until the state cannot be written, and returns why.
async fn serve(listener: TcpListener, witness: Arc<Witness>) -> io::Result<String> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let server = axum::serve(listener, router(witness.clone()));
    tokio::select! {
        served = server => served.map(|()| String::new()),
        why = witness.failure() => Ok(why),
    }
}
