//! How far a delivery is, and which step may follow which.

/// How far one unit is on its way from its origin to one destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It changed a moment ago and has to hold still first.
    Settling,
    /// It holds still, and is owed.
    Ready,
    /// The receiver has set space aside for it.
    Reserved,
    /// Its content is on the way.
    Transferring,
    /// Its content has arrived and is compared with the origin's digest.
    Verifying,
    /// It stands at the destination, whole, verified and durable.
    Delivered,
    /// The origin knows that it does.
    Acknowledged,
    /// The origin has compared the receipt with what it still holds: this version is what was meant.
    Finalised,
    /// The hub's copy has been dropped.
    Released,
    /// It cannot go on by itself before something changes.
    Waiting(Wait),
    /// An attempt failed; the next is made at this time.
    Retrying {
        /// Why the attempt failed.
        reason: String,
        /// When the next begins, in microseconds since 1970.
        at: i64,
    },
    /// The hub's copy is not what the origin sent; it was put aside and is fetched again.
    Quarantined(String),
    /// It is not delivered, and that is right.
    Skipped(Skip),
    /// It is not tried again before somebody says so.
    Failed(String),
}

/// What a delivery waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// The receiver has not enough free space now.
    NoSpace,
    /// It would not fit even if the receiver's disk were empty.
    TooLarge,
    /// Nobody has joined as a destination.
    NoDestination,
    /// Its origin went away in the middle.
    OriginOffline,
    /// Something else stands under its name, and may not be replaced.
    NameTaken,
    /// A part of it cannot be read.
    Unreadable(String),
}

/// Why something is rightly not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skip {
    /// A person marked it as delivered.
    Marked,
    /// A newer version took its place before it was final.
    Superseded,
    /// It was removed at its origin before it had been sent.
    Withdrawn,
    /// A person said that it shall be sent again: this row does not count any more.
    Forgotten,
}

/// What happens to a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It held still long enough, or is to be tried again.
    Settled,
    /// Space was set aside.
    Admitted,
    /// Its content began to travel.
    Began,
    /// Its content has arrived.
    Arrived,
    /// The hub holds a verified copy.
    Stored,
    /// The destination holds it, durably.
    Landed,
    /// The origin has heard of that.
    Heard,
    /// The origin has confirmed that it is what was meant.
    Confirmed,
    /// The hub's copy was dropped.
    Dropped,
    /// It has to wait.
    Waits(Wait),
    /// An attempt failed.
    Stumbled {
        /// Why.
        reason: String,
        /// When to try again.
        at: i64,
    },
    /// The hub's copy is damaged.
    Damaged(String),
    /// It is not to be delivered.
    Skips(Skip),
    /// It failed for good.
    GivesUp(String),
}

/// A step that cannot follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a delivery that is {state} cannot become {event}")]
pub struct Illegal {
    /// Word of the state.
    pub state: &'static str,
    /// Word of what was to follow.
    pub event: &'static str,
}

