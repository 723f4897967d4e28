//! Comparing without moving anything.

use evenfold_core::{RelPath, Side};
use evenfold_engine::pair::Permission;
use evenfold_engine::{CycleError, Ending, Endpoint as _, EndpointError, Look};
use evenfold_fs::disk::{Disk, Kind, Place};
use evenfold_fs::matcher::Matcher;
use evenfold_ssh::PeerKey;

use crate::api::{ApiError, Check, Counts, ErrorCode, ErrorInfo};
use crate::findings::{Machines, Verify, describe, merge};
use crate::node::{Node, db};
use crate::peers::time_text;
use crate::plans::halt_info;
use crate::relationship::{Relationship, Spoke};
use crate::settings::{self, Flow};
use crate::status::SpokeState;

impl Node {
    /// Compares all endpoints that can be reached; nothing is moved. A side that cannot be looked at makes the
    /// answer unverified, which is no error.
    ///
    /// # Errors
    /// Where there is no such relationship, or the database fails.
    pub(crate) async fn check(&self, wanted: &str, deep: bool) -> Result<Check, ApiError> {
        let relationship = self.find(wanted)?;
        if let Some(delivery) = relationship.delivery() {
            return Ok(self.delivery_check(&delivery));
        }
        match relationship.spoke() {
            Some(spoke) => self.check_spoke(&relationship, spoke, deep).await,
            None => self.check_hub(&relationship, deep).await,
        }
    }

    async fn check_spoke(
        &self,
        relationship: &Relationship,
        spoke: &Spoke,
        deep: bool,
    ) -> Result<Check, ApiError> {
        let deep = deep || relationship.settings().verify == settings::Verify::Full;
        let look = if deep { Look::Deep } else { Look::Full };
        let machines = Machines { ours: &self.name, theirs: &spoke.hub_name, source: relationship.source() };
        let report = match spoke.driver.cycle(look, Permission::PlanOnly).await {
            Ok(report) => report,
            Err(error) => {
                let reason = self.why_unverified(spoke, &error);
                return Ok(self.unverified(relationship, reason).await);
            }
        };
        if let Ending::Held(halt) = &report.ending {
            let info = halt_info(halt, None, machines.ours, machines.theirs);
            let reason = ErrorInfo { code: info.code, message: info.message, hint: info.hint };
            return Ok(self.unverified(relationship, reason).await);
        }
        let verify = match (deep, relationship.settings().flow) {
            (true, _) => Verify::Contents,
            (false, Flow::None) => Verify::SizesAndTimes,
            (false, _) => Verify::Digests,
        };
        let mut check = describe(&report, machines, verify);
        check.counts.excluded += excluded(relationship).await;
        Ok(check)
    }

    /// Every member compares itself with us. One that cannot be asked leaves its copy unknown.
    async fn check_hub(&self, relationship: &Relationship, deep: bool) -> Result<Check, ApiError> {
        self.wait_for_members(relationship).await?;
        let mut answers = match self.ask_members_check(relationship, deep).await {
            Ok(answers) => answers,
            Err(ApiError { code: ErrorCode::Store, message, hint }) => {
                return Err(ApiError { code: ErrorCode::Store, message, hint });
            }
            // One went away in the middle.
            Err(error) => {
                let hint = error.hint.unwrap_or_else(|| "check again when it is connected".to_owned());
                let message = format!("a member could not be compared: {}", error.message);
                let reason = ErrorInfo { code: "offline".to_owned(), message, hint };
                return Ok(self.unverified(relationship, reason).await);
            }
        };
        for member in self.store.members().list(relationship.row().id).await.map_err(db)? {
            let key = PeerKey::from_bytes(member.peer);
            let peer = self.store.peers().get(&member.peer).await.map_err(db)?;
            let name = peer.map_or_else(|| key.fingerprint(), |peer| peer.name);
            if answers.iter().any(|(answered, _)| *answered == name) {
                continue;
            }
            let why = crate::network::describe(self.network.failure(&key).as_ref());
            let reason = ErrorInfo {
                code: "offline".to_owned(),
                message: format!("{name} is not connected: {why}"),
                hint: format!("start 'evenfold daemon' on {name}; it connects by itself"),
            };
            let told = member.state.as_deref().and_then(|text| serde_json::from_str::<SpokeState>(text).ok());
            let mut check = self.unverified(relationship, reason).await;
            // What it said last is how long we know.
            if let Some(verified) = told.and_then(|told| told.verified_at) {
                check.unknown_since = time_text(verified);
            }
            answers.push((name, check));
        }
        if answers.is_empty() {
            let reason = ErrorInfo {
                code: "no-members".to_owned(),
                message: "nobody has joined this relationship, so there is nothing to compare with"
                    .to_owned(),
                hint: "join it from another machine with 'evenfold join'".to_owned(),
            };
            return Ok(self.unverified(relationship, reason).await);
        }
        Ok(merge(answers))
    }

