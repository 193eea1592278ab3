//! Convolutions of one group, some columns at a time, and those of one output pixel. Equation (6).

use super::columns::{Columns, Room, is_flat};
use super::constants::Constants;
use super::loops;
use super::vectors::Way;
use super::{Core, apart, clamp, makes, room, scratch, start};
use crate::layer::Conv;
use crate::operators::{Operator, Set};
use crate::packing::{Packing, QUAD};

/// Fours of a column that is there as it is up to which it gets lanes.
const MOST_FOURS: usize = 32;
/// Output channels from which on it gets them.
const LEAST_CHANNELS: u32 = 8;

/// Columns that are computed together.
const COLUMNS: usize = loops::COLUMNS;

/// What the inner loops take. `dsp.s` knows the places.
#[repr(C)]
pub struct Task {
    /// The columns' lanes.
    pub columns: *const u32,
    /// Fours of taps.
    pub fours: usize,
    /// The end of the lanes.
    pub end: *const u32,
    /// Biases.
    pub bias: *const i32,
    /// Bytes from behind a pair's weights to the next pair's, in turns.
    pub turns: [isize; 2],
    /// Factors; 0 where there is none.
    pub factors: *const i32,
    /// Bytes to the next factors.
    pub factor_step: usize,
    /// Bytes from biases to multipliers.
    pub to_multipliers: isize,
    /// Of the output.
    pub zero_point: i32,
    /// Bytes from the first column's output to the others; 0 for a column that is not there.
    pub offsets: [usize; 2],
    /// The first column's output.
    pub output: *mut u8,
    /// Behind its last channel.
    pub output_end: *mut u8,
    /// Bytes from a pair's first output to its second; 0 where that is not there.
    pub second: usize,
    /// Weights.
    pub weights: *const u8,
    /// Fills up the words that are copied.
    pub more: usize,
}

/// How a convolution is computed.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Whether it gives one pixel.
    point: bool,
    /// Fours of taps.
    fours: usize,
    /// Whether the one column is the input as it lies there.
    straight: bool,
    /// Whether weights are read two at a time.
    twos: bool,
    /// What columns take.
    room: Room,
    /// How they are made.
    ways: Set,
    /// For which loops.
    core: Core,
}

impl Plan {
    /// For the loops of such cores, those of the set; none where they do not take it.
    pub fn of(conv: &Conv<'_>, core: Core, set: Set) -> Option<Self> {
        let output = conv.output.shape;
        let (input, shape) = (conv.input.shape, conv.kernel_shape());
        let twos = set.has(Operator::Twos) && conv.packing == Packing::Twos;
        let fits = (twos || conv.packing == Packing::Quads)
            && conv.groups == 1
            && conv.weight_zero_points.is_empty()
            && makes(&conv.window, &input, &output);
        let taps = Packing::taps(shape);
        let fours = taps.div_ceil(4);
        let point = output.pixels() == 1;
        let straight =
            point && taps == input.len() && taps.is_multiple_of(4) && conv.window.padding == [0; 4];
        let reads = !twos || straight && core.reads_twos();
        if !fits || !reads || fours == 0 || fours >= 1 << 20 {
            return None;
        }
        let room = Room::of(conv, fours);
        let ways = match room.pitch {
            _ if straight => Set::NONE,
            0 if point || is_flat(conv) => Set::NONE,
            0 => Set::NONE.with(Operator::Windows),
            _ => Set::NONE.with(Operator::Strips),
        };
        Some(Self {
            point,
            straight,
            twos,
            fours,
            room,
            ways,
            core,
        })
    }

    /// For which loops: in a program for one core known when it is built.
    const fn core(&self) -> Core {
        match cfg!(all(target_arch = "arm", target_os = "none", not(kiln_mve))) {
            true => super::THIS,
            false => self.core,
        }
    }

    /// Fours of taps, some.
    pub const fn fours(&self) -> usize {
        self.fours
    }

    /// Whether the one column is the input as it lies there.
    pub const fn straight(&self) -> bool {
        self.straight
    }

    /// Bytes of scratch to ask for. A column that is there as it is gets lanes where they are other words. A long one
    /// has none, which cost more memory than they save time, nor has one that few channels read: to make them takes
    /// as long as they save.
    pub fn len(&self, conv: &Conv<'_>) -> usize {
        let lanes = self.core().words() > 1
            && !self.twos
            && self.fours <= MOST_FOURS
            && conv.output.shape.channels >= LEAST_CHANNELS;
        match self.straight && !lanes {
            true => 0,
            false => self.needed(),
        }
    }

