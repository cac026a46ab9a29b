//! The weather page, as a browser gets it: `assets/weather.html`, where Askama escapes whatever is
//! put in.

use super::forecast::{Day, Forecast, Sky, cities};
use crate::call::{Call, Served};
use askama::Template;
use std::time::{SystemTime, UNIX_EPOCH};

/// What one page shows.
#[derive(Template)]
#[template(path = "weather.html")]
pub struct Page<'a> {
    /// The name in the cookie `user`.
    pub user: Option<&'a str>,
    /// Leads to the next version, without an account.
    pub preview: Option<&'a str>,
    /// The city that was asked for.
    pub city: &'a str,
    /// Who served it: the frontend and everything below.
    pub served: &'a Served,
    /// What the forecast service said, if it answered.
    pub forecast: Option<&'a Forecast>,
    /// Only from forecast v2 on.
    pub recommendation: Option<&'a str>,
    pub advertisement: Option<&'a str>,
}

/// Sent with the page: nothing but its own style, script and forms.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; \
     connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

impl Page<'_> {
    pub fn render(&self) -> String {
        Template::render(self).expect("writing to a string does not fail")
    }

    /// Version 2 of the frontend has a blue button.
    fn button(&self) -> &'static str {
        match self.served.version.as_str() {
            "v1" => "green",
            _ => "blue",
        }
    }

    fn cities(&self) -> impl Iterator<Item = &'static str> {
        cities()
    }

    /// Every day with its name.
    fn days(&self) -> Vec<(&'static str, Day)> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let days = self.forecast.map_or(&[][..], |forecast| &forecast.days);
        day_names(seconds / 86_400).zip(days.iter().copied()).collect()
    }

    fn served_by(&self) -> String {
        let mut workloads = Vec::new();
        list(self.served, &mut workloads);
        workloads.join(", ")
    }
}

/// From today on; `today` is in days since 1970-01-01, a Thursday.
fn day_names(today: u64) -> impl Iterator<Item = &'static str> {
    const WEEK: [&str; 7] =
        ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let later = WEEK.into_iter().cycle().skip((today % 7) as usize + 2).take(7);
    ["Today", "Tomorrow"].into_iter().chain(later)
}

fn list(served: &Served, workloads: &mut Vec<String>) {
    workloads.push(format!("{} {}", served.service, served.version));
    for call in &served.calls {
        match call {
            Call::Served(served) => list(served, workloads),
            Call::Failed { service, .. } => workloads.push(format!("{service} (did not answer)")),
        }
    }
}

impl Sky {
    /// A symbol in `assets/weather-icons.svg`.
    fn icon(self) -> &'static str {
        match self {
            Sky::Sunny => "sun",
            Sky::Fair => "fair",
            Sky::Cloudy => "cloud",
            Sky::Rain => "rain",
            Sky::Storm => "storm",
            Sky::Snow => "snow",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Sky::Sunny => "Sunny",
            Sky::Fair => "Fair",
            Sky::Cloudy => "Cloudy",
            Sky::Rain => "Rain",
            Sky::Storm => "Thunderstorm",
            Sky::Snow => "Snow",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(service: &str, version: &str, calls: Vec<Call>) -> Served {
        Served {
            service: service.into(),
            version: version.into(),
            track: None,
            request_id: None,
            calls,
        }
    }

    fn frontend(version: &str) -> Served {
        let failed = Call::Failed { service: "forecast".into(), error: "503".into() };
        let advertisement = Call::Served(served("advertisement", "v1", vec![]));
        served("frontend", version, vec![advertisement, failed])
    }

    fn html<'a>(served: &'a Served, change: impl FnOnce(&mut Page<'a>)) -> String {
        let mut page = Page {
            user: None,
            preview: None,
            city: "Bergen",
            served,
            forecast: None,
            recommendation: None,
            advertisement: None,
        };
        change(&mut page);
        page.render()
    }

    #[test]
    fn the_button_tells_the_version() {
        for (version, colour) in [("v1", "green"), ("v2", "blue")] {
            let html = html(&frontend(version), |_| {});
            assert!(html.contains(&format!("<button id=\"action\" class=\"{colour}\">")));
        }
    }

    #[test]
    fn login_or_logout() {
        let frontend = frontend("v1");
        let nobody = html(&frontend, |_| {});
        assert!(nobody.contains("action=\"/login\"") && !nobody.contains("action=\"/logout\""));
        let alice = html(&frontend, |page| page.user = Some("alice"));
        assert!(!alice.contains("action=\"/login\"") && alice.contains("action=\"/logout\""));
    }

    #[test]
    fn a_preview_is_offered_to_who_is_not_logged_in() {
        let frontend = frontend("v1");
        let offers = |change: &dyn Fn(&mut Page)| html(&frontend, change).contains("id=\"offer\"");
        assert!(!offers(&|_| {}));
        assert!(offers(&|page| page.preview = Some("/?release-track=x")));
        assert!(!offers(&|page| {
            page.preview = Some("/?release-track=x");
            page.user = Some("alice");
        }));
        let evil = html(&frontend, |page| page.preview = Some("\"><script>"));
        assert!(evil.contains("href=\"&#34;&#62;&#60;script&#62;\""));
    }

    #[test]
    fn what_did_not_arrive_is_left_out() {
        let frontend = frontend("v1");
        let nothing = html(&frontend, |_| {});
        assert!(nothing.contains("did not arrive") && !nothing.contains("class=\"now\""));
        assert!(!nothing.contains("<aside"));
        assert!(
            nothing.contains("Served by frontend v1, advertisement v1, forecast (did not answer)")
        );

        let forecast = Forecast::of(None);
        let page = html(&frontend, |page| page.forecast = Some(&forecast));
        assert!(!page.contains("did not arrive") && page.contains("class=\"now\""));
        assert_eq!(page.matches("<li>").count(), forecast.days.len());
    }

    #[test]
    fn nothing_is_believed_to_be_html() {
        let evil = "\"><script>alert('1')</script>&";
        let forecast = Forecast::of(None);
        let served = served(evil, evil, vec![]);
        let html = html(&served, |page| {
            page.user = Some(evil);
            page.preview = Some(evil);
            page.city = evil;
            page.forecast = Some(&forecast);
            page.recommendation = Some(evil);
            page.advertisement = Some(evil);
        });
        assert_eq!(html.matches("<script").count(), 1, "its own");
        // The user, title and heading, recommendation, advertisement, service and version. Not the
        // link: who has an account needs none.
        assert_eq!(html.matches("&#60;script&#62;").count(), 7);
    }

    #[test]
    fn days_have_names() {
        // 2026-08-27 is a Thursday, and 20,692 days after 1970-01-01.
        let names: Vec<_> = day_names(20_692).take(5).collect();
        assert_eq!(names, ["Today", "Tomorrow", "Saturday", "Sunday", "Monday"]);
    }
}
