//! The window through WebDriver: `WebKitWebDriver` starts the application and looks into its page.

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use crate::desk::{Desk, application};
use crate::process::{Owned, eventually};

/// The window of an application that the driver has started.
pub(crate) struct Window {
    agent: Agent,
    session: String,
    _driver: Owned,
}

impl Window {
    /// Starts the application with its window.
    #[track_caller]
    pub(crate) fn open(desk: &Desk, arguments: &[&str]) -> Window {
        Window::open_program(desk, &application(), arguments)
    }

    /// Starts a copy of the application.
    #[track_caller]
    pub(crate) fn open_program(desk: &Desk, program: &std::path::Path, arguments: &[&str]) -> Window {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let log = std::fs::File::options().create(true).append(true).open(desk.path("log")).unwrap();
        let driver = Owned::start(
            desk.on(Command::new("WebKitWebDriver"))
                .arg(format!("--port={port}"))
                .env("TAURI_WEBVIEW_AUTOMATION", "true")
                .stdout(Stdio::null())
                .stderr(log),
        );
        eventually("the driver listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        let agent: Agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(90)))
            .http_status_as_error(false)
            .build()
            .into();
        let base = format!("http://127.0.0.1:{port}/session");
        let options = json!({ "binary": program, "args": arguments });
        let wanted = json!({ "capabilities": { "alwaysMatch": { "webkitgtk:browserOptions": options } } });
        let made = post(&agent, &base, &wanted);
        let id = made["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {made}"));
        let window = Window { agent, session: format!("{base}/{id}"), _driver: driver };
        let timeouts = json!({ "script": 60_000, "pageLoad": 60_000, "implicit": 0 });
        post(&window.agent, &format!("{}/timeouts", window.session), &timeouts);
        window
    }

    /// Runs a script in the page; `return` gives the answer.
    #[track_caller]
    pub(crate) fn script(&self, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        post(&self.agent, &format!("{}/execute/sync", self.session), &body)
    }

    /// Calls a command of the shell as the page does: what it answers, or what it is refused with.
    #[track_caller]
    pub(crate) fn invoke(&self, command: &str, arguments: &Value) -> Result<Value, Value> {
        let script = "const [command, args, done] = arguments;
            window.__TAURI_INTERNALS__.invoke(command, args).then((ok) => done({ ok }), (error) => done({ error }))";
        let body = json!({ "script": script, "args": [command, arguments] });
        let answer = post(&self.agent, &format!("{}/execute/async", self.session), &body);
        match answer.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(answer.get("ok").cloned().unwrap_or(Value::Null)),
        }
    }

    /// Asks the node, and returns the data of the reply.
    #[track_caller]
    pub(crate) fn request(&self, request: Value) -> Result<Value, Value> {
        self.invoke("request", &json!({ "request": request })).map(|reply| reply["data"].clone())
    }
}

#[track_caller]
fn post(agent: &Agent, url: &str, body: &Value) -> Value {
    let mut response = agent.post(url).send_json(body).unwrap_or_else(|error| panic!("{url}: {error}"));
    let answer: Value = response.body_mut().read_json().unwrap();
    answer["value"].clone()
}
