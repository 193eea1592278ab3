//! Memory: taken once, used again.

use core::fmt;

/// What gives memory.
pub trait Source {
    /// `len` zeros at a multiple of 64 bytes that are nobody else's; none if there is no more memory.
    fn bytes(len: usize) -> Option<&'static mut [u8]>;
    /// The same in words.
    fn words(len: usize) -> Option<&'static mut [i32]>;
}

/// Room for some values of one kind, which grows.
pub struct Room<T: 'static> {
    values: &'static mut [T],
    take: fn(usize) -> Option<&'static mut [T]>,
}

impl<T> fmt::Debug for Room<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("len", &self.values.len())
            .finish_non_exhaustive()
    }
}

impl<T> Room<T> {
    /// Nothing yet; more comes from `take`.
    pub const fn new(take: fn(usize) -> Option<&'static mut [T]>) -> Self {
        Self {
            values: &mut [],
            take,
        }
    }

    /// `len` values, with whatever is in them; none if there is no more memory. It grows by no less than
    /// its size, so that what is left behind is never more than what is in use.
    pub fn get(&mut self, len: usize) -> Option<&mut [T]> {
        if self.values.len() < len {
            let more = len.max(self.values.len().saturating_mul(2));
            self.values = (self.take)(more).or_else(|| (self.take)(len))?;
        }
        self.values.get_mut(..len)
    }

    /// The first `len` values; what there is, if there are fewer.
    pub fn first(&self, len: usize) -> &[T] {
        self.values.get(..len).unwrap_or(self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_by_no_less_than_itself_and_shrinks_never() {
        fn take(len: usize) -> Option<&'static mut [u8]> {
            (len <= 1000).then(|| vec![0; len].leak())
        }
        let mut room = Room::new(take);
        assert!(room.first(3).is_empty());
        room.get(300).unwrap().fill(7);
        assert_eq!(room.first(2), [7, 7]);
        let at = room.first(1).as_ptr();
        assert_eq!(room.get(20).unwrap().len(), 20);
        assert_eq!(room.get(301).unwrap().len(), 301);
        assert_eq!(room.first(10_000).len(), 600);
        assert_ne!(room.first(1).as_ptr(), at);
        assert_eq!(room.get(900).unwrap().len(), 900);
        assert!(room.get(1001).is_none());
        assert_eq!(room.get(900).unwrap().len(), 900);
    }
}
