//! What other crates measure of themselves by an example: pages of bills, credits, webhooks.

use anyhow::Context as _;

use super::example;
use crate::{
    figures::{Goal, number_before, thousands},
    report::Report,
};

/// Pages of bills, drawn on one core.
pub(crate) fn pages(report: &mut Report) -> anyhow::Result<()> {
    let text = example("gristmill-bills", "pdf_speed", &[])?;
    let line = text.lines().find(|line| line.starts_with("page ")).context("no pages")?;
    let rate = number_before(line, "a second").context("no rate of pages")?;
    let measured = format!("{}/s a core", thousands(rate));
    report.figure("pages of bills", measured, rate, "/s a core", Goal::AtLeast(1_000.0));
    Ok(())
}

/// Credits of messages, on all cores.
pub(crate) fn credits(report: &mut Report) -> anyhow::Result<()> {
    let text = example("gristmill-pipelines", "credits", &[])?;
    let line = text.lines().rfind(|line| line.starts_with("credits,")).context("no credits")?;
    let rate = number_before(line, "million messages/s").context("no rate of credits")?;
    report.figure("credits", format!("{rate:.1} M messages/s"), rate, " M/s", Goal::AtLeast(11.2));
    Ok(())
}

/// Webhooks to endpoints on this machine.
pub(crate) fn webhooks(report: &mut Report) -> anyhow::Result<()> {
    let text = example("gristmill-worker", "webhook_rate", &[])?;
    let rate = number_before(&text, "a second").context("no rate of webhooks")?;
    let measured = format!("{}/s by one worker", thousands(rate));
    report.figure("webhooks delivered", measured, rate, "/s", Goal::AtLeast(8_000.0));
    report.text("Webhooks", text);
    Ok(())
}
