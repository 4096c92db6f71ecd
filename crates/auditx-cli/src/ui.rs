//! `auditx ui`: shows a trail in a browser.

use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use auditx_core::http::TrustedProxies;
use auditx_core::{AuditLogger, RequestContext};
use auditx_reader::find_trails;
use auditx_ui::{Alerts, Dashboard, ForwardAuth, Key, RunningAlerts, SavedQueries, Source, Viewer};
use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::HeaderName;
use axum::middleware::{Next, from_fn};

use crate::destination::Engine;
use crate::failure::{Failure, Status};
use crate::runtime::wait_for;
use crate::signals;
use crate::terminal::{self, sanitized};
use crate::trail::{TIMEOUT, Trail};

/// The port of the dashboard unless another is given.
const PORT: u16 = 8630;

/// The name of the trail in which reads of a family are recorded.
const INSTANCE: &str = "ui";

/// The environment variable that holds the key.
const KEY_VARIABLE: &str = "AUDITX_UI_KEY";

/// Look at a trail in a browser
///
/// Serves pages to search the trail and to look at entries, their changes and
/// proofs. Each search, view and download is recorded in the trail, with the name
/// of the viewer. If DIR is not a trail, all trails below it are shown together,
/// and reads are recorded in DIR/ui. With --from, the copies in a database are shown,
/// and reads are recorded in the trail of DIR. Without a key, only this machine can
/// connect.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    /// Show the copies in a database, such as postgres://auditor@db/audit. Put the password in PGPASSWORD
    #[arg(long, value_name = "URL")]
    from: Option<Engine>,
    /// Listen on this address; 0 is any free port. Other addresses than those of this machine need a key
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = loopback(PORT))]
    listen: SocketAddr,
    /// Ask for the key in FILE, of at least 16 characters. Without it: AUDITX_UI_KEY, or no key
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// The name that is recorded as the viewer [default: the name of the user who runs the command]
    #[arg(long = "as", value_name = "USER")]
    viewer: Option<String>,
    /// A proxy in front signs viewers in and names them in this header, such as Remote-User
    #[arg(long, value_name = "HEADER", requires = "trusted_proxies")]
    proxy_user_header: Option<HeaderName>,
    /// The proxy names the role of the viewer in this header
    #[arg(long, value_name = "HEADER", requires = "proxy_user_header")]
    proxy_role_header: Option<HeaderName>,
    /// The address or network of the proxy, such as 10.0.0.0/8; from elsewhere the headers are ignored
    #[arg(long = "trusted-proxy", value_name = "NET", requires = "proxy_user_header")]
    trusted_proxies: Vec<String>,
    /// Also answer requests for this host name, such as that of a proxy in front
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Show links to the saved queries in FILE, a JSON array (docs/DASHBOARD.md), and send their alerts
    #[arg(long, value_name = "FILE")]
    saved: Option<PathBuf>,
    /// Add to each alert of the saved queries a link below this address of the dashboard
    #[arg(long, value_name = "URL", requires = "saved")]
    public_url: Option<String>,
    /// Do not record who reads the trail: for copies, and for trails that you may not write
    #[arg(long)]
    unrecorded: bool,
    /// Open the page in the browser of the desktop
    #[arg(skip)]
    opens_browser: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx ui --dir /var/log/erp                           on http://127.0.0.1:8630/
  auditx ui --dir /var/log/erp --as mya                  reads are recorded as those of mya
  auditx ui --dir /mnt/copy --unrecorded                 a copy, which stays as it is
  auditx ui --from postgres://auditor@db/audit --dir reads   database copies
  auditx ui --listen 10.0.0.5:8630 --key-file ui.key --host audit.example
  auditx ui --listen 10.0.0.5:8630 --host audit.example \\
    --proxy-user-header Remote-User --trusted-proxy 10.0.0.4     viewers whom a proxy signed in
  auditx ui --saved queries.json --public-url https://audit.example/

