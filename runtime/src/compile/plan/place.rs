//! Offsets of boxes: each has a size and a time, and boxes of one time lie apart.

/// Placements that the exact search looks at, at most.
const NODES: usize = 60_000;
/// Boxes up to which the exact search is tried.
const EXACT: usize = 24;
/// Changes that are tried on the best greedy order.
const CHANGES: usize = 1_500;

/// What is to be placed.
pub(super) struct Boxes {
    alignment: usize,
    pub(super) size: Vec<usize>,
    /// The first position at which each is needed.
    pub(super) from: Vec<usize>,
    /// The last.
    pub(super) to: Vec<usize>,
    /// For each box, those that it must lie apart from.
    pub(super) apart: Vec<Vec<Apart>>,
}

/// How far two boxes must lie apart; multiples of the alignment.
#[derive(Clone, Copy)]
pub(super) struct Apart {
    pub(super) other: usize,
    /// How much later the other must start, if it comes later in the arena.
    pub(super) after: usize,
    /// How much earlier the other must start, if it comes earlier.
    pub(super) before: usize,
}

/// Where boxes lie.
#[derive(Clone)]
pub(super) struct Placement {
    pub(super) offsets: Vec<usize>,
    /// The greatest end.
    pub(super) peak: usize,
}

impl Boxes {
    pub(super) fn new(alignment: usize) -> Self {
        Self {
            alignment: alignment.max(1),
            size: Vec::new(),
            from: Vec::new(),
            to: Vec::new(),
            apart: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.size.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.size.is_empty()
    }

    /// Adds a box; gives its number.
    pub(super) fn push(&mut self, size: usize, from: usize, to: usize) -> usize {
        self.size.push(size);
        self.from.push(from);
        self.to.push(to);
        self.len() - 1
    }

    /// Lets a box hold more, for longer.
    pub(super) fn widen(&mut self, id: usize, size: usize, from: usize, to: usize) {
        self.size[id] = self.size[id].max(size);
        self.from[id] = self.from[id].min(from);
        self.to[id] = self.to[id].max(to);
    }

    /// Finds which boxes must lie apart. Of `behind`, `(first, second, gap)`, the second may start
    /// `gap` after the first, if it comes later.
    pub(super) fn connect(&mut self, behind: &[(usize, usize, usize)]) {
        let align = |bytes: usize| bytes.next_multiple_of(self.alignment);
        let start = |first: usize, second: usize| {
            let gaps = behind
                .iter()
                .filter(|&&(f, s, _)| (f, s) == (first, second));
            let size = self.size[first];
            align(gaps.map(|&(_, _, gap)| gap).min().unwrap_or(size).min(size))
        };
        let apart = |a: usize| {
            let together = |&b: &usize| self.from[a] <= self.to[b] && self.from[b] <= self.to[a];
            let others = (0..self.len()).filter(|&b| b != a).filter(together);
            let apart = others.map(|b| Apart {
                other: b,
                after: start(a, b),
                before: start(b, a),
            });
            apart.collect()
        };
        let apart = (0..self.len()).map(apart).collect();
        self.apart = apart;
    }

    fn placement(&self, offsets: Vec<usize>) -> Placement {
        let ends = offsets.iter().zip(&self.size).map(|(at, size)| at + size);
        let peak = ends.max().unwrap_or(0);
        Placement { offsets, peak }
    }

    /// Each box at the lowest offset that those before it leave.
    pub(super) fn lowest_fit(&self, order: &[usize]) -> Placement {
        let mut placed = vec![None; self.len()];
        for &id in order {
            let mut at = 0;
            while let Some(next) = self.apart[id].iter().find_map(|apart| {
                let other: usize = placed[apart.other]?;
                let clash = at < other + apart.before && other < at + apart.after;
                clash.then_some(other + apart.before)
            }) {
                at = next;
            }
            placed[id] = Some(at);
        }
        self.placement(placed.into_iter().map(|at| at.unwrap_or(0)).collect())
    }
}

/// The orders in which boxes are placed greedily.
fn orders(boxes: &Boxes) -> Vec<Vec<usize>> {
    let Boxes { size, from, to, .. } = boxes;
    let life = |id: usize| to[id] - from[id] + 1;
    let last = to.iter().copied().max().unwrap_or(0);
    // The fullest position at which a box is needed.
    let load: Vec<usize> = (0..=last)
        .map(|at| {
            (0..boxes.len())
                .filter(|&id| from[id] <= at && at <= to[id])
                .map(|id| size[id])
                .sum()
        })
        .collect();
    let fullest = |id: usize| load[from[id]..=to[id]].iter().copied().max().unwrap_or(0);
    let keys: [&dyn Fn(usize) -> (usize, usize); 8] = [
        &|id| (usize::MAX - size[id], usize::MAX - life(id)),
        &|id| (usize::MAX - life(id), usize::MAX - size[id]),
        &|id| (usize::MAX - size[id].saturating_mul(life(id)), from[id]),
        &|id| (from[id], usize::MAX - size[id]),
        &|id| (usize::MAX - from[id], usize::MAX - size[id]),
        &|id| (to[id], usize::MAX - size[id]),
        &|id| (usize::MAX - to[id], usize::MAX - size[id]),
        &|id| (usize::MAX - fullest(id), usize::MAX - size[id]),
    ];
    let order = |key: &dyn Fn(usize) -> (usize, usize)| {
        let mut order: Vec<usize> = (0..boxes.len()).collect();
        order.sort_by_key(|&id| key(id));
        order
    };
    keys.map(order).to_vec()
}

/// The best of the greedy orders; as soon as one is as small as `bound`, that one.
pub(super) fn greedy(boxes: &Boxes, bound: usize) -> Placement {
    greedy_order(boxes, bound).0
}

fn greedy_order(boxes: &Boxes, bound: usize) -> (Placement, Vec<usize>) {
    let mut best: Option<(Placement, Vec<usize>)> = None;
    for order in orders(boxes) {
        let found = boxes.lowest_fit(&order);
        if best.as_ref().is_none_or(|(best, _)| found.peak < best.peak) {
            best = Some((found, order));
        }
        if best.as_ref().is_some_and(|(best, _)| best.peak <= bound) {
            break;
        }
    }
    best.unwrap_or((boxes.placement(Vec::new()), Vec::new()))
}

/// The best placement that is found. `bound`: no placement is smaller.
pub(super) fn best(boxes: &Boxes, bound: usize) -> Placement {
    let (mut best, order) = greedy_order(boxes, bound);
    if best.peak > bound {
        best = improve(boxes, best, order, bound);
    }
    if best.peak > bound && boxes.len() <= EXACT {
        let mut search = Search::new(boxes, best, bound);
        search.go(0, None, 0);
        best = search.best;
    }
    best
}

/// Moves boxes within the order as long as it does not get worse.
fn improve(boxes: &Boxes, mut best: Placement, mut order: Vec<usize>, bound: usize) -> Placement {
    // Marsaglia's xorshift64: the same plan on every machine.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for _ in 0..CHANGES {
        if best.peak <= bound {
            break;
        }
        let mut other = order.clone();
        let id = other.remove(random(order.len()));
        other.insert(random(order.len()), id);
        let found = boxes.lowest_fit(&other);
        if found.peak <= best.peak {
            (best, order) = (found, other);
        }
    }
    best
}

