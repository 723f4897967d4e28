//! Why a path is, or is not, in sync.

use evenfold_core::snapshot::{Extent, Snapshot};
use evenfold_core::{Entry, RelPath};
use evenfold_engine::pair::Permission;
use evenfold_engine::{Ending, Endpoint as _, Look};
use evenfold_fs::disk::{Disk as _, Kind, Place};
use evenfold_ssh::PeerKey;

use crate::api::{ApiError, PathText, Why, WhyEndpoint};
use crate::findings::problem_words;
use crate::local::lock;
use crate::node::{Node, db};
use crate::peers::time_text;
use crate::plans::halt_info;
use crate::reasons::{EXCLUDED, Facts, IN_SYNC, NO_MEMBERS, UNKNOWN, Verdict, entry_at, judge, next_step};
use crate::relationship::{Relationship, Spoke};
use crate::settings::{Access, Trigger};
use crate::text::{human_count, human_size, path_text};
use crate::versions::{folder_failed, micros, rel_path};

impl Node {
    /// Returns for every endpoint whether a path is in sync there, and if not, the one reason, the evidence and
    /// the next step. On a spoke the endpoints are itself and the hub, on the hub itself and all members.
    ///
    /// # Errors
    /// Where there is no such relationship, the path is none, or our own folder cannot be looked at.
    pub(crate) async fn why(&self, wanted: &str, path: &PathText) -> Result<Why, ApiError> {
        let relationship = self.find(wanted)?;
        let path = rel_path(path)?;
        if let Some(delivery) = relationship.delivery() {
            return self.delivery_why(&relationship, &delivery, &path).await;
        }
        let endpoints = match relationship.spoke() {
            Some(spoke) => self.why_spoke(&relationship, spoke, &path).await?,
            None => self.why_hub(&relationship, &path).await?,
        };
        Ok(Why { path: path_text(path.as_bytes()), endpoints })
    }

    async fn why_spoke(
        &self,
        relationship: &Relationship,
        spoke: &Spoke,
        path: &RelPath,
    ) -> Result<Vec<WhyEndpoint>, ApiError> {
        let name = relationship.row().name;
        let told = |machine: &str, verdict: &Verdict, stands: String| {
            endpoint(&name, path, machine, verdict, stands)
        };
        if let Some(pattern) = self.left_out(relationship, path).await? {
            let verdict = excluded(&pattern);
            return Ok(vec![
                told(&self.name, &verdict, String::new()),
                told(&spoke.hub_name, &verdict, String::new()),
            ]);
        }
        // A root that cannot be looked at is told by the cycle, as what holds the relationship.
        let own = relationship.local.scan(look_at(path), &[]).await.ok();
        let compared = spoke.driver.cycle(Look::Current, Permission::PlanOnly).await;
        let state = spoke.driver.state().borrow().clone();
        let report = match compared {
            Ok(report) => report,
            Err(error) => {
                let reason = self.why_unverified(spoke, &error);
                let since = state.verified_at.or(relationship.row().last_verified).and_then(time_text);
                let since = since.map(|time| format!("; last compared {time}")).unwrap_or_default();
                let evidence = format!("{}{since}", reason.message);
                let verdict = Verdict { in_sync: false, code: UNKNOWN, evidence };
                let ours = own.and_then(|own| entry_at(&own.tree, path));
                let ours = self.stands(relationship, path, ours.as_ref()).await?;
                return Ok(vec![
                    told(&self.name, &verdict, ours),
                    told(&spoke.hub_name, &verdict, String::new()),
                ]);
            }
        };
        let halt = match &report.ending {
            Ending::Held(halt) => Some(halt),
            _ => state.halt.as_ref().map(|(halt, _)| halt),
        };
        let held = halt.map(|halt| halt_info(halt, None, &self.name, &spoke.hub_name).message);
        let facts = Facts {
            report: &report,
            refused: state.last.as_ref().map_or(&[], |last| last.blocked.as_slice()),
            held: held.as_deref(),
            paused: state.paused,
            manual: relationship.settings().trigger == Trigger::Manual,
            by_hand: relationship.tracking().is_some(),
            untracked: relationship.tracking().is_some()
                && entry_at(&report.ours, path).is_none()
                && own.is_some_and(|own| entry_at(&own.tree, path).is_some()),
            read_only: *lock(&relationship.access) == Access::Read,
            ours: &self.name,
            theirs: &spoke.hub_name,
        };
        let verdict = judge(path, &facts);
        let root_is_known = !matches!(&report.ending, Ending::Held(halt) if !halt.approvable());
        let (mut ours, mut theirs) = (String::new(), String::new());
        if root_is_known {
            ours = self.stands(relationship, path, entry_at(&report.ours, path).as_ref()).await?;
            theirs = self.stands(relationship, path, entry_at(&report.theirs, path).as_ref()).await?;
        }
        Ok(vec![told(&self.name, &verdict, ours), told(&spoke.hub_name, &verdict, theirs)])
    }

