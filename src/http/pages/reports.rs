//! Files that the person had judged on the verification page: the report, and the bytes for their pictures while the page shows them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use serde::Serialize;
use tokio::sync::Notify;

use super::super::answer::{self, Answer, AnswerBody};
use super::super::documents::{self, IDLE};
use super::super::router;
use super::super::{App, api};
use super::places::{self, Places};
use crate::consent::summary::Shown;
use crate::failure::{Code, Failure};
use crate::harmless;
use crate::preview::Finding;
use crate::scratch::{Bytes as FileBytes, of_io};
use crate::server::Query;
use crate::server::upload::receive;
use crate::ses::PictureFormat;
use crate::signing::RequestId;
use crate::verify::Report;
use crate::verify::report::SealPicture;
use crate::views::signer;

/// Most files whose pictures can be asked for; the one that nobody asked about longest goes first.
const MAX_KEPT: usize = 64;
/// Pixels of the longer side of a seal's picture that is drawn.
const SEAL_PIXELS: f64 = 480.0;

/// The judged files of all pages.
#[derive(Debug)]
pub struct Reports {
    kept: Mutex<HashMap<String, Kept>>,
    /// Told when there is something to sweep again.
    came: Notify,
    /// Bytes of all of them.
    quota: u64,
}

#[derive(Debug)]
struct Kept {
    seen: Instant,
    judged: Arc<Judged>,
}

/// A file that was judged.
#[derive(Debug)]
struct Judged {
    bytes: FileBytes,
    report: Report,
    places: Places,
}

/// What the page gets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct JudgedView<'a> {
    report_id: &'a str,
    /// The report as every other reader of it gets it.
    report: &'a Report,
    /// Sizes, uncovered content and seals of the pages.
    #[serde(flatten)]
    places: &'a Places,
    /// For each signature: who signed, as a person knows them. The report has the certificate's common name, which in the profile of
    /// GB/T 38540 is the seal's code.
    signers: Vec<Option<Shown>>,
    /// For each signature (then for each seal by itself): the size of its seal in mm, if it has a picture that can be shown.
    pictures: Vec<Option<[u64; 2]>>,
    /// Whether pages can be drawn.
    has_preview: bool,
}

impl Reports {
    /// None yet; all of them together may have as many bytes as the largest document.
    pub fn new(quota: u64) -> Self {
        Self { kept: Mutex::default(), came: Notify::new(), quota }
    }

    fn keep(&self, judged: Arc<Judged>) -> Result<RequestId, Failure> {
        let id = RequestId::random()?;
        let mut kept = self.lock();
        kept.insert(id.as_str().to_owned(), Kept { seen: Instant::now(), judged });
        let bytes = |kept: &HashMap<String, Kept>| kept.values().map(|k| k.judged.bytes.len()).fold(0, u64::saturating_add);
        while kept.len() > 1 && (kept.len() > MAX_KEPT || bytes(&kept) > self.quota) {
            let Some(idlest) = kept.iter().min_by_key(|(_, k)| k.seen).map(|(id, _)| id.clone()) else { break };
            kept.remove(&idlest);
        }
        self.came.notify_one();
        Ok(id)
    }

    fn find(&self, id: &str) -> Result<Arc<Judged>, Failure> {
        let mut kept = self.lock();
        let found = kept.get_mut(id).ok_or(Code::DocumentNotFound)?;
        found.seen = Instant::now();
        Ok(found.judged.clone())
    }

    /// Forgets a file. Whether there was one.
    pub(super) fn delete(&self, id: &str) -> bool {
        self.lock().remove(id).is_some()
    }

    /// Forgets what was idle too long, again and again, for ever.
    pub async fn keep_swept(&self) {
        documents::keep_swept(&self.came, || self.lock().is_empty(), || self.sweep()).await;
    }

