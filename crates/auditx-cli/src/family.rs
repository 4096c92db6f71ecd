//! `--dir` and `--trail`: the trail, or the family of trails, that a command reads.
//!
//! A directory without a trail of its own, but with trails below it, holds a family: the instances of
//! `Config::instance`, perhaps in a directory for each tenant. Commands read its trails together. Whatever is
//! not read is named on standard error, or is an error: an answer must not look complete when it is not.

use std::io;
use std::path::{Component, Path, PathBuf};

use auditx_core::{AuditAction, AuditLogger, BusinessModule, LogLevel};
use auditx_reader::{FoundTrails, Search, Summary, find_trails, is_trail};
use unicode_width::UnicodeWidthStr;

use crate::failure::Failure;
use crate::number::grouped;
use crate::terminal::{print_message, sanitized, shell_word};
use crate::trail::{TIMEOUT, Trail};

/// Messages name at most this many trails.
const MAX_NAMED: usize = 20;

/// `--dir` and `--trail`.
#[derive(Debug, clap::Args)]
pub(crate) struct Family {
    #[command(flatten)]
    trail: Trail,
    /// Only this trail below DIR, such as worker-1 or tenant/worker-1. Without it: the trail in DIR, or if
    /// DIR is not a trail, all trails below it together
    #[arg(long = "trail", value_name = "NAME")]
    member: Option<PathBuf>,
    /// First record in each trail that USER reads it, with this command line; fails if that is not possible
    #[arg(long = "as", value_name = "USER")]
    viewer: Option<String>,
}

/// A trail that a command reads.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// Its position among the trails.
    pub(crate) order: usize,
    /// The path below `--dir`; `None` if the command reads one trail only.
    pub(crate) name: Option<String>,
    pub(crate) trail: Trail,
}

impl Member {
    /// Returns a message about this trail, with its name if there are others.
    pub(crate) fn labelled(&self, message: &str) -> String {
        match &self.name {
            Some(name) => format!("{}: {message}", sanitized(name)),
            None => message.to_owned(),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.trail.directory()
    }
}

/// A trail and what a search found in it.
pub(crate) type Read<'t> = (&'t Member, Summary);

/// The trails that a command reads: one, or those of a family, sorted by name.
#[derive(Debug)]
pub(crate) struct Trails {
    root: Trail,
    members: Vec<Member>,
}

impl Family {
    /// Finds the trails, and records that they are read if `--as` is given. Names on standard error those
    /// that are not read.
    ///
    /// Fails if `--trail` names none, if a directory of a family cannot be listed, which may hide a trail, or
    /// if the read cannot be recorded.
    pub(crate) fn trails(&self) -> Result<Trails, Failure> {
        let trails = self.found()?;
        if let Some(viewer) = &self.viewer {
            trails.members.iter().try_for_each(|member| record_read(&member.trail, viewer))?;
        }
        Ok(trails)
    }

    fn found(&self) -> Result<Trails, Failure> {
        let directory = self.trail.directory();
        if let Some(name) = &self.member {
            return self.named(name);
        }
        // Reading a directory that cannot be listed reports why.
        let Ok(found) = find_trails(directory) else { return Ok(self.only(directory)) };
        if found.is_trail {
            self.report_not_read(&all_below(found));
            return Ok(self.only(directory));
        }
        if let Some((place, error)) = &found.unlisted {
            return Err(cannot_list(place, error));
        }
        self.report_not_read(&found.set_aside);
        if found.below.is_empty() {
            return Ok(self.only(directory));
        }
        Ok(Trails { root: self.trail.clone(), members: self.members(&found.below) })
    }

    /// Finds the trails of a family again: new ones may have been created.
    pub(crate) fn below(&self) -> Result<Vec<Member>, Failure> {
        let directory = self.trail.directory();
        let found = find_trails(directory).map_err(|error| cannot_list(directory, &error))?;
        match &found.unlisted {
            Some((place, error)) => Err(cannot_list(place, error)),
            None => Ok(self.members(&found.below)),
        }
    }

    /// Names trails that were created below a directory that had none. Returns `true` if there are any.
    pub(crate) fn report_new(&self) -> Result<bool, Failure> {
        let trails: Vec<PathBuf> = match self.member {
            Some(_) => Vec::new(),
            None => self.below()?.iter().filter_map(|member| Some(member.name.as_ref()?.into())).collect(),
        };
        self.report_not_read(&trails);
        Ok(!trails.is_empty())
    }

    fn members(&self, trails: &[PathBuf]) -> Vec<Member> {
        let member = |(order, path): (usize, &PathBuf)| Member {
            order,
            name: Some(name_of(path)),
            trail: Trail::at(self.trail.directory().join(path)),
        };
        trails.iter().enumerate().map(member).collect()
    }

