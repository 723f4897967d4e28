use super::*;
use crate::apply::testing::*;
use crate::disk::{Disk, Place};

fn chunks_of(content: &[u8], size: u64) -> Vec<Chunk> {
    let rig = Rig::new();
    rig.write("a", content);
    chunks(&mut *rig.disk.open(&Place::User(path("a"))).unwrap(), ChunkSizes::of(size)).unwrap()
}

#[test]
fn sizes_grow_with_the_content_and_stay_in_bounds() {
    for (size, average) in
        [(0, 16), (1 << 20, 16), (1 << 28, 16), (1 << 30, 64), (1 << 40, 1024), (u64::MAX, 1024)]
    {
        assert_eq!(ChunkSizes::of(size).average, average * 1024, "{size}");
    }
}

#[test]
fn chunks_cover_the_content_and_are_hashed() {
    for len in [0, 1, 5000, 100_000, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 12_345] {
        let content = noise(1, len);
        let mut rest = &content[..];
        for chunk in chunks_of(&content, len as u64) {
            let (bytes, after) = rest.split_at(chunk.len as usize);
            assert_eq!(chunk.hash, blake3::hash(bytes).as_bytes()[..6]);
            rest = after;
        }
        assert!(rest.is_empty(), "{len}");
    }
}

#[test]
fn blocks_do_not_move_boundaries() {
    let content = noise(1, 2 * BLOCK + 300_000);
    let sizes = ChunkSizes::of(content.len() as u64);
    let whole = fastcdc::v2020::FastCDC::with_level(
        &content,
        sizes.min,
        sizes.average,
        sizes.max,
        Normalization::Level2,
    );
    let expected: Vec<_> = whole.map(|chunk| chunk.length as u32).collect();
    let found: Vec<_> = chunks_of(&content, content.len() as u64).iter().map(|chunk| chunk.len).collect();
    assert_eq!(found, expected);
}

#[test]
fn insertion_at_the_front_leaves_nearly_all_chunks() {
    let content = noise(1, 8 << 20);
    let inserted = [b"x", &content[..]].concat();
    let before = chunks_of(&content, inserted.len() as u64);
    let after = chunks_of(&inserted, inserted.len() as u64);
    let new = after.iter().filter(|chunk| !before.contains(chunk)).count();
    assert!(new <= 3, "{new} of {}", after.len());
}
