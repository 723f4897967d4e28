//! `evenfold join`: show what would happen, ask, and begin.

use std::path::{Path, PathBuf};

use evenfold_node::api::{ApiError, ErrorCode, Join, PlanInfo, RelationshipInfo, Request};
use evenfold_node::settings::check_endpoint_keys;

use super::{pair, sync};
use crate::args::JoinArgs;
use crate::context::{Context, Network};
use crate::engine::{Engine, ask};
use crate::exit::Exit;
use crate::out::{Line, Style, note};
use crate::{paths, words};

/// What the first words of `join` mean.
#[derive(Debug, PartialEq, Eq)]
enum What {
    /// A share of a node that is already paired.
    Share { peer: String, share: String },
    /// A one-time code, and where the node listens that printed it; searched for on the local network if absent.
    Code { code: String, address: Option<String> },
}

pub(crate) async fn run(context: &mut Context, arguments: JoinArgs) -> Result<Exit, ApiError> {
    let (what, path) = understand(&arguments.what, &arguments.rest)?;
    let settings = paths::expand(&arguments.set.set)?;
    check_endpoint_keys(&settings)?;
    let path = paths::folder(&path)?;
    let answered = arguments.yes || arguments.dry_run || context.can_ask();
    let mut engine = context.engine(Network::DialOnly).await?;
    let (peer, share) = match what {
        What::Share { peer, share } => (peer, share),
        What::Code { .. } if !answered => return Err(unanswered("nothing was done")),
        What::Code { code, address } => {
            let paired = pair::accept(context, &mut engine, code, address, arguments.yes).await?;
            let share = match paired.share {
                Some(share) => share,
                None => only_share(&mut engine, &paired.name).await?,
            };
            (paired.name, share)
        }
    };
    let join = Join {
        peer: Some(peer),
        share: Some(share),
        path,
        role: arguments.role,
        settings,
        paused: arguments.paused,
    };
    let preview = ask!(engine, Request::JoinPreview(join.clone()), Preview)?;
    if arguments.dry_run {
        if context.out.is_json() {
            context.out.document(&preview)?
        } else {
            context.out.lines(words::plan(&preview))?
        }
        return Ok(Exit::Done);
    }
    let Some(joined) = approve_and_join(context, &mut engine, join, &preview, arguments.yes).await? else {
        return Ok(Exit::Error);
    };
    if arguments.wait {
        return sync::wait_for(context, &mut engine, joined.id, None).await;
    }
    if context.out.is_json() {
        context.out.document(&joined)?;
    }
    if !engine.is_daemon() {
        note("No daemon runs on this home: start `evenfold daemon`, or sync with `evenfold sync --wait`.");
    }
    Ok(Exit::Done)
}

/// Returns what a peer shares, if that is one thing: a code of `evenfold pair offer` names none.
async fn only_share(engine: &mut Engine, peer: &str) -> Result<String, ApiError> {
    let shares = ask!(engine, Request::PeerShares { peer: peer.to_owned() }, PeerShares)?;
    let mut open: Vec<String> =
        shares.into_iter().filter(|share| !share.joined).map(|share| share.name).collect();
    match (open.pop(), open.is_empty()) {
        (Some(share), true) => Ok(share),
        (None, _) => {
            let message = format!("this node and {peer} are paired now, but {peer} shares nothing to join");
            let hint = "Share a folder there: `evenfold share PATH --name NAME`.";
            Err(ApiError::new(ErrorCode::NotFound, message).with_hint(hint))
        }
        (Some(last), false) => {
            open.push(last);
            let message = format!("this node and {peer} are paired now; {peer} shares {}", open.join(", "));
            let hint = format!("Say which: `evenfold join {peer}:NAME PATH`.");
            Err(ApiError::new(ErrorCode::Usage, message).with_hint(hint))
        }
    }
}

/// Shows the preview, asks unless `yes`, and joins. Returns `None` if the user does not want to.
pub(crate) async fn approve_and_join(
    context: &Context,
    engine: &mut Engine,
    join: Join,
    preview: &PlanInfo,
    yes: bool,
) -> Result<Option<RelationshipInfo>, ApiError> {
    words::plan(preview).into_iter().for_each(note);
    if !yes {
        if !context.can_ask() {
            return Err(unanswered("nothing was written"));
        }
        if !context.confirm("Begin?").await? {
            note("Nothing was written.");
            return Ok(None);
        }
    }
    let joined = ask!(engine, Request::Join(join), Relationship)?;
    let begun = format!(" at {} ({}).", joined.path.path, words::kind(&joined.kind));
    note(Line::styled(Style::Good, "Joined ").then(Style::Strong, &joined.name).then(Style::Plain, begun));
    tell_paused(&joined);
    Ok(Some(joined))
}

