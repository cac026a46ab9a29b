//! Chromium without a window, driven through ChromeDriver.

use anyhow::{Context, Result, bail};
use fantoccini::elements::Element;
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// How long a page may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The programs of an installed browser.
pub(crate) struct Installed {
    chromium: PathBuf,
    chromedriver: PathBuf,
}

impl Installed {
    /// The error says what is missing.
    pub(crate) fn find() -> Result<Self> {
        let chromium = ["chromium", "chromium-browser", "google-chrome", "chrome"];
        Ok(Installed {
            chromium: in_path(&chromium).context("no Chromium in PATH")?,
            chromedriver: in_path(&["chromedriver"]).context("no chromedriver in PATH")?,
        })
    }
}

fn in_path(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<_> = env::split_paths(&path).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|program| program.is_file())
}

/// Stops with the value.
pub(crate) struct Driver {
    address: String,
    chromium: PathBuf,
    _process: Child,
}

/// What the window measures, in CSS pixels.
#[derive(Clone, Copy)]
pub(crate) enum Screen {
    Desktop,
    Phone,
}

impl Driver {
    pub(crate) async fn start(installed: Installed) -> Result<Self> {
        let mut process = Command::new(&installed.chromedriver)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("chromedriver")?;
        let stdout = process.stdout.take().context("chromedriver's output")?;
        let mut lines = BufReader::new(stdout).lines();
        let port = async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, port)) = line.split_once("successfully on port ") {
                    return Ok(port.trim_end_matches('.').to_string());
                }
            }
            bail!("chromedriver ended without naming its port")
        };
        let port = timeout(PATIENCE, port).await.context("chromedriver")??;
        // Whatever else it says must not block it.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Driver {
            address: format!("http://127.0.0.1:{port}"),
            chromium: installed.chromium,
            _process: process,
        })
    }

    pub(crate) async fn open(&self, screen: Screen) -> Result<Browser> {
        let mut options = json!({
            "binary": self.chromium,
            "args": [
                // Over a pipe, Chromium ends with ChromeDriver, however that ends.
                "--remote-debugging-pipe", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic",
                "--no-first-run", "--disable-background-networking", "--disable-component-update",
                "--disable-sync", "--hide-scrollbars", "--window-size=1200,1000",
            ],
        });
        if let Screen::Phone = screen {
            options["mobileEmulation"] =
                json!({"deviceMetrics": {"width": 375, "height": 800, "pixelRatio": 2}});
        }
        let mut capabilities = Capabilities::new();
        capabilities.insert("goog:chromeOptions".into(), options);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&self.address)
            .await
            .context("Chromium does not start")?;
        Ok(Browser { client })
    }
}

pub(crate) struct Browser {
    client: Client,
}

impl Browser {
    pub(crate) async fn goto(&self, url: &str) -> Result<()> {
        self.client.goto(url).await.with_context(|| url.to_string())
    }

    /// The value of a JavaScript expression.
    pub(crate) async fn value<T: DeserializeOwned>(&self, expression: &str) -> Result<T> {
        let script = format!("return {expression}");
        let value = self.client.execute(&script, vec![]).await;
        let value = value.with_context(|| expression.to_string())?;
        serde_json::from_value(value.clone()).with_context(|| format!("{expression}: {value}"))
    }

    /// Waits until a JavaScript expression is true.
    pub(crate) async fn until(&self, expression: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            let value: Value = self.value(expression).await?;
            if value == true {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                let page: String = self.value("document.body.innerText").await?;
                bail!("after {PATIENCE:?} not yet: {expression}\nThe page says:\n{page}");
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) async fn has(&self, selector: &str) -> Result<bool> {
        let found = self.client.find_all(Locator::Css(selector)).await?;
        Ok(!found.is_empty())
    }

    /// The visible text.
    pub(crate) async fn text(&self, selector: &str) -> Result<String> {
        Ok(self.find(selector).await?.text().await?)
    }

    /// A property of the computed style; colours as `rgb(r, g, b)`.
    pub(crate) async fn style(&self, selector: &str, property: &str) -> Result<String> {
        Ok(self.find(selector).await?.css_value(property).await?)
    }

    async fn find(&self, selector: &str) -> Result<Element> {
        let element = self.client.find(Locator::Css(selector)).await;
        element.context(selector.to_string())
    }

    /// As a person does: the element must be visible and uncovered.
    pub(crate) async fn click(&self, selector: &str) -> Result<()> {
        let element = self.find(selector).await?;
        element.click().await.context(selector.to_string())
    }

    /// Clicks on what leads to another page, and waits for that page.
    pub(crate) async fn follow(&self, selector: &str) -> Result<()> {
        self.value::<bool>("window.left = true").await?;
        self.click(selector).await?;
        self.until("!window.left && document.readyState === 'complete'").await
    }

    pub(crate) async fn enter(&self, selector: &str, text: &str) -> Result<()> {
        Ok(self.find(selector).await?.send_keys(text).await?)
    }

    /// Replaces all cookies of the page's host. Browsers send them in this order.
    pub(crate) async fn set_cookies(&self, cookies: &[(&str, &str)]) -> Result<()> {
        self.client.delete_all_cookies().await?;
        for (name, value) in cookies {
            self.value::<String>(&format!("document.cookie = '{name}={value}; path=/'")).await?;
        }
        Ok(())
    }

    /// Writes a picture of the whole page.
    pub(crate) async fn screenshot(&self, file: &Path) -> Result<()> {
        const WIDTH: u32 = 1200;
        self.client.set_window_size(WIDTH, 300).await?;
        let height = "outerHeight - innerHeight + document.documentElement.scrollHeight";
        let height = self.value(height).await?;
        self.client.set_window_size(WIDTH, height).await?;
        let png = self.client.screenshot().await?;
        std::fs::write(file, png).with_context(|| file.display().to_string())
    }

    /// A picture of what a window of this size shows, as PNG.
    pub(crate) async fn window(&self, width: u32, height: u32) -> Result<Vec<u8>> {
        self.client.set_window_size(width, height).await?;
        let inner: (u32, u32) = self.value("[innerWidth, innerHeight]").await?;
        let (more, taller) = (width.saturating_sub(inner.0), height.saturating_sub(inner.1));
        self.client.set_window_size(width + more, height + taller).await?;
        Ok(self.client.screenshot().await?)
    }

    pub(crate) async fn close(self) -> Result<()> {
        Ok(self.client.close().await?)
    }
}