/// The exact search. In some best placement each box lies at 0 or as low as those before it in the
/// arena allow, so it is enough to look at the orders in the arena; offsets never fall along them.
struct Search<'a> {
    boxes: &'a Boxes,
    bound: usize,
    placed: Vec<Option<usize>>,
    /// For each position, the boxes that are needed, the bytes that at most can be saved by overlaps
    /// and rounding there.
    times: Vec<(Vec<usize>, usize)>,
    best: Placement,
    nodes: usize,
}

impl<'a> Search<'a> {
    fn new(boxes: &'a Boxes, best: Placement, bound: usize) -> Self {
        let last = boxes.to.iter().copied().max().unwrap_or(0);
        let times = (0..=last).map(|at| {
            let here = (0..boxes.len()).filter(|&id| boxes.from[id] <= at && at <= boxes.to[id]);
            let here: Vec<usize> = here.collect();
            let saved = here.iter().flat_map(|&id| {
                let aligned = boxes.size[id].next_multiple_of(boxes.alignment);
                let pairs = boxes.apart[id]
                    .iter()
                    .filter(|apart| here.contains(&apart.other));
                pairs.map(move |apart| aligned - apart.after)
            });
            let saved = saved.sum::<usize>() + boxes.alignment - 1;
            (here, saved)
        });
        Self {
            boxes,
            bound,
            placed: vec![None; boxes.len()],
            times: times.collect(),
            best,
            nodes: 0,
        }
    }

    /// Whether what is left cannot lie at `lowest` and above and be smaller than the best.
    fn hopeless(&self, lowest: usize) -> bool {
        let aligned = |&id: &usize| self.boxes.size[id].next_multiple_of(self.boxes.alignment);
        self.times.iter().any(|(here, saved)| {
            let left = here.iter().filter(|&&id| self.placed[id].is_none());
            let left: usize = left.map(aligned).sum();
            left > 0 && lowest + left.saturating_sub(*saved) >= self.best.peak
        })
    }

    fn go(&mut self, count: usize, last: Option<usize>, peak: usize) {
        if count == self.boxes.len() {
            if peak < self.best.peak {
                let offsets = self.placed.iter().map(|at| at.unwrap_or(0)).collect();
                self.best = Placement { offsets, peak };
            }
            return;
        }
        let lowest = last.and_then(|last| self.placed[last]).unwrap_or(0);
        if self.hopeless(lowest) {
            return;
        }
        let mut choices = Vec::new();
        for id in (0..self.boxes.len()).filter(|&id| self.placed[id].is_none()) {
            let apart = &self.boxes.apart[id];
            let starts = apart
                .iter()
                .filter_map(|apart| Some(self.placed[apart.other]? + apart.before));
            let at = starts.max().unwrap_or(0);
            let end = at + self.boxes.size[id];
            if end >= self.best.peak {
                return;
            }
            // Of boxes with one offset that have nothing to do with each other, one order will do.
            let twin = last.is_some_and(|last| {
                at == lowest && id < last && !apart.iter().any(|apart| apart.other == last)
            });
            if at >= lowest && !twin {
                choices.push((at, self.boxes.size[id], id));
            }
        }
        choices.sort_by_key(|&(at, size, id)| (at, usize::MAX - size, id));
        for (at, size, id) in choices {
            self.nodes += 1;
            if self.nodes > NODES || self.best.peak <= self.bound {
                return;
            }
            self.placed[id] = Some(at);
            self.go(count + 1, Some(id), peak.max(at + size));
            self.placed[id] = None;
        }
    }
}
