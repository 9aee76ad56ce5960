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
//! # D18. A driver that was never run on a real device is said to be so, and not held back
//!
//! All vendors' profiles come from documents and doubles. Each profile lists the devices that it was run on by us; where the list is
//! empty, `sealagent doctor` and `sealagent tokens` say `untested-hardware`. Holding such a driver back behind a switch would be stricter,
//! and would hold back every one of them today; what protects a user is that each signature is verified on the host, and that no PIN is
//! sent twice, whatever a library does. *Would change our mind:* a device on which a wrong profile does harm.
//!
//! # D23. The contract is written from the table of paths that the router obeys
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
//! # D20. Without a screen the terminal asks; a pinentry only where the configuration names one
//!
//! A `pinentry` program takes a text and gives a PIN. It accepts at once what was typed for another window and cuts long texts where it
//! likes, so [`crate::consent::pinentry`] takes no answer that comes sooner than the delay, and shows the whole summary before the PIN is
//! asked for, in screens that fit; what takes more than twelve is refused. It shows no seal, takes a pasted PIN, and the PIN passes one
//! more program: that stays so, which is why it is never chosen by itself, and the program must be one that nobody but root and the user
//! can write. *Would change our mind:* a pinentry that keeps what it was given, seen in the wild.
//!
//! # D21. Facts about bytes are remembered from one document to the next, verdicts never
//!
//! An archive carries few seals under many documents, and two thirds of the SM2 work of a document is the same as in the one before.
//! [`crate::pki::Known`] remembers functions of bytes: a certificate as read, whether one certificate's key signed another, a seal's digest,
//! whether its maker signed it, and the state of SM3 behind it in what a company last signed with it. Paths, dates, revocation and trust are judged anew for each document. Remembering whole verdicts about a chain
//! would save some microseconds more, and one forgotten input (the time, the list, the region) would make a wrong "valid". The whole
//! mutation table runs through one shared memory. The agent has none: it judges a few documents a day, and 8 MB are its budget.
//!
//! # D22. Files of a package are hashed side by side, out of memory, up to 512 KiB each
//!
//! A page is inflated once: its bytes are parsed, wait for seven others and are hashed in eight lanes (`sm3-lanes`). Larger files are hashed
//! as they are inflated, one at a time, so that memory stays at 4 MiB whatever the package holds. *Else:* lanes over eight inflating
//! streams, which reads all over the file for the sake of a few large pictures. Scans of several megabytes a page would change our mind.
//!
//! # D30. The agent fetches no update and installs none
//!
//! IT departments have tools that bring packages onto machines, and a program that can replace itself is the best target there is. So
//! `update check` reads a signed manifest from a file that the policy names, remembers the highest number, and compares; [`crate::update`]
//! has no client and no way to a page. *Else:* a download over TLS, with a TLS stack in the agent. *Would change our mind:* sites
//! without any deployment tool, which then still need a person to run the package.
//!
//! # D31. What is said on Windows outside the policy file is said in the registry
//!
//! Properties of the MSI and Group Policy both end as values of keys that administrators alone write; a TOML file that an installer edits
//! would need a program that runs as the system while installing. Group Policy goes before the file, the installer's values behind it.
//!
//! # D32. A policy file under Wine is refused, and the check of the MSI relies on it
//!
//! Wine knows one user, who owns every file, so a policy there is always one that a user could have written. The check shows the refusal
//! and says by Group Policy what the file would have said; a rule that let Wine pass would be a hole on Windows.
//!
//! # D33. Packages are checked when their inputs change, and a stamp says so
//!
//! Four release builds, two chroots and Wine take half an hour. The stamp holds the digest of `packaging/`, the lock file and the version:
//! changes of other sources are met by every other test, and by the check before a release, which is `packaging/check.sh --stamp`.
//!
//! # D40. What regions sign is DER in GB/T 35275 `SignedData`, each kind under a content type of its own
//!
//! No public format exists for a trust list, seal status or a licence statement (trust.md §8, §9, §11). DER has one encoding, so
//! "canonical" needs no rules of its own and a reader can refuse every other form; our reader of seals reads it; any CMS tool can check
//! the envelope (Bouncy Castle and OpenSSL do in the tests). The content type is under the signature, so a key that signs
//! several kinds cannot have one taken for another. *Else:* XML with XMLDSig as in the EU (canonicalisation is where its forgeries come
//! from); JSON (no canonical form in use). *Would change our mind:* a published national format; then it is read beside this one.
//!
//! # D41. A status list names only seals that are not plain valid, with their whole history, and changes are cumulative
//!
//! A document is judged at its signing time, so a reinstated seal keeps its entry: what was signed while it was suspended stays bad. Size
//! follows the exceptions, not the seals. Changes since the weekly full list are one file, made anew every hour, so a reader
//! never needs a chain of them. A list cannot say that a seal exists; the signed answer to a query can. *Else:* a bit per seal, as in
//! status lists of credentials: no times, so no judging at the signing time. *Would change our mind:* regions with more than some
//! 400 000 exceptional seals: then lists are split by code.
//!
//! # D42. Fetching follows no address that a document or certificate names, and speaks plain `http`
//!
//! CRL distribution points and AIA come from whoever made the file; real ones name `127.0.0.1`, `ldap:` and private networks (trust.md §5). Only places
//! in an accepted list are asked, at a resolved and judged address. Everything fetched is signed and checked afterwards, so TLS would hide
//! who asks about which seal and nothing more, and no TLS of the national suites is at hand in pure Rust. *Would change our mind:* a
//! region that serves its lists by TLS only; a proxy can bridge it meanwhile.
//!
//! # D43. Taking trust back keeps a memory of the region
//!
//! `trust remove` keeps number and key of the last list, so that an old list cannot come back in, and the report can say that a region
//! is not accepted *any more* instead of not knowing it. `--forget` drops it. Two accepted lists that disagree about a service
//! decide nothing (`TRUST_LIST_CONFLICT`): who is right no program can tell.
//!
//! # D44. The authority keeps its records in SQLite or PostgreSQL, its keys in files or on a token
//!
//! Counters, seals and states change together or not at all, and several processes look at them; that is a database's trade. SQLite is
//! one file that needs no server; it is C, bundled, and only in `sealauthority`. PostgreSQL is for a region that outgrows one machine, by
//! the same statements. A counter is a row there that its user locks, not a sequence: a sequence gives a number before it is on disk, and
//! after a crash may give it again. A connection that breaks at COMMIT leaves the question whether it counted; each transaction
//! therefore notes its own number first, and the server is asked for its fate, so that no repetition is a guess. The password stands in no
//! argument and not in the folder, and `sslmode` knows only a proven server or, on this machine, none: `prefer` and its kind fall
//! back in silence. *Would change our mind:* one commit at a time for serial numbers becoming the limit; then ranges of numbers per
//! process.
//!
//! Keys are PKCS#8 files, since tools and people know how to keep those; root, CA and maker, whose misuse makes certificates and seals, may
//! be on a token instead. The authority speaks to `sealagent-worker` as the agent does, without the agent's client, which signs only what a
//! person agreed to item by item; here the person who gives the command and types the PIN is the authority. Services that answer
//! by themselves keep files: the CA can replace their keys. Revocation lists of a key on a token are made anew when something is revoked or
//! half of their time is over, not each hour: each costs a person and a PIN. *Would change our mind:* a token that stays logged in
//! for a service, as a network HSM does.
//!
//! # D26. The agent's own pages keep their session in the tab, not in a cookie
//!
//! A browser sends the cookies of 127.0.0.1 to every port of it (RFC 6265 §8.5), so a session cookie would travel to the servers of other
//! programs and other users, and pages of those are "same-site" to it. The token of a session is in `sessionStorage`, which is this
//! port's alone and ends with the tab, and goes out in an `Authorization` header, which no form, image or page of another origin can
//! send. Beside it each call must say by `Origin` or `Sec-Fetch-Site` that it is from this origin. A script on these pages could read it;
//! the policy lets none in that is not part of the program, and Trusted Types forbid all writing of markup. Judging a file and the
//! diagnosis need no session: they show nothing of the person, and a help desk has people type the address. *Would change our mind:*
//! cookies that are bound to a port in every browser in use.
//!
//! # D27. A one-time link is a file that the command makes and the agent removes
//!
//! `sealagent open` has to tell the running agent which token counts. A file of the user (0600, in a folder of 0700, named by the
//! token's digest) does it without a control socket, on both systems, as with pairings (D11); removing it succeeds once, which is what
//! "once" means. The link itself stands on the browser's command line, where other users may read it: they cannot use it, since the
//! agent refuses their connections (peer check), and it lasts a minute. Jupyter's way, a local HTML file that redirects, fails for
//! browsers in a sandbox, which cannot read it. The port comes from a file too; before the link is made, the command looks whose
//! socket answers there, so that a squatter (attack item 44) gets no visitor.
//!
//! # D45. A batch is handed out while it runs, and stops at the token's first error
//!
//! The token signs one message after the other; verifying, stamping, writing and judging a document happen beside it, so a batch goes at
//! the token's own pace (`benches/contracts.rs`). What is finished goes on the record in groups, at most once a second, and out after
//! that (I9): a UKey that is pulled out after 400 of 500 bids costs 100. After the first error of the token nothing is asked of it
//! again in that request, whatever the error was: a second PIN error is the one that locks it. Whoever asks again under the same key
//! gets a prompt for the items that are left; a document counts as one, since half of its seals are not given out. *Would change our
//! mind:* a token that signs several messages in one call.
//!
//! # D46. A keyword is found by the preview, and what it finds is shown before it counts
//!
//! Text on a page is page content, which the agent does not read. The preview draws the pages and tells what text a person can see; its
//! answer only moves the place that the person is shown, and that place is in the digest that they agree to. A preview that is absent,
//! or that cannot read a page on which the keyword may stand, is a refusal, not a guess. *Would change our mind:* nothing; a second reader of
//! text in the agent would be a second attack surface.
//!
//! # D47. A time stamp over a whole PDF proves every signature under it
//!
//! `upgrade` never touches what is there: revocation data and a document time stamp go on top as one more update (PAdES), so it works for
//! signatures of any maker, also in closed documents, where ISO 32000-2 allows just this. The verifier takes a good one as the time by
//! which the signatures before it existed. The stamp itself needs revocation data of its authority when it is judged; before that runs out,
//! one stamps again, and the newer stamp proves the older one (EN 319 102-1 clause 5.6). What stands in `/DSS` is a hint like data enclosed
//! in a signature: each value counts by its own issuer's signature and dates. It is read from every revision, the oldest first, so that
//! whoever appends one can take no room and no patience from what was there. OFD has no such place: a seal signature takes a stamp over its
//! own value while no later signature protects that file, and revocation data has no place at all. *Would change our mind:* a standard that
//! gives OFD one.
//!
//! # D48. The verification service is the agent's verifier, without the agent
//!
//! `sealauthority verify-service` stands behind the feature `service`: core, trust folders, and how requests are read, and nothing of
//! consent, workers or origins, so that no portal links what can sign. Its heads pass the agent's own scanner: a load balancer and this program
//! that read one request as two is how uploads of strangers get mixed up, so `Content-Length` is asked for, which every balancer that buffers
//! sends. A file that finds no place is refused at once (503) instead of queued: the balancer knows a process with room, a queue here only hides
//! that there is none. Judging changes nothing, so a balancer may repeat a POST. Trust is read anew when files change; no signal and no call
//! can be forgotten. *Would change our mind:* portals that cannot send a length.
//!
//! # D49. A verdict says what it looked up; who can ask asks, and judges again
//!
//! The verifier fetches nothing, also with `--online`. It notes which certificates' and seals' state it needed; the agent asks the places that an
//! accepted list names for exactly these, keeps what is signed by whom the list names, and judges anew. Two verdicts cost milliseconds; a
//! verifier that waits for servers in the middle of a file would have to be trusted with a network, and could not be compared with the one
//! that has none. A hostile file can cause 32 questions of each kind, to places that the region chose. OCSP answers without a nonce are taken by
//! their dates, since large responders make them beforehand; another nonce is refused. *Would change our mind:* a region that forbids
//! answers made beforehand; then its list should say so.
//!
//! # D50. A revocation list is fetched when half of what it had left is over
//!
//! Counted from the fetch, not from the list's own date: a CA that renews its list on the last day would else be asked every ten minutes for
//! fifteen days. So a list that does not change is asked for ever more often as its end comes near, some dozen times in all.
//!
//! # D51. A seal that needs a renderer is drawn whole or not at all, and PDF gets that picture
//!
//! Pictures of seals in SVG and OFD are hostile input, so `sealagent-preview` draws them, once for each request and before the person is
//! asked, at 600 dpi on nothing; prompt, page and PDF get the same PNG. `resvg` is built without text and images and passes over what it
//! does not know, so every element, attribute, property and value is looked at first and the unknown refused by name: a seal without a
//! part of it is another seal. Drawing vectors into the PDF would be finer than print shows and would take a second renderer into the
//! agent. OFD keeps the seal's own file, since readers draw what the signed value holds. *Would change our mind:* makers whose SVG
//! needs what is refused; then that is drawn, not let through.
