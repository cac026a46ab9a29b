//! Where each box and each line stands: in rows, so that every line leads down.
//!
//! The steps are those of Sugiyama, Tagawa and Toda ("Methods for visual understanding of
//! hierarchical system structures", 1981): rows, an order in each row with few crossings, and a
//! place for each that is near what it is joined to. A line over several rows passes those between
//! in a lane; all lines to one box share a lane.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;

/// The size of a box.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// A place; `y` grows downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// Where everything stands.
pub(crate) struct Layout {
    /// The middle of each box's upper edge.
    pub(crate) boxes: Vec<Point>,
    /// Pieces of lines.
    pub(crate) lines: Vec<Line>,
    pub(crate) height: f64,
}

/// A piece of a line, between two rows.
pub(crate) struct Line {
    pub(crate) from: Point,
    /// Where the row ends that it comes from: the line is straight as far as that.
    pub(crate) leaves: f64,
    pub(crate) to: Point,
    /// Whether it ends at a box, not in a lane.
    pub(crate) arrives: bool,
}

/// The room between boxes, beside a lane, between rows.
const APART: f64 = 22.0;
const LANE: f64 = 10.0;
const GAP: f64 = 54.0;

/// Where boxes and the arrows between them stand inside `width`, from `top` downwards. None of the
/// arrows may close a circle.
pub(crate) fn layout(
    sizes: &[Size],
    arrows: &[(usize, usize)],
    width: RangeInclusive<f64>,
    top: f64,
) -> Layout {
    let row = rows(sizes, arrows, width.end() - width.start());
    let mut grid = Grid::new(sizes, arrows, &row);
    grid.order();
    grid.place(&width);
    grid.drawn(sizes, top)
}

/// The row of each box: below all that lead to it, and near to what it leads to. A row that is
/// wider than the picture becomes several.
fn rows(sizes: &[Size], arrows: &[(usize, usize)], width: f64) -> Vec<usize> {
    let mut row = vec![0; sizes.len()];
    let lower = |row: &mut Vec<usize>| {
        // The longest way has fewer arrows than there are boxes.
        for _ in 0..sizes.len() {
            for (from, to) in arrows {
                row[*to] = row[*to].max(row[*from] + 1);
            }
        }
    };
    lower(&mut row);
    // What leads to more than leads to it stands nearer to them.
    let mut by_row: Vec<_> = (0..sizes.len()).collect();
    by_row.sort_by_key(|node| std::cmp::Reverse(row[*node]));
    for node in by_row {
        let below = arrows.iter().filter(|(from, _)| *from == node).map(|(_, to)| row[*to]);
        let above = arrows.iter().filter(|(_, to)| *to == node).count();
        if below.clone().count() > above
            && let Some(nearest) = below.min()
        {
            row[node] = nearest - 1;
        }
    }
    for wide in 0.. {
        let here: Vec<_> = (0..sizes.len()).filter(|node| row[*node] == wide).collect();
        if here.is_empty() && row.iter().all(|row| *row < wide) {
            break;
        }
        let mut used = 0.0;
        let over = here.into_iter().skip_while(|node| {
            used += sizes[*node].width + APART;
            used - APART <= width
        });
        let over: Vec<_> = over.collect();
        if !over.is_empty() {
            row.iter_mut().filter(|row| **row > wide).for_each(|row| *row += 1);
            over.into_iter().for_each(|node| row[node] = wide + 1);
        }
    }
    row
}

/// A box, or the lane in a row of all lines that lead to a box further down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Cell {
    Box(usize),
    Lane { to: usize, row: usize },
}

/// Cells of a row that move together.
struct Pool {
    shift: f64,
    weight: f64,
    cells: usize,
}

struct Grid {
    rows: Vec<Vec<Cell>>,
    row: HashMap<Cell, usize>,
    width: HashMap<Cell, f64>,
    /// Each from one row to the next.
    links: BTreeSet<(Cell, Cell)>,
    x: HashMap<Cell, f64>,
}

impl Grid {
    fn new(sizes: &[Size], arrows: &[(usize, usize)], row: &[usize]) -> Self {
        let mut grid = Self {
            rows: vec![Vec::new(); row.iter().max().map_or(0, |last| last + 1)],
            row: HashMap::new(),
            width: HashMap::new(),
            links: BTreeSet::new(),
            x: HashMap::new(),
        };
        for (node, size) in sizes.iter().enumerate() {
            grid.add(Cell::Box(node), row[node], size.width);
        }
        for (from, to) in arrows {
            let mut before = Cell::Box(*from);
            for between in row[*from] + 1..row[*to] {
                let lane = Cell::Lane { to: *to, row: between };
                grid.add(lane, between, LANE);
                grid.links.insert((before, lane));
                before = lane;
            }
            grid.links.insert((before, Cell::Box(*to)));
        }
        grid
    }

