//! The scenes of the README's recording: each a picture, how long it is shown, and what it says.
//! demo/recording.py makes one animated picture of them.

use crate::demo::Demo;
use crate::driver::Browser;
use crate::{log_in, send, share_is, switch, version_1, version_2};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tokio::process::Command;

/// CSS pixels.
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 900;

/// The filter's own counters are read, and say the same.
const COUNTED: &str = "document.querySelector('#filter').className === 'same'";

pub(crate) async fn take(demo: &Demo, browser: &Browser, folder: &Path) -> Result<()> {
    let mut film = Film { folder: folder.into(), scenes: Vec::new() };
    std::fs::create_dir_all(folder)?;

    terminal(browser, &[("make demo", demo.said.join("\n"))]).await?;
    film.keep(browser, 4.0, "One command: a weather app on a mesh of real Envoys").await?;

    browser.goto(&demo.page).await?;
    version_1(browser).await?;
    film.keep(browser, 3.5, "Everybody sees version 1: a green button").await?;
    log_in(browser, "tester").await?;
    version_2(browser).await?;
    film.keep(
        browser,
        4.5,
        "The tester: a blue button of one service, a recommendation of another",
    )
    .await?;
    browser.follow("#logout").await?;

    let everybody = curl(&demo.page, &["-H", "Accept: application/json"]).await?;
    let tester = ["-H", "Accept: application/json", "-H", "Cookie: user=tester"];
    let tester = curl(&demo.page, &tester).await?;
    terminal(browser, &[everybody, tester]).await?;
    film.keep(browser, 5.0, "The cookie is read once, at the edge; every call behind follows")
        .await?;

    browser.goto(&demo.graph).await?;
    browser.until("document.querySelector('#page').href !== ''").await?;
    switch(browser, "filter", "off").await?;
    send(browser).await?;
    film.keep(browser, 4.5, "The same routes without the filter: calls cross, the tester is lost")
        .await?;
    switch(browser, "filter", "on").await?;
    send(browser).await?;
    browser.until(COUNTED).await?;
    film.keep(browser, 4.0, "With it: none, whatever a client sends").await?;
    browser.click("#share").await?;
    share_is(browser, 50).await?;
    browser.until(COUNTED).await?;
    film.keep(browser, 4.5, "Half of all visitors: both services together, and a guard watches")
        .await?;
    film.finish()
}

struct Film {
    folder: PathBuf,
    scenes: Vec<Value>,
}

impl Film {
    async fn keep(&mut self, browser: &Browser, seconds: f64, says: &str) -> Result<()> {
        let file = format!("{}.png", self.scenes.len());
        std::fs::write(self.folder.join(&file), browser.window(WIDTH, HEIGHT).await?)?;
        self.scenes.push(json!({"file": file, "seconds": seconds, "says": says}));
        Ok(())
    }

    fn finish(self) -> Result<()> {
        let scenes = serde_json::to_vec_pretty(&self.scenes)?;
        Ok(std::fs::write(self.folder.join("scenes.json"), scenes)?)
    }
}

/// The command as one types it, and what it prints.
async fn curl(url: &str, options: &[&str]) -> Result<(String, String)> {
    let done = Command::new("curl").arg("-s").args(options).arg(url).output().await;
    let done = done.context("curl")?;
    ensure!(done.status.success(), "curl {url}: {}", done.status);
    let words = options.iter().map(|word| match word.contains(' ') {
        true => format!("'{word}'"),
        false => (*word).to_owned(),
    });
    let typed = format!("curl -s {} {url}", words.collect::<Vec<_>>().join(" "));
    Ok((typed, String::from_utf8(done.stdout)?))
}

/// A page that looks like a terminal, with commands and what they print.
async fn terminal(browser: &Browser, commands: &[(impl AsRef<str>, String)]) -> Result<()> {
    let lines = commands.iter().map(|(typed, prints)| json!([typed.as_ref(), prints]));
    let lines: Value = lines.collect();
    browser.goto("data:text/html,<title>terminal</title><body>").await?;
    let drawn = format!(
        "(() => {{
            document.body.style = 'margin: 0; background: #172033; color: #e2e8f0; padding: 36px; font: 21px/1.5 monospace; white-space: pre-wrap; overflow-wrap: anywhere';
            for (const [typed, prints] of {lines}) {{
                const command = document.createElement('b');
                command.textContent = '$ ' + typed + '\\n';
                document.body.append(command, prints.trimEnd() + '\\n\\n');
            }}
            return true;
        }})()"
    );
    browser.value::<bool>(&drawn).await?;
    Ok(())
}
