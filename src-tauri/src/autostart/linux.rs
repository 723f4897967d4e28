//! The XDG entry: one file in the user's autostart directory, of our own making, because the usual library quotes nothing
//! and does not look where XDG_CONFIG_HOME points.

use std::io;
use std::path::{Path, PathBuf};

use evenfold_node::api::{ApiError, ErrorCode};
use evenfold_node::home::Home;

use super::program::{self, Unfit};
use super::{Status, entry};

/// Name of the file; that of the application, so that desktops show the two as one.
const NAME: &str = "app.evenfold.desktop.desktop";

/// The switch.
pub(crate) struct Autostart {
    file: PathBuf,
    program: Result<PathBuf, Unfit>,
    /// Given where the home is not the usual one.
    home: Option<String>,
}

impl Autostart {
    pub(super) fn new(home: &Home) -> Result<Autostart, ApiError> {
        let config = config_dir(std::env::var_os("XDG_CONFIG_HOME"), std::env::var_os("HOME"));
        let config = config.ok_or_else(|| ApiError::new(ErrorCode::Io, "this user has no home directory"))?;
        let usual = Home::locate(None, None).ok();
        let special = usual.is_none_or(|usual| usual != *home);
        let home = special.then(|| home.dir().to_str().map(str::to_owned)).flatten();
        Ok(Autostart { file: config.join("autostart").join(NAME), program: program::find(), home })
    }

    /// Returns what the system does at login. Blocks for a moment.
    pub(crate) fn status(&self) -> Status {
        let entry = self.read();
        let there = entry.as_ref().is_some_and(|entry| !entry.off && !entry.exec.is_empty());
        let gone =
            entry.and_then(|entry| entry.exec.into_iter().next()).filter(|program| there && !runs(program));
        let problem = match (&self.program, gone) {
            (_, Some(program)) => Some(format!("the entry starts {program}, which is not there")),
            (Err(unfit), None) => Some(unfit.to_string()),
            (Ok(_), None) => None,
        };
        Status { enabled: there, path: self.file.display().to_string(), problem }
    }

    /// Switches it, and returns what the system does then. Blocks for a moment.
    ///
    /// # Errors
    /// When the entry cannot be written or removed, or should not be written for this program; nothing was changed then.
    pub(crate) fn set(&self, enabled: bool) -> Result<Status, ApiError> {
        if enabled {
            let program =
                self.program.as_ref().map_err(|unfit| ApiError::new(ErrorCode::Usage, unfit.to_string()))?;
            self.write(program).map_err(|error| self.failed("written", &error))?;
        } else {
            match std::fs::remove_file(&self.file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(self.failed("removed", &error));
                }
                _ => {}
            }
        }
        Ok(self.status())
    }

    /// Lets an entry that is switched on and names another program name this one. Returns whether it had to.
    pub(super) fn mend(&self) -> io::Result<bool> {
        let (Some(entry), Ok(program)) = (self.read(), &self.program) else { return Ok(false) };
        let Some(named) = entry.exec.first().filter(|named| !entry.off && Path::new(named) != program) else {
            return Ok(false);
        };
        // Another installation that still exists is somebody's choice.
        if runs(named) {
            return Ok(false);
        }
        self.write(program)?;
        Ok(true)
    }

    fn read(&self) -> Option<entry::Entry> {
        std::fs::read_to_string(&self.file).ok().map(|text| entry::parse(&text))
    }

    fn write(&self, program: &Path) -> io::Result<()> {
        let program = program.to_str().ok_or(io::ErrorKind::InvalidInput)?;
        let mut arguments = vec!["--background"];
        if let Some(home) = &self.home {
            arguments.extend(["--home", home]);
        }
        if let Some(dir) = self.file.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let fresh = self.file.with_extension("desktop.new");
        std::fs::write(&fresh, entry::text(program, &arguments))?;
        std::fs::rename(&fresh, &self.file)
    }

    fn failed(&self, what: &str, error: &io::Error) -> ApiError {
        ApiError::new(
            ErrorCode::Io,
            format!("{} cannot be {what}: {error}; nothing was changed", self.file.display()),
        )
    }
}