Exit status: 2 an error; otherwise it runs until Ctrl-C";

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let key = arguments.key()?;
    let proxy = arguments.forward_auth()?;
    if key.is_none() && proxy.is_none() && !arguments.listen.ip().is_loopback() {
        return Err(Failure::new(format!(
            "{} can be reached from other machines: give a key, with --key-file FILE or {KEY_VARIABLE}, \
             or the proxy that signs viewers in, with --proxy-user-header and --trusted-proxy",
            arguments.listen
        )));
    }
    let saved = arguments.saved()?;
    let (source, name) = arguments.shown()?;
    let listener = TcpListener::bind(arguments.listen)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .map_err(|error| Failure::new(format!("cannot listen on {}: {error}", arguments.listen)))?;
    let address = listener.local_addr()?;
    let logger = arguments.logger()?;
    let dashboard = match &logger {
        Some(logger) => Dashboard::new(logger)?.source(source.clone()),
        None => Dashboard::unrecorded(source.clone()),
    };
    let _alerts = arguments.alerts(&saved, source, logger.as_ref())?;
    let dashboard = arguments.admit(dashboard.saved(saved), key, proxy);
    let app = dashboard.hosts(arguments.hosts(address)).router().layer(from_fn(in_context));
    close_at_end(logger.clone())?;
    let mut out = terminal::output();
    writeln!(out, "{name} is shown on http://{address}/ until Ctrl-C.")?;
    out.flush()?;
    if arguments.opens_browser {
        open_browser(&format!("http://{address}/"));
    }
    wait_for(serve(listener, app))?
        .map_err(|error| Failure::new(format!("cannot serve on {address}: {error}")))?;
    Ok(Status::Success)
}

async fn serve(listener: TcpListener, app: Router) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await
}

