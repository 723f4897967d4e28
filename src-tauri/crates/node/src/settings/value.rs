//! The values that settings take.

/// A command and its arguments. There is no shell; the first is the program and not empty.
pub type Argv = Vec<String>;

/// Declares an `enum` whose variants are written as one word.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Returns the value as it is written.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }

            /// Returns the value that is written as `word`.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some($name::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// In which direction changes travel.
    Flow {
        /// Both ways.
        Both = "both",
        /// From the source to the other.
        OneWay = "one-way",
        /// Nowhere.
        None = "none",
    }
}

words! {
    /// What an endpoint is brought to have.
    Deliver {
        /// What the other has.
        Identical = "identical",
        /// Every item once, whatever becomes of it there.
        Once = "once",
    }
}

words! {
    /// Whether a delivered item is sent again.
    Resend {
        /// Never.
        Never = "never",
        /// When it has changed at the source.
        Changed = "changed",
    }
}

words! {
    /// What travels, and appears, as a whole.
    Unit {
        /// Each file.
        File = "file",
        /// Each entry at the top of the folder, with everything below.
        Entry = "entry",
    }
}

words! {
    /// How much a comparison trusts.
    Verify {
        /// Digests that are known for the same size and times.
        Fast = "fast",
        /// Nothing: all contents are hashed again.
        Full = "full",
    }
}

words! {
    /// What one failing item means for the others.
    OnError {
        /// They go on.
        Continue = "continue",
        /// They wait.
        Stop = "stop",
    }
}

words! {
    /// What a member may do with the hub's folder.
    Access {
        /// Read it and change it.
        Write = "write",
        /// Read it.
        Read = "read",
    }
}

/// What begins a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A change on disk.
    Watch,
    /// A clock. At least a second.
    Every(std::time::Duration),
    /// A person.
    Manual,
}

/// What becomes of a path that both sides changed differently.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Conflict {
    /// Both contents are kept, on all nodes.
    KeepBoth,
    /// The later modification wins; the other becomes a version.
    Newest,
    /// Nothing happens until a person decides.
    Refuse,
    /// What this node has wins; the other becomes a version.
    Prefer(String),
}

/// Who carries an item over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Executor {
    /// Evenfold.
    Builtin,
    /// A command for each item.
    Command(Argv),
}

/// Disk space that is left free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reserve {
    /// Share of the disk, 0 to 99.
    Percent(u8),
    /// Bytes.
    Bytes(u64),
}

/// Commands to run when something has happened. Each event may have several.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Hooks {
    /// After an item has arrived here.
    pub after_arrival: Vec<Argv>,
    /// After an item that left here has arrived at its destination.
    pub after_delivery: Vec<Argv>,
    /// When a conflict waits for a person.
    pub on_conflict: Vec<Argv>,
    /// When something failed that retrying did not mend.
    pub on_error: Vec<Argv>,
}

/// The name or path of Evenfold on another host; a leading `~/` is the user's home there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Program(String);

/// The longest path of a program, in bytes.
const LONGEST_PROGRAM: usize = 4096;

impl Program {
    /// Reads a name or path. Returns `None` for what could be taken for an option, and for what is no line of text.
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= LONGEST_PROGRAM && !text.starts_with('-');
        (fits && !text.chars().any(char::is_control)).then(|| Program(text.to_owned()))
    }

    /// Returns it as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Program {
    fn default() -> Self {
        Program("evenfold".to_owned())
    }
}
