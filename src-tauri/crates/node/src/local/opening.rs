//! Opening a folder, and rows of its digest cache.

use evenfold_engine::EndpointError;
use evenfold_fs::cache::CacheRow;
use evenfold_fs::marker::Marker;
use evenfold_fs::platform::RealDisk;
use evenfold_fs::replica::{OpenError, Options, Replica};
use evenfold_fs::scan::ScanError;

use super::Mark;

pub(super) fn open(
    root: &std::path::Path,
    mark: Mark,
    options: Options,
) -> Result<Replica<RealDisk>, EndpointError> {
    let unreadable = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => EndpointError::RootMissing,
        _ => EndpointError::RootUnreadable(error.to_string()),
    };
    let disk = RealDisk::open(root).map_err(unreadable)?;
    let marker = match mark {
        Mark::Create => Marker::Create { replica: rand::random() },
        Mark::Expect(replica) => Marker::Expect { replica },
        Mark::Look | Mark::Inode(_) => {
            use std::os::unix::fs::MetadataExt as _;
            let stat = std::fs::metadata(root).map_err(unreadable)?;
            if let Mark::Inode(joined) = mark
                && stat.ino() != joined
            {
                let detail = "another folder stands at its path, or a disk was mounted or unmounted there";
                return Err(EndpointError::RootReplaced(detail.to_owned()));
            }
            Marker::FileSystem { dev: stat.dev(), ino: stat.ino() }
        }
    };
    Replica::open(disk, Options { marker, ..options }).map_err(|error| match error {
        OpenError::Root(error) => scan_error(error),
        other => EndpointError::RootUnreadable(other.to_string()),
    })
}

pub(super) fn scan_error(error: ScanError) -> EndpointError {
    match error {
        ScanError::RootMissing => EndpointError::RootMissing,
        ScanError::RootReplaced { detail } => EndpointError::RootReplaced(detail),
        other => EndpointError::RootUnreadable(other.to_string()),
    }
}

pub(crate) fn cache_row(row: evenfold_store::CacheRow) -> CacheRow {
    CacheRow {
        path: row.path,
        ino: row.ino,
        size: row.size,
        mtime: row.mtime,
        ctime: row.ctime,
        digest: row.digest,
    }
}

pub(crate) fn stored_row(row: CacheRow) -> evenfold_store::CacheRow {
    evenfold_store::CacheRow {
        path: row.path,
        ino: row.ino,
        size: row.size,
        mtime: row.mtime,
        ctime: row.ctime,
        digest: row.digest,
    }
}
