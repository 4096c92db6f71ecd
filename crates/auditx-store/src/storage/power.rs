//! A test storage that tracks which bytes are synced. A simulated power loss keeps all synced bytes and any
//! part of the others.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Disk, Storage, StorageFile};
use crate::dir::{Dir, FileStat};

const SECTOR: usize = 512;

/// The real disk, and what would survive a power loss.
#[derive(Debug, Clone, Default)]
pub struct PowerDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The synced length of each inode.
    synced: HashMap<u64, u64>,
    /// The renames and creations since the last sync of the directory.
    names: Vec<NameChange>,
}

#[derive(Debug, Clone)]
enum NameChange {
    Renamed { from: String, to: String },
    Created(String),
}

#[derive(Debug)]
struct PowerFile {
    file: Arc<dyn StorageFile>,
    inode: u64,
    disk: PowerDisk,
}

impl StorageFile for PowerFile {
    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let _state = self.disk.state();
        // Short writes, which file systems are allowed to make.
        self.file.append(&bytes[..bytes.len().min(40_000)])
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let len = self.file.stat()?.len();
        state.synced.insert(self.inode, len);
        Ok(())
    }

    fn stat(&self) -> io::Result<FileStat> {
        self.file.stat()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let _state = self.disk.state();
        self.file.set_len(len)
    }
}

impl Storage for PowerDisk {
    fn open_append(&self, dir: &Dir, name: &str, create_new: bool) -> io::Result<Arc<dyn StorageFile>> {
        let mut state = self.state();
        let file = Disk.open_append(dir, name, create_new)?;
        if create_new {
            state.names.push(NameChange::Created(name.to_owned()));
        }
        let inode = fs::metadata(dir.join(name))?.ino();
        Ok(Arc::new(PowerFile { file, inode, disk: self.clone() }))
    }

    fn rename(&self, dir: &Dir, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.names.push(NameChange::Renamed { from: from.to_owned(), to: to.to_owned() });
        Disk.rename(dir, from, to)
    }

    fn remove(&self, dir: &Dir, name: &str) -> io::Result<()> {
        Disk.remove(dir, name)
    }

    fn replace(&self, dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
        let _state = self.state();
        Disk.replace(dir, name, bytes)
    }

    fn put(&self, dir: &Dir, name: &str, bytes: &[u8]) -> io::Result<()> {
        let _state = self.state();
        Disk.put(dir, name, bytes)
    }

    fn sync_directory(&self, _dir: &Dir) -> io::Result<()> {
        self.state().names.clear();
        Ok(())
    }
}

impl PowerDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Writes a state of the segments in `from` that a power loss at this moment could leave to `to`. `copy`
    /// copies all other files while nothing is written, and `below` makes the random choices.
    pub fn cut(&self, from: &Path, to: &Path, copy: impl FnOnce(), below: &mut dyn FnMut(usize) -> usize) {
        let state = self.state();
        copy();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !(name.starts_with("audit") && name.ends_with(".jsonl")) {
                continue;
            }
            let inode = fs::metadata(&path).unwrap().ino();
            let synced = state.synced.get(&inode).copied().unwrap_or(0);
            let bytes = torn(fs::read(&path).unwrap(), usize::try_from(synced).unwrap(), below);
            fs::write(to.join(name), bytes).unwrap();
        }
        // File systems journal name changes in order, so only the last ones are lost.
        let kept = below(state.names.len() + 1);
        for change in state.names[kept..].iter().rev() {
            let target = |name: &String| to.join(name);
            match change {
                NameChange::Renamed { from, to } => fs::rename(target(to), target(from)).unwrap(),
                NameChange::Created(path) => fs::remove_file(target(path)).unwrap(),
            }
        }
    }
}

/// Returns the synced bytes, followed by some of the sectors that were only written.
fn torn(mut bytes: Vec<u8>, synced: usize, below: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
    let written = bytes.len() - synced;
    bytes.truncate(synced + below(written + 1));
    let mut at = synced.next_multiple_of(SECTOR);
    while at < bytes.len() {
        if below(6) == 0 {
            let end = (at + SECTOR).min(bytes.len());
            bytes[at..end].fill(0);
        }
        at += SECTOR;
    }
    bytes
}
