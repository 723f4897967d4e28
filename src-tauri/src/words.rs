//! What tray and notifications say, in English and German. Whole sentences, so that translations can differ in order.

use std::time::Duration;

use evenfold_node::text::{human_count, human_size};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::settings::LocaleChoice;
use crate::tray::state::{Line, Need};

/// A language that the shell speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locale {
    /// English.
    En,
    /// German.
    De,
}

impl Locale {
    /// Returns the language that was chosen, or that of the session.
    pub(crate) fn chosen(choice: LocaleChoice) -> Locale {
        match choice {
            LocaleChoice::En => Locale::En,
            LocaleChoice::De => Locale::De,
            LocaleChoice::System => Locale::of_session(&session_locale()),
        }
    }

    fn of_session(tag: &str) -> Locale {
        if tag == "de" || tag.starts_with("de-") { Locale::De } else { Locale::En }
    }

    /// Chooses between two texts.
    pub(crate) fn pick(self, english: &'static str, german: &'static str) -> &'static str {
        match self {
            Locale::En => english,
            Locale::De => german,
        }
    }

    fn count(self, number: u64) -> String {
        match self {
            Locale::En => human_count(number),
            Locale::De => human_count(number).replace(',', "."),
        }
    }

    fn size(self, bytes: u64) -> String {
        match self {
            Locale::En => human_size(bytes),
            Locale::De => human_size(bytes).replace('.', ","),
        }
    }

    fn about(self, seconds: u64) -> String {
        let (number, english, german) = match seconds {
            0..=89 => (seconds.max(1), "s", "s"),
            90..=5399 => (seconds.div_ceil(60), "min", "min"),
            5400..=172_799 => (seconds.div_ceil(3600), "h", "Std."),
            _ => (seconds.div_ceil(86400), "days", "Tage"),
        };
        format!("{} {number} {}", self.pick("about", "etwa"), self.pick(english, german))
    }

    /// Writes a moment: the time, with the day if it is not today's.
    pub(crate) fn moment(self, time: Timestamp) -> String {
        let here = TimeZone::system();
        let (time, today) = (time.to_zoned(here.clone()), Timestamp::now().to_zoned(here));
        let format = match (time.date() == today.date(), self) {
            (true, _) => "%H:%M",
            (false, Locale::En) => "%-d %b %H:%M",
            (false, Locale::De) => "%-d.%-m. %H:%M",
        };
        time.strftime(format).to_string()
    }

    /// Writes a need for the menu and for notifications.
    pub(crate) fn need(self, need: &Need) -> String {
        let conflicts = |count: u64, name: &str| match (self, count) {
            (Locale::En, 1) => format!("1 conflict in {name}"),
            (Locale::En, _) => format!("{} conflicts in {name}", self.count(count)),
            (Locale::De, 1) => format!("1 Konflikt in {name}"),
            (Locale::De, _) => format!("{} Konflikte in {name}", self.count(count)),
        };
        let problems = |count: u64, name: &str| match (self, count) {
            (Locale::En, 1) => format!("1 file in {name} cannot be synced"),
            (Locale::En, _) => format!("{} files in {name} cannot be synced", self.count(count)),
            (Locale::De, 1) => format!("1 Datei in {name} lässt sich nicht abgleichen"),
            (Locale::De, _) => {
                format!("{} Dateien in {name} lassen sich nicht abgleichen", self.count(count))
            }
        };
        match need {
            Need::EngineLost => self
                .pick(
                    "Nothing syncs: the Evenfold service has ended",
                    "Kein Abgleich: der Evenfold-Dienst ist beendet",
                )
                .to_owned(),
            Need::EngineFailed { message } => match self {
                Locale::En => format!("Evenfold cannot start: {message}"),
                Locale::De => format!("Evenfold kann nicht starten: {message}"),
            },
            Need::Fault { name, code, message, .. } | Need::Held { name, code, message, .. } => {
                let said = match self {
                    Locale::En => None,
                    Locale::De => german(code),
                };
                format!("{name}: {}", said.unwrap_or(message))
            }
            Need::Conflicts { name, count, .. } => conflicts(*count, name),
            Need::Problems { name, count, .. } => problems(*count, name),
        }
    }

    /// Writes how many things need a person.
    pub(crate) fn needs(self, count: usize) -> String {
        match self {
            Locale::En => format!("{count} things need you"),
            Locale::De => format!("{count} Dinge warten auf Sie"),
        }
    }

    /// Writes the line that says why the tray shows its state.
    pub(crate) fn line(self, line: &Line) -> String {
        match line {
            Line::Starting => self.pick("Starting…", "Startet …").to_owned(),
            Line::Need(need) => self.need(need),
            Line::Needs(count) => self.needs(*count),
            Line::NobodyReachable { waiting } => {
                let nobody =
                    self.pick("No other machine can be reached", "Kein anderer Rechner ist erreichbar");
                match (waiting, self) {
                    (0, _) => nobody.to_owned(),
                    (_, Locale::En) => format!("{nobody}, {} waiting", self.count(*waiting)),
                    (1, Locale::De) => format!("{nobody}, 1 Änderung wartet"),
                    (_, Locale::De) => format!("{nobody}, {} Änderungen warten", self.count(*waiting)),
                }
            }
            Line::Syncing { count, bytes_left, seconds } => {
                let left = self.size(*bytes_left);
                let about = seconds.map(|seconds| format!(", {}", self.about(seconds))).unwrap_or_default();
                match self {
                    Locale::En => format!("Syncing {count}: {left} left{about}"),
                    Locale::De => format!("Gleicht {count} ab: noch {left}{about}"),
                }
            }
            Line::Checking { name, files: 0 } => match self {
                Locale::En => format!("Checking {name}"),
                Locale::De => format!("Prüft {name}"),
            },
            Line::Checking { name, files } => match self {
                Locale::En => format!("Checking {name}: {} files", self.count(*files)),
                Locale::De => format!("Prüft {name}: {} Dateien", self.count(*files)),
            },
            Line::Unreachable { machine, name } => match self {
                Locale::En => format!("{name}: {machine} cannot be reached"),
                Locale::De => format!("{name}: {machine} ist nicht erreichbar"),
            },
            Line::Waiting { name } => match self {
                Locale::En => format!("{name} waits for another machine to join"),
                Locale::De => format!("{name} wartet auf einen zweiten Rechner"),
            },
            Line::Paused { until: None } => self.pick("Paused", "Pausiert").to_owned(),
            Line::Paused { until: Some(until) } => match self {
                Locale::En => format!("Paused until {}", self.moment(*until)),
                Locale::De => format!("Pausiert bis {}", self.moment(*until)),
            },
            Line::Drifted { name, files: 0 } => match self {
                Locale::En => format!("{name} differs"),
                Locale::De => format!("{name} weicht ab"),
            },
            Line::Drifted { name, files } => match self {
                Locale::En => format!("{name}: {} files differ", self.count(*files)),
                Locale::De => format!("{name}: {} Dateien weichen ab", self.count(*files)),
            },
            Line::UpToDate { verified: None } => self.pick("Up to date", "Alles gleich").to_owned(),
            Line::UpToDate { verified: Some(time) } => match self {
                Locale::En => format!("Up to date, verified {}", self.moment(*time)),
                Locale::De => format!("Alles gleich, geprüft {}", self.moment(*time)),
            },
            Line::Nothing => self.pick("No folders yet", "Noch keine Ordner").to_owned(),
        }
    }

    /// Writes how far a relationship is, for its entry in the menu.
    pub(crate) fn progress(self, done: u64, total: u64, seconds: Option<u64>) -> String {
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(0).min(100);
        let about = seconds.map(|seconds| format!(", {}", self.about(seconds))).unwrap_or_default();
        format!("{percent} %{about}")
    }

    /// Writes what was done in a day.
    pub(crate) fn summary(self, changes: u64, bytes: u64, needs: usize) -> String {
        let (changes, bytes) = (self.count(changes), self.size(bytes));
        let needs = if needs == 0 { String::new() } else { format!(" {}.", self.needs(needs)) };
        match self {
            Locale::En => format!("{changes} changes synced, {bytes}.{needs}"),
            Locale::De => format!("{changes} Änderungen abgeglichen, {bytes}.{needs}"),
        }
    }
}

