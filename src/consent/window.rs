//! The prompt as a window of its own: one process of `sealagent-prompt` for each question, so the toolkit never sits in the agent.
//!
//! Its answer is taken for "yes" only when it is a whole frame that says so. A prompt that cannot be started, crashes, or answers
//! nonsense has shown nothing that anyone could have agreed to.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, ChildStdout, Command};
use ukey::{Credential, Pin, PinStatus, wire};
use zeroize::Zeroizing;

use super::pairing::{PairingAnswer, PairingShown};
use super::pin::{PinChangeAnswer, PinChangeShown, approved};
use super::prompt::Answer;
use super::summary::{DocumentShown, Leaves, PageShown, PlacementShown, Requester, Summary, SummaryItem, TokenShown};
use super::text::{date, places, text};
use crate::failure::Language;
use crate::question::{self, Document, Leaf, Look, Page, Picture, Question, Said, Seal, Subject, Token};

/// Largest header of what the prompt says, in bytes: a word and a few numbers.
const MAX_ANSWER_BYTES: usize = 4096;

/// How to open the window.
#[derive(Clone, Debug)]
pub struct Window {
    /// The program, `sealagent-prompt`, beside the agent's own.
    pub program: PathBuf,
    /// Language of the prompt.
    pub language: Language,
    /// How long nothing is accepted at first, and again whenever the window gets the focus.
    pub delay: Duration,
    /// How long the question stands.
    pub timeout: Duration,
}

impl Window {
    /// Asks once. Dropping the future takes the window away.
    pub(super) async fn ask(&self, summary: &Summary) -> Answer {
        let leaves: Vec<_> = summary.items.iter().map(|item| item.leaves.clone()).collect();
        match self.answer(&self.question(summary), &leaves).await {
            Some((question::Answer::Approve, secret)) => approval(summary, secret),
            Some((question::Answer::TimedOut, _)) => Answer::TimeOut,
            Some(_) => Answer::Decline,
            None => Answer::NoPrompt,
        }
    }

    /// Asks for the old PIN and a new one. Dropping the future takes the window away.
    pub(super) async fn ask_pin_change(&self, shown: &PinChangeShown) -> PinChangeAnswer {
        let question = Question {
            language: self.language(),
            origin: text("command_line_pin", self.language).to_owned(),
            origin_note: None,
            subject: Subject::ChangePin { token: token(&shown.token, &shown.pin, shown.attempt) },
            wait_ms: self.delay.as_millis() as u64,
            timeout_s: self.timeout.as_secs(),
        };
        match self.answer(&question, &[]).await {
            Some((question::Answer::Approve, secret)) => {
                let (old, new) = wire::split_pins(&secret).unzip();
                approved(old, new)
            }
            Some((question::Answer::TimedOut, _)) => PinChangeAnswer::TimedOut,
            Some(_) => PinChangeAnswer::Decline,
            None => PinChangeAnswer::NoPrompt,
        }
    }

    /// Asks whether a web site may talk to the agent. Dropping the future takes the window away.
    pub(super) async fn ask_pairing(&self, shown: &PairingShown, timeout: Duration) -> PairingAnswer {
        let label = shown.label.as_ref().map(ToString::to_string);
        let question = Question {
            language: self.language(),
            origin: shown.origin.to_string(),
            origin_note: None,
            subject: Subject::Pair { code: shown.code.clone(), label },
            wait_ms: self.delay.as_millis() as u64,
            timeout_s: timeout.as_secs(),
        };
        match self.answer(&question, &[]).await {
            Some((question::Answer::Approve, _)) => PairingAnswer::Once,
            Some((question::Answer::ApproveAlways, _)) => PairingAnswer::Always,
            Some((question::Answer::TimedOut, _)) => PairingAnswer::TimedOut,
            Some(_) => PairingAnswer::Refused,
            None => PairingAnswer::NoPrompt,
        }
    }

