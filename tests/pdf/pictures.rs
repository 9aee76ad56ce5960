//! A signed page as two renderers show it: the seal stands in the same place and has the same colours.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use libtest_mimic::Failed;
use serde_json::{Value, json};

use super::makers::contract;
use super::world::World;
use super::{place, run, sign_cms};

/// Where something of one colour is in a picture, as shares of the page's width and height.
#[derive(Clone, Copy, Debug)]
struct Share {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

pub fn alike() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let world = World::new(&folder.path().join("region"));
    let signed = sign_cms(&world, &contract(1), vec![place(1, 120.0, 200.0)]);
    let path = folder.path().join("signed.pdf");
    fs::write(&path, signed)?;

    let image = folder.path().join("poppler");
    let out = run("pdftoppm", &["-png", "-r", "96", "-singlefile", path.to_str().unwrap(), image.to_str().unwrap()])?;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let poppler = seal(&image.with_extension("png"), false).ok_or("poppler does not show the seal")?;
    let chromium = Chromium::open(folder.path(), &path)?.seal().ok_or("Chromium does not show the seal")?;

    let asked = Share { left: 120.0 / 209.9, top: 200.0 / 297.0, right: 160.0 / 209.9, bottom: 240.0 / 297.0 };
    for (who, found) in [("poppler", poppler), ("chromium", chromium)] {
        let off = [found.left - asked.left, found.top - asked.top, found.right - asked.right, found.bottom - asked.bottom];
        if off.iter().any(|share| share.abs() > 0.02) {
            return Err(format!("{who} shows the seal at {found:?}, not at {asked:?}").into());
        }
    }
    Ok(())
}

/// A browser that is told what to do over two pipes with names (its own descriptors 3 and 4), messages ended by a zero byte.
struct Chromium {
    child: Child,
    input: File,
    output: BufReader<File>,
    folder: PathBuf,
}

impl Drop for Chromium {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Chromium {
    fn open(folder: &Path, pdf: &Path) -> Result<Self, Failed> {
        let (input, output) = (folder.join("in"), folder.join("out"));
        for pipe in [&input, &output] {
            assert!(Command::new("mkfifo").arg(pipe).status()?.success());
        }
        let arguments =
            "--headless=new --no-sandbox --disable-gpu --hide-scrollbars --window-size=1000,1400 --remote-debugging-pipe";
        let child = Command::new("sh")
            .args(["-c", &format!("exec chromium {arguments} --user-data-dir=\"$1\" \"$2\" 3<\"$3\" 4>\"$4\""), "sh"])
            .arg(folder.join("profile"))
            .arg(format!("file://{}#toolbar=0&navpanes=0&view=Fit", pdf.display()))
            .args([&input, &output])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let input = File::options().write(true).open(input)?;
        Ok(Self { child, input, output: BufReader::new(File::open(output)?), folder: folder.to_owned() })
    }

    /// One call and its answer; what else the browser tells is passed over.
    fn call(&mut self, message: &Value) -> Result<Value, Failed> {
        self.input.write_all(message.to_string().as_bytes())?;
        self.input.write_all(&[0])?;
        loop {
            let mut answer = Vec::new();
            if self.output.read_until(0, &mut answer)? == 0 {
                return Err("Chromium is gone".into());
            }
            answer.pop();
            let answer: Value = serde_json::from_slice(&answer)?;
            if answer["id"] == message["id"] {
                return Ok(answer["result"].clone());
            }
        }
    }

    /// The seal in the window, once the viewer has drawn the page.
    fn seal(mut self) -> Option<Share> {
        let image = self.folder.join("chromium.png");
        let mut session = None;
        for _ in 0..60 {
            std::thread::sleep(Duration::from_millis(500));
            if session.is_none() {
                let targets = self.call(&json!({"id": 1, "method": "Target.getTargets"})).ok()?;
                let page = targets["targetInfos"].as_array()?.iter().find(|target| target["type"] == "page")?["targetId"].clone();
                let attach = json!({"id": 2, "method": "Target.attachToTarget", "params": {"targetId": page, "flatten": true}});
                session = Some(self.call(&attach).ok()?["sessionId"].clone());
            }
            let shoot = json!({"id": 3, "method": "Page.captureScreenshot", "sessionId": session, "params": {"format": "png"}});
            let shot = self.call(&shoot).ok()?;
            let png = base64::engine::general_purpose::STANDARD.decode(shot["data"].as_str()?).ok()?;
            fs::write(&image, png).ok()?;
            if let Some(found) = seal(&image, true) {
                return Some(found);
            }
        }
        None
    }
}

/// The box of the seal's red on the page. A screenshot has grey around the page.
fn seal(path: &Path, has_surroundings: bool) -> Option<Share> {
    let mut reader = png::Decoder::new(std::io::BufReader::new(fs::File::open(path).unwrap())).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let (width, height) = (info.width as usize, info.height as usize);
    let channels = pixels.len() / (width * height);
    let at = |x: usize, y: usize| &pixels[(y * width + x) * channels..][..3];
    let find = |is: &dyn Fn(&[u8]) -> bool| {
        let mut found: Option<[usize; 4]> = None;
        for y in 0..height {
            for x in (0..width).filter(|x| is(at(*x, y))) {
                let [left, top, right, bottom] = found.unwrap_or([x, y, x, y]);
                found = Some([left.min(x), top, right.max(x), bottom.max(y)]);
            }
        }
        found
    };
    let page = if has_surroundings { find(&|p| p == [255, 255, 255])? } else { [0, 0, width - 1, height - 1] };
    // The picture is one pixel of this red, which no edge of a letter has.
    let red = [200, 16, 46];
    let [left, top, right, bottom] = find(&|p| p.iter().zip(red).all(|(a, b): (&u8, u8)| a.abs_diff(b) < 12))?;
    let (across, down) = ((page[2] - page[0] + 1) as f64, (page[3] - page[1] + 1) as f64);
    Some(Share {
        left: (left - page[0]) as f64 / across,
        top: (top - page[1]) as f64 / down,
        right: (right + 1 - page[0]) as f64 / across,
        bottom: (bottom + 1 - page[1]) as f64 / down,
    })
}
