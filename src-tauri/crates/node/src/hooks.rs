//! Hooks of relationships that keep folders identical, or compare them: what is an occasion for a command.
//!
//! | hook | occasion | found in |
//! |---|---|---|
//! | `after_arrival` | something new or changed of another machine stands here | rows of the history |
//! | `after_delivery` | something of this machine stands at the hub; so never on the hub itself | rows of the history |
//! | `on_conflict` | a conflict began to wait for a person | the state of the relationship |
//! | `on_error` | it is held, a cycle failed, or a path needs somebody | the state of the relationship |
//!
//! Acts are followed by a number in the history, which is written in one transaction with what was accomplished; states
//! by a list of what is going on, so that each is told once, however often it is seen. Both are saved after the
//! commands were asked for: whatever was missed by a crash is asked for again, under the same ids.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use evenfold_core::apply::Refusal;
use evenfold_core::snapshot::Extent;
use evenfold_core::{Digest, ProblemKind, Reason, RelPath};
use evenfold_engine::driver::State;
use evenfold_engine::history::ActKind;
use evenfold_engine::{CycleError, Endpoint as _, EndpointError};
use evenfold_store::{EventRow, Store, StoreError};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::api::Event;
use crate::back::Back;
use crate::conflicts::disputes;
use crate::delivery::Hooks as Runner;
use crate::node::Node;
use crate::record::now_micros;
use crate::relationship::Relationship;
use crate::settings::{Argv, Hooks as Commands};
use crate::status::error_code;

/// Scope in the store: up to which row the history was followed, by relationship.
const FOLLOWED: &str = "hooks-followed";

/// Scope in the store: what is going on and since when, by relationship, as JSON.
const GOING_ON: &str = "hooks-going-on";

/// Rows of the history that are read at a time.
const PAGE: u32 = 512;

/// So many conflicts and errors are told one by one; whoever has more has one cause for many.
const MOST: usize = 1000;

/// A command that is to run: the id of its occasion, the item, the argv.
pub(crate) type Asked = (String, RelPath, Argv);

/// The hooks of one relationship that does not deliver.
pub(crate) struct PairHooks {
    runner: Arc<Runner>,
    memory: Mutex<Memory>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Memory {
    followed: Option<i64>,
    going_on: Option<BTreeMap<String, i64>>,
}

impl Drop for PairHooks {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl PairHooks {
    /// Begins to look for occasions whenever `wake` is told, and to run what was asked for.
    pub(crate) fn start(node: &Arc<Node>, relationship: &Arc<Relationship>, wake: Arc<Notify>) -> Arc<Self> {
        let runner = Runner::of_pair(node, relationship);
        Arc::new_cyclic(|me: &Weak<PairHooks>| {
            let looking = look_when_woken(Weak::clone(me), Back::to(node), Back::to(relationship), wake);
            PairHooks {
                runner: Arc::clone(&runner),
                memory: Mutex::default(),
                tasks: vec![tokio::spawn(Arc::clone(&runner).run()), tokio::spawn(looking)],
            }
        })
    }

    /// Looks for occasions and waits until every command that is due was tried. Tells whether one failed.
    pub(crate) async fn until_idle(&self, node: &Node, relationship: &Relationship) -> bool {
        if relationship.settings().hooks == Commands::default() && self.runner.state().failing.is_empty() {
            return false;
        }
        self.look(node, relationship).await;
        self.runner.until_idle().await
    }

    /// Returns the commands that failed and are tried again, with their errors.
    pub(crate) fn failing(&self) -> Vec<(RelPath, String)> {
        self.runner.state().failing
    }

    /// Looks for occasions now.
    pub(crate) async fn look(&self, node: &Node, relationship: &Relationship) {
        let mut memory = self.memory.lock().await;
        let commands = relationship.settings().hooks;
        let looked = async {
            self.follow(&mut memory, node, relationship, &commands).await?;
            self.watch(&mut memory, node, relationship, &commands).await
        };
        if let Err(error) = looked.await {
            // Nothing was noted as seen, so the next look finds it again.
            tracing::error!(%error, "what hooks are for could not be looked up");
        }
    }