/// Makes the address of the client part of what is recorded.
async fn in_context(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> axum::response::Response {
    RequestContext::new().ip(peer.ip()).scope(next.run(request)).await
}

#[cfg(feature = "ship")]
fn source_of(engine: &Engine) -> Result<Source, Failure> {
    match engine {
        Engine::Postgres(url) => Ok(Source::postgres(url)),
        _ => Err(Failure::new("only a database copy can be shown: postgres://user@host/database")),
    }
}

#[cfg(not(feature = "ship"))]
fn source_of(engine: &Engine) -> Result<Source, Failure> {
    engine.never()
}

/// Closes the trail when a signal ends the process; Ctrl-C is the normal end.
fn close_at_end(logger: Option<AuditLogger>) -> Result<(), Failure> {
    signals::before_end(move || {
        // If it cannot be closed, the next open recovers the trail; no entry is lost.
        logger.as_ref().map(|logger| drop(logger.close(TIMEOUT)))
    })
    .map_err(|error| Failure::new(format!("cannot prepare for signals: {error}")))
}

/// Opens the page in the browser of the desktop, if there is one. Its address was printed in any case.
fn open_browser(url: &str) {
    let mut command = Command::new("xdg-open");
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if terminal::is_output_a_terminal() {
        drop(command.spawn());
    }
}

impl Arguments {
    /// Shows the trail in this directory on any free port, in a browser if the command runs on a desktop.
    pub(crate) fn of_demonstration(directory: PathBuf) -> Self {
        Self {
            trail: Trail::at(directory),
            from: None,
            listen: loopback(0),
            key_file: None,
            viewer: None,
            proxy_user_header: None,
            proxy_role_header: None,
            trusted_proxies: Vec::new(),
            hosts: Vec::new(),
            saved: None,
            public_url: None,
            unrecorded: false,
            opens_browser: true,
        }
    }

    fn key(&self) -> Result<Option<Key>, Failure> {
        let (key, source) = match &self.key_file {
            Some(path) => {
                let source = sanitized(&path.to_string_lossy());
                let text = fs::read_to_string(path)
                    .map_err(|error| Failure::new(format!("cannot read the key in {source}: {error}")))?;
                (text, source)
            }
            None => match std::env::var(KEY_VARIABLE) {
                Ok(text) if !text.is_empty() => (text, KEY_VARIABLE.to_owned()),
                _ => return Ok(None),
            },
        };
        Key::new(&key).map(Some).map_err(|error| {
            Failure::new(format!("{source}: {error}; a good one is that of `openssl rand -hex 32`"))
        })
    }

    /// Returns what is shown, and its name. Fails if it cannot be read, or if there is no trail in which
    /// reads are recorded.
    fn shown(&self) -> Result<(Source, String), Failure> {
        let Some(engine) = &self.from else {
            if !self.is_family() {
                self.trail.must_be_there()?;
            }
            return Ok((Source::directory(self.trail.directory()), self.trail.display_path()));
        };
        if !self.unrecorded && !self.trail.is_there() && !self.is_family() {
            // No trail is created: if DIR is mistyped, nobody would look for the reads there.
            return Err(Failure::new(format!(
                "no audit trail in {}: give --dir with a trail in which reads are recorded (`auditx record \
                 --create` makes one), or --unrecorded",
                self.trail.display_path()
            )));
        }
        let source = source_of(engine)?;
        // A wrong address or password is reported now, not to every viewer.
        let _copy = wait_for(engine.copy())??;
        Ok((source, engine.id()?.as_str().to_owned()))
    }

    fn forward_auth(&self) -> Result<Option<ForwardAuth>, Failure> {
        let Some(user) = self.proxy_user_header.clone() else { return Ok(None) };
        let proxies = TrustedProxies::parse(&self.trusted_proxies)
            .map_err(|error| Failure::new(sanitized(&error.to_string())))?;
        let proxy = ForwardAuth::new(user, proxies);
        Ok(Some(match self.proxy_role_header.clone() {
            Some(role) => proxy.role_header(role),
            None => proxy,
        }))
    }

    /// Behind a proxy, a viewer whom it does not name needs the key; without a key nobody else is admitted.
    fn admit(&self, dashboard: Dashboard, key: Option<Key>, proxy: Option<ForwardAuth>) -> Dashboard {
        let viewer = Viewer::new(self.viewer());
        let is_behind_proxy = proxy.is_some();
        let dashboard = match proxy {
            Some(proxy) => dashboard.forward_auth(proxy),
            None => dashboard,
        };
        match key {
            Some(key) => dashboard.key(key, viewer),
            None if is_behind_proxy => dashboard,
            None => dashboard.everyone_is(viewer),
        }
    }

    /// Whether the directory holds no trail itself, but trails below it.
    fn is_family(&self) -> bool {
        find_trails(self.trail.directory()).is_ok_and(|found| !found.is_trail && !found.below.is_empty())
    }

    /// Opens the trail in which reads are recorded: the one of the directory, or another one of its family.
    fn logger(&self) -> Result<Option<AuditLogger>, Failure> {
        if self.unrecorded {
            return Ok(None);
        }
        let config = self.trail.recording_config()?;
        let opened = AuditLogger::open(if self.is_family() { config.instance(INSTANCE) } else { config });
        opened.map(Some).map_err(|error| {
            let failure = self.trail.open_failure(&error);
            Failure::new(format!(
                "{failure}\nto look at the trail without recording who reads it: --unrecorded"
            ))
        })
    }

    fn saved(&self) -> Result<SavedQueries, Failure> {
        let Some(path) = &self.saved else { return Ok(SavedQueries::default()) };
        SavedQueries::read(path).map_err(|error| Failure::new(error.to_string()))
    }

    /// Starts the alerts; they end with the process.
    fn alerts(
        &self,
        saved: &SavedQueries,
        source: Source,
        logger: Option<&AuditLogger>,
    ) -> Result<Option<RunningAlerts>, Failure> {
        if !saved.has_alerts() {
            return Ok(None);
        }
        let Some(logger) = logger else {
            let why =
                "the saved queries have alerts, which are recorded in the trail: leave out --unrecorded";
            return Err(Failure::new(why));
        };
        let public_url = self.public_url.as_deref().unwrap_or_default();
        let alerts = Alerts::new(saved).public_url(public_url).source(source);
        alerts.start(logger).map(Some).map_err(|error| Failure::new(sanitized(&error.to_string())))
    }

    fn viewer(&self) -> String {
        let user = || std::env::var("USER").ok().filter(|name| !name.is_empty());
        let id = || format!("uid {}", rustix::process::getuid().as_raw());
        self.viewer.clone().or_else(user).unwrap_or_else(id)
    }

    /// The hosts that requests may name, against DNS rebinding.
    fn hosts(&self, address: SocketAddr) -> Vec<String> {
        let ip = match address.ip() {
            IpAddr::V6(ip) => format!("[{ip}]"),
            IpAddr::V4(ip) => ip.to_string(),
        };
        [ip, "localhost".to_owned()].into_iter().chain(self.hosts.iter().cloned()).collect()
    }
}
