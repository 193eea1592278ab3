//! Bytes are checked and become a model.

use core::ffi::c_char;
use core::fmt::{self, Write};
use core::mem::{MaybeUninit, take};

use kiln_core::Model;
use kiln_core::preprocess::Recipe;

use crate::memory::{apart, is_result, slice, slice_mut, write};
use crate::status::{KilnStatus, answer};

/// Tells an initialised `KilnModel` from other memory.
const MODEL: u64 = 0x6b69_6c6e_2d6d_6f64;

/// A checked model. Where it lies is the caller's choice, what is in it the library's; a copy is the
/// same model. It points to the model's bytes.
#[repr(C)]
#[derive(Debug)]
pub struct KilnModel {
    opaque: [u64; 32],
}

#[repr(C)]
pub(crate) struct Checked {
    tag: u64,
    bytes: &'static [u8],
    pub(crate) model: Model<'static>,
}

impl Checked {
    /// That a place to write to overlaps the model nowhere, neither its bytes nor what was made of them.
    pub(crate) fn apart<T>(&self, place: (*const T, usize)) -> Result<(), KilnStatus> {
        apart((self.bytes.as_ptr(), self.bytes.len()), place)?;
        apart(((&raw const *self).cast::<KilnModel>(), 1), place)
    }

    /// The caller's arena, which must not overlap the model, neither its bytes nor what was made of them.
    ///
    /// # Safety
    ///
    /// As for [`slice_mut`].
    pub(crate) unsafe fn arena<'a>(
        &self,
        arena: *mut u8,
        arena_len: usize,
    ) -> Result<&'a mut [u8], KilnStatus> {
        self.apart((arena.cast_const(), arena_len))?;
        // SAFETY: the caller's promise.
        unsafe { slice_mut(arena, arena_len) }
    }

    /// The recipe, where there is one.
    pub(crate) fn recipe(&self) -> Result<Recipe, KilnStatus> {
        self.model.recipe().ok_or(KilnStatus::Recipe)
    }
}

const _: () = assert!(size_of::<Checked>() <= size_of::<KilnModel>());
const _: () = assert!(align_of::<Checked>() <= align_of::<KilnModel>());

/// What a model takes and gives. `real = scale * (quantized - zero_point)`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KilnInfo {
    /// Bytes of arena that an inference takes.
    pub arena_len: usize,
    /// Bytes of the model; what lies behind them is not looked at.
    pub model_len: usize,
    /// The input's rows.
    pub input_height: u32,
    /// The input's columns.
    pub input_width: u32,
    /// The input's channels.
    pub input_channels: u32,
    /// The input's integer that stands for 0.
    pub input_zero_point: i32,
    /// The input's values: int8, rows * columns * channels in this order.
    pub input_len: usize,
    /// The input's scale.
    pub input_scale: f32,
    /// The logits' scale.
    pub output_scale: f32,
    /// The logits' integer that stands for 0.
    pub output_zero_point: i32,
    /// How many logits there are, one a class.
    pub output_len: usize,
    /// How many labels there are: one a class, or none.
    pub label_count: usize,
    /// 1 if the model carries a recipe, so that it takes pixels and pictures; else 0.
    pub has_recipe: u32,
    /// The checksum that the file states; it tells models apart.
    pub checksum: u32,
}

/// Text in UTF-8, in the model's bytes; no 0 behind it: print it with `%.*s`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct KilnText {
    /// The first byte.
    pub bytes: *const c_char,
    /// How many bytes there are.
    pub len: usize,
}

impl KilnText {
    fn of(text: &'static str) -> Self {
        Self {
            bytes: text.as_ptr().cast(),
            len: text.len(),
        }
    }
}

/// The model that the caller points to.
///
/// # Safety
///
/// `model` is null, or a `KilnModel` that nobody writes now: zeroed, or one that `kiln_model_init` has
/// initialised and whose bytes are still there.
pub(crate) unsafe fn checked<'a>(model: *const KilnModel) -> Result<&'a Checked, KilnStatus> {
    // SAFETY: the caller's promise; all bits are numbers.
    let opaque = unsafe { slice(model, 1)? };
    match opaque {
        [
            KilnModel {
                opaque: [MODEL, ..],
            },
        ] => {
            // SAFETY: only `kiln_model_init` writes this tag, as a part of a `Checked`, which fits and
            // is aligned (asserted above).
            Ok(unsafe { &*model.cast::<Checked>() })
        }
        _ => Err(KilnStatus::Uninitialised),
    }
}

/// Checks the bytes of a `.kiln` file once and all: lengths, offsets, shapes, constants, the arena's
/// bounds, the amount of work. `model` is the caller's and need not be initialised; the bytes stay where
/// they are, unchanged, as long as it is used. Fast kernels want them at a multiple of `KILN_ALIGN`.
///
/// `KILN_STATUS_FORMAT` if they are no model.
///
/// # Safety
///
/// `model` is null or writable; `bytes` is null or `len` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_model_init(
    model: *mut KilnModel,
    bytes: *const u8,
    len: usize,
) -> KilnStatus {
    answer((|| {
        is_result(model)?;
        apart((bytes, len), (model.cast_const(), 1))?;
        // SAFETY: readable and unchanged as long as the model is used: the caller's promise.
        let bytes: &'static [u8] = unsafe { slice(bytes, len)? };
        let checked = Checked {
            tag: MODEL,
            bytes,
            model: Model::new(bytes).map_err(|_| KilnStatus::Format)?,
        };
        // SAFETY: writable; a `Checked` fits and is aligned (asserted above).
        unsafe { write(model.cast::<Checked>(), checked) }
    })())
}

