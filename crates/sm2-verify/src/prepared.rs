//! Keys that verify more than once: a table each, and the bounded set of such tables.

use std::sync::{Arc, Mutex, PoisonError};

use alloc::vec;
use alloc::vec::Vec;

use crate::comb::{KeyComb, generator, is_generator_made, multiply_each};
use crate::joint::has_x;
use crate::point::Jacobian;
use crate::{Equation, PublicKey, verify};

/// A public key with its table of multiples: 52 KiB. Making it costs about as much as three verifications with [`verify`]; each
/// verification with it costs about a quarter of one without.
pub struct PreparedKey {
    table: KeyComb,
}

impl PreparedKey {
    /// Makes the table of `key`.
    pub fn new(key: &PublicKey) -> Self {
        Self { table: KeyComb::new(&key.point) }
    }

    /// As [`verify`].
    pub fn verify(&self, e: &[u8; 32], r: &[u8; 32], s: &[u8; 32]) -> bool {
        Equation::new(e, r, s).is_some_and(|wanted| {
            let sum = generator().add_to(Jacobian::INFINITY, &wanted.s);
            has_x(&self.table.add_to(sum, &wanted.t), &wanted.x)
        })
    }
}

/// One signature by a prepared key, for [`verify_many_prepared`].
#[derive(Clone, Copy)]
pub struct PreparedItem<'a> {
    /// The key.
    pub key: &'a PreparedKey,
    /// SM3(Z ‖ M).
    pub e: &'a [u8; 32],
    /// r.
    pub r: &'a [u8; 32],
    /// s.
    pub s: &'a [u8; 32],
}

/// How many signatures go in step: enough that the shared inversions cost little, few enough that all sums stay in the fast cache.
const IN_STEP: usize = 128;

/// Verifies many signatures by prepared keys, the same or different ones: the verdicts, in order. The sums run in step, so that they
/// share their inversions.
pub fn verify_many_prepared(items: &[PreparedItem<'_>]) -> Vec<bool> {
    let mut verdicts = vec![false; items.len()];
    for (items, verdicts) in items.chunks(IN_STEP).zip(verdicts.chunks_mut(IN_STEP)) {
        let equations: Vec<_> = items.iter().map(|item| Equation::new(item.e, item.r, item.s)).collect();
        let jobs: Vec<_> = items
            .iter()
            .zip(&equations)
            .filter_map(|(item, wanted)| wanted.as_ref().map(|w| (&item.key.table, &w.s, &w.t)))
            .collect();
        let mut sums = multiply_each(&jobs).into_iter();
        for (verdict, wanted) in verdicts.iter_mut().zip(&equations) {
            let Some(wanted) = wanted else { continue };
            *verdict = sums.next().flatten().is_some_and(|sum| has_x(&sum.to_jacobian(), &wanted.x));
        }
    }
    verdicts
}

/// A key seen this often gets its table: by then the verifications without one have cost about as much as the table does.
const SIGHTINGS: u32 = 4;
/// The first key to get one waits longer, since the generator's table, which costs twice as much, is made with it: a process that judges one
/// file and ends should make neither.
const FIRST_SIGHTINGS: u32 = 14;

/// Verifies, and remembers the keys: one that keeps coming back (an issuer's, a time stamp authority's) gets a table. At most as many
/// keys as it was made for are remembered, the least recently used is forgotten first. For all threads; locked for a look-up only.
pub struct Tables {
    capacity: usize,
    /// The most recently used last.
    keys: Mutex<Vec<Remembered>>,
}

struct Remembered {
    xy: [u8; 64],
    sightings: u32,
    table: Option<Arc<PreparedKey>>,
}

impl Tables {
    /// For at most `capacity` keys, 52 KiB each where all have come back. Look-ups are linear: meant for tens of keys, not thousands.
    /// With 0 every verification is [`verify`].
    pub fn new(capacity: usize) -> Self {
        Self { capacity, keys: Mutex::new(Vec::new()) }
    }

    /// As [`verify`].
    pub fn verify(&self, key: &PublicKey, e: &[u8; 32], r: &[u8; 32], s: &[u8; 32]) -> bool {
        match self.prepared(key) {
            Some(prepared) => prepared.verify(e, r, s),
            None => verify(key, e, r, s),
        }
    }

    /// The table of `key`, where it has come back often enough; counts this sighting.
    pub fn prepared(&self, key: &PublicKey) -> Option<Arc<PreparedKey>> {
        match self.sight(key) {
            Sighting::Few => None,
            Sighting::Table(table) => Some(table),
            Sighting::Enough => {
                // Outside the lock; two threads may make the same table, and one of them is kept.
                let made = Arc::new(PreparedKey::new(key));
                let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(found) = keys.iter_mut().find(|known| known.xy == key.xy) {
                    found.table = Some(Arc::clone(&made));
                }
                Some(made)
            }
        }
    }

    fn sight(&self, key: &PublicKey) -> Sighting {
        if self.capacity == 0 {
            return Sighting::Few;
        }
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        match keys.iter().rposition(|known| known.xy == key.xy) {
            Some(at) => keys[at..].rotate_left(1),
            None => {
                if keys.len() == self.capacity {
                    keys.remove(0);
                }
                keys.push(Remembered { xy: key.xy, sightings: 0, table: None });
            }
        }
        let Some(known) = keys.last_mut() else { return Sighting::Few };
        known.sightings = known.sightings.saturating_add(1);
        match &known.table {
            Some(table) => Sighting::Table(Arc::clone(table)),
            None if known.sightings < if is_generator_made() { SIGHTINGS } else { FIRST_SIGHTINGS } => Sighting::Few,
            None => Sighting::Enough,
        }
    }
}

enum Sighting {
    Few,
    Enough,
    Table(Arc<PreparedKey>),
}
