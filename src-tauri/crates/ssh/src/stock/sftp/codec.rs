//! The messages of SFTP version 3 (draft-ietf-secsh-filexfer-02) as OpenSSH speaks it. Names are bytes.

use super::SftpError;

/// Kinds of messages.
pub(super) mod kind {
    pub(crate) const INIT: u8 = 1;
    pub(crate) const VERSION: u8 = 2;
    pub(crate) const OPEN: u8 = 3;
    pub(crate) const CLOSE: u8 = 4;
    pub(crate) const READ: u8 = 5;
    pub(crate) const WRITE: u8 = 6;
    pub(crate) const LSTAT: u8 = 7;
    pub(crate) const FSTAT: u8 = 8;
    pub(crate) const SETSTAT: u8 = 9;
    pub(crate) const FSETSTAT: u8 = 10;
    pub(crate) const OPENDIR: u8 = 11;
    pub(crate) const READDIR: u8 = 12;
    pub(crate) const REMOVE: u8 = 13;
    pub(crate) const MKDIR: u8 = 14;
    pub(crate) const RMDIR: u8 = 15;
    pub(crate) const REALPATH: u8 = 16;
    pub(crate) const RENAME: u8 = 18;
    pub(crate) const READLINK: u8 = 19;
    pub(crate) const SYMLINK: u8 = 20;
    pub(crate) const STATUS: u8 = 101;
    pub(crate) const HANDLE: u8 = 102;
    pub(crate) const DATA: u8 = 103;
    pub(crate) const NAME: u8 = 104;
    pub(crate) const ATTRS: u8 = 105;
    pub(crate) const EXTENDED: u8 = 200;
    pub(crate) const EXTENDED_REPLY: u8 = 201;
}

const HAS_SIZE: u32 = 1;
const HAS_OWNER: u32 = 2;
const HAS_PERMISSIONS: u32 = 4;
const HAS_TIMES: u32 = 8;
const HAS_EXTENDED: u32 = 0x8000_0000;

/// What is known, or shall be, of a file. Times are seconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Length in bytes.
    pub size: Option<u64>,
    /// Kind and permission bits, as in `st_mode`.
    pub permissions: Option<u32>,
    /// Times of last access and modification.
    pub times: Option<(u32, u32)>,
}

/// A message being written: the length is filled in at the end.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Begins a request; its id follows the kind.
    pub(super) fn request(kind: u8, id: u32) -> Self {
        Writer(vec![0, 0, 0, 0, kind]).u32(id)
    }

    /// Begins the greeting, which has a version where others have an id.
    pub(super) fn greeting() -> Self {
        Self::request(kind::INIT, 3)
    }

    pub(super) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Writes a string with its length; longer ones than 4 GiB do not exist.
    pub(super) fn bytes(self, value: &[u8]) -> Self {
        let mut this = self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        this.0.extend_from_slice(value);
        this
    }

    pub(super) fn attributes(self, attributes: &Attributes) -> Self {
        let flag = |present: bool, flag: u32| if present { flag } else { 0 };
        let mut this = self.u32(
            flag(attributes.size.is_some(), HAS_SIZE)
                | flag(attributes.permissions.is_some(), HAS_PERMISSIONS)
                | flag(attributes.times.is_some(), HAS_TIMES),
        );
        if let Some(size) = attributes.size {
            this = this.u64(size);
        }
        if let Some(permissions) = attributes.permissions {
            this = this.u32(permissions);
        }
        if let Some((access, modification)) = attributes.times {
            this = this.u32(access).u32(modification);
        }
        this
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len().saturating_sub(4)).unwrap_or(u32::MAX);
        if let Some(head) = self.0.first_chunk_mut::<4>() {
            *head = length.to_be_bytes();
        }
        self.0
    }
}

/// A message being read. Every method fails where the message is shorter than it should be.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

/// A name and a value.
pub(super) type Pair<'a> = (&'a [u8], &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], SftpError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(SftpError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u32(&mut self) -> Result<u32, SftpError> {
        let bytes = self.take(4)?.try_into().map_err(|_| SftpError::Malformed)?;
        Ok(u32::from_be_bytes(bytes))
    }

    pub(super) fn u64(&mut self) -> Result<u64, SftpError> {
        let bytes = self.take(8)?.try_into().map_err(|_| SftpError::Malformed)?;
        Ok(u64::from_be_bytes(bytes))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], SftpError> {
        let length = self.u32()?;
        self.take(usize::try_from(length).map_err(|_| SftpError::Malformed)?)
    }

    pub(super) fn attributes(&mut self) -> Result<Attributes, SftpError> {
        let flags = self.u32()?;
        let mut attributes = Attributes::default();
        if flags & HAS_SIZE != 0 {
            attributes.size = Some(self.u64()?);
        }
        if flags & HAS_OWNER != 0 {
            self.take(8)?;
        }
        if flags & HAS_PERMISSIONS != 0 {
            attributes.permissions = Some(self.u32()?);
        }
        if flags & HAS_TIMES != 0 {
            attributes.times = Some((self.u32()?, self.u32()?));
        }
        if flags & HAS_EXTENDED != 0 {
            for _ in 0..self.u32()? {
                self.bytes()?;
                self.bytes()?;
            }
        }
        Ok(attributes)
    }

    /// Reads the pairs at the end of the greeting.
    pub(super) fn pairs(&mut self) -> Result<Vec<Pair<'a>>, SftpError> {
        let mut pairs = Vec::new();
        while !self.0.is_empty() {
            pairs.push((self.bytes()?, self.bytes()?));
        }
        Ok(pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_back_as_they_were_written() {
        for attributes in [
            Attributes::default(),
            Attributes { size: Some(1 << 40), permissions: Some(0o100_644), times: Some((1, u32::MAX)) },
            Attributes { size: None, permissions: None, times: Some((0, 7)) },
        ] {
            let message = Writer::request(kind::SETSTAT, 9).bytes(b"\xff").attributes(&attributes).finish();
            let mut reader = Reader(&message);
            assert_eq!(reader.u32().unwrap() as usize, message.len() - 4);
            assert_eq!((reader.take(1).unwrap(), reader.u32().unwrap()), (&[kind::SETSTAT][..], 9));
            assert_eq!(reader.bytes().unwrap(), b"\xff");
            assert_eq!(reader.attributes().unwrap(), attributes);
            assert!(reader.0.is_empty());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            _ = Reader(&bytes).attributes();
            _ = Reader(&bytes).pairs();
            _ = Reader(&bytes).bytes();
        }
    }
}
