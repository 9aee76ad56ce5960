//! `sealagent upgrade FILE -o OUT`: what a signature needs to be judged long after its certificates and their lists are gone.
//!
//! In a PDF the certificates, revocation lists and OCSP responses of the trust folder go into the document, and a time stamp over all of it
//! on top, as one incremental update. In OFD a seal signature has a place for a time stamp and none for revocation data, and the place is
//! free only while no later signature protects the file: what cannot be had is said.

use std::collections::HashMap;
use std::fs;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::runtime::Runtime;

use super::sign::{is_same_file, persist};
use super::{FAILED, Problem, UNREADABLE, WRONG_USE};
use crate::cms::SignedData;
use crate::config::Config;
use crate::document::{Prepared as _, Provider, Signable as _, SignatureKind, SigningPlan};
use crate::failure::{Code, Failure, Language};
use crate::ofd::Ofd;
use crate::pdf::{self, SignatureOptions, ValidationData};
use crate::pki::extensions::TIME_STAMPING;
use crate::pki::trust::{TrustStore, decode};
use crate::pki::{Certificate, Crl, OcspResponse, PathFinder, PathOutcome, TimeStampToken};
use crate::ses::{self, SesSignature};
use crate::signing::subject::{Document, FileError, of_document};
use crate::signing::timestamp::Stamper;
use crate::signing::{Format, Scratch, SignedValue, is_intact};
use crate::trust_dir;
use crate::verify::{Context, Verifier, carried};

/// Of certificates, by their SHA-256: when the newest revocation data about it are of, if there are any.
type Newest = HashMap<[u8; 32], Option<Timestamp>>;

/// Room for the token in a PDF, in bytes.
const ROOM: usize = 16 << 10;

/// Arguments of `upgrade`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The signed document. It is never changed.
    pub input: PathBuf,
    /// Where the upgraded document goes; it appears whole or not at all.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// A time stamp service of the configuration; its first one when absent.
    #[arg(long, value_name = "NAME")]
    pub timestamp: Option<String>,
}

/// Runs `upgrade`.
pub fn run(config: &Config, args: &Args, language: Language) -> Result<ExitCode, Problem> {
    let found = match &args.timestamp {
        Some(name) => config.timestamps.iter().find(|service| service.name == *name),
        None => config.timestamps.first(),
    };
    let service = found.cloned().ok_or_else(|| {
        let hint = language.pick("add [[timestamp]] with name and url", "请在配置中添加 [[timestamp]]（name 和 url）");
        Problem::new(WRONG_USE, language.pick("no such time stamp service is configured", "未配置该时间戳服务"), hint)
    })?;
    let folder = config.places.trust();
    let (trust, _) = if folder.is_dir() {
        trust_dir::read(&folder, &config.presets).map_err(|error| Problem::new(FAILED, error, ""))?
    } else {
        (TrustStore::empty(), Vec::new())
    };
    if is_same_file(&args.input, &args.output) {
        let hint = language.pick("name another file with -o", "请用 -o 指定另一个文件");
        let what = language.pick("the output is the input, which is never changed", "输出与输入是同一文件，本程序不改动输入文件");
        return Err(Problem::new(WRONG_USE, what, hint));
    }
    let out = args.output.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let scratch = Scratch::Named(out.to_owned());
    let document = match Document::of_file(&args.input, &scratch) {
        Ok(document) => document,
        Err(error @ FileError::Unreadable(_)) => {
            return Err(Problem::new(UNREADABLE, format!("{}: {error}", args.input.display()), ""));
        }
        Err(FileError::Failed(failure)) => return Err(Problem::of(&failure, language)),
    };
    let trust = Arc::new(trust);
    let stamper = Stamper::new(service, config.fetch.proxy.as_deref(), trust.clone(), Arc::new(Timestamp::now));
    let stamper = stamper.map_err(|error| Problem::new(FAILED, error, ""))?;
    let upgrade = Upgrade { document, folder, trust, stamper, language };
    upgrade.check().map_err(|failure| Problem::of(&failure, language))?;
    let draft = scratch.draft()?;
    let runtime = Runtime::new()?;
    let mut writer = BufWriter::new(&draft.file);
    let done = match upgrade.document.format {
        Format::Ofd => runtime.block_on(upgrade.ofd(&mut writer)),
        Format::Pdf => runtime.block_on(upgrade.pdf(&mut writer)),
    };
    let told = done.map_err(|failure| Problem::of(&failure, language))?;
    writer.flush()?;
    drop(writer);
    draft.file.sync_data()?;
    if let Some(path) = draft.path {
        persist(path, &args.input, &args.output)?;
    }
    for line in told {
        println!("{line}");
    }
    println!("{}", args.output.display());
    Ok(ExitCode::SUCCESS)
}

struct Upgrade {
    document: Document,
    /// The trust folder.
    folder: PathBuf,
    trust: Arc<TrustStore>,
    stamper: Stamper,
    language: Language,
}