fn config_dir(xdg: Option<std::ffi::OsString>, home: Option<std::ffi::OsString>) -> Option<PathBuf> {
    let xdg = xdg.map(PathBuf::from).filter(|dir| dir.is_absolute());
    xdg.or_else(|| home.map(PathBuf::from).filter(|dir| dir.is_absolute()).map(|home| home.join(".config")))
}

/// Tells whether a program can be started: by its path, or found by its name.
fn runs(program: &str) -> bool {
    let path = Path::new(program);
    if path.is_absolute() {
        return path.is_file();
    }
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&dirs).any(|dir| dir.join(path).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn switch(dir: &Path, program: &Path) -> Autostart {
        let file = dir.join("config/autostart").join(NAME);
        Autostart { file, program: Ok(program.to_path_buf()), home: None }
    }

    #[test]
    fn switch_shows_what_stands_in_the_file() {
        let temporary = tempfile::tempdir().unwrap();
        let program = temporary.path().join("My $Programs/evenfold-desktop");
        std::fs::create_dir_all(program.parent().unwrap()).unwrap();
        std::fs::write(&program, "").unwrap();
        let switch = switch(temporary.path(), &program);
        assert!(!switch.status().enabled);
        assert_eq!(
            switch.set(true).unwrap(),
            Status { problem: None, enabled: true, path: switch.file.display().to_string() }
        );
        assert!(switch.status().enabled);
        // Somebody else switches it off.
        let text = std::fs::read_to_string(&switch.file).unwrap();
        std::fs::write(&switch.file, text.replace("enabled=true", "enabled=false")).unwrap();
        assert!(!switch.status().enabled);
        assert!(!switch.mend().unwrap());
        assert!(switch.set(true).unwrap().enabled);
        assert!(!switch.set(false).unwrap().enabled);
        assert!(!switch.file.exists());
        switch.set(false).unwrap();
    }

    #[test]
    fn entry_of_a_program_that_is_gone_is_mended_and_another_choice_is_kept() {
        let temporary = tempfile::tempdir().unwrap();
        let (old, new) = (temporary.path().join("old"), temporary.path().join("new"));
        std::fs::write(&old, "").unwrap();
        std::fs::write(&new, "").unwrap();
        switch(temporary.path(), &old).set(true).unwrap();
        let switch = switch(temporary.path(), &new);
        assert!(!switch.mend().unwrap(), "the other one still exists");
        std::fs::remove_file(&old).unwrap();
        assert!(switch.status().problem.is_some());
        assert!(switch.mend().unwrap());
        assert_eq!(switch.read().unwrap().exec, [new.to_str().unwrap(), "--background"]);
        assert_eq!(switch.status().problem, None);
        assert!(!switch.mend().unwrap());
    }

    #[test]
    fn development_build_cannot_be_switched_on_but_off() {
        let temporary = tempfile::tempdir().unwrap();
        let mut switch = switch(temporary.path(), Path::new("/usr/bin/true"));
        switch.set(true).unwrap();
        switch.program = Err(Unfit::Development("/x/target/debug/y".into()));
        assert!(switch.status().enabled && switch.status().problem.is_some());
        assert_eq!(switch.set(true).unwrap_err().code, ErrorCode::Usage);
        assert!(!switch.set(false).unwrap().enabled);
    }

    #[test]
    fn configuration_lies_where_xdg_says_if_it_says_something_usable() {
        let dir = |xdg: &str, home: &str| config_dir(Some(xdg.into()), Some(home.into()));
        assert_eq!(dir("/xdg", "/home/u"), Some("/xdg".into()));
        assert_eq!(dir("", "/home/u"), Some("/home/u/.config".into()));
        assert_eq!(dir("relative", "/home/u"), Some("/home/u/.config".into()));
        assert_eq!(config_dir(None, None), None);
    }
}
