//! `evenfold status`: one line for each relationship, its endpoints, and what needs a person.

use std::time::Duration;

use evenfold_node::api::{ApiError, EndpointStatus, RelationshipStatus, Request, Status};
use evenfold_node::text::{human_count, human_duration, human_size, now};
use jiff::Timestamp;

use super::watch::{Changes, clear};
use crate::args::StatusArgs;
use crate::context::{Context, Network};
use crate::engine::{Engine, ask};
use crate::exit::Exit;
use crate::out::{Line, Style, note, table};
use crate::words;

pub(crate) async fn run(context: &mut Context, arguments: StatusArgs) -> Result<Exit, ApiError> {
    let request = || Request::Status { relationship: arguments.relationship.clone() };
    if !arguments.watch {
        let mut engine = context.engine(Network::DialOnly).await?;
        let status = ask!(engine, request(), Status)?;
        show(context, &status)?;
        return Ok(Exit::Done);
    }
    let mut changes = Changes::subscribe(context).await?;
    let mut engine = Engine::Daemon(context.daemon("watching needs somebody who watches").await?);
    let mut last = String::new();
    while !context.out.is_closed() {
        let status = ask!(engine, request(), Status)?;
        // On a terminal ages go on; elsewhere only what has changed is told.
        let told = format!("{:?}", status.relationships);
        if context.out.is_terminal() || told != last {
            clear(context)?;
            show(context, &status)?;
            last = told;
        }
        changes.next().await?;
    }
    Ok(Exit::Done)
}

fn show(context: &mut Context, status: &Status) -> Result<(), ApiError> {
    if context.out.is_json() {
        return context.out.document(status);
    }
    if status.relationships.is_empty() {
        note("No relationships yet. Begin with `evenfold share` or `evenfold join`.");
    }
    context.out.lines(render(status, now()))
}

fn render(status: &Status, now: Timestamp) -> Vec<Line> {
    let heads: Vec<Vec<Line>> =
        status.relationships.iter().map(|one| head(one, &status.node.name, now)).collect();
    let mut lines = Vec::new();
    for (head, one) in table(&heads).into_iter().zip(&status.relationships) {
        lines.push(head);
        lines.extend(details(one, now));
    }
    lines
}

/// Returns the sign and words of a state. The words say it all; the sign and colour only help to find it.
fn state(one: &RelationshipStatus) -> Line {
    let (style, sign, words) = match one.state.as_str() {
        "in-sync" => (Style::Good, "✓", "in sync".to_owned()),
        "syncing" => (Style::Plain, "⟳", "syncing".to_owned()),
        "scanning" => (Style::Plain, "⟳", "scanning".to_owned()),
        "differs" => (Style::Attention, "≠", "differs".to_owned()),
        "conflicts" => (Style::Attention, "▲", words::counted(one.conflicts, "conflict", "conflicts")),
        "held" => (Style::Attention, "▲", "held".to_owned()),
        "unknown" => (Style::Attention, "?", "unknown".to_owned()),
        "paused" => (Style::Faint, "‖", "paused".to_owned()),
        "waiting" => (Style::Plain, "…", "waiting".to_owned()),
        other => (Style::Attention, "?", other.to_owned()),
    };
    Line::styled(style, format!("{sign} {words}"))
}

fn head(one: &RelationshipStatus, own: &str, now: Timestamp) -> Vec<Line> {
    let machines: Vec<&str> = one.endpoints.iter().map(|endpoint| endpoint.node.as_str()).collect();
    let machines = match machines.is_empty() {
        true => own.to_owned(),
        false => machines.join(&format!(" {} ", words::sign(&one.kind))),
    };
    let differs = match &one.drift {
        None => "differs: not known".to_owned(),
        Some(drift) if drift.files == 0 => "nothing differs".to_owned(),
        Some(drift) => {
            let age =
                drift.oldest_seconds.map(|age| format!(", {} old", human_duration(Duration::from_secs(age))));
            format!(
                "{} differ, {}{}",
                human_count(drift.files),
                human_size(drift.bytes),
                age.unwrap_or_default()
            )
        }
    };
    let verified = match (&one.unknown_since, &one.verified_at) {
        (Some(since), _) => format!("unknown since {}", words::moment(since, now)),
        (None, Some(time)) => format!("verified {}", words::moment(time, now)),
        (None, None) => "never verified".to_owned(),
    };
    vec![
        state(one),
        Line::styled(Style::Strong, &one.name),
        machines.into(),
        differs.into(),
        Line::styled(Style::Faint, verified),
    ]
}

