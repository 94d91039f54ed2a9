//! How numbers are kept small: sixteen bits each, differences along a run, low and high bytes apart, deflated.
//!
//! Most tenants do next to nothing most of the time, so most differences are zero and most of a block vanishes.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

/// What is not known.
const NOTHING: u16 = u16::MAX;

/// The most bytes that a block may unpack to: a damaged one must not eat the memory.
const MOST: u64 = 64 << 20;

/// The upper sixteen bits of a number that is never negative, rounded: the range of an `f32`, exact to 1 in 512.
pub(super) fn squeeze(value: Option<f32>) -> u16 {
    match value {
        Some(value) if value.is_finite() => ((value.max(0.0).to_bits() + (1 << 14)) >> 15) as u16,
        _ => NOTHING,
    }
}

/// The number again.
pub(super) fn expand(kept: u16) -> Option<f32> {
    (kept != NOTHING).then(|| f32::from_bits(u32::from(kept) << 15))
}

/// Packs values; within a run of so many, neighbours are alike.
pub(super) fn pack(values: &[u16], run: usize) -> Vec<u8> {
    let mut bytes = vec![0; values.len() * 2];
    let (low, high) = bytes.split_at_mut(values.len());
    let mut before = 0u16;
    for (at, value) in values.iter().enumerate() {
        if at % run.max(1) == 0 {
            before = 0;
        }
        let [small, great] = value.wrapping_sub(before).to_le_bytes();
        (low[at], high[at]) = (small, great);
        before = *value;
    }
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory cannot fail; a block that came out empty is a gap.
    let _ = packed.write_all(&bytes);
    packed.finish().unwrap_or_default()
}

/// The values again; `None` when the block is damaged.
pub(super) fn unpack(packed: &[u8], run: usize) -> Option<Vec<u16>> {
    let mut bytes = Vec::new();
    DeflateDecoder::new(packed).take(MOST).read_to_end(&mut bytes).ok()?;
    let (low, high) = bytes.split_at_checked(bytes.len() / 2).filter(|(low, high)| low.len() == high.len())?;
    let mut before = 0u16;
    let undo = |(at, (small, great)): (usize, (&u8, &u8))| {
        if at % run.max(1) == 0 {
            before = 0;
        }
        before = u16::from_le_bytes([*small, *great]).wrapping_add(before);
        before
    };
    Some(low.iter().zip(high).enumerate().map(undo).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_to_a_fifth_of_a_per_cent_and_nothing_stays_nothing() {
        for value in [0.0, 0.25, 1.0, 17.0, 60.0, 99.9, 123_456.0, 1.2e11, 3e15] {
            let kept = expand(squeeze(Some(value))).unwrap();
            assert!((kept - value).abs() <= value / 500.0, "{value} became {kept}");
        }
        assert_eq!((expand(squeeze(None)), expand(squeeze(Some(f32::NAN)))), (None, None));
        assert_eq!(expand(squeeze(Some(60.0))), Some(60.0));
    }

    proptest::proptest! {
        #[test]
        fn blocks_go_there_and_back(values in proptest::collection::vec(0u16.., 0..400), run in 1usize..70) {
            proptest::prop_assert_eq!(unpack(&pack(&values, run), run), Some(values));
        }

        #[test]
        fn rubbish_is_no_block_and_no_trouble(bytes in proptest::collection::vec(0u8.., 0..200)) {
            let _ = unpack(&bytes, 60);
        }
    }
}
