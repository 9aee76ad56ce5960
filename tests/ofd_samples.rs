//! Every real OFD of the samples folder: references, coverage, pages and tolerances as its INDEX.md says. Where the folder is absent
//! the cases count as ignored.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::PathBuf;

use libtest_mimic::{Arguments, Failed, Trial};
use sealagent::document::{DocumentError, Prepared as _, Provider, Signable as _, SignatureKind, SigningPlan};
use sealagent::ofd::{FileClass, Ofd, ReferenceOutcome as Outcome};
use sealagent::stamp::{PageNumber, Placement, RectMm};

/// What one signature of a file must give.
struct Expected {
    id: &'static str,
    /// How many references came to what.
    outcomes: &'static [(Outcome, usize)],
    /// Paths of references that are not `Ok`, where there are few.
    bad: &'static [&'static str],
    /// Files that the current document draws and this signature does not name.
    uncovered_drawn: &'static [&'static str],
    stamps: usize,
    /// `SignatureDateTime` in UTC.
    time: &'static str,
}

struct Sample {
    file: &'static str,
    pages: &'static [(f64, f64)],
    signatures: &'static [Expected],
    tolerances: &'static [&'static str],
    unreferenced: &'static [&'static str],
}

const A4: (f64, f64) = (210.0, 297.0);

const SAMPLES: &[Sample] = &[
    Sample {
        file: "antchain-zhejiang-list.ofd",
        pages: &[(210.0, 140.0)],
        signatures: &[Expected {
            id: "1",
            outcomes: &[(Outcome::Ok, 7)],
            bad: &[],
            uncovered_drawn: &[],
            stamps: 1,
            time: "2022-10-31T06:16:34Z",
        }],
        tolerances: &[],
        unreferenced: &["/Doc_0/Pages/Page_1/Content.xml"],
    },
    Sample {
        file: "dms360-v1-broken.ofd",
        pages: &[A4; 2],
        signatures: &[Expected {
            id: "0",
            outcomes: &[(Outcome::BadMethod, 6)],
            bad: &[],
            uncovered_drawn: &[],
            stamps: 1,
            time: "2020-01-25T07:31:56Z",
        }],
        tolerances: &["/Doc_0/Signs/Sign_0/Signature.xml: Provider fields are elements"],
        unreferenced: &[],
    },
    Sample {
        file: "gomain-yunnan-two-seals-pages-edited.ofd",
        pages: &[(297.0001, 210.0001), (210.0001, 297.0001)],
        signatures: &[
            Expected {
                id: "2",
                outcomes: &[(Outcome::Ok, 21), (Outcome::Changed, 2)],
                bad: &["/Doc_0/Pages/Page_1/Content.xml", "/Doc_0/Pages/Page_0/Content.xml"],
                uncovered_drawn: &[],
                stamps: 1,
                time: "2020-10-10T06:58:40Z",
            },
            Expected {
                id: "4",
                outcomes: &[(Outcome::Ok, 24), (Outcome::Changed, 2)],
                bad: &["/Doc_0/Pages/Page_1/Content.xml", "/Doc_0/Pages/Page_0/Content.xml"],
                uncovered_drawn: &[],
                stamps: 1,
                time: "2020-10-10T06:58:41Z",
            },
        ],
        tolerances: &[],
        unreferenced: &[],
    },
    Sample {
        file: "kinggrid-tax-test-999.ofd",
        pages: &[(210.0, 140.0), A4, A4, A4, A4],
        signatures: &[Expected {
            id: "1",
            outcomes: &[(Outcome::Ok, 20)],
            bad: &[],
            uncovered_drawn: &[],
            stamps: 1,
            time: "2020-08-17T11:13:29Z",
        }],
        tolerances: &[],
        unreferenced: &[],
    },
    Sample {
        file: "kinsec-fujian-two-seals-versions.ofd",
        pages: &[(209.3595, 293.631)],
        signatures: &[
            Expected {
                id: "1",
                outcomes: &[(Outcome::Ok, 5)],
                bad: &[],
                uncovered_drawn: KINSEC_SECOND_VERSION,
                stamps: 1,
                time: "2022-08-19T08:42:24Z",
            },
            Expected {
                id: "2",
                outcomes: &[(Outcome::Ok, 7)],
                bad: &[],
                uncovered_drawn: KINSEC_SECOND_VERSION,
                stamps: 1,
                time: "2022-08-19T08:44:13Z",
            },
        ],
        tolerances: &[],
        unreferenced: &[],
    },
    Sample {
        file: "ofdrw-bare-rs-sign.ofd",
        pages: &[A4],
        signatures: &[Expected {
            id: "s001",
            outcomes: &[(Outcome::Ok, 4)],
            bad: &[],
            uncovered_drawn: &[],
            stamps: 0,
            time: "2020-04-22T08:22:44Z",
        }],
        tolerances: &[],
        unreferenced: &[],
    },
    Sample { file: "ofdrw-gmt0099-integrity.ofd", pages: &[A4; 2], signatures: &[], tolerances: &[], unreferenced: &[] },
    Sample {
        file: "ofdrw-two-sigs-list-protected.ofd",
        pages: &[A4; 5],
        signatures: &[
            Expected {
                id: "s001",
                outcomes: &[(Outcome::Ok, 8), (Outcome::Changed, 1)],
                bad: &["/Doc_0/Signs/Signatures.xml"],
                uncovered_drawn: &[],
                stamps: 5,
                time: "2020-07-16T08:04:27Z",
            },
            Expected {
                id: "s007",
                outcomes: &[(Outcome::Ok, 11)],
                bad: &[],
                uncovered_drawn: &[],
                stamps: 1,
                time: "2020-07-16T08:05:36Z",
            },
        ],
        tolerances: &["/Doc_0/Signs/Signatures.xml: MaxSignId is there more than once"],
        unreferenced: &[],
    },
    Sample {
        file: "ofdrw-v4-single.ofd",
        pages: &[A4],
        signatures: &[Expected {
            id: "1",
            outcomes: &[(Outcome::Ok, 5)],
            bad: &[],
            uncovered_drawn: &[],
            stamps: 1,
            time: "2026-08-04T02:08:09Z",
        }],
        tolerances: &[],
        unreferenced: &[],
    },
    Sample {
        file: "ofdrw-v4-straddle-right.ofd",
        pages: &[A4; 5],
        signatures: &[Expected {
            id: "s001",
            outcomes: &[(Outcome::Ok, 9)],
            bad: &[],
            uncovered_drawn: &[],
            stamps: 5,
            time: "2021-05-19T12:53:44Z",
        }],
        tolerances: &[],
        unreferenced: &[],
    },
    Sample { file: "unsigned-helloworld.ofd", pages: &[A4], signatures: &[], tolerances: &[], unreferenced: &[] },
    Sample {
        file: "yunnan-cms-two-sign.ofd",
        pages: &[(369.3583, 258.9389)],
        signatures: &[
            Expected {
                id: "1",
                outcomes: &[(Outcome::Ok, 12)],
                bad: &[],
                uncovered_drawn: &["/Doc_0/Annots/Annotations.xml"],
                stamps: 0,
                time: "2022-09-03T05:41:27Z",
            },
            Expected {
                id: "2",
                outcomes: &[(Outcome::Ok, 17)],
                bad: &[],
                uncovered_drawn: &[],
                stamps: 0,
                time: "2022-09-03T05:41:27Z",
            },
        ],
        tolerances: &["/OFD.xml: namespace is not http://www.ofdspec.org/2016"],
        unreferenced: &["/Doc_0/Document.xml", "/Doc_0/DocumentRes.xml"],
    },
];

