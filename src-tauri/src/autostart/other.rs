//! macOS (SMAppService) and Windows (the user's Run key), through `auto-launch`. Not proven by tests here.

use auto_launch::{AutoLaunch, AutoLaunchBuilder};
use evenfold_node::api::{ApiError, ErrorCode};
use evenfold_node::home::Home;

use super::Status;
use super::program::{self, Unfit};

/// The switch.
pub(crate) struct Autostart {
    program: Result<String, Unfit>,
    launch: Option<AutoLaunch>,
}

impl Autostart {
    pub(super) fn new(home: &Home) -> Result<Autostart, ApiError> {
        let program = program::find().map(|path| path.to_string_lossy().into_owned());
        let mut arguments = vec!["--background".to_owned()];
        if Home::locate(None, None).ok().is_none_or(|usual| usual != *home) {
            arguments.extend(["--home".to_owned(), home.dir().to_string_lossy().into_owned()]);
        }
        let launch = match &program {
            Ok(path) => Some(build(path, &arguments).map_err(failed)?),
            Err(_) => None,
        };
        Ok(Autostart { program, launch })
    }

    /// Returns what the system does at login.
    pub(crate) fn status(&self) -> Status {
        let asked = self.launch.as_ref().map(AutoLaunch::is_enabled);
        let problem = match (&self.program, &asked) {
            (Err(unfit), _) => Some(unfit.to_string()),
            (_, Some(Err(error))) => Some(error.to_string()),
            _ => None,
        };
        let path = self.program.as_ref().cloned().unwrap_or_default();
        Status { enabled: matches!(asked, Some(Ok(true))), path, problem }
    }

    /// Switches it, and returns what the system does then.
    ///
    /// # Errors
    /// When the system refuses; nothing was changed then.
    pub(crate) fn set(&self, enabled: bool) -> Result<Status, ApiError> {
        let launch = match (&self.launch, &self.program) {
            (Some(launch), _) => launch,
            (None, Err(unfit)) => return Err(ApiError::new(ErrorCode::Usage, unfit.to_string())),
            (None, Ok(_)) => return Ok(self.status()),
        };
        if enabled { launch.enable() } else { launch.disable() }.map_err(failed)?;
        Ok(self.status())
    }

    /// Writes the present place again where it is switched on. Returns whether it had to.
    pub(super) fn mend(&self) -> std::io::Result<bool> {
        let Some(launch) = &self.launch else { return Ok(false) };
        if launch.is_enabled().map_err(std::io::Error::other)? {
            launch.enable().map_err(std::io::Error::other)?;
        }
        Ok(false)
    }
}

fn build(program: &str, arguments: &[String]) -> auto_launch::Result<AutoLaunch> {
    let mut builder = AutoLaunchBuilder::new();
    builder.set_app_name("Evenfold").set_app_path(program).set_args(arguments);
    #[cfg(target_os = "macos")]
    builder.set_macos_launch_mode(auto_launch::MacOSLaunchMode::SMAppService);
    #[cfg(windows)]
    builder.set_windows_enable_mode(auto_launch::WindowsEnableMode::CurrentUser);
    builder.build()
}

fn failed(error: auto_launch::Error) -> ApiError {
    ApiError::new(
        ErrorCode::Io,
        format!("the start at login cannot be changed: {error}; nothing was changed"),
    )
}
