//! `hangup list`: what there is.

use super::{CLEAN, Common, println_json};
use crate::campaign::exchange;
use crate::engine::Engine;
use crate::incident;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct List {
    /// Print the incident book as a page of Markdown instead
    #[arg(long)]
    book: bool,
}

impl List {
    pub(super) fn execute(self, common: &Common) -> anyhow::Result<u8> {
        if self.book {
            say!("{}", incident::book::page().trim_end());
            return Ok(CLEAN);
        }
        let servers = common.all_servers();
        if common.json {
            println_json(&serde_json::json!({
                "incidents": incident::all().iter().map(|incident| serde_json::json!({
                    "name": incident.name, "title": incident.title, "source": incident.source,
                    "links": incident.story.links, "theme": incident.story.theme,
                    "happened": incident.story.happened, "must_hold": incident.story.must_hold,
                    "verified": incident.story.verified,
                })).collect::<Vec<_>>(),
                "servers": servers.iter().map(|server| serde_json::json!({
                    "name": server.name(), "about": server.about(),
                })).collect::<Vec<_>>(),
                "engines": Engine::ALL.map(Engine::name),
                "exchanges": exchange::ALL.each_ref().map(|exchange| serde_json::json!({
                    "name": exchange.name, "about": exchange.about,
                })),
            }))?;
            return Ok(CLEAN);
        }
        let names = incident::all().iter().map(|incident| incident.name.len());
        let width = names
            .chain(servers.iter().map(|server| server.name().len()))
            .max()
            .unwrap_or(0);
        say!("incidents");
        let mut theme = "";
        for incident in incident::all() {
            if incident.story.theme != theme {
                theme = &incident.story.theme;
                say!("  {}", incident::heading(theme).unwrap_or(theme));
            }
            say!(
                "    {:width$}  {} ({})",
                incident.name,
                incident.title,
                incident.source
            );
        }
        say!("\nservers");
        for server in servers {
            say!("  {:width$}  {}", server.name(), server.about());
        }
        say!("\nengines");
        for engine in Engine::ALL {
            say!("  {:width$}  {}", engine.name(), engine.about());
        }
        say!("\nexchanges");
        for exchange in &exchange::ALL {
            say!("  {:width$}  {}", exchange.name, exchange.about);
        }
        Ok(CLEAN)
    }
}
