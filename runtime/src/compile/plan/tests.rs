use super::place::Boxes;
use super::*;

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}

/// A random graph: each step reads one or two tensors that are there and writes a new one.
fn random(random: &mut Random, steps: usize) -> Problem {
    let mut problem = Problem {
        sizes: vec![1 + random.below(40)],
        alignment: [1, 4, 16][random.below(3)],
        ..Problem::default()
    };
    for _ in 0..steps {
        let there = problem.sizes.len();
        let recent = there - 1 - random.below(there.min(3));
        let mut reads = vec![recent];
        if random.below(3) == 0 {
            reads.push(random.below(there));
        }
        let mut size = 1 + random.below(40);
        let mut shares = Vec::new();
        for &read in &reads {
            match random.below(4) {
                0 => {
                    size = problem.sizes[read];
                    shares.push((read, Share::InPlace));
                }
                1 => shares.push((read, Share::Behind(random.below(20)))),
                _ => {}
            }
        }
        shares.retain(|&(read, share)| share != Share::InPlace || problem.sizes[read] == size);
        shares.sort_by_key(|&(read, _)| read);
        shares.dedup_by_key(|&mut (read, _)| read);
        problem.steps.push(Step {
            reads,
            writes: there,
            scratch: [0, 0, 7][random.below(3)],
            shares,
        });
        problem.sizes.push(size);
    }
    problem.output = problem.sizes.len() - 1;
    problem
}

/// Walks the steps over the bytes themselves: each byte of the arena belongs to one tensor, and
/// each step finds its inputs whole.
fn check(problem: &Problem, plan: &Plan) {
    let mut sorted = plan.order.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..problem.steps.len()).collect::<Vec<_>>());
    let mut arena: Vec<Option<usize>> = vec![None; plan.peak];
    let mut used = 0;
    let range = |tensor: usize| plan.offsets[tensor]..plan.offsets[tensor] + problem.sizes[tensor];
    let mut write = |arena: &mut Vec<Option<usize>>, range: std::ops::Range<usize>, owner| {
        assert!(range.start.is_multiple_of(problem.alignment) || range.is_empty());
        used = used.max(range.end);
        arena[range].fill(owner);
    };
    write(&mut arena, range(problem.input), Some(problem.input));
    for &id in &plan.order {
        let step = &problem.steps[id];
        let whole = |arena: &[Option<usize>], tensor: usize| {
            let parts: Vec<usize> = problem
                .inside
                .iter()
                .filter(|part| part.of == tensor)
                .map(|part| part.tensor)
                .collect();
            let owns = |owner: Option<usize>| {
                owner.is_some_and(|owner| owner == tensor || parts.contains(&owner))
            };
            assert!(
                arena[range(tensor)].iter().all(|&owner| owns(owner)),
                "step {id} lost {tensor}: {problem:?} {plan:?}"
            );
        };
        for &read in &step.reads {
            whole(&arena, read);
        }
        let scratch = plan.scratch[id]..plan.scratch[id] + step.scratch;
        write(&mut arena, scratch, None);
        for &read in &step.reads {
            // The scratch took nothing of what is read, nor does the output more than it may.
            whole(&arena, read);
            let (output, input) = (range(step.writes), range(read));
            let apart = output.end <= input.start || input.end <= output.start;
            let share = step.shares.iter().find(|share| share.0 == read);
            let allowed = match share {
                Some((_, Share::InPlace)) => output.start == input.start,
                Some((_, Share::Behind(gap))) => output.start + gap <= input.start,
                None => false,
            };
            assert!(apart || allowed, "step {id}: {problem:?} {plan:?}");
        }
        write(&mut arena, range(step.writes), Some(step.writes));
    }
    assert!(
        arena[range(problem.output)]
            .iter()
            .all(|&owner| owner == Some(problem.output))
            || !problem.inside.is_empty()
    );
    assert_eq!(
        used.max(range(problem.output).end),
        plan.peak,
        "the peak is exact"
    );
    let live = live_ends(problem, plan);
    assert_eq!(live.into_iter().max(), Some(plan.peak));
    assert!(plan.bound <= plan.peak, "{problem:?} {plan:?}");
}

#[test]
fn no_two_tensors_that_are_needed_share_a_byte() {
    let mut source = Random(7);
    for round in 0..400 {
        let steps = 1 + source.below(if round % 20 == 0 { 40 } else { 9 });
        let problem = random(&mut source, steps);
        check(&problem, &plan(&problem));
    }
}

/// The least peak over all orders of the boxes in the arena: each as low as those before allow.
fn brute_force(
    boxes: &Boxes,
    placed: &mut Vec<usize>,
    offsets: &mut Vec<usize>,
    least: &mut usize,
) {
    if placed.len() == boxes.len() {
        let end = |id: &usize| offsets[*id] + boxes.size[*id];
        *least = (*least).min(placed.iter().map(end).max().unwrap_or(0));
    }
    for id in 0..boxes.len() {
        if placed.contains(&id) {
            continue;
        }
        let apart = boxes.apart[id]
            .iter()
            .filter(|apart| placed.contains(&apart.other));
        offsets[id] = apart
            .map(|apart| offsets[apart.other] + apart.before)
            .max()
            .unwrap_or(0);
        placed.push(id);
        brute_force(boxes, placed, offsets, least);
        placed.pop();
    }
}