    async fn why_hub(
        &self,
        relationship: &Relationship,
        path: &RelPath,
    ) -> Result<Vec<WhyEndpoint>, ApiError> {
        let row = relationship.row();
        let told = |machine: &str, verdict: &Verdict, stands: String| {
            endpoint(&row.name, path, machine, verdict, stands)
        };
        let left_out = self.left_out(relationship, path).await?;
        let own = relationship.local.scan(look_at(path), &[]).await;
        let Snapshot { tree, .. } = own.map_err(|error| folder_failed(relationship, error))?;
        let stands = self.stands(relationship, path, entry_at(&tree, path).as_ref()).await?;
        let mut others = Vec::new();
        for member in self.store.members().list(row.id).await.map_err(db)? {
            let key = PeerKey::from_bytes(member.peer);
            let peer = self.store.peers().get(&member.peer).await.map_err(db)?;
            let name = peer.as_ref().map_or_else(|| key.fingerprint(), |peer| peer.name.clone());
            if let Some(pattern) = &left_out {
                others.push(told(&name, &excluded(pattern), String::new()));
                continue;
            }
            match self.ask_member_why(&key, row.id, path).await {
                // A member answers first for itself.
                Ok(Why { endpoints, .. }) if !endpoints.is_empty() => {
                    let own = endpoints.into_iter().next();
                    others.extend(own.map(|own| WhyEndpoint { node: name, ..own }));
                }
                Ok(_) => {}
                Err(error) => {
                    let seen = peer.and_then(|peer| peer.last_seen).and_then(time_text);
                    let seen = seen.map(|time| format!("; last seen {time}")).unwrap_or_default();
                    let evidence = format!("{name} cannot be asked: {}{seen}", error.message);
                    others.push(told(
                        &name,
                        &Verdict { in_sync: false, code: UNKNOWN, evidence },
                        String::new(),
                    ));
                }
            }
        }
        let worst = others.iter().find(|other| !other.in_sync).or(others.first());
        let ours = match (&left_out, worst) {
            (Some(pattern), _) => told(&self.name, &excluded(pattern), String::new()),
            (None, None) => {
                let evidence = "nobody has joined this relationship yet".to_owned();
                told(&self.name, &Verdict { in_sync: false, code: NO_MEMBERS, evidence }, stands)
            }
            (None, Some(worst)) => WhyEndpoint {
                node: self.name.clone(),
                in_sync: worst.in_sync,
                reason: worst.reason.clone(),
                evidence: stands,
                next: worst.next.clone(),
            },
        };
        others.insert(0, ours);
        Ok(others)
    }

    /// Returns the rule by which a path is left out.
    async fn left_out(
        &self,
        relationship: &Relationship,
        path: &RelPath,
    ) -> Result<Option<String>, ApiError> {
        let select = relationship.settings().select();
        if path.is_root() || (select.include.is_empty() && select.exclude.is_empty() && select.hidden) {
            return Ok(None);
        }
        let asked = path.clone();
        let is_dir = relationship.local.on_disk(move |replica| {
            // What is not there is asked for as a file.
            replica.disk().stat(&Place::User(asked)).is_ok_and(|stat| stat.kind == Kind::Dir)
        });
        let is_dir = is_dir.await.unwrap_or(false);
        let matcher = relationship.local.matcher().map_err(|error| folder_failed(relationship, error))?;
        Ok(matcher.why_not(path, is_dir))
    }

    /// Says what stands at a path on one side.
    async fn stands(
        &self,
        relationship: &Relationship,
        path: &RelPath,
        entry: Option<&Entry>,
    ) -> Result<String, ApiError> {
        Ok(match entry {
            None => "nothing stands there".to_owned(),
            Some(Entry::Unknown(kind)) => problem_words(*kind).to_owned(),
            Some(Entry::Symlink(link)) => format!("a link to {}", String::from_utf8_lossy(&link.target)),
            Some(Entry::Dir(dir)) => {
                let totals = dir.totals();
                let files = if totals.files == 1 { "file" } else { "files" };
                format!("a folder with {} {files}, {}", human_count(totals.files), human_size(totals.bytes))
            }
            Some(Entry::File(file)) => {
                let id = relationship.row().id;
                let author = self.store.history().last_author(id, path, file.digest).await.map_err(db)?;
                let author = author.map(|machine| format!(", written by {machine}")).unwrap_or_default();
                let time = time_text(micros(file.mtime)).unwrap_or_default();
                format!(
                    "{}, modified {time}, content {}{author}",
                    human_size(file.size),
                    file.digest.short(8)
                )
            }
        })
    }
}

/// What has to be looked at anew so that the answer is of now.
fn look_at(path: &RelPath) -> Extent {
    if path.is_root() { Extent::Full } else { Extent::Paths(vec![path.clone()]) }
}

fn excluded(pattern: &str) -> Verdict {
    Verdict { in_sync: false, code: EXCLUDED, evidence: format!("left out by the rule '{pattern}'") }
}

fn endpoint(
    relationship: &str,
    path: &RelPath,
    machine: &str,
    verdict: &Verdict,
    stands: String,
) -> WhyEndpoint {
    let evidence: Vec<_> =
        [stands, verdict.evidence.clone()].into_iter().filter(|text| !text.is_empty()).collect();
    let next = next_step(verdict.code).unwrap_or_default();
    WhyEndpoint {
        node: machine.to_owned(),
        in_sync: verdict.in_sync,
        reason: verdict.code.to_owned(),
        evidence: evidence.join("; "),
        next: if verdict.code == IN_SYNC { String::new() } else { filled(next, relationship, path) },
    }
}

fn filled(next: &str, relationship: &str, path: &RelPath) -> String {
    let path = if path.is_root() { ".".to_owned() } else { path.to_string() };
    next.replace("{R}", relationship).replace("{P}", &path)
}
