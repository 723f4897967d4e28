//! `evenfold node show`.

use evenfold_node::api::{ApiError, Request};

use crate::context::{Context, Network};
use crate::engine::ask;
use crate::exit::Exit;
use crate::out::{Line, Style, table};

pub(crate) async fn show(context: &mut Context) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::DialOnly).await?;
    let node = ask!(engine, Request::NodeShow, Node)?;
    if context.out.is_json() {
        context.out.document(&node)?;
        return Ok(Exit::Done);
    }
    let addresses = match (engine.is_daemon(), node.addresses.is_empty()) {
        (false, _) => "none: no daemon runs on this home".to_owned(),
        (true, true) => "none".to_owned(),
        (true, false) => node.addresses.join(", "),
    };
    let rows = [
        ("name", node.name),
        ("fingerprint", node.fingerprint),
        ("addresses", addresses),
        ("home", node.home),
        ("version", node.version),
    ];
    let rows: Vec<Vec<Line>> =
        rows.into_iter().map(|(key, value)| vec![Line::styled(Style::Faint, key), value.into()]).collect();
    context.out.lines(table(&rows))?;
    Ok(Exit::Done)
}