fn details(one: &RelationshipStatus, now: Timestamp) -> Vec<Line> {
    let endpoints: Vec<Vec<Line>> =
        one.endpoints.iter().map(|endpoint| endpoint_row(endpoint, now)).collect();
    let mut lines = table(&endpoints);
    if let Some(progress) = &one.progress {
        lines.push(Line::plain(format!("    {}", words::progress(progress))));
    }
    if let Some(waiting) = one.waiting.as_ref().filter(|waiting| waiting.files > 0) {
        let text = words::counted(waiting.files, "change waits here", "changes wait here");
        lines.push(Line::plain(format!("    {text}, {}", human_size(waiting.bytes))));
    }
    let mut needs = |text: String, next: &str| {
        lines.push(Line::styled(Style::Attention, format!("    {text}")));
        lines.push(Line::plain(format!("      {next}")));
    };
    if let Some(halt) = &one.halt {
        needs(format!("Held: {}", halt.message), &halt.hint);
        if let Some(plan) = halt.plan.as_ref().filter(|plan| !halt.hint.contains(*plan)) {
            needs("Once you have looked, it can be approved:".to_owned(), &format!("evenfold apply {plan}"));
        }
    }
    if one.conflicts > 0 {
        let text =
            format!("{} for a decision.", words::counted(one.conflicts, "conflict waits", "conflicts wait"));
        needs(text, &format!("evenfold conflicts {}", one.name));
    }
    if let Some(deliveries) = one.deliveries.as_ref().filter(|deliveries| !deliveries.is_empty()) {
        let counts: Vec<String> =
            deliveries.iter().map(|(state, count)| format!("{count} {state}")).collect();
        lines.push(Line::plain(format!("    {}", counts.join(", "))));
    }
    let mut needs = |text: String, next: &str| {
        lines.push(Line::styled(Style::Attention, format!("    {text}")));
        lines.push(Line::plain(format!("      {next}")));
    };
    if one.problems > 0 && one.deliveries.is_some() {
        let text = words::counted(one.problems, "item waits or failed", "items wait or failed");
        needs(text, &format!("evenfold ledger list {}", one.name));
    } else if one.problems > 0 {
        let text = format!("{} not become equal.", words::counted(one.problems, "path can", "paths can"));
        needs(text, &format!("evenfold check {}", one.name));
    }
    if let Some(error) = &one.error {
        let retry = one.retry_at.as_ref().map(|time| format!(" Next attempt {}.", words::moment(time, now)));
        needs(format!("Error: {}", error.message), &format!("{}{}", error.hint, retry.unwrap_or_default()));
    }
    lines
}

fn endpoint_row(endpoint: &EndpointStatus, now: Timestamp) -> Vec<Line> {
    let seen = match (endpoint.online, &endpoint.last_seen) {
        (true, _) => Line::styled(Style::Faint, "online"),
        (false, Some(time)) => {
            Line::styled(Style::Attention, format!("offline, last seen {}", words::ago(time, now)))
        }
        (false, None) => Line::styled(Style::Attention, "offline"),
    };
    let role = match endpoint.access.as_deref() {
        Some("read") => format!("{}, may only read", endpoint.role),
        _ => endpoint.role.clone(),
    };
    vec![
        Line::plain(format!("    {}", endpoint.node)),
        Line::styled(Style::Faint, role),
        endpoint.path.as_ref().map_or("", |path| path.path.as_str()).into(),
        match &endpoint.way {
            Some(way) => seen.then(Style::Faint, format!(", {}", words::way(way))),
            None => seen,
        },
    ]
}

#[cfg(test)]
mod tests {
    use evenfold_node::api::{DriftInfo, HaltInfo, NodeInfo, PathText, WayInfo};

    use super::*;

    fn endpoint(node: &str, role: &str, online: bool) -> EndpointStatus {
        EndpointStatus {
            node: node.into(),
            role: role.into(),
            path: Some(PathText { path: format!("/{node}/photos"), path_bytes: None }),
            online,
            last_seen: Some("2026-11-21T11:00:00Z".into()),
            way: None,
            access: None,
        }
    }

