//! `ukey`: a virtual UKey as a company would get it: PIN, key made on the token, certificate from its request, seal.

use jiff::Timestamp;
use sealauthority::{CertificateProfile, CertificationRequest};
use serde::Serialize;
use ukey::{KeyUsage, Pin};
use ukey_virtual::{Token, TokenOptions};

use super::arguments::Ukey;
use super::{Failure, describe, draft, open, owner_code, picture, secret, subject_of, version};

/// What `--json` prints.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Made<'a> {
    token: &'a str,
    es_id: &'a str,
    certificate: &'a str,
}

/// Makes the token; one that could not be finished is removed again.
pub fn make(arguments: &Ukey, now: Timestamp) -> Result<String, Failure> {
    let pin = secret::new_pin(arguments.pin_fd)?;
    let token = Token::create(&arguments.tokens, &arguments.label, &pin, TokenOptions::default())?;
    match fill(&token, &pin, arguments, now) {
        Ok((code, certificate)) => {
            let (token, certificate) = (&token.id().0, describe(&certificate));
            let made = Made { token, es_id: &code, certificate: &certificate };
            Ok(match arguments.json {
                true => serde_json::to_string(&made).map_err(|error| Failure::new("internal", &[("reason", &error)]))? + "\n",
                false => format!("UKey {token}\n{certificate}\n{code}\n"),
            })
        }
        Err(failure) => {
            token.remove()?;
            Err(failure)
        }
    }
}

fn fill(token: &Token, pin: &Pin, arguments: &Ukey, now: Timestamp) -> Result<(String, Vec<u8>), Failure> {
    let mut region = open(&arguments.region)?;
    let code = owner_code(&mut region, &arguments.owner)?;
    let subject = subject_of(&arguments.owner, &code)?;
    let picture = picture(&arguments.picture, &arguments.owner.name, arguments.caption.as_deref(), &code)?;

    let mut unlocked = token.login(pin)?;
    let (key, public_key) = unlocked.generate_key(KeyUsage::Signing)?;
    let info = CertificationRequest::to_be_signed(&public_key, &subject)?;
    let signature = unlocked.sign_message(&key, &info)?;
    let request = CertificationRequest::read(&CertificationRequest::assemble(&info, &signature))?;
    let profile = CertificateProfile::CompanySigning;
    let certificate = region.issue(profile, request.subject(), request.public_key(), now, arguments.days)?;
    token.put_certificate(&key, &certificate)?;

    let caption = arguments.caption.as_deref();
    let draft = draft(&arguments.owner.name, caption, &code, vec![certificate.clone()], picture, now, arguments.days);
    token.put_seal(region.make_seal(&draft, version(arguments.version))?.raw())?;
    Ok((code, certificate))
}