impl State {
    /// Returns the stable word.
    pub fn word(&self) -> &'static str {
        match self {
            State::Settling => "settling",
            State::Ready => "ready",
            State::Reserved => "reserved",
            State::Transferring => "transferring",
            State::Verifying => "verifying",
            State::Delivered => "delivered",
            State::Acknowledged => "acknowledged",
            State::Finalised => "finalised",
            State::Released => "released",
            State::Waiting(_) => "waiting",
            State::Retrying { .. } => "retrying",
            State::Quarantined(_) => "quarantined",
            State::Skipped(_) => "skipped",
            State::Failed(_) => "failed",
        }
    }

    /// Returns why, for the states that have a reason; empty for the others.
    pub fn reason(&self) -> &str {
        match self {
            State::Waiting(wait) => wait.reason(),
            State::Retrying { reason, .. } | State::Quarantined(reason) | State::Failed(reason) => reason,
            State::Skipped(skip) => skip.reason(),
            _ => "",
        }
    }

    /// Reads what [`State::word`] and [`State::reason`] wrote.
    pub fn parse(word: &str, reason: &str, at: Option<i64>) -> Option<State> {
        Some(match word {
            "settling" => State::Settling,
            "ready" => State::Ready,
            "reserved" => State::Reserved,
            "transferring" => State::Transferring,
            "verifying" => State::Verifying,
            "delivered" => State::Delivered,
            "acknowledged" => State::Acknowledged,
            "finalised" => State::Finalised,
            "released" => State::Released,
            "waiting" => State::Waiting(Wait::parse(reason)),
            "retrying" => State::Retrying { reason: reason.to_owned(), at: at.unwrap_or(0) },
            "quarantined" => State::Quarantined(reason.to_owned()),
            "skipped" => State::Skipped(Skip::parse(reason)?),
            "failed" => State::Failed(reason.to_owned()),
            _ => return None,
        })
    }

    /// Tells whether the destination has it.
    pub fn is_delivered(&self) -> bool {
        matches!(self, State::Delivered | State::Acknowledged | State::Finalised | State::Released)
    }

    /// Tells whether it is delivered for good: a later version is another delivery.
    pub fn is_final(&self) -> bool {
        matches!(self, State::Finalised | State::Released)
    }

    /// Tells whether something is still to be done before the destination has it.
    pub fn is_open(&self) -> bool {
        !self.is_delivered() && !matches!(self, State::Skipped(_))
    }

    /// Returns how far along the way a state lies; `None` for those beside it.
    fn step(&self) -> Option<u8> {
        Some(match self {
            State::Settling => 0,
            State::Ready => 1,
            State::Reserved => 2,
            State::Transferring => 3,
            State::Verifying => 4,
            State::Delivered => 5,
            State::Acknowledged => 6,
            State::Finalised => 7,
            State::Released => 8,
            _ => return None,
        })
    }

    /// Returns the state after `event`. The way is gone forwards only, but an attempt may begin again from any state
    /// before delivery; what was delivered is never undelivered, only superseded or forgotten.
    ///
    /// # Errors
    /// For a step that cannot follow; the state stays.
    pub fn after(&self, event: &Event) -> Result<State, Illegal> {
        let illegal = || Illegal { state: self.word(), event: event.word() };
        let open = self.is_open();
        let to = |target: State| {
            let (now, then) = (self.step(), target.step());
            let forwards = now.is_none_or(|now| then.is_none_or(|then| now <= then || then <= 4));
            if open && forwards { Ok(target) } else { Err(illegal()) }
        };
        match event {
            Event::Settled => match self {
                // A person, or the next look, gives it another chance.
                State::Skipped(_) => Ok(State::Ready),
                _ => to(State::Ready),
            },
            Event::Admitted => to(State::Reserved),
            Event::Began => to(State::Transferring),
            Event::Stored => to(State::Transferring),
            Event::Arrived => to(State::Verifying),
            Event::Landed => match self {
                // What came after all, although a newer version was known.
                State::Skipped(Skip::Superseded | Skip::Forgotten) => Ok(self.clone()),
                State::Skipped(_) => Ok(State::Delivered),
                _ if self.is_delivered() => Ok(self.clone()),
                _ => to(State::Delivered),
            },
            Event::Heard => match self {
                State::Delivered => Ok(State::Acknowledged),
                State::Acknowledged | State::Finalised | State::Released => Ok(self.clone()),
                _ => Err(illegal()),
            },
            Event::Confirmed => match self {
                State::Delivered | State::Acknowledged => Ok(State::Finalised),
                State::Finalised | State::Released => Ok(self.clone()),
                _ => Err(illegal()),
            },
            Event::Dropped => match self {
                State::Finalised | State::Released => Ok(State::Released),
                // Delivered and not final yet, or rightly not delivered: the copy goes, the state stays.
                State::Delivered | State::Acknowledged | State::Skipped(_) => Ok(self.clone()),
                _ => Err(illegal()),
            },
            Event::Waits(wait) => to(State::Waiting(wait.clone())),
            Event::Stumbled { reason, at } => to(State::Retrying { reason: reason.clone(), at: *at }),
            Event::Damaged(reason) => to(State::Quarantined(reason.clone())),
            Event::GivesUp(reason) => to(State::Failed(reason.clone())),
            Event::Skips(Skip::Forgotten | Skip::Marked) => match event {
                Event::Skips(skip) => Ok(State::Skipped(*skip)),
                _ => Err(illegal()),
            },
            Event::Skips(Skip::Superseded) if !self.is_final() => Ok(State::Skipped(Skip::Superseded)),
            Event::Skips(skip) => to(State::Skipped(*skip)),
        }
    }
}

impl Wait {
    /// Returns the reason in words.
    pub fn reason(&self) -> &str {
        match self {
            Wait::NoSpace => "no space",
            Wait::TooLarge => "too large for the disk",
            Wait::NoDestination => "no destination has joined",
            Wait::OriginOffline => "its source is offline",
            Wait::NameTaken => "something else has its name",
            Wait::Unreadable(what) => what,
        }
    }

    fn parse(reason: &str) -> Wait {
        let known =
            [Wait::NoSpace, Wait::TooLarge, Wait::NoDestination, Wait::OriginOffline, Wait::NameTaken];
        let found = known.into_iter().find(|wait| wait.reason() == reason);
        found.unwrap_or_else(|| Wait::Unreadable(reason.to_owned()))
    }
}

impl Skip {
    /// Returns the reason in words.
    pub fn reason(&self) -> &'static str {
        match self {
            Skip::Marked => "marked as delivered",
            Skip::Superseded => "a newer version took its place",
            Skip::Withdrawn => "removed at its source before it was sent",
            Skip::Forgotten => "forgotten, so it may be sent again",
        }
    }

    fn parse(reason: &str) -> Option<Skip> {
        let all = [Skip::Marked, Skip::Superseded, Skip::Withdrawn, Skip::Forgotten];
        all.into_iter().find(|skip| skip.reason() == reason)
    }
}

impl Event {
    /// Returns the stable word of the state it leads to.
    pub fn word(&self) -> &'static str {
        match self {
            Event::Settled => "ready",
            Event::Admitted => "reserved",
            Event::Began => "transferring",
            Event::Stored => "stored",
            Event::Arrived => "verifying",
            Event::Landed => "delivered",
            Event::Heard => "acknowledged",
            Event::Confirmed => "finalised",
            Event::Dropped => "released",
            Event::Waits(_) => "waiting",
            Event::Stumbled { .. } => "retrying",
            Event::Damaged(_) => "quarantined",
            Event::Skips(_) => "skipped",
            Event::GivesUp(_) => "failed",
        }
    }
}