impl Upgrade {
    /// A time stamp on a broken signature would only say since when it is broken.
    fn check(&self) -> Result<(), Failure> {
        let report = Verifier::verify(self.document.bytes.reader(), &Context::new(&self.trust, Timestamp::now()));
        if report.signatures.is_empty() {
            return Err(Failure::new(Code::BadRequest, "there is no signature"));
        }
        match report.signatures.iter().find(|signature| !is_intact(signature)) {
            Some(broken) => {
                let what = format!("signature {}", crate::harmless::line(&broken.id));
                Err(Failure::new(Code::DocumentSignatureBroken, what))
            }
            None => Ok(()),
        }
    }

    /// The value with a time stamp over its signature.
    async fn stamped(&self, value: SignedValue) -> Result<Vec<u8>, Failure> {
        let token = self.stamper.stamp(value.signature()).await?;
        Ok(value.with_time_stamp(&token)?.raw().to_vec())
    }

    /// The package with time stamps over the values that no other signature protects.
    async fn ofd(&self, out: &mut dyn std::io::Write) -> Result<Vec<String>, Failure> {
        let open = || Ofd::open(self.document.bytes.reader()).map_err(|error| of_document(&error.into()));
        let mut files = Vec::new();
        let mut told = Vec::new();
        for value in open()?.signed_values().map_err(|error| of_document(&error))? {
            let why_not = match (&value.protected_by, SesSignature::parse(&value.bytes), SignedData::parse(&value.bytes)) {
                (Some(by), ..) => Some(match self.language {
                    Language::English => format!("signature {by} protects its value"),
                    Language::Chinese => format!("其签名值受签名 {by} 保护"),
                }),
                (None, Ok(seal), _) if seal.time_stamp().is_some() => {
                    Some(self.language.pick("it has a time stamp already", "已有时间戳").to_owned())
                }
                (None, Ok(seal), _) if seal.version() == ses::Version::V1 => {
                    Some(self.language.pick("a V1 signature has no place for a time stamp", "V1 签章没有时间戳的位置").to_owned())
                }
                (None, Ok(seal), _) => {
                    files.push((value.path, self.stamped(SignedValue::Ses(Box::new(seal))).await?));
                    None
                }
                (None, _, Ok(data)) if data.signers().first().is_some_and(|signer| signer.time_stamps().next().is_some()) => {
                    Some(self.language.pick("it has a time stamp already", "已有时间戳").to_owned())
                }
                (None, _, Ok(data)) => {
                    files.push((value.path, self.stamped(SignedValue::SignedData(Box::new(data))).await?));
                    None
                }
                (None, Err(_), Err(_)) => {
                    Some(self.language.pick("its value has no place for a time stamp", "签名值没有时间戳的位置").to_owned())
                }
            };
            let id = crate::harmless::line(&value.id);
            told.push(match why_not {
                None => format!("{id}: {}", self.language.pick("time-stamped", "已加时间戳")),
                Some(why) => format!("{id}: {}{why}", self.language.pick("left as it is: ", "未改动：")),
            });
        }
        if files.is_empty() {
            return Err(Failure::new(Code::BadRequest, told.join("; ")));
        }
        told.push(
            self.language
                .pick("OFD has no place for revocation data; keep the lists yourself", "OFD 无处存放吊销信息，请自行保存")
                .to_owned(),
        );
        open()?.write_with(&files, out).map_err(|error| of_document(&error))?;
        Ok(told)
    }

    /// The file with validation data and a time stamp over all.
    async fn pdf(&self, out: &mut dyn std::io::Write) -> Result<Vec<String>, Failure> {
        let unreadable = |error: pdf::PdfError| of_document(&error.into());
        let mut document = pdf::Document::open(self.document.bytes.reader()).map_err(unreadable)?;
        let mut leaves = Vec::new();
        let signatures = document.signatures().map_err(unreadable)?;
        for signature in &signatures {
            certificates(&signature.contents, &mut leaves);
        }
        // The service is asked twice: its own certificates belong into what it stamps.
        certificates(&self.stamper.stamp(&self.document.sm3.0).await?, &mut leaves);
        let (data, known) = self.validation_data(leaves)?;
        let told = match self.language {
            Language::English => format!(
                "{} certificates, {} revocation lists, {} OCSP responses, one time stamp",
                data.certificates.len(),
                data.crls.len(),
                data.ocsp_responses.len()
            ),
            Language::Chinese => format!(
                "证书 {}，吊销列表 {}，OCSP 响应 {}，时间戳 1",
                data.certificates.len(),
                data.crls.len(),
                data.ocsp_responses.len()
            ),
        };
        document.set_signature_options(SignatureOptions { stamps_document: Some(data), ..SignatureOptions::default() });
        let plan = SigningPlan {
            placements: Vec::new(),
            kind: SignatureKind::Sign,
            provider: Provider { name: "sealagent".into(), version: env!("CARGO_PKG_VERSION").into() },
            time: Timestamp::now(),
            close: false,
            room: ROOM,
        };
        let prepared = document.prepare(&plan).map_err(|error| of_document(&error))?;
        let token = self.stamper.stamp_digest(&prepared.digest()).await?;
        prepared.embed(&token, out).map_err(|error| of_document(&error))?;
        let stamped = TimeStampToken::parse(&token).map_or_else(|_| Timestamp::now(), |token| token.time());
        let is_old = signatures.iter().any(|signature| {
            let since = carried::stamped_at(&signature.contents).unwrap_or(stamped);
            let mut own = Vec::new();
            certificates(&signature.contents, &mut own);
            // A time stamp authority's list must be current whenever the file is judged.
            own.retain(|certificate| !certificate.extensions().has_purpose(TIME_STAMPING));
            own.iter().any(|certificate| known.get(certificate.sha256()).is_some_and(|newest| newest.is_none_or(|at| at < since)))
        });
        let hint = self.language.pick(
            "the revocation data are from before the signature's time stamp and count only while they are current; once newer ones are \
             in the trust folder, upgrade the result again",
            "吊销信息早于签名的时间戳，仅在其有效期内起作用；信任文件夹取得更新的吊销信息后，请再次升级该文件",
        );
        Ok([Some(told), is_old.then(|| hint.to_owned())].into_iter().flatten().collect())
    }