    /// The kernels that take the layer with its scratch.
    pub fn needs(&self, conv: &Conv<'_>) -> Option<Set> {
        let channels = conv.output.shape.channels as usize;
        let room = room(conv);
        if self.core() == Core::Vectors {
            let way = Way::of(conv, self, room);
            return way.map(|_| Set::NONE.with(Operator::Dense));
        }
        let there = apart(conv) && conv.input.offset.is_multiple_of(self.core().address());
        let set = match (self.straight, self.point) {
            (true, _) if !there => return None,
            (true, _) if self.twos => Set::NONE.with(Operator::Twos),
            (true, _) => Set::NONE
                .with(Operator::Straight)
                .with_if(room >= self.needed(), Operator::Point),
            _ if room < self.needed() => return None,
            (false, true) => Set::NONE.with(Operator::Point),
            (false, false) => Set::NONE.with(Operator::Dense),
        };
        let set = set.and(self.ways);
        Some(match self.point {
            true => set.with_if(!channels.is_multiple_of(QUAD), Operator::Few),
            false => set.with_if(!channels.is_multiple_of(2), Operator::Odd),
        })
    }

    /// Bytes of scratch: the lanes, and what makes them.
    #[cfg_attr(target_os = "none", inline(never))]
    const fn needed(&self) -> usize {
        let columns = if self.point { 1 } else { self.core().columns() };
        let room = if self.straight {
            0
        } else {
            self.room.len(columns)
        };
        self.lanes().saturating_add(room)
    }

    /// Bytes of lanes.
    const fn lanes(&self) -> usize {
        let words = if self.point {
            self.core().words()
        } else {
            self.core().words_together()
        };
        4 * words * self.fours
    }
}

/// Runs the layer; none where it is left to the plain loop, and nothing is written.
#[inline(never)]
pub fn run(conv: &Conv<'_>, set: Set, arena: &mut [u8]) -> Option<()> {
    let plan = Plan::of(conv, loops::CORE, set)?;
    let constants = Constants::of(conv)?;
    let input = start(&conv.input, arena)?;
    let output = start(&conv.output, arena)?;
    let scratch = match scratch(conv, arena, plan.needed()) {
        Some(scratch) if !plan.straight || !plan.twos && set.has(Operator::Point) => scratch,
        _ if plan.straight && (set.has(Operator::Straight) || set.has(Operator::Twos)) => {
            return straight(conv, set, arena, plan, constants);
        }
        _ => return None,
    };
    let kernel = match plan.point {
        true => Operator::Point,
        false => Operator::Dense,
    };
    // Columns that are made otherwise are read from elsewhere.
    if !set.has(kernel) || !set.has_all(plan.ways) {
        return None;
    }
    let end = scratch.wrapping_add(plan.needed());
    let lanes: *mut u32 = end.wrapping_sub(plan.lanes()).cast();
    let mut columns = Columns::new(conv, arena, scratch, plan.fours);
    let input = arena.as_ptr().wrapping_add(input);
    let output = arena.as_mut_ptr().wrapping_add(output);
    // SAFETY: `Constants::of` and `range` have looked at the lengths; scratch has room for the lanes of
    // the columns and for `Columns`, at a multiple of 4.
    unsafe {
        match plan.point {
            true => {
                if plan.straight {
                    loops::one(lanes, input, plan.fours, 4);
                } else {
                    columns.point(set, lanes);
                }
                let ends = [lanes.cast_const(), end.cast_const().cast()];
                quads(conv, set, plan, &constants, ends, output, loops::point);
            }
            false => dense(conv, set, &plan, &constants, &mut columns, lanes, output),
        }
    }
    clamp(conv, set, arena)
}

