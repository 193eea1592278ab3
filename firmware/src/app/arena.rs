//! How much of an arena has been written: it is painted first.

/// What an unused byte holds. It depends on the place, so that nothing plain looks like it.
const fn unused(index: usize) -> u8 {
    (index as u32).wrapping_mul(0x9e37_79b9).to_be_bytes()[0]
}

/// Paints an arena.
pub fn paint(arena: &mut [u8]) {
    for (index, byte) in arena.iter_mut().enumerate() {
        *byte = unused(index);
    }
}

/// Bytes up to the last one that has changed since it was painted.
pub fn used(arena: &[u8]) -> usize {
    let mut bytes = arena.iter().enumerate();
    let last = bytes.rfind(|&(index, &byte)| byte != unused(index));
    last.map_or(0, |(index, _)| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_changed_byte_counts() {
        let mut arena = [0; 1000];
        paint(&mut arena);
        assert_eq!(used(&arena), 0);
        for last in [0, 1, 254, 999] {
            arena[last] ^= 1;
            assert_eq!(used(&arena), last + 1);
        }
        assert_eq!(used(&[]), 0);
    }

    #[test]
    fn plain_bytes_are_no_paint() {
        for plain in 0..=255 {
            let len = used(&[plain; 1000]);
            assert!(len >= 998, "{plain}: {len}");
        }
    }
}
