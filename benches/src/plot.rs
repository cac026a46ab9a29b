//! The costs at a glance: docs/images/benchmarks.svg.

use crate::latency::Measured;
use crate::report::LOW;
use crate::statistics::Figure;
use crate::variant::Variant;
use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::path::Path;

const WIDTH: i32 = 960;
const LEFT: i32 = 250;
const RIGHT: i32 = 60;
const TOP: i32 = 84;
const BOTTOM: i32 = 40;
const BAR: i32 = 13;
const GAP: i32 = 16;

const INK: RGBColor = RGBColor(0x24, 0x29, 0x2f);
const GRID: RGBColor = RGBColor(0xd0, 0xd7, 0xde);

fn color(variant: &Variant) -> RGBColor {
    match variant {
        Variant::None | Variant::NoOp => RGBColor(0xa0, 0xa8, 0xb2),
        Variant::Reader => RGBColor(0x5e, 0x68, 0x73),
        Variant::Lua(_) => RGBColor(0xe0, 0x8a, 0x1e),
        Variant::Ours(_) => RGBColor(0x1f, 0x6f, 0xd1),
        Variant::NoOpNative => RGBColor(0xc8, 0xce, 0xd6),
        Variant::OursNative(_) => RGBColor(0x14, 0x8f, 0x77),
        Variant::Peer => RGBColor(0x8a, 0x4f, 0xbf),
    }
}

/// A group of bars for each situation, in its first shape; as long as the variant costs, in costs
/// of the filter that does nothing.
pub(crate) fn draw(path: &Path, measured: &[Measured]) -> Result<()> {
    let groups: Vec<_> =
        measured.iter().filter(|m| m.situation.is_plain).filter_map(group).collect();
    let bars: usize = groups.iter().map(|(_, bars)| bars.len()).sum();
    let height = TOP + BOTTOM + bars as i32 * BAR + groups.len() as i32 * GAP;
    let area = SVGBackend::new(path, (WIDTH as u32, height as u32)).into_drawing_area();
    area.fill(&WHITE)?;

    let longest = groups.iter().flat_map(|(_, bars)| bars).map(|(_, f)| f.to).fold(1.0, f64::max);
    let x = |times: f64| LEFT + (times / longest * f64::from(WIDTH - LEFT - RIGHT)) as i32;
    let font = |size: i32| ("sans-serif", size).into_font().color(&INK);
    let at = |size, horizontal, vertical| font(size).pos(Pos::new(horizontal, vertical));

    area.draw(&Text::new("What a request costs", (16, 14), font(20)))?;
    let subtitle =
        "Time over no filter, in that of a Wasm filter that does nothing. Shorter is better.";
    area.draw(&Text::new(subtitle, (16, 42), font(13)))?;

    let step = [0.5, 1.0, 2.0, 5.0, 10.0].into_iter().find(|step| longest / step <= 10.0);
    let step = step.unwrap_or(longest);
    for tick in (0..).map(|n| f64::from(n) * step).take_while(|tick| *tick <= longest) {
        let line = [(x(tick), TOP - 4), (x(tick), height - BOTTOM)];
        area.draw(&PathElement::new(line, GRID.stroke_width(1)))?;
        let label = (x(tick), height - BOTTOM + 8);
        area.draw(&Text::new(format!("{tick}"), label, at(12, HPos::Center, VPos::Top)))?;
    }

    let mut y = TOP;
    for (name, bars) in &groups {
        let middle = (LEFT - 12, y + bars.len() as i32 * BAR / 2);
        area.draw(&Text::new(name.clone(), middle, at(13, HPos::Right, VPos::Center)))?;
        for (variant, Figure { value, from, to }) in bars {
            let bar = [(LEFT, y + 1), (x(value.max(0.0)), y + BAR - 1)];
            area.draw(&Rectangle::new(bar, color(variant).filled()))?;
            let spread = [(x(from.max(0.0)), y + BAR / 2), (x(to.max(0.0)), y + BAR / 2)];
            area.draw(&PathElement::new(spread, INK.stroke_width(1)))?;
            let figure = (x(to.max(*value)) + 6, y + BAR / 2);
            let figure = Text::new(format!("{value:.2}"), figure, at(11, HPos::Left, VPos::Center));
            area.draw(&figure)?;
            y += BAR;
        }
        y += GAP;
    }

    let mut variants: Vec<&Variant> = Vec::new();
    for (variant, _) in groups.iter().flat_map(|(_, bars)| bars) {
        if variants.iter().all(|known| known.label() != variant.label()) {
            variants.push(variant);
        }
    }
    for (number, variant) in variants.into_iter().enumerate() {
        let left = 16 + number as i32 * (WIDTH - 16) / 7;
        area.draw(&Rectangle::new([(left, 64), (left + 10, 74)], color(variant).filled()))?;
        let label = (left + 16, 69);
        area.draw(&Text::new(variant.label(), label, at(12, HPos::Left, VPos::Center)))?;
    }
    area.present()?;
    Ok(())
}

/// The situation, and each variant's cost as a ratio.
fn group(measured: &Measured) -> Option<(String, Vec<(Variant, Figure)>)> {
    let no_op = measured.find("no-op")?;
    let variants = measured.variants().filter(|variant| **variant != Variant::None);
    let bars = variants.map(|variant| (variant.clone(), measured.ratio(variant, no_op, LOW)));
    Some((measured.situation.name.clone(), bars.collect()))
}
