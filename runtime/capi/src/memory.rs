//! The caller's pointers, checked.

use core::mem::align_of;
use core::slice;

use crate::status::KilnStatus;

/// Whether memory of `len` values may begin there: not null, aligned, and no larger than memory can
/// be. Where there are no values, null is a place too.
fn is_place<T>(start: *const T, len: usize) -> bool {
    let fits = len
        .checked_mul(size_of::<T>())
        .is_some_and(|bytes| bytes <= isize::MAX as usize)
        && start
            .addr()
            .checked_add(len.wrapping_mul(size_of::<T>()))
            .is_some();
    let aligned = start.addr().is_multiple_of(align_of::<T>());
    fits && (len == 0 || (!start.is_null() && aligned))
}

/// `len` values that the caller keeps as they are for `'a`.
///
/// # Safety
///
/// If there are `len` values at `start` as it looks, they are readable and nobody writes them in `'a`.
pub(crate) unsafe fn slice<'a, T>(start: *const T, len: usize) -> Result<&'a [T], KilnStatus> {
    if !is_place(start, len) {
        return Err(KilnStatus::Pointer);
    }
    if len == 0 {
        return Ok(&[]);
    }
    // SAFETY: not null, aligned, and of a possible size; readable and unchanged by the contract.
    Ok(unsafe { slice::from_raw_parts(start, len) })
}

/// `len` values that the caller leaves to us for `'a`.
///
/// # Safety
///
/// If there are `len` values at `start` as it looks, they are initialised, writable, and nobody else
/// reads or writes them in `'a`.
pub(crate) unsafe fn slice_mut<'a, T>(
    start: *mut T,
    len: usize,
) -> Result<&'a mut [T], KilnStatus> {
    if !is_place(start, len) {
        return Err(KilnStatus::Pointer);
    }
    if len == 0 {
        return Ok(&mut []);
    }
    // SAFETY: not null, aligned, and of a possible size; ours alone by the contract.
    Ok(unsafe { slice::from_raw_parts_mut(start, len) })
}

/// Writes a result to its place, whatever is there before.
///
/// # Safety
///
/// If `place` is not null, it is writable, and nobody else uses it now.
pub(crate) unsafe fn write<T>(place: *mut T, value: T) -> Result<(), KilnStatus> {
    is_result(place)?;
    // SAFETY: not null and aligned; writable by the contract.
    unsafe { place.write(value) };
    Ok(())
}

/// Whether a result may be written there.
pub(crate) fn is_result<T>(place: *mut T) -> Result<(), KilnStatus> {
    if is_place(place.cast_const(), 1) {
        Ok(())
    } else {
        Err(KilnStatus::Pointer)
    }
}

/// That two stretches of memory have no byte in common.
pub(crate) fn apart<T, U>(
    (start, len): (*const T, usize),
    (other, others): (*const U, usize),
) -> Result<(), KilnStatus> {
    let end = |start: usize, len: usize, size: usize| {
        let end = len.checked_mul(size).and_then(|len| start.checked_add(len));
        end.ok_or(KilnStatus::Pointer)
    };
    let before = end(start.addr(), len, size_of::<T>())? <= other.addr();
    let behind = end(other.addr(), others, size_of::<U>())? <= start.addr();
    if before || behind || len == 0 || others == 0 {
        Ok(())
    } else {
        Err(KilnStatus::Overlap)
    }
}
