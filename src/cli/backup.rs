//! `sequel backup`.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::answer::{Answer, clean, second};
use super::client::ClientError;
use super::failure::Failure;
use super::session::Session;
use super::{Global, World};
use crate::backup::{BackupError, Decoder, Item, NewFile, Passphrase, Sealer};
use crate::context::{Rng, Timestamp};

/// Write everything that Sequel keeps into one file, also while the server runs
///
/// The file holds one moment of all organizations, with a checksum; it is written beside its name and moved there when
/// it is whole. It holds no secret of an API key, only digests, and never the master key that data sources' secrets are
/// sealed with once there is one: keep that key apart from the backups, and safe, because without it those secrets are
/// lost. The databases themselves and sequel.toml are not in it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to write
    file: PathBuf,
    /// Replace the file where there is one already
    #[arg(long)]
    force: bool,
    /// Encrypt the backup with the passphrase in the first line of this file
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made {
    file: String,
    made_at: Timestamp,
    records: u64,
    bytes: u64,
    encrypted: bool,
}

/// Where a backup is written to.
enum Out {
    Plain(NewFile),
    Sealed(Box<Sealer<NewFile>>),
}

impl Out {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Sealed(sealer) => sealer.write_all(bytes),
        }
    }
}

pub(super) fn run(args: Args, global: &Global, world: &mut World<'_>) -> Result<Answer, Failure> {
    let config = global.load(world, None)?.config;
    let passphrase = args.passphrase_file.as_deref().map(Passphrase::read).transpose()?;
    // Before anything is started for it.
    let file = NewFile::create(&args.file, args.force)?;
    let out = match &passphrase {
        Some(passphrase) => {
            let sealer = Sealer::begin(file, passphrase, &Rng::system()).map_err(BackupError::Seal)?;
            Out::Sealed(Box::new(sealer))
        }
        None => Out::Plain(file),
    };
    Session::with(&config, global.repeated(), world, async |session, _| {
        let mut made = write(session, out, &args.file).await?;
        made.encrypted = passphrase.is_some();
        Ok(answer(&made))
    })
}

/// Takes the backup from the server and writes it, looking at each piece on its way.
async fn write(session: &mut Session, mut out: Out, path: &Path) -> Result<Made, Failure> {
    let failed = |source| BackupError::File { path: path.to_owned(), what: "written", source };
    let mut pieces = session.client.stream("/backup").await.map_err(broken_off)?;
    let mut decoder = Decoder::default();
    let (mut made_at, mut records, mut bytes) = (None, 0, 0);
    while let Some(piece) = pieces.next().await.map_err(broken_off)? {
        bytes += piece.len() as u64;
        out.write(&piece).map_err(failed)?;
        decoder.push(&piece);
        while let Some(item) = decoder.item()? {
            match item {
                Item::Head(head) => made_at = Some(head.made_at),
                Item::End(count) => records = count,
                Item::Record(_) => {}
            }
        }
    }
    decoder.finish()?;
    let file = match out {
        Out::Plain(file) => file,
        Out::Sealed(sealer) => sealer.finish().map_err(failed)?,
    };
    file.keep()?;
    let made_at = made_at.ok_or(BackupError::Truncated)?;
    Ok(Made { file: path.to_string_lossy().into_owned(), made_at, records, bytes, encrypted: false })
}

fn answer(made: &Made) -> Answer {
    let how = if made.encrypted { ", encrypted" } else { "" };
    let (file, made_at) = (clean(&made.file), second(made.made_at));
    Answer::new(made, format!("Wrote {file}: {} records as of {made_at}{how}.", made.records))
}

/// A connection that broke means that no backup was made, whatever else it may mean.
pub(super) fn broken_off(error: ClientError) -> Failure {
    match error {
        ClientError::Broken { why, .. } => BackupError::BrokenOff(why).into(),
        error => error.into(),
    }
}
