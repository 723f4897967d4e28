mod disk;
mod endpoint;
mod files;
mod inodes;