    fn example() -> RelationshipStatus {
        RelationshipStatus {
            id: "1".into(),
            name: "photos".into(),
            kind: "two-way".into(),
            role: "spoke".into(),
            state: "in-sync".into(),
            halt: None,
            verified_at: Some("never".into()),
            unknown_since: None,
            endpoints: vec![endpoint("desk", "spoke", true), endpoint("nas", "hub", true)],
            drift: Some(DriftInfo { files: 0, bytes: 0, oldest_seconds: None }),
            waiting: None,
            progress: None,
            conflicts: 0,
            problems: 0,
            error: None,
            retry_at: None,
            paused_until: None,
            deliveries: None,
        }
    }

    fn said(one: RelationshipStatus) -> Vec<String> {
        let node = NodeInfo {
            name: "desk".into(),
            fingerprint: String::new(),
            addresses: Vec::new(),
            home: String::new(),
            version: String::new(),
        };
        let now = "2026-11-21T14:00:00Z".parse().unwrap();
        let lines = render(&Status { node, relationships: vec![one] }, now);
        lines.iter().map(|line| line.render(false)).collect()
    }

    #[test]
    fn relationship_in_sync_is_one_line_and_its_endpoints() {
        assert_eq!(
            said(example()),
            [
                "✓ in sync  photos  desk ⇄ nas  nothing differs  verified never",
                "    desk  spoke  /desk/photos  online",
                "    nas   hub    /nas/photos   online",
            ]
        );
    }

    #[test]
    fn way_to_a_machine_is_told_where_it_is_not_the_usual_one() {
        let mut one = example();
        let note = Some("'evenfold' was not found there".into());
        one.endpoints[1].way = Some(WayInfo { kind: "sftp".into(), note });
        let said = said(one);
        let expected = "    nas   hub    /nas/photos   online, over SFTP ('evenfold' was not found there)";
        assert_eq!(said.last().unwrap(), expected);
    }

    #[test]
    fn machine_that_may_only_read_is_told() {
        let mut one = example();
        one.endpoints[0].access = Some("read".into());
        assert_eq!(said(one)[1], "    desk  spoke, may only read  /desk/photos  online");
    }

    #[test]
    fn silent_peer_is_unknown_and_never_green() {
        let mut one = example();
        one.state = "unknown".into();
        one.drift = None;
        one.unknown_since = Some("then".into());
        one.waiting = Some(DriftInfo { files: 41, bytes: 1_200_000, oldest_seconds: None });
        one.endpoints = vec![endpoint("desk", "spoke", true), endpoint("nas", "hub", false)];
        let said = said(one);
        assert_eq!(
            said.first().unwrap(),
            "? unknown  photos  desk ⇄ nas  differs: not known  unknown since then"
        );
        assert_eq!(
            said[2..],
            ["    nas   hub    /nas/photos   offline, last seen 3 h ago", "    41 changes wait here, 1.2 MB"]
        );
    }

    #[test]
    fn what_needs_a_person_comes_with_the_next_step() {
        let mut one = example();
        one.state = "held".into();
        one.drift = Some(DriftInfo { files: 812, bytes: 1_200_000_000, oldest_seconds: Some(1_641_600) });
        one.conflicts = 2;
        one.halt = Some(HaltInfo {
            code: "too-many-deletions".into(),
            message: "would delete 812 of 900 items on nas; nothing was deleted".into(),
            hint: "Look at them with `evenfold sync photos --dry-run`.".into(),
            plan: Some("p7".into()),
            machine: None,
            items: None,
            of: None,
        });
        assert_eq!(
            said(one),
            [
                "▲ held  photos  desk ⇄ nas  812 differ, 1.2 GB, 19 d old  verified never",
                "    desk  spoke  /desk/photos  online",
                "    nas   hub    /nas/photos   online",
                "    Held: would delete 812 of 900 items on nas; nothing was deleted",
                "      Look at them with `evenfold sync photos --dry-run`.",
                "    Once you have looked, it can be approved:",
                "      evenfold apply p7",
                "    2 conflicts wait for a decision.",
                "      evenfold conflicts photos",
            ]
        );
    }
}