    fn add(&mut self, cell: Cell, row: usize, width: f64) {
        if self.row.insert(cell, row).is_none() {
            self.rows[row].push(cell);
            self.width.insert(cell, width);
        }
    }

    /// The cells that a cell is linked to in the row above, or below.
    fn beside(&self, cell: Cell, above: bool) -> impl Iterator<Item = Cell> {
        self.links.iter().filter_map(move |(upper, lower)| match above {
            true if *lower == cell => Some(*upper),
            false if *upper == cell => Some(*lower),
            _ => None,
        })
    }

    // === The order in each row ===

    /// Sweeps down and up, each row by the mean place of what it is linked to; keeps the best.
    fn order(&mut self) {
        let mut best = (self.crossings(), self.rows.clone());
        for sweep in 0..40 {
            let down = sweep % 2 == 0;
            let mut order: Vec<_> = (0..self.rows.len()).collect();
            if !down {
                order.reverse();
            }
            for row in order {
                self.sort(row, down);
                self.swap(row);
            }
            let crossings = self.crossings();
            if crossings < best.0 {
                best = (crossings, self.rows.clone());
            }
        }
        self.rows = best.1;
    }

    fn sort(&mut self, row: usize, by_above: bool) {
        let place = self.places();
        let mean = |cell: &Cell| {
            let beside: Vec<_> = self.beside(*cell, by_above).map(|cell| place[&cell]).collect();
            match beside.len() {
                0 => place[cell],
                count => beside.iter().sum::<f64>() / count as f64,
            }
        };
        let mut keyed: Vec<_> = self.rows[row].iter().map(|cell| (mean(cell), *cell)).collect();
        keyed.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        self.rows[row] = keyed.into_iter().map(|(_, cell)| cell).collect();
    }

    /// Swaps neighbours while that unties a crossing.
    fn swap(&mut self, row: usize) {
        let mut crossings = self.crossings();
        for _ in 0..self.rows[row].len() {
            let before = crossings;
            for left in 1..self.rows[row].len() {
                self.rows[row].swap(left - 1, left);
                let now = self.crossings();
                if now < crossings {
                    crossings = now;
                } else {
                    self.rows[row].swap(left - 1, left);
                }
            }
            if crossings == before {
                break;
            }
        }
    }

    /// The place of each cell in its row, from 0 to 1.
    fn places(&self) -> HashMap<Cell, f64> {
        let rows = self.rows.iter().flat_map(|row| {
            let count = row.len() as f64;
            row.iter().enumerate().map(move |(at, cell)| (*cell, (at as f64 + 0.5) / count))
        });
        rows.collect()
    }

    fn crossings(&self) -> usize {
        let place = self.places();
        let mut by_row: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
        for (upper, lower) in &self.links {
            by_row.entry(self.row[upper]).or_default().push((place[upper], place[lower]));
        }
        let crossing = |links: &Vec<(f64, f64)>| -> usize {
            let crosses = |a: &(f64, f64), b: &(f64, f64)| (a.0 - b.0) * (a.1 - b.1) < 0.0;
            (0..links.len())
                .map(|a| links[..a].iter().filter(|b| crosses(&links[a], b)).count())
                .sum()
        };
        by_row.values().map(crossing).sum()
    }

    // === The place in each row ===

    fn place(&mut self, width: &RangeInclusive<f64>) {
        let middle = (width.start() + width.end()) / 2.0;
        for row in 0..self.rows.len() {
            self.settle(row, width, |_, _| (middle, 1.0));
        }
        for sweep in 0..60 {
            let above = sweep % 2 == 0;
            let mut order: Vec<_> = (0..self.rows.len()).collect();
            if !above {
                order.reverse();
            }
            for row in order {
                self.settle(row, width, |grid, cell| {
                    let mut beside: Vec<_> = grid.beside(cell, above).collect();
                    // The last sweeps look both ways.
                    if sweep > 30 {
                        beside.extend(grid.beside(cell, !above));
                    }
                    grid.mean(cell, &beside)
                });
            }
        }
        // To the middle of the picture.
        let half = |cell: &Cell| self.width[cell] / 2.0;
        let left = self.x.iter().map(|(cell, x)| x - half(cell)).fold(f64::INFINITY, f64::min);
        let right = self.x.iter().map(|(cell, x)| x + half(cell)).fold(0.0, f64::max);
        let shift = middle - (left + right) / 2.0;
        self.x.values_mut().for_each(|x| *x += shift);
    }

