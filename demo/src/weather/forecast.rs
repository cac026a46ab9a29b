//! What the services have to say about a city: invented, and the same every day.

use serde::{Deserialize, Serialize};

/// What the forecast service's response says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forecast {
    pub city: String,
    /// From today on.
    pub days: Vec<Day>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Day {
    pub sky: Sky,
    /// Degrees Celsius.
    pub high: i8,
    pub low: i8,
    /// Probability of rain, percent.
    pub rain: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sky {
    Sunny,
    Fair,
    Cloudy,
    Rain,
    Storm,
    Snow,
}

type Row = (Sky, i8, i8, u8);

#[rustfmt::skip]
const CITIES: [(&str, [Row; 5]); 5] = {
    use Sky::*;
    [
        ("Bergen", [(Fair, 14, 9, 30), (Rain, 12, 8, 90), (Storm, 13, 8, 80), (Cloudy, 11, 6, 40), (Sunny, 15, 7, 5)]),
        ("Kyoto", [(Cloudy, 22, 15, 30), (Fair, 24, 16, 20), (Sunny, 26, 17, 5), (Fair, 25, 18, 25), (Rain, 21, 16, 70)]),
        ("Lisbon", [(Sunny, 29, 19, 0), (Sunny, 31, 20, 0), (Fair, 28, 19, 10), (Sunny, 27, 18, 5), (Fair, 26, 18, 15)]),
        ("Nairobi", [(Fair, 25, 14, 20), (Storm, 23, 14, 75), (Rain, 22, 13, 65), (Fair, 24, 14, 25), (Sunny, 26, 14, 10)]),
        ("Nuuk", [(Snow, 1, -6, 60), (Cloudy, 2, -4, 30), (Snow, -1, -8, 75), (Fair, 0, -7, 15), (Sunny, 1, -9, 5)]),
    ]
};

/// The cities that one may ask for; the first is the default.
pub fn cities() -> impl Iterator<Item = &'static str> {
    CITIES.iter().map(|(name, _)| *name)
}

/// The city of this name, or the default.
pub fn city(name: Option<&str>) -> &'static str {
    find(name).0
}

fn find(name: Option<&str>) -> &'static (&'static str, [Row; 5]) {
    let [default, ..] = &CITIES;
    CITIES.iter().find(|(known, _)| Some(*known) == name).unwrap_or(default)
}

impl Forecast {
    /// For the city of this name, or for the default one.
    pub fn of(name: Option<&str>) -> Self {
        let (city, rows) = find(name);
        Forecast {
            city: city.to_string(),
            days: rows.map(|(sky, high, low, rain)| Day { sky, high, low, rain }).to_vec(),
        }
    }
}

/// What the recommendation service's response says.
pub fn recommendation(name: Option<&str>) -> String {
    let Forecast { city, days } = Forecast::of(name);
    match days.iter().position(|day| day.rain >= 60) {
        _ if days.iter().any(|day| day.low < 0) => {
            format!("Pack gloves and good boots: {city} freezes at night.")
        }
        _ if days.iter().all(|day| day.rain < 20) => {
            format!("Sunglasses and plenty of water: no rain in {city} for days.")
        }
        Some(0) => "Take an umbrella along: rain is likely today.".to_string(),
        Some(1) => "Go for your walk today, and have an umbrella ready for tomorrow.".to_string(),
        Some(_) | None => "Make the most of the dry days: rain comes later.".to_string(),
    }
}

/// What the advertisement service's response says.
pub fn advertisement(name: Option<&str>) -> String {
    let city = city(name);
    format!(
        "Umbrella & Sons of {city}: outlives every storm. Two for the price of one, today only."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_city_is_the_default_one() {
        assert_eq!(city(Some("Kyoto")), "Kyoto");
        assert_eq!(city(Some("<script>")), "Bergen");
        assert_eq!(city(None), "Bergen");
    }

    #[test]
    fn a_forecast_survives_the_wire() {
        for name in cities() {
            let forecast = Forecast::of(Some(name));
            let wire = serde_json::to_string(&forecast).unwrap();
            assert_eq!(serde_json::from_str::<Forecast>(&wire).unwrap(), forecast);
        }
    }

    #[test]
    fn a_recommendation_fits_its_forecast() {
        assert!(recommendation(Some("Bergen")).contains("umbrella"));
        assert!(recommendation(Some("Lisbon")).contains("Sunglasses"));
        assert!(recommendation(Some("Nuuk")).contains("gloves"));
    }
}
