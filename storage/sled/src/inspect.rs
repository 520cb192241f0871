//! Looking at a store from outside: whether it opens, of which version it is, whether it is whole. Changes nothing.
//!
//! sled cannot be opened without writing, nor by two at once. So a store that is closed is looked at in a copy, and of
//! one that is open only the note is read: what it holds is for its own process to say.

use std::fs;
use std::path::Path;

use sequel_store::{Inspection, OpenError, Scope, StoreLock};
use sled::Tree;

use crate::fault::{self, Fault};
use crate::rows::{self, Head, ScopeState, VERSION, Value};
use crate::{open, read, space};

/// Inspects the store in the folder `path`; `None` where there is none yet.
///
/// Blocks: copies the whole store beside it and reads all of that, which takes as much free space as it is large
/// ([`OpenError::Full`] where there is less). While the store is open, and in a store that opens meanwhile, only the
/// version is looked at.
pub fn inspect(path: &Path) -> Result<Option<Inspection>, OpenError> {
    let folder = sequel_store::resolve(path)?;
    let Some(note) = open::note(&folder)? else { return Ok(None) };
    let version_alone = Inspection { version: note.version, known: VERSION, damage: None };
    if !note.complete || StoreLock::holder(&folder)?.is_some() {
        return Ok(Some(version_alone));
    }
    let copy = copy(&folder)?;
    // A store that was opened while it was copied has another note now, or a holder.
    if StoreLock::holder(&folder)?.is_some() || open::note(&folder)?.as_ref() != Some(&note) {
        return Ok(Some(version_alone));
    }
    let found = open::log(copy.path(), crate::CACHE_BYTES, &note).and_then(|log| whole(&log.db));
    match found {
        Ok(()) => Ok(Some(version_alone)),
        Err(Fault::Damaged(what)) => Ok(Some(Inspection { damage: Some(what), ..version_alone })),
        Err(fault @ Fault::Sled(sled::Error::Corruption { .. })) => {
            Ok(Some(Inspection { damage: Some(fault.to_string()), ..version_alone }))
        }
        Err(fault) => Err(fault::open(&folder, &fault)),
    }
}

/// A copy of what sled wrote, in a folder beside the store.
fn copy(folder: &Path) -> Result<tempfile::TempDir, OpenError> {
    let failed = |error: std::io::Error| OpenError::io(folder, &error);
    let beside = folder.parent().unwrap_or(folder);
    let bytes = fs::metadata(open::log_path(folder)).map_err(failed)?.len();
    if (space::of_the_disk())(beside).is_ok_and(|free| free < bytes.saturating_mul(2)) {
        return Err(OpenError::Full { path: folder.to_owned() });
    }
    let copy = tempfile::Builder::new().prefix(".sequel-inspect-").tempdir_in(beside).map_err(failed)?;
    fs::create_dir(copy.path().join("sled")).map_err(failed)?;
    for entry in fs::read_dir(folder.join("sled")).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_file() {
            fs::copy(entry.path(), copy.path().join("sled").join(entry.file_name())).map_err(failed)?;
        }
    }
    Ok(copy)
}

/// Holds every row against the others: a page that sled lost without saying so leaves some without their counterpart.
fn whole(tree: &Tree) -> Result<(), Fault> {
    let mut chunks = 0;
    for row in tree.scan_prefix(rows::all_records()) {
        let (row, head) = row?;
        let ((scope, key), head) = (rows::parse_record_row(&row)?, Head::decode(&head)?);
        let lost = |what| Fault::Damaged(format!("a record of {scope} has lost {what}"));
        if head.revision > read::state(tree, &scope)?.revision {
            return Err(lost("its scope's state"));
        }
        if head.value == Value::Deleted && tree.get(rows::change_row(&scope, head.revision))?.is_none() {
            return Err(lost("the commit that deleted it"));
        }
        read::record_of(tree, &scope, &key, Some(&head))?;
        chunks += head.chunks();
    }
    if tree.scan_prefix(rows::all_chunks()).count() != chunks {
        return Err(Fault::Damaged("parts of values belong to no record".to_owned()));
    }
    for row in tree.scan_prefix(rows::all_scopes()) {
        let (row, state) = row?;
        let scope = std::str::from_utf8(&row[1..]).ok().and_then(|name| Scope::parse(name).ok());
        let scope =
            scope.ok_or_else(|| Fault::Damaged(format!("a scope is named {}", row.escape_ascii())))?;
        changes_are_whole(tree, &scope, &ScopeState::decode(&state)?)?;
    }
    Ok(())
}

/// The changes that a scope remembers are its latest, none is missing, and each key they name has its row.
fn changes_are_whole(tree: &Tree, scope: &Scope, state: &ScopeState) -> Result<(), Fault> {
    let lost = |what| Fault::Damaged(format!("{scope} has lost {what}"));
    let mut expected = None;
    for change in tree.scan_prefix(rows::changes(scope)) {
        let (row, keys) = change?;
        if expected.is_some_and(|expected: Vec<u8>| expected != *row) {
            return Err(lost("a commit"));
        }
        let revision = row.last_chunk().copied().map_or(0, u64::from_be_bytes);
        for key in rows::decode_keys(&keys)? {
            if read::head(tree, scope, &key)?.is_none_or(|head| head.revision < revision) {
                return Err(lost("a record"));
            }
        }
        expected = Some(rows::change_row(scope, revision + 1));
    }
    if expected != Some(rows::change_row(scope, state.revision + 1)) {
        return Err(lost("its latest commit"));
    }
    Ok(())
}
