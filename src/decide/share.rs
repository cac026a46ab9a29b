//! A sticky part of everybody else, in steps of 0.01 %.
//!
//! An identity is hashed to a point of 0 .. 10,000, and the tracks' shares lie end to end from 0
//! on, in the order of the configuration. Nothing is stored: raising a share never returns
//! anybody to baseline, and lowering it to zero takes effect at once.
//!
//! ```
//! use release_track::decide::share::{Share, WHOLE};
//!
//! let day = 24 * 60 * 60 * 1000;
//! let ramp = Share::Ramp { from: 0, to: WHOLE / 2, start_ms: day, over_ms: day };
//! assert_eq!([0, day + day / 2, 3 * day].map(|now| ramp.at(now)), [0, WHOLE / 4, WHOLE / 2]);
//! ```

use crate::track::TrackId;
use siphasher::sip::SipHasher24;
use siphasher::sip128;

/// A share of 100 %.
pub const WHOLE: u32 = 10_000;

/// How large a track's share is, in 0.01 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    Fixed(u32),
    /// It moves with the clock, in a straight line.
    Ramp {
        from: u32,
        to: u32,
        /// Milliseconds of the Unix epoch.
        start_ms: u64,
        /// Milliseconds, not zero.
        over_ms: u64,
    },
}

impl Share {
    /// At a time in milliseconds of the Unix epoch.
    pub fn at(self, now_ms: u64) -> u32 {
        match self {
            Self::Fixed(share) => share,
            Self::Ramp { from, to, start_ms, over_ms } => {
                let passed = u128::from(now_ms.saturating_sub(start_ms).min(over_ms));
                let way = u128::from(from.abs_diff(to)) * passed / u128::from(over_ms.max(1));
                if from <= to { from + way as u32 } else { from - way as u32 }
            }
        }
    }

    /// The largest that it ever is.
    pub fn largest(self) -> u32 {
        match self {
            Self::Fixed(share) => share,
            Self::Ramp { from, to, .. } => from.max(to),
        }
    }

    fn moves(self) -> bool {
        matches!(self, Self::Ramp { .. })
    }
}

/// The shares of a configuration, in the order of its tracks.
#[derive(Debug, Default)]
pub struct Shares {
    shares: Vec<(TrackId, Share)>,
    key: [u8; 16],
}

impl Shares {
    /// `salt` makes the points of one configuration independent of those of another.
    pub fn new(shares: Vec<(TrackId, Share)>, salt: &str) -> Self {
        let key = sip128::SipHasher24::new().hash(salt.as_bytes()).as_u128().to_le_bytes();
        Self { shares, key }
    }

    pub fn is_empty(&self) -> bool {
        self.shares.is_empty()
    }

    /// The tracks that have a share.
    pub fn tracks(&self) -> impl Iterator<Item = TrackId> {
        self.shares.iter().map(|(track, _)| *track)
    }

    /// Whether the time of day matters.
    pub fn move_with_the_clock(&self) -> bool {
        self.shares.iter().any(|(_, share)| share.moves())
    }

    /// The track in whose share an identity lies.
    pub fn track_of(&self, identity: &[u8], now_ms: u64) -> Option<TrackId> {
        let point = self.point(identity);
        let mut end = 0;
        self.shares.iter().find_map(|(track, share)| {
            end += share.at(now_ms);
            (point < end).then_some(*track)
        })
    }

    /// The hash is keyed by the salt, so that no two salts have points in common but by chance.
    fn point(&self, identity: &[u8]) -> u32 {
        let hash = SipHasher24::new_with_key(&self.key).hash(identity);
        ((u128::from(hash) * u128::from(WHOLE)) >> 64) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(list: &[u32], salt: &str) -> Shares {
        Shares::new((0..).map(TrackId).zip(list.iter().map(|s| Share::Fixed(*s))).collect(), salt)
    }

    /// Fixed before the first run: to look for salts that pass would be to look for luck.
    const SALTS: [&str; 3] = ["", "weather-2026", "another salt"];
    const IDENTITIES: u32 = 1_000_000;

    fn identity(number: u32) -> [u8; 8] {
        let mut text = *b"id-00000";
        let mut rest = number;
        for digit in text.iter_mut().rev().take(5) {
            *digit = b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize];
            rest /= 36;
        }
        text
    }

    #[test]
    fn a_share_is_as_large_as_it_says() {
        for salt in SALTS {
            for share in [100, 500, 5000] {
                let shares = shares(&[share], salt);
                let hits =
                    (0..IDENTITIES).filter(|n| shares.track_of(&identity(*n), 0).is_some()).count();
                let p = f64::from(share) / f64::from(WHOLE);
                let expected = f64::from(IDENTITIES) * p;
                let deviation = (expected * (1.0 - p)).sqrt();
                let off = (hits as f64 - expected).abs() / deviation;
                println!("salt {salt:?}, {} %: {hits}, {off:.2} standard deviations", p * 100.0);
                assert!(off < 4.0, "{salt:?} {share}: {hits}, {off} standard deviations");
            }
        }
    }

    #[test]
    fn raising_returns_nobody_to_baseline() {
        let (low, high) = (shares(&[100, 200], ""), shares(&[500, 200], ""));
        let last = shares(&[100, 900], "");
        let (mut back, mut moved) = (0, 0);
        for number in 0..IDENTITIES {
            let id = identity(number);
            let Some(before) = low.track_of(&id, 0) else { continue };
            back += u32::from(high.track_of(&id, 0).is_none());
            // Raising the last one moves nobody between tracks.
            moved += u32::from(last.track_of(&id, 0) != Some(before));
        }
        println!("of {IDENTITIES}: {back} back on baseline, {moved} on another track");
        assert_eq!((back, moved), (0, 0));
    }

    #[test]
    fn two_salts_are_independent() {
        let (one, other) = (shares(&[5000], SALTS[0]), shares(&[5000], SALTS[1]));
        let mut cells = [0_f64; 4];
        for number in 0..IDENTITIES {
            let id = identity(number);
            let cell = usize::from(one.track_of(&id, 0).is_some()) * 2
                + usize::from(other.track_of(&id, 0).is_some());
            cells[cell] += 1.0;
        }
        let [a, b, c, d] = cells;
        let n = a + b + c + d;
        let chi_square = n * (a * d - b * c).powi(2) / ((a + b) * (c + d) * (a + c) * (b + d));
        println!("chi-square of {:?} and {:?}: {chi_square:.3}", SALTS[0], SALTS[1]);
        // The 99.99th percentile of chi-square with one degree of freedom.
        assert!(chi_square < 15.14, "{chi_square}");
    }

    #[test]
    fn nothing_and_everything() {
        let id = b"anyone";
        assert_eq!(shares(&[0], "").track_of(id, 0), None);
        assert_eq!(shares(&[0, WHOLE], "").track_of(id, 0), Some(TrackId(1)));
        assert_eq!(shares(&[], "").track_of(id, 0), None);
    }

    #[test]
    fn a_ramp_follows_the_clock() {
        let ramp = Share::Ramp { from: 100, to: 10_000, start_ms: 1000, over_ms: 10_000 };
        let at: Vec<_> = [0, 1000, 2000, 6000, 11_000, u64::MAX].map(|now| ramp.at(now)).into();
        assert_eq!(at, [100, 100, 1090, 5050, 10_000, 10_000]);
        let down = Share::Ramp { from: 500, to: 0, start_ms: 0, over_ms: 1000 };
        assert_eq!([0, 500, 1000].map(|now| down.at(now)), [500, 250, 0]);
        assert_eq!((ramp.largest(), down.largest()), (10_000, 500));
    }
}
