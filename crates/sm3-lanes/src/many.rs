//! Many inputs of unequal length, side by side.

use crate::sm3;

/// The digests of many inputs, in order. Where the processor has AVX2, eight inputs go side by side; the longest first, so that the last
/// ones to run are of like length.
pub fn hash_many(inputs: &[&[u8]]) -> Vec<[u8; 32]> {
    #[cfg(target_arch = "x86_64")]
    if inputs.len() > 1
        && let Some(avx2) = crate::x86::Avx2::detect()
    {
        return side_by_side(inputs, |states, blocks, count| avx2.compress(states, blocks, count));
    }
    inputs.iter().map(|input| sm3(input)).collect()
}

#[cfg(target_arch = "x86_64")]
use crate::compress::{BLOCK, INITIAL, compress, to_bytes};

/// An input on its way through a lane.
#[cfg(target_arch = "x86_64")]
struct Running<'a> {
    /// Where its digest goes.
    index: usize,
    /// Whole blocks still to come.
    blocks: &'a [[u8; BLOCK]],
    /// The blocks after those; how many there are, and how many were taken.
    tail: [[u8; BLOCK]; 2],
    tail_blocks: usize,
    tail_taken: usize,
}

#[cfg(target_arch = "x86_64")]
impl<'a> Running<'a> {
    fn new(index: usize, input: &'a [u8]) -> Self {
        let (blocks, rest) = input.as_chunks();
        let (tail, tail_blocks) = crate::padded(rest, input.len() as u64);
        Self { index, blocks, tail, tail_blocks, tail_taken: 0 }
    }

    /// The blocks at hand: empty at the end only.
    fn at_hand(&self) -> &[[u8; BLOCK]] {
        if self.blocks.is_empty() { &self.tail[self.tail_taken..self.tail_blocks] } else { self.blocks }
    }

    fn advance(&mut self, count: usize) {
        if self.blocks.is_empty() {
            self.tail_taken += count;
        } else {
            self.blocks = &self.blocks[count..];
        }
    }
}

/// States of LANES inputs, word by word: `states[word][lane]`.
#[cfg(target_arch = "x86_64")]
pub(crate) type States<const LANES: usize> = [[u32; LANES]; 8];

/// Fewer inputs than this left, and each goes alone: a vector round costs about two scalar ones.
#[cfg(target_arch = "x86_64")]
const WORTH_A_VECTOR: usize = 3;

/// `step` takes that many blocks of every lane into its state; every slice it gets has at least that many.
#[cfg(target_arch = "x86_64")]
fn side_by_side<const LANES: usize>(
    inputs: &[&[u8]],
    step: impl Fn(&mut States<LANES>, &[&[[u8; BLOCK]]; LANES], usize),
) -> Vec<[u8; 32]> {
    let mut digests = vec![[0; 32]; inputs.len()];
    let mut order: Vec<usize> = (0..inputs.len()).collect();
    order.sort_unstable_by_key(|index| std::cmp::Reverse(inputs[*index].len()));
    let mut waiting = order.into_iter().map(|index| Running::new(index, inputs[index]));
    let mut states = [[0; LANES]; 8];
    let mut lanes: [Option<Running<'_>>; LANES] = [const { None }; LANES];
    loop {
        for (lane, running) in lanes.iter_mut().enumerate().filter(|(_, running)| running.is_none()) {
            *running = waiting.next();
            states.iter_mut().zip(INITIAL).for_each(|(words, initial)| words[lane] = initial);
        }
        if lanes.iter().flatten().count() < WORTH_A_VECTOR {
            break;
        }
        let Some(first) = lanes.iter().flatten().next() else { break };
        // An idle lane repeats another's work; nobody reads its state.
        let blocks = lanes.each_ref().map(|running| running.as_ref().unwrap_or(first).at_hand());
        let count = blocks.iter().map(|blocks| blocks.len()).min().unwrap_or(0);
        step(&mut states, &blocks, count);
        for (lane, slot) in lanes.iter_mut().enumerate() {
            let Some(running) = slot else { continue };
            running.advance(count);
            if running.at_hand().is_empty() {
                digests[running.index] = to_bytes(&states.map(|words| words[lane]));
                *slot = None;
            }
        }
    }
    for (lane, running) in lanes.iter().enumerate() {
        let Some(running) = running else { continue };
        let mut state = states.map(|words| words[lane]);
        compress(&mut state, running.blocks);
        compress(&mut state, &running.tail[running.tail_taken..running.tail_blocks]);
        digests[running.index] = to_bytes(&state);
    }
    digests
}