    /// Asks for what follows acts that were not followed yet. Commands that are set from now on follow what comes from
    /// now on.
    async fn follow(
        &self,
        memory: &mut Memory,
        node: &Node,
        relationship: &Relationship,
        commands: &Commands,
    ) -> Result<(), StoreError> {
        let id = relationship.row().id;
        let (key, settings, history) = (id.to_string(), node.store.settings(), node.store.history());
        if commands.after_arrival.is_empty() && commands.after_delivery.is_empty() {
            if memory.followed.take().is_some() {
                settings.remove(FOLLOWED, &key).await?;
            }
            return Ok(());
        }
        let mut at = match memory.followed {
            Some(at) => at,
            None => match settings.get(FOLLOWED, &key).await?.and_then(|text| text.parse().ok()) {
                Some(at) => at,
                None => {
                    let last = history.last_id().await?;
                    settings.set(FOLLOWED, &key, &last.to_string(), now_micros()).await?;
                    last
                }
            },
        };
        memory.followed = Some(at);
        loop {
            let rows = history.after(id, at, PAGE).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            let asked: Vec<Asked> = rows.iter().flat_map(|row| occasion(row, &node.name, commands)).collect();
            self.runner.ask(&asked).await?;
            at = last.id;
            settings.set(FOLLOWED, &key, &at.to_string(), now_micros()).await?;
            memory.followed = Some(at);
        }
    }