/// Returns the language of the session as a BCP 47 tag, such as `de-AT`; `en` where it says nothing.
pub(crate) fn session_locale() -> String {
    let named = ["LC_ALL", "LC_MESSAGES", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    bcp47(named.as_deref().unwrap_or_default())
}

fn bcp47(posix: &str) -> String {
    let tag = posix.split(['.', '@']).next().unwrap_or_default().replace('_', "-");
    let plain = tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if tag.len() < 2 || !plain || tag == "POSIX" { "en".to_owned() } else { tag }
}

/// A pause that can be chosen in the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PauseFor {
    /// Half an hour.
    HalfHour,
    /// Two hours.
    TwoHours,
    /// Until 8 in the morning.
    Tomorrow,
    /// Until somebody resumes.
    Open,
}

impl PauseFor {
    /// All, as they stand in the menu.
    pub(crate) const ALL: [PauseFor; 4] =
        [PauseFor::HalfHour, PauseFor::TwoHours, PauseFor::Tomorrow, PauseFor::Open];

    /// Returns how it is called.
    pub(crate) fn label(self, locale: Locale) -> &'static str {
        match self {
            PauseFor::HalfHour => locale.pick("30 minutes", "30 Minuten"),
            PauseFor::TwoHours => locale.pick("2 hours", "2 Stunden"),
            PauseFor::Tomorrow => locale.pick("Until tomorrow", "Bis morgen"),
            PauseFor::Open => locale.pick("Until I resume", "Bis ich fortsetze"),
        }
    }

    /// Returns when it ends by itself, if it does.
    pub(crate) fn until(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            PauseFor::HalfHour => now.checked_add(Duration::from_secs(1800)).ok(),
            PauseFor::TwoHours => now.checked_add(Duration::from_secs(7200)).ok(),
            PauseFor::Tomorrow => {
                let tomorrow = now.to_zoned(TimeZone::system()).tomorrow().ok()?;
                tomorrow
                    .with()
                    .hour(8)
                    .minute(0)
                    .second(0)
                    .subsec_nanosecond(0)
                    .build()
                    .ok()
                    .map(|time| time.timestamp())
            }
            PauseFor::Open => None,
        }
    }
}

