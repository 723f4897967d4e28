//! `evenfold share`: offer a folder as the hub of a new relationship.

use evenfold_node::api::{ApiError, Offer, RelationshipInfo, Request, Setting};
use evenfold_node::settings::{Kind, Settings};

use super::join::tell_paused;
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
    tell_without_effect(&Settings::parse(kind, &settings)?, &settings);
    let request = Request::Share {
        path: paths::folder(&arguments.path)?,
        name: arguments.name.clone(),
        kind: arguments.kind,
        settings,
        paused: arguments.paused,
    };
    let at_terminal = context.out.is_terminal() && context.can_ask();
    let codes = match arguments.codes {
        Some(codes) => codes,
        None if !at_terminal => 0,
        // One for a source, one for a destination.
        None if kind == Kind::Relay => 2,
        None => 1,
    };
    let mut engine = context.engine(Network::DialOnly).await?;
    let shared = ask!(engine, request, Relationship)?;
    if !context.out.is_json() {
        note(
            Line::styled(Style::Good, "Shared ")
                .then(Style::Plain, format!("{} as ", shared.path.path))
                .then(Style::Strong, &shared.name)
                .then(Style::Plain, format!(" ({}).", words::kind(&shared.kind))),
        );
        tell_paused(&shared);
    }
    let mut offers = Vec::new();
    if codes > 0 && !engine.is_daemon() {
        note("No daemon runs on this home. Start `evenfold daemon`, so that others can join.");
    } else {
        for _ in 0..codes {
            let offer = Request::PairOffer { minutes: MINUTES, share: Some(shared.name.clone()) };
            offers.push(ask!(engine, offer, Offer)?);
        }
    }
    if context.out.is_json() {
        context.out.document(&Shared { relationship: &shared, offers: &offers })?;
        return Ok(Exit::Done);
    }
    for (nth, offer) in offers.iter().enumerate() {
        let role = match (kind, nth) {
            (Kind::Relay, 0) => " --role source",
            (Kind::Relay, _) => " --role destination",
            _ => "",
        };
        let command = format!("evenfold join {} {} PATH{role}", offer.code, pair::best_address(offer));
        pair::show_offer(context, offer, &command)?;
    }
    if !offers.is_empty() {
        note(format!(
            "A node that is already paired joins with:  evenfold join THIS-NODE:{} PATH",
            shared.name
        ));
    }
    Ok(Exit::Done)
}

/// What was shared, with the codes for those who are to join.
#[derive(serde::Serialize)]
struct Shared<'a> {
    #[serde(flatten)]
    relationship: &'a RelationshipInfo,
    #[serde(skip_serializing_if = "<[Offer]>::is_empty")]
    offers: &'a [Offer],
}

/// Tells which of the given settings have no effect with these.
pub(super) fn tell_without_effect(settings: &Settings, given: &[Setting]) {
    for (key, why) in settings.without_effect_among(given) {
        note(format!("note: {} has no effect in this relationship: {why}", key.name()));
    }
}
