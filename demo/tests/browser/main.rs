//! What a person sees: the weather page and the traffic graph, in Chromium. Part of `make test`.
//!
//! Without Chromium this is skipped, which it says; with `CI=true` that is a failure.
//! `SCREENSHOTS=folder` keeps the pictures of the README there (`make screenshots`);
//! `RECORDING=folder` takes the scenes of the README's recording instead (`make recording`).

mod demo;
mod driver;
mod recording;

use anyhow::{Context, Result, ensure};
use demo::Demo;
use driver::{Browser, Driver, Installed, Screen};
use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // `cargo test NAME` runs this only if it is meant.
    if env::args()
        .skip(1)
        .any(|arg| arg == "--list" || !arg.starts_with('-') && !"browser".contains(&arg))
    {
        return ExitCode::SUCCESS;
    }
    let screenshots = env::var_os("SCREENSHOTS").map(PathBuf::from);
    let recording = env::var_os("RECORDING").map(PathBuf::from);
    let installed = match Installed::find() {
        Ok(installed) => installed,
        Err(error) => {
            let must = env::var("CI").is_ok_and(|ci| ci == "true")
                || screenshots.is_some()
                || recording.is_some();
            let verdict = if must { "FAILED" } else { "SKIPPED" };
            eprintln!("browser test {verdict}: {error}; install chromium and chromium-driver");
            return if must { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match run(installed, screenshots, recording).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("browser test FAILED: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(
    installed: Installed,
    screenshots: Option<PathBuf>,
    recording: Option<PathBuf>,
) -> Result<()> {
    let demo = Demo::start().await?;
    let driver = Driver::start(installed).await?;
    let album = Album(screenshots);

    let browser = driver.open(Screen::Desktop).await?;
    if let Some(folder) = recording {
        recording::take(&demo, &browser, &folder).await?;
        browser.close().await?;
        return demo.stop().await;
    }
    page(&demo, &browser, &album).await?;
    preview(&demo, &browser, &album).await?;
    graph(&demo, &browser, &album).await?;
    share(&demo, &browser, &album).await?;
    guard(&demo, &browser, &album).await?;
    browser.close().await?;

    let phone = driver.open(Screen::Phone).await?;
    on_a_phone(&demo, &phone).await?;
    phone.close().await?;
    demo.stop().await
}

/// Says what has been seen to hold.
fn seen(what: &str) {
    println!("browser: {what}");
}

/// The folder for the pictures, if they are wanted.
struct Album(Option<PathBuf>);

impl Album {
    async fn keep(&self, browser: &Browser, name: &str) -> Result<()> {
        match &self.0 {
            Some(folder) => browser.screenshot(&folder.join(name)).await,
            None => Ok(()),
        }
    }
}

// === The weather page ===

async fn page(demo: &Demo, browser: &Browser, album: &Album) -> Result<()> {
    browser.goto(&demo.page).await?;
    version_1(browser).await?;
    album.keep(browser, "page-v1.png").await?;
    reason(browser, "none", "No track: the version for everybody.").await?;
    seen("before login: green button, no recommendation, no track");

    log_in(browser, "tester").await?;
    version_2(browser).await?;
    album.keep(browser, "page-v2.png").await?;
    reason(browser, "match", "Track v2: a rule names your account (match).").await?;
    ensure!(!browser.has("#offer").await?, "a preview link for an account");
    seen("logged in as tester: blue button, recommendation, a rule as the reason");

    browser.follow("#action").await?;
    version_2(browser).await?;
    seen("the blue button leads to version 2 again");

    browser.follow("#logout").await?;
    version_1(browser).await?;
    seen("logged out: green");

    for user in ["alice", "tester2", "xtester"] {
        log_in(browser, user).await?;
        version_1(browser).await?;
        ensure!(browser.text("#user").await? == user, "another user than {user}");
        browser.follow("#logout").await?;
    }
    seen("logged in as others: green");

    let behind = [("session", "4711"), ("theme", "dark"), ("user", "tester")];
    browser.set_cookies(&behind).await?;
    browser.goto(&demo.page).await?;
    version_2(browser).await?;
    browser.set_cookies(&[]).await?;
    seen("tester's cookie behind others: blue");

    only_itself(browser).await?;
    seen("no request to anywhere else");
    Ok(())
}

/// Why the page's own version was chosen, as its script says.
async fn reason(browser: &Browser, reason: &str, words: &str) -> Result<()> {
    browser
        .until(&format!("document.querySelector('#track').dataset.reason === '{reason}'"))
        .await?;
    let line = browser.text("#track").await?;
    ensure!(line == words, "the page says: {line}");
    Ok(())
}

async fn preview(demo: &Demo, browser: &Browser, album: &Album) -> Result<()> {
    const PREVIEW: &str = "Track v2: you opened a preview link (preview).";
    browser.set_cookies(&[]).await?;
    browser.goto(&demo.page).await?;
    version_1(browser).await?;
    browser.follow("#offer a").await?;
    version_2(browser).await?;
    reason(browser, "preview", PREVIEW).await?;
    album.keep(browser, "page-preview.png").await?;
    browser.follow("#action").await?;
    version_2(browser).await?;
    reason(browser, "preview", PREVIEW).await?;
    let offered: bool = browser.value("!document.querySelector('#offer').hidden").await?;
    ensure!(!offered, "a link to the preview that is on already");
    seen("the preview link leads to version 2, and the next page is it too");

    browser.follow("#end a").await?;
    version_1(browser).await?;
    reason(browser, "none", "No track: the version for everybody.").await?;
    browser.goto(&demo.page).await?;
    version_1(browser).await?;
    seen("the preview is ended, and stays so");

    browser.goto(&format!("{}?release-track=v2.4102444800.forged", demo.page)).await?;
    version_1(browser).await?;
    seen("a forged link leads nowhere");
    Ok(())
}

async fn log_in(browser: &Browser, user: &str) -> Result<()> {
    browser.enter("input[name=user]", user).await?;
    browser.follow("#login").await
}

async fn version_1(browser: &Browser) -> Result<()> {
    served_by(browser, "frontend v1, advertisement v1, forecast v1").await?;
    let colour = browser.style("#action", "background-color").await?;
    ensure!(hue(&colour)? == "green", "the button is {colour}");
    ensure!(!browser.has("#recommendation").await?, "a recommendation in version 1");
    Ok(())
}

async fn version_2(browser: &Browser) -> Result<()> {
    served_by(browser, "frontend v2, advertisement v1, forecast v2, recommendation v1").await?;
    let colour = browser.style("#action", "background-color").await?;
    ensure!(hue(&colour)? == "blue", "the button is {colour}");
    ensure!(browser.has("#recommendation").await?, "no recommendation in version 2");
    Ok(())
}

async fn served_by(browser: &Browser, workloads: &str) -> Result<()> {
    let line = browser.text("#served-by").await?;
    ensure!(line == format!("Served by {workloads}"), "the page says: {line}");
    Ok(())
}

/// The strongest part of `rgb(r, g, b)`.
fn hue(colour: &str) -> Result<&'static str> {
    let parts: Vec<f32> = colour
        .split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter(|part| !part.is_empty())
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    ensure!(parts.len() >= 3, "{colour} is no colour");
    let strongest = ["red", "green", "blue"].into_iter().zip(parts);
    let strongest = strongest.max_by(|(_, a), (_, b)| a.total_cmp(b));
    Ok(strongest.map_or("none", |(name, _)| name))
}

/// Whatever the page loaded came from where the page is.
async fn only_itself(browser: &Browser) -> Result<()> {
    let elsewhere: Vec<String> = browser
        .value(
            "performance.getEntriesByType('resource').map((entry) => entry.name)\
             .filter((name) => !name.startsWith(location.origin) && !name.startsWith('data:'))",
        )
        .await?;
    ensure!(elsewhere.is_empty(), "loaded from elsewhere: {elsewhere:?}");
    Ok(())
}

// === The traffic graph ===

async fn graph(demo: &Demo, browser: &Browser, album: &Album) -> Result<()> {
    browser.goto(&demo.graph).await?;
    browser.until("document.querySelector('#page').href !== ''").await?;
    clear(browser).await?;
    send(browser).await?;
    calls(
        browser,
        &[
            ("gateway", "frontend v1", "baseline", 40),
            ("gateway", "frontend v2", "v2", 20),
            ("frontend v1", "advertisement v1", "baseline", 40),
            ("frontend v2", "advertisement v1", "v2", 20),
            ("frontend v1", "forecast v1", "baseline", 40),
            ("frontend v2", "forecast v2", "v2", 20),
            ("forecast v2", "recommendation v1", "v2", 20),
        ],
    )
    .await?;
    crossed(browser, 0).await?;
    lost(browser, 0, "").await?;
    for words in [
        "tester: frontend v2 -> forecast v2 -> recommendation v1\n20 requests",
        "alice: frontend v1 -> forecast v1\n10 requests",
        "logged out: frontend v1 -> forecast v1\n10 requests",
        "mallory: frontend v1 -> forecast v1\n10 requests",
    ] {
        says(browser, words).await?;
    }
    counted(browser, "The filter's counters say the same: 80 calls on a track, 0 crossed.").await?;
    album.keep(browser, "graph.png").await?;
    seen("the graph counts every call, and none crossed");

    switch(browser, "filter", "off").await?;
    send(browser).await?;
    crossed(browser, 10).await?;
    lost(browser, 20, "x-release-track, which nobody writes").await?;
    says(browser, "mallory: frontend v2 -> forecast v1 (crossed)\n10 requests").await?;
    let line =
        "#graph .call[data-from='frontend v2'][data-to='forecast v1'][data-release=crossed] path";
    for (what, property) in [(line, "stroke"), ("#verdict", "background-color")] {
        let colour = browser.style(what, property).await?;
        ensure!(hue(&colour)? == "red", "{what} is {colour}");
    }
    counted(browser, "There is no filter that could count, too.").await?;
    album.keep(browser, "graph-without-filter.png").await?;
    seen("with the filter switched off a crossed call is red");

    switch(browser, "routes", "original").await?;
    send(browser).await?;
    says(browser, "tester: frontend v1 -> forecast v1 (lost)\n10 requests").await?;
    says(browser, "tester: frontend v2 -> forecast v2 -> recommendation v1\n10 requests").await?;
    crossed(browser, 0).await?;
    lost(browser, 10, "misses \"; user=tester\"").await?;
    let colour = browser.style("#verdict", "background-color").await?;
    ensure!(hue(&colour)? == "red", "the verdict is {colour}");
    seen("the original routes lose the tester whose cookie comes behind others");

    switch(browser, "routes", "story").await?;
    switch(browser, "filter", "on").await?;
    switch(browser, "forward", "baggage").await?;
    send(browser).await?;
    crossed(browser, 0).await?;
    says(browser, "tester: frontend v2 -> forecast v2 -> recommendation v1\n20 requests").await?;
    switch(browser, "forward", "request-id").await?;
    seen("switched back, nothing crosses");

    only_itself(browser).await
}

// === The share ===

/// Moves the slider, which sends traffic, too.
async fn share(demo: &Demo, browser: &Browser, album: &Album) -> Result<()> {
    browser.goto(&demo.graph).await?;
    browser.until("document.querySelector('#released').textContent === 'v2'").await?;
    // The middle.
    browser.click("#share").await?;
    share_is(browser, 50).await?;
    let half = on_v2(browser).await?;
    ensure!(20 < half && half < 60, "{half} of 60 on v2, of which 20 are the tester's");
    crossed(browser, 0).await?;
    browser.until("document.querySelector('#filter').className === 'same'").await?;
    album.keep(browser, "graph-share.png").await?;

    const LEFT: &str = "\u{e012}";
    browser.enter("#share", LEFT).await?;
    share_is(browser, 45).await?;
    let less = on_v2(browser).await?;
    ensure!(20 <= less && less <= half, "{less} on v2 with 45 percent, {half} with 50");
    crossed(browser, 0).await?;
    seen("the graph follows the share, and nothing crosses");

    const END: &str = "\u{e010}";
    browser.enter("#share", END).await?;
    share_is(browser, 100).await?;
    ensure!(on_v2(browser).await? == 60, "not everybody is on v2 with 100 percent");
    crossed(browser, 0).await?;
    browser.goto(&demo.page).await?;
    version_2(browser).await?;
    let first = "Track v2: you are among the visitors who get it first (share).";
    reason(browser, "share", first).await?;
    seen("with 100 percent everybody is on version 2, a new visitor too");

    browser.goto(&demo.graph).await?;
    browser.until("!document.querySelector('#withdraw').disabled").await?;
    browser.click("#withdraw").await?;
    share_is(browser, 0).await?;
    ensure!(on_v2(browser).await? == 20, "not only the tester is on v2 with 0 percent");
    browser.goto(&demo.page).await?;
    version_1(browser).await?;
    reason(browser, "none", "No track: the version for everybody.").await?;
    seen("withdrawn at zero at once");
    Ok(())
}

// === The guard ===

/// Version 2 of the forecast begins to fail, and its share stops by itself.
async fn guard(demo: &Demo, browser: &Browser, album: &Album) -> Result<()> {
    browser.goto(&demo.graph).await?;
    browser.until("document.querySelector('#released').textContent === 'v2'").await?;
    browser.click("#share").await?;
    share_is(browser, 50).await?;
    browser
        .until(
            "document.querySelector('#guard').textContent.startsWith('The guard watches: 50 % ')",
        )
        .await?;
    let half = on_v2(browser).await?;

    choose(browser, "fails", "yes").await?;
    clear(browser).await?;
    send(browser).await?;
    let stopped = "The guard has stopped the share: 0 % is in force. ";
    let told = format!("document.querySelector('#guard').textContent.startsWith({stopped:?})");
    let is_told = browser.until(&told).await;
    let says = browser.text("#guard").await?;
    is_told.with_context(|| format!("the guard says: {says}"))?;
    ensure!(on_v2(browser).await? < half, "as many on v2 as before");
    crossed(browser, 0).await?;
    browser.until("document.querySelector('#filter').className === 'same'").await?;
    album.keep(browser, "graph-guard.png").await?;
    clear(browser).await?;
    send(browser).await?;
    ensure!(on_v2(browser).await? == 20, "not only the tester is on v2");
    seen("version 2 fails: the guard stops its share, and only the tester is left with it");

    choose(browser, "fails", "no").await?;
    browser.click("#withdraw").await?;
    share_is(browser, 0).await?;
    browser.until("document.querySelector('#guard').hidden").await
}

/// A switch that starts nothing from zero.
async fn choose(browser: &Browser, name: &str, to: &str) -> Result<()> {
    let input = format!("input[name={name}][value={to}]");
    browser.click(&format!("label:has({input})")).await?;
    browser
        .until(&format!(
            "document.querySelector('fieldset[data-switch={name}]').dataset.inForce === '{to}' && \
             !document.querySelector('fieldset[data-switch={name}]').disabled"
        ))
        .await
}

async fn share_is(browser: &Browser, percent: u8) -> Result<()> {
    browser
        .until(&format!(
            "document.querySelector('output').value === '{percent} %' && \
             document.querySelector('#share').dataset.inForce === '{percent}' && \
             !document.querySelector('fieldset[data-switch=share]').disabled && \
             document.querySelector('#summary').textContent.startsWith('60 requests. ') && \
             !document.querySelector('#send').disabled && !document.querySelector('#graph circle')"
        ))
        .await
}

/// Requests that the gateway sent to frontend v2.
async fn on_v2(browser: &Browser) -> Result<u64> {
    browser
        .value(
            "[...document.querySelectorAll('#graph .call[data-from=gateway]')]\
             .filter(({ dataset }) => dataset.to === 'frontend v2')\
             .reduce((sum, { dataset }) => sum + Number(dataset.count), 0)",
        )
        .await
}

async fn clear(browser: &Browser) -> Result<()> {
    browser.click("#clear").await?;
    browser.until("document.querySelector('#verdict').className === 'idle'").await
}

async fn send(browser: &Browser) -> Result<()> {
    browser.click("#send").await?;
    browser
        .until(
            "/^60 requests[.,]/.test(document.querySelector('#summary').textContent) && \
             !document.querySelector('#send').disabled && !document.querySelector('#graph circle')",
        )
        .await
}

async fn switch(browser: &Browser, name: &str, to: &str) -> Result<()> {
    let input = format!("input[name={name}][value={to}]");
    browser.click(&format!("label:has({input})")).await?;
    browser
        .until(&format!(
            "document.querySelector('{input}').checked && \
             ![...document.querySelectorAll('fieldset')].some((set) => set.disabled && !['filter', 'share'].includes(set.dataset.switch)) && \
             document.querySelector('#verdict').className === 'idle'"
        ))
        .await
}

async fn crossed(browser: &Browser, count: u64) -> Result<()> {
    let verdict = browser.text("#verdict .big").await?;
    let (crossed, _) = verdict.split_once(", lost requests: ").context("no lost requests")?;
    ensure!(crossed.ends_with(&format!("crossed calls: {count}")), "the graph says: {verdict}");
    Ok(())
}

/// With why, if there are any.
async fn lost(browser: &Browser, count: u64, why: &str) -> Result<()> {
    let verdict = browser.text("#verdict .big").await?;
    ensure!(verdict.ends_with(&format!("lost requests: {count}")), "the graph says: {verdict}");
    let told = browser.text("#why").await?;
    ensure!(told.contains(why) && told.is_empty() == (count == 0), "the graph explains: {told}");
    Ok(())
}

async fn says(browser: &Browser, words: &str) -> Result<()> {
    let lines: Vec<String> = browser
        .value("[...document.querySelectorAll('#words li')].map((line) => line.innerText)")
        .await?;
    ensure!(lines.iter().any(|line| line == words), "{words:?} is not among {lines:?}");
    Ok(())
}

/// What the filter's own counters say in the end.
async fn counted(browser: &Browser, says: &str) -> Result<()> {
    let is_told = format!("document.querySelector('#filter').textContent === {says:?}");
    let told = browser.until(&is_told).await;
    let found = browser.text("#filter").await?;
    told.with_context(|| format!("the filter says: {found}"))
}

async fn calls(browser: &Browser, expected: &[(&str, &str, &str, u64)]) -> Result<()> {
    let mut calls: Vec<(String, String, String, String)> = browser
        .value(
            "[...document.querySelectorAll('#graph .call')]\
             .map(({ dataset: { from, to, release, count } }) => [from, to, release, count])",
        )
        .await?;
    let mut expected: Vec<_> = expected
        .iter()
        .map(|(from, to, release, count)| {
            (from.to_string(), to.to_string(), release.to_string(), count.to_string())
        })
        .collect();
    calls.sort();
    expected.sort();
    ensure!(calls == expected, "the graph draws {calls:#?}");
    Ok(())
}

// === On a phone ===

async fn on_a_phone(demo: &Demo, phone: &Browser) -> Result<()> {
    phone.goto(&demo.page).await?;
    fits(phone).await?;
    log_in(phone, "tester").await?;
    version_2(phone).await?;
    fits(phone).await?;
    phone.goto(&demo.graph).await?;
    phone.until("document.querySelectorAll('#graph .box').length === 7").await?;
    fits(phone).await?;
    seen("page and graph fit on a phone");
    Ok(())
}

async fn fits(phone: &Browser) -> Result<()> {
    let (width, screen): (u32, u32) = phone
        .value("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        .await?;
    ensure!(screen == 375 && width <= screen, "{width} px wide on a screen of {screen}");
    Ok(())
}