/// Says in words what is wrong with the bytes of a `.kiln` file, and looks at their checksum too: a text
/// of at most `text_len - 1` bytes and a 0, empty if all is well. `text` may be null if `text_len` is 0.
///
/// `KILN_STATUS_FORMAT` or `KILN_STATUS_CHECKSUM` if they are no model.
///
/// # Safety
///
/// `bytes` is null or `len` readable bytes; `text` is null or `text_len` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_check(
    bytes: *const u8,
    len: usize,
    text: *mut c_char,
    text_len: usize,
) -> KilnStatus {
    answer((|| {
        apart((bytes, len), (text.cast_const(), text_len))?;
        // SAFETY: readable, and apart from the text: the caller's promise.
        let bytes = unsafe { slice(bytes, len)? };
        // SAFETY: writable: the caller's promise; a byte that may be uninitialised has no other needs.
        let text = unsafe { slice_mut(text.cast::<MaybeUninit<u8>>(), text_len)? };
        let mut text = Line::new(text);
        // A text that is too long is cut.
        match Model::new(bytes) {
            Err(error) => {
                let _ = write!(text, "{error}");
                Err(KilnStatus::Format)
            }
            Ok(model) if !model.checksum_ok() => {
                let _ = text.write_str(
                    "the checksum is wrong: the file is damaged; copy or compile it again",
                );
                Err(KilnStatus::Checksum)
            }
            Ok(_) => Ok(()),
        }
    })())
}

/// The caller's text: filled up to the last byte; what is not filled is 0.
struct Line<'a>(&'a mut [MaybeUninit<u8>]);

impl<'a> Line<'a> {
    fn new(text: &'a mut [MaybeUninit<u8>]) -> Self {
        text.fill(MaybeUninit::new(0));
        let len = text.len().saturating_sub(1);
        Self(text.get_mut(..len).unwrap_or_default())
    }
}

impl Write for Line<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let fits = part.floor_char_boundary(self.0.len());
        let (places, rest) = take(&mut self.0)
            .split_at_mut_checked(fits)
            .unwrap_or_default();
        for (place, &byte) in places.iter_mut().zip(part.as_bytes()) {
            place.write(byte);
        }
        self.0 = rest;
        if fits == part.len() {
            Ok(())
        } else {
            Err(fmt::Error)
        }
    }
}

/// The arena's bytes from a file's first bytes, unchecked: for an allocation before `kiln_model_init`.
/// 0 where there is no header.
///
/// # Safety
///
/// `bytes` is null or `len` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_arena_len(bytes: *const u8, len: usize) -> usize {
    // SAFETY: the caller's promise.
    unsafe { slice(bytes, len) }.map_or(0, Model::arena_len)
}

/// What a model takes and gives.
///
/// # Safety
///
/// `model` is null, zeroed or initialised; `info` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_info(model: *const KilnModel, info: *mut KilnInfo) -> KilnStatus {
    answer((|| {
        // SAFETY: the caller's promise.
        let checked = unsafe { checked(model)? };
        checked.apart((info.cast_const(), 1))?;
        let model = &checked.model;
        let (input, output) = (model.input(), model.output());
        let found = KilnInfo {
            arena_len: model.arena_bytes(),
            model_len: model.file_bytes(),
            input_height: input.shape.height,
            input_width: input.shape.width,
            input_channels: input.shape.channels,
            input_zero_point: input.zero_point.into(),
            input_len: input.shape.len(),
            input_scale: model.input_scale(),
            output_scale: model.output_scale(),
            output_zero_point: output.zero_point.into(),
            output_len: model.classes(),
            label_count: model.label_count(),
            has_recipe: model.recipe().is_some().into(),
            checksum: model.checksum(),
        };
        // SAFETY: the caller's promise.
        unsafe { write(info, found) }
    })())
}

/// The name of a class. `KILN_STATUS_LABEL` if it has none.
///
/// # Safety
///
/// `model` is null, zeroed or initialised; `label` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_label(
    model: *const KilnModel,
    index: usize,
    label: *mut KilnText,
) -> KilnStatus {
    answer((|| {
        // SAFETY: the caller's promise.
        let checked = unsafe { checked(model)? };
        checked.apart((label.cast_const(), 1))?;
        let found = KilnText::of(checked.model.label(index).ok_or(KilnStatus::Label)?);
        // SAFETY: the caller's promise.
        unsafe { write(label, found) }
    })())
}

/// The model's name.
///
/// # Safety
///
/// `model` is null, zeroed or initialised; `name` is null or writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kiln_name(model: *const KilnModel, name: *mut KilnText) -> KilnStatus {
    answer((|| {
        // SAFETY: the caller's promise.
        let checked = unsafe { checked(model)? };
        checked.apart((name.cast_const(), 1))?;
        let found = KilnText::of(checked.model.name());
        // SAFETY: the caller's promise.
        unsafe { write(name, found) }
    })())
}
