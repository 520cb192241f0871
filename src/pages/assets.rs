//! The files that pages load, embedded in the binary under names that change with their content.
//!
//! The bytes are what stands in `assets/`: no build step, no bundler. Compressed once, when first asked for.

use std::io::Write as _;
use std::sync::LazyLock;

use flate2::Compression;
use flate2::write::GzEncoder;
use ring::digest::{SHA256, digest};

/// Where all of them are.
pub const PREFIX: &str = "/assets/";

/// An embedded file.
#[derive(Debug)]
pub struct Asset {
    /// What it is called in `assets/`.
    pub name: &'static str,
    /// Its address: [`PREFIX`], and a name with a digest of its content in it.
    pub path: String,
    /// Its type, for `Content-Type`.
    pub media_type: &'static str,
    /// As it is.
    pub bytes: &'static [u8],
    /// For clients that accept `gzip`.
    pub gzip: Vec<u8>,
}

static ASSETS: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        asset("sequel.css", "text/css; charset=utf-8", include_bytes!("assets/sequel.css")),
        asset("sequel.js", "text/javascript; charset=utf-8", include_bytes!("assets/sequel.js")),
        asset("sprite.svg", "image/svg+xml", include_bytes!("assets/sprite.svg")),
        asset("icon.svg", "image/svg+xml", include_bytes!("assets/icon.svg")),
    ]
});

/// All of them.
pub fn all() -> &'static [Asset] {
    ASSETS.as_slice()
}

/// The one at this address.
pub fn find(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}

/// The address of the one that templates call so. Panics for a name that is none: a test renders every template.
pub(super) fn path(name: &str) -> &'static str {
    let asset = ASSETS.iter().find(|asset| asset.name == name);
    &asset.unwrap_or_else(|| panic!("{name} is no embedded file")).path
}

fn asset(name: &'static str, media_type: &'static str, bytes: &'static [u8]) -> Asset {
    let (stem, extension) = name.split_once('.').expect("embedded files have an extension");
    let hash = digest(&SHA256, bytes);
    // 64 bits: these are a handful of files of our own, and nobody gains by making two of them meet.
    let hash: String = hash.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes).expect("memory takes everything");
    let gzip = gzip.finish().expect("memory takes everything");
    Asset { name, path: format!("{PREFIX}{stem}.{hash}.{extension}"), media_type, bytes, gzip }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn every_file_is_found_at_its_address_and_unpacks_to_itself() {
        for asset in all() {
            assert_eq!(find(&asset.path).unwrap().name, asset.name);
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(asset.gzip.as_slice()).read_to_end(&mut unpacked).unwrap();
            assert_eq!(unpacked, asset.bytes);
            assert!(asset.gzip.len() < asset.bytes.len(), "{}", asset.name);
        }
        assert!(find("/assets/sequel.css").is_none() && find("/assets/../Cargo.toml").is_none());
    }
}