    /// The chains of these certificates, with all that the trust folder has about the revocation of their links; and of each certificate
    /// below an anchor (by its SHA-256) of when the newest of it is.
    fn validation_data(&self, leaves: Vec<Arc<Certificate>>) -> Result<(ValidationData, Newest), Failure> {
        let mut finder = PathFinder::new(&self.trust);
        leaves.iter().for_each(|leaf| finder.add(leaf.clone()));
        let mut links: Vec<[Arc<Certificate>; 2]> = Vec::new();
        let mut data = ValidationData::default();
        for leaf in &leaves {
            let mut chain = match finder.find_any(leaf, Timestamp::now()) {
                PathOutcome::Trusted(path) => path.certificates,
                _ => vec![leaf.clone()],
            };
            // Trusted by itself, but its issuer can still take it back.
            if chain.len() == 1 && !leaf.is_self_issued() {
                chain.extend(finder.issuer_of(leaf));
            }
            for certificate in &chain {
                if !data.certificates.iter().any(|known| known == certificate.der()) {
                    data.certificates.push(certificate.der().to_vec());
                }
            }
            links.extend(chain.windows(2).map(|pair| [pair[0].clone(), pair[1].clone()]));
        }
        let mut newest: Newest = links.iter().map(|[child, _]| (*child.sha256(), None)).collect();
        // Whether one of the links is spoken of, and when that was.
        let mut speaks = |of: &dyn Fn(&[Arc<Certificate>; 2]) -> Option<Timestamp>| {
            let mut any = false;
            for link in &links {
                let Some(at) = of(link) else { continue };
                any = true;
                let known = newest.entry(*link[0].sha256()).or_default();
                *known = (*known).max(Some(at));
            }
            any
        };
        for der in self.files("crls")? {
            let Ok(crl) = Crl::parse(&der) else { continue };
            let of = |[child, issuer]: &[Arc<Certificate>; 2]| {
                (crl.covers(child) && crl.verify(issuer).is_ok()).then(|| crl.this_update())
            };
            if speaks(&of) && !data.crls.contains(&der) {
                data.crls.push(der);
            }
        }
        for der in self.files("ocsp")? {
            let Ok(response) = OcspResponse::parse(&der) else { continue };
            let of = |[child, issuer]: &[Arc<Certificate>; 2]| {
                let answer = response.answer(child, issuer)?;
                response.is_signed_for(issuer).then_some(answer.this_update)
            };
            if speaks(&of) && !data.ocsp_responses.contains(&der) {
                data.ocsp_responses.push(der);
            }
        }
        Ok((data, newest))
    }

    /// The DER values in a folder of the trust folder.
    fn files(&self, name: &str) -> Result<Vec<Vec<u8>>, Failure> {
        let failed = |error: std::io::Error| Failure::new(Code::Internal, error);
        let mut out = Vec::new();
        for entry in fs::read_dir(self.folder.join(name)).into_iter().flatten() {
            let path = entry.map_err(failed)?.path();
            if path.is_file() {
                out.extend(decode(&fs::read(path).map_err(failed)?).unwrap_or_default());
            }
        }
        Ok(out)
    }
}

/// Adds the certificates in a signed value, each once.
fn certificates(value: &[u8], out: &mut Vec<Arc<Certificate>>) {
    for der in carried::certificates(value) {
        if let Ok(certificate) = Certificate::parse(&der)
            && !out.iter().any(|known| known.der() == der)
        {
            out.push(Arc::new(certificate));
        }
    }
}
