//! Figures of a noisy machine.
//!
//! A round measures all variants of a situation one after the other, so that whatever else the
//! machine does then meets them alike. What a variant costs is the difference to no filter within
//! a round; a figure is the median over the rounds.

/// How often a round is drawn again to see how far a figure can be trusted.
const RESAMPLES: usize = 1000;

/// Times of a block of requests, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Block {
    /// The fifth percentile: what a request takes that nothing disturbs.
    pub(crate) low: f64,
    pub(crate) median: f64,
}

impl Block {
    pub(crate) fn of(times: &mut [f64]) -> Self {
        Self { low: percentile(times, 5.0), median: percentile(times, 50.0) }
    }
}

/// A figure, and the middle 90 % of where it would have been.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) from: f64,
    pub(crate) to: f64,
}

impl Figure {
    /// One that was counted.
    pub(crate) fn exact(value: f64) -> Self {
        Self { value, from: value, to: value }
    }
}

/// `percent` of the values are at most this; the values get sorted. NaN where there is none.
pub(crate) fn percentile(values: &mut [f64], percent: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let place = (values.len().saturating_sub(1)) as f64 * percent / 100.0;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    match (values.get(below), values.get(above)) {
        (Some(low), Some(high)) => low + (high - low) * (place - place.floor()),
        _ => f64::NAN,
    }
}

pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    percentile(&mut values.into_iter().collect::<Vec<_>>(), 50.0)
}

/// A figure of `rounds` rounds: `of` computes it from the rounds whose numbers it is given.
pub(crate) fn figure(rounds: usize, of: impl Fn(&[usize]) -> f64) -> Figure {
    let all: Vec<_> = (0..rounds).collect();
    // Chance is to be fair, not secret: the same rounds give the same figure.
    let mut chance = fastrand::Rng::with_seed(0);
    let mut drawn: Vec<_> = (0..RESAMPLES)
        .map(|_| of(&all.iter().map(|_| chance.usize(..rounds)).collect::<Vec<_>>()))
        .collect();
    Figure { value: of(&all), from: percentile(&mut drawn, 5.0), to: percentile(&mut drawn, 95.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_the_values() {
        let mut values = [4.0, 1.0, 3.0, 2.0, 5.0];
        assert_eq!(percentile(&mut values, 0.0), 1.0);
        assert_eq!(percentile(&mut values, 50.0), 3.0);
        assert_eq!(percentile(&mut values, 100.0), 5.0);
        assert_eq!(percentile(&mut values, 5.0), 1.2);
        assert!(percentile(&mut [], 50.0).is_nan());
    }

    #[test]
    fn a_figure_of_equal_rounds_is_certain() {
        let rounds = [2.0; 9];
        let figure = figure(9, |of| median(of.iter().map(|n| rounds[*n])));
        assert_eq!(figure, Figure { value: 2.0, from: 2.0, to: 2.0 });
    }

    #[test]
    fn a_figure_of_unequal_rounds_is_less_so() {
        let rounds = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0];
        let figure = figure(7, |of| median(of.iter().map(|n| rounds[*n])));
        assert_eq!(figure.value, 4.0);
        assert!(figure.from < 4.0 && figure.to > 4.0);
    }
}