#[test]
fn small_graphs_are_placed_as_by_brute_force() {
    let mut source = Random(11);
    let (mut found_by_greedy, mut total) = (0, 0);
    for _ in 0..150 {
        let steps = 1 + source.below(5);
        let problem = random(&mut source, steps);
        let order: Vec<usize> = (0..steps).collect();
        let merges = buffers::merges(&problem, &order);
        let boxes = Buffers::new(&problem, &order, &merges).boxes;
        if boxes.len() > 7 {
            continue;
        }
        let mut least = usize::MAX;
        brute_force(
            &boxes,
            &mut Vec::new(),
            &mut vec![0; boxes.len()],
            &mut least,
        );
        let bound = order::peak(&problem, &order);
        assert_eq!(place::best(&boxes, bound).peak, least, "{problem:?}");
        assert!(bound <= least, "{bound} {least} {problem:?}");
        found_by_greedy += usize::from(place::greedy(&boxes, 0).peak == least);
        total += 1;
    }
    assert!(
        total > 80 && found_by_greedy > total / 2,
        "{found_by_greedy} of {total}"
    );
}

/// The least peak over all topological orders.
fn all_orders(problem: &Problem, order: &mut Vec<usize>, least: &mut usize) {
    if order.len() == problem.steps.len() {
        *least = (*least).min(order::peak(problem, order));
    }
    for id in 0..problem.steps.len() {
        let there = |read: &usize| {
            let mut writers =
                (0..problem.steps.len()).filter(|&step| problem.steps[step].writes == *read);
            writers.all(|writer| order.contains(&writer))
        };
        if !order.contains(&id) && problem.steps[id].reads.iter().all(there) {
            order.push(id);
            all_orders(problem, order, least);
            order.pop();
        }
    }
}

#[test]
fn the_order_is_the_best_of_all() {
    let mut source = Random(5);
    let mut better = 0;
    for _ in 0..100 {
        let problem = random(&mut source, 6);
        let mut least = usize::MAX;
        all_orders(&problem, &mut Vec::new(), &mut least);
        let order = order::lowest(&problem).expect("six steps");
        assert_eq!(order::peak(&problem, &order), least, "{problem:?}");
        let given: Vec<usize> = (0..6).collect();
        better += usize::from(least < order::peak(&problem, &given));
    }
    assert!(better > 0, "an order was never changed");
}

fn chain(sizes: &[usize], share: Option<Share>) -> Problem {
    let step = |id: usize| Step {
        reads: vec![id],
        writes: id + 1,
        scratch: 0,
        shares: share.map(|share| (id, share)).into_iter().collect(),
    };
    Problem {
        sizes: sizes.to_vec(),
        steps: (0..sizes.len() - 1).map(step).collect(),
        input: 0,
        output: sizes.len() - 1,
        alignment: 1,
        inside: Vec::new(),
    }
}

#[test]
fn chains_need_their_fullest_pair() {
    let mut source = Random(3);
    for _ in 0..100 {
        let sizes: Vec<usize> = (0..3 + source.below(30))
            .map(|_| 1 + source.below(1000))
            .collect();
        let pairs = sizes.windows(2).map(|pair| pair[0] + pair[1]);
        let plan = plan(&chain(&sizes, None));
        assert_eq!(
            (plan.peak, plan.bound),
            (pairs.clone().max().unwrap(), plan.peak),
            "{sizes:?}"
        );
    }
    let same = chain(&[100; 9], Some(Share::InPlace));
    assert_eq!(plan(&same).peak, 100);
    // Each output starts 10 bytes before its input, until there is room behind.
    let shifted = plan(&chain(&[100; 9], Some(Share::Behind(10))));
    assert_eq!((shifted.peak, shifted.bound), (180, 110));
    check(&chain(&[100; 9], Some(Share::Behind(10))), &shifted);
}

/// Two branches that each widen before they narrow: one after the other.
#[test]
fn branches_run_one_after_the_other() {
    let step = |reads: &[usize], writes| Step {
        reads: reads.to_vec(),
        writes,
        ..Step::default()
    };
    let problem = Problem {
        sizes: vec![10, 100, 100, 10, 10, 10],
        steps: vec![
            step(&[0], 1),
            step(&[0], 2),
            step(&[1], 3),
            step(&[2], 4),
            step(&[3, 4], 5),
        ],
        input: 0,
        output: 5,
        alignment: 1,
        inside: Vec::new(),
    };
    let found = plan(&problem);
    assert_eq!((found.peak, found.bound), (120, 120));
    check(&problem, &found);
    // Joined: the parts are written where the whole has them, and nothing is copied.
    let joined = Problem {
        sizes: vec![10, 100, 100, 10, 10, 20, 1],
        steps: vec![
            step(&[0], 1),
            step(&[0], 2),
            step(&[1], 3),
            step(&[2], 4),
            step(&[5], 6),
        ],
        output: 6,
        inside: vec![
            Inside {
                tensor: 3,
                of: 5,
                at: 0,
            },
            Inside {
                tensor: 4,
                of: 5,
                at: 10,
            },
        ],
        ..problem
    };
    let found = plan(&joined);
    assert_eq!(found.offsets[4], found.offsets[3] + 10);
    assert_eq!(found.peak, 130);
    check(&joined, &found);
}

#[test]
fn what_has_no_steps_is_its_input() {
    let problem = Problem {
        sizes: vec![12, 5],
        alignment: 16,
        ..Problem::default()
    };
    let plan = plan(&problem);
    assert_eq!((plan.peak, plan.offsets[0]), (12, 0));
}

#[test]
fn scratch_that_is_given_back_has_a_place_all_the_same() {
    let mut source = Random(77);
    let mut given_back = 0;
    for _ in 0..300 {
        let mut problem = random(&mut source, 6);
        let planned = plan(&problem);
        for step in &mut problem.steps {
            step.scratch = 0;
        }
        let plan = with_scratch_of(&problem, planned.clone());
        check(&problem, &plan);
        assert!(plan.scratch.iter().all(|&offset| offset <= plan.peak));
        given_back += usize::from(planned.scratch.iter().any(|&offset| offset > plan.peak));
    }
    assert!(given_back > 0);
}