/// The version that OFD.xml marks as current was added after both signatures.
const KINSEC_SECOND_VERSION: &[&str] = &[
    "/Doc_0/Annots/Annotations_1.xml",
    "/Doc_0/Annots/Page_0/Annotation_1.xml",
    "/Doc_0/DocumentRes_1.xml",
    "/Doc_0/Document_1.xml",
    "/Doc_0/Res/image_1834.jpg",
];

/// Samples that can take one more signature; the others say that they are closed.
const OPEN: &[&str] = &[
    "antchain-zhejiang-list.ofd",
    "dms360-v1-broken.ofd",
    "gomain-yunnan-two-seals-pages-edited.ofd",
    "kinggrid-tax-test-999.ofd",
    "kinsec-fujian-two-seals-versions.ofd",
    "ofdrw-bare-rs-sign.ofd",
    "ofdrw-v4-single.ofd",
    "unsigned-helloworld.ofd",
];

fn main() {
    let arguments = Arguments::from_args();
    let folder = std::env::var_os("SEALAGENT_SAMPLES")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/samples"), PathBuf::from)
        .join("ofd");
    let mut trials = Vec::new();
    for sample in SAMPLES {
        let path = folder.join(sample.file);
        let absent = !path.exists();
        let again = path.clone();
        trials.push(Trial::test(format!("{} reads", sample.file), move || check(sample, &path)).with_ignored_flag(absent));
        let name = format!("{} signed again keeps its signatures, or is closed", sample.file);
        trials.push(Trial::test(name, move || sign_again(sample, &again)).with_ignored_flag(absent));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn check(sample: &Sample, path: &PathBuf) -> Result<(), Failed> {
    let mut ofd = Ofd::open(BufReader::new(File::open(path)?))?;
    let body = ofd.single_body()?;
    let pages: Vec<(f64, f64)> = ofd.page_sizes(&body.current_root)?.iter().map(|size| (size.width, size.height)).collect();
    same("pages", pages.as_slice(), sample.pages)?;
    let contents = ofd.contents(&body)?;
    if !contents.unreadable.is_empty() {
        return Err(format!("unreadable: {:?}", contents.unreadable).into());
    }
    let of_class = |wanted: FileClass| {
        contents.files.iter().filter(|(_, class)| *class == wanted).map(|(path, _)| path.as_str()).collect::<Vec<_>>()
    };
    same("unreferenced", of_class(FileClass::Unreferenced).as_slice(), sample.unreferenced)?;
    let listed = ofd.signature_list(&body)?.map(|list| list.signatures).unwrap_or_default();
    let ids: Vec<&str> = listed.iter().map(|signature| signature.id.as_str()).collect();
    let expected: Vec<&str> = sample.signatures.iter().map(|signature| signature.id).collect();
    same("ids", &ids, &expected)?;
    for (listed, expected) in listed.iter().zip(sample.signatures) {
        let signature = ofd.signature(listed)?;
        let results = ofd.check_references(&signature)?;
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for result in &results {
            *counts.entry(format!("{:?}", result.outcome)).or_default() += 1;
        }
        let wanted: BTreeMap<String, usize> =
            expected.outcomes.iter().map(|(outcome, count)| (format!("{outcome:?}"), *count)).collect();
        same("outcomes", &counts, &wanted)?;
        let bad: Vec<&str> =
            results.iter().filter(|result| result.outcome != Outcome::Ok).map(|result| result.path.as_str()).collect();
        if !bad.is_empty() && !expected.bad.is_empty() {
            same("bad", bad.as_slice(), expected.bad)?;
        }
        let uncovered: Vec<&str> = contents
            .uncovered_by(&signature)
            .filter(|(_, class)| *class == FileClass::Drawn)
            .map(|(path, _)| path.as_str())
            .collect();
        same("uncovered", uncovered.as_slice(), expected.uncovered_drawn)?;
        same("stamps", &signature.stamps.len(), &expected.stamps)?;
        let time = signature.date_time.as_ref().and_then(|time| time.time).map(|time| time.to_string());
        same("time", &time.as_deref(), &Some(expected.time))?;
        if ofd.signed_value(&signature)?.is_empty() {
            return Err("the signed value is empty".into());
        }
        if let Some(seal) = ofd.seal_file(&signature)? {
            // The seal in the file must be the one in the signed value.
            let value = ofd.signed_value(&signature)?;
            if !value.windows(seal.len()).any(|window| window == seal) {
                return Err("Seal.esl is not inside the signed value".into());
            }
        }
    }
    let tolerances: Vec<String> = ofd.package.tolerances().map(ToString::to_string).collect();
    let tolerances: Vec<&str> = tolerances.iter().map(String::as_str).collect();
    same("tolerances", tolerances.as_slice(), sample.tolerances)
}

fn sign_again(sample: &Sample, path: &PathBuf) -> Result<(), Failed> {
    let plan = SigningPlan {
        placements: vec![Placement {
            page: PageNumber::new(1).ok_or("page 1")?,
            rect: RectMm { x: 10.0, y: 10.0, width: 20.0, height: 20.0 },
            clip: None,
        }],
        kind: SignatureKind::Seal(b"seal".to_vec()),
        provider: Provider { name: "sealagent".into(), version: "0".into() },
        time: "2026-11-24T06:00:00Z".parse()?,
        close: false,
        room: 0,
    };
    let prepared = match Ofd::open(BufReader::new(File::open(path)?))?.prepare(&plan) {
        Err(DocumentError::Closed { .. }) if !OPEN.contains(&sample.file) => return Ok(()),
        prepared => prepared?,
    };
    if !OPEN.contains(&sample.file) {
        return Err("a closed document was signed".into());
    }
    let digest = prepared.digest();
    let mut signed = Vec::new();
    prepared.embed(b"value", &mut signed)?;
    let mut ofd = Ofd::open(Cursor::new(signed))?;
    let body = ofd.single_body()?;
    let list = ofd.signature_list(&body)?.ok_or("no list")?.signatures;
    same("signatures", &list.len(), &(sample.signatures.len() + 1))?;
    for (index, listed) in list.iter().enumerate() {
        let signature = ofd.signature(listed)?;
        let results = ofd.check_references(&signature)?;
        let ok = results.iter().filter(|result| result.outcome == Outcome::Ok).count();
        match sample.signatures.get(index) {
            Some(before) => {
                let before = before.outcomes.iter().find(|(outcome, _)| *outcome == Outcome::Ok).map_or(0, |(_, count)| *count);
                same("references that hold", &ok, &before)?;
            }
            None => {
                same("references of the new signature that hold", &ok, &results.len())?;
                same("digest", &signature.digest, &digest)?;
                let contents = ofd.contents(&body)?;
                let drawn: Vec<_> = contents.uncovered_by(&signature).filter(|(_, class)| *class == FileClass::Drawn).collect();
                same("uncovered", drawn.as_slice(), &[])?;
            }
        }
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug + ?Sized>(what: &str, found: &T, expected: &T) -> Result<(), Failed> {
    if found == expected { Ok(()) } else { Err(format!("{what}: found {found:?}, expected {expected:?}").into()) }
}
