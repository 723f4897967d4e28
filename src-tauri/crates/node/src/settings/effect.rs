//! Which settings have an effect where, so that one without any is not passed over in silence, and which contradict each
//! other. One without effect is taken, because a script may give all its relationships the same settings.

use super::{Deliver, Flow, Key, Kind, SettingError, Settings};
use crate::api::Setting;

/// Where a relationship that is about to be made, or is changed, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage<'a> {
    /// It is made.
    New,
    /// It runs with these settings.
    Running(&'a Settings),
}

impl Settings {
    /// Says why a key has no effect with these settings; `None` where it has one.
    pub fn without_effect(&self, key: Key) -> Option<&'static str> {
        const COMPARES: &str = "nothing travels in it";
        const NO_TRANSIT: &str = "only a relay's hub keeps copies for a time";
        const KEEPS: &str = "it keeps folders identical instead of delivering items";
        const DELIVERS: &str = "it delivers items and deletes nothing";
        let (delivers, compares) = (self.deliver == Deliver::Once, self.flow == Flow::None);
        let relay = self.kind == Kind::Relay;
        let by_hand = self.kind == Kind::Manual;
        match key {
            // What is looked at, how and when, matters everywhere.
            Key::Flow | Key::Deliver | Key::Include | Key::Exclude | Key::SizeMin | Key::SizeMax => None,
            Key::Hidden | Key::Verify | Key::Rescan | Key::Scrub | Key::HookOnError | Key::HookTimeout => {
                None
            }
            Key::Trigger => by_hand.then_some("it is pushed and pulled by hand"),
            Key::Retention | Key::Reserve if !relay => Some(NO_TRANSIT),
            Key::Executor if relay => Some("a relay carries what it verifies at every hop by itself"),
            Key::Resend | Key::Executor | Key::Parallel if !delivers => Some(match key {
                Key::Parallel => "its contents travel in one pipeline, which fills the line by itself",
                _ => KEEPS,
            }),
            Key::Delete | Key::GuardPercent | Key::GuardCount if delivers => Some(DELIVERS),
            _ if compares => Some(COMPARES),
            Key::Settle if by_hand => Some("whoever pushes and pulls by hand decides when"),
            _ => None,
        }
    }

    /// Returns the keys among `pairs` that differ from what is usual for the kind and have no effect, each with the reason.
    pub fn without_effect_among(&self, pairs: &[Setting]) -> Vec<(Key, &'static str)> {
        let usual = Settings::preset(self.kind);
        let keys = pairs.iter().filter_map(|(name, _)| name.parse::<Key>().ok());
        keys.filter(|key| self.get(*key) != usual.get(*key))
            .filter_map(|key| Some((key, self.without_effect(key)?)))
            .collect()
    }

    /// Makes sure that `pairs`, which were laid over other settings to give these, can be carried out.
    ///
    /// # Errors
    /// The first one that contradicts another, or that cannot be changed any more. A pair that changes nothing passes.
    pub fn check_effect(&self, pairs: &[Setting], stage: Stage<'_>) -> Result<(), SettingError> {
        let before = match stage {
            Stage::New => Settings::preset(self.kind),
            Stage::Running(before) => before.clone(),
        };
        for (name, _) in pairs {
            let key: Key = name.parse()?;
            if self.get(key) == before.get(key) {
                continue;
            }
            let fixed = match key {
                Key::Deliver => true,
                // A folder that is only compared has no marker, and one that is synced has.
                Key::Flow => (self.flow == Flow::None) != (before.flow == Flow::None),
                // Who carries is decided at the start.
                Key::Executor => {
                    std::mem::discriminant(&self.executor) != std::mem::discriminant(&before.executor)
                }
                _ => false,
            };
            if fixed && matches!(stage, Stage::Running(_)) {
                return Err(SettingError::Fixed { key });
            }
        }
        if self.deliver == Deliver::Once && self.flow != Flow::OneWay {
            return Err(SettingError::Contradiction { what: "deliver=once needs flow=one-way" });
        }
        if self.deliver == Deliver::Identical && matches!(self.kind, Kind::SendOnce | Kind::Relay) {
            return Err(SettingError::Contradiction {
                what: "a folder that is kept identical is of the kind mirror",
            });
        }
        if self.deliver == Deliver::Once && self.kind == Kind::Manual {
            return Err(SettingError::Contradiction {
                what: "what is delivered once is of the kind send-once or relay",
            });
        }
        match (self.size_min, self.size_max) {
            (Some(min), Some(max)) if min > max => {
                Err(SettingError::Contradiction { what: "size.min is more than size.max" })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_at(kind: Kind, before: &[(&str, &str)], set: (&str, &str)) -> Result<(), SettingError> {
        let pairs = |set: &[(&str, &str)]| -> Vec<Setting> {
            set.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let running = Settings::parse(kind, &pairs(before)).unwrap();
        let changed = running.with(&pairs(&[set])).unwrap();
        changed.check_effect(&pairs(&[set]), Stage::New)?;
        changed.check_effect(&pairs(&[set]), Stage::Running(&running))
    }

    #[track_caller]
    fn check(key: &str, value: &str, kinds: [bool; 6]) {
        for (kind, expected) in Kind::ALL.into_iter().zip(kinds) {
            let pairs = [(key.to_owned(), value.to_owned())];
            let settings = Settings::parse(kind, &pairs).unwrap();
            let idle = settings.without_effect_among(&pairs);
            assert_eq!(idle.is_empty(), expected, "{kind} {key}={value}: {idle:?}");
            assert_eq!(
                check_at(kind, &[], (key, value)),
                Ok(()),
                "{kind} {key}={value} is taken all the same"
            );
        }
    }

    #[test]
    fn key_without_effect_is_known_for_each_kind_and_taken() {
        const EVERYWHERE: [bool; 6] = [true; 6];
        const NOT_COMPARE: [bool; 6] = [true, true, true, true, true, false];
        const KEEPING: [bool; 6] = [true, true, true, false, false, false];
        const DELIVERING: [bool; 6] = [false, false, false, true, true, false];
        const RELAY: [bool; 6] = [false, false, false, false, true, false];
        for (key, value, kinds) in [
            ("include", "*.jpg", EVERYWHERE),
            ("exclude", "*.tmp", EVERYWHERE),
            ("hidden", "false", EVERYWHERE),
            ("size.min", "1B", EVERYWHERE),
            ("size.max", "1GB", EVERYWHERE),
            ("verify", "full", EVERYWHERE),
            ("rescan", "1m", EVERYWHERE),
            ("scrub", "30d", EVERYWHERE),
            ("hook.on_error", r#"["x"]"#, EVERYWHERE),
            ("hook.timeout", "5s", EVERYWHERE),
            ("trigger", "30s", [true, true, false, true, true, true]),
            ("settle", "7s", [true, true, false, true, true, false]),
            ("conflict", "newest", NOT_COMPARE),
            ("unit", "entry", NOT_COMPARE),
            ("lease", "2h", NOT_COMPARE),
            ("versions.keep", "9d", NOT_COMPARE),
            ("versions.max", "5GiB", NOT_COMPARE),
            ("limit.up", "1MB/s", NOT_COMPARE),
            ("limit.down", "1MB/s", NOT_COMPARE),
            ("on_error", "stop", NOT_COMPARE),
            ("access", "read", NOT_COMPARE),
            ("hook.after_arrival", r#"["x"]"#, NOT_COMPARE),
            ("hook.after_delivery", r#"["x"]"#, NOT_COMPARE),
            ("hook.on_conflict", r#"["x"]"#, NOT_COMPARE),
            ("guard.percent", "9", KEEPING),
            ("guard.count", "9", KEEPING),
            ("parallel", "9", DELIVERING),
            ("retention", "9s", RELAY),
            ("reserve", "9%", RELAY),
        ] {
            check(key, value, kinds);
        }
        check("resend", "changed", DELIVERING);
        // What is a kind's own preset changes nothing there.
        check("delete", "ignore", NOT_COMPARE);
        check("delete", "propagate", [true, true, true, false, false, true]);
    }

    #[test]
    fn every_key_has_an_effect_somewhere() {
        for key in Key::ALL {
            let kinds = Kind::ALL.map(Settings::preset);
            assert!(kinds.iter().any(|settings| settings.without_effect(*key).is_none()), "{key}");
        }
    }

    #[test]
    fn what_was_decided_at_the_start_stays() {
        let fixed = |kind, before: &[(&str, &str)], set| {
            matches!(check_at(kind, before, set), Err(SettingError::Fixed { .. }))
        };
        assert!(fixed(Kind::Mirror, &[], ("deliver", "once")));
        assert!(fixed(Kind::TwoWay, &[], ("flow", "none")));
        assert!(fixed(Kind::Compare, &[], ("flow", "both")));
        assert!(!fixed(Kind::TwoWay, &[], ("flow", "one-way")));
        assert!(fixed(Kind::SendOnce, &[], ("executor", r#"["x"]"#)));
        assert!(check_at(Kind::SendOnce, &[("executor", r#"["y"]"#)], ("executor", r#"["x"]"#)).is_ok());
    }

    #[test]
    fn contradictions_are_refused_together() {
        let refused = |kind, set: &[(&str, &str)]| {
            let pairs: Vec<Setting> = set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            Settings::parse(kind, &pairs).unwrap().check_effect(&pairs, Stage::New).is_err()
        };
        assert!(refused(Kind::TwoWay, &[("deliver", "once")]));
        assert!(!refused(Kind::TwoWay, &[("deliver", "once"), ("flow", "one-way")]));
        assert!(refused(Kind::Relay, &[("flow", "both")]));
        assert!(refused(Kind::SendOnce, &[("deliver", "identical")]));
        assert!(refused(Kind::TwoWay, &[("size.min", "2MB"), ("size.max", "1MB")]));
    }

    #[test]
    fn what_changes_nothing_passes() {
        for (kind, pair) in [(Kind::TwoWay, ("parallel", "4")), (Kind::Compare, ("delete", "propagate"))] {
            assert_eq!(check_at(kind, &[], pair), Ok(()));
        }
    }
}
