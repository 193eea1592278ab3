//! A picture whose rows come one after the other, as a camera gives them: it is never held whole.

use kiln_core::preprocess::RowPreprocessor;

use crate::memory::{apart, is_result, slice, slice_mut, write};
use crate::model::{KilnModel, checked};
use crate::status::{KilnStatus, answer};

/// Tells an initialised `KilnRows` from other memory.
const ROWS: u64 = 0x6b69_6c6e_2d72_6f77;

/// A picture in the making. Where it lies is the caller's choice, what is in it the library's. It points
/// to its scratch; unlike a `KilnModel` it is not to be copied.
#[repr(C)]
#[derive(Debug)]
pub struct KilnRows {
    opaque: [u64; 32],
}

#[repr(C)]
struct Begun {
    tag: u64,
    /// Where the scratch lies, and its words.
    scratch: (*const i32, usize),
    rows: RowPreprocessor<'static>,
}

const _: () = assert!(size_of::<Begun>() <= size_of::<KilnRows>());
const _: () = assert!(align_of::<Begun>() <= align_of::<KilnRows>());

/// # Safety
///
/// `rows` is null, or a `KilnRows` that nobody else uses now: zeroed, or one that `kiln_rows_init` has
/// initialised and whose scratch is still there and used by nobody else.
unsafe fn begun<'a>(rows: *mut KilnRows) -> Result<&'a mut Begun, KilnStatus> {
    // SAFETY: the caller's promise; all bits are numbers.
    match unsafe { slice(rows.cast_const(), 1)? } {
        [KilnRows { opaque: [ROWS, ..] }] => {
            // SAFETY: only `kiln_rows_init` writes this tag, as a part of a `Begun`, which fits and is
            // aligned (asserted above).
            Ok(unsafe { &mut *rows.cast::<Begun>() })
        }
        _ => Err(KilnStatus::Uninitialised),
    }
}

/// Prepares for pictures of `width * height` pixels. `scratch` has `kiln_scratch_len` words and is the
/// library's as long as `rows` is used. `rows` is the caller's and need not be initialised.
///
/// `KILN_STATUS_PICTURE`, `KILN_STATUS_SCRATCH`, `KILN_STATUS_RECIPE`.
///
/// # Safety
///
/// `rows` is null or writable; `model` is null, zeroed or initialised; `scratch` is null or memory of that
/// length that nobody else uses as long as `rows` is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_rows_init(
    rows: *mut KilnRows,
    model: *const KilnModel,
    width: u32,
    height: u32,
    scratch: *mut i32,
    scratch_len: usize,
) -> KilnStatus {
    answer((|| {
        is_result(rows)?;
        let scratch_place = (scratch.cast_const(), scratch_len);
        apart(scratch_place, (rows.cast_const(), 1))?;
        // SAFETY: the caller's promise.
        let checked = unsafe { checked(model)? };
        checked.apart(scratch_place)?;
        checked.apart((rows.cast_const(), 1))?;
        let recipe = checked.recipe()?;
        // SAFETY: the caller's promise.
        let scratch = unsafe { slice_mut(scratch, scratch_len)? };
        let begun = Begun {
            tag: ROWS,
            scratch: scratch_place,
            rows: RowPreprocessor::new(width, height, &recipe, scratch)?,
        };
        // SAFETY: writable; a `Begun` fits and is aligned (asserted above).
        unsafe { write(rows.cast::<Begun>(), begun) }
    })())
}

/// Takes the next row: 8-bit RGB, interleaved, `len` = width * 3 bytes. After the last one the input is
/// whole and quantized, and `*whole` is 1, else 0. Nobody else touches the arena in between, and `model`
/// is the one of `kiln_rows_init`.
///
/// `KILN_STATUS_PICTURE` for another length, `KILN_STATUS_ORDER` after the last row.
///
/// # Safety
///
/// `rows` is null, zeroed or initialised; `model` likewise; `arena` is null or `arena_len` bytes that
/// nobody else uses now; `row` is null or `len` readable bytes; `whole` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_rows_push(
    rows: *mut KilnRows,
    model: *const KilnModel,
    arena: *mut u8,
    arena_len: usize,
    row: *const u8,
    len: usize,
    whole: *mut u32,
) -> KilnStatus {
    answer((|| {
        is_result(whole)?;
        let place = (arena.cast_const(), arena_len);
        let result = (whole.cast_const(), 1);
        apart(place, (row, len))?;
        apart(place, (rows.cast_const(), 1))?;
        apart(place, result)?;
        apart(result, (rows.cast_const(), 1))?;
        // SAFETY: the caller's promise.
        let (begun, checked) = unsafe { (begun(rows)?, checked(model)?) };
        checked.apart(result)?;
        apart((row, len), (rows.cast_const(), 1))?;
        apart(place, begun.scratch)?;
        apart((row, len), begun.scratch)?;
        apart(result, begun.scratch)?;
        // SAFETY: the caller's promise; arena and row are apart.
        let (arena, row) = unsafe { (checked.arena(arena, arena_len)?, slice(row, len)?) };
        let last = begun.rows.push(row, checked.model.input_mut(arena)?)?;
        if last {
            checked.model.quantize_pixels(arena)?;
        }
        // SAFETY: the caller's promise.
        unsafe { write(whole, last.into()) }
    })())
}

/// Begins the next picture of the same size; what was pushed of this one is dropped.
///
/// # Safety
///
/// `rows` is null, zeroed or initialised, and nobody else uses it now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_rows_restart(rows: *mut KilnRows) -> KilnStatus {
    // SAFETY: the caller's promise.
    answer(unsafe { begun(rows) }.map(|begun| begun.rows.restart()))
}
