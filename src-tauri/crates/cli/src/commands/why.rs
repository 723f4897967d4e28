//! `evenfold why`: the one reason why a path is, or is not, in sync.

use evenfold_node::api::{ApiError, Request};

use crate::args::WhyArgs;
use crate::context::{Context, Network};
use crate::engine::ask;
use crate::exit::Exit;
use crate::out::{Line, Style};
use crate::paths;

pub(crate) async fn run(context: &mut Context, arguments: WhyArgs) -> Result<Exit, ApiError> {
    let mut engine = context.engine(Network::IfPossible).await?;
    let request = Request::Why { relationship: arguments.relationship, path: paths::below(&arguments.path) };
    let why = ask!(engine, request, Why)?;
    if context.out.is_json() {
        context.out.document(&why)?;
    } else {
        for endpoint in &why.endpoints {
            let (style, sign) =
                if endpoint.in_sync { (Style::Good, "✓") } else { (Style::Attention, "≠") };
            let reason = if endpoint.in_sync { "in sync" } else { endpoint.reason.as_str() };
            let head = Line::styled(style, format!("{sign} ")).then(Style::Strong, &endpoint.node);
            context.out.line(head.then(style, format!("  {reason}")))?;
            for text in [&endpoint.evidence, &endpoint.next].into_iter().filter(|text| !text.is_empty()) {
                context.out.line(format!("    {text}"))?;
            }
        }
    }
    if why.endpoints.iter().all(|endpoint| endpoint.in_sync) {
        Ok(Exit::Done)
    } else if why.endpoints.iter().any(|endpoint| endpoint.reason == "unknown") {
        Ok(Exit::Unknown)
    } else {
        Ok(Exit::Differs)
    }
}
