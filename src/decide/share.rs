//! A sticky part of everybody else, or of whom a rule fits, in steps of 0.01 %.
//!
//! An identity is hashed to a point of 0 .. 10,000, and the tracks' shares lie end to end from 0
//! on, in the order of the configuration. Nothing is stored: raising a share never returns
//! anybody to baseline, and lowering it to zero takes effect at once.
//!
//! The rules of a track that take a share have points of their own, the same for all of them: who is
//! in the smaller one of two is in the larger one, too, and the tracks' own shares are independent.
//!
//! ```
//! use release_track::decide::share::{Share, WHOLE};
//!
//! let day = 24 * 60 * 60 * 1000;
//! let ramp = Share::Ramp { from: 0, to: WHOLE / 2, start_ms: day, over_ms: day };
//! assert_eq!([0, day + day / 2, 3 * day].map(|now| ramp.at(now)), [0, WHOLE / 4, WHOLE / 2]);
//! ```

use crate::track::{Name, TrackId};
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
                let passed = now_ms.saturating_sub(start_ms).min(over_ms);
                // No product is too large before a ramp lasts thousands of years.
                let way = passed.saturating_mul(from.abs_diff(to).into()) / over_ms.max(1);
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
    of_rules: Vec<OfRules>,
}

/// The shares that the rules of a track take.
#[derive(Debug)]
struct OfRules {
    track: TrackId,
    key: [u8; 16],
    shares: Vec<Share>,
}

impl Shares {
    /// `salt` makes the points of one configuration independent of those of another.
    pub fn new(shares: Vec<(TrackId, Share)>, salt: &str) -> Self {
        Self { shares, key: key(salt.as_bytes()), of_rules: Vec::new() }
    }

    /// Adds what the rules of a track take, under the salt that these shares have. A salt that has
    /// no NUL is another one than that of any track's rules.
    pub fn add_rules(&mut self, track: TrackId, name: &Name, shares: Vec<Share>, salt: &str) {
        if !shares.is_empty() {
            let key = key(&[salt.as_bytes(), b"\0", name.as_bytes()].concat());
            self.of_rules.push(OfRules { track, key, shares });
        }
    }

    /// Whether no identity ever matters.
    pub fn is_empty(&self) -> bool {
        self.shares.is_empty() && self.of_rules.is_empty()
    }

    /// Whether some track has a share of everybody else.
    pub fn are_of_tracks(&self) -> bool {
        !self.shares.is_empty()
    }

    /// The tracks that have a share, or rules with one.
    pub fn tracks(&self) -> impl Iterator<Item = TrackId> {
        let own = self.shares.iter().map(|(track, _)| *track);
        own.chain(self.of_rules.iter().map(|rules| rules.track))
    }

    /// Whether the time of day matters.
    pub fn move_with_the_clock(&self) -> bool {
        self.shares.iter().any(|(_, share)| share.moves())
            || self.of_rules.iter().flat_map(|rules| &rules.shares).any(|share| share.moves())
    }

    /// How large a track's share is: its own, or else the largest that one of its rules takes.
    pub fn of(&self, track: TrackId, now_ms: u64) -> u32 {
        let own = self.shares.iter().find(|(known, _)| *known == track);
        let of_rules = self.of_rules.iter().find(|rules| rules.track == track);
        match (own, of_rules) {
            (Some((_, share)), _) => share.at(now_ms),
            (None, Some(OfRules { shares, .. })) => {
                shares.iter().map(|share| share.at(now_ms)).max().unwrap_or_default()
            }
            (None, None) => 0,
        }
    }

    /// The track in whose share an identity lies.
    pub fn track_of(&self, identity: &[u8], now_ms: u64) -> Option<TrackId> {
        let point = point(&self.key, identity);
        let mut end = 0;
        self.shares.iter().find_map(|(track, share)| {
            end += share.at(now_ms);
            (point < end).then_some(*track)
        })
    }

    /// Whether an identity lies in a share that rules of this track take.
    pub fn rule_takes(&self, track: TrackId, share: Share, identity: &[u8], now_ms: u64) -> bool {
        let rules = self.of_rules.iter().find(|rules| rules.track == track);
        rules.is_some_and(|rules| point(&rules.key, identity) < share.at(now_ms))
    }
}

fn key(salt: &[u8]) -> [u8; 16] {
    sip128::SipHasher24::new().hash(salt).as_u128().to_le_bytes()
}

/// The hash is keyed by the salt, so that no two salts have points in common but by chance.
fn point(key: &[u8; 16], identity: &[u8]) -> u32 {
    let hash = SipHasher24::new_with_key(key).hash(identity);
    ((u128::from(hash) * u128::from(WHOLE)) >> 64) as u32
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
    fn a_rules_share_is_as_large_as_it_says_and_independent_of_all_others() {
        let name = |name| Name::parse(name).unwrap();
        for salt in SALTS {
            let mut all = shares(&[2_500], salt);
            for (track, name) in [(0, name("v2")), (1, name("v3"))] {
                all.add_rules(TrackId(track), &name, vec![Share::Fixed(2_500)], salt);
            }
            let takes = |track, id: &[u8]| {
                usize::from(all.rule_takes(TrackId(track), Share::Fixed(2_500), id, 0))
            };
            let mut cells = [0_f64; 8];
            for number in 0..IDENTITIES {
                let id = identity(number);
                let own = usize::from(all.track_of(&id, 0).is_some());
                cells[own * 4 + takes(0, &id) * 2 + takes(1, &id)] += 1.0;
            }
            // Against three coins that fall on their own: 7 degrees of freedom, of which the
            // 99.99th percentile of chi-square is 29.88.
            let chi_square: f64 = (0_usize..8)
                .map(|cell| {
                    let inside = cell.count_ones() as i32;
                    let part = 0.25_f64.powi(inside) * 0.75_f64.powi(3 - inside);
                    let expected = f64::from(IDENTITIES) * part;
                    (cells[cell] - expected).powi(2) / expected
                })
                .sum();
            println!("salt {salt:?}: chi-square {chi_square:.3}");
            assert!(chi_square < 29.88, "{salt:?}: {chi_square}");
        }
    }

    #[test]
    fn who_is_in_a_rules_share_is_in_every_larger_one_of_that_track() {
        let mut shares = Shares::new(Vec::new(), "");
        let ramp = Share::Ramp { from: 0, to: WHOLE, start_ms: 0, over_ms: 1000 };
        let name = Name::parse("v2").unwrap();
        shares.add_rules(TrackId(0), &name, vec![ramp, Share::Fixed(500)], "");
        for number in 0..IDENTITIES / 10 {
            let id = identity(number);
            let takes = |share, now| shares.rule_takes(TrackId(0), share, &id, now);
            let inside = [10, 50, 51, 500, 1000].map(|now| takes(ramp, now));
            assert!(inside.is_sorted(), "{number}: {inside:?}");
            assert_eq!(takes(Share::Fixed(500), 0), inside[1], "{number}");
            assert!(inside[4]);
        }
        assert!(!shares.rule_takes(TrackId(1), ramp, b"anyone", 1000));
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
