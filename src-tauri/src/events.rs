//! Events of the node on their way to the window: at most four a second for each relationship, the newest of each kind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use evenfold_node::api::Event;
use tauri::{AppHandle, Emitter as _};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use crate::engine::Engine;
use crate::window;

/// The name under which the window hears them.
const NAME: &str = "evenfold://event";

/// Shortest time between two events of one kind about one relationship.
const PACE: Duration = Duration::from_millis(250);

/// Kinds of events that are remembered: three for each of several thousand relationships. Beyond, all are forgotten,
/// which only lets some through early.
const MOST_KINDS: usize = 10_000;

/// What two events have in common when the newer makes the older one superfluous.
type Kind = (u8, String);

fn kind(event: &Event) -> Kind {
    match event {
        Event::Relationship { id } => (0, id.clone()),
        Event::Progress { id, .. } => (1, id.clone()),
        Event::Peers => (2, String::new()),
    }
}

/// Decides which events pass, and when.
#[derive(Debug, Default)]
struct Coalescer {
    passed: BTreeMap<Kind, Instant>,
    waiting: BTreeMap<Kind, Event>,
}

impl Coalescer {
    /// Takes an event; returns it if it may pass at once.
    fn offer(&mut self, event: Event, now: Instant) -> Option<Event> {
        let kind = kind(&event);
        if self.passed.len() > MOST_KINDS {
            self.passed.clear();
        }
        if self.passed.get(&kind).is_some_and(|passed| now < *passed + PACE) {
            self.waiting.insert(kind, event);
            return None;
        }
        self.waiting.remove(&kind);
        self.passed.insert(kind, now);
        Some(event)
    }

    /// Returns the events whose time has come.
    fn due(&mut self, now: Instant) -> Vec<Event> {
        let due: Vec<Kind> = self.waiting.keys().filter(|kind| self.at(kind) <= Some(now)).cloned().collect();
        due.into_iter()
            .filter_map(|kind| {
                let event = self.waiting.remove(&kind)?;
                self.passed.insert(kind, now);
                Some(event)
            })
            .collect()
    }

    /// Returns when the next one that waits may pass.
    fn next(&self) -> Option<Instant> {
        self.waiting.keys().filter_map(|kind| self.at(kind)).min()
    }

    fn at(&self, kind: &Kind) -> Option<Instant> {
        self.passed.get(kind).map(|passed| *passed + PACE)
    }
}

/// Passes events on to the window while there is one, for as long as the process lives.
pub(crate) async fn pump(app: AppHandle, engine: Arc<Engine>) {
    let mut events = engine.events();
    let mut coalescer = Coalescer::default();
    loop {
        let ready = tokio::select! {
            event = events.recv() => match event {
                Ok(event) => coalescer.offer(event, Instant::now()).into_iter().collect(),
                Err(RecvError::Lagged(_)) => Vec::new(),
                Err(RecvError::Closed) => return,
            },
            () = until(coalescer.next()) => coalescer.due(Instant::now()),
        };
        if window::is_open(&app) {
            for event in ready {
                tell(&app, NAME, &event);
            }
        }
    }
}

/// Waits until a moment; for ever, if there is none.
pub(crate) async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Tells the window something.
pub(crate) fn tell(app: &AppHandle, name: &str, payload: &impl serde::Serialize) {
    if let Err(error) = app.emit_to(window::LABEL, name, payload) {
        tracing::debug!(%error, name, "the window could not be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(id: &str) -> Event {
        Event::Relationship { id: id.to_owned() }
    }

    #[test]
    fn burst_becomes_one_at_once_and_one_when_it_is_time() {
        let mut coalescer = Coalescer::default();
        let start = Instant::now();
        assert!(coalescer.offer(about("a"), start).is_some());
        for n in 1..100 {
            assert!(coalescer.offer(about("a"), start + Duration::from_millis(n)).is_none());
        }
        assert_eq!(coalescer.next(), Some(start + PACE));
        assert!(coalescer.due(start + PACE / 2).is_empty());
        assert_eq!(coalescer.due(start + PACE).len(), 1);
        assert_eq!(coalescer.next(), None);
        assert!(coalescer.due(start + PACE * 9).is_empty());
    }

    #[test]
    fn no_relationship_is_told_more_than_four_times_a_second() {
        let mut coalescer = Coalescer::default();
        let start = Instant::now();
        let mut passed = 0;
        for n in 0..1000 {
            let now = start + Duration::from_millis(n);
            passed += coalescer.due(now).len() + usize::from(coalescer.offer(about("a"), now).is_some());
        }
        assert!((3..=4).contains(&passed), "{passed}");
    }

    #[test]
    fn relationships_and_kinds_do_not_wait_for_each_other() {
        let mut coalescer = Coalescer::default();
        let now = Instant::now();
        assert!(coalescer.offer(about("a"), now).is_some());
        assert!(coalescer.offer(about("b"), now).is_some());
        assert!(coalescer.offer(Event::Peers, now).is_some());
        assert!(coalescer.offer(Event::Peers, now).is_none());
    }
}
