//! From what happened to the files to what a power loss would have left of it.
//!
//! What was synced is there. What was written since may be there or not, sector by sector; so may a file's length, and
//! a name that was made, changed or removed while nobody synced its folder. POSIX promises no more; ext4, XFS and btrfs
//! keep changes of names in order, and a backend may ask for that. Of what a failed sync should have brought to the disk some is there, and the rest
//! never will be, however often one syncs later: that is what Linux does.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use proptest::prelude::Rng;
use proptest::test_runner::TestRng;

use super::child::Ack;

/// One thing that happened.
#[derive(Debug)]
pub(super) enum Event {
    Made {
        name: PathBuf,
        inode: u64,
    },
    MadeFolder {
        name: PathBuf,
    },
    Wrote {
        inode: u64,
        at: usize,
        bytes: Vec<u8>,
    },
    Resized {
        inode: u64,
        length: usize,
    },
    /// Of a folder the names were synced.
    Synced {
        inode: u64,
        folder: Option<PathBuf>,
        failed: bool,
    },
    Renamed {
        from: PathBuf,
        to: PathBuf,
    },
    Removed {
        name: PathBuf,
    },
    Acknowledged(Ack),
}

/// Reads what `disk.c` wrote; the entry that a kill cut off is left out.
pub(super) fn read(path: &Path) -> Vec<Event> {
    let bytes = std::fs::read(path).expect("a journal");
    let (mut rest, mut events) = (&bytes[..], Vec::new());
    while let Some((head, behind)) = rest.split_first_chunk::<25>() {
        let number = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("8 bytes"));
        let (inode, number, length) = (number(1), number(9) as usize, number(17) as usize);
        let Some((payload, behind)) = behind.split_at_checked(length) else { break };
        rest = behind;
        let text = || std::str::from_utf8(payload).expect("a name that is text");
        let name = || PathBuf::from(text());
        events.push(match head[0] {
            b'c' => Event::Made { name: name(), inode },
            b'm' => Event::MadeFolder { name: name() },
            b'w' => Event::Wrote { inode, at: number, bytes: payload.to_vec() },
            b't' => Event::Resized { inode, length: number },
            kind @ (b's' | b'x') => {
                Event::Synced { inode, folder: (number == 1).then(name), failed: kind == b'x' }
            }
            b'r' => {
                let (from, to) = text().split_once('\0').expect("two names");
                Event::Renamed { from: from.into(), to: to.into() }
            }
            b'u' => Event::Removed { name: name() },
            b'a' => Event::Acknowledged(Ack::parse(text()).expect("an acknowledgement")),
            other => panic!("the journal holds a {other}"),
        });
    }
    events
}

/// A disk at one moment: what is there for certain, and what else may be.
pub(super) struct Platter {
    files: Vec<File>,
    /// Which file an inode is now; numbers are used again.
    inodes: HashMap<u64, usize>,
    names: BTreeMap<PathBuf, Entry>,
    pending: Vec<Naming>,
    names_in_order: bool,
}

#[derive(Default)]
struct File {
    bytes: Vec<u8>,
    pending: Vec<Change>,
}

enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

#[derive(Clone, Copy, PartialEq)]
enum Entry {
    Folder,
    File(usize),
}

enum Naming {
    Put(PathBuf, Entry),
    Remove(PathBuf),
    Move(PathBuf, PathBuf, Entry),
}

/// What survives of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    Nothing,
    Everything,
    /// What came first, up to some call.
    First,
    /// Some calls, wholly.
    Calls,
    /// Some sectors of each call: writes are torn.
    Sectors,
}

impl Fate {
    pub(super) fn any(random: &mut TestRng) -> Self {
        [Self::Nothing, Self::Everything, Self::First, Self::Calls, Self::Sectors]
            [random.next_u64() as usize % 5]
    }
}

/// Decides for each call, and each sector of it, whether it survives.
struct Judge<'r> {
    random: &'r mut TestRng,
    fate: Fate,
    sector: usize,
    left: usize,
}

impl<'r> Judge<'r> {
    fn new(random: &'r mut TestRng, fate: Fate, calls: usize) -> Self {
        // Disks promise to write one sector wholly or not: 512 bytes of old ones, 4 KiB of newer ones.
        let sector = if random.next_u64().is_multiple_of(2) { 512 } else { 4096 };
        let left = random.next_u64() as usize % (calls + 1);
        Self { random, fate, sector, left }
    }

    fn keeps(&mut self) -> bool {
        match self.fate {
            Fate::Nothing => false,
            Fate::Everything => true,
            Fate::First => {
                let kept = self.left > 0;
                self.left = self.left.saturating_sub(1);
                kept
            }
            Fate::Calls | Fate::Sectors => self.random.next_u64().is_multiple_of(2),
        }
    }

    /// Carries out what survives of a change; says how many bytes did not.
    fn change(&mut self, file: &mut Vec<u8>, change: &Change) -> usize {
        match change {
            Change::Length(length) => {
                if self.keeps() {
                    file.resize(*length, 0);
                }
                0
            }
            Change::Write { at, bytes } if self.fate == Fate::Sectors => {
                let (mut from, end, mut lost) = (*at, at + bytes.len(), 0);
                while from < end {
                    let to = end.min((from / self.sector + 1) * self.sector);
                    if self.keeps() {
                        write(file, from, &bytes[from - at..to - at]);
                    } else {
                        lost += to - from;
                    }
                    from = to;
                }
                lost
            }
            Change::Write { at, bytes } => {
                let kept = self.keeps();
                if kept {
                    write(file, *at, bytes);
                }
                if kept { 0 } else { bytes.len() }
            }
        }
    }
}

