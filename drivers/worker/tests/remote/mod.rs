//! A worker process seen as a [`Driver`], so that the contract suite runs across the process border.

use std::{
    ffi::{OsStr, OsString},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
};

use ukey::{
    About, Authenticated, Credential, Driver, DriverError, KeyId, KeyInfo, KeyUsage, Pin, PinStatus, Session, Sm2Message,
    Sm2Signature, TokenId, TokenInfo,
    wire::{self, Answer, Bytes, Request},
};

/// One running worker. Dropping it closes its input and waits for its end.
pub struct RemoteDriver {
    child: Child,
    input: Option<ChildStdin>,
    output: ChildStdout,
    about: Option<About>,
}

impl RemoteDriver {
    /// Starts the worker with these arguments and says hello.
    pub fn start(arguments: &[OsString]) -> Self {
        Self::start_with(arguments, &[])
    }

    /// Starts the worker with these arguments and variables and says hello.
    pub fn start_with(arguments: &[OsString], variables: &[(&OsStr, &OsStr)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sealagent-worker"))
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let mut driver = Self { child, input, output, about: None };
        let hello = driver.ask(&Request::Hello { version: wire::VERSION }, b"").unwrap();
        match hello {
            Answer::Hello { version: wire::VERSION, about } => driver.about = about,
            other => panic!("{other:?}"),
        }
        driver
    }

    /// Process id of the worker.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a request and waits for nothing.
    pub fn send(&mut self, request: &Request, secret: &[u8]) {
        wire::write_frame(self.input.as_mut().unwrap(), request, secret).unwrap();
    }

    /// Waits until the worker says by itself that tokens came or went.
    pub fn wait_for_change(&mut self) {
        let answer = self.read();
        assert!(matches!(answer, Answer::TokensChanged), "{answer:?}");
    }

    fn read(&mut self) -> Answer {
        wire::read_frame(&mut self.output).unwrap().expect("the worker lives").0
    }

    /// Sends a request and reads the answer to it.
    pub fn ask(&mut self, request: &Request, secret: &[u8]) -> Result<Answer, DriverError> {
        self.send(request, secret);
        loop {
            match self.read() {
                Answer::TokensChanged => {}
                Answer::Failed { error } => return Err(error),
                answer => return Ok(answer),
            }
        }
    }

    /// Closes the worker's input and waits for its end.
    pub fn close(mut self) -> ExitStatus {
        drop(self.input.take());
        self.child.wait().unwrap()
    }

    /// Closes the worker's input; its exit must be clean.
    pub fn end(self) {
        assert!(self.close().success());
    }
}

impl Drop for RemoteDriver {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

impl Driver for RemoteDriver {
    fn about(&self) -> About {
        self.about.clone().unwrap()
    }

    fn tokens(&mut self) -> Result<Vec<TokenInfo>, DriverError> {
        match self.ask(&Request::Tokens, b"")? {
            Answer::Tokens { tokens } => Ok(tokens),
            answer => panic!("{answer:?}"),
        }
    }

    fn open(&mut self, token: &TokenId) -> Result<Box<dyn Session + '_>, DriverError> {
        let mut session = RemoteSession { driver: self, token: token.clone() };
        session.inspect()?;
        Ok(Box::new(session))
    }
}

struct RemoteSession<'a> {
    driver: &'a mut RemoteDriver,
    token: TokenId,
}

impl RemoteSession<'_> {
    fn inspect(&mut self) -> Result<(Vec<KeyInfo>, Vec<Bytes>, PinStatus), DriverError> {
        match self.driver.ask(&Request::Inspect { token: self.token.clone() }, b"")? {
            Answer::Inspected { keys, seals, pin } => Ok((keys, seals, pin)),
            answer => panic!("{answer:?}"),
        }
    }
}

impl Session for RemoteSession<'_> {
    fn keys(&mut self) -> Result<Vec<KeyInfo>, DriverError> {
        Ok(self.inspect()?.0)
    }

    fn seals(&mut self) -> Result<Vec<Vec<u8>>, DriverError> {
        Ok(self.inspect()?.1.into_iter().map(|Bytes(seal)| seal).collect())
    }

    fn pin_status(&mut self) -> Result<PinStatus, DriverError> {
        Ok(self.inspect()?.2)
    }

    fn login(&mut self, credential: Credential) -> Result<Box<dyn Authenticated + '_>, DriverError> {
        let key = self.keys()?.into_iter().find(|k| k.usage == KeyUsage::Signing).unwrap();
        let on_device = matches!(credential, Credential::OnDevice);
        let secret: &[u8] = match &credential {
            Credential::OnDevice => b"",
            Credential::Pin(pin) => pin.expose(),
        };
        let request = Request::Sign { token: self.token.clone(), key: key.id.clone(), public_key: key.public_key, on_device };
        let answer = self.driver.ask(&request, secret)?;
        assert!(matches!(answer, Answer::LoggedIn), "{answer:?}");
        Ok(Box::new(RemoteLogin { driver: self.driver, token: self.token.clone(), key, over: false }))
    }

    fn change_pin(&mut self, old: Pin, new: Pin) -> Result<(), DriverError> {
        let answer = self.driver.ask(&Request::ChangePin { token: self.token.clone() }, &wire::join_pins(&old, &new))?;
        assert!(matches!(answer, Answer::PinChanged), "{answer:?}");
        Ok(())
    }
}

struct RemoteLogin<'a> {
    driver: &'a mut RemoteDriver,
    token: TokenId,
    key: KeyInfo,
    over: bool,
}

impl RemoteLogin<'_> {
    fn end(&mut self) {
        if !self.over {
            self.over = true;
            assert!(matches!(self.driver.ask(&Request::End, b""), Ok(Answer::Ended)));
        }
    }
}

impl Authenticated for RemoteLogin<'_> {
    fn sign(&mut self, key: &KeyId, message: &Sm2Message) -> Result<Sm2Signature, DriverError> {
        if *key != self.key.id {
            // A login is for one key. The worker looks at the key before it looks at the credential, so no PIN is needed to ask.
            self.end();
            let request =
                Request::Sign { token: self.token.clone(), key: key.clone(), public_key: self.key.public_key, on_device: true };
            return Err(self.driver.ask(&request, b"").expect_err("the worker refuses the key"));
        }
        let request = Request::Message { bytes: Bytes(message.bytes().to_vec()), id: message.id().to_owned() };
        match self.driver.ask(&request, b"") {
            Ok(Answer::Signed { signature }) => Ok(signature),
            Ok(answer) => panic!("{answer:?}"),
            Err(error) => {
                self.over = true;
                Err(error)
            }
        }
    }
}

impl Drop for RemoteLogin<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.end();
        }
    }
}