/// Says of a relationship that begins paused how it goes on.
pub(super) fn tell_paused(one: &RelationshipInfo) {
    if one.paused {
        note(format!("It is paused; nothing travels before `evenfold rel resume {}`.", one.name));
    }
}

fn unanswered(effect: &str) -> ApiError {
    let message = format!("joining asks before it begins, and nobody is here to answer; {effect}");
    ApiError::new(ErrorCode::Usage, message).with_hint("Give --yes to begin, or --dry-run to only look.")
}

/// Tells `PEER:NAME PATH` from `CODE ADDR:PORT PATH`.
fn understand(what: &str, rest: &[PathBuf]) -> Result<(What, PathBuf), ApiError> {
    let wrong = |message: String, hint: &str| Err(ApiError::new(ErrorCode::Usage, message).with_hint(hint));
    match (what.split_once(':'), rest) {
        (Some((peer, share)), [path]) if !peer.is_empty() && !share.is_empty() => {
            Ok((What::Share { peer: peer.to_owned(), share: share.to_owned() }, path.clone()))
        }
        (Some(_), [_]) => wrong(
            format!("{what:?} names no share"),
            "Write the node's name, a colon, and the name of the share.",
        ),
        (Some(_), _) => wrong(
            format!("after {what} comes the local folder only"),
            "With a code it is: evenfold join CODE [ADDR:PORT] PATH",
        ),
        (None, [path]) if what.contains('-') => {
            Ok((What::Code { code: what.to_owned(), address: None }, path.clone()))
        }
        (None, [address, path]) => match address.to_str().filter(|address| has_port(address)) {
            Some(address) => {
                Ok((What::Code { code: what.to_owned(), address: Some(address.to_owned()) }, path.clone()))
            }
            None => wrong(
                format!("{} is no address with a port", address.display()),
                "The other machine prints code and addresses: evenfold join CODE ADDR:PORT PATH",
            ),
        },
        (None, _) => wrong(
            format!("{what:?} is a code, or the name of a node without that of a share"),
            "Write PEER:NAME PATH, or CODE ADDR:PORT PATH as the other machine printed it.",
        ),
    }
}

fn has_port(address: &str) -> bool {
    if let Some(middle) = address.strip_prefix("via:") {
        return !middle.is_empty();
    }
    !Path::new(address).is_absolute()
        && address
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &[&str], expected: Option<(What, &str)>) {
        let (what, rest) = words.split_first().unwrap();
        let rest: Vec<PathBuf> = rest.iter().map(PathBuf::from).collect();
        let understood = understand(what, &rest).ok();
        assert_eq!(understood, expected.map(|(what, path)| (what, PathBuf::from(path))), "{words:?}");
    }

    #[test]
    fn peers_and_codes_are_told_apart() {
        let share = |peer: &str, share: &str| What::Share { peer: peer.into(), share: share.into() };
        let code = |code: &str, address: &str| What::Code {
            code: code.into(),
            address: (!address.is_empty()).then(|| address.into()),
        };
        check(&["nas:photos", "/p"], Some((share("nas", "photos"), "/p")));
        check(&["7K4M-2QXD", "10.0.0.1:22722", "p"], Some((code("7K4M-2QXD", "10.0.0.1:22722"), "p")));
        check(&["7K4M-2QXD", "[::1]:22722", "p"], Some((code("7K4M-2QXD", "[::1]:22722"), "p")));
        check(&["7K4M-2QXD", "nas.local:22722", "p"], Some((code("7K4M-2QXD", "nas.local:22722"), "p")));
        check(&["7K4M-2QXD", "via:hub", "p"], Some((code("7K4M-2QXD", "via:hub"), "p")));
        check(&["7K4M-2QXD", "via:", "p"], None);
        check(&["7K4M-2QXD", "p"], Some((code("7K4M-2QXD", ""), "p")));
        check(&["nas", "p"], None);
        check(&["7K4M-2QXD", "nas", "p"], None);
        check(&["7K4M-2QXD", "/a:1", "p"], None);
        check(&["nas:", "p"], None);
        check(&["nas:photos", "10.0.0.1:22722", "p"], None);
    }
}
