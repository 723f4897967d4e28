//! `evenfold pair`: make two nodes know each other.

use evenfold_node::api::{ApiError, ErrorCode, Offer, Paired, Request};
use evenfold_node::text::now;

use crate::args::PairCommand;
use crate::context::{Context, Network};
use crate::engine::{Engine, ask};
use crate::exit::Exit;
use crate::out::{Line, Style, note};
use crate::words;

pub(crate) async fn run(context: &mut Context, command: PairCommand) -> Result<Exit, ApiError> {
    match command {
        PairCommand::Offer { minutes, no_wait } => offer(context, minutes, no_wait).await,
        PairCommand::Accept { code, address, yes } => {
            if !yes && !context.can_ask() {
                let message = "pairing asks whether both sides show the same check, and nobody is here to answer; \
                               nothing was done";
                let hint = "Give --yes: the code itself already proves who the other is.";
                return Err(ApiError::new(ErrorCode::Usage, message).with_hint(hint));
            }
            let mut engine = context.engine(Network::DialOnly).await?;
            let paired = accept(context, &mut engine, code, address, yes).await?;
            if context.out.is_json() {
                context.out.document(&paired)?;
            }
            Ok(Exit::Done)
        }
    }
}

async fn offer(context: &mut Context, minutes: u32, no_wait: bool) -> Result<Exit, ApiError> {
    let mut engine = if no_wait {
        Engine::Daemon(context.daemon("an offer that outlives this command is kept by the daemon").await?)
    } else {
        context.engine(Network::Needed).await?
    };
    let offer = ask!(engine, Request::PairOffer { minutes, share: None }, Offer)?;
    if context.out.is_json() {
        context.out.document(&offer)?;
    } else {
        let command = format!("evenfold pair accept {} {}", offer.code, best_address(&offer));
        show_offer(context, &offer, &command)?;
    }
    if no_wait {
        return Ok(Exit::Done);
    }
    note(Line::styled(Style::Faint, "Waiting for the other node…"));
    let paired = ask!(engine, Request::PairWait { code: offer.code }, Paired)?;
    tell_paired(&paired);
    Ok(Exit::Done)
}

/// Prints a code, where to use it, and how.
pub(crate) fn show_offer(context: &mut Context, offer: &Offer, command: &str) -> Result<(), ApiError> {
    let addresses = if offer.addresses.is_empty() { "none".to_owned() } else { offer.addresses.join(", ") };
    context.out.line(Line::plain("code       ").then(Style::Strong, &offer.code))?;
    context.out.line(format!("addresses  {addresses}"))?;
    context.out.line(format!("valid until {}, once", words::moment(&offer.expires_at, now())))?;
    note(Line::plain("On the other machine:  ").then(Style::Strong, command));
    Ok(())
}

/// Returns the address that another machine most probably reaches.
pub(crate) fn best_address(offer: &Offer) -> &str {
    let local = |address: &&String| address.starts_with("127.") || address.starts_with("[::1]");
    let elsewhere = offer.addresses.iter().find(|address| !local(address));
    elsewhere.or(offer.addresses.first()).map_or("ADDR:PORT", String::as_str)
}

/// Pairs with the node that offered `code`; asks about the check unless `yes`.
pub(crate) async fn accept(
    context: &Context,
    engine: &mut Engine,
    code: String,
    address: Option<String>,
    yes: bool,
) -> Result<Paired, ApiError> {
    let paired = ask!(engine, Request::PairAccept { code, address }, Paired)?;
    tell_paired(&paired);
    if !yes && !context.confirm(&format!("Does {} show the same check?", paired.name)).await? {
        let removed = engine.ask(Request::PeerRemove { peer: paired.fingerprint.clone() }).await;
        let done =
            if removed.is_ok() { "its key was removed again" } else { "its key could not be removed again" };
        let message = format!("the check was not confirmed: {done} on this node");
        let hint = format!(
            "Remove this node there too, and pair anew; or see `evenfold peer remove {}`.",
            paired.name
        );
        return Err(ApiError::new(ErrorCode::PairingFailed, message).with_hint(hint));
    }
    Ok(paired)
}

fn tell_paired(paired: &Paired) {
    note(
        Line::styled(Style::Good, "Paired with ")
            .then(Style::Strong, &paired.name)
            .then(Style::Plain, format!(" ({}). Both sides show the check ", paired.fingerprint))
            .then(Style::Strong, &paired.check)
            .then(Style::Plain, "."),
    );
}
