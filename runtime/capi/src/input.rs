//! What becomes the model's input, at its place in the arena.

use kiln_core::preprocess::{PictureView, preprocess};

use crate::memory::{apart, slice, slice_mut};
use crate::model::{KilnModel, checked};
use crate::status::{KilnStatus, answer};

/// Copies quantized values to the input: int8, rows * columns * channels in this order,
/// `KilnInfo.input_len` of them, where `real = input_scale * (quantized - input_zero_point)`.
///
/// `KILN_STATUS_INPUT` for another length, `KILN_STATUS_ARENA` for too small an arena.
///
/// # Safety
///
/// `model` is null, zeroed or initialised; `arena` is null or `arena_len` bytes that nobody else uses
/// now; `values` is null or `len` readable values.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_input_set(
    model: *const KilnModel,
    arena: *mut u8,
    arena_len: usize,
    values: *const i8,
    len: usize,
) -> KilnStatus {
    // SAFETY: an i8 is a byte; the rest is the caller's promise.
    answer(unsafe { copy(model, arena, arena_len, values.cast(), len) })
}

/// Copies pixels that have the recipe's size and colour already to the input and quantizes them by the
/// model's table: bytes of 0 to 255, rows * columns * channels in this order (RGB or grey),
/// `KilnInfo.input_len` of them.
///
/// `KILN_STATUS_RECIPE` if the model takes none, else as `kiln_input_set`.
///
/// # Safety
///
/// As for `kiln_input_set`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_input_pixels(
    model: *const KilnModel,
    arena: *mut u8,
    arena_len: usize,
    pixels: *const u8,
    len: usize,
) -> KilnStatus {
    answer((|| {
        // SAFETY: the caller's promise.
        let checked = unsafe { checked(model)? };
        checked.recipe()?;
        // SAFETY: the caller's promise.
        unsafe {
            copy(model, arena, arena_len, pixels, len)?;
            let arena = checked.arena(arena, arena_len)?;
            Ok(checked.model.quantize_pixels(arena)?)
        }
    })())
}

/// # Safety
///
/// As for `kiln_input_set`.
unsafe fn copy(
    model: *const KilnModel,
    arena: *mut u8,
    arena_len: usize,
    values: *const u8,
    len: usize,
) -> Result<(), KilnStatus> {
    apart((arena.cast_const(), arena_len), (values, len))?;
    // SAFETY: the caller's promise; arena and values are apart.
    let (checked, values) = unsafe { (checked(model)?, slice(values, len)?) };
    // SAFETY: the caller's promise.
    let arena = unsafe { checked.arena(arena, arena_len)? };
    let place = checked.model.input_mut(arena)?;
    if place.len() != len {
        return Err(KilnStatus::Input);
    }
    place.copy_from_slice(values);
    Ok(())
}

/// Words (int32_t) of scratch to preprocess a picture of `width * height` pixels: ask for each size. 0 if
/// the model has no recipe or the picture is refused.
///
/// # Safety
///
/// `model` is null, zeroed or initialised.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_scratch_len(
    model: *const KilnModel,
    width: u32,
    height: u32,
) -> usize {
    // SAFETY: the caller's promise.
    let recipe = unsafe { checked(model) }.and_then(|checked| checked.recipe());
    recipe.map_or(0, |recipe| recipe.scratch_len(width, height))
}

/// Brings a picture to the input as the recipe says: fit, resize, colour, quantized; in integers, the
/// same bytes on every machine. `rgb` is 8-bit RGB, interleaved, rows from the top: `rgb_len` =
/// width * height * 3 bytes. `scratch` has `kiln_scratch_len` words, whatever is in them, and is free
/// again afterwards.
///
/// `KILN_STATUS_PICTURE`, `KILN_STATUS_SCRATCH`, `KILN_STATUS_RECIPE`, `KILN_STATUS_ARENA`.
///
/// # Safety
///
/// `model` is null, zeroed or initialised; `arena` and `scratch` are null or memory of that length that
/// nobody else uses now; `rgb` is null or `rgb_len` readable bytes.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "C has no slices")]
pub unsafe extern "C" fn kiln_input_rgb(
    model: *const KilnModel,
    arena: *mut u8,
    arena_len: usize,
    rgb: *const u8,
    rgb_len: usize,
    width: u32,
    height: u32,
    scratch: *mut i32,
    scratch_len: usize,
) -> KilnStatus {
    answer((|| {
        apart((arena.cast_const(), arena_len), (rgb, rgb_len))?;
        apart((scratch.cast_const(), scratch_len), (rgb, rgb_len))?;
        apart(
            (arena.cast_const(), arena_len),
            (scratch.cast_const(), scratch_len),
        )?;
        // SAFETY: the caller's promise.
        let checked = unsafe { checked(model)? };
        checked.apart((scratch.cast_const(), scratch_len))?;
        let recipe = checked.recipe()?;
        // SAFETY: the caller's promise; the three are apart from each other.
        let (arena, scratch, rgb) = unsafe {
            (
                checked.arena(arena, arena_len)?,
                slice_mut(scratch, scratch_len)?,
                slice(rgb, rgb_len)?,
            )
        };
        let view = PictureView::new(width, height, rgb)?;
        preprocess(view, &recipe, scratch, checked.model.input_mut(arena)?)?;
        Ok(checked.model.quantize_pixels(arena)?)
    })())
}