    /// Asks for what follows conflicts and errors that were not going on before.
    async fn watch(
        &self,
        memory: &mut Memory,
        node: &Node,
        relationship: &Relationship,
        commands: &Commands,
    ) -> Result<(), StoreError> {
        let (key, settings) = (relationship.row().id.to_string(), node.store.settings());
        if commands.on_conflict.is_empty() && commands.on_error.is_empty() {
            if memory.going_on.take().is_some_and(|known| !known.is_empty()) {
                settings.remove(GOING_ON, &key).await?;
            }
            return Ok(());
        }
        let Some(now) = present(relationship).await else { return Ok(()) };
        let before = match memory.going_on.take() {
            Some(known) => known,
            None => {
                let text = settings.get(GOING_ON, &key).await?;
                text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
            }
        };
        let (asked, after) = begun(&before, &now, commands, now_micros());
        self.runner.ask(&asked).await?;
        if after != before {
            let text = serde_json::to_string(&after).unwrap_or_default();
            settings.set(GOING_ON, &key, &text, now_micros()).await?;
        }
        memory.going_on = Some(after);
        Ok(())
    }
}

/// Forgets what was followed, with the relationship.
pub(crate) async fn forget(store: &Store, relationship: Uuid) -> Result<(), StoreError> {
    for scope in [FOLLOWED, GOING_ON] {
        store.settings().remove(scope, &relationship.to_string()).await?;
    }
    Ok(())
}

async fn look_when_woken(
    hooks: Weak<PairHooks>,
    node: Back<Node>,
    relationship: Back<Relationship>,
    wake: Arc<Notify>,
) {
    let Some((mut state, mut folder)) = relationship.upgrade().map(|relationship| {
        let state = relationship.spoke().map(|spoke| spoke.driver.state());
        (state, relationship.local.nudges())
    }) else {
        return;
    };
    loop {
        let told = async {
            match &mut state {
                Some(state) => state.changed().await.is_ok(),
                // A hub knows of conflicts by the copies that stand in its folder.
                None => folder.changed().await.is_ok(),
            }
        };
        let goes_on = tokio::select! {
            () = wake.notified() => true,
            told = told => told,
        };
        let (Some(hooks), Some(node), Some(relationship)) =
            (hooks.upgrade(), node.upgrade(), relationship.upgrade())
        else {
            return;
        };
        if !goes_on {
            return;
        }
        if relationship.spoke().is_none() {
            // A spoke tells by itself what it does; what members do in a hub's folder is seen here.
            node.tell(Event::Relationship { id: relationship.row().id.to_string() });
        }
        hooks.look(&node, &relationship).await;
    }
}

/// Returns the commands that follow an act.
fn occasion(row: &EventRow, own_name: &str, commands: &Commands) -> Vec<Asked> {
    let event = &row.event;
    let brings =
        [ActKind::Create, ActKind::Update, ActKind::Rename].iter().any(|kind| kind.word() == event.kind);
    let (Some(path), Some(on), true) = (&event.path, &event.peer, brings) else { return Vec::new() };
    let (hook, list) = match (event.node == own_name, on == own_name) {
        (false, true) => ("arrival", &commands.after_arrival),
        (true, false) => ("delivery", &commands.after_delivery),
        _ => return Vec::new(),
    };
    let id = format!("{hook}-{}", row.id);
    list.iter().enumerate().map(|(nth, argv)| (format!("{id}-{nth}"), path.clone(), argv.clone())).collect()
}

/// What is going on now: conflicts and errors by a key that stays the same while it goes on.
#[derive(Default)]
struct Present {
    /// Whether anything was compared yet: before that nothing is known to be over.
    compared: bool,
    conflicts: BTreeMap<String, RelPath>,
    errors: BTreeMap<String, RelPath>,
}

/// Returns what is going on; `None` while that is not known.
async fn present(relationship: &Relationship) -> Option<Present> {
    let mut present = Present { compared: true, ..Present::default() };
    let own = relationship.local.scan(Extent::Paths(Vec::new()), &[]).await;
    let state = relationship.spoke().map(|spoke| spoke.driver.state().borrow().clone());
    match (&state, &own) {
        (Some(state), _) => of_state(state, &mut present)?,
        (None, Ok(_)) => {}
        (None, Err(error)) => {
            note(&mut present.errors, "folder", &RelPath::root(), &[error.to_string().as_bytes()])
        }
    }
    for (path, copies) in own.map(|own| disputes(&own.tree)).unwrap_or_default() {
        for copy in copies {
            note(&mut present.conflicts, "copy", &path, &[copy.at.as_bytes()]);
        }
    }
    Some(present)
}

fn of_state(state: &State, present: &mut Present) -> Option<()> {
    if let Some((halt, _)) = &state.halt {
        note(&mut present.errors, "held", &RelPath::root(), &[halt.code().as_bytes()]);
    }
    match &state.error {
        None | Some(CycleError::Paused | CycleError::PlanOutdated) => {}
        // Machines come and go; their state says so.
        Some(CycleError::Endpoint(_, EndpointError::Offline(_))) => {}
        Some(error) => note(&mut present.errors, "cycle", &RelPath::root(), &[error_code(error).as_bytes()]),
    }
    let Some(last) = &state.last else {
        present.compared = false;
        return (!present.errors.is_empty()).then_some(());
    };
    for conflict in &last.plan.conflicts {
        let side = |entry: &Option<evenfold_core::Entry>| {
            entry.as_ref().and_then(|entry| entry.as_file().map(|file| file.digest.0)).unwrap_or_default()
        };
        let (ours, theirs) = (side(&conflict.ours), side(&conflict.theirs));
        note(&mut present.conflicts, "conflict", &conflict.path, &[&ours, &theirs]);
    }
    for blocked in last.blocked.iter().filter(|blocked| needs_somebody(&blocked.reason)) {
        note(&mut present.errors, "path", &blocked.path, &[blocked.reason.code().as_bytes()]);
    }
    Some(())
}

/// Tells whether a path will not be mended by the next cycles alone.
fn needs_somebody(reason: &Reason) -> bool {
    match reason {
        Reason::Problem(_, kind) => matches!(
            kind,
            ProblemKind::Unreadable
                | ProblemKind::NameClash
                | ProblemKind::TooLong
                | ProblemKind::SuspectedRot
        ),
        Reason::Refused(_, refusal) => !matches!(
            refusal,
            Refusal::MovedOn | Refusal::NotSupplied(_) | Refusal::WaitsForMove | Refusal::WaitsForOthers
        ),
        _ => false,
    }
}

fn note(list: &mut BTreeMap<String, RelPath>, what: &str, path: &RelPath, more: &[&[u8]]) {
    if list.len() >= MOST {
        return;
    }
    let mut bytes = what.as_bytes().to_vec();
    for part in [&[path.as_bytes()], more].concat() {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    list.insert(Digest::of(&bytes).short(16), path.clone());
}

/// Returns what follows from what is going on `now` and was not `before`, and what to remember.
fn begun(
    before: &BTreeMap<String, i64>,
    now: &Present,
    commands: &Commands,
    time: i64,
) -> (Vec<Asked>, BTreeMap<String, i64>) {
    let mut asked = Vec::new();
    let mut after = if now.compared { BTreeMap::new() } else { before.clone() };
    let kinds =
        [("conflict", &now.conflicts, &commands.on_conflict), ("error", &now.errors, &commands.on_error)];
    let mut told = BTreeSet::new();
    for (kind, list, commands) in kinds {
        for (key, path) in list {
            let since = before.get(key).copied();
            after.insert(key.clone(), since.unwrap_or(time));
            // Several copies of one path are one conflict.
            if since.is_some() || !told.insert((kind, path)) {
                continue;
            }
            // The time makes it another occasion when the same begins once more.
            let id = format!("{kind}-{key}-{time:x}");
            let all = commands.iter().enumerate();
            asked.extend(all.map(|(nth, argv)| (format!("{id}-{nth}"), path.clone(), argv.clone())));
        }
    }
    (asked, after)
}

#[cfg(test)]
mod tests {
    use evenfold_store::Event;

    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    fn commands() -> Commands {
        let argv = |name: &str| vec![vec![name.to_owned()]];
        Commands {
            after_arrival: argv("arrival"),
            after_delivery: argv("delivery"),
            on_conflict: argv("conflict"),
            on_error: argv("error"),
        }
    }

    #[track_caller]
    fn check_act(kind: &str, node: &str, on: &str, expected: &str) {
        let event = Event {
            time: 0,
            relationship: None,
            batch: None,
            node: node.to_owned(),
            peer: Some(on.to_owned()),
            kind: kind.to_owned(),
            path: Some(path("f")),
            digest: None,
            size: None,
            detail: None,
        };
        let asked = occasion(&EventRow { id: 7, event }, "desk", &commands());
        let ids: Vec<&str> = asked.iter().map(|(id, ..)| id.as_str()).collect();
        assert_eq!(ids.join(" "), expected, "{kind} {node} {on}");
    }

    #[test]
    fn acts_are_occasions_where_they_brought_something() {
        check_act("create", "nas", "desk", "arrival-7-0");
        check_act("update", "nas", "desk", "arrival-7-0");
        check_act("rename", "desk", "nas", "delivery-7-0");
        for kind in ["delete", "metadata", "conflict", "halt", "restore"] {
            check_act(kind, "nas", "desk", "");
        }
        check_act("create", "nas", "pi", "");
        check_act("create", "desk", "desk", "");
    }

    fn present(conflicts: &[(&str, &str)], errors: &[&str]) -> Present {
        let mut present = Present { compared: true, ..Present::default() };
        for (at, copy) in conflicts {
            note(&mut present.conflicts, "copy", &path(at), &[copy.as_bytes()]);
        }
        for at in errors {
            note(&mut present.errors, "path", &path(at), &[b"no-space"]);
        }
        present
    }

    fn paths(asked: &[Asked]) -> String {
        asked.iter().map(|(id, path, _)| format!("{}:{path}", &id[..3])).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn state_is_told_once_while_it_goes_on_and_again_when_it_begins_anew() {
        let both = present(&[("a", "1"), ("a", "2")], &["b"]);
        let (asked, going_on) = begun(&BTreeMap::new(), &both, &commands(), 100);
        assert_eq!(paths(&asked), "con:a err:b");
        let (again, same) = begun(&going_on, &both, &commands(), 200);
        assert_eq!((again.len(), &same), (0, &going_on));
        let (asked_later, going_on) = begun(&same, &present(&[], &["b", "c"]), &commands(), 300);
        assert_eq!(paths(&asked_later), "err:c");
        let (anew, _) = begun(&going_on, &both, &commands(), 400);
        assert_eq!(paths(&anew), "con:a");
        assert_ne!(anew[0].0, asked[0].0, "another occasion has another id");
    }

    #[test]
    fn only_what_stays_wrong_needs_somebody() {
        let refused = |refusal| Reason::Refused(evenfold_core::Side::Ours, refusal);
        let problem = |kind| Reason::Problem(evenfold_core::Side::Ours, kind);
        for (reason, expected) in [
            (refused(Refusal::NoSpace), true),
            (refused(Refusal::Damaged), true),
            (refused(Refusal::MovedOn), false),
            (refused(Refusal::WaitsForMove), false),
            (problem(ProblemKind::SuspectedRot), true),
            (problem(ProblemKind::Changing), false),
            (problem(ProblemKind::Special), false),
            (Reason::Settling, false),
            (Reason::DestinationExtra, false),
        ] {
            assert_eq!(needs_somebody(&reason), expected, "{reason:?}");
        }
    }
}
