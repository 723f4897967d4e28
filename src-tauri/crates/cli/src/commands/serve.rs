//! `evenfold serve --stdio`: what another machine starts here over SSH.

use std::io::{self, IsTerminal as _};

use evenfold_node::api::{ApiError, ErrorCode};
use evenfold_node::served::{self, ServeOptions};

use crate::args::ServeArgs;
use crate::context::Context;
use crate::exit::Exit;
use crate::paths;

pub(crate) async fn run(context: &Context, arguments: ServeArgs) -> Result<Exit, ApiError> {
    if io::stdin().is_terminal() || io::stdout().is_terminal() {
        let message = "this command speaks with Evenfold on another machine, not with a person";
        let hint = "You need not run it: `evenfold rel add NAME PATH ssh://this-host/folder` on the other machine does.";
        return Err(ApiError::new(ErrorCode::Usage, message).with_hint(hint));
    }
    let root = arguments.root.as_deref().map(paths::absolute).transpose()?;
    let options = ServeOptions { root, read_only: arguments.read_only };
    served::serve(&context.home, tokio::io::stdin(), tokio::io::stdout(), options).await?;
    Ok(Exit::Done)
}
