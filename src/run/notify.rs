//! A word to the service manager: sd_notify(3), for `Type=notify` units of systemd. A datagram to the socket that the
//! environment names; where it names none, nobody wants to know.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

/// What the manager is told.
#[derive(Debug, Clone, Copy)]
pub(super) enum State {
    /// It answers requests.
    Ready,
    /// It was asked to stop and lets running calls end.
    Stopping,
}

/// Tells it. A manager that cannot be told is none of the server's business; it is logged.
pub(super) fn notify(state: State) {
    // The environment is asked here because the manager speaks through it; it is no setting.
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let words = match state {
        State::Ready => "READY=1",
        State::Stopping => "STOPPING=1",
    };
    if let Err(error) = send(socket.as_bytes(), words) {
        tracing::warn!(%error, "the service manager cannot be notified");
    }
}

fn send(socket: &[u8], words: &str) -> std::io::Result<()> {
    let to = match socket.split_first() {
        #[cfg(target_os = "linux")]
        Some((b'@', name)) => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(Path::new(std::ffi::OsStr::from_bytes(socket)))?,
    };
    UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &to).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_it_by_path_and_by_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str().as_bytes(), "READY=1").unwrap();
        let mut heard = [0; 16];
        let bytes = manager.recv(&mut heard).unwrap();
        assert_eq!(&heard[..bytes], b"READY=1");
        #[cfg(target_os = "linux")]
        {
            let name = format!("sequel-test-{}", std::process::id());
            let address =
                <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name.as_bytes());
            let address = address.unwrap();
            let manager = UnixDatagram::bind_addr(&address).unwrap();
            send(format!("@{name}").as_bytes(), "STOPPING=1").unwrap();
            let bytes = manager.recv(&mut heard).unwrap();
            assert_eq!(&heard[..bytes], b"STOPPING=1");
        }
    }
}