    fn only(&self, directory: &Path) -> Trails {
        let trail = Trail::at(directory.to_path_buf());
        Trails { root: self.trail.clone(), members: vec![Member { order: 0, name: None, trail }] }
    }

    /// Returns the trail with this path below `--dir`.
    fn named(&self, name: &Path) -> Result<Trails, Failure> {
        let directory = self.trail.directory();
        let is_below = name.components().all(|part| matches!(part, Component::Normal(_)));
        let place = directory.join(name);
        let is_trail = match is_trail(&place) {
            Ok(is_trail) => is_trail,
            // Reading a directory that cannot be listed reports why.
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        };
        if is_below && is_trail {
            return Ok(self.only(&place));
        }
        let known = find_trails(directory).map(all_below).unwrap_or_default();
        let known = if known.is_empty() { "no trail".to_owned() } else { listed(&known) };
        let (root, name) = (self.trail.display_path(), name.to_string_lossy());
        Err(Failure::new(format!("no audit trail {name:?} below {root}, which has {known}")))
    }

    fn report_not_read(&self, trails: &[PathBuf]) {
        if !trails.is_empty() {
            let (root, trails) = (self.trail.display_path(), listed(trails));
            print_message(&format!("not read, below {root}: {trails}; to read one, give --trail NAME"));
        }
    }
}

impl Trails {
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    /// Returns the first trail.
    pub(crate) fn first(&self) -> &Member {
        &self.members[0]
    }

    /// Returns the trail, if there is only one and nothing needs to tell it from others.
    pub(crate) fn single(&self) -> Option<&Trail> {
        match &self.members[..] {
            [Member { name: None, trail, .. }] => Some(trail),
            _ => None,
        }
    }

    /// Fails if this is a family, and lists its trails.
    pub(crate) fn must_be_one(&self, why: &str) -> Result<(), Failure> {
        if self.single().is_some() {
            return Ok(());
        }
        let root = self.root.display_path();
        let names: Vec<PathBuf> =
            self.members.iter().filter_map(|member| Some(member.name.as_ref()?.into())).collect();
        Err(Failure::new(format!("{why}: give --trail NAME, one of those below {root}: {}", listed(&names))))
    }

    /// Returns the search of each trail.
    pub(crate) fn searches(
        &self,
        search: impl Fn(&Path) -> Result<Search, Failure>,
    ) -> Result<Vec<(&Member, Search)>, Failure> {
        self.members.iter().map(|member| Ok((member, search(member.directory())?))).collect()
    }

    /// Reports that nothing was found, followed by `suffix`.
    pub(crate) fn report_nothing_found(&self, suffix: &str) {
        print_message(&format!("nothing found in {}{suffix}", self.display_path()));
    }

    /// Returns what was read, for messages.
    pub(crate) fn display_path(&self) -> String {
        match (self.single(), self.members.len()) {
            (Some(trail), _) => trail.display_path(),
            (None, 1) => format!("the trail below {}", self.root.display_path()),
            (None, count) => {
                format!("the {} trails below {}", grouped(count as u64), self.root.display_path())
            }
        }
    }

    /// Returns the columns of the longest name; `None` unless this is a family.
    pub(crate) fn name_width(&self) -> Option<usize> {
        self.members.iter().filter_map(|member| Some(sanitized(member.name.as_ref()?).width())).max()
    }
}

/// Records that a user reads the trail with the command line of this process.
fn record_read(trail: &Trail, viewer: &str) -> Result<(), Failure> {
    trail.must_be_there()?;
    let words = std::env::args_os().skip(1);
    let command: Vec<String> = words.map(|word| shell_word(Path::new(&word))).collect();
    let logger = AuditLogger::open(trail.recording_config()?).map_err(|error| trail.open_failure(&error))?;
    let entry = logger.log("Audit trail read with the command").level(LogLevel::Audit).user(viewer);
    let entry = entry.module(BusinessModule::other("audit")).action(AuditAction::Read);
    let receipt = entry.metadata("command", command.join(" ")).record()?;
    receipt.wait_durable()?;
    Ok(logger.close(TIMEOUT)?)
}

fn name_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The trails below a directory, with those that were set aside.
fn all_below(found: FoundTrails) -> Vec<PathBuf> {
    let mut trails: Vec<PathBuf> = found.below.into_iter().chain(found.set_aside).collect();
    trails.sort_by_key(|path| name_of(path));
    trails
}

/// Returns paths for a message.
fn listed(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().take(MAX_NAMED).map(|path| shell_word(path)).collect();
    match paths.len().saturating_sub(MAX_NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {} more", shown.join(", "), grouped(more as u64)),
    }
}

fn cannot_list(place: &Path, error: &io::Error) -> Failure {
    let place = sanitized(&place.to_string_lossy());
    Failure::new(format!(
        "cannot list {place}, where a trail may be: {error}; to read one trail, give --trail NAME"
    ))
}