fn write(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    // A part that was lost before it reads as zeros.
    file.resize(file.len().max(at + bytes.len()), 0);
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

impl Platter {
    /// A disk that holds what is in `root`, for certain.
    pub(super) fn of(root: &Path, names_in_order: bool) -> Self {
        let (files, inodes, names) = (Vec::new(), HashMap::new(), BTreeMap::new());
        let mut platter = Self { files, inodes, names, pending: Vec::new(), names_in_order };
        platter.take_in(root, Path::new(""));
        platter
    }

    fn take_in(&mut self, root: &Path, folder: &Path) {
        for entry in std::fs::read_dir(root.join(folder)).expect("a readable folder") {
            let entry = entry.expect("a readable folder");
            let (name, metadata) = (folder.join(entry.file_name()), entry.metadata().expect("it is there"));
            if metadata.is_dir() {
                self.names.insert(name.clone(), Entry::Folder);
                self.take_in(root, &name);
            } else {
                let bytes = std::fs::read(entry.path()).expect("a readable file");
                self.inodes.insert(metadata.ino(), self.files.len());
                self.names.insert(name, Entry::File(self.files.len()));
                self.files.push(File { bytes, pending: Vec::new() });
            }
        }
    }

    /// Lets one thing happen.
    pub(super) fn happen(&mut self, event: &Event, random: &mut TestRng) {
        match event {
            Event::Made { name, inode } => {
                self.inodes.insert(*inode, self.files.len());
                self.pending.push(Naming::Put(name.clone(), Entry::File(self.files.len())));
                self.files.push(File::default());
            }
            Event::MadeFolder { name } => self.pending.push(Naming::Put(name.clone(), Entry::Folder)),
            Event::Wrote { inode, at, bytes } => {
                self.file(*inode).pending.push(Change::Write { at: *at, bytes: bytes.clone() });
            }
            Event::Resized { inode, length } => self.file(*inode).pending.push(Change::Length(*length)),
            // A folder's failed sync is like none.
            Event::Synced { folder: Some(_), failed: true, .. } => {}
            Event::Synced { folder: Some(folder), .. } => self.sync_names(folder),
            Event::Synced { inode, failed, .. } => {
                let fate = if *failed { Fate::Sectors } else { Fate::Everything };
                let file = self.file(*inode);
                let mut judge = Judge::new(random, fate, 0);
                for change in std::mem::take(&mut file.pending) {
                    judge.change(&mut file.bytes, &change);
                }
            }
            Event::Renamed { from, to } => {
                let entry = self.find(from);
                self.pending.push(Naming::Move(from.clone(), to.clone(), entry));
            }
            Event::Removed { name } => self.pending.push(Naming::Remove(name.clone())),
            Event::Acknowledged(_) => {}
        }
    }

    fn file(&mut self, inode: u64) -> &mut File {
        &mut self.files[self.inodes[&inode]]
    }

    /// What a name stands for now, as the running process sees it.
    fn find(&self, name: &Path) -> Entry {
        let latest = self.pending.iter().rev().find_map(|naming| match naming {
            Naming::Put(made, entry) | Naming::Move(_, made, entry) if made == name => Some(*entry),
            _ => None,
        });
        latest.unwrap_or_else(|| self.names[name])
    }

    fn sync_names(&mut self, folder: &Path) {
        let inside = |name: &Path| self.names_in_order || name.parent() == Some(folder);
        let (synced, pending) =
            std::mem::take(&mut self.pending).into_iter().partition(|naming| match naming {
                Naming::Put(name, _) | Naming::Remove(name) => inside(name),
                Naming::Move(from, to, _) => inside(from) || inside(to),
            });
        self.pending = pending;
        let synced: Vec<Naming> = synced;
        for naming in &synced {
            naming.carry_out(&mut self.names);
        }
    }

    /// Writes into the empty folder `into` what a power loss now would leave. Returns how many bytes were lost.
    pub(super) fn lose_power(&self, fate: Fate, random: &mut TestRng, into: &Path) -> usize {
        let calls = self.pending.len() + self.files.iter().map(|file| file.pending.len()).sum::<usize>();
        let mut judge = Judge::new(random, fate, calls);
        let (mut names, mut lost) = (self.names.clone(), 0);
        for naming in &self.pending {
            if judge.keeps() {
                naming.carry_out(&mut names);
            } else if self.names_in_order {
                break;
            }
        }
        for (name, entry) in &names {
            // One whose folder was lost was lost with it.
            if name.ancestors().skip(1).any(|folder| folder != Path::new("") && !names.contains_key(folder)) {
                continue;
            }
            match entry {
                Entry::Folder => std::fs::create_dir(into.join(name)).expect("a writable folder"),
                Entry::File(file) => {
                    let file = &self.files[*file];
                    let mut bytes = file.bytes.clone();
                    lost += file.pending.iter().map(|change| judge.change(&mut bytes, change)).sum::<usize>();
                    std::fs::write(into.join(name), bytes).expect("a writable folder");
                }
            }
        }
        lost
    }
}

impl Naming {
    fn carry_out(&self, names: &mut BTreeMap<PathBuf, Entry>) {
        match self {
            Naming::Put(name, entry) => {
                names.insert(name.clone(), *entry);
            }
            Naming::Remove(name) => {
                names.remove(name);
            }
            Naming::Move(from, to, entry) => {
                names.remove(from);
                names.insert(to.clone(), *entry);
            }
        }
    }
}
