//! What a release manager would add to the story's plugin, while the demo runs: preview links, a
//! share with its guard, and responses that tell what was decided. The files stay as they are; this is laid over
//! them in memory.

use anyhow::{Context, Result, anyhow};
use release_track::decide::token::Key;
use release_track::track::Name;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The environment of the weather app that makes links.
pub const PREVIEW_KEY: &str = "PREVIEW_KEY";
pub const PREVIEW_TRACK: &str = "PREVIEW_TRACK";

/// How long a link of the demo works.
const LIFE: Duration = Duration::from_secs(60 * 60);

/// As long as the hash: RFC 2104, section 3.
const KEY_BYTES: usize = 32;

/// A part of everybody whom no rule decides, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8")]
pub struct Percent(u8);

impl Percent {
    pub const NONE: Self = Percent(0);
}

impl TryFrom<u8> for Percent {
    type Error = String;

    fn try_from(percent: u8) -> Result<Self, String> {
        if percent > 100 {
            return Err(format!("{percent} is more than 100 percent"));
        }
        Ok(Percent(percent))
    }
}

/// The key that signs a demo's preview links: each demo has its own, which is nowhere but in its
/// memory.
#[derive(Clone)]
pub struct PreviewKey(String);

impl PreviewKey {
    pub fn random() -> Result<Self> {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes).map_err(|error| anyhow!("no random bytes: {error}"))?;
        Ok(PreviewKey(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    pub fn hex(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PreviewKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PreviewKey(..)")
    }
}

/// The name of the first track, which is the one that the demo releases.
pub fn track(plugin_config: &Map<String, Value>) -> Result<&str> {
    let name = plugin_config.get("tracks").and_then(|tracks| tracks[0]["name"].as_str());
    name.context("pluginConfig has no track with a name")
}

/// Lays a release over a `pluginConfig`. A share of nothing is none: it is withdrawn.
pub fn overlay(plugin_config: &mut Map<String, Value>, key: &PreviewKey, share: Percent) {
    plugin_config.insert("expose".into(), true.into());
    plugin_config.insert("preview".into(), json!({"keys": [key.hex()]}));
    let track = plugin_config.get_mut("tracks").and_then(|tracks| tracks.get_mut(0));
    if let Some(Value::Object(track)) = track {
        track.remove("share");
        track.remove("guard");
        if share != Percent::NONE {
            track.insert("share".into(), json!({"percent": share}));
            // Nobody sends the demo so much as a guard is made for.
            track.insert("guard".into(), json!({"minimum": 20, "over": "10s"}));
        }
    }
}

/// A link to the weather page that shows a track for an hour from now on.
pub fn link(key: &Key, track: &Name) -> String {
    let expiry = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + LIFE;
    format!("/?release-track={}", key.sign(track, expiry.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use release_track::config::Config;

    const STORY: &str = r#"{"tracks": [
        {"name": "v2", "match": [{"cookies": {"user": {"exact": "tester"}}}], "share": {"percent": 5}},
        {"name": "v3"}
    ]}"#;

    fn laid_over(percent: u8) -> (Map<String, Value>, PreviewKey) {
        let mut config: Map<String, Value> = serde_json::from_str(STORY).unwrap();
        let key = PreviewKey::random().unwrap();
        overlay(&mut config, &key, percent.try_into().unwrap());
        (config, key)
    }

    #[test]
    fn the_filter_takes_what_is_laid_over() {
        let (config, _) = laid_over(30);
        assert_eq!(config["tracks"][0]["share"], json!({"percent": 30}));
        assert_eq!(config["tracks"][1], json!({"name": "v3"}));
        let text = Value::Object(config).to_string();
        let parsed = Config::parse(text.as_bytes()).unwrap();
        assert!(parsed.preview.is_some() && parsed.expose);
        assert!(!parsed.shares.is_empty() && !parsed.guards.is_empty());
    }

    #[test]
    fn a_share_of_nothing_is_withdrawn() {
        let (config, _) = laid_over(0);
        assert_eq!(config["tracks"][0].get("share"), None);
        assert_eq!(track(&config).unwrap(), "v2");
    }

    #[test]
    fn every_demo_has_a_key_of_its_own() {
        let (one, other) = (PreviewKey::random().unwrap(), PreviewKey::random().unwrap());
        assert_ne!(one.hex(), other.hex());
        assert!(Key::parse(one.hex()).is_some());
        assert!(!format!("{one:?}").contains(one.hex()));
    }

    #[test]
    fn no_share_is_more_than_the_whole() {
        assert!(serde_json::from_str::<Percent>("100").is_ok());
        for wrong in ["101", "-1", "2.5", "\"5\""] {
            assert!(serde_json::from_str::<Percent>(wrong).is_err(), "{wrong}");
        }
    }
}
