//! One process holds a store; the next one learns who does, and a crash never leaves it locked.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sequel_store::{Holder, OpenError, Role, StoreLock};

const CHILD: &str = "SEQUEL_TEST_LOCK_CHILD";

#[test]
fn a_second_holder_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.db");
    let _held = StoreLock::acquire(&path, &Holder::command()).unwrap();
    let refused = StoreLock::acquire(&path, &Holder::command()).unwrap_err();
    assert!(matches!(refused, OpenError::Locked { .. }));
    let expected = format!(
        "{} is in use by another Sequel process (pid {}, running a command). Stop it first, or use another data folder or storage.url.",
        path.display(),
        std::process::id()
    );
    assert_eq!(refused.to_string(), expected);
}

#[test]
fn a_command_learns_where_the_server_listens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.db");
    assert_eq!(StoreLock::holder(&path).unwrap(), None);
    let server = Holder::serving(Some(PathBuf::from("/run/sequel/admin.sock")));
    let held = StoreLock::acquire(&path, &server).unwrap();
    let found = StoreLock::holder(&path).unwrap().unwrap();
    assert_eq!((found.role, &found), (Role::Serve, &server));
    drop(held);
    assert_eq!(StoreLock::holder(&path).unwrap(), None);
}

#[test]
fn asking_who_holds_it_keeps_nobody_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.db");
    drop(StoreLock::acquire(&path, &Holder::command()).unwrap());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::SeqCst) {
                    StoreLock::holder(&path).unwrap();
                    std::thread::yield_now();
                }
            });
        }
        for _ in 0..50 {
            drop(StoreLock::acquire(&path, &Holder::command()).unwrap());
        }
        done.store(true, std::sync::atomic::Ordering::SeqCst);
    });
}

#[test]
fn a_killed_holder_leaves_no_lock() {
    if let Ok(path) = std::env::var(CHILD) {
        let _held = StoreLock::acquire(Path::new(&path), &Holder::serving(None)).unwrap();
        println!("held");
        // Until the parent kills it.
        loop {
            std::thread::park();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sequel.db");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_holder_leaves_no_lock", "--nocapture"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("held")), "the child said that it holds the lock");
    let found = StoreLock::holder(&path).unwrap().unwrap();
    assert_eq!((found.pid, found.role), (child.id(), Role::Serve));
    let refused = StoreLock::acquire(&path, &Holder::command()).unwrap_err();
    assert!(refused.to_string().contains(&format!("(pid {}, serving)", child.id())), "{refused}");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(StoreLock::holder(&path).unwrap(), None, "the note is still there, the lock is not");
    StoreLock::acquire(&path, &Holder::command()).unwrap();
}

#[cfg(unix)]
#[test]
fn two_names_of_one_store_share_a_lock_that_is_its_owner_s_alone() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("sequel.db"), folder.path().join("link.db"));
    std::fs::write(&path, "").unwrap();
    symlink(&path, &link).unwrap();
    let _held = StoreLock::acquire(&link, &Holder::command()).unwrap();
    assert!(matches!(StoreLock::acquire(&path, &Holder::command()), Err(OpenError::Locked { .. })));
    let lock = std::fs::metadata(folder.path().join("sequel.db.lock")).unwrap();
    assert_eq!(lock.permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_missing_folder_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let refused =
        StoreLock::acquire(&folder.path().join("missing/sequel.db"), &Holder::command()).unwrap_err();
    assert!(refused.to_string().contains("Create the folder"), "{refused}");
}
