//! Decisions that someone could reasonably reverse: the choice, what else there was, and what would change our mind.
//!
//! # D1. ASN.1 is read by our own window on the bytes, not by a DER crate
//!
//! Every real vendor's seal breaks DER somewhere (explicit `DEFAULT FALSE`, negative r, wrong string types), and every signature is
//! checked over the bytes as received. A strict decoder refuses valid government seals; a decoder that re-encodes breaks their
//! signatures. [`crate::asn1`] is some 300 lines that never copy and never recurse. Certificates, CRLs, OCSP answers and time stamps
//! go the same road, so there is one reader to fuzz instead of two. *Else:* `der` and `x509-cert` for certificates alone. *Would
//! change our mind:* a maintained crate that keeps raw bytes of each part and names its tolerances.
//!
//! # D2. SM2 and SM3 come from the RustCrypto crates
//!
//! Signing happens in a token, so the agent only verifies. Private keys exist in the virtual UKey and the pilot authority, and there
//! the constant-time `sm2` crate signs. Our own code computes Z and e only (the crate does not expose them) and proves them against
//! the standard's example and the crate's verifier.
//!
//! # D3. One process for each driver, from the first day
//!
//! A vendor library may hang, crash, print, or be 32-bit. A thread cannot be stopped; a process can. The hop costs tens of
//! microseconds. The agent links no driver crate at all, which the compiler checks. *Would change our mind:* nothing seen so far.
//!
//! # D4. The PIN travels as a trailer outside the JSON header
//!
//! A JSON string would leave copies in the parser, in error texts and in debug output. The trailer is read straight into a wiped
//! buffer. Byte strings inside headers are base64: a 60 KB `TBS_Sign` as a list of numbers costs four times the bytes and the time.
//!
//! # D5. `Session::change_pin` belongs to the driver trait
//!
//! ARCHITECTURE first listed login and signing only. A locked or default PIN is among the most frequent calls to a help desk, and the
//! same rules hold for it (one prompt, one try), so it is a request of the worker like the others.
//!
//! # D6. The worker makes the `Sm2Message` again
//!
//! A `Sign` request carries message bytes and id, not e: the worker computes e from the token's own public key, after comparing that
//! key with the one the person agreed to. So a swapped token is refused before the PIN is used, and bytes and digest cannot disagree
//! across the border.
//!
//! # D7. Standard-sized reading, hostile-sized limits
//!
//! Each parser states its limits at the top of its file with the reason for each number, and answers `LIMIT_EXCEEDED`, never a
//! truncated result. A limit that real files reach is a bug of the limit.
//!
//! # D8. The ZIP structure of an OFD is read and written here
//!
//! A signed package must be the same package to every reader, so the directory and the entries' own headers are held against each
//! other, and every byte of the file must belong to one of them. The `zip` crate reads the directory alone, and rewrites headers when
//! it copies an entry; a check beside it would have been a second parser that must agree with the first. Ours is 600 lines, copies
//! entries byte for byte, and leaves inflating to `flate2`. The crate judges our output in tests. Gaps, prefixes and bytes behind the
//! end are refused, not tolerated: no real file that was seen has any. A product that writes them would change our mind.
//!
//! # D9. OFD pages are drawn here, PDF pages by `hayro`, both in a process of their own
//!
//! Both published OFD renderers left out backgrounds, QR codes or whole pages without a word, and every renderer that was tried, for
//! either format, could be stopped by a file of 5 kB. So `sealagent-preview` draws OFD itself, on `tiny-skia` and `skrifa`, and names
//! whatever is not in the picture; `hayro` is pinned to one version, since its interface changes with each. What text can be seen is
//! decided by drawing the page a second time without it. Time and memory of `hayro` are limited by the process and its asker only: a
//! limit inside it would let us tell which page was too much. An OFD crate that reports what it leaves out would change our mind.