/// A column that is read where the input lies.
fn straight(
    conv: &Conv<'_>,
    set: Set,
    arena: &mut [u8],
    plan: Plan,
    mut constants: Constants,
) -> Option<()> {
    let (input, output) = (start(&conv.input, arena)?, start(&conv.output, arena)?);
    let bytes = arena.as_mut_ptr();
    let column = bytes.wrapping_add(input);
    if !apart(conv) || !column.addr().is_multiple_of(loops::ADDRESS) {
        return None;
    }
    let kernel = match plan.twos {
        true if set.has(Operator::Twos) => {
            let starts = Packing::twos_starts(conv.kernel_shape());
            constants.bias = constants.weights.wrapping_add(starts).cast();
            loops::point_twos
        }
        false if set.has(Operator::Straight) => loops::point_bytes,
        _ => return None,
    };
    // SAFETY: `Constants::of` and `range` have looked at the lengths.
    unsafe {
        let output = bytes.add(output);
        let column: *const u32 = column.cast();
        let ends = [column, column.wrapping_add(plan.fours)];
        quads(conv, set, plan, &constants, ends, output, kernel);
    }
    clamp(conv, set, arena)
}

/// # Safety
///
/// The pointers are the layer's, and `lanes` has room for the columns that go together.
unsafe fn dense(
    conv: &Conv<'_>,
    set: Set,
    plan: &Plan,
    constants: &Constants,
    columns: &mut Columns,
    lanes: *mut u32,
    output: *mut u8,
) {
    let channels = conv.output.shape.channels as usize;
    let pairs = channels & !1;
    let mut task = plan.task(conv, constants, lanes);
    task.factor_step = constants.factor_step(2);
    let pixels = columns.pixels();
    let mut place = [0; 2];
    for first in (0..pixels).step_by(COLUMNS) {
        let count = COLUMNS.min(pixels - first);
        // SAFETY: of the columns that are not there the lanes are of any value, and the outputs lie over
        // the first column's.
        unsafe {
            columns.some(set, &mut place, count, loops::narrow(lanes, plan.fours));
            loops::widen(lanes, plan.fours);
            let offsets = [
                if count > 1 { channels } else { 0 },
                if count > 2 { 2 * channels } else { 0 },
            ];
            let output = output.add(first * channels);
            if pairs > 0 {
                task.offsets = offsets;
                task.output = output;
                task.output_end = output.add(pairs);
                loops::dense(&task);
            }
            if set.has(Operator::Odd) && pairs < channels {
                // The last four of channels begins at an even one.
                let last = constants.last(pairs, channels);
                let weights = channels / QUAD * 16 * plan.fours + channels % QUAD / 2 * 8;
                let odd = constants.with(&last, weights);
                let output = output.add(pairs);
                loops::dense(&Task {
                    second: 0,
                    offsets,
                    output,
                    output_end: output.add(1),
                    ..plan.task(conv, &odd, lanes)
                });
            }
        }
    }
}

/// All channels of one column.
///
/// # Safety
///
/// The pointers are the layer's.
unsafe fn quads(
    conv: &Conv<'_>,
    set: Set,
    plan: Plan,
    constants: &Constants,
    [column, end]: [*const u32; 2],
    output: *mut u8,
    point: loops::Point,
) {
    let channels = conv.output.shape.channels as usize;
    let quads = channels / QUAD * QUAD;
    let mut task = plan.task(conv, constants, column);
    task.end = end;
    // SAFETY: as the caller says; outputs of the last four go where there is room for all.
    unsafe {
        if quads > 0 {
            task.factor_step = constants.factor_step(QUAD);
            task.output = output;
            task.output_end = output.add(quads);
            point(&task);
        }
        if set.has(Operator::Few) && quads < channels {
            let last = constants.last(quads, channels);
            let constants = constants.with(&last, quads * 4 * plan.fours);
            let mut outputs = [0; QUAD];
            task = plan.task(conv, &constants, column);
            task.end = end;
            task.output = outputs.as_mut_ptr();
            task.output_end = task.output.add(1);
            point(&task);
            for (index, value) in outputs.iter().enumerate().take(channels - quads) {
                output.add(quads + index).write(*value);
            }
        }
    }
}

impl Plan {
    /// All but where outputs go.
    fn task(&self, conv: &Conv<'_>, constants: &Constants, lanes: *const u32) -> Task {
        let pair = 16 * self.fours as isize;
        Task {
            columns: lanes,
            fours: self.fours,
            end: lanes.wrapping_byte_add(self.lanes()),
            bias: constants.bias,
            turns: [8 - pair, -8],
            factors: constants.factors,
            factor_step: 0,
            to_multipliers: constants.multipliers_behind(),
            zero_point: conv.output.zero_point.into(),
            offsets: [0; 2],
            output: core::ptr::null_mut(),
            output_end: core::ptr::null_mut(),
            second: 1,
            weights: constants.weights,
            more: 0,
        }
    }
}
