//! What a function returns.

use core::ffi::{CStr, c_char};

use kiln_core::RunError;
use kiln_core::preprocess::PreprocessError;

/// What a function returns. All but `KILN_STATUS_OK` are errors, and nothing has then been done.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KilnStatus {
    /// Done.
    Ok = 0,
    /// A pointer is null or misaligned for its type, or a length is impossible.
    Pointer = 1,
    /// The arena overlaps the model's bytes, or a buffer overlaps the arena.
    Overlap = 2,
    /// The bytes are no model; `kiln_check` says where and why.
    Format = 3,
    /// The model's bytes have changed since they were compiled; only `kiln_check` looks.
    Checksum = 4,
    /// The `KilnModel` or `KilnRows` was not initialised.
    Uninitialised = 5,
    /// The arena is smaller than `KilnInfo.arena_len`.
    Arena = 6,
    /// The input has another length than `KilnInfo.input_len`.
    Input = 7,
    /// The model has no recipe: it takes no pixels or pictures.
    Recipe = 8,
    /// A side of the picture is not in 1 to 65535, or its bytes are not width * height * 3.
    Picture = 9,
    /// The scratch is smaller than `kiln_scratch_len` says.
    Scratch = 10,
    /// A buffer for results is too small.
    Buffer = 11,
    /// There is no label of that number.
    Label = 12,
    /// A row came after the picture's last.
    Order = 13,
    /// The model's bytes have changed since they were checked.
    Changed = 14,
}

impl KilnStatus {
    const ALL: [(Self, &'static CStr); 15] = [
        (Self::Ok, c"done"),
        (
            Self::Pointer,
            c"a pointer is null or misaligned, or a length is impossible",
        ),
        (
            Self::Overlap,
            c"memory overlaps: keep model, arena, scratch and buffers apart",
        ),
        (
            Self::Format,
            c"the bytes are no model of this version: kiln_check says where and why; compile it again",
        ),
        (
            Self::Checksum,
            c"the checksum is wrong: the model is damaged; copy or compile it again",
        ),
        (
            Self::Uninitialised,
            c"not initialised: call kiln_model_init or kiln_rows_init first and look at what it returns",
        ),
        (
            Self::Arena,
            c"the arena is too small: give KilnInfo.arena_len bytes",
        ),
        (
            Self::Input,
            c"the input has the wrong length: give KilnInfo.input_len values",
        ),
        (
            Self::Recipe,
            c"the model has no recipe for pictures: give its quantized input",
        ),
        (
            Self::Picture,
            c"the picture does not fit: sides of 1 to 65535 pixels, width * height * 3 bytes of RGB",
        ),
        (
            Self::Scratch,
            c"the scratch is too small: give kiln_scratch_len words",
        ),
        (Self::Buffer, c"the buffer for results is too small"),
        (Self::Label, c"there is no label of that number"),
        (
            Self::Order,
            c"the picture had its last row: call kiln_rows_restart before the next picture",
        ),
        (
            Self::Changed,
            c"the model's bytes have changed since they were checked",
        ),
    ];
}

/// A function's answer: `?` ends it early with the error.
pub(crate) fn answer(result: Result<(), KilnStatus>) -> KilnStatus {
    result.err().unwrap_or(KilnStatus::Ok)
}

impl From<RunError> for KilnStatus {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Arena { .. } => Self::Arena,
            RunError::Alignment => Self::Pointer,
            RunError::Input { .. } => Self::Input,
            RunError::Recipe => Self::Recipe,
            RunError::Model => Self::Changed,
        }
    }
}

impl From<PreprocessError> for KilnStatus {
    fn from(error: PreprocessError) -> Self {
        match error {
            PreprocessError::Size
            | PreprocessError::Length
            | PreprocessError::Region
            | PreprocessError::Row { .. } => Self::Picture,
            PreprocessError::Scratch { .. } => Self::Scratch,
            PreprocessError::Output { .. } => Self::Input,
            PreprocessError::Order => Self::Order,
            PreprocessError::InputSize
            | PreprocessError::CropPct
            | PreprocessError::Mean
            | PreprocessError::Std => Self::Format,
        }
    }
}

/// What a status means and what to do, as a string that is never freed. An unknown number has a text
/// too.
#[unsafe(no_mangle)]
pub extern "C" fn kiln_status_text(status: i32) -> *const c_char {
    let known = KilnStatus::ALL
        .iter()
        .find(|(known, _)| *known as i32 == status);
    known.map_or(c"no such status", |(_, text)| text).as_ptr()
}