/// Says in German what the node's errors and halts are about, by their stable codes; the window tells the details.
fn german(code: &str) -> Option<&'static str> {
    Some(match code {
        "root-missing" => "der Ordner fehlt",
        "root-replaced" => "es ist ein anderer Ordner als der, der beigetreten ist",
        "root-unreadable" => "der Ordner lässt sich nicht lesen",
        "root-emptied" => "der Ordner ist auf einmal leer",
        "too-many-deletions" => "es würde ungewöhnlich viel gelöscht",
        "key-changed" => "der andere Rechner zeigt einen anderen Schlüssel",
        "refused" => "der andere Rechner erlaubt das nicht",
        "endpoint" => "mit einem Ordner ging etwas schief",
        "store" => "die Datenbank lässt sich nicht verwenden",
        "hook" => "ein eigener Befehl ist fehlgeschlagen",
        "clock" => "die Uhren der Rechner gehen auseinander",
        "delivery" => "Lieferungen kommen nicht voran",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_language_becomes_a_tag() {
        for (posix, expected) in [
            ("de_AT.UTF-8", "de-AT"),
            ("de_DE@euro", "de-DE"),
            ("en", "en"),
            ("C", "en"),
            ("POSIX", "en"),
            ("", "en"),
            ("../x", "en"),
        ] {
            assert_eq!(bcp47(posix), expected);
        }
        assert_eq!(Locale::of_session("de-AT"), Locale::De);
        assert_eq!(Locale::of_session("den"), Locale::En);
    }

    #[test]
    fn numbers_are_written_as_the_language_does() {
        let line = Line::Checking { name: "Fotos".into(), files: 412_000 };
        assert_eq!(Locale::En.line(&line), "Checking Fotos: 412,000 files");
        assert_eq!(Locale::De.line(&line), "Prüft Fotos: 412.000 Dateien");
        let line = Line::NobodyReachable { waiting: 4_100 };
        assert_eq!(Locale::En.line(&line), "No other machine can be reached, 4,100 waiting");
        assert_eq!(Locale::De.line(&line), "Kein anderer Rechner ist erreichbar, 4.100 Änderungen warten");
        let line = Line::Syncing { count: 3, bytes_left: 1_200_000_000, seconds: Some(240) };
        assert_eq!(Locale::En.line(&line), "Syncing 3: 1.2 GB left, about 4 min");
        assert_eq!(Locale::De.line(&line), "Gleicht 3 ab: noch 1,2 GB, etwa 4 min");
    }

    #[test]
    fn one_and_several_differ() {
        let need = |count| Need::Conflicts { id: "a".into(), name: "Code".into(), count };
        assert_eq!(Locale::En.need(&need(1)), "1 conflict in Code");
        assert_eq!(Locale::En.need(&need(2)), "2 conflicts in Code");
        assert_eq!(Locale::De.need(&need(1)), "1 Konflikt in Code");
    }

    #[test]
    fn nodes_english_is_put_into_german_where_its_code_is_known() {
        let need = |code: &str| Need::Held {
            id: "a".into(),
            name: "Code".into(),
            code: code.into(),
            message: "the folder on nas is missing".into(),
            approvable: false,
        };
        assert_eq!(Locale::En.need(&need("root-missing")), "Code: the folder on nas is missing");
        assert_eq!(Locale::De.need(&need("root-missing")), "Code: der Ordner fehlt");
        assert_eq!(Locale::De.need(&need("quite new")), "Code: the folder on nas is missing");
    }

    #[test]
    fn progress_never_exceeds_itself() {
        assert_eq!(Locale::En.progress(62, 100, Some(25)), "62 %, about 25 s");
        assert_eq!(Locale::En.progress(7, 0, None), "0 %");
        assert_eq!(Locale::En.progress(300, 100, None), "100 %");
    }

    #[test]
    fn pause_until_tomorrow_ends_tomorrow_morning() {
        let now = Timestamp::now();
        let until = PauseFor::Tomorrow.until(now).unwrap().to_zoned(TimeZone::system());
        assert_eq!(until.hour(), 8);
        assert_eq!(until.date(), now.to_zoned(TimeZone::system()).date().tomorrow().unwrap());
        assert_eq!(PauseFor::Open.until(now), None);
    }
}