    /// The answer to a question that was shown; `None`, and why in the log, when none was.
    async fn answer(&self, question: &Question, leaves: &[Option<Leaves>]) -> Option<(question::Answer, Zeroizing<Vec<u8>>)> {
        match self.put(question, leaves).await {
            Ok((question::Answer::Failed { reason }, _)) => {
                tracing::error!(reason, "the prompt window could not be shown");
                None
            }
            Ok(answer) => Some(answer),
            Err(error) => {
                tracing::error!(program = %self.program.display(), %error, "the prompt gave no answer");
                None
            }
        }
    }

    fn language(&self) -> question::Language {
        match self.language {
            Language::English => question::Language::En,
            Language::Chinese => question::Language::Zh,
        }
    }

    /// Puts the question and gives the pages that are asked for, until there is an answer.
    async fn put(
        &self,
        question: &Question,
        leaves: &[Option<Leaves>],
    ) -> std::io::Result<(question::Answer, Zeroizing<Vec<u8>>)> {
        let mut child = Command::new(&self.program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()?;
        // Kept open until the answer is here: the prompt takes its end for "no longer wanted".
        let mut input = child.stdin.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        let output = child.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        tell(&mut input, question).await?;
        let mut saying = Box::pin(hear(output));
        // A page that is awaited; a newer wish takes its place.
        let mut drawing = None;
        loop {
            tokio::select! {
                (output, said) = &mut saying => match said? {
                    (Said::Answer(answer), secret) => return Ok((answer, secret)),
                    (Said::Look(look), _) => {
                        drawing = Some(Box::pin(leaf(leaves, look)));
                        saying = Box::pin(hear(output));
                    }
                },
                leaf = async { Some(drawing.as_mut()?.await) }, if drawing.is_some() => {
                    drawing = None;
                    if let Some(leaf) = leaf {
                        // A prompt that is gone has said its last word on the other pipe.
                        let _ = tell(&mut input, &leaf).await;
                    }
                }
            }
        }
    }

    fn question(&self, summary: &Summary) -> Question {
        let mut seals: Vec<Seal> = Vec::new();
        let documents = summary
            .items
            .iter()
            .map(|item| {
                let (es_id, signer) = (item.seal.es_id.as_str(), item.seal.signer.as_str());
                let index = seals.iter().position(|s| s.es_id == es_id && s.signer == signer);
                self.document(
                    item,
                    index.unwrap_or_else(|| {
                        seals.push(self.seal(item));
                        seals.len() - 1
                    }),
                )
            })
            .collect();
        Question {
            language: self.language(),
            origin: match &summary.requester {
                Requester::CommandLine => text("command_line", self.language).to_owned(),
                Requester::Origin(origin) => origin.to_string(),
                Requester::OwnPage => text("own_page", self.language).to_owned(),
            },
            origin_note: None,
            subject: Subject::Sign {
                documents,
                seals,
                stamped_by: summary.stamped_by.as_ref().map(ToString::to_string),
                token: token(&summary.token, &summary.pin, summary.attempt),
            },
            wait_ms: self.delay.as_millis() as u64,
            timeout_s: self.timeout.as_secs(),
        }
    }

    fn seal(&self, item: &SummaryItem) -> Seal {
        let seal = &item.seal;
        Seal {
            name: seal.name.to_string(),
            es_id: seal.es_id.to_string(),
            valid_to: date(seal.valid_to),
            signer: seal.signer.to_string(),
            uscc: seal.uscc.as_ref().map(ToString::to_string),
            licence: seal.licence.as_ref().map(ToString::to_string),
            unanswered: seal.unanswered.as_ref().map(ToString::to_string),
            picture: seal.picture.starts_with(b"\x89PNG").then(|| Picture { png: wire::Bytes(seal.picture.to_vec()) }),
        }
    }

    fn document(&self, item: &SummaryItem, seal: usize) -> Document {
        let placement = Some(self.placement(&item.placements));
        match &item.document {
            DocumentShown::Seen { name, format, pages, bytes, sm3 } => Document {
                name: name.to_string(),
                format: (*format).to_owned(),
                pages: u32::try_from(*pages).ok(),
                bytes: Some(*bytes),
                sm3: sm3.to_string(),
                seal,
                placement,
                closes: item.closes,
                seen: true,
                page: item.page.clone().map(page),
                can_leaf: item.leaves.is_some(),
            },
            DocumentShown::DigestOnly { name, sm3 } => Document {
                name: name.to_string(),
                format: "SM3".to_owned(),
                pages: None,
                bytes: None,
                sm3: sm3.to_string(),
                seal,
                placement: None,
                closes: item.closes,
                seen: false,
                page: None,
                can_leaf: false,
            },
        }
    }

    fn placement(&self, placements: &[PlacementShown]) -> String {
        match placements {
            [] => text("no_seal_shown", self.language).to_owned(),
            placements => places(placements, self.language).join("\n"),
        }
    }
}

fn token(token: &TokenShown, pin: &PinStatus, attempt: u32) -> Token {
    Token {
        name: format!("{} …{}", token.label, token.serial_tail),
        tries_left: pin.tries_left,
        last_try: pin.is_last_try(),
        on_device: pin.on_device,
        was_wrong: attempt > 1,
    }
}

fn approval(summary: &Summary, secret: Zeroizing<Vec<u8>>) -> Answer {
    if summary.pin.on_device {
        return Answer::Approve(Credential::OnDevice);
    }
    match Pin::new(secret) {
        Some(pin) => Answer::Approve(Credential::Pin(pin)),
        None => Answer::Unacceptable,
    }
}

fn page(shown: PageShown) -> Page {
    Page { number: shown.number, picture: Picture { png: wire::Bytes(shown.png) }, incomplete: shown.is_incomplete }
}

/// What the prompt gets for a look. A document that is not there has no pages.
async fn leaf(leaves: &[Option<Leaves>], look: Look) -> Leaf {
    let shown = match leaves.get(look.document as usize) {
        Some(Some(leaves)) => leaves.page(look.page, look.bare).await,
        _ => None,
    };
    Leaf { look, page: shown.map(page) }
}

async fn tell(input: &mut ChildStdin, header: &impl serde::Serialize) -> std::io::Result<()> {
    let mut frame = Vec::new();
    wire::write_frame(&mut frame, header, &[])?;
    input.write_all(&frame).await?;
    input.flush().await
}

/// One frame, and the stream it came from.
async fn hear(mut output: ChildStdout) -> (ChildStdout, std::io::Result<(Said, Zeroizing<Vec<u8>>)>) {
    let said = read_said(&mut output).await;
    (output, said)
}

async fn read_said(output: &mut ChildStdout) -> std::io::Result<(Said, Zeroizing<Vec<u8>>)> {
    let mut head = [0; 8];
    output.read_exact(&mut head).await?;
    let (header_len, secret_len) = wire::frame_lengths(head)?;
    if header_len > MAX_ANSWER_BYTES {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "an answer of this length is none"));
    }
    let mut header = vec![0; header_len];
    output.read_exact(&mut header).await?;
    let mut secret = Zeroizing::new(vec![0; secret_len]);
    output.read_exact(&mut secret).await?;
    Ok((serde_json::from_slice(&header)?, secret))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::super::summary::tests::summary;
    use super::*;

    /// A prompt that reads its question and answers with these bytes.
    fn prompt_that_says(answer: &[u8]) -> (tempfile::TempDir, Window) {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("prompt");
        std::fs::write(dir.path().join("answer"), answer).unwrap();
        std::fs::write(&program, format!("#!/bin/sh\nhead -c 8 >/dev/null\ncat '{}/answer'\n", dir.path().display())).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let window =
            Window { program, language: Language::Chinese, delay: Duration::from_secs(1), timeout: Duration::from_secs(60) };
        (dir, window)
    }

    fn frame(answer: &question::Answer, secret: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        wire::write_frame(&mut out, &Said::Answer(answer.clone()), secret).unwrap();
        out
    }

    #[tokio::test]
    async fn only_a_whole_frame_that_approves_is_a_yes() {
        let yes = frame(&question::Answer::Approve, b"135790");
        let (_dir, window) = prompt_that_says(&yes);
        match window.ask(&summary()).await {
            Answer::Approve(Credential::Pin(pin)) => assert_eq!(pin.expose(), b"135790"),
            other => panic!("{other:?}"),
        }
        for cut in [0, 4, 8, yes.len() - 1] {
            let (_dir, window) = prompt_that_says(&yes[..cut]);
            assert!(matches!(window.ask(&summary()).await, Answer::NoPrompt), "cut at {cut}");
        }
        for (answer, secret, is_expected) in [
            (question::Answer::Decline, b"".as_slice(), (|a| matches!(a, Answer::Decline)) as fn(&Answer) -> bool),
            (question::Answer::ApproveAlways, b"135790", |a| matches!(a, Answer::Decline)),
            (question::Answer::TimedOut, b"", |a| matches!(a, Answer::TimeOut)),
            (question::Answer::Approve, b"", |a| matches!(a, Answer::Unacceptable)),
            (question::Answer::Failed { reason: "no display".into() }, b"", |a| matches!(a, Answer::NoPrompt)),
        ] {
            let (_dir, window) = prompt_that_says(&frame(&answer, secret));
            let found = window.ask(&summary()).await;
            assert!(is_expected(&found), "{answer:?} became {found:?}");
        }
        let (_dir, window) = prompt_that_says(&[0xff; 64]);
        assert!(matches!(window.ask(&summary()).await, Answer::NoPrompt));
    }

    #[tokio::test]
    async fn pairing_is_granted_by_a_whole_frame_alone() {
        let shown = PairingShown {
            origin: crate::consent::Origin::parse("https://sign.example").unwrap(),
            code: "042317".into(),
            label: None,
        };
        let minute = Duration::from_secs(60);
        for (answer, expected) in [
            (question::Answer::Approve, PairingAnswer::Once),
            (question::Answer::ApproveAlways, PairingAnswer::Always),
            (question::Answer::Decline, PairingAnswer::Refused),
            (question::Answer::TimedOut, PairingAnswer::TimedOut),
            (question::Answer::Failed { reason: "no display".into() }, PairingAnswer::NoPrompt),
        ] {
            let bytes = frame(&answer, b"");
            let (_dir, window) = prompt_that_says(&bytes);
            assert_eq!(window.ask_pairing(&shown, minute).await, expected);
            let (_dir, window) = prompt_that_says(&bytes[..bytes.len() - 1]);
            assert_eq!(window.ask_pairing(&shown, minute).await, PairingAnswer::NoPrompt, "cut");
        }
    }

    #[tokio::test]
    async fn a_pin_is_changed_by_a_whole_frame_with_two_good_pins_alone() {
        let pin = |text: &str| Pin::new(text.as_bytes().to_vec()).unwrap();
        let shown = PinChangeShown { token: summary().token, pin: summary().pin, attempt: 2 };
        let secret = wire::join_pins(&pin("135790"), &pin("246824"));
        let yes = frame(&question::Answer::Approve, &secret);
        let (_dir, window) = prompt_that_says(&yes);
        match window.ask_pin_change(&shown).await {
            PinChangeAnswer::Approve(change) => {
                assert_eq!((change.old.expose(), change.new.expose()), (b"135790".as_slice(), b"246824".as_slice()));
            }
            other => panic!("{other:?}"),
        }
        let (_dir, window) = prompt_that_says(&yes[..yes.len() - 1]);
        assert!(matches!(window.ask_pin_change(&shown).await, PinChangeAnswer::NoPrompt));
        let no_change = wire::join_pins(&pin("135790"), &pin("135790"));
        for (answer, secret, is_expected) in [
            (
                question::Answer::Decline,
                secret.as_slice(),
                (|a| matches!(a, PinChangeAnswer::Decline)) as fn(&PinChangeAnswer) -> bool,
            ),
            (question::Answer::ApproveAlways, secret.as_slice(), |a| matches!(a, PinChangeAnswer::Decline)),
            (question::Answer::TimedOut, b"", |a| matches!(a, PinChangeAnswer::TimedOut)),
            (question::Answer::Approve, b"135790", |a| matches!(a, PinChangeAnswer::Unacceptable)),
            (question::Answer::Approve, no_change.as_slice(), |a| matches!(a, PinChangeAnswer::Unacceptable)),
        ] {
            let (_dir, window) = prompt_that_says(&frame(&answer, secret));
            let found = window.ask_pin_change(&shown).await;
            assert!(is_expected(&found), "{answer:?} became {found:?}");
        }
    }

    #[tokio::test]
    async fn pages_are_given_until_the_answer_comes() {
        let (looks, mut asked) = tokio::sync::mpsc::channel::<crate::consent::summary::Look>(1);
        let mut summary = summary();
        summary.items[0].leaves = Some(Leaves { item: 7, looks });
        let drawer = tokio::spawn(async move {
            let look = asked.recv().await.unwrap();
            let seen = (look.item, look.page, look.bare);
            look.answer.send(Some(PageShown { number: look.page, png: b"\x89PNG".to_vec(), is_incomplete: true })).unwrap();
            seen
        });
        let mut said = Vec::new();
        let look = Look { document: 0, page: 3, bare: true };
        wire::write_frame(&mut said, &Said::Look(look), b"").unwrap();
        // Of a document that is not there, and then the answer, which waits until the first page has come.
        let dir = tempfile::tempdir().unwrap();
        let yes = frame(&question::Answer::Approve, b"135790");
        std::fs::write(dir.path().join("look"), &said).unwrap();
        std::fs::write(dir.path().join("answer"), &yes).unwrap();
        let program = dir.path().join("prompt");
        let at = dir.path().display();
        // The leaf's first bytes are kept; then the answer is given.
        let script = format!(
            "#!/bin/sh\nhead -c 8 >'{at}/a'\nn=$(od -An -tu4 -N4 '{at}/a')\nhead -c $n >/dev/null\ncat '{at}/look'\nhead -c 60 >'{at}/leaf'\ncat '{at}/answer'\n"
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let window =
            Window { program, language: Language::Chinese, delay: Duration::from_secs(1), timeout: Duration::from_secs(60) };
        assert!(matches!(window.ask(&summary).await, Answer::Approve(Credential::Pin(_))));
        assert_eq!(drawer.await.unwrap(), (7, 3, true));
        let leaf = std::fs::read(dir.path().join("leaf")).unwrap();
        assert!(String::from_utf8_lossy(&leaf).contains(r#""page":3"#), "{leaf:?}");
    }

    #[tokio::test]
    async fn a_prompt_that_is_not_there_is_no_prompt() {
        let window = Window {
            program: "/nonexistent/prompt".into(),
            language: Language::English,
            delay: Duration::ZERO,
            timeout: Duration::from_secs(1),
        };
        assert!(matches!(window.ask(&summary()).await, Answer::NoPrompt));
    }

    #[test]
    fn the_question_says_what_the_summary_says() {
        let (_dir, window) = prompt_that_says(b"");
        let mut shown = summary();
        shown.stamped_by = Some(super::super::summary::Shown::new("stamp.example"));
        shown.items[0].seal.unanswered = Some(super::super::summary::Shown::new("status.example"));
        let question = window.question(&shown);
        assert_eq!(question.origin, "https://sign.example");
        let Subject::Sign { documents, seals, stamped_by, token } = question.subject else { panic!("no signing question") };
        assert_eq!((documents.len(), seals.len(), documents[0].seal, token.tries_left), (1, 1, 0, Some(5)));
        assert!(documents[0].seen && documents[0].name.contains("‹U+202E›"));
        assert_eq!(documents[0].sm3, crate::sm::sm3(b"contract").to_string());
        assert_eq!(stamped_by.as_deref(), Some("stamp.example"));
        assert_eq!(seals[0].unanswered.as_deref(), Some("status.example"));
    }
}
