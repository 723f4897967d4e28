//! `evenfold share`: offer a folder as the hub of a new relationship.

use evenfold_node::api::{ApiError, Request};
use evenfold_node::settings::{Kind, Settings};

use super::pair;
use crate::args::ShareArgs;
use crate::context::{Context, Network};
use crate::engine::ask;
use crate::exit::Exit;
use crate::out::{Line, Style, note};
use crate::{paths, words};

/// How long the code is valid that a share prints: enough to walk to the other machine.
const MINUTES: u32 = 60;

pub(crate) async fn run(context: &mut Context, arguments: ShareArgs) -> Result<Exit, ApiError> {
    let settings = paths::expand(&arguments.set.set)?;
    // What the node would refuse is told before one is even opened.
    let kind: Kind = arguments.kind.parse()?;
    Settings::parse(kind, &settings)?;
    let request = Request::Share {
        path: paths::folder(&arguments.path)?,
        name: arguments.name.clone(),
        kind: arguments.kind,
        settings,
    };
    let mut engine = context.engine(Network::DialOnly).await?;
    let shared = ask!(engine, request, Relationship)?;
    if context.out.is_json() {
        context.out.document(&shared)?;
        return Ok(Exit::Done);
    }
    note(
        Line::styled(Style::Good, "Shared ")
            .then(Style::Plain, format!("{} as ", shared.path.path))
            .then(Style::Strong, &shared.name)
            .then(Style::Plain, format!(" ({}).", words::kind(&shared.kind))),
    );
    if !context.out.is_terminal() || !context.can_ask() {
        return Ok(Exit::Done);
    }
    if !engine.is_daemon() {
        note("No daemon runs on this home. Start `evenfold daemon`, so that others can join.");
        return Ok(Exit::Done);
    }
    let offer =
        ask!(engine, Request::PairOffer { minutes: MINUTES, share: Some(shared.name.clone()) }, Offer)?;
    let command = format!("evenfold join {} {} PATH", offer.code, pair::best_address(&offer));
    pair::show_offer(context, &offer, &command)?;
    note(format!("A node that is already paired joins with:  evenfold join THIS-NODE:{} PATH", shared.name));
    Ok(Exit::Done)
}
