//! What each platform's service manager wants to be told. Values only; nothing is written or run here.
//!
//! systemd is tried by hand and by test; launchd and the Windows task scheduler are written after their manuals and not
//! proven on their platforms yet.

use std::path::{Path, PathBuf};

/// A command and its arguments.
pub(super) type Argv = Vec<String>;

/// How the node becomes a service.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Manager {
    /// The program that is asked, for messages.
    pub(super) program: &'static str,
    /// The file that describes the service, and its content.
    pub(super) file: Option<(PathBuf, String)>,
    /// Commands that make it run, now and at each login.
    pub(super) start: Vec<Argv>,
    /// Commands that end it for good.
    pub(super) stop: Vec<Argv>,
    /// Command that succeeds while it runs.
    pub(super) query: Argv,
    /// The home as it stands in the file.
    home: String,
}

fn argv(words: &[&str]) -> Argv {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Manager {
    /// A unit of the user's systemd.
    pub(super) fn systemd(program: &str, home: &str, config_dir: &Path) -> Manager {
        let home = systemd_quoted(home);
        let unit = format!(
            "[Unit]\n\
             Description=Evenfold keeps folders on several machines identical\n\
             Documentation=man:evenfold(1)\n\
             \n\
             [Service]\n\
             Type=notify\n\
             ExecStart={} --home {home} daemon\n\
             Restart=on-failure\n\
             RestartSec=5\n\
             # Wrong settings, or another daemon on this home: trying again does not help.\n\
             RestartPreventExitStatus=2 7\n\
             \n\
             [Install]\n\
             WantedBy=default.target\n",
            systemd_quoted(program)
        );
        Manager {
            program: "systemctl",
            file: Some((config_dir.join("systemd/user/evenfold.service"), unit)),
            start: vec![
                argv(&["systemctl", "--user", "daemon-reload"]),
                argv(&["systemctl", "--user", "enable", "--now", "evenfold.service"]),
            ],
            stop: vec![argv(&["systemctl", "--user", "disable", "--now", "evenfold.service"])],
            query: argv(&["systemctl", "--user", "is-active", "--quiet", "evenfold.service"]),
            home,
        }
    }

    /// An agent of launchd.
    pub(super) fn launchd(program: &str, home: &str, user: &Path) -> Manager {
        let label = "net.evenfold.node";
        let home = xml_escaped(home);
        let plist = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
             <plist version=\"1.0\">\n<dict>\n\
             <key>Label</key><string>{label}</string>\n\
             <key>ProgramArguments</key>\n<array>\n\
             <string>{}</string>\n<string>--home</string>\n<string>{home}</string>\n<string>daemon</string>\n</array>\n\
             <key>RunAtLoad</key><true/>\n\
             <key>KeepAlive</key><dict><key>SuccessfulExit</key><false/></dict>\n\
             <key>ThrottleInterval</key><integer>5</integer>\n\
             </dict>\n</plist>\n",
            xml_escaped(program)
        );
        let path = user.join("Library/LaunchAgents").join(format!("{label}.plist"));
        let at = path.display().to_string();
        Manager {
            program: "launchctl",
            start: vec![argv(&["launchctl", "load", "-w", &at])],
            stop: vec![argv(&["launchctl", "unload", "-w", &at])],
            query: argv(&["launchctl", "list", label]),
            file: Some((path, plist)),
            home,
        }
    }

    /// A task of the Windows task scheduler.
    pub(super) fn task_scheduler(program: &str, home: &str) -> Manager {
        let line = format!("\"{program}\" --home \"{home}\" daemon");
        Manager {
            program: "schtasks",
            file: None,
            start: vec![
                argv(&["schtasks", "/Create", "/F", "/TN", "Evenfold", "/SC", "ONLOGON", "/TR", &line]),
                argv(&["schtasks", "/Run", "/TN", "Evenfold"]),
            ],
            stop: vec![
                argv(&["schtasks", "/End", "/TN", "Evenfold"]),
                argv(&["schtasks", "/Delete", "/F", "/TN", "Evenfold"]),
            ],
            query: argv(&["schtasks", "/Query", "/TN", "Evenfold"]),
            home: home.to_owned(),
        }
    }

    /// Tells whether a file that is already there is for the same home, so that it may be replaced.
    pub(super) fn is_for_same_home(&self, present: &str) -> bool {
        present.contains(&self.home)
    }
}

/// Quotes a word of `ExecStart=` (systemd.service(5), systemd.syntax(7)).
fn systemd_quoted(word: &str) -> String {
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' => quoted.push_str("%%"),
            '$' => quoted.push_str("$$"),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

fn xml_escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_runs_the_daemon_on_its_home_whatever_the_path() {
        let manager = Manager::systemd("/opt/even fold", "/home/u/100% \"x\" $y", Path::new("/c"));
        let (path, text) = manager.file.as_ref().unwrap();
        assert_eq!(path, Path::new("/c/systemd/user/evenfold.service"));
        let line = r#"ExecStart="/opt/even fold" --home "/home/u/100%% \"x\" $$y" daemon"#;
        assert!(text.lines().any(|found| found == line), "{text}");
        assert!(text.contains("Type=notify"));
        assert!(manager.is_for_same_home(text));
        assert!(!Manager::systemd("/opt/even fold", "/other", Path::new("/c")).is_for_same_home(text));
    }

    #[test]
    fn agent_and_task_name_program_and_home() {
        let agent = Manager::launchd("/opt/e&f", "/Users/u/<home>", Path::new("/Users/u"));
        let (_, text) = agent.file.unwrap();
        assert!(text.contains("<string>/opt/e&amp;f</string>"));
        assert!(text.contains("<string>/Users/u/&lt;home&gt;</string>"));
        let task = Manager::task_scheduler(r"C:\e.exe", r"C:\home");
        assert!(task.start.concat().contains(&r#""C:\e.exe" --home "C:\home" daemon"#.to_owned()));
    }
}
