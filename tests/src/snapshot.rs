//! Snapshots of directories, to show that a command changes no file.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The content and metadata of everything below a directory.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, State>);

#[derive(Debug, PartialEq, Eq)]
struct State {
    /// Kind and permissions.
    mode: u32,
    inode: u64,
    links: u64,
    owner: (u32, u32),
    modified: (i64, i64),
    /// The bytes of a file, or the target of a symbolic link.
    content: Vec<u8>,
}

impl Snapshot {
    /// Takes a snapshot of a directory. Does not follow symbolic links.
    ///
    /// # Panics
    /// If something below it cannot be read.
    #[must_use]
    pub fn of(directory: &Path) -> Self {
        let mut states = BTreeMap::new();
        add(directory, Path::new(""), &mut states);
        Self(states)
    }

    /// Returns the first name that has changed, and how; `None` if there is no difference.
    #[must_use]
    pub fn difference(&self, later: &Self) -> Option<String> {
        let names: std::collections::BTreeSet<_> = self.0.keys().chain(later.0.keys()).collect();
        names.into_iter().find_map(|name| {
            let what = match (self.0.get(name), later.0.get(name)) {
                (Some(before), Some(after)) => before.difference(after)?,
                (Some(_), None) => "was removed",
                (None, _) => "is new",
            };
            Some(format!("`{}` {what}", name.display()))
        })
    }
}

impl State {
    fn difference(&self, later: &Self) -> Option<&'static str> {
        let differs = [
            (self.mode != later.mode, "has another mode"),
            (self.inode != later.inode, "is another file"),
            (self.links != later.links, "has another number of links"),
            (self.owner != later.owner, "has another owner"),
            (self.content != later.content, "has other content"),
            (self.modified != later.modified, "was modified"),
        ];
        differs.into_iter().find_map(|(differs, what)| differs.then_some(what))
    }
}

/// Returns all names below `below` in `root`, relative to `root` and sorted. Skips directories that cannot be
/// listed.
#[must_use]
pub fn names_below(root: &Path, below: &Path) -> Vec<PathBuf> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join(below)).into_iter().flatten().flatten() {
        let name = below.join(entry.file_name());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            names.extend(names_below(root, &name));
        }
        names.push(name);
    }
    names.sort();
    names
}

fn add(root: &Path, below: &Path, states: &mut BTreeMap<PathBuf, State>) {
    let path = root.join(below);
    let metadata = fs::symlink_metadata(&path).expect("a name below the directory");
    let kind = metadata.file_type();
    let content = if kind.is_file() {
        fs::read(&path).expect("a file that can be read")
    } else if kind.is_symlink() {
        fs::read_link(&path).expect("a symbolic link").as_os_str().as_bytes().to_vec()
    } else {
        Vec::new()
    };
    states.insert(
        below.to_owned(),
        State {
            mode: metadata.mode(),
            inode: metadata.ino(),
            links: metadata.nlink(),
            owner: (metadata.uid(), metadata.gid()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            content,
        },
    );
    if kind.is_dir() {
        for entry in fs::read_dir(&path).expect("a directory that can be listed") {
            add(root, &below.join(entry.expect("a directory entry").file_name()), states);
        }
    }
}
