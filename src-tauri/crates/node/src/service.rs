//! From requests to what the node does.

use std::sync::Arc;

use async_trait::async_trait;
use evenfold_core::scope::Direction;
use tokio::sync::mpsc;

use crate::api::{ApiError, Event, Reply, Request};
use crate::control::Service;
use crate::join::begin;
use crate::manual::TransferRequest;
use crate::node::Node;

/// A node as a service; what a caller holds.
pub struct NodeService(pub Arc<Node>);

#[async_trait]
impl Service for NodeService {
    async fn call(&self, request: Request, events: mpsc::Sender<Event>) -> Result<Reply, ApiError> {
        let node = &self.0;
        Ok(match request {
            Request::NodeShow => Reply::Node(node.info()),
            Request::PairOffer { minutes, share } => Reply::Offer(node.pair_offer(minutes, share)?),
            Request::PairWait { code } => Reply::Paired(node.pair_wait(&code).await?),
            Request::PairAccept { code, address } => {
                Reply::Paired(node.pair_accept(&code, address.as_deref()).await?)
            }
            Request::Nearby => Reply::Nearby(node.nearby().await?),
            Request::PeerList => Reply::Peers(node.peer_list().await?),
            Request::PeerAdd { fingerprint, address, name } => {
                Reply::Paired(node.peer_add(&fingerprint, &address, name.as_deref()).await?)
            }
            Request::PeerRename { peer, name } => done(node.peer_rename(&peer, &name).await)?,
            Request::PeerVia { peer, middle } => done(node.peer_via(&peer, middle.as_deref()).await)?,
            Request::PeerRemove { peer } => done(node.peer_remove(&peer).await)?,
            Request::PeerPing { peer } => Reply::Ping(node.peer_ping(&peer).await?),
            Request::Share { path, name, kind, settings, paused } => {
                Reply::Relationship(node.share(&path, &name, &kind, &settings, begin(paused)).await?)
            }
            Request::JoinPreview(join) => Reply::Preview(node.join_preview(&join).await?),
            Request::Join(join) => Reply::Relationship(node.join(&join).await?),
            Request::RelAdd { name, kind, path, target, settings, paused } => {
                let pause = begin(paused);
                Reply::Relationship(node.rel_add(&name, &kind, &path, &target, &settings, pause).await?)
            }
            Request::HostAdd(add) => Reply::Relationship(node.host_add(&add).await?),
            Request::HostUnlock { passphrase } => {
                node.host_unlock(&passphrase);
                Reply::Done
            }
            Request::RelList => Reply::Relationships(node.rel_list().await?),
            Request::RelShow { relationship } => Reply::Relationship(node.rel_show(&relationship).await?),
            Request::RelEdit { relationship, settings } => {
                Reply::Relationship(node.rel_edit(&relationship, &settings).await?)
            }
            Request::RelAccess { relationship, member, access } => {
                let change = member.as_deref().zip(access.as_deref());
                Reply::Relationship(node.rel_access(&relationship, change).await?)
            }
            Request::RelPause { relationship } => done(node.rel_pause(&relationship, true).await)?,
            Request::RelResume { relationship } => done(node.rel_pause(&relationship, false).await)?,
            Request::RelRemove { relationship } => done(node.rel_remove(&relationship).await)?,
            Request::Status { relationship } => Reply::Status(node.status(relationship.as_deref()).await?),
            Request::Sync { relationship, dry_run, wait, timeout_seconds } => Reply::Synced(Box::new(
                node.sync(&relationship, dry_run, wait, timeout_seconds, events).await?,
            )),
            Request::Push { relationship, paths, force, dry_run } => {
                let request = TransferRequest { direction: Direction::Push, paths, force, dry_run };
                Reply::Transfer(Box::new(node.transfer(&relationship, request, events).await?))
            }
            Request::Pull { relationship, paths, dry_run } => {
                let request = TransferRequest { direction: Direction::Pull, paths, force: false, dry_run };
                Reply::Transfer(Box::new(node.transfer(&relationship, request, events).await?))
            }
            Request::Track { relationship, paths, tracked, missing } => {
                Reply::Tracked(node.track(&relationship, &paths, tracked, missing).await?)
            }
            Request::Apply { plan } => Reply::Synced(Box::new(node.apply_plan(&plan, events).await?)),
            Request::Check { relationship, deep } => Reply::Check(node.check(&relationship, deep).await?),
            Request::Survey { relationship, wish } => Reply::Survey(node.survey(&relationship, &wish).await?),
            Request::LedgerList { relationship, all } => {
                Reply::Ledger(node.ledger_list(&relationship, all).await?)
            }
            Request::LedgerMark { relationship, paths } => {
                Reply::Counted(node.ledger_mark(&relationship, &paths).await?)
            }
            Request::LedgerForget { relationship, which } => {
                Reply::Counted(node.ledger_forget(&relationship, &which).await?)
            }
            Request::LedgerRetry { relationship, which } => {
                Reply::Counted(node.ledger_retry(&relationship, &which).await?)
            }
            Request::Why { relationship, path } => Reply::Why(node.why(&relationship, &path).await?),
            Request::Conflicts { relationship } => {
                Reply::Conflicts(node.conflicts(relationship.as_deref()).await?)
            }
            Request::Resolve { id, keep } => done(node.resolve(&id, &keep).await)?,
            Request::ResolveMerged { id, text } => done(node.resolve_merged(&id, text).await)?,
            Request::History(query) => Reply::History(node.history(&query).await?),
            Request::Versions { relationship, path } => {
                Reply::Versions(node.versions(&relationship, &path).await?)
            }
            Request::Restore { relationship, path, at, version, to } => {
                let to = to.as_ref();
                let restored =
                    node.restore(&relationship, &path, at.as_deref(), version.as_deref(), to).await?;
                Reply::Restored(restored)
            }
            Request::Heal { relationship, path, from } => {
                Reply::Restored(node.heal(&relationship, &path, &from).await?)
            }
            Request::Content { relationship, path, version, max_bytes } => {
                Reply::Content(node.content(&relationship, &path, version, max_bytes).await?)
            }
            Request::Folder { path, patterns } => Reply::Folder(crate::folder::count(&path, patterns).await?),
            Request::Doctor => Reply::Doctor(node.doctor().await?),
            Request::Gc => Reply::Gc(node.gc().await?),
            Request::PeerShares { peer } => Reply::PeerShares(node.peer_shares(&peer).await?),
            Request::RelPreview { name: _, kind, path, target, settings } => {
                Reply::Preview(node.rel_preview(&kind, &path, &target, &settings).await?)
            }
            Request::PauseAll { until } => done(node.pause_all(until.as_deref()).await)?,
            Request::ResumeAll => done(node.resume_all().await)?,
            Request::Transfers { relationship } => Reply::Transfers(node.transfers(&relationship).await?),
            Request::DriftLevel { relationship, under } => {
                Reply::DriftLevel(node.drift_level(&relationship, under.as_ref()).await?)
            }
            Request::DriftHistory { relationship, days } => {
                Reply::DriftHistory(node.drift_history(&relationship, days).await?)
            }
            Request::CheckItems(query) => Reply::CheckItems(node.check_items(query).await?),
            Request::Changes { relationship, which, offset, limit } => {
                Reply::Changes(node.pending_changes(&relationship, which, offset, limit).await?)
            }
            Request::Log { lines } => Reply::Log(node.log(lines).await?),
            Request::ConfigShow => Reply::Config(node.config_show()?),
            Request::ConfigSet { key, value } => Reply::Config(node.config_set(&key, &value).await?),
            Request::Subscribe => {
                forward(node, &events).await;
                Reply::Done
            }
            Request::Shutdown => {
                node.ask_to_end();
                Reply::Done
            }
        })
    }
}

fn done(result: Result<(), ApiError>) -> Result<Reply, ApiError> {
    result.map(|()| Reply::Done)
}

/// Passes events on until the listener goes away. What a slow listener misses is lost: events are nudges.
async fn forward(node: &Arc<Node>, events: &mpsc::Sender<Event>) {
    let mut source = node.listen();
    loop {
        tokio::select! {
            event = source.recv() => match event {
                Ok(event) => {
                    if events.send(event).await.is_err() {
                        return;
                    }
                }
                Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                Err(tokio::sync::broadcast::error::RecvError::Closed) => return,
            },
            () = events.closed() => return,
        }
    }
}
