//! `evenfold service`: run the node whenever the user is logged in.

mod manager;

use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use evenfold_node::api::{ApiError, ErrorCode};
use serde_json::json;
use tokio::process::Command;

use crate::args::ServiceCommand;
use crate::context::Context;
use crate::exit::Exit;
use crate::out::{Line, Style, note};
use manager::{Argv, Manager};

/// What became of a command of the service manager.
enum Ran {
    /// It did what it was asked to.
    Done,
    /// It is not installed on this machine.
    Absent,
    /// It failed; this is what it said.
    Failed(String),
}

pub(crate) async fn run(context: &mut Context, command: ServiceCommand) -> Result<Exit, ApiError> {
    let manager = manager(context)?;
    match command {
        ServiceCommand::Install => install(&manager).await,
        ServiceCommand::Uninstall => uninstall(&manager).await,
        ServiceCommand::Status => status(context, &manager).await,
    }
}

fn manager(context: &Context) -> Result<Manager, ApiError> {
    let unusable = |why: String| {
        ApiError::new(ErrorCode::Usage, format!("no service can be installed: {why}"))
            .with_hint("Start `evenfold daemon` in your own way.")
    };
    let program = std::env::current_exe().map_err(|error| unusable(error.to_string()))?;
    let text = |path: &std::path::Path| match path.to_str().filter(|path| !path.contains(char::is_control)) {
        Some(path) => Ok(path.to_owned()),
        None => Err(unusable(format!("the path {} cannot be written into its file", path.display()))),
    };
    let (program, home) = (text(&program)?, text(context.home.dir())?);
    let user = std::env::var_os(if cfg!(windows) { "USERPROFILE" } else { "HOME" }).map(PathBuf::from);
    let user = user
        .filter(|dir| dir.is_absolute())
        .ok_or_else(|| unusable("this user has no home directory".to_owned()))?;
    if cfg!(target_os = "macos") {
        Ok(Manager::launchd(&program, &home, &user))
    } else if cfg!(windows) {
        Ok(Manager::task_scheduler(&program, &home))
    } else {
        let config = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
        Ok(Manager::systemd(&program, &home, &config.unwrap_or_else(|| user.join(".config"))))
    }
}

async fn install(manager: &Manager) -> Result<Exit, ApiError> {
    if let Some((path, text)) = &manager.file {
        match tokio::fs::read_to_string(path).await {
            Ok(present) if present == *text => {}
            Ok(present) if !manager.is_for_same_home(&present) => {
                let message =
                    format!("{} already runs Evenfold for another home; nothing was changed", path.display());
                return Err(ApiError::new(ErrorCode::Exists, message)
                    .with_hint("Remove it first: evenfold service uninstall"));
            }
            _ => write(path, text).await?,
        }
        note(Line::styled(Style::Good, "Installed ").then(Style::Plain, path.display().to_string()));
    }
    for command in &manager.start {
        match execute(command).await? {
            Ran::Done => {}
            Ran::Absent => {
                note(format!("{} is not on this machine, so the service was not started.", manager.program));
                note("It starts at the next login that has it. Until then: evenfold daemon");
                return Ok(Exit::Done);
            }
            Ran::Failed(said) => {
                let message = format!("the service was installed, but not started: {said}");
                return Err(ApiError::new(ErrorCode::Io, message)
                    .with_hint(format!("Try it by hand: {}", command.join(" "))));
            }
        }
    }
    note("The node runs now, and whenever you are logged in.");
    if manager.program == "systemctl" {
        note("To keep it running after you log out:  loginctl enable-linger");
    }
    Ok(Exit::Done)
}

async fn uninstall(manager: &Manager) -> Result<Exit, ApiError> {
    for command in &manager.stop {
        match execute(command).await? {
            Ran::Done => {}
            Ran::Absent => {
                note(format!("{} is not on this machine, so nothing had to be stopped.", manager.program))
            }
            // Most often because it was never started; the file goes anyway.
            Ran::Failed(said) => note(format!("{} says: {said}", manager.program)),
        }
    }
    if let Some((path, _)) = &manager.file {
        match tokio::fs::remove_file(path).await {
            Ok(()) => note(format!("Removed {}. What the node keeps in its home stayed.", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => note("No service was installed."),
            Err(error) => return Err(failed(path, "removed", &error)),
        }
    }
    Ok(Exit::Done)
}

async fn status(context: &mut Context, manager: &Manager) -> Result<Exit, ApiError> {
    let running = match execute(&manager.query).await? {
        Ran::Done => Some(true),
        Ran::Failed(_) => Some(false),
        Ran::Absent => None,
    };
    let installed = match &manager.file {
        Some((path, _)) => path.exists(),
        None => running == Some(true),
    };
    let file = manager.file.as_ref().map(|(path, _)| path.display().to_string());
    if context.out.is_json() {
        context.out.document(&json!({ "installed": installed, "running": running, "file": file }))?;
        return Ok(Exit::Done);
    }
    let what = if installed { Line::styled(Style::Good, "installed") } else { Line::plain("not installed") };
    let place = file.filter(|_| installed).map(|file| format!(" at {file}")).unwrap_or_default();
    context.out.line(what.then(Style::Faint, place))?;
    context.out.line(match running {
        Some(true) => Line::styled(Style::Good, "runs"),
        Some(false) => Line::plain("does not run"),
        None => Line::plain(format!("not known whether it runs: {} is not on this machine", manager.program)),
    })?;
    Ok(Exit::Done)
}

async fn write(path: &std::path::Path, text: &str) -> Result<(), ApiError> {
    if let Some(dir) = path.parent() {
        tokio::fs::create_dir_all(dir).await.map_err(|error| failed(dir, "made", &error))?;
    }
    tokio::fs::write(path, text).await.map_err(|error| failed(path, "written", &error))
}

fn failed(path: &std::path::Path, what: &str, error: &io::Error) -> ApiError {
    ApiError::new(ErrorCode::Io, format!("{} could not be {what}: {error}", path.display()))
}

async fn execute(argv: &Argv) -> Result<Ran, ApiError> {
    let Some((program, arguments)) = argv.split_first() else { return Ok(Ran::Done) };
    match Command::new(program).args(arguments).stdin(Stdio::null()).output().await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ran::Absent),
        Err(error) => Err(ApiError::new(ErrorCode::Io, format!("{program} could not be started: {error}"))),
        Ok(output) if output.status.success() => Ok(Ran::Done),
        Ok(output) => {
            let said = if output.stderr.is_empty() { output.stdout } else { output.stderr };
            Ok(Ran::Failed(String::from_utf8_lossy(&said).trim().to_owned()))
        }
    }
}
