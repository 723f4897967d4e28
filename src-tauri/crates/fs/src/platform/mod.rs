//! The real disk: one module per operating system behind one type, [`RealDisk`].
//!
//! Linux is proven by tests. On every other system [`RealDisk::open`] says `Unsupported`, because nothing there
//! has been shown to keep the promises about links, exchanges and durability.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod linux_direct;
#[cfg(target_os = "linux")]
mod linux_file;
#[cfg(target_os = "linux")]
mod linux_inotify;
#[cfg(target_os = "linux")]
mod linux_watch;
#[cfg(not(target_os = "linux"))]
mod unproven;

#[cfg(target_os = "linux")]
pub use linux::RealDisk;
#[cfg(target_os = "linux")]
pub(crate) use linux_watch::Watcher;
#[cfg(not(target_os = "linux"))]
pub use unproven::RealDisk;
#[cfg(not(target_os = "linux"))]
pub(crate) use unproven::Watcher;