    /// Forgets what was idle too long.
    fn sweep(&self) {
        self.lock().retain(|_, kept| kept.seen.elapsed() < IDLE);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers `POST /app/api/reports?name=&at=`: judges the body as `POST /v1/verifications` does, and keeps it for its pictures.
pub(super) async fn judge(app: &App, query: &Query, mut body: Incoming) -> Result<Answer, Failure> {
    query.only(&["name", "at"])?;
    query.get("name").map(api::name).transpose()?;
    let at = router::at(query)?;
    let (draft, ..) = receive(&app.scratch, &mut body).await?;
    let bytes = FileBytes::new(draft.file).map_err(|error| of_io(&error))?;
    // The person's own act: the regions are asked where fetching is on.
    let report = app.signer.judge(&bytes, at, true).await?;
    let judged = app.signer.in_pool(move || {
        let places = places::of(&bytes, &report);
        Arc::new(Judged { bytes, report, places })
    });
    let judged = judged.await?;
    let id = app.pages.reports.keep(judged.clone())?;
    let pictures = judged.report.signatures.iter().chain(&judged.report.seals).map(|signature| {
        let picture = signature.seal_picture.as_ref()?;
        let is_shown = match picture.format {
            PictureFormat::Ofd | PictureFormat::Svg => app.signer.preview.is_some(),
            format => format != PictureFormat::Unknown,
        };
        is_shown.then_some([picture.width_mm, picture.height_mm])
    });
    let signers = judged.report.signatures.iter().map(|signature| Some(signer(&signature.signer.as_ref()?.certificate)));
    let view = JudgedView {
        report_id: id.as_str(),
        report: &judged.report,
        places: &judged.places,
        signers: signers.collect(),
        pictures: pictures.collect(),
        has_preview: app.signer.preview.is_some(),
    };
    Ok(answer::json(StatusCode::OK, &view))
}

/// Answers `GET /app/api/reports/{id}/seals/{n}`: the picture of the seal of the n-th signature, counted from 0.
pub(super) async fn seal(app: &App, id: &str, number: &str) -> Result<Answer, Failure> {
    let judged = app.pages.reports.find(id)?;
    let number: usize = number.parse().map_err(|_| Code::NotFound)?;
    let mut all = judged.report.signatures.iter().chain(&judged.report.seals);
    let picture = all.nth(number).and_then(|signature| signature.seal_picture.clone()).ok_or(Code::NotFound)?;
    match router::media_type(picture.format) {
        // A browser cannot show the one, and the other can hold scripts.
        _ if matches!(picture.format, PictureFormat::Ofd | PictureFormat::Svg) => drawn(app, &picture).await,
        kind if kind.starts_with("image/") => Ok(answer::typed(StatusCode::OK, kind, AnswerBody::whole(picture.data.clone()))),
        _ => Err(Code::NotFound.into()),
    }
}

/// A seal picture that must be drawn: whole, or not at all.
async fn drawn(app: &App, picture: &SealPicture) -> Result<Answer, Failure> {
    let program = app.signer.preview.as_ref().ok_or(Code::NotFound)?;
    let _permit = app.signer.pool.acquire().await.map_err(|_| Failure::from(Code::Internal))?;
    let mm = [picture.width_mm as f64, picture.height_mm as f64];
    let dpi = (SEAL_PIXELS * 25.4 / mm[0].max(mm[1]).max(1.0)) as f32;
    let png = program.seal(&picture.data, mm, dpi).await;
    let png = png.map_err(|error| Failure::new(Code::SealPictureUnsupported, error))?;
    Ok(answer::typed(StatusCode::OK, "image/png", AnswerBody::whole(png)))
}

/// Answers `GET /app/api/reports/{id}/pages/{n}.png?width=`.
pub(super) async fn page(app: &App, id: &str, page: &str, query: &Query) -> Result<Answer, Failure> {
    query.only(&["width"])?;
    let judged = app.pages.reports.find(id)?;
    let page: u32 = page.strip_suffix(".png").and_then(|page| page.parse().ok()).ok_or(Code::NotFound)?;
    router::page_picture(app, &judged.bytes, |index| Some(judged.places.pages.get(index)?.width_mm), page, query).await
}

/// What of a page is not as the file has it, in both languages; for the header that goes with its picture.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::http) struct Drawn {
    is_incomplete: bool,
    en: Vec<String>,
    zh: Vec<String>,
}

impl Drawn {
    /// Most findings that are told with a picture.
    const MAX: usize = 12;

    pub(in crate::http) fn of(findings: &[Finding]) -> Self {
        use crate::question::Language::{En, Zh};
        let lines = |language| findings.iter().take(Self::MAX).map(|finding| harmless::line(&finding.line(language))).collect();
        Self { is_incomplete: findings.iter().any(Finding::is_incomplete), en: lines(En), zh: lines(Zh) }
    }

    /// As JSON in ASCII, which a header must be.
    pub(in crate::http) fn header(&self) -> HeaderValue {
        let json = serde_json::to_string(self).unwrap_or_default();
        let mut ascii = String::with_capacity(json.len());
        for unit in json.encode_utf16() {
            match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii() => ascii.push(char::from(byte)),
                _ => ascii.push_str(&format!("\\u{unit:04x}")),
            }
        }
        HeaderValue::from_str(&ascii).unwrap_or(HeaderValue::from_static("{}"))
    }
}