    pub(crate) fn why_unverified(&self, spoke: &Spoke, error: &CycleError) -> ErrorInfo {
        let (code, message, hint) = match error {
            CycleError::Endpoint(_, EndpointError::Offline(detail)) => {
                let why = spoke.why_offline(&self.network).unwrap_or_else(|| detail.clone());
                let hint = match spoke.hub {
                    Some(_) => "start 'evenfold daemon' there; it is tried again by itself",
                    None => "it is tried again by itself",
                };
                ("offline", format!("{} cannot be reached: {why}", spoke.hub_name), hint)
            }
            CycleError::Endpoint(_, EndpointError::Refused(detail)) => {
                let hint = "ask the owner of that machine to share it again";
                ("refused", format!("{} refuses: {detail}", spoke.hub_name), hint)
            }
            CycleError::Endpoint(side, error) => {
                let machine = match side {
                    Side::Ours => &self.name,
                    Side::Theirs => &spoke.hub_name,
                };
                ("endpoint", format!("on {machine}: {error}"), "mend the cause and check again")
            }
            CycleError::Paused => {
                ("paused", "the relationship was paused meanwhile".to_owned(), "check again")
            }
            error => ("store", error.to_string(), "look at 'evenfold doctor'"),
        };
        ErrorInfo { code: code.to_owned(), message, hint: hint.to_owned() }
    }

    /// The answer where nothing could be compared: what is known of is unknown, and since when.
    async fn unverified(&self, relationship: &Relationship, reason: ErrorInfo) -> Check {
        let row = relationship.row();
        let verified = relationship.state().and_then(|state| state.verified_at).or(row.last_verified);
        let own = relationship.local.scan(evenfold_core::snapshot::Extent::Paths(Vec::new()), &[]).await;
        let totals = own.map(|snapshot| snapshot.tree.totals()).unwrap_or_default();
        Check {
            verified: false,
            unverified_reason: Some(reason),
            unknown_since: time_text(verified.unwrap_or(row.created)),
            compared_at: None,
            counts: Counts { unknown: totals.files, ..Counts::default() },
            bytes: Counts { unknown: totals.bytes, ..Counts::default() },
            suspects: 0,
            items: Vec::new(),
        }
    }
}

/// Counts the paths of our folder that the rules leave out; a folder that is left out counts once.
async fn excluded(relationship: &Relationship) -> u64 {
    let select = relationship.settings().select();
    if select.include.is_empty() && select.exclude.is_empty() && select.hidden {
        return 0;
    }
    let counted = relationship.local.on_disk(|replica| left_out(&**replica.disk(), replica.matcher())).await;
    counted.unwrap_or_else(|error| {
        tracing::debug!(%error, "what the rules leave out could not be counted");
        0
    })
}

fn left_out<D: Disk>(disk: &D, matcher: &Matcher) -> u64 {
    let mut count = 0;
    let mut pending = vec![RelPath::root()];
    while let Some(dir) = pending.pop() {
        // What cannot be listed is told as an error of the comparison itself.
        let Ok(listed) = disk.list(&Place::User(dir.clone())) else { continue };
        for line in listed {
            let (Ok(name), Ok(stat)) = (evenfold_core::Name::new(&line.name), line.stat) else { continue };
            let path = dir.join(&name);
            let is_dir = stat.kind == Kind::Dir;
            if !matcher.takes_part(&path, is_dir) {
                count += 1;
            } else if is_dir {
                pending.push(path);
            }
        }
    }
    count
}
