//! The window through WebDriver: `WebKitWebDriver` starts the application and looks into its page.

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use crate::desk::{Desk, application};
use crate::process::{Owned, eventually, family};

/// The key under which WebDriver writes an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Finds what a person could click by its name, as a screen reader says it: first what has exactly this name, then what
/// begins with it. Of several the last in the page, which is that of an open dialog.
const NAMED: &str = r#"
    const clean = (text) => text.replace(/\s+/g, ' ').trim()
    const name = (node) => {
        const given = node.getAttribute('aria-label')
        if (given) return clean(given)
        const copy = node.cloneNode(true)
        for (const hidden of copy.querySelectorAll('[aria-hidden=true]')) hidden.remove()
        return clean(copy.textContent)
    }
    const all = [...document.querySelectorAll('a, button, label, summary, [role=menuitem], [role=tab], [role=switch]')]
        .filter((node) => node.getClientRects().length > 0 && !node.disabled && node.getAttribute('aria-disabled') !== 'true')
    const wanted = arguments[0]
    return all.findLast((node) => name(node) === wanted) ?? all.findLast((node) => name(node).startsWith(wanted)) ?? null
"#;

/// Finds the control that a label belongs to.
const LABELLED: &str = r#"
    const label = [...document.querySelectorAll('label')].find((label) => label.textContent.trim() === arguments[0])
    return label?.control ?? document.querySelector(`[aria-label="${arguments[0]}"]`)
"#;

/// The window of an application that the driver has started.
pub(crate) struct Window {
    agent: Agent,
    session: String,
    driver: Owned,
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
        let window = Window { agent, session: format!("{base}/{id}"), driver };
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

    /// What the page shows as text.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        self.script("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page shows a text.
    #[track_caller]
    pub(crate) fn until_text(&self, text: &str) {
        let mut last = String::new();
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(text, || {
                last = self.text();
                last.contains(text).then_some(())
            });
        }));
        assert!(found.is_ok(), "the window does not say {text:?} but:\n{last}");
    }

    /// Clicks on what has this name, when it is there.
    #[track_caller]
    pub(crate) fn press(&self, name: &str) {
        let mut last = Value::Null;
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(name, || {
                let element = self.element(NAMED, name)?;
                // It may move or be drawn anew in the moment of the click.
                last = post(&self.agent, &format!("{}/element/{element}/click", self.session), &json!({}));
                last.is_null().then_some(())
            });
        }));
        assert!(done.is_ok(), "{name:?} cannot be clicked ({last}) on:\n{}", self.text());
    }

    /// Types a text into the control that has this label, in the place of what stands there.
    #[track_caller]
    pub(crate) fn fill(&self, label: &str, text: &str) {
        let element = eventually(label, || self.element(LABELLED, label));
        let at = format!("{}/element/{element}", self.session);
        for (what, body) in [("clear", json!({})), ("value", json!({ "text": text }))] {
            let answer = post(&self.agent, &format!("{at}/{what}"), &body);
            assert!(answer.is_null(), "{label:?}: {answer}");
        }
    }

    /// Chooses an option of the list that has this label.
    #[track_caller]
    pub(crate) fn choose(&self, label: &str, option: &str) {
        let script = "
            const label = [...document.querySelectorAll('label')].find((label) => label.textContent.trim() === arguments[0])
            const list = label?.control
            if (!(list instanceof HTMLSelectElement)) return null
            list.value = arguments[1]
            list.dispatchEvent(new Event('change', { bubbles: true }))
            return list.value";
        eventually(option, || {
            let body = json!({ "script": script, "args": [label, option] });
            let chosen = post(&self.agent, &format!("{}/execute/sync", self.session), &body);
            (chosen == option).then_some(())
        });
    }

    fn element(&self, script: &str, argument: &str) -> Option<String> {
        let body = json!({ "script": script, "args": [argument] });
        let found = post(&self.agent, &format!("{}/execute/sync", self.session), &body);
        found[ELEMENT].as_str().map(str::to_owned)
    }

    /// The process of the application.
    pub(crate) fn application(&self) -> Option<u32> {
        let all = family(self.driver.0.id());
        all.into_iter().find(|(_, name)| name.starts_with("evenfold-deskto")).map(|(pid, _)| pid)
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
