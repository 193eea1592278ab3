//! The model is run; what it says.

use core::mem::{MaybeUninit, offset_of};

use kiln_core::{Class, Output};

use crate::memory::{apart, is_result, slice, slice_mut, write};
use crate::model::{KilnModel, checked};
use crate::status::{KilnStatus, answer};

/// The quantized logits: `logit = scale * (value - zero_point)`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct KilnOutput {
    /// int8, one a class, in the arena: they are there until the arena is used again.
    pub values: *const i8,
    /// How many there are.
    pub len: usize,
    /// The integer that stands for 0.
    pub zero_point: i32,
    /// A step's size.
    pub scale: f32,
    /// Below 0 the picture is like none of those that the model was made for, and the classes are a guess;
    /// NaN if the model does not say.
    pub known: f32,
}

/// A class and how probable it is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KilnClass {
    /// Its number, for `kiln_label`.
    pub index: usize,
    /// By softmax: the probabilities of all classes sum to 1.
    pub probability: f32,
}

const _: () = assert!(
    size_of::<KilnClass>() == size_of::<Class>()
        && align_of::<KilnClass>() == align_of::<Class>()
        && offset_of!(KilnClass, index) == offset_of!(Class, index)
        && offset_of!(KilnClass, probability) == offset_of!(Class, probability)
);

/// Runs the model over the input in the arena. The arena's other bytes, the input too, are used for the
/// layers: bring an input before every run.
///
/// `KILN_STATUS_ARENA` for too small an arena, `KILN_STATUS_POINTER` on a Cortex-M for one that does not
/// begin at a multiple of 4.
///
/// # Safety
///
/// `model` is null, zeroed or initialised; `arena` is null or `arena_len` bytes that nobody else uses
/// now; `output` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_run(
    model: *const KilnModel,
    arena: *mut u8,
    arena_len: usize,
    output: *mut KilnOutput,
) -> KilnStatus {
    answer((|| {
        is_result(output)?;
        // SAFETY: the caller's promise.
        let checked = unsafe { checked(model)? };
        checked.apart((output.cast_const(), 1))?;
        // SAFETY: the caller's promise.
        let arena = unsafe { checked.arena(arena, arena_len)? };
        apart((arena.as_ptr(), arena.len()), (output.cast_const(), 1))?;
        let logits = checked.model.run_in_place(arena)?;
        let found = KilnOutput {
            values: logits.values().as_ptr().cast(),
            len: logits.len(),
            zero_point: checked.model.output().zero_point.into(),
            scale: checked.model.output_scale(),
            known: logits.known().unwrap_or(f32::NAN),
        };
        // SAFETY: the caller's promise.
        unsafe { write(output, found) }
    })())
}

/// # Safety
///
/// `output` is null or one that `kiln_run` has written and whose values are still there.
unsafe fn logits<'a>(output: *const KilnOutput) -> Result<Output<'a>, KilnStatus> {
    // SAFETY: the caller's promise.
    let [output] = (unsafe { slice(output, 1)? }) else {
        return Err(KilnStatus::Pointer);
    };
    // SAFETY: the caller's promise; an i8 is a byte.
    let values = unsafe { slice(output.values.cast::<u8>(), output.len)? };
    let zero_point = i8::try_from(output.zero_point).map_err(|_| KilnStatus::Uninitialised)?;
    Ok(Output::new(values, zero_point, output.scale))
}

/// The logits as floats: `output->len` of them, to a buffer of at least as many.
///
/// `KILN_STATUS_BUFFER` for too small a buffer.
///
/// # Safety
///
/// `output` is null or written by `kiln_run`, its values still there; `floats` is null or `len` writable
/// floats.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_logits(
    output: *const KilnOutput,
    floats: *mut f32,
    len: usize,
) -> KilnStatus {
    answer((|| {
        // SAFETY: the caller's promise.
        let logits = unsafe { logits(output)? };
        let values = logits.values();
        apart((values.as_ptr(), values.len()), (floats.cast_const(), len))?;
        // SAFETY: the caller's promise; what may be uninitialised has no other needs.
        let floats = unsafe { slice_mut(floats.cast::<MaybeUninit<f32>>(), len)? };
        let floats = floats.get_mut(..logits.len()).ok_or(KilnStatus::Buffer)?;
        for (place, logit) in floats.iter_mut().zip(logits.logits()) {
            place.write(logit);
        }
        Ok(())
    })())
}

/// The `count` most probable classes by softmax, the first of equals first; where there are fewer, the
/// rest have probability 0 and the index `output->len`. The same bits on every machine.
///
/// # Safety
///
/// `output` is null or written by `kiln_run`, its values still there; `classes` is null or `count`
/// writable places.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_top(
    output: *const KilnOutput,
    classes: *mut KilnClass,
    count: usize,
) -> KilnStatus {
    answer((|| {
        // SAFETY: the caller's promise.
        let logits = unsafe { logits(output)? };
        let values = logits.values();
        apart(
            (values.as_ptr(), values.len()),
            (classes.cast_const(), count),
        )?;
        // SAFETY: the caller's promise; what may be uninitialised has no other needs.
        let places = unsafe { slice_mut(classes.cast::<MaybeUninit<Class>>(), count)? };
        places.fill(MaybeUninit::new(Class::default()));
        // SAFETY: initialised by the line above; `Class` is laid out as `KilnClass` (asserted above).
        logits.top_into(unsafe { slice_mut(classes.cast::<Class>(), count)? });
        Ok(())
    })())
}
