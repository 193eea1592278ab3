//! Reproducible randomness: every decision has a stream of its own.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The stream of random numbers for one purpose and the numbers that tell its uses apart (seed, epoch,
/// index, …). It depends on nothing else, so results do not depend on the number of threads.
pub fn stream(purpose: &str, numbers: &[u64]) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new_derive_key("kiln 2026 random stream");
    hasher.update(&(purpose.len() as u64).to_le_bytes());
    hasher.update(purpose.as_bytes());
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn a_stream_is_fixed_by_its_purpose_and_numbers() {
        let first = |purpose: &str, numbers: &[u64]| stream(purpose, numbers).random::<u64>();
        let one = first("augment", &[1, 2, 3]);
        assert_eq!(one, first("augment", &[1, 2, 3]));
        for (purpose, numbers) in [
            ("augmenu", &[1, 2, 3][..]),
            ("augment", &[1, 2]),
            ("augment", &[1, 3, 2]),
            ("augment", &[1, 2, 3, 0]),
        ] {
            assert_ne!(one, first(purpose, numbers), "{purpose} {numbers:?}");
        }
    }
}
