//! Decisions that someone could reasonably reverse: the choice, what else there was, and what would change our mind.
//!
//! # D1. ASN.1 is read by our own window on the bytes, not by a DER crate
//!
//! Every real vendor's seal breaks DER somewhere (explicit `DEFAULT FALSE`, negative r, wrong string types), and every signature is
//! checked over the bytes as received. A strict decoder refuses valid government seals; a decoder that re-encodes breaks their
//! signatures. [`crate::asn1`] is some 300 lines that never copy and never recurse. Certificates, CRLs, OCSP answers and time stamps
//! go the same road, so there is one reader to fuzz instead of two. *Else:* `der` and `x509-cert` for certificates alone (`pkcs8`, for the authority's key files, brings `der`
//! into the lock file; no file of others goes through it). *Would
//! change our mind:* a maintained crate that keeps raw bytes of each part and names its tolerances.
//!
//! # D2. SM2 signatures are made by the RustCrypto crate
//!
//! Signing happens in a token, so the agent only verifies (D16). Private keys exist in the virtual UKey and the pilot authority, and there
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
//! # D9. PDF is read by our own reader, and never repaired
//!
//! A verdict on a PDF signature needs the document as it stood at one revision, which cross-reference section gave each object, and where
//! each byte of it lies. The crates that read PDF (lopdf, pdf, hayro-syntax) merge the sections into one table, hold the file in memory
//! and repair what is broken without saying so; each of the three hides an attack. So `pdf` has a reader of its own: lazy, within a work
//! limit, an object looked up as of a section. Where other readers would repair or choose, that is an ambiguity, and no signature on such
//! a file is good. The price: a damaged file that a viewer shows is refused here. We would change our mind for a crate that answers
//! "this object, as of that revision" from a `Read + Seek`. Updates are written by hand for the same reason: the bytes before them must
//! stay, and the place of `/Contents` must be known to the byte.
//!
//! Later changes are compared object by object, against a short list of what signing does. What is not on the list is a change, even
//! where Acrobat shows nothing different: an unknown key is cheaper to explain than a wrong "unchanged".
//!
//! # D10. A paired page proves each call over the mark of the agent's run
//!
//! A counter that only grows must be on the disk before each answer, or a call that was seen before a restart can be played after it.
//! Instead every start of the agent draws a mark, `GET /v1/info` proves it to the page together with the challenge, and each MAC
//! covers it. Numbers need then be remembered for one run only; the last 128 may come late, because a browser's calls overtake each
//! other. "Once" is a grant that names the run. *Would change our mind:* a client that cannot ask for `info` first.
//!
//! # D11. Grants are files that each request reads
//!
//! `sealagent origins revoke` is another process than the agent. A cache would need a way to tell the agent; reading one small file
//! costs some ten microseconds and cannot be stale. Who is no pairing's origin is told by file names alone.
//!
//! # D12. WebSocket frames are read by hand
//!
//! A page says its credential, pongs and goodbye. A library would add reassembly, compression and binary messages, each of which we
//! would then have to switch off and test. 150 lines refuse them by not having them.
//!
//! # D13. OFD pages are drawn here, PDF pages by `hayro`, both in a process of their own
//!
//! Both published OFD renderers left out backgrounds, QR codes or whole pages without a word, and every renderer that was tried, for
//! either format, could be stopped by a file of 5 kB. So `sealagent-preview` draws OFD itself, on `tiny-skia` and `skrifa`, and names
//! whatever is not in the picture; `hayro` is pinned to one version, since its interface changes with each. What text can be seen is
//! decided by drawing the page a second time without it. Time and memory of `hayro` are limited by the process and its asker only: a
//! limit inside it would let us tell which page was too much. An OFD crate that reports what it leaves out would change our mind.
//!
//! # D14. PKCS#11 through our own declarations, not through `cryptoki`
//!
//! The crate has no 32-bit Windows layout, refuses labels that are not UTF-8, drops vendor mechanisms and codes, and reads as many bytes
//! as a module claims to have written. Each of these hides a real UKey or trusts a lying one. It stays as a development dependency that
//! reads our test module. *Would change our mind:* a release that takes lengths as claims and keeps vendor numbers.
//!
//! # D15. The PC/SC driver polls; it holds no `SCardGetStatusChange`
//!
//! A blocked call on a second context cannot be ended on every system, and the worker has one thread for the device. Asking the service,
//! not the cards, every 250 ms costs nothing that was measurable and shows a change within a second.
//!
//! # D16. SM2 is verified by our own crate, SM3 by `sm3`
//!
//! `crates/sm2-verify` handles public data only, in variable time, and is four times as fast as `sm2` on any key; both must agree in
//! tests and under fuzzing, and the feature `reference-sm2` puts the other one back. D2 stands for signing. `crates/sm3-lanes` hashes many
//! inputs at three times the speed; one stream is no faster than `sm3` on the machine where it was measured, so `sm3` stays.
//!
//! # D17. Fuzz bodies are functions
//!
//! libFuzzer needs a nightly toolchain, which not everyone has. So each body is a plain function in `fuzz/src/lib.rs`, run by cargo-fuzz
//! where it can and by proptest on stable, from the same seeds.
//!
//! # D18. The contract is written from the table of paths that the router obeys
//!
//! `GET /v1/openapi.json` comes from `http::routes`, by which each request is matched, and from schemas that `schemars` derives of the types
//! that are read and sent. A path without a description cannot be reached. *Else:* `utoipa` brings macros that describe handlers beside the
//! router, so that the two can differ; a file written by hand differs from the first day. `schemars` costs two small crates and a derive
//! on each type; tests hold every answer against the result, and openapi-spec-validator judges it.
//!
//! # D19. The local authority throws its key away
//!
//! The certificate for `https://127.0.0.1` needs an issuer that a browser can be told to trust. That issuer is made together with the one
//! certificate, may vouch for `localhost` and `127.0.0.1` alone, and its key never reaches the disk: a renewal is a new authority, and a
//! person's trust once more. Programs that kept such a key were how others' pages got signed. No store is written to; the person runs the
//! line that is printed. rustls with ring: the one provider that needs no more than a C compiler, on Windows as well.
//!
//! # D20. Without a screen the terminal asks; there is no pinentry
//!
//! A `pinentry` program takes a text and gives a PIN. It accepts at once what was typed for another window, takes a pasted PIN, shows no
//! seal and cuts long texts where it likes, and the PIN would pass one more program. The terminal prompt keeps all the rules of the window
//! but the pictures. *Would change our mind:* a machine where neither a terminal nor a screen can be had, and a person can.
//!
//! # D21. Facts about bytes are remembered from one document to the next, verdicts never
//!
//! An archive carries few seals under many documents, and two thirds of the SM2 work of a document is the same as in the one before.
//! [`crate::pki::Known`] remembers three functions of bytes: a certificate as read, whether one certificate's key signed another, whether a
//! maker signed a seal. Paths, dates, revocation and trust are judged anew for each document. Remembering whole verdicts about a chain
//! would save some microseconds more, and one forgotten input (the time, the list, the region) would make a wrong "valid". The whole
//! mutation table runs through one shared memory. The agent has none: it judges a few documents a day, and 8 MB are its budget.
//!
//! # D22. Files of a package are hashed side by side, out of memory, up to 512 KiB each
//!
//! A page is inflated once: its bytes are parsed, wait for seven others and are hashed in eight lanes (`sm3-lanes`). Larger files are hashed
//! as they are inflated, one at a time, so that memory stays at 4 MiB whatever the package holds. *Else:* lanes over eight inflating
//! streams, which reads all over the file for the sake of a few large pictures. Scans of several megabytes a page would change our mind.
