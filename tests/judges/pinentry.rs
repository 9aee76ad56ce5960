//! Debian's own `pinentry-tty` on a pseudo-terminal, asked through the one door that gives a consent.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use sealagent::consent::pinentry::Pinentry;
use sealagent::consent::prompt::{Canceller, PromptQueue, Prompter};
use sealagent::consent::summary::{DocumentShown, SealShown, Shown, SummaryItem, TokenShown};
use sealagent::consent::{Asked, ConsentItem, DataHash, Outcome, Refusal, Requester, obtain};
use sealagent::failure::Language;
use sealagent::sm::sm3;
use ukey::{Credential, PinStatus, Sm2PublicKey};

/// The program.
pub const PROGRAM: &str = "/usr/bin/pinentry-tty";
/// How soon an answer counts: longer than a busy machine takes to bring the question and an answer that is given at once.
const DELAY: Duration = Duration::from_millis(1500);

/// A person at the terminal: after `pause`, presses what stands for the first or the second button, or types a line.
enum Key {
    First(Duration),
    Second(Duration),
    Line(&'static str),
}

/// What comes of three documents when the person presses these keys, each when the program waits for one, and all that was shown.
fn asked(tries_left: u32, keys: Vec<Key>) -> (Outcome, String) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let terminal = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let held = File::options().read(true).write(true).open(&terminal).unwrap();
    let mut master = File::from(master);
    let person = thread::spawn(move || {
        let (mut screen, mut seen, mut bytes) = (Vec::new(), 0, [0; 4096]);
        for key in keys {
            let is_line = matches!(key, Key::Line(_));
            let buttons = loop {
                let new = &screen[seen..];
                if is_line && new.trim_ascii_end().ends_with(b"(not shown):") {
                    break [0, 0];
                }
                if let [.., b'[', first, second, b']', b'?', b' '] = new {
                    break [*first, *second];
                }
                match master.read(&mut bytes) {
                    Ok(n @ 1..) => screen.extend_from_slice(&bytes[..n]),
                    _ => return (screen, master),
                }
            };
            seen = screen.len();
            let typed = match key {
                Key::First(pause) => {
                    thread::sleep(pause);
                    vec![buttons[0]]
                }
                Key::Second(pause) => {
                    thread::sleep(pause);
                    vec![buttons[1]]
                }
                Key::Line(line) => {
                    thread::sleep(DELAY);
                    format!("{line}\n").into_bytes()
                }
            };
            master.write_all(&typed).unwrap();
        }
        (screen, master)
    });
    let pinentry = Pinentry { program: PROGRAM.into(), terminal: Some(terminal), language: Language::English, delay: DELAY };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(async {
        let queue = PromptQueue::new(Prompter::Pinentry(pinentry), Duration::from_secs(60));
        let (_canceller, mut cancel) = Canceller::new();
        let turn = queue.turn(queue.admit(&Requester::CommandLine).unwrap(), &mut cancel).await.unwrap();
        let token = TokenShown { label: Shown::new("token"), serial_tail: Shown::new("4F2A") };
        let status = PinStatus { tries_left: Some(tries_left), ..PinStatus::default() };
        obtain(&turn, &[item(), item(), item()], None, token, status, 1, &cancel).await
    });
    drop(held);
    let (screen, _master) = person.join().unwrap();
    (outcome, String::from_utf8_lossy(&screen).into_owned())
}

fn item() -> Asked {
    let secret = sm2::SecretKey::from_slice(&[7; 32]).unwrap();
    let key = Sm2PublicKey::from_sec1(&secret.public_key().to_sec1_bytes()).unwrap();
    let seal = SealShown {
        name: Shown::new("深圳市某某科技有限公司 合同专用章"),
        es_id: Shown::new("44030000012345"),
        valid_from: jiff::Timestamp::UNIX_EPOCH,
        valid_to: jiff::Timestamp::MAX,
        signer: Shown::new("深圳市某某科技有限公司"),
        uscc: None,
        licence: None,
        unanswered: None,
        picture: Arc::default(),
    };
    let document = DocumentShown::DigestOnly { name: Shown::new("100%0A.ofd"), sm3: sm3(b"document") };
    let shown = SummaryItem { document, seal, placements: Vec::new(), closes: false, page: None, leaves: None };
    let bound = ConsentItem { data_hash: DataHash::Fixed(sm3(b"document")), property: String::new(), seal: sm3(b"seal"), key };
    Asked { shown, bound }
}

/// The first key is pressed too soon and must count for nothing.
pub fn asks_screen_after_screen() -> Result<(), Failed> {
    // Its time has begun before the person sees it.
    let late = DELAY;
    let early = || [Key::First(Duration::ZERO)].into_iter();
    // As many screens as there are; each further one is another yes.
    let screens = {
        let (outcome, screen) = asked(5, early().chain([Key::Second(late)]).collect());
        assert!(matches!(outcome, Outcome::Not(Refusal::Declined)), "{screen}");
        assert_eq!(screen.matches("came too soon").count(), 1, "{screen}");
        let (_, rest) = screen.split_once("1/").unwrap();
        rest[..1].parse::<usize>().unwrap()
    };
    assert!(screens > 1, "one screen holds less than three documents");
    let yes = (0..screens).map(|_| Key::First(late));
    let (outcome, screen) = asked(5, early().chain(yes).chain([Key::Line("24%68 13")]).collect());
    let Outcome::Approved(_, Credential::Pin(pin)) = outcome else { panic!("{outcome:?}: {screen}") };
    assert_eq!(pin.expose(), b"24%68 13");
    for shown in ["100%0A.ofd", "合同专用章", "Tries left: 5", &format!("{screens}/{screens}")] {
        assert!(screen.contains(shown), "{shown} not in {screen}");
    }
    assert!(!screen.contains("24%68"), "{screen}");
    let yes = (0..=screens).map(|_| Key::First(late));
    let (outcome, screen) = asked(1, yes.chain([Key::Line("246813")]).collect());
    assert!(matches!(outcome, Outcome::Approved(_, Credential::Pin(_))), "{outcome:?}: {screen}");
    assert!(screen.contains("This is the last try"), "{screen}");
    Ok(())
}