    /// Where a cell wants to stand, and how much: a lane keeps straight.
    fn mean(&self, cell: Cell, beside: &[Cell]) -> (f64, f64) {
        let is_lane = |cell: &Cell| matches!(cell, Cell::Lane { .. });
        let weight = |other: &Cell| if is_lane(&cell) && is_lane(other) { 8.0 } else { 1.0 };
        let sum: f64 = beside.iter().map(|other| self.x[other] * weight(other)).sum();
        let weights: f64 = beside.iter().map(weight).sum();
        if beside.is_empty() { (self.x[&cell], 0.1) } else { (sum / weights, weights) }
    }

    /// Moves the cells of a row as near as can be (by squares) to where each wants to stand, in
    /// their order and without touching: an isotonic regression, by pooling adjacent violators.
    fn settle(
        &mut self,
        row: usize,
        width: &RangeInclusive<f64>,
        wants: impl Fn(&Self, Cell) -> (f64, f64),
    ) {
        let cells = &self.rows[row];
        // Where each would stand if all were pushed to the left.
        let mut least = Vec::new();
        let mut end = *width.start();
        for cell in cells {
            least.push(end + self.width[cell] / 2.0);
            end += self.width[cell] + APART;
        }
        let spare = (width.end() - (end - APART)).max(0.0);
        let mut pools: Vec<Pool> = Vec::new();
        for (cell, least) in cells.iter().zip(&least) {
            let (place, weight) = wants(self, *cell);
            let mut pool = Pool { shift: place - least, weight, cells: 1 };
            while let Some(left) = pools.pop_if(|left| left.shift >= pool.shift) {
                let weight = left.weight + pool.weight;
                let shift = (left.shift * left.weight + pool.shift * pool.weight) / weight;
                pool = Pool { shift, weight, cells: left.cells + pool.cells };
            }
            pools.push(pool);
        }
        let shifts = pools.iter().flat_map(|pool| vec![pool.shift.clamp(0.0, spare); pool.cells]);
        let places: Vec<_> = cells.iter().copied().zip(least).zip(shifts).collect();
        self.x.extend(places.into_iter().map(|((cell, x), shift)| (cell, x + shift)));
    }

    // === The lines ===

    fn drawn(&self, sizes: &[Size], top: f64) -> Layout {
        // The upper and the lower edge of each row.
        let mut edges = Vec::new();
        let mut y = top;
        for row in &self.rows {
            let height = row.iter().map(|cell| match cell {
                Cell::Box(node) => sizes[*node].height,
                Cell::Lane { .. } => 0.0,
            });
            let height = height.fold(0.0, f64::max);
            edges.push((y, y + height));
            y += height + GAP;
        }
        let upper = |cell: &Cell| edges[self.row[cell]].0;
        let line = |(from, to): &(Cell, Cell)| {
            let (starts, leaves) = match from {
                Cell::Box(node) => (upper(from) + sizes[*node].height, edges[self.row[from]].1),
                Cell::Lane { .. } => (upper(from), edges[self.row[from]].1),
            };
            Line {
                from: Point { x: self.port(*from, *to, false), y: starts },
                leaves,
                to: Point { x: self.port(*to, *from, true), y: upper(to) },
                arrives: matches!(to, Cell::Box(_)),
            }
        };
        let place = |node| Point { x: self.x[&Cell::Box(node)], y: upper(&Cell::Box(node)) };
        Layout {
            boxes: (0..sizes.len()).map(place).collect(),
            lines: self.links.iter().map(line).collect(),
            height: y - GAP,
        }
    }

    /// Where a link meets a cell: lines that meet the same edge of a box stand side by side.
    fn port(&self, cell: Cell, other: Cell, above: bool) -> f64 {
        let Cell::Box(_) = cell else { return self.x[&cell] };
        let mut all: Vec<_> = self.beside(cell, above).collect();
        all.sort_by(|a, b| self.x[a].total_cmp(&self.x[b]));
        let at = all.iter().position(|beside| *beside == other).unwrap_or(0) as f64;
        let apart = (self.width[&cell] * 0.7 / all.len() as f64).min(26.0);
        self.x[&cell] + (at - (all.len() as f64 - 1.0) / 2.0) * apart
    }
}
