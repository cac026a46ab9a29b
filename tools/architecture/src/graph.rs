//! Circles, layers, and the arrows that say all the others.

use petgraph::algo::tred::{dag_to_toposorted_adjacency_list, dag_transitive_reduction_closure};
use petgraph::algo::{condensation, tarjan_scc, toposort};
use petgraph::graph::{DiGraph, NodeIndex};
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Nodes by number, and arrows between them, each once.
pub(crate) struct Graph {
    nodes: usize,
    arrows: BTreeSet<(usize, usize)>,
}

impl Graph {
    pub(crate) fn new(nodes: usize, arrows: impl IntoIterator<Item = (usize, usize)>) -> Self {
        Self { nodes, arrows: arrows.into_iter().collect() }
    }

    pub(crate) fn arrows(&self) -> impl Iterator<Item = (usize, usize)> {
        self.arrows.iter().copied()
    }

    fn graph(&self) -> DiGraph<usize, ()> {
        let mut graph = DiGraph::new();
        let nodes: Vec<_> = (0..self.nodes).map(|node| graph.add_node(node)).collect();
        for (from, to) in self.arrows() {
            graph.add_edge(nodes[from], nodes[to], ());
        }
        graph
    }

    /// For each strongly connected component of several nodes its shortest way round, which ends
    /// where it began.
    pub(crate) fn circles(&self) -> Vec<Vec<usize>> {
        let components = tarjan_scc(&self.graph()).into_iter().filter(|nodes| nodes.len() > 1);
        let mut ways: Vec<_> = components
            .filter_map(|nodes| {
                let ways = nodes.iter().filter_map(|node| self.round(node.index()));
                ways.min_by_key(|way| (way.len(), way.clone()))
            })
            .collect();
        ways.sort();
        ways
    }

    /// The shortest way from a node back to itself.
    fn round(&self, start: usize) -> Option<Vec<usize>> {
        let mut came_from = HashMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for (_, to) in self.arrows.range((node, 0)..(node + 1, 0)) {
                if *to == start {
                    let mut way = vec![start, node];
                    while let Some(before) = came_from.get(way.last()?).copied() {
                        way.push(before);
                    }
                    if node == start {
                        way.pop();
                    }
                    way.reverse();
                    return Some(way);
                }
                if !came_from.contains_key(to) {
                    came_from.insert(*to, node);
                    queue.push_back(*to);
                }
            }
        }
        None
    }

    /// The length of the longest way, in nodes; a circle counts as one.
    pub(crate) fn layers(&self) -> usize {
        let graph = condensation(self.graph(), true);
        let Ok(order) = toposort(&graph, None) else { return 0 };
        let mut layer: HashMap<NodeIndex, usize> = HashMap::new();
        for node in order {
            let own = *layer.entry(node).or_insert(1);
            for below in graph.neighbors(node) {
                let layer = layer.entry(below).or_insert(1);
                *layer = (*layer).max(own + 1);
            }
        }
        layer.into_values().max().unwrap_or(0)
    }

    /// Splits the arrows: those that lead down, and those that close a circle.
    pub(crate) fn untied(&self) -> (Self, Vec<(usize, usize)>) {
        let mut down = Self::new(self.nodes, []);
        let mut back = Vec::new();
        // An arrow inside a component is taken as long as no circle comes of it.
        for (from, to) in self.arrows() {
            down.arrows.insert((from, to));
            if down.round(from).is_some() {
                down.arrows.remove(&(from, to));
                back.push((from, to));
            }
        }
        (down, back)
    }

    /// Without the arrows that a longer way says too. There must be no circle.
    pub(crate) fn reduced(&self) -> Self {
        let graph = self.graph();
        let Ok(order) = toposort(&graph, None) else {
            return Self::new(self.nodes, self.arrows());
        };
        let (list, _) = dag_to_toposorted_adjacency_list::<_, u32>(&graph, &order);
        let (reduced, _) = dag_transitive_reduction_closure(&list);
        let node = |sorted: u32| order[sorted as usize].index();
        let arrows = reduced.edge_indices().filter_map(|edge| reduced.edge_endpoints(edge));
        Self::new(self.nodes, arrows.map(|(from, to)| (node(from), node(to))))
    }
}
