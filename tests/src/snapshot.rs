//! Everything that can be seen of a directory, to show that a command changed nothing of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// All names below a directory, and what each of them is.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<PathBuf, Seen>);

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    /// Kind and permissions.
    mode: u32,
    inode: u64,
    links: u64,
    owner: (u32, u32),
    modified: (i64, i64),
    /// Of a file its bytes, of a symbolic link where it leads.
    content: Vec<u8>,
}

impl Snapshot {
    /// Of a directory and all that is below it; symbolic links are not followed.
    ///
    /// # Panics
    /// If something of it cannot be read.
    #[must_use]
    pub fn of(directory: &Path) -> Self {
        let mut seen = BTreeMap::new();
        look(directory, Path::new(""), &mut seen);
        Self(seen)
    }

    /// The first name that is not as it was, and in what way; `None` if all are.
    #[must_use]
    pub fn difference(&self, later: &Self) -> Option<String> {
        let names: std::collections::BTreeSet<_> = self.0.keys().chain(later.0.keys()).collect();
        names.into_iter().find_map(|name| {
            let what = match (self.0.get(name), later.0.get(name)) {
                (Some(before), Some(after)) => before.difference(after)?,
                (Some(_), None) => "is gone",
                (None, _) => "is new",
            };
            Some(format!("`{}` {what}", name.display()))
        })
    }
}

impl Seen {
    fn difference(&self, later: &Self) -> Option<&'static str> {
        let differs = [
            (self.mode != later.mode, "has another mode"),
            (self.inode != later.inode, "is another file"),
            (self.links != later.links, "has another number of names"),
            (self.owner != later.owner, "has another owner"),
            (self.content != later.content, "has other content"),
            (self.modified != later.modified, "was modified"),
        ];
        differs.into_iter().find_map(|(is_so, what)| is_so.then_some(what))
    }
}

/// All names below `below` in `root`, relative to `root` and in order. What cannot be listed has none.
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

fn look(root: &Path, below: &Path, seen: &mut BTreeMap<PathBuf, Seen>) {
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
    seen.insert(
        below.to_owned(),
        Seen {
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
            look(root, &below.join(entry.expect("an entry of it").file_name()), seen);
        }
    }
}
